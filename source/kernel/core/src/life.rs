//! Processes come and go: creation inside a factory's ceilings, and an end that leaves nothing
//! behind but an exit status.

use nexus_abi::{
    Error, EventKind, FaultCause, Handle, Rights, ServiceId, SyscallMask,
    layout::{USER_MAX, USER_MIN},
    syscall::{CapKind, Quota},
};

use crate::{
    Kernel, Machine, Outcome,
    cap::Cap,
    limits::{MAX_NOTIFICATIONS, MAX_VMOS},
    map::charged,
    process::{Cold, Exit, Process, Processes, State},
    types::{NotifIndex, Pfn, ProcIndex},
    vmo::Payer,
};

/// What the creator of a process may do with it.
const PROCESS_RIGHTS: Rights = Rights::MANAGE.or(Rights::DERIVE).or(Rights::GRANT);

/// Root table and message page: no process lives on less.
const SPACE_MIN: u32 = 2;

/// Who a new process is and what it gets.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    pub(crate) service: ServiceId,
    pub(crate) mask: SyscallMask,
    pub(crate) quota: Quota,
    pub(crate) priority: u8,
    pub(crate) creator: Payer,
}

impl Kernel {
    /// The hardware stopped `cur`; the process ends, its parent is told cause and address.
    pub fn fault<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        cause: FaultCause,
        addr: u64,
        pc: u64,
    ) -> Outcome {
        if self.procs.get(cur).state == State::Running {
            self.end(m, cur, Exit::Faulted(cause, addr, pc));
        }
        self.schedule(m)
    }

    /// The process behind a handle with MANAGE.
    pub(crate) fn process_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
    ) -> Result<ProcIndex, Error> {
        let (_, cap) = self.typed_cap(cur, handle, CapKind::Process, Rights::MANAGE)?;
        let (index, generation) = (ProcIndex(cap.object as u8), cap.object_gen);
        if self.procs.get(index).incarnation == generation {
            Ok(index)
        } else {
            Err(Error::StaleHandle)
        }
    }

    pub(crate) fn charge_object(&mut self, p: ProcIndex) -> Result<(), Error> {
        let rest = &mut self.procs.get_mut(p).rest;
        if rest.objects_used >= rest.objects_limit {
            return Err(Error::QuotaExceeded);
        }
        rest.objects_used = rest.objects_used.saturating_add(1);
        Ok(())
    }

    pub(crate) fn refund_object(&mut self, p: ProcIndex) {
        let rest = &mut self.procs.get_mut(p).rest;
        rest.objects_used = rest.objects_used.saturating_sub(1);
    }

    pub(crate) fn proc_create<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        factory: Handle,
        birth: Birth,
    ) -> Result<Handle, Error> {
        let factory = self.factory_cap(cur, factory, Rights::MANAGE)?;
        let ceiling = self.factories.at(factory.into());
        if !ceiling.allows(birth.service.0, birth.mask, birth.priority) {
            return Err(Error::OutsideCeiling);
        }
        if self.procs.find(|p| p.state.is_alive() && p.service == birth.service).is_some() {
            return Err(Error::Busy);
        }
        let slot = self.caps.vacancy(cur)?;
        self.charge_object(cur)?;
        let made = self.make_process(m, factory, birth);
        if made.is_err() {
            self.refund_object(cur);
        }
        let child = made?;
        let process = self.procs.get_mut(child);
        process.rest.refs = 1;
        let incarnation = process.incarnation;
        let args = [birth.service.0, incarnation.into()];
        self.report(m, cur, EventKind::ProcessCreated, 0, args);
        let kind = Some(CapKind::Process);
        Ok(self.caps.fill(slot, Cap::root(kind, child.0.into(), incarnation, PROCESS_RIGHTS)))
    }

    /// Makes a process without any capability, its quota taken from the factory.
    pub(crate) fn make_process<M: Machine>(
        &mut self,
        m: &mut M,
        factory: u8,
        birth: Birth,
    ) -> Result<ProcIndex, Error> {
        let Quota { frames, objects } = birth.quota;
        let budget = self.factories.at(factory.into());
        let enough = frames <= budget.frames && u32::from(objects) <= budget.objects;
        if !enough || frames < SPACE_MIN {
            return Err(Error::QuotaExceeded);
        }
        let p = self.procs.free().ok_or(Error::NoSpace)?;
        let incarnation = self.incarnations.checked_add(1).ok_or(Error::NoSpace)?;
        let (root, message) = self.two_frames(m).ok_or(Error::NoSpace)?;
        let budget = self.factories.at_mut(factory.into());
        budget.frames = budget.frames.saturating_sub(frames);
        budget.objects = budget.objects.saturating_sub(objects.into());
        let entry = self.procs.get_mut(p);
        let token = (entry.token & !0xff) | u64::from(p.0);
        *entry = Process {
            state: State::Created,
            priority: birth.priority,
            mask: birth.mask,
            token,
            service: birth.service,
            incarnation,
            rest: Cold {
                creator: birth.creator,
                factory,
                root,
                message,
                frames_used: SPACE_MIN,
                frames_limit: frames,
                objects_limit: objects,
                space_frames: SPACE_MIN,
                ..Process::EMPTY.rest
            },
            ..Process::EMPTY
        };
        self.caps.reset(p);
        self.frames.stock(m, 0);
        let mut source = charged(&mut self.frames, &mut self.procs, p);
        let created = m.space_create(p, root, message, &mut source);
        if let Err(error) = created {
            self.tear_down(m, p);
            self.procs.get_mut(p).state = State::Free;
            return Err(error);
        }
        self.incarnations = incarnation;
        Ok(p)
    }

    fn two_frames<M: Machine>(&mut self, m: &mut M) -> Option<(Pfn, Pfn)> {
        let root = self.frames.take_one()?;
        let Some(message) = self.frames.take_one() else {
            self.frames.give(root, 1);
            return None;
        };
        m.zero_frames(root, 1);
        m.zero_frames(message, 1);
        Some((root, message))
    }

    pub(crate) fn proc_start<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        proc: Handle,
        [entry, sp, arg]: [u64; 3],
    ) -> Result<(), Error> {
        let p = self.process_cap(cur, proc)?;
        if self.procs.get(p).state != State::Created {
            return Err(Error::WrongState);
        }
        let user = USER_MIN..USER_MAX;
        if !user.contains(&entry) || !entry.is_multiple_of(2) || sp > USER_MAX || sp % 16 != 0 {
            return Err(Error::InvalidArgument);
        }
        m.start_context(p, entry, sp, arg);
        self.make_ready(p);
        Ok(())
    }

    /// Ends the caller (`NONE`) or a process it manages. `None`: the caller is gone.
    pub(crate) fn proc_exit<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        proc: Handle,
        code: i32,
    ) -> Result<Option<()>, Error> {
        let p = if proc.is_none() { cur } else { self.process_cap(cur, proc)? };
        if p == cur {
            self.end(m, p, Exit::Exited(code));
            return Ok(None);
        }
        if !self.procs.get(p).state.is_alive() {
            return Err(Error::WrongState);
        }
        self.end(m, p, Exit::Killed(code));
        Ok(Some(()))
    }

    /// The last handle closed: a process that ended is forgotten, one that never ran ends, one
    /// that runs goes on.
    pub(crate) fn forget_process(&mut self, p: ProcIndex) {
        let process = self.procs.get_mut(p);
        match process.state {
            State::Dead => {
                process.state = State::Free;
                match process.rest.creator {
                    Payer::Process(creator) => self.refund_object(creator),
                    Payer::Pool => self.pool_give(0, 1),
                    Payer::Nobody => {}
                }
            }
            State::Created => self.doomed |= 1u32.wrapping_shl(p.0.into()),
            _ => {}
        }
    }

    /// Ends one process, and those that nobody can start any more because of it.
    pub(crate) fn end<M: Machine>(&mut self, m: &mut M, p: ProcIndex, exit: Exit) {
        self.terminate(m, p, exit);
        self.reap(m);
    }

    /// Ends processes whose last handle closed before they were started. A loop, so that a chain
    /// of them needs no stack.
    pub(crate) fn reap<M: Machine>(&mut self, m: &mut M) {
        while self.doomed != 0 {
            let p = ProcIndex(self.doomed.trailing_zeros() as u8);
            self.doomed &= self.doomed.wrapping_sub(1);
            if self.procs.get(p).state == State::Created {
                self.terminate(m, p, Exit::Killed(0));
            }
        }
    }

    fn terminate<M: Machine>(&mut self, m: &mut M, p: ProcIndex, exit: Exit) {
        self.detach(p);
        let process = self.procs.get_mut(p);
        process.state = State::Dead;
        process.deadline = u64::MAX;
        process.rest.exit = exit;
        let death = process.rest.death.take();
        self.flush_line(m, p);
        self.abandon_callers(m, p);
        for index in 0..MAX_NOTIFICATIONS {
            if self.notifs.at(index).live && self.notifs.at(index).creator == p {
                self.notif_destroy(m, NotifIndex(index as u16));
            }
        }
        self.tear_down(m, p);
        self.report_end(m, p, exit);
        self.signal_bound(m, death);
        if self.procs.get(p).rest.refs == 0 {
            self.forget_process(p);
        }
    }

    /// Takes space, mappings, capabilities and quota back.
    fn tear_down<M: Machine>(&mut self, m: &mut M, p: ProcIndex) {
        m.space_destroy(p, &mut charged(&mut self.frames, &mut self.procs, p));
        self.forget_mappings(p);
        for slot in 0..crate::limits::CAPS_PER_PROCESS as u8 {
            let link = crate::cap::CapLink::of(p, slot);
            if self.caps.get(link).kind.is_some() {
                self.close_link(m, link);
            }
        }
        let rest = self.procs.get(p).rest;
        let given =
            self.frames.give(rest.root, 1).saturating_add(self.frames.give(rest.message, 1));
        let rest = &mut self.procs.get_mut(p).rest;
        rest.frames_used = rest.frames_used.saturating_sub(given);
        rest.space_frames = rest.space_frames.saturating_sub(given);
        for index in 0..MAX_VMOS {
            let vmo = self.vmos.at_mut(index);
            if vmo.live && vmo.payer == Payer::Process(p) {
                vmo.payer = Payer::Pool;
            }
        }
        for child in Processes::indices() {
            let rest = &mut self.procs.get_mut(child).rest;
            if rest.creator == Payer::Process(p) {
                rest.creator = Payer::Pool;
            }
        }
        // What is still used is now paid by the pool, and comes back to it when freed.
        let rest = &mut self.procs.get_mut(p).rest;
        let frames = rest.frames_limit.saturating_sub(rest.frames_used);
        let objects = rest.objects_limit.saturating_sub(rest.objects_used);
        (rest.frames_used, rest.frames_limit) = (0, 0);
        (rest.objects_used, rest.objects_limit) = (0, 0);
        let factory = self.procs.get(p).rest.factory;
        self.budget_give(factory, frames, objects.into());
    }

    fn report_end<M: Machine>(&mut self, m: &mut M, p: ProcIndex, exit: Exit) {
        let code = |code: i32| i64::from(code) as u64;
        let (kind, detail, args) = match exit {
            Exit::Faulted(cause, addr, pc) => (EventKind::ProcessFaulted, cause as u8, [addr, pc]),
            Exit::Killed(by) => (EventKind::ProcessExited, 0, [code(by), 1]),
            Exit::Exited(by) => (EventKind::ProcessExited, 0, [code(by), 0]),
            Exit::None => return,
        };
        self.report(m, p, kind, detail, args);
    }
}
