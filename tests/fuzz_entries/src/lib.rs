//! One function per input that comes from outside; each takes any bytes and panics when a
//! promise about them is broken. `tests/fuzz` runs them under libFuzzer, the smoke test here
//! over seeded mutations.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::expect_used, reason = "a panic is a finding")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "test code")]

mod blob;
mod frames;
mod keys;
mod mutate;
mod signature;
mod state;
mod toml;

pub use blob::{policy_blob, reseal, words};
pub use frames::wire_frames;
pub use keys::key_objects;
pub use mutate::Mutator;
pub use signature::{policy_signature, signed_policy};
pub use state::{state_image, state_records};
pub use toml::{policy_toml, registry_toml, system};
