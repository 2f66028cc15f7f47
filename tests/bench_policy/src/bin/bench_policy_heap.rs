//! `bench_policy_heap ENGINE SIZE`: the part of the benchmark that counts allocations.
#![forbid(unsafe_code)]
use std::alloc::System;

use bench_policy::heap;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [engine, size] = &args[..] else { panic!("usage: bench_policy_heap ENGINE SIZE") };
    heap::heap(HEAP, engine, size.parse().expect("a number of services"));
}
