//! What to do with the disk that is found: mount a store, make one on a blank disk that was
//! provisioned for it, and leave everything else as it is.

use crate::service::QUOTA;
use nexus_state::{BlockDevice, Error, Format, FramingKey, Memory, Mount, Store, StoreId, format};

/// First bytes of the seed: the disk's last sector, written by whoever provisions a blank disk.
/// After them come 16 bytes of identity and 32 of salt, both random.
pub const SEED_MAGIC: &[u8; 8] = b"NXSEED01";

/// No secret: it stands in every image. With the disk's own salt it makes tags that no accident
/// makes and that nobody can make who chooses values only. Whoever can read and write the disk
/// can make them; what must not be forged by him, keystored seals.
const FRAMING: FramingKey = FramingKey(*b"nexus-statefs framing, no secret");

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
    mut device: D,
    memory: &'m mut Memory,
    now_ns: u64,
) -> Result<(Store<'m, D>, Found), Error> {
    let found = match nexus_state::probe(&mut device)? {
        nexus_state::Contents::Blank => {
            let (id, salt) = seed(&mut device)?.ok_or(Error::Blank)?;
            format(&mut device, &Format { id, salt, key: FRAMING, force: false })?;
            Found::Formatted
        }
        _ => Found::Mounted,
    };
    let how = Mount { key: FRAMING, expect: None, min_sequence: 0, quota: QUOTA };
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
    let failed = |_| Error::Io(nexus_state::Operation::Read(last));
    device.read(last, &mut sector).map_err(failed)?;
    let Some(rest) = sector.strip_prefix(SEED_MAGIC) else { return Ok(None) };
    let Some((id, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let Some((salt, _)) = rest.split_first_chunk() else { return Ok(None) };
    let random = *id != [0; 16] && *salt != [0; 32];
    Ok(random.then_some((*id, *salt)))
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
