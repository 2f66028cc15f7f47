//! A peer to talk to: `EC`, served by test and bench programs.

use crate::{Bytes, Capability, Name, Status};

/// Longest payload of an echo, in bytes.
pub const ECHO_MAX: usize = 500;
/// Longest frame the peer passes on, in bytes.
pub const RELAY_MAX: usize = 448;

protocol! {
    /// Tells who is calling, sends bytes back, and makes policy traffic on request.
    "echo" magic b"EC" max 512 shortest 4;
    nonce u32 in versions { 1: true };
    reply bit 0x80 order StatusNonce status Status;
    Op<'a> => Reply<'a> over 'a;

    /// Who the kernel says is calling.
    1 in [1] Who {} => ok { service: u64, incarnation: u32, badge: u64 };
    /// The same bytes back.
    2 in [1] Echo { bytes: Bytes<'a, 500> } => ok { bytes: Bytes<'a, 500> };
    /// Answers at once, then asks policyd `count` times whether the peer holds `capability`.
    3 in [1] Burst { count: u32, capability: Capability<'a> } => ok {};
    /// What the bursts so far ended with.
    4 in [1] Tally {} => ok { allow: u32, deny: u32, peer_died: u32, timed_out: u32, other: u32 };
    /// The peer asks logd for the audit's counters, and passes on logd's status; 255 if it got
    /// no answer.
    5 in [1] ReadAudit {} => ok { status: u8 };
    /// The peer connects to the service called `to`, sends it these bytes, whatever they are, and
    /// passes on what comes back. Not OK if there was no connection or no answer.
    6 in [1] Relay { to: Name<'a>, frame: Bytes<'a, 448> } => ok { frame: Bytes<'a, 448> };
}
