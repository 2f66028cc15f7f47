//! The calls that make or change objects and address spaces, for the oracle.

use nexus_abi::{
    Call, Error, Handle, Return, Rights, ServiceId,
    layout::{MESSAGE_PAGE, PAGE, USER_MAX, USER_MIN},
    syscall::{CapKind, FactoryCeiling, Prot, Seal, VmoKind},
};
use nexus_kernel_core::{ProcIndex, limits::MAX_FRAMES};

use crate::{
    calls::{Answers, handle_in, resource},
    oracle::{Block, Cap, Endpoint, Factory, Id, Life, Map, Notif, Oracle, Proc, Vmo},
};

impl Oracle {
    pub fn make(&mut self, p: ProcIndex, call: Call, a: &Answers) -> Result<Option<Return>, Error> {
        let fail = resource(a, p);
        match call {
            Call::VmoSeal { vmo, seal } => {
                let cap = self.typed(p, vmo, CapKind::Vmo, Rights::MANAGE)?;
                let writable =
                    self.maps.iter().any(|m| m.vmo == cap.object && m.prot == Prot::ReadWrite);
                let v = self.vmos.get_mut(&cap.object).unwrap();
                if v.seal.is_some() || !v.sealable {
                    return Err(Error::WrongState);
                }
                if writable {
                    return Err(Error::WriteXorExecute);
                }
                v.seal = Some(seal);
                Ok(Some(Return::OK))
            }
            Call::VmMap { proc, vmo, va, offset, len, prot } => {
                let map = self.mapping(p, (proc, vmo), (va, offset, len), prot)?;
                fail.map_or(Ok(()), Err)?;
                self.maps.push(map);
                Ok(Some(Return::OK))
            }
            Call::VmUnmap { proc, va, len } => {
                let owner = self.space(p, proc)?;
                let end = va.checked_add(len).ok_or(Error::InvalidArgument)?;
                if va % PAGE != 0 || len % PAGE != 0 {
                    return Err(Error::InvalidArgument);
                }
                let before = self.maps.len();
                self.maps.retain(|m| !(m.owner == owner && m.va >= va && m.va + m.len <= end));
                Ok(Some(Return::value((before - self.maps.len()) as u64)))
            }
            Call::ProcStart { proc, entry, sp, .. } => {
                let child = self.child(p, proc)?;
                if self.procs[&child].life != Life::Created {
                    return Err(Error::WrongState);
                }
                let entry_ok = (USER_MIN..USER_MAX).contains(&entry) && entry % 2 == 0;
                if !entry_ok || sp > USER_MAX || sp % 16 != 0 {
                    return Err(Error::InvalidArgument);
                }
                self.procs.get_mut(&child).unwrap().life = Life::Alive;
                Ok(Some(Return::OK))
            }
            call => {
                let cap = self.creation(p, call, fail)?;
                let (owner, slot) = (cap.owner, cap.handle.slot());
                let handle = handle_in(a, p);
                self.assert_fresh(owner, handle);
                assert!(owner == p || handle.slot() == slot, "derived into another slot");
                self.caps.push(Cap { handle, ..cap });
                Ok(Some(Return::value(handle.raw().into())))
            }
        }
    }

    fn space(&self, p: ProcIndex, proc: Handle) -> Result<ProcIndex, Error> {
        if proc.is_none() {
            return Ok(p);
        }
        let child = self.child(p, proc)?;
        if self.procs[&child].life == Life::Dead { Err(Error::WrongState) } else { Ok(child) }
    }

