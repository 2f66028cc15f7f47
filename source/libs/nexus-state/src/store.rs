//! The mounted store.

mod commit;
mod compact;
mod format;
mod mount;
mod read;
mod room;

pub use format::{format, probe};

use crate::{
    device::{BlockDevice, Durability, Sector},
    disk::Disk,
    index::Index,
    key::Key,
    limits::{QUOTAS_MAX, RECORD_MAX_SECTORS, SECTOR_BYTES},
    options::{Quota, StoreId},
    superblock::Superblock,
    tag::{Tag, Tags},
};

/// All memory of a mounted store, 34 KiB: the index of [`crate::limits::ENTRIES_MAX`] keys, one
/// record and one sector.
#[derive(Debug)]
pub struct Memory {
    index: Index,
    record: [Sector; RECORD_MAX_SECTORS],
    scratch: Sector,
}

impl Memory {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Memory {
        Memory {
            index: Index::EMPTY,
            record: [[0; SECTOR_BYTES]; RECORD_MAX_SECTORS],
            scratch: [0; SECTOR_BYTES],
        }
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
    /// What they may hold at most: keys, and bytes if every key and value were the longest.
    pub capacity: Usage,
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

/// Where the log is and where it ends.
#[derive(Clone, Copy, Debug)]
struct Log {
    /// Of the region in use.
    superblock: Superblock,
    tags: Tags,
    /// The region's life since its snapshot.
    chain: Tag,
    /// Sector of the region where the next record goes.
    position: u32,
    /// Of the last record.
    sequence: u64,
    /// Tag of the last record.
    tip: Tag,
    boots: u32,
    boot_id: [u8; 16],
}

impl Log {
    /// The log of a region before its first record.
    fn begin(superblock: Superblock, tags: Tags) -> Log {
        let chain = tags.chain(superblock.region, superblock.epoch, &superblock.parent);
        Log {
            superblock,
            tags,
            chain,
            position: 0,
            sequence: superblock.base_sequence,
            tip: chain,
            boots: superblock.boots,
            boot_id: superblock.boot_id,
        }
    }

    /// The device's sector for one of the region.
    fn sector(&self, position: u32) -> u64 {
        self.superblock.start().saturating_add(u64::from(position))
    }

    /// Whether a record of so many sectors fits behind the last one.
    fn fits(&self, sectors: usize) -> bool {
        let end = u64::from(self.position).saturating_add(sectors as u64);
        end <= self.superblock.region_sectors
    }
}

/// A mounted store.
#[derive(Debug)]
pub struct Store<'m, D> {
    disk: Disk<D>,
    memory: &'m mut Memory,
    log: Log,
    mounted: Mounted,
    quota: Quota,
    quotas: [Option<(u64, Quota)>; QUOTAS_MAX],
}

impl<D: BlockDevice> Store<'_, D> {
    /// What the mount found.
    #[must_use]
    pub const fn mounted(&self) -> Mounted {
        self.mounted
    }

    /// How the store does.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            durability: self.disk.durability,
            poisoned: self.disk.poisoned,
            sequence: self.log.sequence,
            epoch: self.log.superblock.epoch,
            boots: self.log.boots,
            usage: self.total(),
            capacity: self.capacity(),
            sectors_written: self.disk.written,
            flushes: self.disk.flushes,
            id: self.log.superblock.id,
        }
    }

    /// The device, for its own counters.
    pub const fn device(&self) -> &D {
        &self.disk.device
    }

    /// The device, for its own upkeep (acknowledging an interrupt). Writing sectors of the store
    /// through it is damage like any other.
    pub const fn device_mut(&mut self) -> &mut D {
        &mut self.disk.device
    }

    /// Ends the mount.
    pub fn into_device(self) -> D {
        self.disk.device
    }
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::Memory;

    /// What statefsd has to find room for; the documents state it.
    #[test]
    fn the_memory_of_a_store_is_bounded() {
        assert_eq!(size_of::<Memory>().div_ceil(1024), 34);
    }
}
