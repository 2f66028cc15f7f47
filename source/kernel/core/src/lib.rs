//! The pure kernel: capabilities, IPC, notifications, memory bookkeeping, processes, scheduling
//! and events, without heap, without unsafe code and without knowledge of the hardware.
//!
//! The architecture enters through five functions of [`Kernel`] (`boot`, `syscall`, `timer`,
//! `irq`, `fault`); each does its work through a [`Machine`] and says who runs next.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

pub mod boot;
mod cap;
mod console;
mod derive;
mod endpoint;
mod event;
mod factory;
mod frames;
mod info;
pub mod inspect;
mod ipc;
mod life;
pub mod limits;
pub mod machine;
mod map;
mod notif;
mod process;
mod queue;
mod sched;
mod source;
mod syscall;
mod table;
pub mod types;
mod vmo;

pub use boot::{BootConfig, DeviceWindow, InitPlan, InitSegment};
pub use machine::{FrameSource, Machine};
pub use syscall::Permitted;
pub use types::{Pfn, ProcIndex};

use nexus_abi::Handle;

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
pub struct Kernel {
    procs: process::Processes,
    ready: queue::PrioQueue,
    /// End of the running process's slice; `u64::MAX` while it has no equal.
    slice_end: u64,
    /// What the machine's timer is programmed for.
    timer_at: u64,
    endpoints: endpoint::Endpoints,
    notifs: notif::Notifs,
    /// The handle the last refusal was about, for its event.
    refused: Handle,
    /// Processes to end because nobody can start them any more; bit per index.
    doomed: u32,
    /// Incarnations given out.
    incarnations: u32,
    factories: factory::Factories,
    caps: cap::Caps,
    vmos: vmo::Vmos,
    mappings: map::Mappings,
    irqs: source::Irqs,
    frames: frames::Frames,
    events: event::Events,
    console: console::Console,
}

impl Kernel {
    /// An empty kernel.
    #[must_use]
    pub const fn new() -> Kernel {
        Kernel {
            procs: process::Processes::new(),
            ready: queue::PrioQueue::EMPTY,
            slice_end: sched::NEVER,
            timer_at: sched::NEVER,
            endpoints: table::Table::new(endpoint::Endpoint::EMPTY),
            notifs: table::Table::new(notif::Notif::EMPTY),
            refused: Handle::NONE,
            doomed: 0,
            incarnations: 0,
            factories: table::Table::new(factory::Factory::EMPTY),
            caps: cap::Caps::new(),
            vmos: table::Table::new(vmo::Vmo::EMPTY),
            mappings: map::Mappings::new(),
            irqs: table::Table::new(source::Irq::EMPTY),
            frames: frames::Frames::new(),
            events: event::Events::new(),
            console: console::Console::new(),
        }
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel::new()
    }
}
