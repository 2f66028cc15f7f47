//! The device with its failures remembered: after one, nothing is written any more.

use crate::{
    device::{BlockDevice, Durability, Sector},
    error::{Error, Operation},
};

/// A device, and whether it can still be trusted.
#[derive(Debug)]
pub(crate) struct Disk<D> {
    pub(crate) device: D,
    pub(crate) durability: Durability,
    pub(crate) poisoned: bool,
    pub(crate) written: u64,
    pub(crate) flushes: u64,
}

impl<D: BlockDevice> Disk<D> {
    pub(crate) fn new(device: D) -> Disk<D> {
        let durability = device.durable();
        Disk { device, durability, poisoned: false, written: 0, flushes: 0 }
    }

    /// Whether writing makes sense at all.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        match (self.poisoned, self.durability) {
            (true, _) => Err(Error::Poisoned),
            (false, Durability::ReadOnly) => Err(Error::ReadOnly),
            (false, _) => Ok(()),
        }
    }

    pub(crate) fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), Error> {
        let done = self.device.read(sector, into);
        self.note(done, Operation::Read(sector))
    }

    pub(crate) fn write(&mut self, sector: u64, from: &Sector) -> Result<(), Error> {
        self.writable()?;
        let done = self.device.write(sector, from);
        self.note(done, Operation::Write(sector))?;
        self.written = self.written.saturating_add(1);
        Ok(())
    }

    /// A barrier: nothing is told, and nothing that depends on it is written, before it returns.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.writable()?;
        if self.durability == Durability::WriteThrough {
            return Ok(());
        }
        let done = self.device.flush();
        self.note(done, Operation::Flush)?;
        self.flushes = self.flushes.saturating_add(1);
        Ok(())
    }

    fn note(&mut self, done: Result<(), D::Error>, operation: Operation) -> Result<(), Error> {
        done.map_err(|_| {
            self.poisoned = true;
            Error::Io(operation)
        })
    }
}
