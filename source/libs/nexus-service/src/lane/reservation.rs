//! A place kept for a record of something that has not happened yet, so that nothing happens
//! that cannot be recorded.
//!
//! The header's reservation word says, for the next producer, what a dead one left: 0 nothing,
//! 1 a place was kept and its record never came, `n + 2` record `n` was being written into it.
//! So an act whose record was never finished is one counted loss, wherever its enforcer died.

use core::sync::atomic::Ordering;

use super::{Cells, Full, PRODUCED, Producer, RESERVED, SETTLED, Words};

const NONE: u64 = 0;
const KEPT: u64 = 1;
/// Added to the number of the record being written.
const WRITING: u64 = 2;

/// A place in the lane, kept for one record. Given up without [`Producer::commit`] or
/// [`Producer::cancel`], it is a counted loss as soon as the next place is reserved.
#[derive(Debug)]
#[must_use = "what it was kept for has to be recorded"]
pub struct Place(());

impl<C: Cells> Producer<C> {
    /// Keeps one place. Only one can be kept at a time.
    ///
    /// # Errors
    /// [`Full`]: there is none. Nothing is lost, and `seq` is the number the record would have.
    pub fn reserve(&mut self) -> Result<Place, Full> {
        if self.reserved {
            self.give_up();
        }
        if !self.has_room() {
            return Err(Full { seq: self.produced });
        }
        self.reserved = true;
        self.cells.store(RESERVED, KEPT, Ordering::Relaxed);
        Ok(Place(()))
    }

    /// Writes the record the place was kept for.
    ///
    /// # Errors
    /// [`Full`] only if the consumer broke the lane; the record is lost, and counted.
    pub fn commit(&mut self, _place: Place, record: &Words) -> Result<u64, Full> {
        self.cells.store(RESERVED, self.produced.wrapping_add(WRITING), Ordering::Relaxed);
        let put = self.put(record, self.capacity);
        self.free();
        put
    }

    /// Gives the place back: what it was kept for did not happen.
    pub fn cancel(&mut self, _place: Place) {
        self.free();
    }

    /// As [`Producer::push`], but never into the place that is kept.
    ///
    /// # Errors
    /// [`Full`]: the record is lost, and counted.
    pub fn push_beside(&mut self, record: &Words) -> Result<u64, Full> {
        self.put(record, self.open.wrapping_sub(self.reserved.into()))
    }

    fn free(&mut self) {
        self.reserved = false;
        self.cells.store(RESERVED, NONE, Ordering::Relaxed);
    }

    /// The place's holder forgot it: what it did or did not do is unknown, so it counts as lost.
    #[cold]
    fn give_up(&mut self) {
        self.cells.store(RESERVED, self.produced.wrapping_add(WRITING), Ordering::Relaxed);
        self.produced = self.produced.wrapping_add(1);
        self.cells.store(PRODUCED, self.produced, Ordering::Relaxed);
        self.cells.store(SETTLED, self.produced, Ordering::Release);
        self.free();
    }
}

