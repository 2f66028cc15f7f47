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

/// Why a call has no result; `S` is the protocol's set of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<S = Status> {
    /// The kernel ended the call: deadline, death of the server, revocation, a bad handle. Whether
    /// the server acted is not known.
    Ipc(Error),
    /// The reply is not a reply to this request; as [`CallError::Ipc`].
    Protocol,
    /// An argument does not fit its field; nothing was sent.
    Argument,
    /// The service says no; never the set's OK.
    Refused(S),
}

impl<S> From<Error> for CallError<S> {
    fn from(error: Error) -> Self {
        CallError::Ipc(error)
    }
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
