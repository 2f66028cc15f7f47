//! Talking to rngd.

use nexus_abi::{Error, Handle, Sys};
use nexus_wire::rng::{ENTROPY_MAX, Health, Op, Reply, Request, Response, Status};

use crate::{
    CallError, Deadline,
    call::{Nonces, answers, exchange, frame},
};

/// Version of the protocol spoken here.
const VERSION: u8 = 1;

/// Why there are no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RngError {
    /// The kernel ended the call.
    Ipc(Error),
    /// The reply is not a reply to this request, or not of the length asked for.
    Protocol,
    /// None or too many were asked for; nothing was sent.
    Argument,
    /// rngd says no; never [`Status::Ok`].
    Refused(Status),
}

impl From<CallError> for RngError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Ipc(error) => RngError::Ipc(error),
            CallError::Argument => RngError::Argument,
            CallError::Protocol | CallError::Refused(_) => RngError::Protocol,
        }
    }
}

/// How the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it may be used, and if not, why.
    pub health: Health,
    /// Raw bytes that went through the tests.
    pub raw_bytes: u64,
    /// How often the generator was seeded.
    pub reseeds: u64,
    /// Requests answered with bytes.
    pub answered: u64,
    /// Requests refused, for whatever reason.
    pub refused: u64,
    /// Reads of which the device filled only a part.
    pub short_reads: u64,
    /// Reads that did not end in time.
    pub timeouts: u64,
}

/// A connection to rngd.
#[derive(Debug)]
pub struct Client {
    ep: Handle,
    nonces: Nonces,
}

impl Client {
    /// Over a CALL capability to rngd; `seed` starts the nonces.
    #[must_use]
    pub const fn new(ep: Handle, seed: u32) -> Self {
        Client { ep, nonces: Nonces::new(seed) }
    }

    /// The CALL capability.
    #[must_use]
    pub const fn endpoint(&self) -> Handle {
        self.ep
    }

    /// Fills `out`, 1 to 256 bytes, with random bytes. Needs `rng.entropy`.
    ///
    /// # Errors
    /// [`RngError`]; then `out` is zeroed, and nothing in it may be used.
    pub fn entropy<S: Sys>(
        &mut self,
        sys: &mut S,
        out: &mut [u8],
        deadline: Deadline,
    ) -> Result<(), RngError> {
        self.fill(sys, (out, false), deadline)
    }

    /// As [`Client::entropy`], from a generator reseeded for this request: for keys. Needs
    /// `rng.seed`.
    ///
    /// # Errors
    /// As [`Client::entropy`].
    pub fn seed<S: Sys>(
        &mut self,
        sys: &mut S,
        out: &mut [u8],
        deadline: Deadline,
    ) -> Result<(), RngError> {
        self.fill(sys, (out, true), deadline)
    }

    /// How the source is. Needs `rng.status`.
    ///
    /// # Errors
    /// [`RngError`].
    pub fn status<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Report, RngError> {
        match self.ask(sys, Op::Status {}, deadline)? {
            Reply::Status {
                health,
                raw_bytes,
                reseeds,
                answered,
                refused,
                short_reads,
                timeouts,
            } => {
                Ok(Report { health, raw_bytes, reseeds, answered, refused, short_reads, timeouts })
            }
            _ => Err(RngError::Protocol),
        }
    }

    fn fill<S: Sys>(
        &mut self,
        sys: &mut S,
        (out, for_key): (&mut [u8], bool),
        deadline: Deadline,
    ) -> Result<(), RngError> {
        // Whatever happens, what was in `out` before cannot be taken for entropy.
        out.fill(0);
        let n = u16::try_from(out.len()).map_err(|_| RngError::Argument)?;
        if n == 0 || out.len() > ENTROPY_MAX {
            return Err(RngError::Argument);
        }
        let op = if for_key { Op::GetSeed { n } } else { Op::GetEntropy { n } };
        let got = self.ask(sys, op, deadline).and_then(|reply| match reply {
            Reply::GetEntropy { bytes } | Reply::GetSeed { bytes }
                if bytes.as_bytes().len() == out.len() =>
            {
                out.copy_from_slice(bytes.as_bytes());
                Ok(())
            }
            _ => Err(RngError::Protocol),
        });
        // The message page outlives the call: the only copy is the caller's.
        frame(sys).fill(0);
        got
    }

    fn ask<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        op: Op,
        deadline: Deadline,
    ) -> Result<Reply<'s>, RngError> {
        let nonce = Some(self.nonces.next());
        let len = Request { version: VERSION, nonce, op }.encode(frame(sys));
        let bytes = exchange(sys, self.ep, len, deadline)?;
        let reply = Response::decode(bytes).ok_or(RngError::Protocol)?;
        answers((VERSION, nonce), (reply.version, reply.nonce))?;
        if reply.body.code() != op.code() {
            return Err(RngError::Protocol);
        }
        match reply.status {
            Status::Ok => Ok(reply.body),
            status => Err(RngError::Refused(status)),
        }
    }
}
