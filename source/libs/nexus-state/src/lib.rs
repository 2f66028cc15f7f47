//! A small authenticated record log on a block device: atomic, durable, crash-safe.
//!
//! [`Store::commit`] writes a [`Batch`] of up to [`limits::BATCH_MAX_OPS`] puts and deletes as one
//! record, flushes, and only then answers: after a power cut at any place the batch is there
//! wholly or not at all, and it is there if it was acknowledged. Records carry a keyed tag that
//! covers the record before it. A torn tail is dropped; damage before the tail is reported
//! ([`Error::Damaged`]) and never skipped. The layout and the rules are in `docs/nexus-state.md`.
//!
//! Nothing is allocated. All state is in a [`Memory`] that the caller owns.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod batch;
mod bytes;
mod device;
mod disk;
mod error;
#[cfg(feature = "std")]
mod file;
mod index;
#[cfg(feature = "std")]
pub mod inspect;
mod key;
pub mod limits;
mod open;
mod options;
mod record;
mod store;
mod superblock;
mod tag;

pub use batch::{Batch, Op};
pub use device::{BlockDevice, Durability, Sector};
pub use error::{Error, Operation};
#[cfg(feature = "std")]
pub use file::FileDevice;
pub use key::{Key, KeyFault};
pub use open::{Found, SEED_MAGIC, open, open_behind};
pub use options::{Anchor, Contents, Format, FramingKey, Mount, Quota, StoreId};
pub use store::{Entry, Memory, Mounted, Status, Store, Tail, Usage, format, probe};
