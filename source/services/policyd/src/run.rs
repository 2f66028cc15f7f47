//! The shell around the state machine: finds the policy to start with, then serves one policy
//! after the other. The same code runs in the image and in the simulator.

use core::sync::atomic::AtomicU64;

use nexus_abi::{Call, Handle, Sys, layout::SLOT_SERVER, syscall::Topic};
use nexus_sel::{Facts, Policy, stated_blob, stated_version};
use nexus_service::{
    Ended,
    lane::{Full, Producer},
    serve,
};
use nexus_system::{ids, keys, markers, slots::policyd as slots};
use nexus_wire::audit::{Reason, Record};

use crate::{
    Env, Loader, NoRoom, Policyd,
    blob::{Anchor, BLOB_WORDS, Blob, admit},
    kept::{Kept, Place},
};

/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;

/// The one key the image trusts. It is part of this program, whose digest the image holds.
const ANCHOR: Anchor<'static> = Anchor(&keys::POLICY);

const _: () = assert!(slots::KEPT_POLICY_BYTES >= 2 * size_of::<Blob>());

/// The fact that logd owns and states in the lane's header.
const AUDIT_DEGRADED: &[u8] = b"audit-degraded";

/// Without a lane nothing is numbered, and nothing allowed.
const NO_LANE: NoRoom = NoRoom { seq: 0 };

type Lane = Producer<&'static [AtomicU64]>;

/// Where the policy in force lies. The other place is free for the next one, so memory for
/// policies is fixed: the image's own and two of [`BLOB_WORDS`].
#[derive(Clone, Copy)]
enum Source {
    /// In the image; `None` if there is none.
    Image(Option<&'static [u64]>),
    Place(Place),
}

impl Source {
    const fn spare(self) -> Place {
        match self {
            Source::Image(_) => Place::First,
            Source::Place(place) => place.other(),
        }
    }
}

/// Runs policyd until its endpoint is gone.
///
/// Without a policy that the key vouches for, or without a place for records, every request is
/// denied; then the console says so and the ready marker stays away.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    if keys::POLICY_IS_INSECURE {
        for text in ["policyd: trusts ", keys::POLICY_NAME, ", a key whose seed is public\n"] {
            sys.console(text);
        }
    }
    let lane = open_lane(sys);
    let kept = sys.map_words(slots::KEPT_POLICY, slots::KEPT_POLICY_BYTES).ok();
    let image = image_policy(sys);
    let mut places = [[0; BLOB_WORDS]; 2];
    // Without what it kept it cannot know what was in force: then none is.
    let found = kept.and_then(|kept| newest(image, &mut places, &Kept::new(kept)));
    let kept = Kept::new(kept.unwrap_or_default());
    let mut env = Outside { sys, lane, kept, next: Place::First, degraded: 0 };
    match (&found, &env.lane) {
        (_, None) => env.sys.console("policyd: no audit lane, denying everything\n"),
        (None, _) => env.sys.console("policyd: no valid policy, denying everything\n"),
        (Some(_), Some(_)) => markers::POLICYD_READY.emit(env.sys),
    }
    let found = found.filter(|_| env.lane.is_some());
    let mut source = found.unwrap_or(Source::Image(None));
    loop {
        env.next = source.spare();
        match serve_from(source, &mut places, &mut env) {
            Ended::Stopped => source = Source::Place(env.next),
            Ended::Gone(_) => return NO_ENDPOINT,
        }
    }
}

/// Serves one policy. Apart, so that the loop's frame does not reach over the places.
#[inline(never)]
fn serve_from<S: Sys>(source: Source, places: &mut [Blob; 2], env: &mut Outside<'_, S>) -> Ended {
    let [first, second] = places;
    let (words, spare): (Option<&[u64]>, &mut Blob) = match source {
        Source::Image(image) => (image, first),
        Source::Place(Place::First) => (Some(stated_blob(first)), second),
        Source::Place(Place::Second) => (Some(stated_blob(second)), first),
    };
    // Its signature was checked when it came to its place, which nobody wrote since.
    let policy = words.and_then(|words| Policy::open(words).ok());
    let fact = policy.as_ref().and_then(|policy| policy.fact(AUDIT_DEGRADED));
    env.degraded = fact.filter(|fact| fact.owner == ids::LOGD.0).map_or(0, |fact| fact.mask);
    let mut service = Policyd::start(policy, Loader { anchor: ANCHOR, spare }, env);
    serve(&mut service, env, Handle::fixed(SLOT_SERVER), 0)
}

