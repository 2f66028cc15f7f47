//! The shell around the state machine: its lanes, and connections to those it asks. The same code
//! runs in the image and in the simulator.

use core::sync::atomic::AtomicU64;

use nexus_abi::{Call, Handle, ServiceId, Sys, layout::SLOT_CONNECT, layout::SLOT_SERVER};
use nexus_ipc::{
    Deadline, OnDemand,
    rng::{self, RngError},
    state::{self, StateError},
    supervise,
};
use nexus_keys::Seal;
use nexus_service::{
    lane::{Consumer, Producer},
    permit::{Authority, Authorizer, Evidence},
    report::Reporter,
    serve,
};
use nexus_system::{markers, names, slots::keystored as slots};
use nexus_wire::{
    Status,
    audit::{SealReply, SealRequest},
    state::{Change, State, Status as StateStatus},
};

use zeroize::Zeroize as _;

use crate::{
    Env, Keystored, Measured, MemoryStore, NoEntropy, StoreError, StoreStanding, Value, bringup,
    kept::{self, Kept},
};

/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;
/// How long entropy may take: the source may be tested again meanwhile.
const ENTROPY_NS: u64 = 1_000_000_000;
/// How long the store may take for one commit and its flush.
const STORE_NS: u64 = 2_000_000_000;
/// How long the supervisor may take, which asks policyd first.
const SUPERVISOR_NS: u64 = 500_000_000;
/// Keys kept without a disk: the device's own, and places for a few secrets.
const MEMORY_KEYS: usize = 32;

/// Runs keystored until its endpoint is gone.
///
/// The ready marker says that the store was read and that there is a lane for records. Without
/// the store every request is refused and reading it is tried again; without the lane nothing is
/// done that has to be on record.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    if bringup::ENABLED {
        sys.console(bringup::WARNING);
    }
    let reporter = Reporter::open(sys, slots::LANE_KEYS, slots::LANE_KEYS_BYTES);
    let checkpoints = sys.map_words(slots::LANE_CHECKPOINTS, slots::LANE_CHECKPOINTS_BYTES).ok();
    let seals = sys.map_words(slots::LANE_SEALS, slots::LANE_SEALS_BYTES).ok();
    let kept = sys.map_words(slots::KEPT_BOOT, slots::KEPT_BOOT_BYTES).ok();
    let mut env = Outside {
        sys,
        reporter,
        checkpoints: checkpoints.and_then(|lane| Consumer::attach(lane).ok()),
        seals: seals.and_then(|lane| Producer::attach(lane).ok()),
        kept: Kept(kept),
        memory: MemoryStore::default(),
        backing: None,
        policyd: Authority::named(names::POLICYD),
        rngd: OnDemand::to(names::RNGD),
        statefsd: OnDemand::to(names::STATEFSD),
        measured: None,
    };
    let mut service = Keystored::default();
    let opened = service.prepare(&mut env);
    if opened && env.reporter.is_wired() {
        markers::KEYSTORED_READY.emit(env.sys);
    } else if opened {
        env.sys.console("keystored: no lane for records, no key will be used\n");
    } else {
        env.sys.console("keystored: the store could not be read, nothing is served from it\n");
    }
    let mask = slots::LANE_CHECKPOINTS_BIT;
    let _gone = serve(&mut service, &mut env, Handle::fixed(SLOT_SERVER), mask);
    NO_ENDPOINT
}

/// Where what is kept goes. Settled once: what was on a disk is never looked for in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    Disk,
    Memory,
}

/// The outside of keystored.
struct Outside<'s, S> {
    sys: &'s mut S,
    reporter: Reporter<&'static [AtomicU64]>,
    checkpoints: Option<Consumer<&'static [AtomicU64]>>,
    seals: Option<Producer<&'static [AtomicU64]>>,
    kept: Kept,
    memory: MemoryStore<MEMORY_KEYS>,
    backing: Option<Backing>,
    policyd: Authority,
    rngd: OnDemand<nexus_wire::rng::Protocol>,
    statefsd: OnDemand<nexus_wire::state::Protocol>,
    measured: Option<Measured>,
}

impl<S: Sys> Outside<'_, S> {
    /// Asks the state store.
    fn ask_store<T>(
        &mut self,
        question: impl FnOnce(&mut state::Client, &mut S, Deadline) -> Result<T, StateError>,
    ) -> Result<T, StoreError> {
        let outcome = self.statefsd.ask(self.sys, STORE_NS, question);
        self.wipe();
        outcome.map_err(|_| StoreError::Unavailable)?.map_err(store_error)
    }

    fn ask_rng(
        &mut self,
        question: impl FnOnce(&mut rng::Client, &mut S, Deadline) -> Result<(), RngError>,
    ) -> Result<(), NoEntropy> {
        let outcome = self.rngd.ask(self.sys, ENTROPY_NS, question);
        self.wipe();
        outcome.map_err(|_| NoEntropy)?.map_err(|_| NoEntropy)
    }

    /// Empties the message frame: the root secret and seeds pass through it.
    fn wipe(&mut self) {
        self.sys.frame_mut().zeroize();
    }
}

/// What the store said, in the words of this service. Whatever is not a clear no leaves open
/// whether a change was made.
const fn store_error(error: StateError) -> StoreError {
    match error {
        StateError::Refused(StateStatus::Integrity) => StoreError::Damaged,
        StateError::Refused(StateStatus::Rollback) => StoreError::Rollback,
        StateError::Refused(StateStatus::Quota | StateStatus::Full | StateStatus::BatchLimit)
        | StateError::Argument => StoreError::Full,
        _ => StoreError::Unavailable,
    }
}

