//! Asking the supervisor about services.

use nexus_abi::{ServiceId, Sys};
use nexus_wire::supervise::{Op, Protocol, Reply, State};

use crate::{
    CallError, Connection, Deadline,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 1;
}

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
pub type Client = Connection<Protocol>;

impl Client {
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
        let reply = self.ask(sys, Op::Status { service: service.0 }, deadline)?;
        body!(reply, Reply::Status { state, incarnation, restarts } => {
            ServiceStatus { state, incarnation, restarts }
        })
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
        let reply = self.ask(sys, Op::Measurements { index }, deadline)?;
        body!(reply, Reply::Measurements { images, whole, log, policy, service, image } => {
            Measurements { images, whole: whole == 1, log, policy, service, image }
        })
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
}
