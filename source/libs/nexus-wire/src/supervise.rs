//! Operating services: `SV`, answered by the supervisor to holders of `service.restart`, and of
//! `system.shutdown` for the end of all.

use crate::Status;

codes! {
    /// What a service is doing.
    State {
        /// Not started since boot.
        Idle = 0 "idle",
        /// Running.
        Running = 1 "running",
        /// Ended; a restart is due.
        Restarting = 2 "restarting",
        /// Ended, and will not be restarted.
        Stopped = 3 "stopped",
    }
}
code_field!(State, zero Idle);

/// Bit of the journal's notification by which the supervisor tells it that the end has come. The
/// journal answers by ending.
pub const SHUTDOWN_BIT: u64 = 1 << 62;

protocol! {
    /// Restarts services and tells how they are: both need `service.restart`. Tells what was
    /// started: that needs `boot.measurements`. Ends the system: that needs `system.shutdown`.
    "supervise" magic b"SV" max 160 shortest 4;
    nonce u32 in versions { 1: true };
    reply bit 0x80 order StatusNonce status Status;
    Op => Reply over 'a;

    /// Answers, ends the service `after_ns` later and starts it again `down_ns` after that.
    1 in [1] Restart { service: u64, after_ns: u64, down_ns: u64 } => ok {};
    /// How a service is: its state, its incarnation and how often it was restarted.
    2 in [1] Status { service: u64 } => ok { state: State, incarnation: u32, restarts: u32 };
    /// Images started while the system started, in order: how many, whether none was left out,
    /// the digest over all, the policy's digest, and the image at `index`, zeros beyond the last.
    3 in [1] Measurements { index: u8 } => ok {
        images: u32, whole: u8, log: [u8; 32], policy: [u8; 32], service: u64, image: [u8; 32]
    };
    /// Answers, has the journal make its last checkpoint, and ends the machine with `verdict`: 0
    /// is success.
    4 in [1] Shutdown { verdict: u8 } => ok {};
}
