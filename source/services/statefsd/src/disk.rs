//! The block device as the store wants it, and the process's view of the kernel, which it needs
//! to wait.

use nexus_abi::{Call, Handle, Sys, layout::SLOT_NOTIFY, syscall::SourceOp};
use nexus_state::{BlockDevice, Durability, Sector};
use nexus_system::slots::statefsd as slots;
use nexus_virtio::{
    Fault, Registers,
    blk::{Blk, Cache, Waiting},
};

/// Bit of the notification that the device's interrupt sets.
const INTERRUPT_BIT: u8 = 0;
const INTERRUPT: u64 = 1 << INTERRUPT_BIT;

/// The disk of this machine.
pub(crate) struct Disk<'s, S> {
    sys: &'s mut S,
    blk: Blk<Registers>,
}

impl<'s, S: Sys> Disk<'s, S> {
    /// Binds the device's interrupt.
    ///
    /// # Errors
    /// The kernel back, if the interrupt cannot be had.
    pub(crate) fn new(sys: &'s mut S, blk: Blk<Registers>) -> Result<Self, &'s mut S> {
        match control(sys, SourceOp::Bind) {
            true => Ok(Disk { sys, blk }),
            false => Err(sys),
        }
    }

    pub(crate) const fn sys(&mut self) -> &mut S {
        self.sys
    }
}

fn control<S: Sys>(sys: &mut S, op: SourceOp) -> bool {
    let (source, notif) = (slots::IRQ_VIRTIO_BLK, Handle::fixed(SLOT_NOTIFY));
    sys.run(Call::SourceControl { source, op, notif, bit: INTERRUPT_BIT }).is_ok()
}

/// Waits by the kernel.
struct Patience<'w, S>(&'w mut S);

impl<S: Sys> Waiting for Patience<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.0.now_ns()
    }

    fn sleep(&mut self, until_ns: u64) -> bool {
        let notif = Handle::fixed(SLOT_NOTIFY);
        self.0.run(Call::Wait { notif, mask: INTERRUPT, deadline_ns: until_ns }).is_ok()
    }

    fn reopen(&mut self) {
        // A line that cannot be opened again costs speed, not correctness: the answer is looked
        // for all the same.
        let _the_next_sleep_ends_by_time = control(self.0, SourceOp::Ack);
    }
}

impl<S: Sys> BlockDevice for Disk<'_, S> {
    type Error = Fault;

    fn sectors(&self) -> u64 {
        self.blk.sectors()
    }

    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), Fault> {
        self.blk.read(&mut Patience(self.sys), sector, into)
    }

    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), Fault> {
        self.blk.write(&mut Patience(self.sys), sector, from)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.blk.flush(&mut Patience(self.sys))
    }

    fn durable(&self) -> Durability {
        match self.blk.cache() {
            Cache::Flush => Durability::Flush,
            Cache::WriteThrough => Durability::WriteThrough,
            Cache::ReadOnly => Durability::ReadOnly,
        }
    }
}