/// How many records a dead producer had produced, with the one it kept a place for.
pub(super) fn settle<C: Cells>(cells: &C, produced: u64) -> u64 {
    let produced = match cells.load(RESERVED, Ordering::Acquire) {
        NONE => return produced,
        KEPT => {
            // From here on a death counts the same loss, and not another.
            cells.store(RESERVED, produced.wrapping_add(WRITING), Ordering::Relaxed);
            produced.wrapping_add(1)
        }
        // Any other number than the last or the next is damage, and says nothing.
        writing if writing == produced.wrapping_add(WRITING) => produced.wrapping_add(1),
        _ => produced,
    };
    cells.store(PRODUCED, produced, Ordering::Relaxed);
    cells.store(RESERVED, NONE, Ordering::Relaxed);
    produced
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
        sync::atomic::AtomicU64,
    };

    use super::*;
    use crate::lane::{Consumer, Counters, HEADER_WORDS, RECORD_WORDS};

    fn lane_of(records: usize) -> Vec<AtomicU64> {
        (0..HEADER_WORDS + records * RECORD_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn record(tag: u64) -> Words {
        [tag; RECORD_WORDS]
    }

    #[test]
    fn a_kept_place_is_there_when_all_others_are_taken() {
        let cells = lane_of(4);
        let mut producer = Producer::attach(cells.as_slice()).unwrap();
        let place = producer.reserve().unwrap();
        let beside: Vec<bool> = (0..5).map(|n| producer.push_beside(&record(n)).is_ok()).collect();
        assert_eq!(beside, [true, true, true, false, false]);
        assert_eq!(producer.commit(place, &record(9)), Ok(5));
        assert_eq!(producer.reserve().unwrap_err(), Full { seq: 6 });
        assert_eq!((producer.produced(), producer.lost()), (6, 2), "refusing loses nothing");
        let mut consumer = Consumer::attach(cells.as_slice()).unwrap();
        let numbers: Vec<u64> = core::iter::from_fn(|| consumer.pop()).map(|r| r[0]).collect();
        assert_eq!(numbers, [0, 1, 2, 5]);
        let place = producer.reserve().unwrap();
        producer.cancel(place);
        assert_eq!((producer.produced(), producer.lost()), (6, 2), "nothing happened");
    }

    #[test]
    fn a_forgotten_place_is_a_counted_loss() {
        let cells = lane_of(4);
        let mut producer = Producer::attach(cells.as_slice()).unwrap();
        let _forgotten = producer.reserve().unwrap();
        let place = producer.reserve().unwrap();
        assert_eq!(producer.commit(place, &record(1)), Ok(1));
        assert_eq!((producer.produced(), producer.lost()), (2, 1));
    }

    /// Dies before a chosen store.
    struct Mortal<'c>(&'c [AtomicU64], &'c Cell<u64>);
    struct Death;

    impl Cells for Mortal<'_> {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn load(&self, at: usize, order: Ordering) -> u64 {
            self.0.load(at, order)
        }
        fn store(&self, at: usize, value: u64, order: Ordering) {
            if self.1.get() == 0 {
                resume_unwind(Box::new(Death));
            }
            self.1.set(self.1.get() - 1);
            self.0.store(at, value, order);
        }
    }

    /// One act with its record; how far it came.
    fn act(cells: Mortal<'_>, phase: &Cell<u8>) {
        let mut producer = Producer::attach(cells).unwrap();
        let place = producer.reserve().unwrap();
        phase.set(1);
        phase.set(2); // Here the act happens.
        producer.commit(place, &record(7)).unwrap();
        phase.set(3);
    }

    #[test]
    fn death_at_every_store_counts_an_act_once_as_stored_or_lost() {
        for (first, second) in (0..30).flat_map(|a| (0..5).map(move |b| (a, b))) {
            let cells = lane_of(4);
            let phase = Cell::new(0);
            let _died = catch_unwind(AssertUnwindSafe(|| {
                act(Mortal(&cells, &Cell::new(first)), &phase);
            }));
            // The next instance may die while it takes over.
            let _again = catch_unwind(AssertUnwindSafe(|| {
                Producer::attach(Mortal(&cells, &Cell::new(second))).map(|_| ())
            }));
            let producer = Producer::attach(cells.as_slice()).unwrap();
            let consumer = Consumer::attach(cells.as_slice()).unwrap();
            let Counters { produced, stored, lost } = consumer.counters();
            assert_eq!((produced, produced), (stored + lost, producer.produced()));
            match phase.get() {
                0 => assert!(produced <= 1, "{first} {second}"),
                3 => assert_eq!((stored, lost), (1, 0), "{first} {second}"),
                _ => assert_eq!(stored + lost, 1, "acted: {first} {second}"),
            }
        }
    }

    #[test]
    fn test_reject_reservation_words_no_producer_writes() {
        for word in [3, 99, u64::MAX, u64::MAX - 1] {
            let cells = lane_of(4);
            cells[RESERVED].store(word, Ordering::Relaxed);
            let producer = Producer::attach(cells.as_slice()).unwrap();
            assert_eq!(producer.produced(), 0, "{word}");
            assert_eq!(cells[RESERVED].load(Ordering::Relaxed), NONE);
        }
    }
}
