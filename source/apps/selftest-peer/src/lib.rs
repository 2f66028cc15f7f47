//! A second subject for the selftest: tells who the kernel says is calling, sends bytes back,
//! and makes policy traffic of its own while something else happens to policyd.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod burst;
mod peer;
mod relay;
#[cfg(test)]
mod tests;

use nexus_abi::{Handle, Sys, layout::SLOT_SERVER};
use nexus_wire::echo::RELAY_MAX;

pub use burst::{BURST_MAX, Checker};
pub use peer::{Checks, Peer};

/// Exit code: the kernel took the endpoint away.
pub const EXIT_NO_ENDPOINT: i32 = 3;

/// The peer in the image and in the simulator: checks go to policyd.
struct Env<'s, S: Sys> {
    sys: &'s mut S,
    checker: Checker,
}

impl<S: Sys> nexus_service::Env for Env<'_, S> {
    type Sys = S;
    fn sys(&mut self) -> &mut S {
        self.sys
    }
}

impl<S: Sys> Checks for Env<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }
    fn check(&mut self, capability: &str) -> burst::Outcome {
        self.checker.check(self.sys, capability)
    }
    fn read_audit(&mut self) -> u8 {
        burst::read_audit(self.sys)
    }
    fn relay(&mut self, to: &str, bytes: &[u8], answer: &mut [u8; RELAY_MAX]) -> Option<usize> {
        relay::relay(self.sys, to, bytes, answer)
    }
}

/// Serves the peer's endpoint until it is gone. Returns an exit code.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let mut env = Env { sys, checker: Checker::default() };
    let _gone = nexus_service::serve(&mut Peer::default(), &mut env, Handle::fixed(SLOT_SERVER), 0);
    EXIT_NO_ENDPOINT
}
