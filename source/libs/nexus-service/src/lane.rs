//! A bounded one-producer one-consumer lane of 16-word records in shared memory.
//!
//! The producer never waits. A record that finds the lane full is lost, and the loss is counted:
//! `produced == stored in the lane + lost`, at all times, across restarts of either side.
//!
//! Layout, in words: 0 head, 1 tail, 2 produced, 3 state, 4 reservation, 5 settled, 6..16 zero;
//! then the records. `head` and `tail` count records ever stored and ever taken; record `n` lies at
//! `n mod capacity`. Fresh zeroed memory is an empty lane. The capacity is the largest power of
//! two that fits; memory of one page more than a power of two wastes least.
//!
//! Ordering. The producer writes `produced`, then the record, then `head` with Release; the
//! consumer reads `head` with Acquire before the record, so it sees whole records only. The
//! consumer reads the record before it writes `tail` with Release; the producer reads `tail` with
//! Acquire before it overwrites the place, so no record changes under a reader. `produced` goes
//! first: a producer that dies between the two leaves `produced` one ahead, which counts the
//! unfinished record as lost and uses its number up.
//!
//! Losses. Between `produced` and `head` a record is neither stored nor lost, and a consumer that
//! runs there, having preempted the producer, must not decide. So a producer that does lose its
//! newest number says so in `settled`, and its successor does for a number it left unfinished:
//! `settled == produced` means that no record is on its way. Storing a record never touches it.
//!
//! Trust. Each side can write all of the memory. Each keeps its own counters private and uses
//! the other's only after a range check; every index is taken modulo the capacity. A hostile
//! side can lose or garble records that pass through it, and nothing else.

use core::sync::atomic::{AtomicU64, Ordering};

/// Words in one record. Word 0 is the sequence number and is set by the lane.
pub const RECORD_WORDS: usize = 16;

/// Words before the first record: one record's worth keeps records aligned to their size.
const HEADER_WORDS: usize = RECORD_WORDS;

const HEAD: usize = 0;
const TAIL: usize = 1;
const PRODUCED: usize = 2;
const STATE: usize = 3;
const RESERVED: usize = 4;
const SETTLED: usize = 5;

/// What the consumer says about its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// Records are kept as they should be.
    Well = 1,
    /// They are not.
    Degraded = 2,
}

/// One record as it travels.
pub type Words = [u64; RECORD_WORDS];

/// Shared words; the tests put a model of a reordering machine here.
pub trait Cells {
    /// Words moved per record; less than all only in the model, to keep its state space small.
    const MOVED: usize = RECORD_WORDS;
    /// How many words.
    fn count(&self) -> usize;
    /// Reads a word; out of range reads 0.
    fn load(&self, at: usize, order: Ordering) -> u64;
    /// Writes a word; out of range writes nothing.
    fn store(&self, at: usize, value: u64, order: Ordering);
    /// Reads the record that starts at `base`, Relaxed.
    #[inline(always)]
    fn load_record(&self, base: usize) -> Words {
        let mut record = [0; RECORD_WORDS];
        for (at, word) in (base..).zip(record.iter_mut().take(Self::MOVED)) {
            *word = self.load(at, Ordering::Relaxed);
        }
        record
    }
    /// Writes the record that starts at `base`, Relaxed, with `seq` as its word 0.
    #[inline(always)]
    fn store_record(&self, base: usize, seq: u64, [_, fields @ ..]: &Words) {
        self.store(base, seq, Ordering::Relaxed);
        let rest = fields.iter().take(Self::MOVED.wrapping_sub(1));
        for (at, word) in (base.wrapping_add(1)..).zip(rest) {
            self.store(at, *word, Ordering::Relaxed);
        }
    }
}

impl Cells for &[AtomicU64] {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.get(at).map_or(0, |cell| cell.load(order))
    }
    #[inline(always)]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        if let Some(cell) = self.get(at) {
            cell.store(value, order);
        }
    }
    // As the provided ones, with one range check per record and not one per word.
    #[inline(always)]
    fn load_record(&self, base: usize) -> Words {
        let cells = self.get(base..).and_then(|rest| rest.first_chunk::<RECORD_WORDS>());
        cells.map_or([0; RECORD_WORDS], |c| c.each_ref().map(|cell| cell.load(Ordering::Relaxed)))
    }
    #[inline(always)]
    fn store_record(&self, base: usize, seq: u64, [_, fields @ ..]: &Words) {
        let cells = self.get(base..).and_then(|rest| rest.first_chunk::<RECORD_WORDS>());
        let Some([first, rest @ ..]) = cells else { return };
        first.store(seq, Ordering::Relaxed);
        for (cell, word) in rest.iter().zip(fields) {
            cell.store(*word, Ordering::Relaxed);
        }
    }
}

