//! The syscall trait: the kernel on the device, the simulated kernel on the host.
//!
//! Everything above the kernel is generic over [`Sys`], so the same daemon code runs in the
//! image, in `nexus-sim` and in unit tests.

use core::sync::atomic::AtomicU64;

use crate::{
    Call, Error, Handle, Return, Rights, ServiceId,
    layout::FRAME_MAX,
    syscall::{FrameLen, Topic},
};

/// Who sent a frame, stamped by the kernel; nothing in it can be chosen by the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Assigned service id.
    pub service: ServiceId,
    /// Which run of that service.
    pub incarnation: u32,
    /// Badge of the capability that was called; set by whoever derived it.
    pub badge: u64,
}

/// A received frame; its bytes are in [`Sys::frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Kernel-stamped caller.
    pub sender: Sender,
    /// Frame length in bytes.
    pub len: usize,
    /// One-shot reply token.
    pub token: u64,
    /// A moved capability, or [`Handle::NONE`].
    pub cap: Handle,
}

/// What a receive ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Message(Message),
    /// Notification bits.
    Notified(u64),
}

/// An answered call; its bytes are in [`Sys::frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Frame length in bytes.
    pub len: usize,
    /// A moved capability, or [`Handle::NONE`].
    pub cap: Handle,
}

