//! The state store: the existing `SF` frames of version 2, and three new operations.
//!
//! Deviations: there is no path space. A key is a name in the sender's own part of the store,
//! so a frame cannot name another's; keys have at most [`KEY_MAX`] bytes and values at most
//! [`VALUE_MAX`]. REOPEN (6) and the transactions (7 to 10) are not offered: a store that failed
//! is mounted again by a restart, and [`Op::Batch`] is atomic in one frame. Statuses 12 to 15 are
//! new. An OK to a change says that it is durable.

use crate::{Bytes, status::status_set};

mod batch;
mod keys;
mod pair;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_MAX, Batch, BatchBuilder, Change};
pub use keys::{Keys, KeysBuilder, Listing};
pub use pair::{Key, Pair, Value, check_key, check_value};

/// Longest key, in bytes.
pub const KEY_MAX: usize = 64;
/// Longest value, in bytes.
pub const VALUE_MAX: usize = 400;
/// Longest key that a frame can carry; what is longer than [`KEY_MAX`] gets its own status.
pub const KEY_FIELD_MAX: usize = 255;
/// Bytes of the store's id.
pub const STORE_ID: usize = 16;

/// Bytes of a version 2 request before its fields.
const REQUEST_HEAD: usize = 12;
/// Bytes of a version 2 reply before its fields.
const REPLY_HEAD: usize = 13;

codes! {
    /// Outcome of a state request.
    Status {
        /// Done; a change is durable.
        Ok = 0 "ok",
        /// The sender has no such key.
        NotFound = 1 "not-found",
        /// Policy says no.
        Denied = 2 "access-denied",
        /// The value is longer than a value may be.
        ValueTooLarge = 3 "value-too-large",
        /// The key is longer than a key may be.
        KeyTooLong = 4 "key-too-long",
        /// The key is empty or has a byte or a part that no key may have.
        InvalidKey = 5 "invalid-key",
        /// The frame does not decode.
        Malformed = 6 "malformed",
        /// The disk failed or did not answer; nothing more is written until a restart.
        Io = 7 "io",
        /// No such version or operation.
        Unsupported = 8 "unsupported",
        /// The store is damaged, and was not touched.
        Integrity = 9 "integrity",
        /// The store is older than it was.
        Rollback = 10 "rollback",
        /// Too many changes in one batch, or one key twice.
        BatchLimit = 11 "batch-limit",
        /// The sender's share of the store is used up.
        Quota = 12 "quota",
        /// The store is full.
        Full = 13 "full",
        /// The disk takes no writes.
        ReadOnly = 14 "read-only",
        /// There is no store, or policy could not be asked.
        Unavailable = 15 "unavailable",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, ValueTooLarge);

codes! {
    /// What the store is good for.
    State {
        /// There is none: no disk.
        Absent = 0 "absent",
        /// An OK to a change means that the disk was told to keep it and said that it does.
        Durable = 1 "durable",
        /// The disk has no FLUSH: by its contract what it completed is kept.
        WriteThrough = 2 "write-through",
        /// The disk takes no writes.
        ReadOnly = 3 "read-only",
        /// A write or a flush failed: reads go on, changes are refused until a restart.
        Poisoned = 4 "poisoned",
        /// What is on the disk is no store, not this machine's, or damaged; it was not touched.
        Refused = 5 "refused",
        /// What is kept is gone with the power.
        Volatile = 6 "volatile",
    }
}
code_field!(State, zero Absent);

protocol! {
    /// Keeps small values over restarts and power cuts, for each sender its own.
    ///
    /// GET, LIST and STATUS need `statefs.read`; PUT, DEL, BATCH and SYNC need `statefs.write`.
    "state" magic b"SF" max 512 shortest 12;
    nonce u64 in versions { 2: true };
    reply bit 0x80 order StatusNonce status Status;
    Op<'a> => Reply<'a> over 'a;

    /// Sets the value of a key.
    1 in [2] Put { pair: Pair<'a> } => ok {};
    /// The value of a key.
    2 in [2] Get { key: Key<'a> } => ok { value: Value<'a> };
    /// Removes a key.
    3 in [2] Del { key: Key<'a> } => ok {};
    /// The first keys that begin with `prefix`, in the order of their bytes: `limit` of them (0
    /// is 1), or as many as fit.
    4 in [2] List { listing: Listing<'a> } => ok { keys: Keys<'a> };
    /// Asks that everything acknowledged be durable. It is already; the answer says whether the
    /// store still works.
    5 in [2] Sync {} => ok {};
    /// Makes all the changes, or none. Each key at most once.
    11 in [2] Batch { batch: Batch<'a> } => ok {};
    /// What the store is good for, and the sender's share. `boots` is how often the store was
    /// mounted, this time included; `sequence` grows with every change anybody makes.
    12 in [2] Status {} => ok {
        state: State, boots: u64, sequence: u64, used: u32, quota: u32, keys: u32, keys_max: u32,
        store_low: u64, store_high: u64
    };
    /// As LIST, from behind the key `after`.
    13 in [2] ListAfter { after: Bytes<'a, 64>, listing: Listing<'a> } => ok { keys: Keys<'a> };
}
