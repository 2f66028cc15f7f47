//! What the store needs of a disk.

use crate::limits::SECTOR_BYTES;

/// One sector.
pub type Sector = [u8; SECTOR_BYTES];

/// What an acknowledged commit on this device means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Writes are durable after [`BlockDevice::flush`], which the store calls before it answers.
    Flush,
    /// The device has no FLUSH: a completed write is durable. The store does not call `flush`.
    WriteThrough,
    /// The device cannot be written: mounts succeed, commits are refused.
    ReadOnly,
    /// Nothing survives a restart (memory); everything else behaves as with [`Durability::Flush`].
    Volatile,
}

/// A disk of 512-byte sectors.
///
/// Un-flushed writes may land in any order or not at all, and the sector being written at a power
/// cut may hold any mixture of old and new bytes. The store relies on nothing more than: after
/// `flush` returned `Ok`, every write completed before it is durable.
pub trait BlockDevice {
    /// What the device says when an operation fails.
    type Error: core::fmt::Debug;

    /// How many sectors there are.
    fn sectors(&self) -> u64;

    /// Reads one sector.
    ///
    /// # Errors
    /// What the device says; the store stops writing until it is mounted again.
    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), Self::Error>;

    /// Writes one sector.
    ///
    /// # Errors
    /// What the device says; the store stops writing until it is mounted again.
    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), Self::Error>;

    /// Makes every completed write durable.
    ///
    /// # Errors
    /// What the device says. Never retried as success: what the cache held may be gone.
    fn flush(&mut self) -> Result<(), Self::Error>;

    /// What completion means on this device.
    fn durable(&self) -> Durability;
}

impl<D: BlockDevice> BlockDevice for &mut D {
    type Error = D::Error;

    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), Self::Error> {
        (**self).read(sector, into)
    }

    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), Self::Error> {
        (**self).write(sector, from)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        (**self).flush()
    }

    fn durable(&self) -> Durability {
        (**self).durable()
    }
}