/// The newest policy that is believed: the image's, or one that was loaded before this process
/// last died. What a place states about its age decides only what is looked at first.
fn newest(
    image: Option<&'static [u64]>,
    places: &mut [Blob; 2],
    kept: &Kept<'_>,
) -> Option<Source> {
    let image_version = image.map_or(0, stated_version);
    let mut by_age = Place::ALL;
    if kept.stated(Place::Second) > kept.stated(Place::First) {
        by_age.reverse();
    }
    let [first, second] = places;
    for place in by_age {
        let blob: &mut Blob = if place == Place::First { &mut *first } else { &mut *second };
        if kept.stated(place) > image_version {
            kept.read(place, blob);
            if admit(stated_blob(blob), ANCHOR).is_ok() {
                return Some(Source::Place(place));
            }
        }
    }
    image.filter(|words| admit(words, ANCHOR).is_ok()).map(|words| Source::Image(Some(words)))
}

fn image_policy<S: Sys>(sys: &mut S) -> Option<&'static [u64]> {
    let [bytes, ..] = sys.info(slots::POLICY, Topic::Vmo).ok()?;
    sys.map_sealed_words(slots::POLICY, usize::try_from(bytes).ok()?).ok()
}

const fn no_room(full: Full) -> NoRoom {
    NoRoom { seq: full.seq }
}

fn open_lane<S: Sys>(sys: &mut S) -> Option<Lane> {
    let words = sys.map_words(slots::LANE_AUDIT, slots::LANE_AUDIT_BYTES).ok()?;
    Producer::attach(words).ok()
}

/// The outside of policyd: the clock, the lane and logd's bell.
struct Outside<'s, S> {
    sys: &'s mut S,
    lane: Option<Lane>,
    kept: Kept<'static>,
    /// Where the next policy is put, in this process and in what it keeps.
    next: Place,
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
        let lane = self.lane.as_mut().ok_or(NO_LANE)?;
        let pushed = lane.push(&record.to_words());
        // A full lane has rung when it filled up; nobody is helped by ringing for every loss.
        if pushed.is_ok() && lane.should_ring() {
            let ring =
                Call::Signal { notif: slots::LANE_AUDIT_BELL, bits: slots::LANE_AUDIT_BELL_BIT };
            // Without its bell logd still drains the lane on its own clock.
            let _best_effort = self.sys.syscall(ring);
        }
        pushed.map_err(no_room)
    }

    fn has_room(&mut self) -> bool {
        self.lane.as_ref().is_some_and(Lane::has_room)
    }

    fn append_reserved(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let lane = self.lane.as_mut().ok_or(NO_LANE)?;
        lane.push_reserved(&record.to_words()).map_err(no_room)
    }

    /// `audit-degraded` holds unless logd says that all is well: also before it first spoke, and
    /// when it said so before it stopped taking records.
    fn facts(&mut self) -> Facts {
        let well = self.lane.as_ref().is_some_and(Lane::is_looked_after);
        Facts { bits: if well { 0 } else { self.degraded }, ..Facts::NONE }
    }

    fn read_blob(&mut self, cap: Handle, into: &mut Blob) -> Result<usize, Reason> {
        let vmo = self.sys.info(cap, Topic::Vmo).map_err(|_| Reason::BlobMissing)?;
        let [bytes, _seal, _, device] = vmo;
        let words = usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes.div_ceil(8));
        if device != 0 {
            return Err(Reason::BlobMissing);
        }
        // Refuses an object that is not sealed: what is checked here must not change any more.
        let view = into.get_mut(..words).ok_or(Reason::BlobTooLarge)?;
        self.sys.copy_sealed_words(cap, view).map_err(|_| Reason::BlobMissing)?;
        Ok(words)
    }

    fn close(&mut self, cap: Handle) {
        let _gone_either_way = self.sys.run(Call::CapClose { cap });
    }

    fn keep(&mut self, blob: &Blob) {
        self.kept.write(self.next, blob);
    }
}
