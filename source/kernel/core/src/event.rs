//! The kernel event ring: fixed records, one sequence that never lies about losses.

use nexus_abi::{EventKind, KernelEvent, ServiceId};

use crate::{
    Kernel, Machine,
    limits::{EVENT_BELL, EVENT_RING},
    notif::NotifBit,
    table::Table,
    types::ProcIndex,
};

const EMPTY: KernelEvent = KernelEvent {
    seq: 0,
    time_ns: 0,
    kind: EventKind::SyscallDenied,
    detail: 0,
    service: ServiceId(0),
    incarnation: 0,
    arg0: 0,
    arg1: 0,
};

/// Oldest first; a full ring drops its oldest record and counts it.
pub(crate) struct Events {
    ring: Table<KernelEvent, EVENT_RING>,
    /// Sequence number of the next event; event `n` lies at `n % EVENT_RING`.
    next: u64,
    /// Events waiting.
    waiting: u64,
    dropped: u64,
    pub(crate) bound: Option<NotifBit>,
}

impl Events {
    pub(crate) const fn new() -> Self {
        Events { ring: Table::new(EMPTY), next: 0, waiting: 0, dropped: 0, bound: None }
    }

    /// Stores under the next sequence number. True when the reader should be told: once, when
    /// the ring becomes half full. Telling it of every event would let a process that makes
    /// denied calls run the reader at will; what waits longer, the reader fetches by its clock.
    #[inline(always)]
    fn push(&mut self, event: KernelEvent) -> bool {
        let at = self.next as usize % EVENT_RING;
        *self.ring.at_mut(at) = KernelEvent { seq: self.next, ..event };
        self.next = self.next.wrapping_add(1);
        if self.waiting == EVENT_RING as u64 {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.waiting = self.waiting.wrapping_add(1);
        self.waiting == EVENT_BELL
    }

    pub(crate) fn pop(&mut self) -> Option<KernelEvent> {
        if self.waiting == 0 {
            return None;
        }
        let at = self.next.wrapping_sub(self.waiting) as usize % EVENT_RING;
        self.waiting = self.waiting.wrapping_sub(1);
        Some(*self.ring.at(at))
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn produced(&self) -> u64 {
        self.next
    }
}

impl Kernel {
    /// Appends an event about `p`, and tells the reader when many wait.
    pub(crate) fn report<M: Machine>(
        &mut self,
        m: &mut M,
        p: ProcIndex,
        kind: EventKind,
        detail: u8,
        args: [u64; 2],
    ) {
        if self.record(m, p, kind, detail, args) {
            self.tell_reader(m);
        }
    }

    /// Appends an event about `p`; true when the reader should be told.
    #[inline(always)]
    pub(crate) fn record<M: Machine>(
        &mut self,
        m: &mut M,
        p: ProcIndex,
        kind: EventKind,
        detail: u8,
        [arg0, arg1]: [u64; 2],
    ) -> bool {
        let process = self.procs.get(p);
        let (service, incarnation) = (process.service, process.incarnation);
        let time_ns = m.now_ns();
        self.events.push(KernelEvent {
            seq: 0,
            time_ns,
            kind,
            detail,
            service,
            incarnation,
            arg0,
            arg1,
        })
    }

    pub(crate) fn tell_reader<M: Machine>(&mut self, m: &mut M) {
        let bound = self.events.bound;
        self.signal_bound(m, bound);
    }

    /// Moves the oldest events into the reader's message page: moved, dropped, still waiting.
    pub(crate) fn read_events<M: Machine>(&mut self, m: &mut M, reader: ProcIndex) -> [u64; 4] {
        let mut bytes = [0u8; KernelEvent::BYTES * KernelEvent::PER_FRAME];
        let mut moved = 0usize;
        for place in bytes.chunks_exact_mut(KernelEvent::BYTES) {
            let Some(event) = self.events.pop() else { break };
            place.copy_from_slice(&event.encode());
            moved = moved.saturating_add(1);
        }
        let used = moved.saturating_mul(KernelEvent::BYTES);
        if let Some(used) = bytes.get(..used).filter(|used| !used.is_empty()) {
            m.write_frame(reader, used);
        }
        [moved as u64, self.events.dropped(), self.events.waiting(), 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_and_the_sequence_shows_them() {
        let mut events = Events::new();
        let told = (0..EVENT_RING + 3).filter(|_| events.push(EMPTY)).count();
        assert_eq!(told, 1, "the reader is told once, half way");
        assert_eq!((events.waiting(), events.dropped()), (EVENT_RING as u64, 3));
        let read: Vec<u64> = core::iter::from_fn(|| events.pop()).map(|e| e.seq).collect();
        assert_eq!(read, (3..EVENT_RING as u64 + 3).collect::<Vec<_>>());
        assert_eq!(events.produced(), read.len() as u64 + events.dropped());
        assert_eq!(events.pop(), None);
    }
}
