//! A peer to talk to: `EC`, served by test and bench programs.

use crate::{Bytes, Capability, Status};

/// Longest payload of an echo, in bytes.
pub const ECHO_MAX: usize = 500;

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
}
