//! Allocations and memory, in a program of their own: counting costs instructions, which would
//! be charged to whoever allocates.
use std::alloc::System;

use serde_json::json;
use stats_alloc::{Region, StatsAlloc};

use crate::engine::{Engine, decision_loop};
use crate::list::Entry;
use crate::measure::{Job, with};
use crate::workload::{Question, World};

/// Decisions over which allocations are averaged.
const ALLOCATING: usize = 2_048;

struct Heap {
    heap: &'static StatsAlloc<System>,
    size: usize,
}

/// What an engine holds and what a decision allocates; one JSON line.
pub fn heap(heap: &'static StatsAlloc<System>, engine: &str, size: usize) {
    with(engine, size, &Heap { heap, size });
}

impl Job for Heap {
    fn run<E: Engine>(&self, entry: &Entry, world: &World, questions: &[Question]) {
        let source = E::source(world);
        let region = Region::new(self.heap);
        let mut engine = E::load(&source);
        let used = region.change();
        let live = used.bytes_allocated.saturating_sub(used.bytes_deallocated);
        let rounds = ALLOCATING.min(entry.checked(self.size));
        let asked = questions.get(..rounds).unwrap_or(questions);
        let queries: Vec<E::Query> = asked.iter().map(|q| engine.query(q)).collect();
        let region = Region::new(self.heap);
        decision_loop(&mut engine, &queries, rounds);
        let spent = region.change();
        let each = |total: usize| total as f64 / rounds as f64;
        let result = json!({
            "live_bytes": live,
            "allocations": each(spent.allocations + spent.reallocations),
            "allocated_bytes": each(spent.bytes_allocated),
        });
        println!("{result}");
    }
}
