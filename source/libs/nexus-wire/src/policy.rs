//! Policy decisions: the existing `PO` frames of versions 1, 2 and 3.
//!
//! Deviations from the older daemon, each because a client could not trust the answer: a
//! refusal echoes the nonce whenever the frame holds it and carries the version asked (an
//! unknown version is answered in version 1); names and capabilities must be 1 to 48 bytes of
//! UTF-8 in every version; the profile of operation 6 is at most 500 bytes, what one frame
//! holds; operation 0x7f, which let any client write log lines, is gone. Operations 7 and 8 are new.

use crate::{Bytes, Capability, Name, audit::Reason, status::status_set};

/// Badge of the CALL capability that only the supervisor holds: its calls may speak for others.
/// Every other CALL capability of policyd has badge 0.
pub const BADGE_CONTROL: u64 = 1;

/// Longest ABI profile in a reply, in bytes.
pub const PROFILE_MAX: usize = 500;

codes! {
    /// Outcome of a policy request. Nothing but `Allow` allows.
    Status {
        /// Allowed.
        Allow = 0 "allow",
        /// Denied.
        Deny = 1 "deny",
        /// The frame does not decode.
        Malformed = 2 "malformed",
        /// No such version or operation.
        Unsupported = 3 "unsupported",
    }
}
status_set!(Status: Allow, Malformed, Unsupported, Malformed);

protocol! {
    /// Asks policyd for a decision. The subject is the kernel-stamped sender; a payload subject
    /// counts only from who may speak for others.
    "policy" magic b"PO" max 512 shortest 6;
    nonce u32 in versions { 1: false, 2: true, 3: true };
    reply bit 0x80 order NonceStatusZero status Status;
    Op<'a> => Reply<'a> over 'a;

    /// May the named service, which must be the sender, take part in IPC?
    1 in [1] Check { name: Name<'a> } => always {};
    /// May `requester` talk to `target`?
    2 in [1, 2] Route { requester: Name<'a>, target: Name<'a> } => always {};
    /// May `requester` talk to `target`, both by service id?
    2 in [3] RouteId { requester: u64, target: u64 } => always {};
    /// May `requester` start a program?
    3 in [1, 2] Exec { requester: Name<'a>, image: u8 } => always {};
    /// May `requester`, by service id, start a program?
    3 in [3] ExecId { requester: u64, image: u8 } => always {};
    /// Does the sender (or `subject`, from the supervisor) hold the capability?
    4 in [1] CheckCap { subject: u64, capability: Capability<'a> } => always {};
    /// Does `subject` hold the capability? The sender needs `policy.delegate`.
    5 in [1, 2] CheckCapDelegated { subject: u64, capability: Capability<'a> } => always {};
    /// The syscall argument profile of `subject`.
    6 in [2] AbiProfileGet { subject: u64 } => always { profile: Bytes<'a, 500> };
    /// Takes the signed policy in the sealed memory object that comes along, if the sender holds
    /// `policy.reload` and it is newer. Tells why, and which version is in force now; a sender
    /// without the right learns neither.
    7 in [2] Reload {} => always { reason: Reason, version: u64 };
    /// Does `subject` hold the capability? The sender needs `policy.delegate`. As operation 5, but
    /// an ALLOW tells the number policyd gave the decision's record, for the sender to quote in
    /// the record of what it then does.
    8 in [2] Authorize { subject: u64, capability: Capability<'a> } => ok { seq: u64 };
}
