//! Entropy, health-tested, for whoever policy lets have it. It refuses rather than repeats.
//!
//! `health` holds the tests every raw byte goes through, `source` reads the device with a bound
//! on every wait, `generator` turns raw bytes into output that nothing kept can give again,
//! `service` is the state machine; `run` is the shell around it.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod env;
mod erased;
mod generator;
mod health;
mod run;
mod service;
mod source;

pub use env::{Entropy, Env, ReadStatus, Seed};
pub use generator::{RESEED_BYTES, RESEED_NS, RESEED_REQUESTS};
pub use health::{Cutoffs, Tests, WINDOW};
pub use nexus_virtio::{ENTROPY_BLOCK, Fault, Taken};
pub use run::run;
pub use service::{RETRY_NS, Rngd};
pub use source::{BACK_OFF_NS, READ_NS, SHORT_READS_MAX, START_UP_BYTES, WAKE_UPS_MAX};