/// Largest power of two of records that fits, 0 if none does.
const fn capacity_of(words: usize) -> u64 {
    let records = words.saturating_sub(HEADER_WORDS) / RECORD_WORDS;
    match records.checked_ilog2() {
        Some(log) => 1 << log,
        None => 0,
    }
}

/// Places that only [`Producer::push_reserved`] fills: a thirty-second, so none in a small lane.
const fn reserve_of(capacity: u64) -> u64 {
    capacity >> 5
}

/// First word of record `n`.
#[inline(always)]
const fn place(n: u64, capacity: u64) -> usize {
    // INVARIANT: capacity is a power of two and at least 1.
    let slot = (n & capacity.wrapping_sub(1)) as usize;
    slot.wrapping_mul(RECORD_WORDS).wrapping_add(HEADER_WORDS)
}

/// The memory is too small for a single record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

/// The lane was full: the record is lost, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The number the lost record would have had; the gap shows the loss.
    pub seq: u64,
}

/// The writing end.
#[derive(Debug)]
pub struct Producer<C> {
    cells: C,
    capacity: u64,
    /// Places for ordinary records.
    open: u64,
    head: u64,
    produced: u64,
    used: u64,
    /// A place is kept for a record to come.
    reserved: bool,
}

impl<C: Cells> Producer<C> {
    /// Attaches to fresh memory, or takes over where an earlier producer ended.
    ///
    /// # Errors
    /// [`TooSmall`].
    pub fn attach(cells: C) -> Result<Self, TooSmall> {
        let capacity = capacity_of(cells.count());
        if capacity == 0 {
            return Err(TooSmall);
        }
        let head = cells.load(HEAD, Ordering::Acquire);
        // Less than what was stored can only be damage; losses then count from here.
        let produced = cells.load(PRODUCED, Ordering::Acquire).max(head);
        let produced = reservation::settle(&cells, produced);
        cells.store(PRODUCED, produced, Ordering::Relaxed);
        cells.store(SETTLED, produced, Ordering::Release);
        let open = capacity.wrapping_sub(reserve_of(capacity));
        Ok(Producer { cells, capacity, open, head, produced, used: 0, reserved: false })
    }

    /// Appends a record; word 0 becomes its sequence number, which is returned.
    ///
    /// # Errors
    /// [`Full`]: the record is lost, and counted.
    #[inline]
    pub fn push(&mut self, record: &Words) -> Result<u64, Full> {
        self.put(record, self.open)
    }

    /// As [`Producer::push`], into places kept for what must be seen when all others are taken.
    ///
    /// # Errors
    /// [`Full`]: the reserve is used up too; the record is lost, and counted.
    #[cold]
    pub fn push_reserved(&mut self, record: &Words) -> Result<u64, Full> {
        self.put(record, self.capacity)
    }

    /// Whether [`Producer::push`] would find a place now. Only the consumer changes that.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        let tail = self.cells.load(TAIL, Ordering::Acquire);
        self.head.wrapping_sub(tail) < self.open
    }

    /// What the consumer last said about its end; `None` if it never did.
    #[inline]
    #[must_use]
    pub fn consumer_state(&self) -> Option<State> {
        match self.cells.load(STATE, Ordering::Relaxed) {
            1 => Some(State::Well),
            2 => Some(State::Degraded),
            _ => None,
        }
    }

    /// Whether the consumer last said that it is well, and less than three quarters of the lane
    /// wait for it: what a dead one said stays, but what it no longer takes piles up.
    #[inline]
    #[must_use]
    pub fn is_looked_after(&self) -> bool {
        let tail = self.cells.load(TAIL, Ordering::Acquire);
        let near_full = self.capacity.wrapping_sub(self.capacity >> 2);
        // A damaged lane wraps to a huge figure, as in `put`.
        self.consumer_state() == Some(State::Well) && self.head.wrapping_sub(tail) < near_full
    }

    #[inline(always)]
    fn put(&mut self, record: &Words, places: u64) -> Result<u64, Full> {
        let seq = self.produced;
        self.produced = seq.wrapping_add(1);
        self.cells.store(PRODUCED, self.produced, Ordering::Relaxed);
        let tail = self.cells.load(TAIL, Ordering::Acquire);
        // A tail beyond the head wraps to a huge figure: a damaged lane counts as full.
        let used = self.head.wrapping_sub(tail);
        if used >= places {
            return Err(self.lose(seq));
        }
        let base = place(self.head, self.capacity);
        self.cells.store_record(base, seq, record);
        self.head = self.head.wrapping_add(1);
        self.cells.store(HEAD, self.head, Ordering::Release);
        self.used = used.wrapping_add(1);
        Ok(seq)
    }

    /// No record with this number will come.
    #[cold]
    fn lose(&mut self, seq: u64) -> Full {
        self.used = self.capacity;
        self.cells.store(SETTLED, self.produced, Ordering::Release);
        Full { seq }
    }

    /// Whether the consumer should be woken after the latest push: when the lane is half full,
    /// and at every further quarter, so that a flood does not signal once per record.
    #[inline]
    #[must_use]
    pub const fn should_ring(&self) -> bool {
        let quarter = if self.capacity < 4 { 1 } else { self.capacity >> 2 };
        let half = self.used.saturating_mul(2) >= self.capacity;
        half && self.used & quarter.wrapping_sub(1) == 0
    }

    /// Records produced since the memory was fresh; the next record's number.
    #[must_use]
    pub const fn produced(&self) -> u64 {
        self.produced
    }

    /// Records lost since the memory was fresh.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.produced.wrapping_sub(self.head)
    }

    /// Records the lane holds at most.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }
}

