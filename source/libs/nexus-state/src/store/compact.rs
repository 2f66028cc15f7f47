//! Carrying what is live over to the other region.
//!
//! Snapshot, flush, new superblock, flush, close the old one. Before the second flush the old
//! region is in force, after it the new one; nothing is written to the new region's log before.

use super::{
    Log, Memory, Store,
    commit::{append, builder},
    mount::{close, placed},
    read::copy_value,
};
use crate::{
    device::BlockDevice,
    disk::Disk,
    error::Error,
    limits::{BATCH_MAX_OPS, SECTOR_BYTES},
    record::{FRAME_BYTES, HEADER_BYTES, ITEM_HEADER_BYTES, Kind},
    superblock::{SLOTS, Superblock},
};

impl<D: BlockDevice> Store<'_, D> {
    /// Writes what is live to the other region and switches to it. Commits do so by themselves
    /// when the region is full.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn compact(&mut self) -> Result<(), Error> {
        self.disk.writable()?;
        let old = self.log.superblock;
        let epoch = old.epoch.checked_add(1).ok_or(Error::Exhausted)?;
        let records = self.memory.index.len().div_ceil(BATCH_MAX_OPS);
        let snapshot_records = u32::try_from(records).unwrap_or(u32::MAX);
        let superblock = Superblock {
            region: u8::from(old.region == 0),
            epoch,
            base_sequence: self.log.sequence,
            boots: self.log.boots,
            boot_id: self.log.boot_id,
            snapshot_records,
            parent: self.log.tip,
            ..old
        };
        let begin = Log::begin(superblock, self.log.tags);
        let mut log = begin;
        for record in 0..records {
            let first = record.saturating_mul(BATCH_MAX_OPS);
            write_snapshot_record(&mut self.disk, self.memory, &mut log, first)?;
        }
        log.superblock.snapshot_tip = log.tip;
        self.disk.flush()?;
        let slot = SLOTS.get(usize::from(log.superblock.region)).copied().unwrap_or_default();
        self.disk.write(slot, &log.superblock.encode(&log.tags))?;
        self.disk.flush()?;
        self.log = log;
        relocate(self.memory, begin, records);
        close(&mut self.disk, &self.log, old)
    }
}

/// One record of up to [`BATCH_MAX_OPS`] live entries, beginning with that rank. The values are
/// read back and checked: what is damaged is not carried over as good.
fn write_snapshot_record<D: BlockDevice>(
    disk: &mut Disk<D>,
    memory: &mut Memory,
    log: &mut Log,
    first: usize,
) -> Result<(), Error> {
    let Memory { index, record, scratch } = &mut *memory;
    let mut builder = builder(record.as_flattened_mut());
    for slot in index.iter().skip(first).take(BATCH_MAX_OPS) {
        let space = builder
            .put(slot.namespace, slot.sequence, slot.key(), usize::from(slot.value_len))
            .ok_or(Error::Full)?;
        copy_value(disk, scratch, slot, &log.tags, space)?;
    }
    let body = builder.finish().ok_or(Error::Full)?;
    if !log.fits(body.1.saturating_add(FRAME_BYTES).div_ceil(SECTOR_BYTES)) {
        return Err(Error::Full);
    }
    append(disk, memory, log, Kind::Snapshot, body)
}

/// Points every slot into the snapshot that was just written, by the same packing.
fn relocate(memory: &mut Memory, mut log: Log, records: usize) {
    for record in 0..records {
        let mut offset = HEADER_BYTES;
        let first = record.saturating_mul(BATCH_MAX_OPS);
        for rank in first..first.saturating_add(BATCH_MAX_OPS) {
            let Some(slot) = memory.index.ranked_mut(rank) else { break };
            let at = offset.saturating_add(ITEM_HEADER_BYTES).saturating_add(slot.key().len());
            let value_len = usize::from(slot.value_len);
            *slot = placed(*slot, &log, at, value_len);
            offset = at.saturating_add(value_len);
        }
        let sectors = offset.saturating_add(FRAME_BYTES - HEADER_BYTES).div_ceil(SECTOR_BYTES);
        log.position = log.position.saturating_add(u32::try_from(sectors).unwrap_or(u32::MAX));
    }
}
