//! The shell around the state machine: maps the policy and the lane, then serves. The same code
//! runs in the image and in the simulator.

use core::sync::atomic::AtomicU64;

use nexus_abi::{Call, Handle, Sys, layout::SLOT_SERVER, syscall::Topic};
use nexus_sel::{Facts, Policy};
use nexus_service::{
    lane::{Producer, State},
    serve,
};
use nexus_system::{ids, markers, slots::policyd as slots};
use nexus_wire::audit::Record;

use crate::{Env, NoRoom, Policyd};

/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;

/// The fact that logd owns and states in the lane's header.
const AUDIT_DEGRADED: &[u8] = b"audit-degraded";

type Lane = Producer<&'static [AtomicU64]>;

/// Runs policyd until its endpoint is gone.
///
/// Without a valid policy, or without a place for records, every request is denied; then the
/// console says so and the ready marker stays away.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let lane = open_lane(sys);
    let policy = open_policy(sys);
    match (&policy, &lane) {
        (_, None) => sys.console("policyd: no audit lane, denying everything\n"),
        (None, _) => sys.console("policyd: no valid policy, denying everything\n"),
        (Some(_), Some(_)) => {}
    }
    let policy = policy.filter(|_| lane.is_some());
    let ready = policy.is_some();
    let fact = policy.as_ref().and_then(|policy| policy.fact(AUDIT_DEGRADED));
    let degraded = fact.filter(|fact| fact.owner == ids::LOGD.0).map_or(0, |fact| fact.mask);
    let mut env = Outside { sys, lane, degraded };
    let mut service = Policyd::start(policy, &mut env);
    if ready {
        markers::POLICYD_READY.emit(env.sys);
    }
    let _gone = serve(&mut service, &mut env, Handle::fixed(SLOT_SERVER), 0);
    NO_ENDPOINT
}

fn open_policy<S: Sys>(sys: &mut S) -> Option<Policy<'static>> {
    let [bytes, ..] = sys.info(slots::POLICY, Topic::Vmo).ok()?;
    let words = sys.map_sealed_words(slots::POLICY, usize::try_from(bytes).ok()?).ok()?;
    Policy::open(words).ok()
}

fn open_lane<S: Sys>(sys: &mut S) -> Option<Lane> {
    let words = sys.map_words(slots::LANE_AUDIT, slots::LANE_AUDIT_BYTES).ok()?;
    Producer::attach(words).ok()
}

/// The outside of policyd: the clock, the lane and logd's bell.
struct Outside<'s, S> {
    sys: &'s mut S,
    lane: Option<Lane>,
    /// The bit of the fact [`AUDIT_DEGRADED`] in the policy in force.
    degraded: u64,
}

impl<S: Sys> nexus_service::Env for Outside<'_, S> {
    type Sys = S;

    fn sys(&mut self) -> &mut S {
        self.sys
    }
}

impl<S: Sys> Env for Outside<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }

    #[inline]
    fn append(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let lane = self.lane.as_mut().ok_or(NoRoom)?;
        let pushed = lane.push(&record.to_words());
        // A full lane has rung when it filled up; nobody is helped by ringing for every loss.
        if pushed.is_ok() && lane.should_ring() {
            let ring =
                Call::Signal { notif: slots::LANE_AUDIT_BELL, bits: slots::LANE_AUDIT_BELL_BIT };
            // Without its bell logd still drains the lane on its own clock.
            let _best_effort = self.sys.syscall(ring);
        }
        pushed.map_err(|_full| NoRoom)
    }

    fn has_room(&mut self) -> bool {
        self.lane.as_ref().is_some_and(Lane::has_room)
    }

    fn append_reserved(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let lane = self.lane.as_mut().ok_or(NoRoom)?;
        lane.push_reserved(&record.to_words()).map_err(|_full| NoRoom)
    }

    /// `audit-degraded` holds unless logd says that all is well: also before it first spoke.
    fn facts(&mut self) -> Facts {
        let well = self.lane.as_ref().is_some_and(|l| l.consumer_state() == Some(State::Well));
        Facts { bits: if well { 0 } else { self.degraded }, ..Facts::NONE }
    }
}
