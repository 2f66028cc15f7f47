//! Asking the supervisor about services.

use nexus_abi::{Handle, ServiceId, Sys};
use nexus_wire::{
    Status,
    supervise::{Op, Reply, Request, Response, State},
};

use crate::{
    CallError, Deadline,
    call::{Nonces, answers, exchange, frame},
};

/// Version of the protocol spoken here.
const VERSION: u8 = 1;

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// What it is doing.
    pub state: State,
    /// Which run of it.
    pub incarnation: u32,
    /// How often it was restarted.
    pub restarts: u32,
}

/// What the supervisor took down while it started the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurements {
    /// Images started.
    pub images: u32,
    /// Whether none was left out.
    pub whole: bool,
    /// Digest over all of them, in order.
    pub log: [u8; 32],
    /// Digest of the policy the system started with.
    pub policy: [u8; 32],
    /// The service of the image asked for, 0 beyond the last.
    pub service: u64,
    /// Digest of that image.
    pub image: [u8; 32],
}

/// A connection to the supervisor.
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

    /// Has `service` ended `after_ns` after the answer and started again `down_ns` after that.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn restart<S: Sys>(
        &mut self,
        sys: &mut S,
        service: ServiceId,
        (after_ns, down_ns): (u64, u64),
        deadline: Deadline,
    ) -> Result<(), CallError> {
        let op = Op::Restart { service: service.0, after_ns, down_ns };
        self.ask(sys, op, deadline).map(|_| ())
    }

    /// How `service` is.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn status<S: Sys>(
        &mut self,
        sys: &mut S,
        service: ServiceId,
        deadline: Deadline,
    ) -> Result<ServiceStatus, CallError> {
        match self.ask(sys, Op::Status { service: service.0 }, deadline)? {
            Reply::Status { state, incarnation, restarts } => {
                Ok(ServiceStatus { state, incarnation, restarts })
            }
            _ => Err(CallError::Protocol),
        }
    }

    /// What was measured, and the image at `index`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn measurements<S: Sys>(
        &mut self,
        sys: &mut S,
        index: u8,
        deadline: Deadline,
    ) -> Result<Measurements, CallError> {
        match self.ask(sys, Op::Measurements { index }, deadline)? {
            Reply::Measurements { images, whole, log, policy, service, image } => {
                let whole = whole == 1;
                Ok(Measurements { images, whole, log, policy, service, image })
            }
            _ => Err(CallError::Protocol),
        }
    }

    /// Ends the system: the answer comes first, then the journal's last checkpoint.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn shutdown<S: Sys>(
        &mut self,
        sys: &mut S,
        verdict: u8,
        deadline: Deadline,
    ) -> Result<(), CallError> {
        self.ask(sys, Op::Shutdown { verdict }, deadline).map(|_| ())
    }

    fn ask<S: Sys>(&mut self, sys: &mut S, op: Op, deadline: Deadline) -> Result<Reply, CallError> {
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
