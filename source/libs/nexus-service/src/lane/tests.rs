//! Bounds, accounting, restarts and hostile headers.

mod model;

use super::*;

fn memory(words: usize) -> Vec<AtomicU64> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

fn lane_of(records: usize) -> Vec<AtomicU64> {
    memory(HEADER_WORDS + records * RECORD_WORDS)
}

fn record(tag: u64) -> Words {
    [tag; RECORD_WORDS]
}

fn ends(cells: &[AtomicU64]) -> (Producer<&[AtomicU64]>, Consumer<&[AtomicU64]>) {
    (Producer::attach(cells).unwrap(), Consumer::attach(cells).unwrap())
}

#[test]
fn capacity_is_the_power_of_two_that_fits() {
    let capacity = |words| Producer::attach(memory(words).as_slice()).map(|p| p.capacity());
    assert_eq!(capacity(0), Err(TooSmall));
    assert_eq!(capacity(HEADER_WORDS + RECORD_WORDS - 1), Err(TooSmall));
    assert_eq!(capacity(HEADER_WORDS + RECORD_WORDS), Ok(1));
    assert_eq!(capacity(HEADER_WORDS + 4 * RECORD_WORDS - 1), Ok(2));
    assert_eq!(capacity(HEADER_WORDS + 4 * RECORD_WORDS), Ok(4));
    // A page more than a power of two.
    assert_eq!(capacity((4096 + 256 * 128) / 8), Ok(256));
    assert!(Consumer::attach(memory(31).as_slice()).is_err());
}

#[test]
fn the_bound_holds_and_one_more_is_lost_and_counted() {
    let cells = lane_of(4);
    let (mut producer, mut consumer) = ends(&cells);
    for n in 0..4 {
        assert_eq!(producer.push(&record(n)), Ok(n));
    }
    assert_eq!(producer.push(&record(4)), Err(Full { seq: 4 }));
    assert_eq!((producer.produced(), producer.lost()), (5, 1));
    assert_eq!(consumer.counters(), Counters { produced: 5, stored: 4, lost: 1 });
    assert_eq!(consumer.waiting(), 4);
    assert_eq!(consumer.pop().map(|r| (r[0], r[1], r[15])), Some((0, 0, 0)));
    assert_eq!(producer.push(&record(5)), Ok(5));
    let rest: Vec<u64> = core::iter::from_fn(|| consumer.pop()).map(|r| r[0]).collect();
    assert_eq!(rest, [1, 2, 3, 5]);
}

/// A thirty-second of the places is for what must be seen when all others are taken; a lane too
/// small for that has none.
#[test]
fn the_last_places_are_for_reserved_records() {
    for (records, reserve) in [(1, 0), (16, 0), (32, 1), (64, 2), (512, 16)] {
        let cells = lane_of(records);
        let (mut producer, mut consumer) = ends(&cells);
        let pushed = (0..).take_while(|n| producer.push(&record(*n)).is_ok()).count();
        assert_eq!(pushed, records - reserve);
        assert!(!producer.has_room() && producer.should_ring(), "who was refused wakes the reader");
        let header = [PRODUCED, SETTLED].map(|at| cells[at].load(Ordering::Relaxed));
        assert_eq!(header, [producer.produced(); 2], "no record of this number is on its way");
        let reserved = (0..).take_while(|n| producer.push_reserved(&record(*n)).is_ok()).count();
        assert_eq!(reserved, reserve);
        assert_eq!((producer.lost(), consumer.counters().lost), (2, 2), "one at each end");
        assert_eq!(core::iter::from_fn(|| consumer.pop()).count(), records);
    }
}

/// What a dead producer numbered stays numbered and settled; a count below what lies in the lane
/// is damage, and put right where the consumer sees it.
#[test]
fn attaching_takes_over_what_was_produced() {
    for (head, produced, settled, now) in [(3, 5, 5, 5), (3, 5, 2, 5), (5, 3, 0, 5), (5, 5, 9, 5)] {
        let cells = lane_of(8);
        for (at, value) in [(HEAD, head), (TAIL, head), (PRODUCED, produced), (SETTLED, settled)] {
            cells[at].store(value, Ordering::Relaxed);
        }
        let (mut producer, consumer) = ends(&cells);
        assert_eq!((producer.produced(), producer.lost()), (now, now - head));
        assert_eq!([PRODUCED, SETTLED].map(|at| cells[at].load(Ordering::Relaxed)), [now; 2]);
        let counters = Counters { produced: now, stored: head, lost: now - head };
        assert_eq!(consumer.counters(), counters);
        assert_eq!(producer.push(&record(1)), Ok(now), "numbers go on");
    }
}

/// Only the two words that mean something are a state.
#[test]
fn a_state_is_what_was_told_and_nothing_else() {
    let cells = lane_of(1);
    let (producer, consumer) = ends(&cells);
    assert_eq!(producer.consumer_state(), None, "nothing was told");
    for state in [State::Well, State::Degraded, State::Well] {
        consumer.tell(state);
        assert_eq!(producer.consumer_state(), Some(state));
    }
    for other in [0, 3, u64::MAX] {
        cells[STATE].store(other, Ordering::Relaxed);
        assert_eq!(producer.consumer_state(), None, "{other}");
    }
}

