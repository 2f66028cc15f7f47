//! A naive second kernel: lists, linear searches and rules applied until nothing changes. It
//! says for every step who must be told what, and what everybody must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use nexus_abi::{
    Error, Handle, Return, Rights, ServiceId, SyscallMask,
    syscall::{CapKind, Prot, Seal},
};
use nexus_kernel_core::{ProcIndex, limits::CAPS_PER_PROCESS};

pub type Id = u64;

#[derive(Clone, Debug)]
pub struct Cap {
    pub id: Id,
    pub owner: ProcIndex,
    pub handle: Handle,
    pub kind: CapKind,
    pub object: Id,
    pub rights: Rights,
    pub badge: u64,
    pub parent: Option<Id>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    No,
    Queued { ep: Id, cap: Handle, len: u16, badge: u64 },
    Awaiting { server: ProcIndex },
    Receiving { ep: Id, want: u64 },
    Waiting { notif: Id, want: u64 },
    Sleeping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    Created,
    Alive,
    Dead,
}

#[derive(Clone, Debug)]
pub struct Proc {
    pub id: Id,
    pub service: ServiceId,
    pub incarnation: u32,
    pub priority: u8,
    pub mask: SyscallMask,
    pub life: Life,
    pub block: Block,
    pub via: Option<Id>,
    pub deadline: u64,
    pub token: u64,
    pub death: Option<(Id, u8)>,
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub creator: ProcIndex,
    pub server: Option<ProcIndex>,
    pub notif: Option<Id>,
    pub queue: Vec<ProcIndex>,
}

#[derive(Clone, Debug)]
pub struct Notif {
    pub creator: ProcIndex,
    pub bits: u64,
}

#[derive(Clone, Debug)]
pub struct Vmo {
    pub pages: u64,
    pub seal: Option<Seal>,
    pub sealable: bool,
}

#[derive(Clone, Debug)]
pub struct Map {
    pub owner: ProcIndex,
    pub va: u64,
    pub len: u64,
    pub vmo: Id,
    pub prot: Prot,
    pub via: Option<Id>,
    pub inherited: bool,
}

#[derive(Clone, Debug)]
pub struct Factory {
    pub first: u64,
    pub last: u64,
    pub mask: u64,
    pub priority: u8,
}

#[derive(Default)]
pub struct Oracle {
    pub next: Id,
    pub caps: Vec<Cap>,
    pub procs: BTreeMap<ProcIndex, Proc>,
    pub endpoints: BTreeMap<Id, Endpoint>,
    pub notifs: BTreeMap<Id, Notif>,
    pub vmos: BTreeMap<Id, Vmo>,
    pub maps: Vec<Map>,
    pub factories: BTreeMap<Id, Factory>,
    /// Where interrupt and kernel log signal.
    pub irq: Option<(Id, u8)>,
    pub log: Option<(Id, u8)>,
    pub events: u64,
    /// How many of them are unread: what the kernel says before the step, and what the step adds.
    pub events_waiting: u64,
    pub incarnations: u32,
    /// Who must be told what in this step; several where the order of one sweep decides.
    pub told: BTreeMap<ProcIndex, Vec<Return>>,
}

