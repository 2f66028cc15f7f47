//! Capabilities of all processes in one array, and the tree of what was derived from what.

use nexus_abi::{Error, Handle, Rights, layout::SLOT_WIRED, syscall::CapKind};

use crate::{
    limits::{CAPS_PER_PROCESS, MAX_CAPS, MAX_PROCESSES},
    table::Table,
    types::ProcIndex,
};

/// Last slot generation (24 bits): a slot that reached it is never filled again, so no handle
/// ever names a second object.
const LAST_GENERATION: u32 = 0xff_ffff;

/// Slots that handles are handed out from; the ones below are wired by the creator.
const DYNAMIC: u64 = u64::MAX << SLOT_WIRED;

/// A link is the process index above the slot number.
const SLOT_BITS: u32 = CAPS_PER_PROCESS.trailing_zeros();
const SLOT_MASK: u16 = (CAPS_PER_PROCESS - 1) as u16;

/// Position of a capability: process * slots + slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CapLink(u16);

impl CapLink {
    pub(crate) const NONE: CapLink = CapLink(u16::MAX);

    #[inline(always)]
    pub(crate) fn of(proc: ProcIndex, slot: u8) -> CapLink {
        CapLink((u16::from(proc.0) << SLOT_BITS) | u16::from(slot))
    }

    pub(crate) fn owner(self) -> ProcIndex {
        ProcIndex((self.0 >> SLOT_BITS) as u8)
    }

    pub(crate) fn slot(self) -> u8 {
        (self.0 & SLOT_MASK) as u8
    }

