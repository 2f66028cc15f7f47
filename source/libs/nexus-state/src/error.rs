//! Why something was not done. No variant leaves half of a batch behind.

use crate::key::KeyFault;

/// What the device was asked to do when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Reading this sector.
    Read(u64),
    /// Writing this sector.
    Write(u64),
    /// Making completed writes durable.
    Flush,
}

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The key is not one; nothing was read or written.
    Key(KeyFault),
    /// The value is longer than [`crate::limits::VALUE_MAX_BYTES`].
    ValueTooLong,
    /// The batch holds [`crate::limits::BATCH_MAX_OPS`] operations already.
    BatchFull,
    /// The batch names one key twice: which of the two counts would be a guess.
    BatchRepeats,
    /// More than [`crate::limits::QUOTAS_MAX`] namespaces with a quota of their own.
    TooManyQuotas,
    /// The namespace would hold more than its quota; nothing was written.
    Quota,
    /// The store would hold more than it has room for; nothing was written.
    Full,
    /// A counter (sequence, epoch or boot) is at its maximum.
    Exhausted,
    /// The device cannot be written.
    ReadOnly,
    /// The device failed. The store refuses writes until it is mounted again.
    Io(Operation),
    /// The device failed earlier, see [`Error::Io`]. Mount again.
    Poisoned,
    /// What this sector held when it was acknowledged is not there any more.
    Damaged {
        /// Where the damage begins.
        sector: u64,
    },
    /// Nothing was ever stored: format it.
    Blank,
    /// The device holds something that is not a store; formatting needs `force`.
    NotOurs,
    /// The device holds a store already; formatting needs `force`.
    Occupied,
    /// A store, but not the expected one, or sealed with another framing key.
    Foreign,
    /// The store is older than the caller knows it to have been.
    Rollback {
        /// The sequence found, below the one expected.
        sequence: u64,
    },
    /// Written by a later version of this format.
    Version {
        /// The version found.
        found: u16,
    },
    /// The device is smaller than the store on it says.
    Truncated,
    /// The device is smaller than [`crate::limits::DEVICE_MIN_SECTORS`].
    TooSmall,
}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Error {
        Error::Key(fault)
    }
}
