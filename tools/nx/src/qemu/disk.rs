//! The machine's disk: build/<image>/state.img, raw and sparse.
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a new disk. The store uses the first megabyte at most; the seed is in the last sector.
pub(crate) const DISK_BYTES: u64 = 16 << 20;
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// First bytes of the seed; `source/libs/nexus-state/src/open.rs` looks for them.
pub(crate) const SEED_MAGIC: &[u8; 8] = b"NXSEED01";
/// Identity and salt.
const SEED_BYTES: usize = 48;

/// The disk that belongs to an image.
pub(crate) fn beside(image: &Path) -> PathBuf {
    image.with_file_name("state.img")
}

/// Makes the disk if it is missing, or in any case if `fresh`: blank but for a random seed, from
/// which statefsd makes a store.
pub(crate) fn prepare(path: &Path, fresh: bool) -> Result<(), String> {
    if path.is_file() && !fresh {
        return Ok(());
    }
    make(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn make(path: &Path) -> std::io::Result<()> {
    let mut seed = [0; SEED_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    // A new file: one that a running machine still has open stays that machine's.
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut disk = File::options().write(true).create_new(true).open(path)?;
    disk.set_len(DISK_BYTES)?;
    disk.seek(SeekFrom::Start(DISK_BYTES - SECTOR))?;
    disk.write_all(&[SEED_MAGIC.as_slice(), &seed].concat())
}
