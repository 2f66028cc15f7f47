//! The journal's counters. Guards that "produced = stored + lost" holds exactly, also when logd
//! is killed between any two stores: two copies take turns, and each copy proves itself.

use crate::words::{Words, check};

/// First number of the journal itself; 0 marks a slot without a record. The lane and the kernel
/// count from 0.
const FIRST_SEQ: u64 = 1;
/// Lanes into the journal that have accounts of their own: as many as a manifest can hold.
pub const SOURCES: usize = 8;

/// Accounts of one stream of numbered records: every number below [`Stream::next`] is either
/// stored or lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Records of the stream that entered the journal.
    pub(crate) stored: u64,
    /// Numbers that never arrived.
    pub(crate) lost: u64,
}

impl Stream {
    /// The next number that has not been accounted for, and so how many have.
    pub(crate) const fn next(&self) -> u64 {
        self.stored.saturating_add(self.lost)
    }

    /// How many numbers are missing before `seq`.
    pub(crate) const fn gap_before(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.next())
    }

    const fn lose_until(&mut self, seq: u64) {
        self.lost = self.lost.saturating_add(self.gap_before(seq));
    }

    const fn store(&mut self, seq: u64) {
        self.lose_until(seq);
        self.stored = self.stored.saturating_add(1);
    }
}

/// Where a journal record came from, and what its arrival settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// logd itself.
    Own,
    /// The lane with this index, with its number there.
    Lane(u8, u64),
    /// The kernel's event ring, with its number there.
    Kernel(u64),
    /// Notes that every unseen number of this lane below this one is lost.
    LaneGap(u8, u64),
    /// Notes that every unseen kernel number below this one is lost.
    KernelGap(u64),
}

impl Source {
    const SHIFT: u32 = 60;
    /// Below the kind a slot keeps its chain.
    const CHAIN_SHIFT: u32 = 52;
    /// Below that the index of the lane into the journal.
    const INDEX_SHIFT: u32 = 48;
    const SEQ: u64 = (1 << Self::INDEX_SHIFT) - 1;

    pub(crate) const fn to_word(self) -> u64 {
        let (kind, index, seq) = match self {
            Source::Own => (1, 0, 0),
            Source::Lane(index, seq) => (2, index, seq),
            Source::Kernel(seq) => (3, 0, seq),
            Source::LaneGap(index, seq) => (4, index, seq),
            Source::KernelGap(seq) => (5, 0, seq),
        };
        let index = (index & 15) as u64;
        (kind << Self::SHIFT) | (index << Self::INDEX_SHIFT) | (seq & Self::SEQ)
    }

    /// Together with the chain of the record, as a slot keeps it.
    pub(crate) const fn with_chain(self, chain: u8) -> u64 {
        self.to_word() | ((chain as u64) << Self::CHAIN_SHIFT)
    }

    /// The chain in a slot's word.
    pub(crate) const fn chain(word: u64) -> u8 {
        (word >> Self::CHAIN_SHIFT) as u8
    }

    /// Whether a slot's word is of this source.
    pub(crate) const fn is_of(self, word: u64) -> bool {
        word & !(0xff << Self::CHAIN_SHIFT) == self.to_word()
    }

    pub(crate) const fn from_word(word: u64) -> Option<Source> {
        let seq = word & Self::SEQ;
        let index = ((word >> Self::INDEX_SHIFT) & 15) as u8;
        Some(match word >> Self::SHIFT {
            1 => Source::Own,
            2 => Source::Lane(index, seq),
            3 => Source::Kernel(seq),
            4 => Source::LaneGap(index, seq),
            5 => Source::KernelGap(seq),
            _ => return None,
        })
    }
}

/// All counters of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Next journal sequence number; numbers start at 1 and are never reused.
    pub(crate) next_seq: u64,
    /// What came through each lane.
    pub(crate) lanes: [Stream; SOURCES],
    /// Kernel events.
    pub(crate) kernel: Stream,
    /// Records logd wrote about itself: gaps, refused frames.
    pub(crate) own: u64,
    /// Slots found half-written or invalid when the journal was attached.
    pub(crate) damaged: u64,
    /// Times the journal was attached.
    pub(crate) attached: u64,
}

impl Ledger {
    /// Words of one copy: generation, counters, check.
    pub(crate) const WORDS: usize = 2 + Self::COUNTERS;
    /// Next number, two counters a stream, three of the journal itself.
    const COUNTERS: usize = 1 + 2 * (SOURCES + 1) + 3;
    /// An empty journal.
    pub(crate) const START: Ledger = Ledger {
        next_seq: FIRST_SEQ,
        lanes: [Stream { stored: 0, lost: 0 }; SOURCES],
        kernel: Stream { stored: 0, lost: 0 },
        own: 0,
        damaged: 0,
        attached: 0,
    };

    /// Whether a record from there would be new: numbers never go back.
    pub(crate) fn admits(&self, source: Source) -> bool {
        let (seq, next) = match source {
            Source::Own => return true,
            Source::Lane(index, seq) | Source::LaneGap(index, seq) => {
                (seq, self.lane(index).next())
            }
            Source::Kernel(seq) | Source::KernelGap(seq) => (seq, self.kernel.next()),
        };
        seq >= next && seq < Source::SEQ
    }

