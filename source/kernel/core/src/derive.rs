//! Looking capabilities up, deriving, moving, closing and revoking them.

use nexus_abi::{Error, EventKind, Handle, Rights, syscall::CapKind};

use crate::{
    Kernel, Machine,
    cap::{Cap, CapLink},
    limits::CAPS_PER_PROCESS,
    process::State,
    types::{EndpointIndex, NotifIndex, ProcIndex, VmoIndex},
};

impl Kernel {
    /// The capability behind a handle, if it is of `kind` and holds `right`.
    #[inline(always)]
    pub(crate) fn typed_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        kind: CapKind,
        right: Rights,
    ) -> Result<(CapLink, Cap), Error> {
        let link = CapLink::of(cur, handle.slot() & (CAPS_PER_PROCESS as u8).wrapping_sub(1));
        let cap = self.caps.get(link);
        let fits = cap.kind == Some(kind) && cap.rights.contains(right);
        if fits && Handle::new(link.slot(), cap.generation) == handle {
            return Ok((link, *cap));
        }
        Err(self.why_not(cur, handle, kind))
    }

    #[cold]
    #[inline(never)]
    fn why_not(&mut self, cur: ProcIndex, handle: Handle, kind: CapKind) -> Error {
        match self.caps.find(cur, handle) {
            Err(error) => error,
            Ok(link) => {
                self.refused = handle;
                let same = self.caps.get(link).kind == Some(kind);
                if same { Error::MissingRight } else { Error::WrongType }
            }
        }
    }

    /// A capability of whatever kind with `right`, whose object still exists.
    pub(crate) fn any_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        right: Rights,
    ) -> Result<CapLink, Error> {
        let link = self.caps.find(cur, handle)?;
        let cap = self.caps.get(link);
        if !self.object_exists(cap) {
            return Err(Error::StaleHandle);
        }
        if !cap.rights.contains(right) {
            self.refused = handle;
            return Err(Error::MissingRight);
        }
        Ok(link)
    }

    pub(crate) fn object_exists(&self, cap: &Cap) -> bool {
        let index = usize::from(cap.object);
        match cap.kind {
            None => false,
            Some(CapKind::Endpoint) => self.endpoints.at(index).generation == cap.object_gen,
            Some(CapKind::Notification) => self.notifs.at(index).generation == cap.object_gen,
            Some(CapKind::Process) => {
                self.procs.get(ProcIndex(cap.object as u8)).incarnation == cap.object_gen
            }
            Some(CapKind::Factory) => self.factories.at(index).generation == cap.object_gen,
            Some(CapKind::Vmo | CapKind::Irq | CapKind::KernelLog) => true,
        }
    }

    /// Filled slots of one process.
    pub(crate) fn caps_of(&self, proc: ProcIndex) -> impl Iterator<Item = (CapLink, &Cap)> {
        let filled = self.caps.filled(proc);
        (0..CAPS_PER_PROCESS as u8)
            .filter(move |slot| (filled >> slot) & 1 == 1)
            .map(move |slot| CapLink::of(proc, slot))
            .map(|link| (link, self.caps.get(link)))
            .filter(|(_, cap)| cap.kind.is_some())
    }

    pub(crate) fn cap_derive<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        cap: Handle,
        (rights, badge): (Rights, u64),
        (child, slot): (Handle, u8),
    ) -> Result<Handle, Error> {
        let parent = self.any_cap(cur, cap, Rights::DERIVE)?;
        let from = *self.caps.get(parent);
        if !from.rights.contains(rights) {
            self.refused = cap;
            return Err(Error::MissingRight);
        }
        let narrower = from.kind == Some(CapKind::Factory) && badge != 0;
        let badge = if narrower { badge } else { derived_badge(&from, badge)? };
        let target = if child.is_none() {
            None
        } else {
            let child = self.process_cap(cur, child)?;
            if self.procs.get(child).state != State::Created {
                return Err(Error::WrongState);
            }
            Some(child)
        };
        let at = match target {
            None => self.caps.vacancy(cur)?,
            Some(child) => self.caps.vacant(child, slot)?,
        };
        let serve = from.kind == Some(CapKind::Endpoint) && rights.contains(Rights::RECV);
        if let (Some(child), true) = (target, serve) {
            let ep = EndpointIndex(from.object);
            if !self.may_hand_over(ep) {
                return Err(Error::Busy);
            }
            self.hand_over(m, ep, child);
        }
        let derived = if narrower {
            let (object, object_gen) = self.narrow(&from, badge)?;
            Cap { rights, parent, maps: 0, object, object_gen, ..from }
        } else {
            self.retain(&from);
            Cap { rights, badge, parent, maps: 0, ..from }
        };
        let handle = self.caps.fill(at, derived);
        if let Some(child) = target {
            let service = self.procs.get(child).service.0;
            self.report(m, cur, EventKind::CapDerived, 0, [service, rights.bits().into()]);
        }
        Ok(handle)
    }

    /// Whether a frame may carry the capability: granted, and nothing was derived from it. The
    /// one the call itself goes through cannot leave.
    pub(crate) fn check_movable(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        via: CapLink,
    ) -> Result<(), Error> {
        let link = self.any_cap(cur, handle, Rights::GRANT)?;
        if link == via {
            return Err(Error::InvalidArgument);
        }
        if self.caps.get(link).child.is_none() { Ok(()) } else { Err(Error::Busy) }
    }

    /// Moves a capability that passed [`Kernel::check_movable`] to another table, keeping its
    /// place in the tree. Mappings made through it stay with the giver, under its parent. Handing
    /// on is spreading: without DERIVE it arrives without GRANT and moves no further.
    pub(crate) fn move_cap<M: Machine>(
        &mut self,
        m: &mut M,
        from: ProcIndex,
        handle: Handle,
        to: ProcIndex,
    ) -> Result<Handle, Error> {
        let link = self.caps.find(from, handle)?;
        let at = self.caps.vacancy(to)?;
        self.bequeath_mappings(link);
        let cap = *self.caps.get(link);
        self.caps.bequeath(link);
        self.caps.clear(link);
        let rights = if cap.rights.contains(Rights::DERIVE) {
            cap.rights
        } else {
            Rights::from_bits(cap.rights.bits() & !Rights::GRANT.bits()).unwrap_or(Rights::NONE)
        };
        let moved = self.caps.fill(at, Cap { maps: 0, rights, ..cap });
        self.recv_moved(m, from, &cap);
        Ok(moved)
    }

    fn recv_moved<M: Machine>(&mut self, m: &mut M, from: ProcIndex, cap: &Cap) {
        if cap.kind == Some(CapKind::Endpoint) {
            self.recv_dropped(m, from, cap);
        }
    }

    pub(crate) fn cap_close<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        handle: Handle,
    ) -> Result<(), Error> {
        let link = self.caps.find(cur, handle)?;
        self.close_link(m, link);
        self.reap(m);
        Ok(())
    }

    /// Gives one capability up: what came from it falls to its parent.
    pub(crate) fn close_link<M: Machine>(&mut self, m: &mut M, link: CapLink) {
        self.bequeath_mappings(link);
        self.caps.bequeath(link);
        self.remove(m, link);
    }

    pub(crate) fn cap_revoke<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        handle: Handle,
    ) -> Result<u64, Error> {
        let root = self.caps.find(cur, handle)?;
        if !self.caps.get(root).rights.contains(Rights::MANAGE) {
            self.refused = handle;
            return Err(Error::MissingRight);
        }
        let mut destroyed = 0u64;
        let mut at = root;
        loop {
            let child = self.caps.get(at).child;
            if !child.is_none() {
                at = child;
                continue;
            }
            self.revoke_mappings(m, at, at == root);
            if at == root {
                break;
            }
            let parent = self.caps.get(at).parent;
            self.remove(m, at);
            destroyed = destroyed.saturating_add(1);
            at = parent;
        }
        self.report(m, cur, EventKind::CapRevoked, 0, [destroyed, 0]);
        Ok(destroyed)
    }

    /// Empties a slot without children and mappings; what waits through it is told.
    fn remove<M: Machine>(&mut self, m: &mut M, link: CapLink) {
        let (owner, gone) = (link.owner(), *self.caps.get(link));
        self.caps.clear(link);
        let process = self.procs.get(owner);
        if process.state.is_blocked() && process.via == link {
            self.fail_blocked(m, owner, Error::Revoked);
        }
        if gone.kind == Some(CapKind::Endpoint) {
            self.recv_dropped(m, owner, &gone);
        }
        self.release(m, &gone);
    }

    /// One more capability refers to the object.
    fn retain(&mut self, cap: &Cap) {
        if let Some(refs) = self.refs(cap) {
            *refs = refs.saturating_add(1);
        }
    }

    /// One capability less refers to the object; without any it goes.
    fn release<M: Machine>(&mut self, m: &mut M, cap: &Cap) {
        let left = match self.refs(cap) {
            Some(refs) => {
                *refs = refs.saturating_sub(1);
                *refs
            }
            None => return,
        };
        if left != 0 {
            return;
        }
        match cap.kind {
            Some(CapKind::Endpoint) => self.endpoint_destroy(m, EndpointIndex(cap.object)),
            Some(CapKind::Notification) => self.notif_destroy(m, NotifIndex(cap.object)),
            Some(CapKind::Vmo) => self.vmo_free_if_unused(VmoIndex(cap.object)),
            Some(CapKind::Process) => self.forget_process(ProcIndex(cap.object as u8)),
            Some(CapKind::Factory) => self.factory_destroy(cap.object as u8),
            _ => {}
        }
    }

    fn refs(&mut self, cap: &Cap) -> Option<&mut u16> {
        if !self.object_exists(cap) {
            return None;
        }
        let index = usize::from(cap.object);
        match cap.kind? {
            CapKind::Endpoint => Some(&mut self.endpoints.at_mut(index).refs),
            CapKind::Notification => Some(&mut self.notifs.at_mut(index).refs),
            CapKind::Vmo => Some(&mut self.vmos.at_mut(index).refs),
            CapKind::Process => {
                Some(&mut self.procs.get_mut(ProcIndex(cap.object as u8)).rest.refs)
            }
            CapKind::Factory => self.factory_refs(cap),
            CapKind::Irq | CapKind::KernelLog => None,
        }
    }
}

/// A badge is set once, on an endpoint, and inherited from then on.
fn derived_badge(from: &Cap, badge: u64) -> Result<u64, Error> {
    match (badge, from.badge) {
        (0, inherited) => Ok(inherited),
        (new, 0) if from.kind == Some(CapKind::Endpoint) => Ok(new),
        (new, inherited) if new == inherited => Ok(inherited),
        _ => Err(Error::InvalidArgument),
    }
}