    pub(crate) fn is_none(self) -> bool {
        self == CapLink::NONE
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Cap {
    pub(crate) badge: u64,
    /// Of the slot; survives its being empty.
    pub(crate) generation: u32,
    /// Of the object when the capability was made; another one means the object is gone.
    pub(crate) object_gen: u32,
    pub(crate) object: u16,
    pub(crate) rights: Rights,
    /// Mappings that were made through it or fell to it.
    pub(crate) maps: u16,
    pub(crate) parent: CapLink,
    pub(crate) child: CapLink,
    pub(crate) next: CapLink,
    pub(crate) prev: CapLink,
    /// `None`: empty slot.
    pub(crate) kind: Option<CapKind>,
}

impl Cap {
    const EMPTY: Cap = Cap::root(None, 0, 0, Rights::NONE);

    /// A capability that was derived from nothing.
    pub(crate) const fn root(
        kind: Option<CapKind>,
        object: u16,
        object_gen: u32,
        rights: Rights,
    ) -> Cap {
        Cap {
            badge: 0,
            generation: Handle::FIRST_GENERATION,
            object_gen,
            object,
            rights,
            maps: 0,
            parent: CapLink::NONE,
            child: CapLink::NONE,
            next: CapLink::NONE,
            prev: CapLink::NONE,
            kind,
        }
    }
}

/// The tables of all processes.
pub(crate) struct Caps {
    caps: Table<Cap, MAX_CAPS>,
    /// Bit n: slot n can be filled.
    free: Table<u64, MAX_PROCESSES>,
}

impl Caps {
    pub(crate) const fn new() -> Self {
        Caps { caps: Table::new(Cap::EMPTY), free: Table::new(0) }
    }

    /// Empties the table of a process that is about to be made: all slots start over.
    pub(crate) fn reset(&mut self, proc: ProcIndex) {
        for slot in 0..CAPS_PER_PROCESS as u8 {
            *self.get_mut(CapLink::of(proc, slot)) = Cap::EMPTY;
        }
        *self.free.at_mut(proc.index()) = u64::MAX;
    }

    #[inline(always)]
    pub(crate) fn get(&self, link: CapLink) -> &Cap {
        self.caps.at(usize::from(link.0))
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, link: CapLink) -> &mut Cap {
        self.caps.at_mut(usize::from(link.0))
    }

    /// The slot a handle names, if it is filled in that generation.
    pub(crate) fn find(&self, proc: ProcIndex, handle: Handle) -> Result<CapLink, Error> {
        if handle.is_none() || usize::from(handle.slot()) >= CAPS_PER_PROCESS {
            return Err(Error::BadHandle);
        }
        let link = CapLink::of(proc, handle.slot());
        let cap = self.get(link);
        match cap.kind {
            None => Err(Error::BadHandle),
            Some(_) if cap.generation != handle.generation() => Err(Error::StaleHandle),
            Some(_) => Ok(link),
        }
    }

    pub(crate) fn handle(&self, link: CapLink) -> Handle {
        Handle::new(link.slot(), self.get(link).generation)
    }

    /// Filled slots of a process, as bits; retired slots count as filled.
    pub(crate) fn filled(&self, proc: ProcIndex) -> u64 {
        !*self.free.at(proc.index())
    }

    /// A free slot for a handle the process did not choose.
    pub(crate) fn vacancy(&self, proc: ProcIndex) -> Result<CapLink, Error> {
        match self.free.at(proc.index()) & DYNAMIC {
            0 => Err(Error::NoSpace),
            free => Ok(CapLink::of(proc, free.trailing_zeros() as u8)),
        }
    }

    /// The named slot, if it is free.
    pub(crate) fn vacant(&self, proc: ProcIndex, slot: u8) -> Result<CapLink, Error> {
        if usize::from(slot) >= CAPS_PER_PROCESS {
            return Err(Error::InvalidArgument);
        }
        let free = self.free.at(proc.index());
        if (free >> slot) & 1 == 1 { Ok(CapLink::of(proc, slot)) } else { Err(Error::Busy) }
    }

    /// Fills a vacant slot; the generation stays the slot's. Links the tree by `cap.parent`.
    pub(crate) fn fill(&mut self, at: CapLink, cap: Cap) -> Handle {
        *self.free.at_mut(at.owner().index()) &= !(1u64.wrapping_shl(at.slot().into()));
        let generation = self.get(at).generation;
        *self.get_mut(at) = Cap { generation, child: CapLink::NONE, ..cap };
        self.adopt(cap.parent, at);
        self.handle(at)
    }

    /// Empties a slot whose children and mappings have been dealt with.
    pub(crate) fn clear(&mut self, at: CapLink) {
        self.disown(at);
        let generation = self.get(at).generation.saturating_add(1);
        *self.get_mut(at) = Cap { generation, ..Cap::EMPTY };
        if generation < LAST_GENERATION {
            *self.free.at_mut(at.owner().index()) |= 1u64.wrapping_shl(at.slot().into());
        }
    }

    /// Makes `child` the first child of `parent`.
    fn adopt(&mut self, parent: CapLink, child: CapLink) {
        let first = if parent.is_none() {
            CapLink::NONE
        } else {
            core::mem::replace(&mut self.get_mut(parent).child, child)
        };
        if !first.is_none() {
            self.get_mut(first).prev = child;
        }
        let cap = self.get_mut(child);
        cap.parent = parent;
        cap.next = first;
        cap.prev = CapLink::NONE;
    }

    /// Takes a capability out of its parent's list.
    fn disown(&mut self, at: CapLink) {
        let Cap { parent, next, prev, .. } = *self.get(at);
        if parent.is_none() {
            return;
        }
        if prev.is_none() {
            self.get_mut(parent).child = next;
        } else {
            self.get_mut(prev).next = next;
        }
        if !next.is_none() {
            self.get_mut(next).prev = prev;
        }
        let cap = self.get_mut(at);
        cap.parent = CapLink::NONE;
        cap.next = CapLink::NONE;
        cap.prev = CapLink::NONE;
    }

    /// Hands the children of `at` to its parent, so that they stay revocable from above.
    pub(crate) fn bequeath(&mut self, at: CapLink) {
        let parent = self.get(at).parent;
        loop {
            let child = self.get(at).child;
            if child.is_none() {
                return;
            }
            self.disown(child);
            self.adopt(parent, child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps() -> Caps {
        let mut caps = Caps::new();
        caps.reset(ProcIndex(1));
        caps
    }

    fn put(caps: &mut Caps, parent: CapLink) -> CapLink {
        let at = caps.vacancy(ProcIndex(1)).unwrap();
        let cap = Cap { parent, ..Cap::root(Some(CapKind::Vmo), 3, 1, Rights::ALL) };
        caps.fill(at, cap);
        at
    }

    #[test]
    fn a_closed_slot_makes_its_handle_stale() {
        let mut caps = caps();
        let at = put(&mut caps, CapLink::NONE);
        let old = caps.handle(at);
        assert_eq!(caps.find(ProcIndex(1), old), Ok(at));
        caps.clear(at);
        assert_eq!(caps.find(ProcIndex(1), old), Err(Error::BadHandle));
        assert_eq!(put(&mut caps, CapLink::NONE), at);
        assert_eq!(caps.find(ProcIndex(1), old), Err(Error::StaleHandle));
        assert_eq!(caps.find(ProcIndex(2), old), Err(Error::BadHandle));
        assert_eq!(caps.find(ProcIndex(1), Handle::new(64, 1)), Err(Error::BadHandle));
    }

    #[test]
    fn children_fall_to_the_grandparent() {
        let mut caps = caps();
        let a = put(&mut caps, CapLink::NONE);
        let b = put(&mut caps, a);
        let (c, d) = (put(&mut caps, b), put(&mut caps, b));
        caps.bequeath(b);
        caps.clear(b);
        assert_eq!((caps.get(c).parent, caps.get(d).parent), (a, a));
        let first = caps.get(a).child;
        assert_eq!(caps.get(first).next, if first == c { d } else { c });
    }

    #[test]
    fn a_slot_at_its_last_generation_is_retired() {
        let mut caps = caps();
        let at = put(&mut caps, CapLink::NONE);
        caps.get_mut(at).generation = LAST_GENERATION - 1;
        caps.clear(at);
        assert_eq!(caps.vacant(ProcIndex(1), at.slot()), Err(Error::Busy));
        assert_ne!(put(&mut caps, CapLink::NONE), at);
    }

    #[test]
    fn handed_out_slots_are_not_the_wired_ones() {
        let mut caps = caps();
        for _ in 0..60 {
            assert!(put(&mut caps, CapLink::NONE).slot() >= SLOT_WIRED);
        }
        assert_eq!(caps.vacancy(ProcIndex(1)), Err(Error::NoSpace));
    }
}
