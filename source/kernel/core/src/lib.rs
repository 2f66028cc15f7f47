//! The pure kernel: capabilities, IPC, notifications, memory bookkeeping, processes, scheduling
//! and events, without heap, without unsafe code and without knowledge of the hardware.
//!
//! The architecture enters through five functions of [`Kernel`] (`boot`, `syscall`, `timer`,
//! `irq`, `fault`); each does its work through a [`Machine`] and says who runs next.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

pub mod boot;
pub mod limits;
pub mod machine;
pub mod types;

pub use boot::{BootConfig, DeviceWindow, InitPlan, InitSegment};
pub use machine::{FrameSource, Machine};
pub use types::{Pfn, ProcIndex};

use nexus_abi::FaultCause;

/// Who runs when the kernel returns to user mode.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Resume this process.
    Resume(ProcIndex),
    /// Nobody is ready: wait for an interrupt.
    Idle,
}

/// The whole kernel state. Large: place it in a static.
#[derive(Default)]
pub struct Kernel {}

impl Kernel {
    /// An empty kernel.
    #[must_use]
    pub const fn new() -> Kernel {
        Kernel {}
    }

    /// A system call of the running process `cur`: number (a7) and a0..a5.
    pub fn syscall<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        nr: u64,
        args: &[u64; 6],
    ) -> Outcome {
        let _ = (m, nr, args);
        Outcome::Resume(cur)
    }

    /// The timer fired; `cur` is the interrupted process, `None` when idle.
    pub fn timer<M: Machine>(&mut self, m: &mut M, cur: Option<ProcIndex>) -> Outcome {
        let _ = m;
        cur.map_or(Outcome::Idle, Outcome::Resume)
    }

    /// Interrupt line `line` fired and was claimed; it is masked until its holder acknowledges.
    pub fn irq<M: Machine>(&mut self, m: &mut M, cur: Option<ProcIndex>, line: u32) -> Outcome {
        let _ = (m, line);
        cur.map_or(Outcome::Idle, Outcome::Resume)
    }

    /// The hardware stopped `cur`; the process ends, its parent is told cause and address.
    pub fn fault<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        cause: FaultCause,
        addr: u64,
        pc: u64,
    ) -> Outcome {
        let _ = (m, cur, cause, addr, pc);
        Outcome::Idle
    }
}
