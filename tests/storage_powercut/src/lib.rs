//! Power cuts: disks that lose what was not flushed, a workload, and what may be there afterwards.
//!
//! A run goes on for many cuts on one disk. After each the store is mounted and compared with a
//! model: every acknowledged batch is there, the one in flight is there wholly or not at all, and
//! a cut during recovery changes nothing. See `docs/nexus-state.md`.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test harness: a wrong index is a failed test"
)]

pub mod disk;
pub mod random;
pub mod run;

use nexus_state::{Format, FramingKey, Mount, Quota};

/// The key of the tests.
pub const KEY: FramingKey = FramingKey([0x42; 32]);

/// How the tests make a store.
#[must_use]
pub const fn format_options() -> Format {
    Format { id: *b"powercut-tests--", salt: [7; 32], key: KEY, force: false }
}

/// How the tests mount it.
#[must_use]
pub const fn mount_options() -> Mount {
    Mount { key: KEY, expect: None, min_sequence: 0, quota: Quota::UNBOUNDED }
}
