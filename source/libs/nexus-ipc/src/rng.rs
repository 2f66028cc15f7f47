//! Talking to rngd.

use nexus_abi::Sys;
use nexus_wire::rng::{ENTROPY_MAX, Health, Op, Protocol, Reply, Status};

use crate::{
    CallError, Connection, Deadline,
    call::frame,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 1;
}

/// Why there are no random bytes. [`CallError::Protocol`] is also a reply of another length than
/// was asked for; [`CallError::Argument`] is none or too many.
pub type RngError = CallError<Status>;

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
pub type Client = Connection<Protocol>;

impl Client {
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
        let reply = self.ask(sys, Op::Status {}, deadline)?;
        body!(reply, Reply::Status {
            health, raw_bytes, reseeds, answered, refused, short_reads, timeouts
        } => {
            Report { health, raw_bytes, reseeds, answered, refused, short_reads, timeouts }
        })
    }

    fn fill<S: Sys>(
        &mut self,
        sys: &mut S,
        (out, for_key): (&mut [u8], bool),
        deadline: Deadline,
    ) -> Result<(), RngError> {
        // Whatever happens, what was in `out` before cannot be taken for entropy.
        out.fill(0);
        let n = u16::try_from(out.len()).map_err(|_| CallError::Argument)?;
        if n == 0 || out.len() > ENTROPY_MAX {
            return Err(CallError::Argument);
        }
        let op = if for_key { Op::GetSeed { n } } else { Op::GetEntropy { n } };
        let got = self.ask(sys, op, deadline).and_then(|reply| match reply {
            Reply::GetEntropy { bytes } | Reply::GetSeed { bytes }
                if bytes.as_bytes().len() == out.len() =>
            {
                out.copy_from_slice(bytes.as_bytes());
                Ok(())
            }
            _ => Err(CallError::Protocol),
        });
        // The message page outlives the call: the only copy is the caller's.
        frame(sys).fill(0);
        got
    }
}
