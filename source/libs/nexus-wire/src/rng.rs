//! Entropy: the existing `RG` frames, and two new operations.
//!
//! Deviations: a frame that does not decode is answered with the nonce field too (echoed where
//! the frame holds one); status 5 and operations 2 and 3 are new.

use crate::{Tail, status::status_set};

/// Most random bytes of one reply.
pub const ENTROPY_MAX: usize = 256;

codes! {
    /// Outcome of a request for entropy.
    Status {
        /// Done.
        Ok = 0 "ok",
        /// None or more than [`ENTROPY_MAX`] bytes were asked for.
        Oversized = 1 "oversized",
        /// Policy says no.
        Denied = 2 "denied",
        /// Policy could not be asked, or there is no entropy that may be used.
        Unavailable = 3 "unavailable",
        /// The frame does not decode.
        Malformed = 4 "malformed",
        /// No such version or operation.
        Unsupported = 5 "unsupported",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, Oversized);

codes! {
    /// Whether the source may be used, and if not, why.
    Health {
        /// The start-up test has not passed yet.
        Untested = 0 "untested",
        /// Every test so far has passed.
        Well = 1 "well",
        /// Too many equal bytes in a row. Latched.
        Repetition = 2 "repetition",
        /// One byte too often in a window. Latched.
        Proportion = 3 "proportion",
        /// A block came twice in a row. Latched.
        Repeated = 4 "repeated",
        /// The device is missing, or broke its protocol. Latched.
        Device = 5 "device",
    }
}
code_field!(Health, zero Untested);

protocol! {
    /// Random bytes for whoever policy lets have them.
    ///
    /// The bytes of a reply go to the end of its frame. GET_ENTROPY needs `rng.entropy`, GET_SEED
    /// `rng.seed`, STATUS `rng.status`.
    "rng" magic b"RG" max 512 shortest 4;
    nonce u32 in versions { 1: true };
    reply bit 0x80 order StatusNonce status Status;
    Op => Reply<'a> over 'a;

    /// `n` random bytes, 1 to 256.
    1 in [1] GetEntropy { n: u16 } => ok { bytes: Tail<'a, 256> };
    /// As GET_ENTROPY, from a generator that was reseeded for this very request: for keys. Fails
    /// if the source does not deliver.
    2 in [1] GetSeed { n: u16 } => ok { bytes: Tail<'a, 256> };
    /// How the source is: raw bytes tested, reseeds, requests answered and refused, reads from
    /// the device that came short, and reads that did not come in time.
    3 in [1] Status {} => ok {
        health: Health, raw_bytes: u64, reseeds: u64, answered: u64, refused: u64,
        short_reads: u64, timeouts: u64
    };
}
