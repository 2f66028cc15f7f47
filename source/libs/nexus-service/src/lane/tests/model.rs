//! Every interleaving of the two sides, one memory access at a time, on a machine that may make
//! relaxed stores visible late and out of order, with either side dying at any access.
//!
//! The lane's own code runs: a side is run again from its start with the values it read before,
//! takes one further access, and is cut off there. Loads are not delayed by the model; that the
//! record is read between the two counters rests on Acquire and Release as argued in the parent.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::lane::*;

/// Two records of three words; pushes and pops that overrun it.
const CELLS: usize = HEADER_WORDS + 2 * RECORD_WORDS;
const PUSHES: [u64; 2] = [3, 1];
const POPS: [usize; 2] = [2, 1];
const DRAINS: [usize; 2] = [1, 1];
const PRODUCER: usize = 0;
const CONSUMER: usize = 1;

/// Fewer while books are kept, to keep the state space small; more of them, in order, are tried
/// against logd itself.
const fn pushes(consuming: Consuming) -> [u64; 2] {
    match consuming {
        Consuming::Records => PUSHES,
        Consuming::Accounts | Consuming::Eagerly => [2, 1],
    }
}

/// Everything that determines what can happen next.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    memory: Vec<u64>,
    /// Relaxed stores others do not see yet, per side.
    late: [Vec<(usize, u64)>; 2],
    /// What each side's accesses gave so far in its current life.
    log: [Vec<u64>; 2],
    done: [bool; 2],
    life: [usize; 2],
    /// The books of a consumer that keeps some.
    books: Books,
}

/// What became of each number, kept apart from the lane and over the consumer's death.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Books {
    stored: u64,
    lost: u64,
    /// Tags of the records that came.
    tags: Vec<u64>,
}

impl Books {
    fn lose_until(&mut self, number: u64) {
        self.lost += number.saturating_sub(self.stored + self.lost);
    }

    /// One that is there already was seen by a consumer that died before it gave the place back.
    fn take(&mut self, [seq, tag, ..]: Words) {
        if self.tags.contains(&tag) {
            return;
        }
        assert!(seq >= self.stored + self.lost, "counted as lost, and then it came");
        self.lose_until(seq);
        self.stored += 1;
        self.tags.push(tag);
    }
}

/// How the consumer finds out what will not come any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consuming {
    /// Not at all: it looks at records only.
    Records,
    /// By [`Consumer::decided`].
    Accounts,
    /// By the number given out last, as if the producer could not be preempted.
    Eagerly,
}

struct View<'w> {
    world: &'w RefCell<World>,
    side: usize,
    replayed: Cell<usize>,
    fresh: Cell<usize>,
    release_works: bool,
    consuming: Consuming,
}

struct Cut;

impl View<'_> {
    fn access(&self, act: impl FnOnce(&mut World) -> u64) -> u64 {
        let at = self.replayed.get();
        self.replayed.set(at + 1);
        let known = self.world.borrow().log[self.side].get(at).copied();
        if let Some(value) = known {
            return value;
        }
        if self.fresh.get() == 0 {
            resume_unwind(Box::new(Cut));
        }
        self.fresh.set(0);
        let mut world = self.world.borrow_mut();
        let value = act(&mut world);
        world.log[self.side].push(value);
        value
    }
}

impl Cells for &View<'_> {
    const MOVED: usize = 3;

    fn count(&self) -> usize {
        CELLS
    }

    fn load(&self, at: usize, _order: Ordering) -> u64 {
        self.access(|world| {
            let own = world.late[self.side].iter().rev().find(|(cell, _)| *cell == at);
            own.map_or(world.memory[at], |(_, value)| *value)
        })
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.access(|world| {
            if order == Ordering::Release && self.release_works {
                flush(world, self.side);
                world.memory[at] = value;
            } else {
                world.late[self.side].push((at, value));
            }
            0
        });
    }
}

fn flush(world: &mut World, side: usize) {
    for (at, value) in std::mem::take(&mut world.late[side]) {
        world.memory[at] = value;
    }
}

/// What the producer does in one life: records tagged by life and number.
fn produce(view: &View<'_>, life: usize) {
    let Ok(mut producer) = Producer::attach(view) else { return };
    for n in 0..pushes(view.consuming)[life] {
        let tag = (life as u64 + 1) * 100 + n;
        let _full = producer.push(&[tag; RECORD_WORDS]);
    }
}

fn consume(view: &View<'_>, life: usize) {
    let Ok(mut consumer) = Consumer::attach(view) else { return };
    let mut last = None;
    for _ in 0..POPS[life] {
        let Some([seq, tag, same, ..]) = consumer.pop() else { continue };
        assert_eq!(tag, same, "a torn record");
        assert!(tag >= 200 || tag == 100 + seq, "a record under another's number");
        assert!(last < Some(seq), "out of order");
        last = Some(seq);
        let counters = consumer.counters();
        assert!(counters.stored <= counters.produced && counters.lost < counters.produced);
    }
}

