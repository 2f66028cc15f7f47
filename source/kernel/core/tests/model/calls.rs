//! What each call must do, said once more and naively. The kernel's own choices (handles,
//! tokens, table and quota refusals) are taken from its answers and checked for freshness.

use std::collections::BTreeMap;

use nexus_abi::{
    Call, Error, Handle, Return, Rights,
    syscall::{CapKind, SourceOp, Topic},
};
use nexus_kernel_core::ProcIndex;

use crate::oracle::{Block, Cap, Id, Life, Oracle, Proc};

/// What the kernel answered in this step.
pub type Answers = BTreeMap<ProcIndex, Return>;

pub fn handle_in(answers: &Answers, p: ProcIndex) -> Handle {
    match answers.get(&p) {
        Some(Return::Values([raw, ..])) => Handle::from_raw(*raw as u32),
        Some(Return::Replied { cap, .. } | Return::Message { cap, .. }) => *cap,
        _ => Handle::NONE,
    }
}

/// Refusals that depend on how full the kernel is; the oracle does not count that.
pub fn resource(answers: &Answers, p: ProcIndex) -> Option<Error> {
    match answers.get(&p) {
        Some(Return::Failed(e @ (Error::NoSpace | Error::QuotaExceeded))) => Some(*e),
        _ => None,
    }
}

impl Oracle {
    /// A call of `p`. Afterwards `told` holds everything that must have been answered.
    pub fn call(&mut self, p: ProcIndex, nr: u64, args: &[u64; 6], answers: &Answers) {
        self.told.clear();
        if !self.procs[&p].mask.allows(nr) {
            self.tell(p, Return::Failed(Error::Denied));
            self.event();
            return;
        }
        let result = Call::decode(nr, args).and_then(|call| self.perform(p, call, answers));
        match result {
            Ok(Some(ret)) => self.tell(p, ret),
            Ok(None) => {}
            Err(error) => {
                self.tell(p, Return::Failed(error));
                if matches!(error, Error::MissingRight | Error::WrongType | Error::TooLarge) {
                    self.event();
                }
            }
        }
        self.settle();
    }

    pub fn timer(&mut self, now: u64) {
        self.told.clear();
        for p in self.procs.keys().copied().collect::<Vec<_>>() {
            if self.procs[&p].block != Block::No && self.procs[&p].deadline <= now {
                self.wake(p, Return::Failed(Error::TimedOut));
            }
        }
    }

    pub fn interrupt(&mut self) {
        self.told.clear();
        self.signal_bound(self.irq);
    }

    pub fn fault(&mut self, p: ProcIndex) {
        self.told.clear();
        self.kill(p);
    }

    fn perform(&mut self, p: ProcIndex, call: Call, a: &Answers) -> Result<Option<Return>, Error> {
        match call {
            Call::Call { ep, len, cap, deadline_ns } => {
                return self.call_ep(p, ep, (len.get() as u16, cap), deadline_ns, a);
            }
            Call::Recv { ep, mask, deadline_ns } => {
                let ep = self.serving(p, ep)?;
                return self.receive(p, ep, mask, deadline_ns, a);
            }
            Call::ReplyRecv { token, len, cap, ep, mask, deadline_ns } => {
                let ep = self.serving(p, ep)?;
                self.reply(p, token, (len.get() as u16, cap), Some(ep.id), a)?;
                return self.receive(p, ep, mask, deadline_ns, a);
            }
            Call::Reply { token, len, cap } => {
                self.reply(p, token, (len.get() as u16, cap), None, a)?;
            }
            Call::Signal { notif, bits } => {
                let cap = self.typed(p, notif, CapKind::Notification, Rights::SIGNAL)?;
                self.signal(cap.object, bits);
            }
            Call::Wait { notif, mask, deadline_ns } => {
                return self.wait(p, notif, mask, deadline_ns);
            }
            Call::CapRevoke { cap } => {
                let cap = self.find(p, cap)?.clone();
                if !cap.rights.contains(Rights::MANAGE) {
                    return Err(Error::MissingRight);
                }
                let count = self.revoke(cap.id);
                // The waits end before the event is written.
                self.settle();
                self.event();
                return Ok(Some(Return::value(count)));
            }
            Call::CapClose { cap } => {
                let id = self.find(p, cap)?.id;
                self.drop_cap(id);
            }
            Call::ProcExit { proc, .. } => {
                let target = if proc.is_none() { p } else { self.child(p, proc)? };
                if self.procs[&target].life == Life::Dead {
                    return Err(Error::WrongState);
                }
                self.kill(target);
                if target == p {
                    return Ok(None);
                }
            }
            Call::SourceControl { source, op, notif, bit } => {
                self.source(p, source, op, (notif, bit))?;
            }
            Call::ObjectInfo { cap, topic } => {
                return self.info(p, cap, topic, a).map(|()| a.get(&p).copied());
            }
            Call::MaskShrink { keep } => {
                let proc = self.procs.get_mut(&p).unwrap();
                proc.mask.0 &= keep.0;
                return Ok(Some(Return::value(proc.mask.0)));
            }
            Call::ConsoleWrite { .. } => {}
            call => return self.make(p, call, a),
        }
        Ok(Some(Return::OK))
    }

