//! The journal: ordinary log entries, and apart from them the audit, which outlives logd.
//!
//! `service` is the state machine; `entries` holds what programs log; `collector` moves
//! decisions and kernel events into the `journal`, whose `ledger` counts every one of them;
//! `fair` decides what has to go when something is full, `seals` keeps the checkpoints over what
//! stays, `sealing` has them signed, `search` matches, `health` watches; `run` is the shell around it, the same in the image
//! and in the simulator.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod collector;
mod entries;
mod env;
mod fair;
mod health;
mod journal;
mod ledger;
mod run;
mod sealing;
mod seals;
mod search;
mod service;
mod words;

pub use collector::{JOURNAL_RECORDS, Lane, Lanes};
pub use entries::{BYTES as ENTRIES_BYTES, RECORDS as ENTRIES_RECORDS};
pub use env::{Env, ReadAudit, ReadLog};
pub use journal::Found;
pub use ledger::SOURCES;
pub use run::run;
pub use sealing::SealLanes;
pub use service::{LAST_SEAL_NS, Logd, Memory, TICK_NS};
