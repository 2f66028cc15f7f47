//! Checkpoints in the journal's header, and what was dropped behind them. Guards that a death in
//! the middle of making one leaves the older ones whole.

use nexus_audit::{Checkpoint, Seal, Signature};
use nexus_wire::audit::SealReply;

use crate::words::{Words, check};

/// Checkpoints kept, a power of two; older ones live on in the digests that the newer ones quote.
const KEPT: usize = 8;
/// Words of one place: its number, the checkpoint, a check over it.
const PLACE_WORDS: usize = Checkpoint::WORDS + 2;

/// Words of one signature: its checkpoint's number, the lane record it came in, a check. Apart
/// from the checkpoint, which is whole without it: a death while a signature is stored costs the
/// signature only.
const SIGNED_WORDS: usize = 16 + 2;

/// What became of a signature that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// It stands with its checkpoint now.
    Kept,
    /// Its checkpoint is signed already, or older than those kept.
    Late,
    /// No checkpoint has this number.
    Unknown,
}

/// The checkpoints; each new one replaces the oldest.
pub(crate) struct Seals<'v> {
    words: Words<'v>,
    newest: Option<Checkpoint>,
    made_ns: u64,
}

impl<'v> Seals<'v> {
    /// Words all places take.
    pub(crate) const WORDS: usize = KEPT * (PLACE_WORDS + SIGNED_WORDS);

    pub(crate) const fn over(words: Words<'v>) -> Self {
        Seals { words, newest: None, made_ns: 0 }
    }

    /// Finds what an earlier instance left; one that covers records not yet written is no
    /// checkpoint of this journal.
    pub(crate) fn load(&mut self, next_seq: u64) {
        let all = (0..KEPT).filter_map(|at| self.read(at));
        self.newest = all.filter(|c| c.last_seq < next_seq).max_by_key(|c| c.number);
        self.made_ns = self.newest.map_or(0, |newest| newest.time_ns);
    }

    pub(crate) const fn newest(&self) -> Option<Checkpoint> {
        self.newest
    }

    pub(crate) fn numbered(&self, number: u64) -> Option<Checkpoint> {
        self.read(at(number)).filter(|point| point.number == number)
    }

    /// Puts a signature to its checkpoint. Whether it is the key's, its readers find out.
    pub(crate) fn sign(&mut self, reply: &SealReply) -> Sealed {
        let newest = self.newest.map_or(0, |newest| newest.number);
        match self.numbered(reply.number) {
            _ if reply.number > newest => Sealed::Unknown,
            Some(point) if point.seal == Seal::Unsigned => {
                let words = reply.to_words();
                let place = self.signature(at(reply.number));
                place.retract(0);
                place.fill(1, &words);
                place.set(SIGNED_WORDS - 1, check(words.iter().copied()));
                place.publish(0, reply.number);
                if reply.number == newest {
                    self.newest = self.numbered(newest);
                }
                Sealed::Kept
            }
            _ => Sealed::Late,
        }
    }

    /// The newest record behind a checkpoint.
    pub(crate) const fn covered(&self) -> u64 {
        match &self.newest {
            Some(newest) => newest.last_seq,
            None => 0,
        }
    }

    /// When the newest was made.
    pub(crate) const fn made_ns(&self) -> u64 {
        self.made_ns
    }

    pub(crate) fn save(&mut self, point: &Checkpoint, now_ns: u64) {
        let words = to_words(point);
        let place = self.place(at(point.number));
        place.retract(0);
        place.fill(1, &words);
        place.set(PLACE_WORDS - 1, check(words.iter().copied()));
        place.publish(0, point.number);
        (self.newest, self.made_ns) = (Some(*point), now_ns);
    }

    fn place(&self, at: usize) -> Words<'v> {
        self.words.window(at.saturating_mul(PLACE_WORDS), PLACE_WORDS)
    }

    fn signature(&self, at: usize) -> Words<'v> {
        let first = at.saturating_mul(SIGNED_WORDS).saturating_add(KEPT * PLACE_WORDS);
        self.words.window(first, SIGNED_WORDS)
    }

    /// The checkpoint in this place, with its signature if it has one.
    fn read(&self, at: usize) -> Option<Checkpoint> {
        let point = read(self.place(at))?;
        let place = self.signature(at);
        let words = place.array::<16>(1);
        let whole = place.get(SIGNED_WORDS - 1) == check(words.iter().copied());
        let reply = SealReply::from_words(&words).filter(|_| whole && place.get(0) > 0);
        let seal = match reply.filter(|reply| reply.number == point.number) {
            Some(SealReply { generation, boot, signature: bytes, .. }) => {
                Seal::Ed25519(Signature { generation, boot, bytes })
            }
            None => Seal::Unsigned,
        };
        Some(Checkpoint { seal, ..point })
    }
}

/// Where the checkpoint with this number is kept.
const fn at(number: u64) -> usize {
    (number as usize) & (KEPT - 1)
}

fn read(place: Words<'_>) -> Option<Checkpoint> {
    let words = place.array::<{ Checkpoint::WORDS }>(1);
    let whole = place.get(0) > 0 && place.get(PLACE_WORDS - 1) == check(words.iter().copied());
    let mut bytes = [0; Checkpoint::BYTES];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    Checkpoint::decode(&bytes).filter(|point| whole && point.number == place.get(0))
}

fn to_words(point: &Checkpoint) -> [u64; Checkpoint::WORDS] {
    let bytes = point.encode();
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut words = [0; Checkpoint::WORDS];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// What a lane lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drop {
    pub(crate) count: u64,
    /// Denials among them.
    pub(crate) denials: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Drop {
    const NONE: Drop = Drop { count: 0, denials: 0, first: 0, last: 0 };
}

/// What each lane lost since it was last written down, and how far its front is gone.
pub(crate) struct Drops<const LANES: usize> {
    pending: [Drop; LANES],
    reach: [u64; LANES],
}

impl<const LANES: usize> Drops<LANES> {
    pub(crate) const NONE: Self = Drops { pending: [Drop::NONE; LANES], reach: [0; LANES] };

    pub(crate) fn note(&mut self, lane: usize, seq: u64, denied: bool) {
        if let Some(drop) = self.pending.get_mut(lane) {
            let first = if drop.count == 0 { seq } else { drop.first };
            let count = drop.count.saturating_add(1);
            let denials = drop.denials.saturating_add(denied.into());
            *drop = Drop { count, denials, first, last: seq };
        }
        self.assume(lane, seq);
    }

    /// The lane's front is gone up to `seq`.
    pub(crate) fn assume(&mut self, lane: usize, seq: u64) {
        if let Some(reach) = self.reach.get_mut(lane) {
            *reach = seq;
        }
    }

    /// What the lane lost and nobody wrote down yet.
    pub(crate) fn take(&mut self, lane: usize) -> Option<Drop> {
        let drop = self.pending.get_mut(lane).filter(|drop| drop.count > 0)?;
        Some(core::mem::replace(drop, Drop::NONE))
    }

    /// The newest record gone from the lane, or from any.
    pub(crate) fn reach(&self, lane: Option<usize>) -> u64 {
        match lane {
            Some(lane) => self.reach.get(lane).copied().unwrap_or(0),
            None => self.reach.iter().copied().max().unwrap_or(0),
        }
    }
}
