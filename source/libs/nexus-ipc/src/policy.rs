//! Asking policyd.

use nexus_abi::{Error, Handle, ServiceId, Sys};
use nexus_wire::{
    Capability, Name,
    audit::Reason,
    policy::{Op, Protocol, Reply, Status},
};

use crate::{
    CallError, Connection, Deadline, Verdict,
    call::discard,
    connection::{Answer, Failure},
};

/// Proof that policyd allowed one request. Only this module can make one.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Allowed {
    nonce: u32,
}

impl Allowed {
    /// Nonce of the request, by which its audit record is found; 0 for version 1 requests.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        self.nonce
    }
}

/// As [`Allowed`], with the number of the decision.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Authorized {
    nonce: u32,
    seq: u64,
}

impl Authorized {
    /// Nonce of the request, by which its audit record is found.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        self.nonce
    }

    /// Number that policyd gave the decision's audit record.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

/// Why something is not allowed. Every variant means no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAllowed {
    /// policyd decided: no.
    Denied,
    /// The kernel ended the call: policyd is dead, slow, or out of reach.
    Ipc(Error),
    /// The reply is not a reply to this request.
    Protocol,
    /// An argument does not fit its field; nothing was sent.
    Argument,
    /// policyd did not understand the request.
    Refused(Status),
}

impl From<Failure<Protocol>> for NotAllowed {
    fn from(error: Failure<Protocol>) -> Self {
        match error {
            CallError::Ipc(error) => NotAllowed::Ipc(error),
            CallError::Argument => NotAllowed::Argument,
            CallError::Protocol => NotAllowed::Protocol,
            CallError::Refused(status) => NotAllowed::Refused(status),
        }
    }
}

/// policyd that does not understand may be another one tomorrow: only a decision keeps it.
impl Verdict for NotAllowed {
    fn keeps_connection(&self) -> bool {
        matches!(self, NotAllowed::Denied | NotAllowed::Argument)
    }
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Whether the policy offered is in force.
    pub loaded: bool,
    /// Why, or why not.
    pub reason: Reason,
    /// Version of the policy in force now; 0 for a caller without `policy.reload`.
    pub version: u64,
    /// Nonce of the request, by which its audit record is found.
    pub nonce: u32,
}

/// A connection to policyd.
pub type Client = Connection<Protocol>;

