//! Making a store, and saying what a device holds before that.

use crate::{
    device::{BlockDevice, Durability, Sector},
    disk::Disk,
    error::Error,
    limits::{HEAD_SECTORS, SECTOR_BYTES},
    options::{Contents, Format},
    superblock::{self, Found, SLOTS, Superblock},
    tag::TAG_BYTES,
};

const ZEROS: Sector = [0; SECTOR_BYTES];

/// Makes a new store. Durable when it returns; a cut before that leaves [`Contents::Blank`] if the
/// device was blank, and nothing mountable otherwise.
///
/// # Errors
/// [`Error::NotOurs`] or [`Error::Occupied`] when the device holds something and `force` is not
/// set; [`Error::TooSmall`], [`Error::ReadOnly`], [`Error::Io`].
pub fn format<D: BlockDevice>(device: &mut D, how: &Format) -> Result<(), Error> {
    if device.durable() == Durability::ReadOnly {
        return Err(Error::ReadOnly);
    }
    let region_sectors = superblock::region_sectors(device.sectors()).ok_or(Error::TooSmall)?;
    let mut disk = Disk::new(device);
    let contents = examine(&mut disk)?;
    match contents {
        Contents::Blank => {}
        _ if how.force => wipe(&mut disk, region_sectors)?,
        Contents::Other => return Err(Error::NotOurs),
        Contents::Store(_) | Contents::Damaged => return Err(Error::Occupied),
    }
    let first = Superblock {
        id: how.id,
        salt: how.salt,
        region: 0,
        closed: false,
        region_sectors,
        epoch: 1,
        base_sequence: 0,
        boots: 0,
        boot_id: [0; 16],
        snapshot_records: 0,
        snapshot_tip: [0; TAG_BYTES],
        parent: [0; TAG_BYTES],
    };
    let tags = first.tags(&how.key);
    let snapshot_tip = tags.chain(first.region, first.epoch, &first.parent);
    disk.write(SLOTS[0], &Superblock { snapshot_tip, ..first }.encode(&tags))?;
    disk.flush()
}

/// Nothing of an earlier life may be left that a store with the same salt would take for its own.
/// The superblocks go first, so that a cut leaves no store with holes.
fn wipe<D: BlockDevice>(disk: &mut Disk<D>, region_sectors: u64) -> Result<(), Error> {
    for slot in SLOTS {
        disk.write(slot, &ZEROS)?;
    }
    disk.flush()?;
    let mut sector = ZEROS;
    for at in 0..used_sectors(region_sectors) {
        disk.read(at, &mut sector)?;
        if sector != ZEROS {
            disk.write(at, &ZEROS)?;
        }
    }
    disk.flush()
}

fn used_sectors(region_sectors: u64) -> u64 {
    HEAD_SECTORS.saturating_add(region_sectors.saturating_mul(2))
}

/// Says what a device holds. Reads all of it that a store would use when the superblocks are blank.
///
/// # Errors
/// [`Error::TooSmall`], [`Error::Version`], [`Error::Io`].
pub fn probe<D: BlockDevice>(device: &mut D) -> Result<Contents, Error> {
    match examine(&mut Disk::new(&mut *device))? {
        Contents::Blank if superblock::region_sectors(device.sectors()).is_none() => {
            Err(Error::TooSmall)
        }
        contents => Ok(contents),
    }
}

/// What the device holds, without the key.
pub(super) fn examine<D: BlockDevice>(disk: &mut Disk<D>) -> Result<Contents, Error> {
    if disk.device.sectors() < HEAD_SECTORS {
        return Err(Error::TooSmall);
    }
    let mut sector = ZEROS;
    let mut found = [Found::Blank; 2];
    for (slot, found) in SLOTS.into_iter().zip(&mut found) {
        disk.read(slot, &mut sector)?;
        *found = superblock::decode(&sector);
    }
    match found {
        [Found::Later(found), _] | [_, Found::Later(found)] => Err(Error::Version { found }),
        [Found::Whole(a, _), Found::Whole(b, _)] if a.epoch < b.epoch => Ok(Contents::Store(b.id)),
        [Found::Whole(a, _), _] | [_, Found::Whole(a, _)] => Ok(Contents::Store(a.id)),
        // Format writes the first superblock to an otherwise blank device, last of all.
        [Found::Broken | Found::Blank, Found::Blank] if rest_is_blank(disk)? => Ok(Contents::Blank),
        [Found::Broken, _] | [_, Found::Broken] => Ok(Contents::Damaged),
        _ => Ok(Contents::Other),
    }
}

/// Whether everything but the superblocks that a store would use is zero.
fn rest_is_blank<D: BlockDevice>(disk: &mut Disk<D>) -> Result<bool, Error> {
    let sectors = disk.device.sectors();
    let used = superblock::region_sectors(sectors).map_or(sectors, used_sectors);
    let mut sector = ZEROS;
    for at in (0..used).filter(|at| !SLOTS.contains(at)) {
        disk.read(at, &mut sector)?;
        if sector != ZEROS {
            return Ok(false);
        }
    }
    Ok(true)
}
