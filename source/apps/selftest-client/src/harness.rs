//! What every step works with, and how a step fails.

use nexus_abi::{Handle, ServiceId, Sys, layout::SLOT_CONNECT, syscall::Topic};
use nexus_ipc::{Deadline, echo, log, policy, rng, supervise};
use nexus_system::slots::selftest_client as slots;

/// Milliseconds in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// Longest a question to another service may take: far above any honest answer, and finite.
pub(crate) const PATIENCE_NS: u64 = 500 * MS;

/// Why a step failed: what was seen, in a few words.
pub(crate) type Failure = &'static str;

/// Outcome of a step.
pub(crate) type Outcome = Result<(), Failure>;

/// Fails the step unless `held`.
pub(crate) fn ensure(held: bool, otherwise: Failure) -> Outcome {
    if held { Ok(()) } else { Err(otherwise) }
}

/// The state steps share. Capabilities are opened by the first steps and kept.
pub(crate) struct Ctx<'s, S: Sys> {
    pub(crate) sys: &'s mut S,
    /// Own identity, as the kernel tells it.
    pub(crate) me: ServiceId,
    pub(crate) incarnation: u32,
    pub(crate) policy: Handle,
    pub(crate) log: Handle,
    pub(crate) peer: Handle,
    pub(crate) rng: Handle,
    /// The probe's ELF.
    pub(crate) probe: &'static [u8],
    nonce: u32,
    seed: u32,
    next_probe: u64,
}

impl<'s, S: Sys> Ctx<'s, S> {
    pub(crate) fn new(sys: &'s mut S) -> Result<Ctx<'s, S>, Failure> {
        let caller = sys.info(Handle::NONE, Topic::Caller).map_err(|_| "who am i refused")?;
        let [id, incarnation, ..] = caller;
        Ok(Ctx {
            sys,
            me: ServiceId(id),
            incarnation: incarnation as u32,
            policy: Handle::NONE,
            log: Handle::NONE,
            peer: Handle::NONE,
            rng: Handle::NONE,
            probe: &[],
            // Any start does; a fixed one keeps two runs alike.
            nonce: 0x5e1f_0000,
            seed: 0,
            next_probe: slots::FACTORY_FIRST_ID,
        })
    }

    /// A nonce no other request of this run carries.
    pub(crate) fn nonce(&mut self) -> u32 {
        self.nonce = self.nonce.wrapping_add(1);
        self.nonce
    }

    /// The next id of the factory's range, so that the records of two probes do not mix.
    pub(crate) fn next_probe_id(&mut self) -> ServiceId {
        let id = self.next_probe;
        let last = id >= slots::FACTORY_LAST_ID;
        self.next_probe = if last { slots::FACTORY_FIRST_ID } else { id.saturating_add(1) };
        ServiceId(id)
    }

    /// A deadline `ns` from now.
    pub(crate) fn within(&mut self, ns: u64) -> u64 {
        self.sys.now_ns().saturating_add(ns)
    }

    /// The usual deadline.
    pub(crate) fn soon(&mut self) -> Deadline {
        Deadline::after_ns(self.sys, PATIENCE_NS)
    }

    /// Starts of nonces far apart from each other and from [`Ctx::nonce`].
    fn seed(&mut self) -> u32 {
        self.seed = self.seed.wrapping_add(0x1_0000);
        self.seed
    }

    pub(crate) fn policy_client(&mut self) -> policy::Client {
        policy::Client::new(self.policy, self.seed())
    }

    pub(crate) fn log_client(&mut self) -> log::Client {
        log::Client::new(self.log, self.seed())
    }

    pub(crate) fn rng_client(&mut self) -> rng::Client {
        rng::Client::new(self.rng, self.seed())
    }

    pub(crate) fn peer_client(&mut self) -> echo::Client {
        echo::Client::new(self.peer, self.seed())
    }

    pub(crate) fn supervisor(&mut self) -> supervise::Client {
        supervise::Client::new(Handle::fixed(SLOT_CONNECT), self.seed())
    }
}
