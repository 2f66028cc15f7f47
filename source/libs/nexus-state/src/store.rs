//! The mounted store.

use crate::{
    batch::Batch,
    device::{BlockDevice, Durability},
    error::Error,
    key::Key,
    limits::VALUE_MAX_BYTES,
    options::{Contents, Format, Mount, Quota, StoreId},
};

/// All memory of a mounted store, about 33 KiB: the index of [`crate::limits::ENTRIES_MAX`] keys
/// and one record.
#[derive(Debug)]
pub struct Memory {}

impl Memory {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Memory {
        Memory {}
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

/// What mounting found at the end of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// Nothing after the last record.
    Clean,
    /// A record that was being written when the power went, or the last one damaged since: the two
    /// cannot be told apart without an anchor ([`Mount::min_sequence`]). It is not part of the store.
    Torn {
        /// Where it begins.
        sector: u64,
    },
}

/// What a mount found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mounted {
    /// The store's identity.
    pub id: StoreId,
    /// Sequence of the last record.
    pub sequence: u64,
    /// Boots begun so far, see [`Store::begin_boot`].
    pub boots: u32,
    /// The identity given to the last of them.
    pub boot_id: [u8; 16],
    /// Compactions so far, plus one.
    pub epoch: u64,
    /// How the log ends.
    pub tail: Tail,
}

/// How a mounted store does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// What an acknowledged commit means.
    pub durability: Durability,
    /// The device failed; writes are refused until the next mount.
    pub poisoned: bool,
    /// Sequence of the last record.
    pub sequence: u64,
    /// Compactions so far, plus one.
    pub epoch: u64,
    /// Boots begun so far.
    pub boots: u32,
    /// Keys and bytes of all namespaces.
    pub usage: Usage,
    /// Sectors written since the mount.
    pub sectors_written: u64,
    /// Flushes since the mount.
    pub flushes: u64,
    /// The store's identity.
    pub id: StoreId,
}

/// How much is held.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Keys.
    pub entries: u32,
    /// Bytes of keys and values together.
    pub bytes: u32,
}

/// One key of a listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Whose it is.
    pub namespace: u64,
    /// Its name.
    pub key: Key<'a>,
    /// Bytes of its value.
    pub value_len: usize,
    /// Sequence of the batch that put it.
    pub sequence: u64,
}

/// Makes a new store. Durable when it returns; a cut before that leaves [`Contents::Blank`].
///
/// # Errors
/// [`Error::NotOurs`] or [`Error::Occupied`] when the device holds something and `force` is not
/// set; [`Error::TooSmall`], [`Error::ReadOnly`], [`Error::Io`].
pub fn format<D: BlockDevice>(device: &mut D, how: &Format) -> Result<(), Error> {
    let _ = (device, how);
    Err(Error::ReadOnly)
}

/// Says what a device holds. Reads all of it that a store would use when the superblocks are blank.
///
/// # Errors
/// [`Error::TooSmall`], [`Error::Io`].
pub fn probe<D: BlockDevice>(device: &mut D) -> Result<Contents, Error> {
    let _ = device;
    Err(Error::TooSmall)
}

/// A mounted store.
#[derive(Debug)]
pub struct Store<'m, D> {
    device: D,
    memory: &'m mut Memory,
}

impl<'m, D: BlockDevice> Store<'m, D> {
    /// Reads the log, checks every record and makes what was found durable.
    ///
    /// # Errors
    /// The device holds no store, another store, a damaged, older or later one, or failed. Nothing
    /// is repaired and nothing is lost by trying.
    pub fn mount(device: D, memory: &'m mut Memory, how: &Mount) -> Result<Store<'m, D>, Error> {
        let _ = (device, memory, how);
        Err(Error::Blank)
    }

    /// What the mount found.
    #[must_use]
    pub fn mounted(&self) -> Mounted {
        Mounted {
            id: [0; 16],
            sequence: 0,
            boots: 0,
            boot_id: [0; 16],
            epoch: 0,
            tail: Tail::Clean,
        }
    }

    /// Gives one namespace a quota of its own. Kept in memory only: set it after each mount.
    ///
    /// # Errors
    /// [`Error::TooManyQuotas`].
    pub fn set_quota(&mut self, namespace: u64, quota: Quota) -> Result<(), Error> {
        let _ = (namespace, quota);
        Err(Error::TooManyQuotas)
    }

    /// Counts a boot and names it. Durable when it returns. Two histories with one parent differ
    /// in the identities of their boots.
    ///
    /// # Errors
    /// As [`Store::commit`]; the counter is then as before.
    pub fn begin_boot(&mut self, boot_id: [u8; 16]) -> Result<u32, Error> {
        let _ = boot_id;
        Err(Error::Poisoned)
    }

    /// Makes all changes of a batch, or none, and answers its sequence once they are durable.
    /// Sequences grow with every commit and are never given twice; they may have gaps.
    ///
    /// # Errors
    /// [`Error::Quota`], [`Error::Full`], [`Error::Exhausted`], [`Error::ReadOnly`],
    /// [`Error::Poisoned`]: nothing was written. [`Error::Damaged`]: a value could not be carried
    /// over, nothing changed. [`Error::Io`]: the batch may or may not be there after the next mount.
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<u64, Error> {
        let _ = batch;
        Err(Error::Poisoned)
    }

    /// Reads a value back from the device and checks it. `None`: no such key.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Damaged`], [`Error::Io`].
    pub fn get<'b>(
        &mut self,
        namespace: u64,
        key: &[u8],
        into: &'b mut [u8; VALUE_MAX_BYTES],
    ) -> Result<Option<&'b [u8]>, Error> {
        let _ = (namespace, key, into, &mut self.device, &mut self.memory);
        Err(Error::Poisoned)
    }

    /// Keys of a namespace that begin with `prefix` and come after `after` (empty: from the
    /// first), in byte order.
    pub fn list<'s>(
        &'s self,
        namespace: u64,
        prefix: &'s [u8],
        after: &'s [u8],
    ) -> impl Iterator<Item = Entry<'s>> + 's {
        let _ = (namespace, prefix, after);
        core::iter::empty()
    }

    /// All keys, in order of namespace and key.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        core::iter::empty()
    }

    /// What a namespace holds, and may hold.
    #[must_use]
    pub fn usage(&self, namespace: u64) -> (Usage, Quota) {
        let _ = namespace;
        (Usage::default(), Quota::UNBOUNDED)
    }

    /// How the store does.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            durability: self.device.durable(),
            poisoned: true,
            sequence: 0,
            epoch: 0,
            boots: 0,
            usage: Usage::default(),
            sectors_written: 0,
            flushes: 0,
            id: [0; 16],
        }
    }

    /// Writes what is live to the other region and switches to it. Commits do so by themselves
    /// when the region is full.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn compact(&mut self) -> Result<(), Error> {
        Err(Error::Poisoned)
    }

    /// The device, for its own counters.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Ends the mount.
    pub fn into_device(self) -> D {
        self.device
    }
}
