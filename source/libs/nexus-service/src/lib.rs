//! What every daemon is made of: the one receive loop, permits, and the audit lane.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests with small numbers"))]
#![forbid(unsafe_code)]

pub mod lane;
pub mod permit;
mod serve;

pub use serve::{Answer, Ended, Env, Flow, Incoming, Outgoing, Service, serve, step};
