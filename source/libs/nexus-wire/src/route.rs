//! Connecting to a service by name: the existing `RT` frames, answered by the supervisor.
//!
//! Deviation: the older reply named two slots that were already filled, so a refusal was only
//! advice. Here the CALL capability moves with an OK reply and both slot fields are 0.

use crate::{Name, status::status_set};

codes! {
    /// Outcome of a connect.
    Status {
        /// The capability came along.
        Ok = 0 "ok",
        /// No such service.
        NotFound = 1 "not-found",
        /// The frame does not decode.
        Malformed = 2 "malformed",
        /// Policy says no.
        Denied = 3 "denied",
        /// The authority did not answer, or the service is not there.
        Unavailable = 4 "unavailable",
        /// No such version or operation.
        Unsupported = 5 "unsupported",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, Malformed);

protocol! {
    /// Asks the supervisor for a CALL capability to a service.
    "route" magic b"RT" max 80 shortest 4;
    nonce u32 in versions { 1: false };
    reply bit 0x01 order StatusNonce status Status;
    Op<'a> => Reply over 'a;

    /// Connect the sender to the named service.
    0x40 in [1] Get { name: Name<'a>, nonce: u32 }
    => always { send_slot: u32, recv_slot: u32, nonce: u32 };
}