    fn mapping(
        &self,
        p: ProcIndex,
        (proc, vmo): (Handle, Handle),
        (va, offset, len): (u64, u64, u64),
        prot: Prot,
    ) -> Result<Map, Error> {
        let right = match prot {
            Prot::Read => Rights::READ,
            Prot::ReadWrite => Rights::READ.or(Rights::WRITE),
            Prot::ReadExec => Rights::READ.or(Rights::EXEC),
        };
        let cap = self.typed(p, vmo, CapKind::Vmo, right)?;
        let owner = self.space(p, proc)?;
        let v = &self.vmos[&cap.object];
        let end = va.checked_add(len).ok_or(Error::InvalidArgument)?;
        let aligned = va % PAGE == 0 && offset % PAGE == 0 && len % PAGE == 0 && len > 0;
        let user = va >= USER_MIN && end <= USER_MAX;
        let message = va < MESSAGE_PAGE + PAGE && end > MESSAGE_PAGE;
        let inside = offset.checked_add(len).is_some_and(|end| end <= v.pages * PAGE);
        if !aligned || !user || message || !inside {
            return Err(Error::InvalidArgument);
        }
        let allowed = match prot {
            Prot::Read => true,
            Prot::ReadWrite => v.seal.is_none(),
            Prot::ReadExec => v.seal == Some(Seal::Exec),
        };
        if !allowed {
            return Err(Error::WriteXorExecute);
        }
        let hits = |m: &&Map| m.owner == owner && m.va < end && va < m.va + m.len;
        if self.maps.iter().any(|m| hits(&m)) {
            return Err(Error::Overlap);
        }
        Ok(Map { owner, va, len, vmo: cap.object, prot, via: Some(cap.id), inherited: false })
    }

    /// Calls that end with a new capability; its handle is filled in by the caller, except that
    /// a derivation into a child names its slot.
    fn creation(&mut self, p: ProcIndex, call: Call, fail: Option<Error>) -> Result<Cap, Error> {
        use Rights as R;
        let shared = R::GRANT.or(R::DERIVE).or(R::MANAGE);
        let object = self.id();
        let id = self.id();
        let new = |kind, rights| Cap {
            id,
            owner: p,
            handle: Handle::NONE,
            kind,
            object,
            rights,
            badge: 0,
            parent: None,
        };
        match call {
            Call::EndpointCreate { notif } => {
                let notif = if notif.is_none() {
                    None
                } else {
                    let cap = self.typed(p, notif, CapKind::Notification, R::WAIT)?;
                    if self.endpoints.values().any(|e| e.notif == Some(cap.object)) {
                        return Err(Error::Busy);
                    }
                    Some(cap.object)
                };
                fail.map_or(Ok(()), Err)?;
                let ep = Endpoint { creator: p, server: Some(p), notif, queue: Vec::new() };
                self.endpoints.insert(object, ep);
                Ok(new(CapKind::Endpoint, shared.or(R::CALL).or(R::RECV)))
            }
            Call::NotifCreate {} => {
                fail.map_or(Ok(()), Err)?;
                self.notifs.insert(object, Notif { creator: p, bits: 0 });
                Ok(new(CapKind::Notification, shared.or(R::SIGNAL).or(R::WAIT)))
            }
            Call::VmoCreate { len, kind, authority } => {
                let rights = shared.or(R::READ).or(R::WRITE);
                let ram = kind == VmoKind::Ram;
                let rights = if ram { rights.or(R::EXEC) } else { rights.or(R::DMA) };
                if !ram {
                    self.typed(p, authority, CapKind::Factory, R::DMA)?;
                }
                let pages = len.div_ceil(PAGE);
                if pages == 0 {
                    return Err(Error::InvalidArgument);
                }
                if pages > MAX_FRAMES as u64 {
                    return Err(Error::QuotaExceeded);
                }
                fail.map_or(Ok(()), Err)?;
                self.vmos.insert(object, Vmo { pages, seal: None, sealable: ram });
                Ok(new(CapKind::Vmo, rights))
            }
            Call::CapDerive { cap, rights, badge, child, slot } => {
                self.derive(p, (cap, rights, badge), (child, slot), fail, id)
            }
            Call::ProcCreate { factory, service, mask, priority, .. } => {
                let factory = self.typed(p, factory, CapKind::Factory, R::MANAGE)?;
                let limit = &self.factories[&factory.object];
                let inside = (limit.first..=limit.last).contains(&service.0);
                if !inside || priority > limit.priority || mask.0 & !limit.mask != 0 {
                    return Err(Error::OutsideCeiling);
                }
                if self.procs.values().any(|q| q.life != Life::Dead && q.service == service) {
                    return Err(Error::Busy);
                }
                fail.map_or(Ok(()), Err)?;
                let index = (0..32).map(ProcIndex).find(|i| !self.procs.contains_key(i)).unwrap();
                self.birth(index, object, (service, priority), mask.0);
                self.event();
                Ok(new(CapKind::Process, shared))
            }
            other => panic!("{other:?} is not modelled"),
        }
    }

