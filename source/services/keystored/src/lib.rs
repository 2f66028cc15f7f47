//! Keys that never leave: secrets of services, the device's identity, and signatures that policy
//! gates.
//!
//! `service` is the state machine; `vault` holds what everything is sealed under and the floors
//! below which no counter falls; `keyset`, `identity` and `rotation` are the device's keys from
//! their making to their end, `signing` what they are used for; `secrets` belongs to callers;
//! `limits` says how often, `refusals` how to say no; `run` is the shell around it, the same in the image and in the
//! simulator.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod bringup;
mod env;
mod identity;
mod kept;
mod keyset;
mod limits;
mod memory;
mod names;
mod refusals;
mod rotation;
mod run;
mod scrub;
mod secrets;
mod service;
mod signing;
mod vault;

pub use env::{Env, Measured, NoEntropy, StoreError, StoreStanding, Value};
pub use identity::GENERATIONS_MAX;
pub use limits::CALLERS;
pub use memory::MemoryStore;
pub use run::run;
pub use secrets::{COUNTER_OWNERS, COUNTERS, SLOTS_MAX, SLOTS_PER_OWNER};
pub use service::Keystored;
