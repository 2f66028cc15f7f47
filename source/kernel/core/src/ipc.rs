//! Call, receive, reply: frames and at most one capability from page to page, with a stamped
//! sender and a reply token that works once. The hot path of the system; nothing here scans.

use nexus_abi::{Error, Handle, Return, Rights, syscall::CapKind};

use crate::{
    Kernel, Machine, Outcome,
    cap::CapLink,
    process::State,
    sched::NEVER,
    types::{EndpointIndex, ProcIndex},
};

/// Low bits of a reply token: the caller's process index.
const TOKEN_CALLER: u64 = 0xff;

/// What one call adds to its process's token.
const TOKEN_STEP: u64 = 0x100;

/// A frame on its way: length, and a handle of the sender's that moves along.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) len: u16,
    pub(crate) cap: Handle,
}

impl Kernel {
    #[inline(always)]
    fn endpoint_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        right: Rights,
    ) -> Result<(CapLink, EndpointIndex, u64), Error> {
        let (link, cap) = self.typed_cap(cur, handle, CapKind::Endpoint, right)?;
        let (ep, badge) = (EndpointIndex(cap.object), cap.badge);
        if self.endpoints.at(ep.index()).generation != cap.object_gen {
            return Err(Error::StaleHandle);
        }
        Ok((link, ep, badge))
    }

    #[inline(always)]
    pub(crate) fn block(&mut self, p: ProcIndex, state: State, on: u16, via: CapLink) {
        let process = self.procs.get_mut(p);
        process.state = state;
        process.on = on;
        process.via = via;
    }

    #[inline(always)]
    pub(crate) fn sys_call<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        ep: Handle,
        frame: Frame,
        deadline: u64,
    ) -> Result<Outcome, Error> {
        let (via, ep, badge) = self.endpoint_cap(cur, ep, Rights::CALL)?;
        let server = self.endpoints.at(ep.index()).server.ok_or(Error::PeerDied)?;
        if !frame.cap.is_none() {
            self.check_movable(cur, frame.cap, via)?;
        }
        if server == cur {
            return Err(Error::Busy);
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        self.procs.get_mut(cur).deadline = deadline;
        let target = self.procs.get(server);
        if target.state == State::Receiving && target.on == ep.0 {
            match self.move_along(m, cur, frame.cap, server) {
                Ok(cap) => {
                    let ret = self.deliver(m, cur, server, (Frame { cap, ..frame }, badge, via));
                    m.set_return(server, &ret);
                    self.procs.get_mut(server).deadline = NEVER;
                    self.arm(m, deadline);
                    return Ok(self.switch_to(m, server));
                }
                // The server has to make room; the call waits in the queue meanwhile.
                Err(Error::NoSpace) => self.wake(m, server, &Return::Failed(Error::NoSpace)),
                Err(error) => return Err(error),
            }
        }
        self.enqueue_call(cur, ep, via, (frame, badge));
        self.arm(m, deadline);
        Ok(self.schedule(m))
    }

    fn enqueue_call(
        &mut self,
        cur: ProcIndex,
        ep: EndpointIndex,
        via: CapLink,
        (frame, badge): (Frame, u64),
    ) {
        self.block(cur, State::Queued, ep.0, via);
        let process = self.procs.get_mut(cur);
        process.len = frame.len;
        process.cap = frame.cap;
        process.badge = badge;
        self.endpoints.at_mut(ep.index()).queue.push_back(&mut self.procs, cur);
    }

    /// Copies a call to its server and makes the caller wait for the answer. `frame.cap` is the
    /// handle in the server's table.
    #[inline(always)]
    fn deliver<M: Machine>(
        &mut self,
        m: &mut M,
        caller: ProcIndex,
        server: ProcIndex,
        (frame, badge, via): (Frame, u64, CapLink),
    ) -> Return {
        if frame.len != 0 {
            m.copy_frame(caller, server, usize::from(frame.len));
        }
        let process = self.procs.get_mut(caller);
        process.state = State::Awaiting;
        process.on = u16::from(server.0);
        process.via = via;
        process.token = process.token.wrapping_add(TOKEN_STEP);
        Return::Message {
            len: frame.len,
            service: process.service,
            incarnation: process.incarnation,
            badge,
            token: process.token,
            cap: frame.cap,
        }
    }

    /// Moves the capability of a frame, if it has one.
    #[inline(always)]
    fn move_along<M: Machine>(
        &mut self,
        m: &mut M,
        from: ProcIndex,
        cap: Handle,
        to: ProcIndex,
    ) -> Result<Handle, Error> {
        if cap.is_none() { Ok(Handle::NONE) } else { self.move_cap(m, from, cap, to) }
    }

    pub(crate) fn sys_recv<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (ep, mask, deadline): (Handle, u64, u64),
    ) -> Result<Outcome, Error> {
        let (via, ep) = self.serving(cur, ep)?;
        if let Some(ret) = self.receive_now(m, cur, ep, mask)? {
            m.set_return(cur, &ret);
            return Ok(self.resume(m, cur));
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        self.block_receiving(m, cur, (ep, via), mask, deadline);
        Ok(self.schedule(m))
    }

    #[inline(always)]
    fn serving(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
    ) -> Result<(CapLink, EndpointIndex), Error> {
        let (via, ep, _) = self.endpoint_cap(cur, handle, Rights::RECV)?;
        if self.endpoints.at(ep.index()).server != Some(cur) {
            self.refused = handle;
            return Err(Error::MissingRight);
        }
        Ok((via, ep))
    }

    #[inline(always)]
    fn block_receiving<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (ep, via): (EndpointIndex, CapLink),
        mask: u64,
        deadline: u64,
    ) {
        self.block(cur, State::Receiving, ep.0, via);
        let process = self.procs.get_mut(cur);
        process.want = mask;
        process.deadline = deadline;
        self.arm(m, deadline);
    }

    /// What a receive finds without waiting. Bits come first: they coalesce, calls do not.
    #[inline(always)]
    fn receive_now<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        ep: EndpointIndex,
        mask: u64,
    ) -> Result<Option<Return>, Error> {
        let entry = self.endpoints.at(ep.index());
        if let Some(bound) = entry.notif {
            let notif = self.notifs.at_mut(bound.index.index());
            let hit = notif.bits & mask;
            if hit != 0 {
                notif.bits &= !hit;
                return Ok(Some(Return::Notified { bits: hit }));
            }
        }
        if entry.queue.is_empty() { Ok(None) } else { self.receive_queued(m, cur, ep) }
    }

    fn receive_queued<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        ep: EndpointIndex,
    ) -> Result<Option<Return>, Error> {
        while let Some(caller) = self.endpoints.at(ep.index()).queue.peek() {
            let process = self.procs.get(caller);
            let (len, cap, badge, via) = (process.len, process.cap, process.badge, process.via);
            match self.move_along(m, caller, cap, cur) {
                Ok(cap) => {
                    self.endpoints.at_mut(ep.index()).queue.remove(&mut self.procs, caller);
                    let call = (Frame { len, cap }, badge, via);
                    return Ok(Some(self.deliver(m, caller, cur, call)));
                }
                // Nothing is lost: the call stays first in the queue until there is room.
                Err(Error::NoSpace) => return Err(Error::NoSpace),
                // The capability it wanted to move was revoked while it waited.
                Err(_) => self.fail_blocked(m, caller, Error::Revoked),
            }
        }
        Ok(None)
    }

    /// Hands the reply to the caller and takes it out of its wait; it is then in no queue.
    #[inline(always)]
    fn answer<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        token: u64,
        frame: Frame,
        via: CapLink,
    ) -> Result<ProcIndex, Error> {
        let caller = ProcIndex((token & TOKEN_CALLER) as u8);
        let process = self.procs.get(caller);
        let mine = process.state == State::Awaiting && process.on == u16::from(cur.0);
        if !mine || process.token != token {
            return Err(Error::StaleReply);
        }
        let cap = if frame.cap.is_none() {
            Handle::NONE
        } else {
            self.check_movable(cur, frame.cap, via)?;
            self.move_cap(m, cur, frame.cap, caller)?
        };
        if frame.len != 0 {
            m.copy_frame(cur, caller, usize::from(frame.len));
        }
        m.set_return(caller, &Return::Replied { len: frame.len, cap });
        self.procs.get_mut(caller).deadline = NEVER;
        Ok(caller)
    }

    pub(crate) fn sys_reply<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        token: u64,
        frame: Frame,
    ) -> Result<(), Error> {
        let caller = self.answer(m, cur, token, frame, CapLink::NONE)?;
        self.make_ready(caller);
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn sys_reply_recv<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (token, frame): (u64, Frame),
        (ep, mask, deadline): (Handle, u64, u64),
    ) -> Result<Outcome, Error> {
        let (via, ep) = self.serving(cur, ep)?;
        let caller = self.answer(m, cur, token, frame, via)?;
        match self.receive_now(m, cur, ep, mask) {
            Ok(None) if deadline != 0 => {
                self.block_receiving(m, cur, (ep, via), mask, deadline);
                Ok(self.switch_to(m, caller))
            }
            received => {
                self.make_ready(caller);
                let ret = received?.ok_or(Error::TimedOut)?;
                m.set_return(cur, &ret);
                Ok(self.resume(m, cur))
            }
        }
    }
}
