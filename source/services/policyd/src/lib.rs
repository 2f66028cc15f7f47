//! The policy authority: it alone decides, every decision leaves a record, and it calls nobody.
//!
//! `blob` says which policies are believed, `kept` what outlives this process; `service` is the state machine, `authority` the identity rules over the compiled policy,
//! `answer` the one place where a decision is recorded and becomes an answer, `run` the shell
//! around it, the same in the image and in the simulator.
#![cfg_attr(all(nexus_env = "os", not(test)), no_std)]
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod blob;
mod env;
mod kept;
mod run;
mod service;

pub use blob::{Anchor, BLOB_WORDS, Blob, admit};
pub use env::{Env, NoRoom};
pub use run::run;
pub use service::{Loader, Policyd};
