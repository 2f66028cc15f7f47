//! All that statefsd needs from outside: the store, and policyd's decisions.

use nexus_service::permit::{Action, Authorizer};
use nexus_state::{BlockDevice, Error, Store};
use nexus_wire::state::State;

/// Reading one's own part.
#[derive(Clone, Copy, Debug)]
pub struct ReadState;

impl Action for ReadState {
    const CAPABILITY: &'static str = "statefs.read";
}

/// Changing one's own part.
#[derive(Clone, Copy, Debug)]
pub struct WriteState;

impl Action for WriteState {
    const CAPABILITY: &'static str = "statefs.write";
}

/// The outside of statefsd.
pub trait Env<'m>: Authorizer {
    /// The disk.
    type Device: BlockDevice;

    /// The mounted store.
    ///
    /// # Errors
    /// [`State::Absent`] or [`State::Refused`] if there is none.
    fn store(&mut self) -> Result<&mut Store<'m, Self::Device>, State>;

    /// A commit is durable: no later mount in this boot may find less.
    fn acknowledged(&mut self, _sequence: u64) {}

    /// The store failed for the first time: whoever watches the machine should see it.
    fn failed(&mut self, _error: Error) {}
}
