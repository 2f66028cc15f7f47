//! What the pure core needs from the hardware. `nexus-kernel-rv64`, `nexus-sim` and the model
//! test implement it; the core never touches a register, a page table or a user address.

use nexus_abi::{Error, Return, ServiceId, syscall::Prot};

use crate::types::{Pfn, ProcIndex};

/// Frames for page tables, charged to the process whose space grows.
pub trait FrameSource {
    /// A frame full of zeroes, or `None` when the quota or the memory is used up. The machine
    /// then fails the operation with [`Error::QuotaExceeded`].
    fn take(&mut self) -> Option<Pfn>;
    /// Gives a table frame back.
    fn give(&mut self, frame: Pfn);
}

/// Everything the core needs from the hardware.
///
/// A process index names one context, one address space and one message page. Ranges handed to
/// `map` and `unmap` are page aligned, inside the user range, and never contain the message
/// page; `map` is never asked to cover a page that is mapped.
pub trait Machine {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// One shot: calls [`crate::Kernel::timer`] at `deadline_ns`, at once if that has passed.
    /// Replaces the deadline set before.
    fn set_timer(&mut self, deadline_ns: u64);
    /// Writes registers a0..a6 of a process that is stopped in a syscall.
    fn set_return(&mut self, proc: ProcIndex, ret: &Return);
    /// Resets the context: user mode at `entry`, stack pointer `sp`, `arg` in a0, every other
    /// register zero.
    fn start_context(&mut self, proc: ProcIndex, entry: u64, sp: u64, arg: u64);
    /// Copies exactly `len` bytes (1..=512) from the start of one message page to another.
    fn copy_frame(&mut self, from: ProcIndex, to: ProcIndex, len: usize);
    /// Copies the first `out.len()` bytes (at most 512) of a message page.
    fn read_frame(&mut self, from: ProcIndex, out: &mut [u8]);
    /// Overwrites the first `bytes.len()` bytes (at most 512) of a message page.
    fn write_frame(&mut self, to: ProcIndex, bytes: &[u8]);
    /// Clears whole frames.
    fn zero_frames(&mut self, first: Pfn, count: u32);
    /// Copies `len` bytes from the start of frame `src` on to frame `dst` on (boot only).
    fn copy_phys(&mut self, dst: Pfn, src: Pfn, len: u64);
    /// Makes an empty space: `root` (zeroed) is its root table, the kernel half is shared, and
    /// `message` (zeroed) is mapped user read-write at `MESSAGE_PAGE`. Both frames stay the core's.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when `frames` runs dry; `space_destroy` is called afterwards.
    fn space_create(
        &mut self,
        proc: ProcIndex,
        root: Pfn,
        message: Pfn,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error>;
    /// Leaves the space for good (it may be the one in use), forgets every translation of it,
    /// and gives back every frame it took from a [`FrameSource`]; not root and message page,
    /// which the core frees itself.
    fn space_destroy(&mut self, proc: ProcIndex, frames: &mut dyn FrameSource);
    /// Maps `pages` frames from `first` on at `va`. `device`: strongly ordered, uncached.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when `frames` runs dry; then no page of the range is mapped, and
    /// tables taken may stay with the space.
    #[expect(clippy::too_many_arguments, reason = "the seam to the hardware, one value each")]
    fn map(
        &mut self,
        proc: ProcIndex,
        va: u64,
        first: Pfn,
        pages: u32,
        prot: Prot,
        device: bool,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error>;
    /// Removes `pages` translations from `va` on; when it returns, no access through them works.
    fn unmap(&mut self, proc: ProcIndex, va: u64, pages: u32);
    /// Masks or unmasks an interrupt line. Unmasking also completes the interrupt.
    fn irq_mask(&mut self, line: u32, masked: bool);
    /// Prints `[<origin>] <line>` and a newline. `line` is printable ASCII without newline.
    fn console_line(&mut self, origin: ServiceId, line: &[u8]);
}
