//! Turns a verified image into a process that can start, or leaves nothing behind.
//!
//! [`create`] makes the process, copies each segment of the load plan into fresh memory, seals
//! what must not be written again and maps it. The child inherits nothing: whatever it may use is
//! handed over with [`Child::give`] before [`Child::start`]. After a failure of any of the three
//! the process is gone and no handle of it is left open.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "the fake kernel counts freely"))]

mod memory;
#[cfg(test)]
mod tests;

use nexus_abi::{
    Call, Error, Handle, Rights, ServiceId, Sys, SyscallMask,
    layout::{PAGE, STACK_TOP},
    syscall::Quota,
};
use nexus_elf::ElfError;

pub use memory::sealed_copy;

/// Exit code of a process that was ended before it ran.
pub const EXIT_ABANDONED: i32 = -1;

/// Most stack pages a child may ask for; a stack is one memory object, and the address range
/// below [`STACK_TOP`] is far larger.
pub const STACK_PAGES_MAX: u32 = 256;

/// What the process will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Capability that allows making it.
    pub factory: Handle,
    /// Identity the kernel will stamp on its frames.
    pub service: ServiceId,
    /// Syscalls it may make.
    pub mask: SyscallMask,
    /// What it may own. The memory of its image and stack is the creator's.
    pub quota: Quota,
    /// Scheduling priority.
    pub priority: u8,
    /// Stack pages, 1..=[`STACK_PAGES_MAX`]; the page below them stays unmapped.
    pub stack_pages: u32,
}

/// Why there is no new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The image was refused.
    Image(ElfError),
    /// The stack size is outside its bounds.
    Stack,
    /// The kernel refused a step.
    Kernel(Error),
}

impl From<Error> for SpawnError {
    fn from(error: Error) -> SpawnError {
        SpawnError::Kernel(error)
    }
}

/// A process that has its memory but has not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a child that is neither started nor ended stays half-made"]
pub struct Child {
    /// The process, with all rights; the caller's to keep or close.
    pub process: Handle,
    /// First instruction.
    pub entry: u64,
    /// Initial stack pointer.
    pub sp: u64,
}

/// Makes a process from an image: checked, loaded, with a guarded stack, not yet running.
///
/// # Errors
/// See [`SpawnError`]; nothing is left of the process.
pub fn create<S: Sys>(sys: &mut S, spec: &Spec, image: &[u8]) -> Result<Child, SpawnError> {
    let plan = nexus_elf::plan(image).map_err(SpawnError::Image)?;
    if spec.stack_pages == 0 || spec.stack_pages > STACK_PAGES_MAX {
        return Err(SpawnError::Stack);
    }
    let process = sys.make(Call::ProcCreate {
        factory: spec.factory,
        service: spec.service,
        mask: spec.mask,
        quota: spec.quota,
        priority: spec.priority,
    })?;
    let child = Child { process, entry: plan.entry, sp: STACK_TOP };
    for segment in plan.segments() {
        let loaded = memory::load_segment(sys, process, segment, image);
        child.ended_on_error(sys, loaded)?;
    }
    let stack = memory::map_stack(sys, process, u64::from(spec.stack_pages).saturating_mul(PAGE));
    child.ended_on_error(sys, stack)?;
    Ok(child)
}

impl Child {
    /// Derives `cap` into the child's slot `slot`, with `rights` and, on an endpoint without
    /// one, `badge`.
    ///
    /// # Errors
    /// As `cap_derive`; the child is ended and its handle closed.
    pub fn give<S: Sys>(
        &self,
        sys: &mut S,
        cap: Handle,
        rights: Rights,
        badge: u64,
        slot: u8,
    ) -> Result<(), SpawnError> {
        let given = sys.run(Call::CapDerive { cap, rights, badge, child: self.process, slot });
        self.ended_on_error(sys, given.map(|_| ()))
    }

    /// Lets it run, with `arg` in its first register.
    ///
    /// # Errors
    /// As `proc_start`; the child is ended and its handle closed.
    pub fn start<S: Sys>(&self, sys: &mut S, arg: u64) -> Result<(), SpawnError> {
        let Child { process: proc, entry, sp } = *self;
        let started = sys.run(Call::ProcStart { proc, entry, sp, arg });
        self.ended_on_error(sys, started.map(|_| ()))
    }

    /// Ends the child and closes its handle: for a creator that changes its mind.
    pub fn end<S: Sys>(&self, sys: &mut S, code: i32) {
        // Both may fail only because the process is already gone, which is what we want.
        let _ended = sys.run(Call::ProcExit { proc: self.process, code });
        let _closed = sys.run(Call::CapClose { cap: self.process });
    }

    fn ended_on_error<S: Sys>(
        &self,
        sys: &mut S,
        step: Result<(), Error>,
    ) -> Result<(), SpawnError> {
        if step.is_err() {
            self.end(sys, EXIT_ABANDONED);
        }
        Ok(step?)
    }
}
