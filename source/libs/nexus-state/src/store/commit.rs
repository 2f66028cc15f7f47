//! Appending a record: write, flush, then answer.

use super::{Log, Memory, Store, mount::placed, room};
use crate::{
    batch::{Batch, Change, Op},
    device::BlockDevice,
    disk::Disk,
    error::Error,
    index::{Index, Slot},
    limits::SECTOR_BYTES,
    record::{self, Builder, FRAME_BYTES, HEADER_BYTES, Header, ITEM_HEADER_BYTES, Kind},
};

/// Bytes of a boot record's body.
const BOOT_BYTES: usize = 20;

impl<D: BlockDevice> Store<'_, D> {
    /// Makes all changes of a batch, or none, and answers its sequence once they are durable.
    /// Sequences grow with every commit and are never given twice; they may have gaps. A batch
    /// that changes nothing (deletes of keys that are not there) is answered with the last one.
    ///
    /// # Errors
    /// [`Error::Quota`], [`Error::Full`], [`Error::Exhausted`], [`Error::ReadOnly`],
    /// [`Error::Poisoned`]: nothing was written. [`Error::Damaged`]: a value could not be carried
    /// over, nothing changed. [`Error::Io`]: the batch may or may not be there after the next mount.
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<u64, Error> {
        self.disk.writable()?;
        self.admit(batch)?;
        let bytes = batch_bytes(&self.memory.index, batch);
        if bytes == 0 {
            return Ok(self.log.sequence);
        }
        self.make_room(bytes)?;
        let sequence = self.next_sequence()?;
        let Memory { index, record, .. } = &mut *self.memory;
        let mut builder = builder(record.as_flattened_mut());
        for change in effective(index, batch) {
            let key = change.key.as_bytes();
            match change.op {
                Op::Put(value) => builder
                    .put(change.namespace, sequence, key, value.len())
                    .ok_or(Error::Full)?
                    .copy_from_slice(value),
                Op::Delete => builder.delete(change.namespace, sequence, key),
            }
        }
        let body = builder.finish().ok_or(Error::Full)?;
        let before = self.log;
        self.append_durably(Kind::Batch, body)?;
        self.remember(&before, batch, sequence);
        Ok(sequence)
    }

    /// Counts a boot and names it. Durable when it returns. Two histories with one parent differ
    /// in the identities of their boots.
    ///
    /// # Errors
    /// As [`Store::commit`]; the counter is then as before.
    pub fn begin_boot(&mut self, boot_id: [u8; 16]) -> Result<u32, Error> {
        self.disk.writable()?;
        let boots = self.log.boots.checked_add(1).ok_or(Error::Exhausted)?;
        self.make_room(BOOT_BYTES)?;
        let _sequence = self.next_sequence()?;
        let mut builder = builder(self.memory.record.as_flattened_mut());
        builder.boot(boots, &boot_id);
        let body = builder.finish().ok_or(Error::Full)?;
        self.append_durably(Kind::Boot, body)?;
        (self.log.boots, self.log.boot_id) = (boots, boot_id);
        Ok(boots)
    }

    /// Writes the record in memory and flushes. If that fails the log is as it was told before.
    fn append_durably(&mut self, kind: Kind, body: (u8, usize)) -> Result<(), Error> {
        let mut log = self.log;
        append(&mut self.disk, self.memory, &mut log, kind, body)?;
        self.disk.flush()?;
        self.log = log;
        Ok(())
    }

    fn next_sequence(&self) -> Result<u64, Error> {
        self.log.sequence.checked_add(1).ok_or(Error::Exhausted)
    }

    /// Compacts if a record with so long a body does not fit.
    fn make_room(&mut self, body_bytes: usize) -> Result<(), Error> {
        let sectors = body_bytes.saturating_add(FRAME_BYTES).div_ceil(SECTOR_BYTES);
        if self.log.fits(sectors) {
            return Ok(());
        }
        self.compact()?;
        if self.log.fits(sectors) { Ok(()) } else { Err(Error::Full) }
    }

    /// Takes a durable batch over into the index. `before` is the log as it was when the record
    /// was written.
    fn remember(&mut self, before: &Log, batch: &Batch<'_>, sequence: u64) {
        let mut offset = HEADER_BYTES;
        let index = &mut self.memory.index;
        for change in batch.changes() {
            let key = change.key.as_bytes();
            let Op::Put(value) = change.op else {
                if index.find(change.namespace, key).is_some() {
                    offset = offset.saturating_add(ITEM_HEADER_BYTES).saturating_add(key.len());
                    index.remove(change.namespace, key);
                }
                continue;
            };
            let at = offset.saturating_add(ITEM_HEADER_BYTES).saturating_add(key.len());
            let digest = before.tags.value(value);
            let slot = Slot { sequence, digest, ..Slot::named(change.namespace, change.key) };
            // There is room: the batch was admitted.
            let _there = index.put(placed(slot, before, at, value.len()));
            offset = at.saturating_add(value.len());
        }
    }
}

/// The changes that change something: deleting what is not there does not.
fn effective<'a>(index: &Index, batch: &Batch<'a>) -> impl Iterator<Item = Change<'a>> {
    batch.changes().filter(|change| {
        change.op != Op::Delete || index.find(change.namespace, change.key.as_bytes()).is_some()
    })
}

/// Bytes of the record's body; zero when nothing changes.
fn batch_bytes(index: &Index, batch: &Batch<'_>) -> usize {
    let bytes = |change: Change<'_>| match change.op {
        Op::Put(value) => room::item_bytes(change.key.as_bytes(), value),
        Op::Delete => room::item_bytes(change.key.as_bytes(), &[]),
    };
    effective(index, batch).map(bytes).sum()
}

/// A builder for the body of a record in this buffer.
pub(super) fn builder(record: &mut [u8]) -> Builder<'_> {
    Builder::new(record.get_mut(HEADER_BYTES..).unwrap_or_default())
}

/// Seals the body in memory as the log's next record and writes it. Not durable before a flush.
pub(super) fn append<D: BlockDevice>(
    disk: &mut Disk<D>,
    memory: &mut Memory,
    log: &mut Log,
    kind: Kind,
    (items, body_bytes): (u8, usize),
) -> Result<(), Error> {
    let sequence = log.sequence.checked_add(1).ok_or(Error::Exhausted)?;
    let header = Header { kind, items, epoch: log.superblock.epoch, sequence, previous: log.tip };
    let bytes = memory.record.as_flattened_mut();
    let (sectors, tag) =
        record::seal(bytes, &header, body_bytes, &log.tags, &log.chain, log.position)
            .ok_or(Error::Full)?;
    for (sector, at) in memory.record.iter().take(sectors).zip(log.sector(log.position)..) {
        disk.write(at, sector)?;
    }
    log.position = log.position.saturating_add(u32::try_from(sectors).unwrap_or(u32::MAX));
    log.sequence = sequence;
    log.tip = tag;
    Ok(())
}
