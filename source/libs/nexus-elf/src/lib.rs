//! Decides whether an ELF image may be loaded, and where each of its bytes goes.
//!
//! Pure: no allocation, no I/O, no trust in any field. What [`plan`] returns is safe to carry
//! out as it stands: page-aligned, inside the image range, not overlapping, never writable and
//! executable, with its entry point inside executable bytes of the file. What the loader does
//! not understand it refuses rather than ignores (interpreters, dynamic linking, thread-local
//! storage, executable stacks).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests compute addresses freely")
)]

mod error;
mod plan;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

pub use error::ElfError;
pub use plan::{IMAGE_MAX, IMAGE_MIN, LoadPlan, MAX_HEADERS, MAX_SEGMENTS, Segment, plan};
