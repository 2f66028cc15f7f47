//! FIFO per priority, intrusive in the process table: O(1) everything, no scan.

use crate::{
    limits::PRIORITIES,
    process::{NIL, Processes},
    types::ProcIndex,
};

/// Processes waiting for one thing. A process is in at most one queue, so they share links.
#[derive(Clone, Copy)]
pub(crate) struct PrioQueue {
    /// Bit n: priority n has a waiter.
    bitmap: u8,
    head: [u8; PRIORITIES],
    tail: [u8; PRIORITIES],
}

/// Highest set bit of every byte; the target has no count-leading-zeros instruction.
const HIGHEST: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 2;
    while i < 256 {
        #[allow(
            clippy::indexing_slicing,
            clippy::arithmetic_side_effects,
            reason = "evaluated at compile time, where a mistake does not build"
        )]
        {
            table[i] = table[i / 2] + 1;
            i += 1;
        }
    }
    table
};

impl PrioQueue {
    pub(crate) const EMPTY: PrioQueue =
        PrioQueue { bitmap: 0, head: [NIL; PRIORITIES], tail: [NIL; PRIORITIES] };

    /// Non-empty priorities at and above `priority`, shifted down to bit 0.
    #[inline(always)]
    pub(crate) fn at_or_above(&self, priority: u8) -> u8 {
        self.bitmap.checked_shr(u32::from(priority)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.bitmap == 0
    }

    #[inline]
    fn ends(&mut self, priority: u8) -> (Option<&mut u8>, Option<&mut u8>, &mut u8) {
        let level = usize::from(priority);
        (self.head.get_mut(level), self.tail.get_mut(level), &mut self.bitmap)
    }

    #[inline]
    pub(crate) fn push_back(&mut self, procs: &mut Processes, p: ProcIndex) {
        let priority = procs.get(p).priority;
        let (Some(head), Some(tail), bitmap) = self.ends(priority) else { return };
        let last = core::mem::replace(tail, p.0);
        *bitmap |= bit(priority);
        if last == NIL {
            *head = p.0;
        } else {
            procs.get_mut(ProcIndex(last)).next = p.0;
        }
        let entry = procs.get_mut(p);
        entry.prev = last;
        entry.next = NIL;
    }

    #[inline]
    pub(crate) fn push_front(&mut self, procs: &mut Processes, p: ProcIndex) {
        let priority = procs.get(p).priority;
        let (Some(head), Some(tail), bitmap) = self.ends(priority) else { return };
        let first = core::mem::replace(head, p.0);
        *bitmap |= bit(priority);
        if first == NIL {
            *tail = p.0;
        } else {
            procs.get_mut(ProcIndex(first)).prev = p.0;
        }
        let entry = procs.get_mut(p);
        entry.next = first;
        entry.prev = NIL;
    }

    /// First of the highest priority.
    #[inline]
    pub(crate) fn pop(&mut self, procs: &mut Processes) -> Option<ProcIndex> {
        let p = self.peek()?;
        self.remove(procs, p);
        Some(p)
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<ProcIndex> {
        if self.bitmap == 0 {
            return None;
        }
        let level = *HIGHEST.get(usize::from(self.bitmap))?;
        self.head.get(usize::from(level)).copied().map(ProcIndex)
    }

    /// Takes a member out of the middle.
    #[inline]
    pub(crate) fn remove(&mut self, procs: &mut Processes, p: ProcIndex) {
        let entry = procs.get_mut(p);
        let (priority, next, prev) = (entry.priority, entry.next, entry.prev);
        entry.next = NIL;
        entry.prev = NIL;
        let (Some(head), Some(tail), bitmap) = self.ends(priority) else { return };
        if prev == NIL {
            *head = next;
        } else {
            procs.get_mut(ProcIndex(prev)).next = next;
        }
        if next == NIL {
            *tail = prev;
        } else {
            procs.get_mut(ProcIndex(next)).prev = prev;
        }
        if *head == NIL {
            *bitmap &= !bit(priority);
        }
    }
}

#[inline(always)]
fn bit(priority: u8) -> u8 {
    1u8.checked_shl(u32::from(priority)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Processes {
        let mut procs = Processes::new();
        for (i, priority) in [3u8, 7, 3, 0, 7].into_iter().enumerate() {
            procs.get_mut(ProcIndex(i as u8)).priority = priority;
        }
        procs
    }

    #[test]
    fn order_is_priority_then_arrival() {
        let mut procs = setup();
        let mut q = PrioQueue::EMPTY;
        for i in 0..5 {
            q.push_back(&mut procs, ProcIndex(i));
        }
        assert_eq!(q.at_or_above(4), 0b1000);
        let order: Vec<u8> = core::iter::from_fn(|| q.pop(&mut procs)).map(|p| p.0).collect();
        assert_eq!(order, [1, 4, 0, 2, 3]);
        assert!(q.is_empty());
    }

    #[test]
    fn front_and_middle() {
        let mut procs = setup();
        let mut q = PrioQueue::EMPTY;
        q.push_back(&mut procs, ProcIndex(0));
        q.push_front(&mut procs, ProcIndex(2));
        q.push_back(&mut procs, ProcIndex(3));
        q.remove(&mut procs, ProcIndex(0));
        assert_eq!(q.pop(&mut procs), Some(ProcIndex(2)));
        q.remove(&mut procs, ProcIndex(3));
        assert_eq!(q.pop(&mut procs), None);
    }
}
