//! Every bound of the store. A value at the bound is accepted, one beyond it is refused before any I/O.

/// Bytes of a sector; every record starts on a sector boundary.
pub const SECTOR_BYTES: usize = 512;
/// Bytes of a key.
pub const KEY_MAX_BYTES: usize = 64;
/// Bytes of a value.
pub const VALUE_MAX_BYTES: usize = 400;
/// Puts and deletes in one atomic batch.
pub const BATCH_MAX_OPS: usize = 8;
/// Live keys of the whole store. The index is a fixed table, see [`crate::Memory`].
pub const ENTRIES_MAX: usize = 256;
/// Namespaces with a quota of their own; the others share the default quota's figures.
pub const QUOTAS_MAX: usize = 16;
/// Sectors of the longest record: a batch of the largest values always fits.
pub const RECORD_MAX_SECTORS: usize = 8;
/// Sectors of a region on the smallest device.
pub const REGION_MIN_SECTORS: u64 = 32;
/// Sectors of a region on a large device; what lies behind both regions is not used. Mounting
/// reads one region, so this bounds the time of a mount.
pub const REGION_MAX_SECTORS: u64 = 1024;
/// Sectors before the first region: the two superblocks, 4 KiB apart.
pub const HEAD_SECTORS: u64 = 16;
/// Sectors of the smallest device that can be formatted.
pub const DEVICE_MIN_SECTORS: u64 = 80;
