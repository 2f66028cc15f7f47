//! Finding the log, reading it to its end, and telling a torn tail from damage.

use super::{Log, Memory, Mounted, Store, Tail, format};
use crate::{
    device::{BlockDevice, Durability},
    disk::Disk,
    error::Error,
    index::Slot,
    limits::{HEAD_SECTORS, QUOTAS_MAX, SECTOR_BYTES},
    options::{Contents, Mount},
    record::{self, Frame, Header, Items, Kind},
    superblock::{self, Found, SLOTS, Superblock},
    tag::Tag,
};

impl<'m, D: BlockDevice> Store<'m, D> {
    /// Reads the log, checks every record and makes what was found durable.
    ///
    /// # Errors
    /// The device holds no store, another store, a damaged, older or later one, or failed. Nothing
    /// is repaired and nothing is lost by trying.
    pub fn mount(device: D, memory: &'m mut Memory, how: &Mount) -> Result<Store<'m, D>, Error> {
        let mut disk = Disk::new(device);
        if disk.durability != Durability::ReadOnly {
            // A record that is in the device's cache only must not be told to anyone.
            disk.flush()?;
        }
        let (superblock, older) = choose(&mut disk, memory, how)?;
        if disk.device.sectors() < superblock.device_sectors() {
            return Err(Error::Truncated);
        }
        let log = Log::begin(superblock, superblock.tags(&how.key));
        memory.index.clear();
        let mut replay = Replay { disk: &mut disk, memory: &mut *memory, log };
        let tail = replay.run()?;
        let log = replay.log;
        if log.sequence < how.min_sequence {
            return Err(Error::Rollback { sequence: log.sequence });
        }
        if let Some(older) = older
            && disk.durability != Durability::ReadOnly
        {
            close(&mut disk, &log, older)?;
        }
        let mounted = Mounted {
            id: superblock.id,
            sequence: log.sequence,
            boots: log.boots,
            boot_id: log.boot_id,
            epoch: superblock.epoch,
            tail,
        };
        let (quota, quotas) = (how.quota, [None; QUOTAS_MAX]);
        Ok(Store { disk, memory, log, mounted, quota, quotas })
    }
}

/// Marks a region as the past. Needs no flush of its own: the next commit's covers it, and until
/// then nothing was told that the older region does not hold.
pub(super) fn close<D: BlockDevice>(
    disk: &mut Disk<D>,
    log: &Log,
    older: Superblock,
) -> Result<(), Error> {
    let slot = SLOTS.get(usize::from(older.region)).copied().unwrap_or_default();
    disk.write(slot, &Superblock { closed: true, ..older }.encode(&log.tags))
}

/// A superblock's sector as seen with the key.
#[derive(Clone, Copy)]
enum Seen {
    Valid(Superblock),
    /// Whole and not sealed with this key, or not for this place.
    Foreign,
    /// Blank, torn or damaged.
    Unreadable,
}

/// The superblock in force, and the older one if it is still to be closed.
fn choose<D: BlockDevice>(
    disk: &mut Disk<D>,
    memory: &mut Memory,
    how: &Mount,
) -> Result<(Superblock, Option<Superblock>), Error> {
    if disk.device.sectors() < HEAD_SECTORS {
        return Err(Error::TooSmall);
    }
    let mut seen = [Seen::Unreadable; 2];
    for (index, slot) in SLOTS.into_iter().enumerate() {
        disk.read(slot, &mut memory.scratch)?;
        let now = match superblock::decode(&memory.scratch) {
            Found::Later(found) => return Err(Error::Version { found }),
            Found::Blank | Found::Broken | Found::Other => Seen::Unreadable,
            Found::Whole(found, tag) if found.verify(index, &tag, &found.tags(&how.key)) => {
                Seen::Valid(found)
            }
            Found::Whole(..) => Seen::Foreign,
        };
        if let Some(place) = seen.get_mut(index) {
            *place = now;
        }
    }
    let (current, older) = match seen {
        [Seen::Valid(a), Seen::Valid(b)] => newer(a, b)?,
        [Seen::Valid(a), Seen::Unreadable] => (a, None),
        [Seen::Unreadable, Seen::Valid(b)] => (b, None),
        [Seen::Valid(_), Seen::Foreign] => return Err(Error::Damaged { sector: SLOTS[1] }),
        [Seen::Foreign, Seen::Valid(_)] => return Err(Error::Damaged { sector: SLOTS[0] }),
        [Seen::Foreign, _] | [_, Seen::Foreign] => return Err(Error::Foreign),
        [Seen::Unreadable, Seen::Unreadable] => return Err(unreadable(disk)?),
    };
    if how.expect.is_some_and(|id| id != current.id) {
        return Err(Error::Foreign);
    }
    if current.closed {
        // A later region was in force when this one was closed, and its superblock is gone.
        let other = usize::from(current.region == 0);
        let sector = SLOTS.get(other).copied().unwrap_or_default();
        return Err(Error::Damaged { sector });
    }
    Ok((current, older.filter(|older| !older.closed)))
}

fn newer(a: Superblock, b: Superblock) -> Result<(Superblock, Option<Superblock>), Error> {
    let same_store = a.id == b.id && a.salt == b.salt && a.region_sectors == b.region_sectors;
    if !same_store || a.epoch == b.epoch {
        return Err(Error::Damaged { sector: SLOTS[1] });
    }
    Ok(if a.epoch > b.epoch { (a, Some(b)) } else { (b, Some(a)) })
}

/// Why there is no superblock to mount.
fn unreadable<D: BlockDevice>(disk: &mut Disk<D>) -> Result<Error, Error> {
    Ok(match format::examine(disk)? {
        Contents::Blank => Error::Blank,
        Contents::Other => Error::NotOurs,
        Contents::Damaged | Contents::Store(_) => Error::Damaged { sector: SLOTS[0] },
    })
}

/// One reading of the log from the snapshot to the end.
struct Replay<'a, D> {
    disk: &'a mut Disk<D>,
    memory: &'a mut Memory,
    log: Log,
}