/// Drains as logd does: what was decided before, all records, and then the gap if none is left.
fn account(view: &View<'_>, life: usize) {
    let Ok(mut consumer) = Consumer::attach(view) else { return };
    for _ in 0..DRAINS[life] {
        let decided = match view.consuming {
            Consuming::Eagerly => consumer.counters().produced,
            _ => consumer.decided(),
        };
        let book = |note: &dyn Fn(&mut Books)| {
            view.access(|world| {
                note(&mut world.books);
                0
            });
        };
        while let Some(words) = consumer.peek() {
            book(&|books| books.take(words));
            consumer.release();
        }
        book(&|books| books.lose_until(decided));
    }
}

/// The side's next access, if it has one.
fn advance(world: &World, side: usize, machine: (bool, Consuming)) -> World {
    let life = world.life[side];
    let cell = RefCell::new(world.clone());
    let (replayed, fresh) = (Cell::new(0), Cell::new(1));
    let (release_works, consuming) = machine;
    let view = View { world: &cell, side, replayed, fresh, release_works, consuming };
    let run = AssertUnwindSafe(|| match (side, consuming) {
        (PRODUCER, _) => produce(&view, life),
        (_, Consuming::Records) => consume(&view, life),
        _ => account(&view, life),
    });
    let ended = match catch_unwind(run) {
        Ok(()) => true,
        Err(cause) if cause.is::<Cut>() => false,
        Err(violation) => resume_unwind(violation),
    };
    let mut next = cell.into_inner();
    next.done[side] = ended;
    next
}

/// Death makes late stores visible, as they have left the program, and starts a second life.
fn restart(world: &World, side: usize) -> World {
    let mut next = world.clone();
    flush(&mut next, side);
    next.log[side].clear();
    next.life[side] += 1;
    next.done[side] = false;
    next
}

fn successors(world: &World, machine: (bool, Consuming)) -> Vec<World> {
    let mut all = Vec::new();
    for side in [PRODUCER, CONSUMER] {
        if !world.done[side] {
            all.push(advance(world, side, machine));
        }
        if world.life[side] == 0 {
            all.push(restart(world, side));
        }
        for (i, (at, value)) in world.late[side].iter().enumerate() {
            let overtakes_itself = world.late[side][..i].iter().any(|(cell, _)| cell == at);
            if !overtakes_itself {
                let mut next = world.clone();
                next.late[side].remove(i);
                next.memory[*at] = *value;
                all.push(next);
            }
        }
    }
    all
}

/// When both rest: what is left is whole and in order, and the counters add up.
fn check_at_rest(world: &World) {
    let mut world = world.clone();
    flush(&mut world, PRODUCER);
    let cells: Vec<AtomicU64> = world.memory.iter().map(|word| AtomicU64::new(*word)).collect();
    let mut consumer = Consumer::attach(cells.as_slice()).unwrap();
    let mut last = None;
    while let Some([seq, tag, same, ..]) = consumer.pop() {
        assert!(tag == same && last < Some(seq));
        last = Some(seq);
    }
    assert_eq!(consumer.resyncs(), 0);
    let Counters { produced, stored, lost } = consumer.counters();
    assert_eq!(produced, stored + lost);
    let begun: u64 = PUSHES.iter().take(world.life[PRODUCER] + 1).sum();
    let finished = if world.life[PRODUCER] == 0 { begun } else { PUSHES[1] };
    assert!(finished <= produced && produced <= begun, "{finished} {produced} {begun}");
}

/// When both rest, a last drain leaves every number in the books, once.
fn check_books(world: &World) {
    let mut world = world.clone();
    flush(&mut world, PRODUCER);
    let cells: Vec<AtomicU64> = world.memory.iter().map(|word| AtomicU64::new(*word)).collect();
    let mut consumer = Consumer::attach(cells.as_slice()).unwrap();
    let decided = consumer.decided();
    core::iter::from_fn(|| consumer.pop()).for_each(|words| world.books.take(words));
    world.books.lose_until(decided);
    let (Books { stored, lost, .. }, counters) = (world.books, consumer.counters());
    assert_eq!((stored, lost), (counters.stored, counters.lost), "each once");
}

/// Visits every reachable state; the number of them.
fn explore(release_works: bool, consuming: Consuming) -> usize {
    let start = World {
        memory: vec![0; CELLS],
        late: [Vec::new(), Vec::new()],
        log: [Vec::new(), Vec::new()],
        done: [false; 2],
        life: [0; 2],
        books: Books::default(),
    };
    let (mut seen, mut open) = (HashSet::from([start.clone()]), vec![start]);
    while let Some(world) = open.pop() {
        if world.done == [true; 2] {
            match consuming {
                Consuming::Records => check_at_rest(&world),
                _ => check_books(&world),
            }
        }
        for next in successors(&world, (release_works, consuming)) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen.len()
}

#[test]
fn no_interleaving_tears_reorders_or_miscounts() {
    let states = explore(true, Consuming::Records);
    assert!(states > 50_000, "only {states} states: the model explores too little");
}

#[test]
fn every_record_is_delivered_once_or_counted_once() {
    let states = explore(true, Consuming::Accounts);
    assert!(states > 50_000, "only {states} states: the model explores too little");
}

#[test]
fn the_model_finds_a_loss_counted_before_it_is_decided() {
    assert!(catch_unwind(|| explore(true, Consuming::Eagerly)).is_err());
}

#[test]
fn the_model_finds_a_lane_without_release() {
    assert!(catch_unwind(|| explore(false, Consuming::Records)).is_err());
}