#[test]
fn a_flood_adds_up() {
    let cells = lane_of(8);
    let (mut producer, mut consumer) = ends(&cells);
    let (mut stored, mut lost, mut taken) = (0, 0, 0);
    for n in 0..10_000u64 {
        match producer.push(&record(n)) {
            Ok(_) => stored += 1,
            Err(_) => lost += 1,
        }
        if n % 3 == 0 {
            let r = consumer.pop().unwrap();
            assert!(r[1..].iter().all(|word| *word == r[0]));
            taken += 1;
        }
    }
    taken += core::iter::from_fn(|| consumer.pop()).count() as u64;
    assert_eq!(producer.produced(), stored + lost);
    assert_eq!((taken, producer.lost()), (stored, lost));
    assert_eq!(consumer.counters(), Counters { produced: 10_000, stored, lost });
}

#[test]
fn either_side_may_come_again() {
    let cells = lane_of(2);
    let (mut producer, mut consumer) = ends(&cells);
    producer.push(&record(0)).unwrap();
    producer.push(&record(1)).unwrap();
    producer.push(&record(2)).unwrap_err();
    let mut producer = Producer::attach(cells.as_slice()).unwrap();
    assert_eq!((producer.produced(), producer.lost()), (3, 1));
    assert_eq!(producer.push(&record(3)), Err(Full { seq: 3 }));
    // Peeked at, but not released: found again.
    assert_eq!(consumer.peek().map(|r| r[0]), Some(0));
    let mut consumer = Consumer::attach(cells.as_slice()).unwrap();
    assert_eq!(consumer.pop().map(|r| r[0]), Some(0));
    let mut consumer = Consumer::attach(cells.as_slice()).unwrap();
    assert_eq!(consumer.pop().map(|r| r[0]), Some(1));
    assert_eq!(producer.push(&record(4)), Ok(4));
    assert_eq!(consumer.pop().map(|r| r[0]), Some(4));
}

#[test]
fn the_bell_rings_from_half_full_and_not_for_every_record() {
    let cells = lane_of(16);
    let (mut producer, _) = ends(&cells);
    let mut rings = Vec::new();
    for n in 0..18 {
        let _full_at_the_end = producer.push(&record(n));
        if producer.should_ring() {
            rings.push(n);
        }
    }
    assert_eq!(rings, [7, 11, 15, 16, 17]);
}

#[test]
fn a_hostile_producer_cannot_hurt_the_consumer() {
    let cells = lane_of(4);
    let (_, mut consumer) = ends(&cells);
    for head in [5, u64::MAX, 1 << 63] {
        cells[HEAD].store(head, Ordering::Relaxed);
        assert!(consumer.waiting() <= 4);
        assert_eq!(consumer.pop(), None);
        assert_eq!(consumer.pop(), None);
    }
    assert_eq!(consumer.resyncs(), 3);
    cells[PRODUCED].store(0, Ordering::Relaxed);
    assert_eq!(consumer.counters().lost, 0);
}

#[test]
fn a_hostile_consumer_makes_the_lane_full_and_no_more() {
    let cells = lane_of(4);
    let (mut producer, _) = ends(&cells);
    for tail in [1, 5, 1 << 63] {
        cells[TAIL].store(tail, Ordering::Relaxed);
        assert!(producer.push(&record(0)).is_err());
    }
    for word in &cells {
        word.store(u64::MAX, Ordering::Relaxed);
    }
    cells[TAIL].store(0, Ordering::Relaxed);
    assert_eq!(producer.push(&record(0)), Ok(3));
    // Damage found at attach: numbers go on from the larger counter.
    cells[HEAD].store(9, Ordering::Relaxed);
    cells[PRODUCED].store(2, Ordering::Relaxed);
    let producer = Producer::attach(cells.as_slice()).unwrap();
    assert_eq!((producer.produced(), producer.lost()), (9, 0));
}

#[test]
fn well_is_what_a_consumer_says_that_takes_what_comes() {
    let cells = lane_of(8);
    let (mut producer, mut consumer) = ends(&cells);
    assert!(!producer.is_looked_after(), "nobody has spoken");
    consumer.tell(State::Well);
    for n in 0..5 {
        producer.push(&record(n)).unwrap();
        assert!(producer.is_looked_after(), "{n}");
    }
    producer.push(&record(5)).unwrap();
    assert!(!producer.is_looked_after(), "six of eight wait");
    consumer.pop().unwrap();
    assert!(producer.is_looked_after());
    consumer.tell(State::Degraded);
    assert!(!producer.is_looked_after());
}

#[test]
fn test_reject_room_and_health_in_a_lane_whose_tail_is_beyond_its_head() {
    let cells = lane_of(8);
    let (mut producer, consumer) = ends(&cells);
    consumer.tell(State::Well);
    producer.push(&record(0)).unwrap();
    for tail in [2, 9, 1 << 63] {
        cells[TAIL].store(tail, Ordering::Relaxed);
        assert!(!producer.is_looked_after(), "{tail}");
        assert!(!producer.has_room() && producer.reserve().is_err(), "{tail}");
    }
}
