//! Talking to the test and bench peers.

use nexus_abi::{Sender, ServiceId, Sys};
use nexus_wire::{
    Bytes, Capability, Name,
    echo::{Op, Protocol, Reply},
};

use crate::{
    CallError, Connection, Deadline,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 1;
}

/// What a peer's policy checks ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Allowed.
    pub allow: u32,
    /// Denied.
    pub deny: u32,
    /// policyd died while the check was in flight, or was not there.
    pub peer_died: u32,
    /// The deadline passed.
    pub timed_out: u32,
    /// Anything else; nothing of it an allow.
    pub other: u32,
}

/// A connection to a peer.
pub type Client = Connection<Protocol>;

impl Client {
    /// Who the kernel tells the peer is calling.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn who<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Sender, CallError> {
        let reply = self.ask(sys, Op::Who {}, deadline)?;
        body!(reply, Reply::Who { service, incarnation, badge } => {
            Sender { service: ServiceId(service), incarnation, badge }
        })
    }

    /// The bytes as they come back, in the message frame.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn echo<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Result<&'s [u8], CallError> {
        let bytes = Bytes::new(bytes).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Echo { bytes }, deadline)?;
        body!(reply, Reply::Echo { bytes } => bytes.as_bytes())
    }

    /// Has the peer ask policyd `count` times, after it has answered.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn burst<S: Sys>(
        &mut self,
        sys: &mut S,
        count: u32,
        capability: &str,
        deadline: Deadline,
    ) -> Result<(), CallError> {
        let capability = Capability::new(capability).ok_or(CallError::Argument)?;
        self.ask(sys, Op::Burst { count, capability }, deadline).map(|_| ())
    }

    /// What logd answers the peer when it asks for the audit's counters; 255 is no answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn read_audit<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<u8, CallError> {
        let reply = self.ask(sys, Op::ReadAudit {}, deadline)?;
        body!(reply, Reply::ReadAudit { status } => status)
    }

    /// Has the peer send `bytes` to the service called `to`, in its own name; the answer, in the
    /// message frame.
    ///
    /// # Errors
    /// [`CallError`]; refused if the peer got no connection or no answer.
    pub fn relay<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        to: &str,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Result<&'s [u8], CallError> {
        let to = Name::new(to).ok_or(CallError::Argument)?;
        let bytes = Bytes::new(bytes).ok_or(CallError::Argument)?;
        let reply = self.ask(sys, Op::Relay { to, frame: bytes }, deadline)?;
        body!(reply, Reply::Relay { frame } => frame.as_bytes())
    }

    /// What the bursts so far ended with.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn tally<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Tally, CallError> {
        let reply = self.ask(sys, Op::Tally {}, deadline)?;
        body!(reply, Reply::Tally { allow, deny, peer_died, timed_out, other } => {
            Tally { allow, deny, peer_died, timed_out, other }
        })
    }
}
