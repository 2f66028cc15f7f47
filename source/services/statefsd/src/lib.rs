//! Durable key and value pairs, apart for each service.
//!
//! `service` is the state machine, from frames to the store; `disk` is the block device as the
//! store wants it; `kept` is what the next instance is held to; `run` is the shell.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]

mod disk;
mod env;
mod kept;
mod run;
mod service;

pub use env::{Env, ReadState, WriteState};
pub use kept::Kept;
pub use run::run;
pub use service::{LIST_MAX, QUOTA, Statefsd, WRITERS_MAX};
