//! Guards the one question of the system: may this subject use this capability?
//!
//! [`Policy::open`] checks a compiled blob once, as hostile bytes; [`Policy::decide`] then
//! answers with the same handful of lookups whatever the size of the policy, without heap,
//! loops over rules, or anything that could be skipped. Deny beats allow; nothing is the
//! default. The feature `authoring` (std, host only) turns `recipes/policy/` into the blob.
#![cfg_attr(not(any(test, feature = "authoring")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

#[cfg(feature = "authoring")]
pub mod authoring;
pub mod bounds;
mod check;
mod decision;
mod inspect;
mod layout;
mod limits;
mod name;
mod open;
mod packed;
mod policy;
mod signature;
mod table;

pub use decision::{AuditMode, Decision, Effect, Facts, Reason, RuleId};
pub use limits::{Bucket, Buckets, LimitId, LimitSpec, Limits, NoLimits};
pub use name::Name;
pub use open::BlobError;
pub use packed::PackedName;
pub use policy::{Capability, Fact, Policy, Sensitivity, Subject};
#[cfg(feature = "authoring")]
pub use signature::with_signature;
pub use signature::{stated_blob, stated_version};
