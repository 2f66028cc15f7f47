//! What the architecture tells the core at boot, and the making of the first process.

use nexus_abi::{
    Error, ServiceId, SyscallMask,
    syscall::{Prot, Quota},
};

use crate::{Kernel, Machine, Outcome, types::Pfn};

/// What the architecture code found before it enters the core.
#[derive(Clone, Debug)]
pub struct BootConfig<'a> {
    /// Frame numbers of usable RAM: not kernel, not boot image, not firmware.
    pub free: core::ops::Range<u32>,
    /// First frame and number of pages of the boot image.
    pub boot_image: (Pfn, u32),
    /// The first process.
    pub init: InitPlan<'a>,
    /// Device windows, in the order of init's slots.
    pub devices: &'a [DeviceWindow],
    /// Interrupt lines, in the order of init's slots.
    pub irqs: &'a [u32],
}

/// A range of device registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceWindow {
    /// Physical address, page aligned.
    pub base: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

/// The first process, as the image builder planned it; the kernel parses no ELF.
#[derive(Clone, Debug)]
pub struct InitPlan<'a> {
    /// Its identity.
    pub service: ServiceId,
    /// Its priority.
    pub priority: u8,
    /// The syscalls it may make.
    pub mask: SyscallMask,
    /// Its own frames and objects; the rest of the machine goes to its factory.
    pub quota: Quota,
    /// First instruction.
    pub entry: u64,
    /// What to map.
    pub segments: &'a [InitSegment],
    /// Stack pages below `STACK_TOP`.
    pub stack_pages: u32,
}

/// One segment of the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitSegment {
    /// Where it is mapped, page aligned.
    pub va: u64,
    /// First frame of its bytes, inside the boot image.
    pub first: Pfn,
    /// Bytes to copy.
    pub file_len: u64,
    /// Bytes it occupies; the rest is zero.
    pub mem_len: u64,
    /// Protection.
    pub prot: Prot,
}

impl Kernel {
    /// Creates and starts the first process; called once, before anything else.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a plan that contradicts itself or the machine,
    /// [`Error::NoSpace`] or [`Error::QuotaExceeded`] when it does not fit.
    pub fn boot<M: Machine>(&mut self, m: &mut M, cfg: &BootConfig<'_>) -> Result<Outcome, Error> {
        let _ = (m, cfg);
        Err(Error::WrongState)
    }
}
