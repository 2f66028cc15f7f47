//! Talking to the test and bench peers.

use nexus_abi::{Handle, Sender, ServiceId, Sys};
use nexus_wire::{
    Bytes, Capability, Name, Status,
    echo::{Op, Reply, Request, Response},
};

use crate::{
    CallError, Deadline,
    call::{Nonces, answers, exchange, frame},
};

/// Version of the protocol spoken here.
const VERSION: u8 = 1;

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
#[derive(Debug)]
pub struct Client {
    ep: Handle,
    nonces: Nonces,
}

impl Client {
    /// Over a CALL capability to it; `seed` starts the nonces.
    #[must_use]
    pub const fn new(ep: Handle, seed: u32) -> Self {
        Client { ep, nonces: Nonces::new(seed) }
    }

    /// The CALL capability.
    #[must_use]
    pub const fn endpoint(&self) -> Handle {
        self.ep
    }

    /// Who the kernel tells the peer is calling.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn who<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Sender, CallError> {
        match self.ask(sys, Op::Who {}, deadline)? {
            Reply::Who { service, incarnation, badge } => {
                Ok(Sender { service: ServiceId(service), incarnation, badge })
            }
            _ => Err(CallError::Protocol),
        }
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
        match self.ask(sys, Op::Echo { bytes }, deadline)? {
            Reply::Echo { bytes } => Ok(bytes.as_bytes()),
            _ => Err(CallError::Protocol),
        }
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
        match self.ask(sys, Op::ReadAudit {}, deadline)? {
            Reply::ReadAudit { status } => Ok(status),
            _ => Err(CallError::Protocol),
        }
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
        match self.ask(sys, Op::Relay { to, frame: bytes }, deadline)? {
            Reply::Relay { frame } => Ok(frame.as_bytes()),
            _ => Err(CallError::Protocol),
        }
    }

    /// What the bursts so far ended with.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn tally<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Tally, CallError> {
        match self.ask(sys, Op::Tally {}, deadline)? {
            Reply::Tally { allow, deny, peer_died, timed_out, other } => {
                Ok(Tally { allow, deny, peer_died, timed_out, other })
            }
            _ => Err(CallError::Protocol),
        }
    }

    fn ask<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        op: Op<'_>,
        deadline: Deadline,
    ) -> Result<Reply<'s>, CallError> {
        let nonce = Some(self.nonces.next());
        let len = Request { version: VERSION, nonce, op }.encode(frame(sys));
        let bytes = exchange(sys, self.ep, len, deadline)?;
        let reply = Response::decode(bytes).ok_or(CallError::Protocol)?;
        answers((VERSION, nonce), (reply.version, reply.nonce))?;
        if reply.body.code() != op.code() {
            return Err(CallError::Protocol);
        }
        match reply.status {
            Status::Ok => Ok(reply.body),
            status => Err(CallError::Refused(status)),
        }
    }
}