    fn movable(&self, p: ProcIndex, cap: Handle, via: Option<Id>) -> Result<Option<Id>, Error> {
        if cap.is_none() {
            return Ok(None);
        }
        let cap = self.any(p, cap, Rights::GRANT)?;
        if via == Some(cap.id) {
            return Err(Error::InvalidArgument);
        }
        if self.caps.iter().any(|c| c.parent == Some(cap.id)) {
            return Err(Error::Busy);
        }
        Ok(Some(cap.id))
    }

    fn transfer(&mut self, id: Option<Id>, to: ProcIndex, a: &Answers) -> Handle {
        let Some(id) = id else { return Handle::NONE };
        self.orphan_maps(id);
        let handle = handle_in(a, to);
        self.assert_fresh(to, handle);
        for c in self.caps.iter_mut().filter(|c| c.id == id) {
            c.owner = to;
            c.handle = handle;
            if !c.rights.contains(Rights::DERIVE) {
                c.rights = Rights::from_bits(c.rights.bits() & !Rights::GRANT.bits()).unwrap();
            }
        }
        handle
    }

    pub fn assert_fresh(&self, p: ProcIndex, handle: Handle) {
        let taken = self.caps.iter().any(|c| c.owner == p && c.handle.slot() == handle.slot());
        assert!(!taken && !handle.is_none(), "{p:?} got {handle:?}, which is in use");
    }

