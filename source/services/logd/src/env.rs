//! All that logd needs from outside: time, the kernel's events, and policyd's decisions about
//! who may read.

use nexus_abi::KernelEvent;
use nexus_audit::Checkpoint;
use nexus_service::permit::{Action, Authorizer};

/// Reading ordinary entries.
#[derive(Clone, Copy, Debug)]
pub struct ReadLog;

impl Action for ReadLog {
    const CAPABILITY: &'static str = "log.read";
}

/// Reading the audit.
#[derive(Clone, Copy, Debug)]
pub struct ReadAudit;

impl Action for ReadAudit {
    const CAPABILITY: &'static str = "audit.read";
}

/// The outside of logd.
pub trait Env: Authorizer {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;

    /// Takes some of the oldest events off the kernel's ring; how many left it, 0 if none waits
    /// or the ring cannot be read. An event that does not decode is not passed on, so its number
    /// is missing and counts as lost.
    fn kernel_events(&mut self, take: &mut dyn FnMut(&KernelEvent)) -> usize;

    /// Nothing more will be recorded: ends this process, which tells the supervisor.
    fn end(&mut self, _last: &Checkpoint) {}

    /// A checkpoint waits for its signature.
    fn wake_signer(&mut self) {}

    /// The audit got worse, or is well again: whoever watches the machine should see it.
    fn health(&mut self, _degraded: bool) {}
}
