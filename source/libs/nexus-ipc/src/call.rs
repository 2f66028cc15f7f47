//! One exchange, and what can go wrong with it.

use nexus_abi::{Call, Error, Handle, Sys};
use nexus_wire::{FRAME_MAX, Status};

/// An absolute point in time that comes: no call waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// At this time since boot. The kernel's "never" is brought down to a finite time.
    #[must_use]
    pub const fn at_ns(time_ns: u64) -> Deadline {
        if time_ns == u64::MAX { Deadline(u64::MAX - 1) } else { Deadline(time_ns) }
    }

    /// So long from now.
    #[must_use]
    pub fn after_ns<S: Sys>(sys: &mut S, wait_ns: u64) -> Deadline {
        Deadline::at_ns(sys.now_ns().saturating_add(wait_ns))
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn ns(self) -> u64 {
        self.0
    }
}

/// Why a call has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The kernel ended the call: deadline, death of the server, revocation, a bad handle.
    Ipc(Error),
    /// The reply is not a reply to this request.
    Protocol,
    /// An argument does not fit its field; nothing was sent.
    Argument,
    /// The service says no; never [`Status::Ok`].
    Refused(Status),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        CallError::Ipc(error)
    }
}

/// Sends `len` bytes of the frame and returns the bytes of the reply. No protocol but connect
/// moves capabilities to clients: one that comes along is given up and the reply refused, so
/// that no server can fill a client's table.
#[inline]
pub(crate) fn exchange<S: Sys>(
    sys: &mut S,
    ep: Handle,
    len: usize,
    deadline: Deadline,
) -> Result<&[u8], CallError> {
    exchange_with(sys, ep, (len, Handle::NONE), deadline)
}

/// As [`exchange`], moving a capability with the request. It stays the caller's if the request
/// was not delivered.
#[inline]
pub(crate) fn exchange_with<S: Sys>(
    sys: &mut S,
    ep: Handle,
    (len, cap): (usize, Handle),
    deadline: Deadline,
) -> Result<&[u8], CallError> {
    let reply = sys.call(ep, len, cap, deadline.ns())?;
    if !reply.cap.is_none() {
        discard(sys, reply.cap);
        return Err(CallError::Protocol);
    }
    sys.frame().get(..reply.len).ok_or(CallError::Protocol)
}

/// Gives a capability up.
pub(crate) fn discard<S: Sys>(sys: &mut S, cap: Handle) {
    let _gone_either_way = sys.run(Call::CapClose { cap });
}

/// The frame requests are written into.
#[inline(always)]
pub(crate) fn frame<S: Sys>(sys: &mut S) -> &mut [u8; FRAME_MAX] {
    sys.frame_mut()
}

/// Nonces that do not repeat within a client; correlation itself is the kernel's reply token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonces(u32);

impl Nonces {
    pub(crate) const fn new(seed: u32) -> Self {
        Nonces(seed)
    }

    #[inline(always)]
    pub(crate) const fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// Whether a reply answers the request: same version and same nonce.
#[inline(always)]
pub(crate) fn answers<N: PartialEq>(
    sent: (u8, Option<N>),
    received: (u8, Option<N>),
) -> Result<(), CallError> {
    if sent == received { Ok(()) } else { Err(CallError::Protocol) }
}
