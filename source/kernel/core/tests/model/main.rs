//! The model test: random calls, faults, timers and interrupts against a naive oracle, with
//! every invariant of the architecture checked after every step.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    unreachable_pub,
    missing_docs,
    reason = "test code"
)]

mod broken;
mod calls;
mod choose;
#[path = "../common/mod.rs"]
mod common;
mod driver;
mod objects;
mod oracle;
mod rng;
mod view;

use driver::Driver;

/// What the project demands of a normal test run.
const STEPS: u64 = 100_000;

#[test]
fn a_hundred_thousand_random_steps_agree_with_the_oracle() {
    let mut steps = 0;
    let mut total = driver::Coverage::default();
    let mut worlds = 0;
    for seed in 0.. {
        worlds += 1;
        let mut d = Driver::new(seed);
        while d.steps < 5_000 && d.step() {}
        steps += d.steps;
        total.add(&d.coverage);
        if steps >= STEPS {
            break;
        }
    }
    println!("{steps} steps in {worlds} worlds");
    total.assert_wide();
}