impl<D: BlockDevice> Replay<'_, D> {
    fn run(&mut self) -> Result<Tail, Error> {
        let snapshot_records = self.log.superblock.snapshot_records;
        let mut records = 0_u32;
        if snapshot_records == 0 {
            self.check_snapshot_tip()?;
        }
        while let Some((frame, tag)) = self.read(self.log.position)? {
            let Some(header) = frame.header() else {
                return Err(Error::Version { found: u16::from(frame.version) });
            };
            if !self.continues(&header) {
                return Err(self.damaged());
            }
            let in_snapshot = records < snapshot_records;
            if in_snapshot != (header.kind == Kind::Snapshot) {
                return Err(self.damaged());
            }
            self.apply(&frame, &header)?;
            self.log.sequence = header.sequence;
            self.log.tip = tag;
            self.log.position = self.after(&frame);
            records = records.saturating_add(1);
            if records == snapshot_records {
                self.check_snapshot_tip()?;
            }
        }
        if records < snapshot_records {
            return Err(self.damaged());
        }
        self.end()
    }

    /// Where the trouble begins.
    fn damaged(&self) -> Error {
        Error::Damaged { sector: self.log.sector(self.log.position) }
    }

    fn after(&self, frame: &Frame) -> u32 {
        let sectors = u32::try_from(frame.sectors()).unwrap_or(u32::MAX);
        self.log.position.saturating_add(sectors)
    }

    fn continues(&self, header: &Header) -> bool {
        header.previous == self.log.tip && self.log.sequence.checked_add(1) == Some(header.sequence)
    }

    fn check_snapshot_tip(&self) -> Result<(), Error> {
        let right = self.log.tip == self.log.superblock.snapshot_tip;
        if right { Ok(()) } else { Err(self.damaged()) }
    }

    /// The record that begins at a sector of the region, if one does. It is then in memory.
    fn read(&mut self, position: u32) -> Result<Option<(Frame, Tag)>, Error> {
        let left = self.log.superblock.region_sectors.saturating_sub(u64::from(position));
        if left == 0 {
            return Ok(None);
        }
        let first = self.log.sector(position);
        let [head, rest @ ..] = &mut self.memory.record;
        self.disk.read(first, head)?;
        let Some(frame) = Frame::read(head) else { return Ok(None) };
        let sectors = frame.sectors();
        if frame.epoch != self.log.superblock.epoch || sectors as u64 > left {
            return Ok(None);
        }
        let more = rest.iter_mut().take(sectors.saturating_sub(1));
        for (sector, at) in more.zip(first.saturating_add(1)..) {
            self.disk.read(at, sector)?;
        }
        let bytes = self.memory.record.as_flattened();
        let tag = frame.verify(&self.log.tags, &self.log.chain, position, bytes);
        Ok(tag.map(|tag| (frame, tag)))
    }

    fn apply(&mut self, frame: &Frame, header: &Header) -> Result<(), Error> {
        let damaged = self.damaged();
        let Memory { record, index, .. } = &mut *self.memory;
        let body = frame.body(record.as_flattened()).ok_or(damaged)?;
        if header.kind == Kind::Boot {
            let (boots, boot_id) = record::boot(body).ok_or(damaged)?;
            if self.log.boots.checked_add(1) != Some(boots) {
                return Err(damaged);
            }
            self.log.boots = boots;
            self.log.boot_id = boot_id;
            return Ok(());
        }
        let mut items = Items::new(body, header.items).ok_or(damaged)?;
        while let Some(item) = items.next().map_err(|()| damaged)? {
            let fits = match header.kind {
                Kind::Snapshot => item.value.is_some() && item.sequence <= header.sequence,
                Kind::Batch | Kind::Boot => item.sequence == header.sequence,
            };
            if !fits {
                return Err(damaged);
            }
            let Some(value) = item.value else {
                index.remove(item.namespace, item.key.as_bytes());
                continue;
            };
            let digest = self.log.tags.value(value);
            let slot =
                Slot { sequence: item.sequence, digest, ..Slot::named(item.namespace, item.key) };
            if !index.put(placed(slot, &self.log, item.offset, value.len())) {
                return Err(damaged);
            }
        }
        Ok(())
    }

    /// Looks behind the end for a record of this region's life. There is none after a power cut,
    /// because a record is flushed before the next one is written; so one that is there says that
    /// what stands before it was whole once.
    fn end(&mut self) -> Result<Tail, Error> {
        let end = self.log.position;
        let first = u32::try_from(self.log.superblock.region_sectors).unwrap_or(u32::MAX);
        let mut tail = Tail::Clean;
        for position in end..first {
            let found = self.read(position)?;
            if found.is_some() {
                return Err(self.damaged());
            }
            let [head, ..] = &self.memory.record;
            let ours = |frame: Frame| frame.epoch == self.log.superblock.epoch;
            if position == end && Frame::read(head).is_some_and(ours) {
                tail = Tail::Torn { sector: self.log.sector(end) };
            }
        }
        Ok(tail)
    }
}

/// Says where the value of a slot stands, given its place in the record at the log's end.
pub(super) fn placed(slot: Slot, log: &Log, offset: usize, value_len: usize) -> Slot {
    let sectors = u32::try_from(offset / SECTOR_BYTES).unwrap_or(u32::MAX);
    let sector = log.sector(log.position.saturating_add(sectors));
    Slot {
        sector: u32::try_from(sector).unwrap_or(u32::MAX),
        offset: u16::try_from(offset % SECTOR_BYTES).unwrap_or_default(),
        value_len: u16::try_from(value_len).unwrap_or_default(),
        ..slot
    }
}
