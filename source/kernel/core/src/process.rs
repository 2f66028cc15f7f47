//! One process as the kernel keeps it: what it does right now, who it is, what it may use.

use nexus_abi::{FaultCause, Handle, ServiceId, SyscallMask};

use crate::{
    cap::CapLink,
    limits::MAX_PROCESSES,
    notif::NotifBit,
    table::Table,
    types::{Pfn, ProcIndex},
    vmo::Payer,
};

/// "No process" in the one-byte links.
pub(crate) const NIL: u8 = u8::MAX;

/// What a process does. `Process::on` names the object of the blocked states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Unused table entry.
    Free,
    /// Made, not started.
    Created,
    /// In the ready queue.
    Ready,
    /// On the hart.
    Running,
    /// Its call waits in an endpoint's queue (`on`: endpoint).
    Queued,
    /// Its call was received, the reply is outstanding (`on`: server process).
    Awaiting,
    /// Waits for a frame (`on`: endpoint).
    Receiving,
    /// Waits for bits (`on`: notification).
    Waiting,
    /// Waits for its deadline alone.
    Sleeping,
    /// Ended; kept for its exit status until the last handle closes.
    Dead,
}

impl State {
    /// Has an address space and capabilities.
    pub(crate) fn is_alive(self) -> bool {
        !matches!(self, State::Free | State::Dead)
    }

    pub(crate) fn is_blocked(self) -> bool {
        use State::{Awaiting, Queued, Receiving, Sleeping, Waiting};
        matches!(self, Queued | Awaiting | Receiving | Waiting | Sleeping)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It has not.
    None,
    /// By itself, with a code.
    Exited(i32),
    /// Stopped by the hardware: cause, address, program counter.
    Faulted(FaultCause, u64, u64),
    /// Ended by another process, with a code.
    Killed(i32),
}

#[derive(Clone, Copy)]
pub(crate) struct Process {
    // What call, reply and receive touch comes first and shares cache lines.
    pub(crate) state: State,
    pub(crate) priority: u8,
    /// Links of the one queue the process is in (ready queue or an endpoint's).
    pub(crate) next: u8,
    pub(crate) prev: u8,
    pub(crate) on: u16,
    /// The capability the blocked call, receive or wait was made through.
    pub(crate) via: CapLink,
    pub(crate) mask: SyscallMask,
    /// Absolute; `u64::MAX` when there is none or the process is not blocked.
    pub(crate) deadline: u64,
    /// Of the last call; the low byte is the process index. Never reset, so no token repeats.
    pub(crate) token: u64,
    /// Notification bits a wait or receive asked for.
    pub(crate) want: u64,
    pub(crate) service: ServiceId,
    pub(crate) incarnation: u32,
    /// Queued call: frame length, capability to move, badge.
    pub(crate) len: u16,
    pub(crate) cap: Handle,
    pub(crate) badge: u64,
    pub(crate) rest: Cold,
}

/// What only creation, death, mapping and quota look at.
#[derive(Clone, Copy)]
pub(crate) struct Cold {
    /// Handles to this process.
    pub(crate) refs: u16,
    /// Process whose object quota pays for this one.
    pub(crate) creator: Payer,
    /// Factory its quota came out of.
    pub(crate) factory: u8,
    pub(crate) exit: Exit,
    pub(crate) root: Pfn,
    pub(crate) message: Pfn,
    pub(crate) frames_used: u32,
    pub(crate) frames_limit: u32,
    pub(crate) objects_used: u16,
    pub(crate) objects_limit: u16,
    /// Frames of the address space: root, message page, tables.
    pub(crate) space_frames: u32,
    /// Signalled when it ends.
    pub(crate) death: Option<NotifBit>,
    /// Syscalls refused by the mask.
    pub(crate) denied: u64,
}

impl Process {
    pub(crate) const EMPTY: Process = Process {
        state: State::Free,
        priority: 0,
        next: NIL,
        prev: NIL,
        on: 0,
        via: CapLink::NONE,
        mask: SyscallMask(0),
        deadline: u64::MAX,
        token: 0,
        want: 0,
        service: ServiceId(0),
        incarnation: 0,
        len: 0,
        cap: Handle::NONE,
        badge: 0,
        rest: Cold {
            refs: 0,
            creator: Payer::Nobody,
            factory: crate::factory::POOL,
            exit: Exit::None,
            root: Pfn(0),
            message: Pfn(0),
            frames_used: 0,
            frames_limit: 0,
            objects_used: 0,
            objects_limit: 0,
            space_frames: 0,
            death: None,
            denied: 0,
        },
    };
}

/// The process table.
pub(crate) struct Processes(Table<Process, MAX_PROCESSES>);

impl Processes {
    pub(crate) const fn new() -> Self {
        Processes(Table::new(Process::EMPTY))
    }

    #[inline(always)]
    pub(crate) fn get(&self, p: ProcIndex) -> &Process {
        self.0.at(p.index())
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, p: ProcIndex) -> &mut Process {
        self.0.at_mut(p.index())
    }

    pub(crate) fn free(&self) -> Option<ProcIndex> {
        self.find(|p| p.state == State::Free)
    }

    pub(crate) fn find(&self, f: impl FnMut(&Process) -> bool) -> Option<ProcIndex> {
        self.0.position(f).map(|i| ProcIndex(i as u8))
    }

    /// Every index, for loops that change the kernel as they go.
    pub(crate) fn indices() -> impl Iterator<Item = ProcIndex> {
        (0..MAX_PROCESSES as u8).map(ProcIndex)
    }
}