/// What the header says: a consistent lower bound while the producer runs, exact when it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Records produced.
    pub produced: u64,
    /// Records that were stored in the lane.
    pub stored: u64,
    /// Records that found it full.
    pub lost: u64,
}

/// The reading end.
#[derive(Debug)]
pub struct Consumer<C> {
    cells: C,
    capacity: u64,
    tail: u64,
    resyncs: u64,
}

impl<C: Cells> Consumer<C> {
    /// Attaches to fresh memory, or takes over where an earlier consumer ended.
    ///
    /// # Errors
    /// [`TooSmall`].
    pub fn attach(cells: C) -> Result<Self, TooSmall> {
        let capacity = capacity_of(cells.count());
        if capacity == 0 {
            return Err(TooSmall);
        }
        let tail = cells.load(TAIL, Ordering::Acquire);
        Ok(Consumer { cells, capacity, tail, resyncs: 0 })
    }

    /// Tells the producer how this end is.
    pub fn tell(&self, state: State) {
        self.cells.store(STATE, state as u64, Ordering::Relaxed);
    }

    /// Records the lane holds at most.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The oldest record, left in place: a consumer that dies before [`Consumer::release`] finds
    /// it again.
    #[inline]
    pub fn peek(&mut self) -> Option<Words> {
        let head = self.cells.load(HEAD, Ordering::Acquire);
        let waiting = head.wrapping_sub(self.tail);
        if waiting == 0 {
            return None;
        }
        if waiting > self.capacity {
            self.resync(head);
            return None;
        }
        let base = place(self.tail, self.capacity);
        Some(self.cells.load_record(base))
    }

    /// Gives the place of the record last peeked at back to the producer.
    #[inline]
    pub fn release(&mut self) {
        self.tail = self.tail.wrapping_add(1);
        self.cells.store(TAIL, self.tail, Ordering::Release);
    }

    /// Takes the oldest record.
    #[inline]
    pub fn pop(&mut self) -> Option<Words> {
        let record = self.peek()?;
        self.release();
        Some(record)
    }

    /// No honest producer leaves such a head: start over from it rather than read garbage.
    #[cold]
    fn resync(&mut self, head: u64) {
        self.tail = head;
        self.cells.store(TAIL, head, Ordering::Release);
        self.resyncs = self.resyncs.saturating_add(1);
    }

    /// How often the header was found damaged.
    #[must_use]
    pub const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// Records waiting; never more than the capacity.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let head = self.cells.load(HEAD, Ordering::Acquire);
        head.wrapping_sub(self.tail).min(self.capacity)
    }

    /// The producer's counters. `produced` is read first, so that a record being written counts
    /// as neither stored nor lost too early.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let produced = self.cells.load(PRODUCED, Ordering::Acquire);
        let stored = self.cells.load(HEAD, Ordering::Acquire);
        Counters { produced: produced.max(stored), stored, lost: produced.saturating_sub(stored) }
    }

    /// The number below which every record is stored by now or never will be: one that is missing
    /// once the lane is found empty is lost. Only the newest number can still be open.
    #[must_use]
    pub fn decided(&self) -> u64 {
        let produced = self.cells.load(PRODUCED, Ordering::Acquire);
        let settled = self.cells.load(SETTLED, Ordering::Acquire) >= produced;
        if settled { produced } else { produced.wrapping_sub(1) }
    }
}

mod reservation;

pub use reservation::Place;

#[cfg(test)]
mod tests;
