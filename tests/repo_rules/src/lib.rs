//! Rules about the tree that no compiler checks: who may depend on whom, where `unsafe` may
//! stand, where a name or a number may be written, how long a thing may get.
//!
//! Every rule is a pure function from text to violations, with tests that show it can fail;
//! `tests/rules.rs` applies them to the tree this crate stands in.
#![forbid(unsafe_code)]
#![allow(clippy::arithmetic_side_effects, reason = "host tool over small texts")]

pub mod cfg_axis;
pub mod deps;
pub mod exceptions;
pub mod hosts;
pub mod islands;
pub mod magic;
pub mod named_tests;
pub mod names;
pub mod os_crates;
pub mod ratchet;
pub mod tokens;
pub mod tree;

/// One broken rule, as a line for people: `path:line: what`.
pub type Violation = String;