    fn call_ep(
        &mut self,
        p: ProcIndex,
        ep: Handle,
        (len, cap): (u16, Handle),
        deadline: u64,
        a: &Answers,
    ) -> Result<Option<Return>, Error> {
        let via = self.typed(p, ep, CapKind::Endpoint, Rights::CALL)?;
        let server = self.endpoints[&via.object].server.ok_or(Error::PeerDied)?;
        let moving = self.movable(p, cap, Some(via.id))?;
        if server == p {
            return Err(Error::Busy);
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        let proc = self.procs.get_mut(&p).unwrap();
        proc.deadline = deadline;
        proc.via = Some(via.id);
        let listens =
            matches!(self.procs[&server].block, Block::Receiving { ep, .. } if ep == via.object);
        if listens && !(moving.is_some() && self.table_full(server)) {
            let cap = self.transfer(moving, server, a);
            let message = self.message(p, server, (len, cap), via.badge, a);
            self.wake(server, message);
            return Ok(None);
        }
        if listens {
            self.wake(server, Return::Failed(Error::NoSpace));
        }
        let block = Block::Queued { ep: via.object, cap, len, badge: via.badge };
        self.procs.get_mut(&p).unwrap().block = block;
        self.endpoints.get_mut(&via.object).unwrap().queue.push(p);
        Ok(None)
    }

    /// The stamp on a delivered frame: the caller, whatever it wrote. The token must be new.
    fn message(
        &mut self,
        caller: ProcIndex,
        server: ProcIndex,
        (len, cap): (u16, Handle),
        badge: u64,
        a: &Answers,
    ) -> Return {
        let Some(Return::Message { token, .. }) = a.get(&server) else {
            panic!("{server:?} must have received the call of {caller:?}: {a:?}");
        };
        let unique = self.procs.values().all(|q| q.token != *token);
        let proc = self.procs.get_mut(&caller).unwrap();
        assert!(unique && *token > proc.token, "token {token:#x} was used before");
        proc.token = *token;
        proc.block = Block::Awaiting { server };
        let (service, incarnation) = (proc.service, proc.incarnation);
        Return::Message { len, service, incarnation, badge, token: *token, cap }
    }

    fn serving(&self, p: ProcIndex, ep: Handle) -> Result<Cap, Error> {
        let cap = self.typed(p, ep, CapKind::Endpoint, Rights::RECV)?;
        let serves = self.endpoints[&cap.object].server == Some(p);
        if serves { Ok(cap) } else { Err(Error::MissingRight) }
    }

    fn receive(
        &mut self,
        p: ProcIndex,
        cap: Cap,
        mask: u64,
        deadline: u64,
        a: &Answers,
    ) -> Result<Option<Return>, Error> {
        let ep = cap.object;
        let bound = self.endpoints[&ep].notif;
        if let Some(n) = bound.and_then(|n| self.notifs.get_mut(&n))
            && n.bits & mask != 0
        {
            let bits = n.bits & mask;
            n.bits &= !bits;
            return Ok(Some(Return::Notified { bits }));
        }
        loop {
            let queue = &self.endpoints[&ep].queue;
            let highest = queue.iter().map(|q| self.procs[q].priority).max();
            let first = queue.iter().find(|q| Some(self.procs[q].priority) == highest);
            let Some(caller) = first.copied() else { break };
            let Block::Queued { cap: moving, len, badge, .. } = self.procs[&caller].block else {
                panic!("{caller:?} is in a queue");
            };
            let moving = match self.find(caller, moving) {
                _ if moving.is_none() => None,
                Ok(cap) => Some(cap.id),
                Err(_) => {
                    self.wake(caller, Return::Failed(Error::Revoked));
                    continue;
                }
            };
            if moving.is_some() && self.table_full(p) {
                return Err(Error::NoSpace);
            }
            self.endpoints.get_mut(&ep).unwrap().queue.retain(|q| *q != caller);
            let cap = self.transfer(moving, p, a);
            return Ok(Some(self.message(caller, p, (len, cap), badge, a)));
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        self.block(p, Block::Receiving { ep, want: mask }, Some(cap.id), deadline);
        Ok(None)
    }

    fn block(&mut self, p: ProcIndex, block: Block, via: Option<Id>, deadline: u64) {
        let proc = self.procs.get_mut(&p).unwrap();
        (proc.block, proc.via, proc.deadline) = (block, via, deadline);
    }

    fn reply(
        &mut self,
        p: ProcIndex,
        token: u64,
        (len, cap): (u16, Handle),
        via: Option<Id>,
        a: &Answers,
    ) -> Result<(), Error> {
        let waits = |q: &Proc| q.token == token && q.block == Block::Awaiting { server: p };
        let caller = self.procs.iter().find(|(_, q)| waits(q)).map(|(i, _)| *i);
        let caller = caller.ok_or(Error::StaleReply)?;
        let moving = self.movable(p, cap, via)?;
        if moving.is_some() && self.table_full(caller) {
            return Err(Error::NoSpace);
        }
        let cap = self.transfer(moving, caller, a);
        self.wake(caller, Return::Replied { len, cap });
        Ok(())
    }

    fn wait(
        &mut self,
        p: ProcIndex,
        notif: Handle,
        mask: u64,
        deadline: u64,
    ) -> Result<Option<Return>, Error> {
        if notif.is_none() {
            match deadline {
                0 => return Err(Error::TimedOut),
                u64::MAX => return Err(Error::InvalidArgument),
                _ => self.block(p, Block::Sleeping, None, deadline),
            }
            return Ok(None);
        }
        let cap = self.typed(p, notif, CapKind::Notification, Rights::WAIT)?;
        let n = self.notifs.get_mut(&cap.object).unwrap();
        let bits = n.bits & mask;
        if bits != 0 {
            n.bits &= !bits;
            return Ok(Some(Return::Notified { bits }));
        }
        let taken = |b: &Block| matches!(b, Block::Waiting { notif, .. } if *notif == cap.object);
        if self.procs.values().any(|q| taken(&q.block)) {
            return Err(Error::Busy);
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        self.block(p, Block::Waiting { notif: cap.object, want: mask }, Some(cap.id), deadline);
        Ok(None)
    }

    fn source(
        &mut self,
        p: ProcIndex,
        source: Handle,
        op: SourceOp,
        (notif, bit): (Handle, u8),
    ) -> Result<(), Error> {
        let kind = self.find(p, source)?.kind;
        let right = match kind {
            CapKind::KernelLog => Rights::AUDIT,
            CapKind::Irq | CapKind::Process => Rights::MANAGE,
            _ => return Err(Error::WrongType),
        };
        let cap = self.any(p, source, right)?;
        if op == SourceOp::Ack {
            return if kind == CapKind::Irq { Ok(()) } else { Err(Error::InvalidArgument) };
        }
        if bit >= 64 {
            return Err(Error::InvalidArgument);
        }
        let to = (self.typed(p, notif, CapKind::Notification, Rights::SIGNAL)?.object, bit);
        match kind {
            CapKind::Irq => self.irq = Some(to),
            CapKind::KernelLog => {
                self.log = Some(to);
                if self.events_waiting > 0 {
                    self.signal_bound(Some(to));
                }
            }
            _ => {
                let child = self.procs.values_mut().find(|q| q.id == cap.object).unwrap();
                child.death = Some(to);
                if child.life == Life::Dead {
                    self.signal_bound(Some(to));
                }
            }
        }
        Ok(())
    }

    fn info(&mut self, p: ProcIndex, cap: Handle, topic: Topic, a: &Answers) -> Result<(), Error> {
        let kind = match topic {
            Topic::Caller | Topic::Quota => return Ok(()),
            Topic::Cap => return self.any(p, cap, Rights::NONE).map(|_| ()),
            Topic::Process => CapKind::Process,
            Topic::Vmo => CapKind::Vmo,
            Topic::Events => CapKind::KernelLog,
        };
        let right = if topic == Topic::Events { Rights::AUDIT } else { Rights::NONE };
        self.typed(p, cap, kind, right)?;
        if let (Topic::Events, Some(Return::Values([moved, ..]))) = (topic, a.get(&p)) {
            assert_eq!(*moved, self.events_waiting.min(10), "events moved");
        }
        Ok(())
    }
}