/// The kernel as seen by one process.
///
/// Provided methods only encode and decode, but for those that need an address space: where nothing
/// else is said there is no memory to map, and they fail with `MissingRight`.
pub trait Sys {
    /// The process's message frame.
    fn frame(&self) -> &[u8; FRAME_MAX];
    /// The process's message frame, to be filled before a send.
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX];
    /// Traps into the kernel.
    fn syscall(&mut self, call: Call) -> Return;
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// Maps a whole sealed VMO for reading, for the life of the process.
    ///
    /// # Errors
    /// `WrongState` if the VMO is not sealed, `InvalidArgument` if it is shorter than
    /// `len_bytes`, else what `vm_map` says.
    fn map_bytes(&mut self, _vmo: Handle, _len_bytes: usize) -> Result<&'static [u8], Error> {
        Err(Error::MissingRight)
    }

    /// As [`Sys::map_bytes`], as aligned little-endian words.
    ///
    /// # Errors
    /// As [`Sys::map_bytes`]; `len_bytes` must be a multiple of 8.
    fn map_sealed_words(
        &mut self,
        _vmo: Handle,
        _len_bytes: usize,
    ) -> Result<&'static [u64], Error> {
        Err(Error::MissingRight)
    }

    /// Maps a whole VMO as shared words, for the life of the process.
    ///
    /// # Errors
    /// As `vm_map`.
    fn map_words(
        &mut self,
        _vmo: Handle,
        _len_bytes: usize,
    ) -> Result<&'static [AtomicU64], Error> {
        Err(Error::MissingRight)
    }

    /// Maps a whole VMO as words, runs `f`, unmaps it again.
    ///
    /// # Errors
    /// As `vm_map`.
    fn with_words(
        &mut self,
        _vmo: Handle,
        _len_bytes: usize,
        _f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        Err(Error::MissingRight)
    }

    /// Copies the first words of a sealed VMO through a view that is gone again afterwards; for
    /// memory that somebody else hands over.
    ///
    /// # Errors
    /// As [`Sys::map_bytes`].
    fn copy_sealed_words(&mut self, _vmo: Handle, _into: &mut [u64]) -> Result<(), Error> {
        Err(Error::MissingRight)
    }

    /// See [`Call::Call`].
    ///
    /// # Errors
    /// As the table says.
    #[inline(always)]
    fn call(
        &mut self,
        ep: Handle,
        len: usize,
        cap: Handle,
        deadline_ns: u64,
    ) -> Result<Reply, Error> {
        let len = FrameLen::new(len)?;
        match self.syscall(Call::Call { ep, len, cap, deadline_ns }) {
            Return::Replied { len, cap } => Ok(Reply { len: len as usize, cap }),
            other => Err(failure(other)),
        }
    }

    /// See [`Call::Recv`].
    ///
    /// # Errors
    /// As the table says.
    #[inline(always)]
    fn recv(&mut self, ep: Handle, mask: u64, deadline_ns: u64) -> Result<Received, Error> {
        received(self.syscall(Call::Recv { ep, mask, deadline_ns }))
    }

    /// See [`Call::ReplyRecv`].
    ///
    /// # Errors
    /// As the table says.
    #[inline(always)]
    fn reply_recv(
        &mut self,
        (token, len, cap): (u64, usize, Handle),
        ep: Handle,
        mask: u64,
        deadline_ns: u64,
    ) -> Result<Received, Error> {
        let len = FrameLen::new(len)?;
        received(self.syscall(Call::ReplyRecv { token, len, cap, ep, mask, deadline_ns }))
    }

    /// See [`Call::Reply`].
    ///
    /// # Errors
    /// As the table says.
    #[inline(always)]
    fn reply(&mut self, token: u64, len: usize, cap: Handle) -> Result<(), Error> {
        let len = FrameLen::new(len)?;
        self.run(Call::Reply { token, len, cap }).map(|_| ())
    }

    /// Any syscall that answers with values.
    ///
    /// # Errors
    /// As the table says.
    #[inline(always)]
    fn run(&mut self, call: Call) -> Result<[u64; 4], Error> {
        match self.syscall(call) {
            Return::Values(v) => Ok(v),
            Return::Notified { bits } => Ok([bits, 0, 0, 0]),
            other => Err(failure(other)),
        }
    }

    /// Any syscall whose value is a handle.
    ///
    /// # Errors
    /// As the table says.
    fn make(&mut self, call: Call) -> Result<Handle, Error> {
        let [raw, ..] = self.run(call)?;
        u32::try_from(raw).map(Handle::from_raw).map_err(|_| Error::BadHandle)
    }

    /// Derives `cap` with `rights` into the caller's own table.
    ///
    /// # Errors
    /// As `cap_derive`.
    fn derive(&mut self, cap: Handle, rights: Rights, badge: u64) -> Result<Handle, Error> {
        self.make(Call::CapDerive { cap, rights, badge, child: Handle::NONE, slot: 0 })
    }

    /// Four facts about an object.
    ///
    /// # Errors
    /// As `object_info`.
    fn info(&mut self, cap: Handle, topic: Topic) -> Result<[u64; 4], Error> {
        self.run(Call::ObjectInfo { cap, topic })
    }

    /// Sleeps until the deadline.
    fn sleep_until(&mut self, deadline_ns: u64) {
        let _timed_out = self.syscall(Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns });
    }

    /// Appends text to the caller's console line; `\n` prints it. Text beyond the frame is cut.
    /// Uses the message frame, so what was in it is gone.
    fn console(&mut self, text: &str) {
        let mut len = 0usize;
        for (place, byte) in self.frame_mut().iter_mut().zip(text.bytes()) {
            *place = byte;
            len = len.saturating_add(1);
        }
        if let Ok(len) = FrameLen::new(len) {
            let _best_effort = self.syscall(Call::ConsoleWrite { len });
        }
    }
}

#[inline(always)]
fn received(ret: Return) -> Result<Received, Error> {
    match ret {
        Return::Message { len, service, incarnation, badge, token, cap } => {
            let sender = Sender { service, incarnation, badge };
            Ok(Received::Message(Message { sender, len: len as usize, token, cap }))
        }
        Return::Notified { bits } => Ok(Received::Notified(bits)),
        other => Err(failure(other)),
    }
}

/// An answer of the wrong shape counts as refused: callers fail closed.
fn failure(ret: Return) -> Error {
    match ret {
        Return::Failed(e) => e,
        _ => Error::Denied,
    }
}