    /// Accounts of one lane; one that there is not never had a record.
    pub(crate) fn lane(&self, index: u8) -> Stream {
        self.lanes.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// Accounts of all lanes together.
    pub(crate) fn all_lanes(&self) -> Stream {
        self.lanes.iter().fold(Stream::default(), |sum, lane| Stream {
            stored: sum.stored.saturating_add(lane.stored),
            lost: sum.lost.saturating_add(lane.lost),
        })
    }

    /// Accounts for the next journal record; `source` is one it [admits](Ledger::admits).
    pub(crate) fn account(&mut self, source: Source) {
        self.next_seq = self.next_seq.saturating_add(1);
        match source {
            Source::Own => {}
            Source::Lane(index, seq) => self.of(index, |lane| lane.store(seq)),
            Source::Kernel(seq) => self.kernel.store(seq),
            Source::LaneGap(index, seq) => self.of(index, |lane| lane.lose_until(seq)),
            Source::KernelGap(seq) => self.kernel.lose_until(seq),
        }
        if matches!(source, Source::Own | Source::LaneGap(..) | Source::KernelGap(_)) {
            self.own = self.own.saturating_add(1);
        }
    }

    fn of(&mut self, index: u8, change: impl FnOnce(&mut Stream)) {
        if let Some(lane) = self.lanes.get_mut(usize::from(index)) {
            change(lane);
        }
    }

    /// Records that ever entered the journal.
    #[must_use]
    pub(crate) const fn entered(&self) -> u64 {
        self.next_seq.saturating_sub(FIRST_SEQ)
    }

    /// Whether the counters can come from this code: hostile or torn copies are refused.
    fn plausible(&self) -> bool {
        let streams = || self.lanes.iter().chain([&self.kernel]);
        let stored = streams().map(|stream| stream.stored).chain([self.own]);
        let sum = stored.into_iter().try_fold(FIRST_SEQ, |sum: u64, n| sum.checked_add(n));
        streams().all(|stream| stream.next() < Source::SEQ) && sum == Some(self.next_seq)
    }

    fn to_words(self) -> [u64; Self::COUNTERS] {
        let mut words = [0; Self::COUNTERS];
        let streams = self.lanes.into_iter().chain([self.kernel]);
        let counters = [self.next_seq, self.own, self.damaged, self.attached]
            .into_iter()
            .chain(streams.flat_map(|stream| [stream.stored, stream.lost]));
        for (word, counter) in words.iter_mut().zip(counters) {
            *word = counter;
        }
        words
    }

    fn from_words(words: [u64; Self::COUNTERS]) -> Option<Ledger> {
        let [next_seq, own, damaged, attached, streams @ ..] = words;
        let (pairs, _) = streams.as_chunks::<2>();
        let mut pairs = pairs.iter().map(|[stored, lost]| Stream { stored: *stored, lost: *lost });
        let lanes = core::array::from_fn(|_| pairs.next().unwrap_or_default());
        let kernel = pairs.next()?;
        let ledger = Ledger { next_seq, lanes, kernel, own, damaged, attached };
        ledger.plausible().then_some(ledger)
    }
}

/// The two copies in the journal's header; the valid one with the higher generation counts.
pub(crate) struct Copies<'v> {
    places: [Words<'v>; 2],
    generation: u64,
}

impl<'v> Copies<'v> {
    /// Words both copies take.
    pub(crate) const WORDS: usize = 2 * Ledger::WORDS;

    pub(crate) fn over(words: Words<'v>) -> Self {
        let place = |at| words.window(at, Ledger::WORDS);
        Copies { places: [place(0), place(Ledger::WORDS)], generation: 0 }
    }

    /// The counters in force, if any copy holds.
    pub(crate) fn load(&mut self) -> Option<Ledger> {
        let copies = self.places.iter().filter_map(|place| {
            let [generation, body @ .., sum] = place.array::<{ Ledger::WORDS }>(0);
            let good = generation > 0 && sum == Self::sum(generation, &body);
            Some((generation, Ledger::from_words(body)?)).filter(|_| good)
        });
        let (generation, ledger) = copies.max_by_key(|(generation, _)| *generation)?;
        self.generation = generation;
        Some(ledger)
    }

    /// Replaces the older copy; the newer one stays whole until this one is.
    pub(crate) fn save(&mut self, ledger: &Ledger) {
        self.generation = self.generation.saturating_add(1);
        let [even, odd] = self.places;
        let place = if self.generation & 1 == 0 { even } else { odd };
        let body = ledger.to_words();
        place.retract(0);
        place.fill(1, &body);
        place.set(Ledger::WORDS - 1, Self::sum(self.generation, &body));
        place.publish(0, self.generation);
    }

    fn sum(generation: u64, body: &[u64]) -> u64 {
        check(core::iter::once(generation).chain(body.iter().copied()))
    }
}
