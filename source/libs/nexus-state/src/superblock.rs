//! The two sectors that say where the log is. At most one of them is open.
//!
//! A compaction writes the new region's superblock, flushes, and closes the old one. So a store
//! whose newest readable superblock is closed has lost the newer one: that is damage, and the
//! older region is not taken for the present.

use crate::{
    bytes::{Reader, Writer},
    device::Sector,
    limits::{HEAD_SECTORS, REGION_MAX_SECTORS, REGION_MIN_SECTORS, SECTOR_BYTES},
    options::{FramingKey, StoreId},
    tag::{TAG_BYTES, Tag, Tags},
};

/// Where the superblocks are: not in one 4 KiB block of the disk, which may be torn as a whole.
pub(crate) const SLOTS: [u64; 2] = [0, 8];

const MAGIC: [u8; 8] = *b"NEXSTATE";
/// The version this code reads and writes. Later ones keep magic, version and digest in place.
const VERSION: u16 = 1;
const OPEN: u8 = 0;
const CLOSED: u8 = 1;
/// Bytes before the tag.
const FIELDS_BYTES: usize = 160;
/// Of these, zeros for later fields.
const ROOM_BYTES: usize = 8;
/// Bytes before the digest, which covers the tag too: a sector torn between the two would
/// otherwise look like a whole superblock of another key.
const DIGESTED_BYTES: usize = FIELDS_BYTES + TAG_BYTES;

/// What a superblock says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    pub(crate) id: StoreId,
    pub(crate) salt: [u8; 32],
    /// 0 or 1.
    pub(crate) region: u8,
    pub(crate) closed: bool,
    pub(crate) region_sectors: u64,
    pub(crate) epoch: u64,
    /// Sequence before the region's first record.
    pub(crate) base_sequence: u64,
    pub(crate) boots: u32,
    pub(crate) boot_id: [u8; 16],
    /// How many records the region began with, and the tag of the last of them.
    pub(crate) snapshot_records: u32,
    pub(crate) snapshot_tip: Tag,
    /// Last tag of the region this one was made from.
    pub(crate) parent: Tag,
}

/// What is in a superblock's sector.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// Zeros.
    Blank,
    /// Not ours.
    Other,
    /// Begins like a superblock and is none: torn or damaged.
    Broken,
    /// Whole, of a later version.
    Later(u16),
    /// Whole. Its tag is not checked yet.
    Whole(Superblock, Tag),
}

impl Superblock {
    /// First sector of the records.
    pub(crate) fn start(&self) -> u64 {
        HEAD_SECTORS.saturating_add(self.region_sectors.saturating_mul(u64::from(self.region)))
    }

    /// Sectors a device needs for this store.
    pub(crate) fn device_sectors(&self) -> u64 {
        HEAD_SECTORS.saturating_add(self.region_sectors.saturating_mul(2))
    }

    pub(crate) fn tags(&self, key: &FramingKey) -> Tags {
        Tags::new(key, &self.id, &self.salt)
    }

    pub(crate) fn encode(&self, tags: &Tags) -> Sector {
        let mut sector = [0; SECTOR_BYTES];
        let (fields, rest) = sector.split_at_mut(FIELDS_BYTES);
        let mut w = Writer::new(fields);
        w.put(&MAGIC);
        w.u16(VERSION);
        w.u8(self.region);
        w.u8(if self.closed { CLOSED } else { OPEN });
        w.u32(0);
        w.put(&self.id);
        w.put(&self.salt);
        w.u64(self.start());
        w.u64(self.region_sectors);
        w.u64(self.epoch);
        w.u64(self.base_sequence);
        w.u32(self.boots);
        w.u32(self.snapshot_records);
        w.put(&self.boot_id);
        w.put(&self.parent);
        w.put(&self.snapshot_tip);
        Writer::new(rest).put(&tags.superblock(fields));
        let (digested, rest) = sector.split_at_mut(DIGESTED_BYTES);
        let digest = blake3::hash(digested);
        Writer::new(rest).put(digest.as_bytes());
        sector
    }

    /// Checks the tag, and that the superblock stands in its own slot.
    pub(crate) fn verify(&self, slot: usize, tag: &Tag, tags: &Tags) -> bool {
        let sector = self.encode(tags);
        let mut reader = Reader::new(&sector);
        let _fields = reader.take(FIELDS_BYTES);
        usize::from(self.region) == slot && reader.array() == Some(*tag)
    }
}

/// Reads a superblock's sector without the key.
pub(crate) fn decode(sector: &Sector) -> Found {
    if sector.iter().all(|b| *b == 0) {
        return Found::Blank;
    }
    if sector.first_chunk() != Some(&MAGIC) {
        // A format that was cut inside the magic leaves its first bytes and zeros.
        let torn = sector.iter().zip(MAGIC).take_while(|(have, want)| *have == want).count();
        let zeros = sector.iter().skip(torn).all(|b| *b == 0);
        return if torn > 0 && zeros { Found::Broken } else { Found::Other };
    }
    parse(sector).unwrap_or(Found::Broken)
}

fn parse(sector: &Sector) -> Option<Found> {
    let mut all = Reader::new(sector);
    let digested = all.take(DIGESTED_BYTES)?;
    if all.array::<32>()? != *blake3::hash(digested).as_bytes() {
        return None;
    }
    let mut r = Reader::new(digested);
    let _magic = r.take(MAGIC.len())?;
    let version = r.u16()?;
    if version != VERSION {
        return Some(Found::Later(version));
    }
    let (region, closed, _zero) = (r.u8()?, r.u8()?, r.u32()?);
    let (id, salt) = (r.array()?, r.array()?);
    let (start, region_sectors) = (r.u64()?, r.u64()?);
    let (epoch, base_sequence) = (r.u64()?, r.u64()?);
    let (boots, snapshot_records) = (r.u32()?, r.u32()?);
    let (boot_id, parent, snapshot_tip) = (r.array()?, r.array()?, r.array()?);
    let _room = r.take(ROOM_BYTES)?;
    let tag = r.array()?;
    let found = Superblock {
        id,
        salt,
        region,
        closed: closed == CLOSED,
        region_sectors,
        epoch,
        base_sequence,
        boots,
        boot_id,
        snapshot_records,
        snapshot_tip,
        parent,
    };
    let sound = region <= 1
        && closed <= CLOSED
        && (REGION_MIN_SECTORS..=REGION_MAX_SECTORS).contains(&region_sectors)
        && start == found.start();
    sound.then_some(Found::Whole(found, tag))
}

/// How large each region of a device of this size is; none when the device is too small.
pub(crate) fn region_sectors(device_sectors: u64) -> Option<u64> {
    let half = device_sectors.checked_sub(HEAD_SECTORS)? / 2;
    (half >= REGION_MIN_SECTORS).then_some(half.min(REGION_MAX_SECTORS))
}
