//! All that rngd needs from outside: time, the device, and policyd's decisions.

use nexus_service::permit::{Action, Authorizer};
use nexus_virtio::{ENTROPY_BLOCK, Fault, Taken};
use nexus_wire::rng::Health;

/// Drawing random bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entropy;

impl Action for Entropy {
    const CAPABILITY: &'static str = "rng.entropy";
}

/// Drawing random bytes straight after a reseed.
#[derive(Clone, Copy, Debug)]
pub struct Seed;

impl Action for Seed {
    const CAPABILITY: &'static str = "rng.seed";
}

/// Reading how the source is.
#[derive(Clone, Copy, Debug)]
pub struct ReadStatus;

impl Action for ReadStatus {
    const CAPABILITY: &'static str = "rng.status";
}

/// The outside of rngd.
pub trait Env: Authorizer {
    /// Nanoseconds since boot, as finely as the machine counts.
    fn now_ns(&mut self) -> u64;

    /// Which run of rngd this is.
    fn incarnation(&self) -> u32;

    /// Asks the device for a block, unless one is under way.
    ///
    /// # Errors
    /// [`Fault`]: the device cannot be used any more.
    fn request(&mut self) -> Result<(), Fault>;

    /// What became of the request; the block, if it is there.
    ///
    /// # Errors
    /// As [`Env::request`].
    fn take(&mut self, block: &mut [u8; ENTROPY_BLOCK]) -> Result<Taken, Fault>;

    /// Sleeps until the device has something to tell, at most until `deadline_ns`.
    ///
    /// # Errors
    /// As [`Env::request`]: without its interrupt there is no way to wait.
    fn rest(&mut self, deadline_ns: u64) -> Result<(), Fault>;

    /// The source can be used from now on, or never again.
    fn health(&mut self, health: Health);
}