impl Client {
    /// May the caller, whose name this is, take part in IPC? (operation 1, version 1)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    pub fn check<S: Sys>(
        &mut self,
        sys: &mut S,
        name: &str,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        let name = Name::new(name).ok_or(NotAllowed::Argument)?;
        self.decide(sys, 1, Op::Check { name }, deadline)
    }

    /// May `requester` talk to `target`? (operation 2, version 3)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    pub fn route<S: Sys>(
        &mut self,
        sys: &mut S,
        requester: ServiceId,
        target: ServiceId,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        let op = Op::RouteId { requester: requester.0, target: target.0 };
        self.decide(sys, 3, op, deadline)
    }

    /// May `requester` start program `image`? (operation 3, version 3)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    pub fn exec<S: Sys>(
        &mut self,
        sys: &mut S,
        requester: ServiceId,
        image: u8,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        self.decide(sys, 3, Op::ExecId { requester: requester.0, image }, deadline)
    }

    /// Does the caller itself, whose id `subject` must be, hold `capability`? (operation 4,
    /// version 1)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    #[inline]
    pub fn check_cap<S: Sys>(
        &mut self,
        sys: &mut S,
        subject: ServiceId,
        capability: &str,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        let capability = Capability::new(capability).ok_or(NotAllowed::Argument)?;
        self.decide(sys, 1, Op::CheckCap { subject: subject.0, capability }, deadline)
    }

    /// Does `subject` hold `capability`? The caller needs `policy.delegate`. (operation 5,
    /// version 2)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    #[inline]
    pub fn check_cap_delegated<S: Sys>(
        &mut self,
        sys: &mut S,
        subject: ServiceId,
        capability: &str,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        let capability = Capability::new(capability).ok_or(NotAllowed::Argument)?;
        self.decide(sys, 2, Op::CheckCapDelegated { subject: subject.0, capability }, deadline)
    }

    /// As [`Client::check_cap_delegated`], and on which decision: for who keeps a record of what
    /// it then does. (operation 8, version 2)
    ///
    /// # Errors
    /// [`NotAllowed`]; every variant means no.
    #[inline]
    pub fn authorize<S: Sys>(
        &mut self,
        sys: &mut S,
        subject: ServiceId,
        capability: &str,
        deadline: Deadline,
    ) -> Result<Authorized, NotAllowed> {
        let capability = Capability::new(capability).ok_or(NotAllowed::Argument)?;
        let op = Op::Authorize { subject: subject.0, capability };
        let reply = self.allowed(sys, 2, op, deadline)?;
        match (reply.body, reply.nonce) {
            (Reply::Authorize { seq }, Some(nonce)) => Ok(Authorized { nonce, seq }),
            _ => Err(NotAllowed::Protocol),
        }
    }

    /// The syscall argument profile of `subject`, in the message frame. (operation 6, version 2)
    ///
    /// # Errors
    /// [`NotAllowed`]; then there is no profile, which denies everything.
    pub fn abi_profile_get<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        subject: ServiceId,
        deadline: Deadline,
    ) -> Result<&'s [u8], NotAllowed> {
        let op = Op::AbiProfileGet { subject: subject.0 };
        match self.allowed(sys, 2, op, deadline)?.body {
            Reply::AbiProfileGet { profile } => Ok(profile.as_bytes()),
            _ => Err(NotAllowed::Protocol),
        }
    }

    /// Offers the signed policy in the sealed memory object `blob`, which is given up whatever
    /// happens; it needs GRANT and no children. (operation 7, version 2)
    ///
    /// # Errors
    /// [`CallError`]; then the caller does not know which policy is in force.
    pub fn reload<S: Sys>(
        &mut self,
        sys: &mut S,
        blob: Handle,
        deadline: Deadline,
    ) -> Result<Reloaded, CallError> {
        let answered = match self.exchange(sys, (2, blob), Op::Reload {}, deadline) {
            Ok(reply) => reloaded(&reply),
            Err(CallError::Ipc(error)) => Err(CallError::Ipc(error)),
            Err(_) => Err(CallError::Protocol),
        };
        if answered.is_err() {
            // Gone if it was delivered; the handle's generation makes this safe.
            discard(sys, blob);
        }
        answered
    }

    #[inline]
    fn decide<S: Sys>(
        &mut self,
        sys: &mut S,
        version: u8,
        op: Op<'_>,
        deadline: Deadline,
    ) -> Result<Allowed, NotAllowed> {
        let reply = self.allowed(sys, version, op, deadline)?;
        Ok(Allowed { nonce: reply.nonce.unwrap_or(0) })
    }

    /// The ALLOW reply to this very request, or why there is none.
    #[inline]
    fn allowed<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        version: u8,
        op: Op<'_>,
        deadline: Deadline,
    ) -> Result<Answer<'s, Protocol>, NotAllowed> {
        let reply = self.exchange(sys, (version, Handle::NONE), op, deadline)?;
        match reply.status {
            Status::Allow => Ok(reply),
            Status::Deny => Err(NotAllowed::Denied),
            status @ (Status::Malformed | Status::Unsupported) => Err(NotAllowed::Refused(status)),
        }
    }
}

fn reloaded(reply: &Answer<'_, Protocol>) -> Result<Reloaded, CallError> {
    let (Reply::Reload { reason, version }, Some(nonce)) = (reply.body, reply.nonce) else {
        return Err(CallError::Protocol);
    };
    match reply.status {
        Status::Allow | Status::Deny => {
            Ok(Reloaded { loaded: reply.status == Status::Allow, reason, version, nonce })
        }
        Status::Malformed | Status::Unsupported => Err(CallError::Protocol),
    }
}
