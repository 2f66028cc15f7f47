//! What every daemon is made of: the one receive loop, permits, the audit lane, and reports of
//! what was done.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests with small numbers"))]
#![forbid(unsafe_code)]

pub mod lane;
pub mod permit;
pub mod report;
mod serve;

pub use serve::{Answer, Ended, Env, Flow, FrameWords, Incoming, Outgoing, Service, serve, step};
