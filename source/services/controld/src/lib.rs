//! The operator's channel: reads the audit for whoever holds the host's end of a serial port.
//!
//! It decides nothing and holds nothing. What it asks, it asks as itself: the journal asks the
//! authority whether controld may, and that question is in the audit as everybody's is.
//!
//! `channel` is the state machine, from bytes to bytes; `run` is the shell around it, with the
//! device and the journal.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]

mod channel;
mod run;

pub use channel::{CHECKPOINT, Chains, Channel, Outside, Records};
pub use run::run;
