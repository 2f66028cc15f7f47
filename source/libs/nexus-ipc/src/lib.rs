//! Typed clients: the only way programs talk to services.
//!
//! Requests are written straight into the message frame, replies are read from it. Every call
//! has a finite deadline, by type. A failure of the transport is its own error; nothing but a
//! well-formed ALLOW to the very request is an [`policy::Allowed`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod call;
mod connect;
mod connection;
pub mod echo;
pub mod keys;
pub mod log;
mod on_demand;
pub mod policy;
pub mod rng;
pub mod state;
pub mod supervise;

pub use call::{CallError, Deadline};
pub use connect::{ConnectError, connect};
pub use connection::{Connection, Spoken};
pub use on_demand::{CONNECT_NS, OnDemand, Verdict};
