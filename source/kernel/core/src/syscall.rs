//! The one entry for system calls: mask, decode, dispatch, and what a refusal leaves behind.

use nexus_abi::{
    Call, Error, EventKind, Handle, Return,
    syscall::{FrameLen, nr},
};

use crate::{
    Kernel, Machine, Outcome, ipc::Frame, life::Birth, process::State, types::ProcIndex, vmo::Payer,
};

/// The number of a syscall that is inside the caller's mask. Only [`Kernel::permit`] makes one,
/// so no call runs whose mask was not tested.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Permitted(u64);

impl Kernel {
    /// A system call of the running process `cur`: number (a7) and a0..a5.
    #[inline]
    pub fn syscall<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        nr: u64,
        args: &[u64; 6],
    ) -> Outcome {
        match self.permit(cur, nr) {
            Some(permitted) => self.permitted(m, cur, permitted, args),
            None => self.denied(m, cur, nr),
        }
    }

    /// The mask test, before anything is decoded. Apart from [`Kernel::syscall`] so that the
    /// architecture can turn a denied call away before it sets up anything for a permitted one.
    #[inline(always)]
    #[must_use]
    pub fn permit(&self, cur: ProcIndex, nr: u64) -> Option<Permitted> {
        self.procs.get(cur).mask.allows(nr).then_some(Permitted(nr))
    }

    /// Carries out a call of the running process `cur` that [`Kernel::permit`] let through.
    #[inline]
    pub fn permitted<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        Permitted(nr): Permitted,
        args: &[u64; 6],
    ) -> Outcome {
        if self.procs.get(cur).state != State::Running {
            return self.schedule(m);
        }
        // The two calls every exchange consists of get their own, specialised decode.
        let result = if nr == nr::Call {
            self.call(m, cur, args)
        } else if nr == nr::ReplyRecv {
            self.reply_recv(m, cur, args)
        } else {
            self.any_other(m, cur, nr, args)
        };
        match result {
            Ok(outcome) => outcome,
            Err(error) => self.refuse(m, cur, (nr, args), error),
        }
    }

    #[inline(always)]
    fn call<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        args: &[u64; 6],
    ) -> Result<Outcome, Error> {
        match Call::decode(nr::Call, args)? {
            Call::Call { ep, len, cap, deadline_ns } => {
                self.sys_call(m, cur, ep, frame(len, cap), deadline_ns)
            }
            _ => Err(Error::Denied),
        }
    }

    #[inline(always)]
    fn reply_recv<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        args: &[u64; 6],
    ) -> Result<Outcome, Error> {
        match Call::decode(nr::ReplyRecv, args)? {
            Call::ReplyRecv { token, len, cap, ep, mask, deadline_ns } => {
                let reply = (token, frame(len, cap));
                self.sys_reply_recv(m, cur, reply, (ep, mask, deadline_ns))
            }
            _ => Err(Error::Denied),
        }
    }

    #[inline(never)]
    fn any_other<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        nr: u64,
        args: &[u64; 6],
    ) -> Result<Outcome, Error> {
        let call = Call::decode(nr, args)?;
        let values = match call {
            Call::Recv { ep, mask, deadline_ns } => {
                return self.sys_recv(m, cur, (ep, mask, deadline_ns));
            }
            Call::Wait { notif, mask, deadline_ns } => {
                return self.sys_wait(m, cur, (notif, mask, deadline_ns));
            }
            Call::ProcExit { proc, code } => {
                if self.proc_exit(m, cur, proc, code)?.is_none() {
                    return Ok(self.schedule(m));
                }
                [0; 4]
            }
            call => self.finishing(m, cur, call)?,
        };
        m.set_return(cur, &Return::Values(values));
        Ok(self.resume(m, cur))
    }

    /// Calls that neither wait nor end the caller.
    fn finishing<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        call: Call,
    ) -> Result<[u64; 4], Error> {
        let value = match call {
            Call::Reply { token, len, cap } => {
                self.sys_reply(m, cur, token, frame(len, cap)).map(|()| 0)
            }
            Call::Signal { notif, bits } => self.sys_signal(m, cur, notif, bits).map(|()| 0),
            Call::CapRevoke { cap } => self.cap_revoke(m, cur, cap),
            Call::CapClose { cap } => self.cap_close(m, cur, cap).map(|()| 0),
            Call::ObjectInfo { cap, topic } => return self.object_info(m, cur, cap, topic),
            Call::SourceControl { source, op, notif, bit } => {
                self.source_control(m, cur, source, op, (notif, bit)).map(|()| 0)
            }
            Call::ConsoleWrite { len } => {
                self.console_write(m, cur, len.get());
                Ok(0)
            }
            Call::MaskShrink { keep } => {
                let process = self.procs.get_mut(cur);
                process.mask.0 &= keep.0;
                Ok(process.mask.0)
            }
            call => self.making(m, cur, call),
        };
        value.map(|value| [value, 0, 0, 0])
    }

    /// Calls that make or change objects and address spaces.
    fn making<M: Machine>(&mut self, m: &mut M, cur: ProcIndex, call: Call) -> Result<u64, Error> {
        let handle = match call {
            Call::EndpointCreate { notif } => self.endpoint_create(cur, notif)?,
            Call::NotifCreate {} => self.notif_create(cur)?,
            Call::VmoCreate { len, kind, authority } => {
                self.vmo_create(m, cur, len, kind, authority)?
            }
            Call::CapDerive { cap, rights, badge, child, slot } => {
                self.cap_derive(m, cur, cap, (rights, badge), (child, slot))?
            }
            Call::ProcCreate { factory, service, mask, quota, priority } => {
                let creator = Payer::Process(cur);
                let birth = Birth { service, mask, quota, priority, creator };
                self.proc_create(m, cur, factory, birth)?
            }
            Call::VmoSeal { vmo, seal } => return self.vmo_seal(cur, vmo, seal).map(|()| 0),
            Call::VmMap { proc, vmo, va, offset, len, prot } => {
                return self.vm_map(m, cur, (proc, vmo), (va, offset, len), prot).map(|()| 0);
            }
            Call::VmUnmap { proc, va, len } => return self.vm_unmap(m, cur, proc, (va, len)),
            Call::ProcStart { proc, entry, sp, arg } => {
                return self.proc_start(m, cur, proc, [entry, sp, arg]).map(|()| 0);
            }
            // Dispatched before; refused if that ever changes.
            Call::Call { .. }
            | Call::Recv { .. }
            | Call::ReplyRecv { .. }
            | Call::Reply { .. }
            | Call::Signal { .. }
            | Call::Wait { .. }
            | Call::CapRevoke { .. }
            | Call::CapClose { .. }
            | Call::ObjectInfo { .. }
            | Call::SourceControl { .. }
            | Call::ProcExit { .. }
            | Call::ConsoleWrite { .. }
            | Call::MaskShrink { .. } => return Err(Error::Denied),
        };
        Ok(handle.raw().into())
    }

    /// A call of the running process `cur` outside its mask: an error, a count and an event,
    /// nothing else.
    #[inline]
    pub fn denied<M: Machine>(&mut self, m: &mut M, cur: ProcIndex, nr: u64) -> Outcome {
        let rest = &mut self.procs.get_mut(cur).rest;
        rest.denied = rest.denied.wrapping_add(1);
        m.set_return(cur, &Return::Failed(Error::Denied));
        if self.record(m, cur, EventKind::SyscallDenied, 0, [nr, 0]) {
            return self.tell_and_resume(m, cur);
        }
        // Nobody became ready, so the caller still comes first.
        Outcome::Resume(cur)
    }

    #[cold]
    #[inline(never)]
    fn tell_and_resume<M: Machine>(&mut self, m: &mut M, cur: ProcIndex) -> Outcome {
        self.tell_reader(m);
        self.resume(m, cur)
    }

    #[cold]
    fn refuse<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (nr, args): (u64, &[u64; 6]),
        error: Error,
    ) -> Outcome {
        m.set_return(cur, &Return::Failed(error));
        match error {
            Error::MissingRight | Error::WrongType => {
                let handle = core::mem::replace(&mut self.refused, Handle::NONE);
                let args = [handle.raw().into(), nr];
                self.report(m, cur, EventKind::CapDenied, 0, args);
            }
            Error::TooLarge => {
                let [first, second, ..] = *args;
                let len = if nr == nr::ConsoleWrite { first } else { second };
                self.report(m, cur, EventKind::FrameRefused, 0, [len, nr]);
            }
            _ => {}
        }
        self.resume(m, cur)
    }
}

#[inline(always)]
fn frame(len: FrameLen, cap: Handle) -> Frame {
    Frame { len: len.get() as u16, cap }
}