impl<S: Sys> nexus_service::Env for Outside<'_, S> {
    type Sys = S;

    fn sys(&mut self) -> &mut S {
        self.sys
    }
}

impl<S: Sys> Authorizer for Outside<'_, S> {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        self.policyd.decide(self.sys, subject, capability)
    }
}

impl<S: Sys> Env for Outside<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }

    fn entropy(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.ask_rng(|client, sys, deadline| client.entropy(sys, out, deadline))
    }

    fn seed(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.ask_rng(|client, sys, deadline| client.seed(sys, out, deadline))
    }

    fn store_standing(&mut self) -> Result<StoreStanding, StoreError> {
        if self.backing != Some(Backing::Memory) {
            let standing = self.ask_store(|client, sys, deadline| client.status(sys, deadline))?;
            match (standing.state, self.backing) {
                (
                    State::Durable | State::WriteThrough | State::ReadOnly | State::Volatile,
                    None | Some(Backing::Disk),
                ) => {
                    self.backing = Some(Backing::Disk);
                    let durable = standing.state != State::Volatile;
                    return Ok(StoreStanding { durable, sequence: standing.sequence });
                }
                // No disk, said by who would know: memory will do, and every answer says so.
                (State::Absent, None) => self.backing = Some(Backing::Memory),
                (State::Refused, _) => return Err(StoreError::Damaged),
                (_, _) => return Err(StoreError::Unavailable),
            }
        }
        Ok(StoreStanding { durable: false, sequence: self.memory.sequence() })
    }

    fn store_get(&mut self, key: &[u8], out: &mut Value) -> Result<Option<usize>, StoreError> {
        if self.backing == Some(Backing::Memory) {
            return Ok(self.memory.get(key, out));
        }
        self.ask_store(|client, sys, deadline| {
            let Some(value) = client.get(sys, key, deadline)? else { return Ok(None) };
            let place = out.get_mut(..value.len()).ok_or(StateError::Protocol)?;
            place.copy_from_slice(value);
            Ok(Some(value.len()))
        })
    }

    fn store_commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        if self.backing == Some(Backing::Memory) {
            return self.memory.commit(changes);
        }
        self.ask_store(|client, sys, deadline| client.batch(sys, changes, deadline))
    }

    fn store_list(
        &mut self,
        prefix: &[u8],
        limit: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        if self.backing == Some(Backing::Memory) {
            self.memory.list(prefix, limit, each);
            return Ok(());
        }
        let (mut after, mut after_len) = ([0; nexus_wire::state::KEY_MAX], 0usize);
        let mut left = limit;
        while left > 0 {
            let from = after;
            let from = from.get(..after_len).unwrap_or_default();
            let found = self.ask_store(|client, sys, deadline| {
                let wanted = u16::try_from(left).unwrap_or(u16::MAX);
                let keys = client.list(sys, (prefix, from), wanted, deadline)?;
                for key in keys.iter() {
                    each(key);
                    let place = after.get_mut(..key.len()).ok_or(StateError::Protocol)?;
                    place.copy_from_slice(key);
                    after_len = key.len();
                }
                Ok(keys.count())
            })?;
            if found == 0 {
                return Ok(());
            }
            left = left.saturating_sub(found);
        }
        Ok(())
    }

    fn reporter(&mut self) -> &mut Reporter<&'static [AtomicU64]> {
        &mut self.reporter
    }

    /// Asked once: the supervisor answers nobody before its list is closed.
    fn measured(&mut self) -> Option<Measured> {
        if self.measured.is_none() {
            let seed = self.sys.now_ns() as u32;
            let mut supervisor = supervise::Client::new(Handle::fixed(SLOT_CONNECT), seed);
            let deadline = Deadline::after_ns(self.sys, SUPERVISOR_NS);
            let told = supervisor.measurements(self.sys, 0, deadline).ok()?;
            self.measured = Some(Measured {
                images: told.images,
                digest: told.log,
                policy: told.policy,
                complete: told.whole,
            });
        }
        self.measured
    }

    fn kept_boot(&mut self) -> u32 {
        self.kept.word(kept::BOOT) as u32
    }

    fn keep_boot(&mut self, boot: u32) {
        self.kept.set(kept::BOOT, u64::from(boot));
    }

    fn boot_id(&mut self) -> [u8; 16] {
        let mut id = self.kept.boot_id();
        if id == [0; 16] && self.kept.is_there() {
            if self.entropy(&mut id).is_err() {
                return [0; 16];
            }
            self.kept.keep_boot_id(&id);
        }
        id
    }

    fn kept_head(&mut self) -> Option<(u64, [u8; 32])> {
        self.kept.head()
    }

    fn keep_head(&mut self, head: (u64, [u8; 32])) {
        self.kept.keep_head(head);
    }

    fn next_checkpoint(&mut self) -> Option<(u64, [u8; 32])> {
        let lane = self.checkpoints.as_mut()?;
        for _ in 0..lane.waiting() {
            let request = lane.pop().and_then(|words| SealRequest::from_words(&words));
            if let Some(SealRequest { number, digest }) = request {
                return Some((number, digest));
            }
        }
        None
    }

    fn return_seal(&mut self, seal: &Seal) -> bool {
        let Some(lane) = &mut self.seals else { return false };
        let Seal { number, generation, boot, signature, .. } = *seal;
        let reply = SealReply { number, generation: generation.0, boot, signature };
        let returned = lane.push(&reply.to_words()).is_ok();
        let (notif, bits) = (slots::LANE_SEALS_BELL, slots::LANE_SEALS_BELL_BIT);
        let _best_effort = self.sys.run(Call::Signal { notif, bits });
        returned
    }
}
