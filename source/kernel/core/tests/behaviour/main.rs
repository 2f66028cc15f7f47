//! The rules of each module, one by one, on a fake machine.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "test code"
)]

#[path = "../common/mod.rs"]
mod common;
mod family;
mod ipc;
mod machine;
mod memory;