impl Oracle {
    pub fn id(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    pub fn find(&self, p: ProcIndex, handle: Handle) -> Result<&Cap, Error> {
        let at = |c: &&Cap| c.owner == p && c.handle.slot() == handle.slot();
        let cap = self.caps.iter().find(at).ok_or(Error::BadHandle)?;
        if handle.is_none() || usize::from(handle.slot()) >= CAPS_PER_PROCESS {
            return Err(Error::BadHandle);
        }
        if cap.handle == handle { Ok(cap) } else { Err(Error::StaleHandle) }
    }

    pub fn exists(&self, cap: &Cap) -> bool {
        match cap.kind {
            CapKind::Endpoint => self.endpoints.contains_key(&cap.object),
            CapKind::Notification => self.notifs.contains_key(&cap.object),
            CapKind::Process => self.procs.values().any(|p| p.id == cap.object),
            _ => true,
        }
    }

    pub fn typed(
        &self,
        p: ProcIndex,
        handle: Handle,
        kind: CapKind,
        right: Rights,
    ) -> Result<Cap, Error> {
        let cap = self.find(p, handle)?;
        if cap.kind != kind {
            return Err(Error::WrongType);
        }
        if !cap.rights.contains(right) {
            return Err(Error::MissingRight);
        }
        if self.exists(cap) { Ok(cap.clone()) } else { Err(Error::StaleHandle) }
    }

    pub fn any(&self, p: ProcIndex, handle: Handle, right: Rights) -> Result<Cap, Error> {
        let cap = self.find(p, handle)?;
        if !self.exists(cap) {
            return Err(Error::StaleHandle);
        }
        if cap.rights.contains(right) { Ok(cap.clone()) } else { Err(Error::MissingRight) }
    }

    pub fn child(&self, p: ProcIndex, handle: Handle) -> Result<ProcIndex, Error> {
        let cap = self.typed(p, handle, CapKind::Process, Rights::MANAGE)?;
        let found = self.procs.iter().find(|(_, q)| q.id == cap.object);
        found.map(|(index, _)| *index).ok_or(Error::StaleHandle)
    }

    pub fn table_full(&self, p: ProcIndex) -> bool {
        let dynamic = |c: &&Cap| c.owner == p && c.handle.slot() >= 4;
        self.caps.iter().filter(dynamic).count() == CAPS_PER_PROCESS - 4
    }

    pub fn tell(&mut self, p: ProcIndex, ret: Return) {
        self.told.entry(p).or_default().push(ret);
    }

    /// Ends a wait; a second reason in the same step is an acceptable answer too.
    pub fn wake(&mut self, p: ProcIndex, ret: Return) {
        self.tell(p, ret);
        for ep in self.endpoints.values_mut() {
            ep.queue.retain(|q| *q != p);
        }
        if let Some(q) = self.procs.get_mut(&p) {
            q.block = Block::No;
            q.via = None;
            q.deadline = u64::MAX;
        }
    }

    pub fn event(&mut self) {
        self.events += 1;
        if self.events_waiting < 128 {
            self.events_waiting += 1;
            // The reader is told when half of the ring waits.
            if self.events_waiting == 64 {
                self.signal_bound(self.log);
            }
        }
    }

    pub fn signal_bound(&mut self, to: Option<(Id, u8)>) {
        if let Some((notif, bit)) = to {
            self.signal(notif, 1 << bit);
        }
    }

    pub fn signal(&mut self, notif: Id, bits: u64) {
        let Some(n) = self.notifs.get_mut(&notif) else { return };
        n.bits |= bits;
        let alone = |b: &Block| matches!(b, Block::Waiting { notif: on, .. } if *on == notif);
        let bound: Vec<Id> = self
            .endpoints
            .iter()
            .filter(|(_, e)| e.notif == Some(notif))
            .map(|(i, _)| *i)
            .collect();
        let along = |b: &Block| matches!(b, Block::Receiving { ep, .. } if bound.contains(ep));
        let first = self.procs.iter().find(|(_, p)| alone(&p.block)).map(|(i, _)| *i);
        let second = self.procs.iter().find(|(_, p)| along(&p.block)).map(|(i, _)| *i);
        for p in [first, second].into_iter().flatten() {
            let (Block::Waiting { want, .. } | Block::Receiving { want, .. }) =
                self.procs[&p].block
            else {
                continue;
            };
            let Some(n) = self.notifs.get_mut(&notif) else { return };
            let hit = n.bits & want;
            if hit != 0 {
                n.bits &= !hit;
                self.wake(p, Return::Notified { bits: hit });
            }
        }
    }

    /// Every capability below `root`, deepest last.
    pub fn descendants(&self, root: Id) -> Vec<Id> {
        let mut found = vec![root];
        let mut at = 0;
        while at < found.len() {
            let parent = found[at];
            found.extend(self.caps.iter().filter(|c| c.parent == Some(parent)).map(|c| c.id));
            at += 1;
        }
        found.remove(0);
        found
    }

    pub fn revoke(&mut self, root: Id) -> u64 {
        let dead = self.descendants(root);
        self.maps.retain(|m| match m.via {
            Some(via) => !(dead.contains(&via) || (via == root && m.inherited)),
            None => true,
        });
        self.caps.retain(|c| !dead.contains(&c.id));
        dead.len() as u64
    }

    /// Takes a capability away; what depends on it falls to its parent.
    pub fn drop_cap(&mut self, id: Id) {
        self.orphan_maps(id);
        let Some(at) = self.caps.iter().position(|c| c.id == id) else { return };
        let gone = self.caps.remove(at);
        for c in self.caps.iter_mut().filter(|c| c.parent == Some(id)) {
            c.parent = gone.parent;
        }
    }

    pub fn orphan_maps(&mut self, id: Id) {
        let parent = self.caps.iter().find(|c| c.id == id).and_then(|c| c.parent);
        for m in self.maps.iter_mut().filter(|m| m.via == Some(id)) {
            m.via = parent;
            m.inherited = true;
        }
    }

    pub fn kill(&mut self, p: ProcIndex) {
        let Some(proc) = self.procs.get_mut(&p) else { return };
        proc.life = Life::Dead;
        proc.block = Block::No;
        proc.deadline = u64::MAX;
        let death = proc.death.take();
        for ep in self.endpoints.values_mut() {
            ep.queue.retain(|q| *q != p);
        }
        self.told.remove(&p);
        let doomed: Vec<Id> =
            self.endpoints.iter().filter(|(_, e)| e.creator == p).map(|(i, _)| *i).collect();
        for ep in doomed {
            self.end_endpoint(ep);
        }
        let dead: Vec<Id> =
            self.notifs.iter().filter(|(_, n)| n.creator == p).map(|(i, _)| *i).collect();
        for notif in dead {
            self.end_notif(notif);
        }
        self.maps.retain(|m| m.owner != p);
        let own: Vec<Id> = self.caps.iter().filter(|c| c.owner == p).map(|c| c.id).collect();
        for id in own {
            self.drop_cap(id);
        }
        self.settle_objects();
        self.event();
        self.signal_bound(death);
        self.settle();
    }

    pub fn end_endpoint(&mut self, ep: Id) {
        let Some(gone) = self.endpoints.remove(&ep) else { return };
        for caller in gone.queue {
            self.wake(caller, Return::Failed(Error::PeerDied));
        }
        for p in self.blocked_on(|b| matches!(b, Block::Receiving { ep: on, .. } if *on == ep)) {
            self.wake(p, Return::Failed(Error::Revoked));
        }
    }

    fn end_notif(&mut self, notif: Id) {
        self.notifs.remove(&notif);
        for ep in self.endpoints.values_mut().filter(|e| e.notif == Some(notif)) {
            ep.notif = None;
        }
        for p in self.blocked_on(|b| matches!(b, Block::Waiting { notif: on, .. } if *on == notif))
        {
            self.wake(p, Return::Failed(Error::Revoked));
        }
    }

    fn blocked_on(&self, f: impl Fn(&Block) -> bool) -> Vec<ProcIndex> {
        self.procs.iter().filter(|(_, p)| f(&p.block)).map(|(i, _)| *i).collect()
    }

    fn alive(&self, p: ProcIndex) -> bool {
        self.procs.get(&p).is_some_and(|p| p.life != Life::Dead)
    }

    fn referred(&self, kind: CapKind, object: Id) -> bool {
        self.caps.iter().any(|c| c.kind == kind && c.object == object)
    }

    /// Applies the rules of life and waiting until nothing changes.
    pub fn settle(&mut self) {
        self.settle_objects();
        let unborn = |o: &Oracle| {
            let lost = |p: &Proc| p.life == Life::Created && !o.referred(CapKind::Process, p.id);
            o.procs.iter().find(|(_, p)| lost(p)).map(|(i, _)| *i)
        };
        while let Some(p) = unborn(self) {
            self.kill(p);
        }
        let forgotten: Vec<ProcIndex> = self
            .procs
            .iter()
            .filter(|(_, p)| p.life == Life::Dead && !self.referred(CapKind::Process, p.id))
            .map(|(i, _)| *i)
            .collect();
        for p in forgotten {
            self.procs.remove(&p);
        }
    }

    fn settle_objects(&mut self) {
        // Whoever waits through a capability that is gone.
        for p in self.blocked_on(|b| *b != Block::No) {
            let via = self.procs[&p].via;
            if via.is_some_and(|via| !self.caps.iter().any(|c| c.id == via)) {
                let block = self.procs[&p].block.clone();
                self.wake(p, Return::Failed(Error::Revoked));
                if let Block::Queued { ep, .. } = block
                    && !self.has_server(ep)
                {
                    self.tell(p, Return::Failed(Error::PeerDied));
                }
            }
        }
        for p in self.blocked_on(|b| matches!(b, Block::Awaiting { .. })) {
            if let Block::Awaiting { server } = self.procs[&p].block
                && !self.alive(server)
            {
                self.wake(p, Return::Failed(Error::PeerDied));
            }
        }
        let referred: BTreeSet<(u8, Id)> =
            self.caps.iter().map(|c| (c.kind as u8, c.object)).collect();
        let refers = |kind: CapKind, id: Id| referred.contains(&(kind as u8, id));
        let receivers: BTreeSet<(ProcIndex, Id)> = self
            .caps
            .iter()
            .filter(|c| c.kind == CapKind::Endpoint && c.rights.contains(Rights::RECV))
            .map(|c| (c.owner, c.object))
            .collect();
        // Endpoints nobody refers to, servers that may not receive any more.
        for ep in self.endpoints.keys().copied().collect::<Vec<_>>() {
            let server = self.endpoints[&ep].server;
            if !refers(CapKind::Endpoint, ep) {
                self.end_endpoint(ep);
            } else if server.is_some_and(|s| !receivers.contains(&(s, ep))) {
                self.lose_server(ep);
            }
        }
        let bound: BTreeSet<Id> = self.endpoints.values().filter_map(|e| e.notif).collect();
        for notif in self.notifs.keys().copied().collect::<Vec<_>>() {
            if !bound.contains(&notif) && !refers(CapKind::Notification, notif) {
                self.end_notif(notif);
            }
        }
        let mapped: BTreeSet<Id> = self.maps.iter().map(|m| m.vmo).collect();
        self.vmos.retain(|id, _| mapped.contains(id) || refers(CapKind::Vmo, *id));
    }

    fn has_server(&self, ep: Id) -> bool {
        let Some(Endpoint { server: Some(server), .. }) = self.endpoints.get(&ep) else {
            return false;
        };
        let receives =
            |c: &Cap| c.owner == *server && c.object == ep && c.rights.contains(Rights::RECV);
        self.caps.iter().any(|c| c.kind == CapKind::Endpoint && receives(c))
    }

    fn lose_server(&mut self, ep: Id) {
        let Some(e) = self.endpoints.get_mut(&ep) else { return };
        e.server = None;
        for caller in std::mem::take(&mut e.queue) {
            self.wake(caller, Return::Failed(Error::PeerDied));
        }
        for p in self.blocked_on(|b| matches!(b, Block::Receiving { ep: on, .. } if *on == ep)) {
            self.wake(p, Return::Failed(Error::Revoked));
        }
    }
}
