//! The journal's counters. Guards that "produced = stored + lost" holds exactly, also when logd
//! is killed between any two stores: two copies take turns, and each copy proves itself.

use crate::words::{Words, check};

/// First number of the journal itself; 0 marks a slot without a record. The lane and the kernel
/// count from 0.
const FIRST_SEQ: u64 = 1;

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
    /// The lane, with its number there.
    Lane(u64),
    /// The kernel's event ring, with its number there.
    Kernel(u64),
    /// Notes that every unseen lane number below this one is lost.
    LaneGap(u64),
    /// Notes that every unseen kernel number below this one is lost.
    KernelGap(u64),
}

impl Source {
    const SHIFT: u32 = 60;
    /// Below the kind a slot keeps its lane.
    const LANE_SHIFT: u32 = 52;
    const SEQ: u64 = (1 << Self::LANE_SHIFT) - 1;

    pub(crate) const fn to_word(self) -> u64 {
        let (kind, seq) = match self {
            Source::Own => (1, 0),
            Source::Lane(seq) => (2, seq),
            Source::Kernel(seq) => (3, seq),
            Source::LaneGap(seq) => (4, seq),
            Source::KernelGap(seq) => (5, seq),
        };
        (kind << Self::SHIFT) | (seq & Self::SEQ)
    }

    /// Together with the lane of the record, as a slot keeps it.
    pub(crate) const fn with_lane(self, lane: u8) -> u64 {
        self.to_word() | ((lane as u64) << Self::LANE_SHIFT)
    }

    /// The lane in a slot's word.
    pub(crate) const fn lane(word: u64) -> u8 {
        (word >> Self::LANE_SHIFT) as u8
    }

    pub(crate) const fn from_word(word: u64) -> Option<Source> {
        let seq = word & Self::SEQ;
        Some(match word >> Self::SHIFT {
            1 => Source::Own,
            2 => Source::Lane(seq),
            3 => Source::Kernel(seq),
            4 => Source::LaneGap(seq),
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
    /// Decisions from policyd.
    pub(crate) lane: Stream,
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
    /// Words of one copy: generation, eight counters, check.
    pub(crate) const WORDS: usize = 10;
    /// An empty journal.
    pub(crate) const START: Ledger = Ledger {
        next_seq: FIRST_SEQ,
        lane: Stream { stored: 0, lost: 0 },
        kernel: Stream { stored: 0, lost: 0 },
        own: 0,
        damaged: 0,
        attached: 0,
    };

    /// Whether a record from there would be new: numbers never go back.
    pub(crate) const fn admits(&self, source: Source) -> bool {
        let (seq, next) = match source {
            Source::Own => return true,
            Source::Lane(seq) | Source::LaneGap(seq) => (seq, self.lane.next()),
            Source::Kernel(seq) | Source::KernelGap(seq) => (seq, self.kernel.next()),
        };
        seq >= next && seq < Source::SEQ
    }

    /// Accounts for the next journal record; `source` is one it [admits](Ledger::admits).
    pub(crate) fn account(&mut self, source: Source) {
        self.next_seq = self.next_seq.saturating_add(1);
        match source {
            Source::Own => self.own = self.own.saturating_add(1),
            Source::Lane(seq) => self.lane.store(seq),
            Source::Kernel(seq) => self.kernel.store(seq),
            Source::LaneGap(seq) => self.lane.lose_until(seq),
            Source::KernelGap(seq) => self.kernel.lose_until(seq),
        }
        if matches!(source, Source::LaneGap(_) | Source::KernelGap(_)) {
            self.own = self.own.saturating_add(1);
        }
    }

    /// Records that ever entered the journal.
    #[must_use]
    pub(crate) const fn entered(&self) -> u64 {
        self.next_seq.saturating_sub(FIRST_SEQ)
    }

    /// Whether the counters can come from this code: hostile or torn copies are refused.
    fn plausible(&self) -> bool {
        let sources = [self.lane.stored, self.kernel.stored, self.own];
        let sum = sources.iter().try_fold(FIRST_SEQ, |sum, n| sum.checked_add(*n));
        let whole = |stream: &Stream| stream.next() < Source::SEQ;
        whole(&self.lane) && whole(&self.kernel) && sum == Some(self.next_seq)
    }

    const fn to_words(self) -> [u64; Self::WORDS - 2] {
        let Ledger { next_seq, lane, kernel, own, damaged, attached } = self;
        [next_seq, lane.stored, lane.lost, kernel.stored, kernel.lost, own, damaged, attached]
    }

    fn from_words(words: [u64; Self::WORDS - 2]) -> Option<Ledger> {
        let [next_seq, ls, ll, ks, kl, own, damaged, attached] = words;
        let lane = Stream { stored: ls, lost: ll };
        let kernel = Stream { stored: ks, lost: kl };
        let ledger = Ledger { next_seq, lane, kernel, own, damaged, attached };
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
