//! The real kernel core and the real daemons in one deterministic host process.
//!
//! Every simulated process is an OS thread, but only the one the kernel core resumed holds the
//! baton, so a run depends on nothing but its inputs: boot image, programs, fault plan. Time is
//! virtual: it moves by a fixed step per trap and jumps to the next deadline when all wait.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "host-only test bench: a broken simulation has to stop loudly"
)]

pub mod boot;
pub mod faults;
pub mod machine;
pub mod sys;
pub mod world;

pub use boot::Scenario;
pub use faults::Faults;
pub use sys::SimSys;
pub use world::{Console, Program, Report, Sim, SimConfig};
