//! What statefsd does with the disk that is found, and `nx powercut` with what a cut left of it: mount a store, make one on a blank disk that was
//! provisioned for it, and leave everything else as it is.

use crate::{
    Anchor, BlockDevice, Contents, Error, Format, FramingKey, Memory, Mount, Operation, Quota,
    Store, StoreId, format, limits, probe,
};

/// First bytes of the seed: the disk's last sector, written by whoever provisions a blank disk.
/// After them come 16 bytes of identity and 32 of salt, both random.
pub const SEED_MAGIC: &[u8; 8] = b"NXSEED01";

/// How the store was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was there.
    Mounted,
    /// The disk was blank and provisioned: it was made now.
    Formatted,
}

/// Mounts the disk's store and counts the boot, if the disk takes writes.
///
/// # Errors
/// What is on the disk is no store of this format, is damaged, or the disk fails; a blank disk
/// without a seed is [`Error::Blank`]. Nothing was changed then, unless the disk failed.
pub fn open<'m, D: BlockDevice>(
    device: D,
    memory: &'m mut Memory,
    how: (Quota, u64),
) -> Result<(Store<'m, D>, Found), Error> {
    open_behind(device, memory, how, None)
}

/// As [`open`], for a disk that was seen before: with an anchor nothing is made anew, and a store
/// that is another or older is refused.
///
/// # Errors
/// As [`open`]; [`Error::Rollback`], [`Error::Foreign`].
pub fn open_behind<'m, D: BlockDevice>(
    mut device: D,
    memory: &'m mut Memory,
    (quota, now_ns): (Quota, u64),
    anchor: Option<Anchor>,
) -> Result<(Store<'m, D>, Found), Error> {
    let contents = probe(&mut device)?;
    let force = contents == Contents::Other && is_half_made(&mut device)?;
    let found = if contents == Contents::Blank || force {
        if anchor.is_some() {
            return Err(Error::Rollback { sequence: 0 });
        }
        let (id, salt) = seed(&mut device)?.ok_or(Error::Blank)?;
        format(&mut device, &Format { id, salt, key: FramingKey::PUBLIC, force })?;
        Found::Formatted
    } else {
        Found::Mounted
    };
    let expect = anchor.map(|anchor| anchor.id);
    let min_sequence = anchor.map_or(0, |anchor| anchor.sequence);
    let how = Mount { key: FramingKey::PUBLIC, expect, min_sequence, quota };
    let mut store = Store::mount(device, memory, &how)?;
    match store.begin_boot(boot_id(now_ns, store.mounted().sequence)) {
        Ok(_) | Err(Error::ReadOnly) => Ok((store, found)),
        Err(error) => Err(error),
    }
}

/// Identity and salt for a new store, from the disk's last sector.
fn seed<D: BlockDevice>(device: &mut D) -> Result<Option<(StoreId, [u8; 32])>, Error> {
    let last = device.sectors().checked_sub(1).ok_or(Error::TooSmall)?;
    let mut sector = [0; 512];
    let failed = |_| Error::Io(Operation::Read(last));
    device.read(last, &mut sector).map_err(failed)?;
    let Some(rest) = sector.strip_prefix(SEED_MAGIC) else { return Ok(None) };
    let Some((id, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let Some((salt, _)) = rest.split_first_chunk() else { return Ok(None) };
    let random = *id != [0; 16] && *salt != [0; 32];
    Ok(random.then_some((*id, *salt)))
}

/// Whether this is a disk of ours on which making the store was cut in the middle of its first
/// sector, so that not even that one can be told: the disk has a seed, and nothing of the store's
/// place but its first sector was ever written. A store that was used has its boots behind it.
fn is_half_made<D: BlockDevice>(device: &mut D) -> Result<bool, Error> {
    let last = device.sectors().checked_sub(1).ok_or(Error::TooSmall)?;
    let place = limits::HEAD_SECTORS.saturating_add(limits::REGION_MAX_SECTORS.saturating_mul(2));
    if last < place || seed(device)?.is_none() {
        return Ok(false);
    }
    let mut bytes = [0; 512];
    for sector in 1..place {
        device.read(sector, &mut bytes).map_err(|_| Error::Io(Operation::Read(sector)))?;
        if bytes != [0; 512] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names a boot by what is at hand. It tells two boots of one history apart, not two histories
/// that went on alike: there is no entropy at this priority.
fn boot_id(now_ns: u64, sequence: u64) -> [u8; 16] {
    let mut id = [0; 16];
    let (low, high) = id.split_at_mut(8);
    low.copy_from_slice(&now_ns.to_le_bytes());
    high.copy_from_slice(&sequence.to_le_bytes());
    id
}