    pub fn birth(
        &mut self,
        at: ProcIndex,
        id: Id,
        (service, priority): (ServiceId, u8),
        mask: u64,
    ) {
        self.incarnations += 1;
        let proc = Proc {
            id,
            service,
            incarnation: self.incarnations,
            priority,
            mask: nexus_abi::SyscallMask(mask),
            life: Life::Created,
            block: Block::No,
            via: None,
            deadline: u64::MAX,
            token: 0,
            death: None,
        };
        self.procs.insert(at, proc);
    }

    fn derive(
        &mut self,
        p: ProcIndex,
        (cap, rights, badge): (Handle, Rights, u64),
        (child, slot): (Handle, u8),
        fail: Option<Error>,
        id: Id,
    ) -> Result<Cap, Error> {
        let from = self.any(p, cap, Rights::DERIVE)?;
        if !from.rights.contains(rights) {
            return Err(Error::MissingRight);
        }
        let narrower = from.kind == CapKind::Factory && badge != 0;
        let settable = narrower || (from.kind == CapKind::Endpoint && from.badge == 0);
        if badge != 0 && badge != from.badge && !settable {
            return Err(Error::InvalidArgument);
        }
        let badge = if badge == 0 { from.badge } else { badge };
        let (owner, handle) = if child.is_none() {
            if self.table_full(p) {
                return Err(Error::NoSpace);
            }
            (p, Handle::NONE)
        } else {
            let child = self.child(p, child)?;
            if self.procs[&child].life != Life::Created {
                return Err(Error::WrongState);
            }
            if slot >= 64 {
                return Err(Error::InvalidArgument);
            }
            if self.caps.iter().any(|c| c.owner == child && c.handle.slot() == slot) {
                return Err(Error::Busy);
            }
            (child, Handle::fixed(slot))
        };
        if from.kind == CapKind::Endpoint && rights.contains(Rights::RECV) && owner != p {
            let ep = self.endpoints.get_mut(&from.object).unwrap();
            if ep.server.is_some_and(|s| s != ep.creator) {
                return Err(Error::Busy);
            }
            let old = ep.server.replace(owner);
            let listens =
                |b: &Block| matches!(b, Block::Receiving { ep, .. } if *ep == from.object);
            if let Some(old) = old.filter(|old| listens(&self.procs[old].block)) {
                self.wake(old, Return::Failed(Error::Revoked));
            }
        }
        let (mut object, mut badge) = (from.object, badge);
        if narrower {
            let c = FactoryCeiling::unpack(badge);
            let (first, whole) = (u64::from(c.first_id), &self.factories[&object]);
            let last = first + (1 << c.count_log2) - 1;
            let ids = first >= whole.first && last <= whole.last;
            if !ids || c.priority > whole.priority || c.mask.0 & !whole.mask != 0 {
                return Err(Error::OutsideCeiling);
            }
            fail.map_or(Ok(()), Err)?;
            let part = Factory { first, last, mask: c.mask.0, priority: c.priority };
            (object, badge) = (self.id(), 0);
            self.factories.insert(object, part);
        }
        if owner != p {
            self.event();
        }
        Ok(Cap { object, id, owner, handle, rights, badge, parent: Some(from.id), ..from })
    }
}
