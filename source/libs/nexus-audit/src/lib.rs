//! What makes the audit trail evident to tampering: hash chains over its records, checkpoints
//! over the chains, the file an export is, and the check that says what such a file proves.
//!
//! Records of one subject form a lane, and each lane is a chain of its own: when space runs out
//! the journal drops the oldest record of the subject that holds most, so only the front of a
//! chain ever goes, and what remains stays provable. A checkpoint binds the heads of all lanes.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod chain;
mod checkpoint;
mod container;
mod verify;

pub use chain::{Digest, LANES, genesis, link, root};
pub use checkpoint::{Checkpoint, Counts, Seal, Signature};
pub use container::{Damage, Entries, Entry, LaneStart, RECORDS_MAX, Writer};
pub use verify::{Fault, KeyCheck, NoKey, Report, Signatures, Wrong, verify};
