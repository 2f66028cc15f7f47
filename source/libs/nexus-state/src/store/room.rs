//! What fits: the whole store, and each namespace.

use super::{Store, Usage};
use crate::{
    batch::{Batch, Change, Op},
    device::BlockDevice,
    error::Error,
    index::Index,
    limits::{
        BATCH_MAX_OPS, ENTRIES_MAX, KEY_MAX_BYTES, RECORD_MAX_SECTORS, SECTOR_BYTES,
        VALUE_MAX_BYTES,
    },
    options::Quota,
    record::{FRAME_BYTES, ITEM_HEADER_BYTES},
};

/// Keys, and the bytes they take in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Load {
    pub(super) entries: usize,
    pub(super) item_bytes: usize,
}

impl Load {
    /// Of everything that is live.
    pub(super) fn of(index: &Index) -> Load {
        Load { entries: index.len(), item_bytes: index.item_bytes() }
    }

    /// Of everything that is live once a batch is applied.
    fn after(index: &Index, batch: &Batch<'_>) -> Load {
        batch.changes().fold(Load::of(index), |load, change| load.with(index, &change))
    }

    fn with(self, index: &Index, change: &Change<'_>) -> Load {
        let key = change.key.as_bytes();
        let old = index.find(change.namespace, key);
        let (mut entries, mut bytes) = (self.entries, self.item_bytes);
        if let Some(old) = old {
            entries = entries.saturating_sub(1);
            bytes = bytes.saturating_sub(old.item_bytes());
        }
        if let Op::Put(value) = change.op {
            entries = entries.saturating_add(1);
            bytes = bytes.saturating_add(item_bytes(key, value));
        }
        Load { entries, item_bytes: bytes }
    }

    /// Sectors that a snapshot takes at most. It never falls when the load grows, so that a batch
    /// which only deletes always has room.
    fn snapshot_sectors(self) -> u64 {
        let records = self.entries.div_ceil(BATCH_MAX_OPS);
        let frames = records.saturating_mul(FRAME_BYTES.saturating_add(SECTOR_BYTES - 1));
        (self.item_bytes.saturating_add(frames) / SECTOR_BYTES) as u64
    }
}

/// Bytes of a put in a record.
pub(super) fn item_bytes(key: &[u8], value: &[u8]) -> usize {
    ITEM_HEADER_BYTES.saturating_add(key.len()).saturating_add(value.len())
}

/// Sectors of a region kept free of live data: room for the log after a compaction, without which
/// every commit would compact.
fn reserve(region_sectors: u64) -> u64 {
    (region_sectors / 4).max(RECORD_MAX_SECTORS as u64)
}

impl<D: BlockDevice> Store<'_, D> {
    /// Whether the store and every namespace of the batch have room for it.
    pub(super) fn admit(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let index = &self.memory.index;
        let (before, after) = (Load::of(index), Load::after(index, batch));
        let region = self.log.superblock.region_sectors;
        let needs = after.snapshot_sectors().saturating_add(reserve(region));
        let grows = after.entries > before.entries || after.item_bytes > before.item_bytes;
        if after.entries > ENTRIES_MAX || (grows && needs > region) {
            return Err(Error::Full);
        }
        batch.changes().try_for_each(|change| self.admit_namespace(change.namespace, batch))
    }

    fn admit_namespace(&self, namespace: u64, batch: &Batch<'_>) -> Result<(), Error> {
        let (before, quota) = self.usage(namespace);
        let mut after = before;
        for change in batch.changes().filter(|change| change.namespace == namespace) {
            let key = change.key.as_bytes();
            if let Some(old) = self.memory.index.find(namespace, key) {
                after.entries = after.entries.saturating_sub(1);
                after.bytes = after.bytes.saturating_sub(old.bytes());
            }
            if let Op::Put(value) = change.op {
                after.entries = after.entries.saturating_add(1);
                after.bytes = after.bytes.saturating_add(put_bytes(key, value));
            }
        }
        // A quota that was lowered below what is held still allows to hold less.
        let grows = |after: u32, before: u32, most: u32| after > most && after > before;
        if grows(after.entries, before.entries, quota.entries)
            || grows(after.bytes, before.bytes, quota.bytes)
        {
            return Err(Error::Quota);
        }
        Ok(())
    }

    /// Gives one namespace a quota of its own. Kept in memory only: set it after each mount.
    ///
    /// # Errors
    /// [`Error::TooManyQuotas`].
    pub fn set_quota(&mut self, namespace: u64, quota: Quota) -> Result<(), Error> {
        let same = |place: &&mut Option<(u64, Quota)>| place.is_none_or(|(of, _)| of == namespace);
        let place = self.quotas.iter_mut().find(same).ok_or(Error::TooManyQuotas)?;
        *place = Some((namespace, quota));
        Ok(())
    }

    /// What a namespace holds, and may hold.
    #[must_use]
    pub fn usage(&self, namespace: u64) -> (Usage, Quota) {
        let own = self.quotas.iter().flatten().find(|(of, _)| *of == namespace);
        let quota = own.map_or(self.quota, |(_, quota)| *quota);
        let slots = self.memory.index.from(namespace, b"");
        (sum(slots.take_while(|slot| slot.namespace == namespace)), quota)
    }

    /// What all namespaces hold.
    pub(super) fn total(&self) -> Usage {
        sum(self.memory.index.iter())
    }

    /// What all namespaces may hold if every key and value were the longest.
    pub(super) fn capacity(&self) -> Usage {
        let region = self.log.superblock.region_sectors;
        let free = region.saturating_sub(reserve(region));
        let longest = KEY_MAX_BYTES.saturating_add(VALUE_MAX_BYTES);
        let item_bytes = longest.saturating_add(ITEM_HEADER_BYTES);
        let fits = |entries: &usize| {
            let item_bytes = entries.saturating_mul(item_bytes);
            Load { entries: *entries, item_bytes }.snapshot_sectors() <= free
        };
        let entries = (0..=ENTRIES_MAX).rev().find(fits).unwrap_or_default();
        Usage {
            entries: u32::try_from(entries).unwrap_or(u32::MAX),
            bytes: u32::try_from(entries.saturating_mul(longest)).unwrap_or(u32::MAX),
        }
    }
}

fn put_bytes(key: &[u8], value: &[u8]) -> u32 {
    u32::try_from(key.len().saturating_add(value.len())).unwrap_or(u32::MAX)
}

fn sum<'s>(slots: impl Iterator<Item = &'s crate::index::Slot>) -> Usage {
    slots.fold(Usage::default(), |usage, slot| Usage {
        entries: usage.entries.saturating_add(1),
        bytes: usage.bytes.saturating_add(slot.bytes()),
    })
}
