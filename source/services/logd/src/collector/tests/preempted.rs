//! logd runs between any two accesses of a producer of lower priority: every schedule of drains
//! over a producer's life, its death and its successor's. Each record arrives once or is counted
//! once, never both, never neither.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::Ordering,
};

use nexus_service::lane::Cells;

use super::*;

/// A lane for one record, so that it is found full often.
const ONE_RECORD: usize = 16 + 16;
/// Accesses of a producer that attaches.
const ATTACH: u32 = 5;
/// Records of the first life and of its successor.
const LIVES: [u64; 2] = [3, 1];

/// The producer's memory. Before each access logd may run, or the producer may die.
struct Preempted<'a, 'm> {
    words: &'m [AtomicU64],
    collector: &'a RefCell<Small<'m>>,
    /// Accesses so far, and before which of them logd runs.
    access: &'a Cell<u32>,
    drains: u32,
    dies_at: u32,
}

impl Preempted<'_, '_> {
    fn turn(&self) {
        let at = self.access.get();
        if at == self.dies_at {
            resume_unwind(Box::new("died"));
        }
        self.access.set(at + 1);
        if self.drains >> at & 1 == 1 {
            self.collector.borrow_mut().drain(&mut outside());
        }
    }
}

impl Cells for &Preempted<'_, '_> {
    fn count(&self) -> usize {
        self.words.len()
    }
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.turn();
        self.words.load(at, order)
    }
    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.turn();
        self.words.store(at, value, order);
    }
    fn store_record(&self, base: usize, seq: u64, record: &Words) {
        self.turn();
        self.words.store_record(base, seq, record);
    }
}

/// One life that writes `records` outcomes; which of them it was told are in the lane.
fn live(memory: &Preempted<'_, '_>, first: u64, records: u64) -> Vec<u64> {
    let stored = RefCell::new(Vec::new());
    let _died = catch_unwind(AssertUnwindSafe(|| {
        let mut producer = Producer::attach(memory).unwrap();
        for target in first..first + records {
            let record = Record { target, ..outcome(0, 0) };
            if producer.push(&record.to_words()).is_ok() {
                stored.borrow_mut().push(target);
            }
        }
    }));
    stored.into_inner()
}

/// Runs one schedule; how many accesses the first life made.
fn run(drains: u32, dies_at: u32) -> u32 {
    let machine = Machine { keys: words(ONE_RECORD), ..Machine::new() };
    let collector = RefCell::new(machine.collector());
    let access = Cell::new(0);
    let memory =
        Preempted { words: &machine.keys, collector: &collector, access: &access, drains, dies_at };
    let mut told = live(&memory, 0, LIVES[0]);
    let accesses = access.replace(0);
    collector.borrow_mut().drain(&mut outside());
    // The successor is preempted at the same places.
    let memory = Preempted { dies_at: u32::MAX, ..memory };
    told.extend(live(&memory, 100, LIVES[1]));
    let mut collector = collector.borrow_mut();
    collector.drain(&mut outside());
    let lane = ledger(&collector).lanes[2];
    let arrived: Vec<u64> =
        all(&collector).iter().filter(|r| r.op == Op::KeyUse).map(|r| r.target).collect();
    let context = format!("drains {drains:b}, dies at {dies_at}");
    assert!(told.iter().all(|target| arrived.contains(target)), "stored, and not there: {context}");
    assert_eq!(arrived.len() as u64, lane.stored, "each once: {context}");
    let producer = Producer::attach(&machine.keys[..]).unwrap();
    assert_eq!(
        (producer.produced() - producer.lost(), producer.lost()),
        (lane.stored, lane.lost),
        "the lane's own counts: {context}"
    );
    accesses
}

#[test]
fn no_schedule_of_drains_counts_a_record_twice_or_never() {
    let whole = run(0, u32::MAX);
    // On memory nobody wrote to yet it does not matter when logd looks.
    let writes = whole - ATTACH;
    assert!((8..14).contains(&writes), "{writes} accesses: every schedule is tried");
    for drains in 0..1u32 << writes {
        run(drains << ATTACH, u32::MAX);
    }
}

#[test]
fn nor_does_one_around_the_death_of_the_producer() {
    let whole = run(0, u32::MAX);
    for dies_at in 0..whole {
        for (first, second) in (0..=dies_at).flat_map(|a| (0..=dies_at).map(move |b| (a, b))) {
            run(1 << first | 1 << second, dies_at);
        }
    }
}

#[test]
fn what_is_still_being_written_at_the_end_is_counted() {
    let machine = Machine::new();
    let mut collector = machine.collector();
    assert_eq!(keys(&machine).push(&outcome(0, 0).to_words()), Ok(0));
    machine.keys[2].fetch_add(1, Ordering::Relaxed);
    collector.drain(&mut outside());
    let lane = ledger(&collector).lanes[2];
    assert_eq!((lane.stored, lane.lost), (1, 0), "it may come yet");
    collector.close(&mut outside());
    let lane = ledger(&collector).lanes[2];
    assert_eq!((lane.stored, lane.lost), (1, 1), "it never comes");
}
