//! The machines and their memory, and what the model knows about every record.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use logd::{Lane, Lanes, Logd, Memory};
use nexus_abi::{EventKind, Handle, KernelEvent, Sender, ServiceId};
use nexus_manifest::authoring::System;
use nexus_sel::{Policy, authoring};
use nexus_service::{
    Service,
    lane::Producer,
    permit::{Authorizer, Evidence},
    report::{Outcome, Reporter},
    step,
};
use nexus_system::{ids, keys, slots};
use nexus_wire::{
    Capability, Status,
    audit::{Op as AuditOp, Reason, Record},
    log,
    policy::{self, Op, Request, Response},
};
use policyd::{Anchor, BLOB_WORDS, Blob, Loader, NoRoom, Policyd};

/// Records of the lanes: small, so that they are often full, and that one drain never brings so
/// many of one subject that the journal drops some before anybody could read them.
const DECISION_PLACES: usize = 64;
const OUTCOME_PLACES: usize = 32;
/// Where a lane's header counts what was produced.
const PRODUCED: usize = 2;
/// May read the audit.
pub(crate) const READER: u64 = ids::SELFTEST_CLIENT.0;
const CAPABILITIES: [&str; 6] =
    ["ipc.core", "audit.probe", "log.read", "policy.reload", "no.such", "audit.read"];

type Words = &'static [AtomicU64];

fn memory(words: usize) -> Words {
    Vec::leak((0..words).map(|_| AtomicU64::new(0)).collect())
}

/// What became of a number of policyd's lane.
pub(crate) enum Fate {
    Stored(Record),
    Lost(Record),
    /// Given out by a policyd that died before its record was whole.
    Died,
}

impl Fate {
    /// No two records have the same time here.
    pub(crate) fn time(&self) -> u64 {
        match self {
            Fate::Stored(record) | Fate::Lost(record) => record.time_ns,
            Fate::Died => 0,
        }
    }
}

/// What the enforcer did.
#[derive(Debug)]
pub(crate) enum Act {
    /// Its outcome is in the lane; `decision` is the number of the decision there, 0 if none.
    Recorded { id: u64, decision: u64 },
    /// The enforcer died before its outcome was written, or there was no room.
    Gone { id: u64 },
}

impl Act {
    pub(crate) fn id(&self) -> u64 {
        let (Act::Recorded { id, .. } | Act::Gone { id }) = self;
        *id
    }
}

/// Everything but logd, so that logd can ask it.
pub(crate) struct Rest {
    pub(crate) fates: Vec<Fate>,
    /// Lives of policyd, logd and the enforcer.
    lane: Words,
    policy: Policy<'static>,
    policyd: Option<(Policyd<'static>, Producer<Words>)>,
    policyd_lives: u64,
    now_ns: u64,
    state: u64,
    events: VecDeque<KernelEvent>,
    next_event: u64,
    /// logd dies when it asks for the kernel's events.
    deadly: bool,
}

struct Death;

/// policyd's outside.
struct Outside<'r> {
    fates: &'r mut Vec<Fate>,
    lane: &'r mut Producer<Words>,
    now_ns: &'r mut u64,
}

impl Outside<'_> {
    fn note(&mut self, record: &Record, put: Result<u64, u64>) -> Result<u64, NoRoom> {
        let (Ok(seq) | Err(seq)) = put;
        assert_eq!(seq, self.fates.len() as u64, "numbers are dense");
        let record = Record { seq, ..*record };
        self.fates.push(if put.is_ok() { Fate::Stored(record) } else { Fate::Lost(record) });
        put.map_err(|seq| NoRoom { seq })
    }
}

impl policyd::Env for Outside<'_> {
    fn now_ns(&mut self) -> u64 {
        *self.now_ns += 1;
        *self.now_ns
    }
    fn append(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let put = self.lane.push(&record.to_words()).map_err(|full| full.seq);
        self.note(record, put)
    }
    fn has_room(&mut self) -> bool {
        self.lane.has_room()
    }
    fn append_reserved(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let put = self.lane.push_reserved(&record.to_words()).map_err(|full| full.seq);
        self.note(record, put)
    }
    fn read_blob(&mut self, _cap: Handle, _into: &mut Blob) -> Result<usize, Reason> {
        Err(Reason::BlobMissing)
    }
    fn close(&mut self, _cap: Handle) {}
    fn keep(&mut self, _blob: &Blob) {}
}

pub(crate) fn sender(service: u64) -> Sender {
    Sender { service: ServiceId(service), incarnation: 1, badge: 0 }
}

impl Rest {
    /// A number below `bound`.
    pub(crate) fn chance(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) % bound
    }

    fn frame(&mut self, from: u64, frame: &[u8]) -> Vec<u8> {
        let Rest { fates, lane, policyd, now_ns, policy, policyd_lives, .. } = self;
        let (policyd, producer) = policyd.get_or_insert_with(|| {
            let mut producer = Producer::attach(*lane).expect("a lane");
            *policyd_lives += 1;
            let spare = Box::leak(Box::new([0; BLOB_WORDS]));
            let loader = Loader { anchor: Anchor(&keys::POLICY), spare };
            let mut outside = Outside { fates, lane: &mut producer, now_ns };
            (Policyd::start(Some(*policy), loader, &mut outside), producer)
        });
        let before = fates.len();
        let reply =
            step(policyd, sender(from), frame, &mut Outside { fates, lane: producer, now_ns });
        assert_eq!(fates.len(), before + 1, "one record for each request");
        reply.bytes().to_vec()
    }

    fn ask(&mut self, from: u64, op: Op<'_>) -> (policy::Status, u64) {
        let mut frame = [0; 512];
        let len = Request { version: 2, nonce: Some(7), op }.encode(&mut frame);
        let bytes = self.frame(from, &frame[..len]);
        let reply = Response::decode(&bytes).expect("a reply of the protocol");
        let seq = if let policy::Reply::Authorize { seq } = reply.body { seq } else { 0 };
        (reply.status, seq)
    }

    /// A decision about anybody, or a frame that is no request.
    pub(crate) fn decide_something(&mut self) {
        let subject = [READER, ids::SELFTEST_PEER.0, 900, 901, 7][self.chance(5) as usize];
        self.decide(subject);
    }

    fn decide(&mut self, subject: u64) {
        let name = CAPABILITIES[self.chance(CAPABILITIES.len() as u64) as usize];
        let capability = Capability::new(name).expect("a name");
        let mut frame = [0; 512];
        let len = match self.chance(10) {
            0 => 7,
            1 => {
                let op = Op::CheckCapDelegated { subject, capability };
                Request { version: 2, nonce: Some(9), op }.encode(&mut frame)
            }
            _ => {
                let op = Op::CheckCap { subject, capability };
                Request { version: 1, nonce: None, op }.encode(&mut frame)
            }
        };
        self.frame(subject, &frame[..len]);
    }

    /// More of one subject than its lane holds.
    pub(crate) fn flood(&mut self) {
        let subject = [READER, 900, 901][self.chance(3) as usize];
        (0..self.chance(300)).for_each(|_| self.decide(subject));
    }

    pub(crate) fn kernel_events(&mut self) {
        for _ in 0..self.chance(20) {
            let (seq, service) = (self.next_event, ServiceId(900));
            self.next_event += 1;
            if self.events.len() < 40 {
                let (kind, time_ns) = (EventKind::SyscallDenied, 1);
                let (incarnation, detail, arg0, arg1) = (1, 0, 10, 0);
                let event =
                    KernelEvent { seq, time_ns, kind, detail, service, incarnation, arg0, arg1 };
                self.events.push_back(event);
            }
        }
    }

    /// Between two requests, or in the middle of writing a record: then its number is given out.
    pub(crate) fn kill_policyd(&mut self) {
        self.policyd = None;
        if self.chance(2) == 0 {
            self.lane[PRODUCED].fetch_add(1, Ordering::Relaxed);
            self.fates.push(Fate::Died);
        }
    }
}

impl Authorizer for Rest {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        let capability = Capability::new(capability).expect("a name");
        let op = Op::Authorize { subject: subject.0, capability };
        match self.ask(ids::LOGD.0, op) {
            (policy::Status::Allow, seq) => Ok(Evidence { nonce: 7, seq }),
            _ => Err(Status::Denied),
        }
    }
}

impl logd::Env for Rest {
    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }
    fn kernel_events(&mut self, take: &mut dyn FnMut(&KernelEvent)) -> usize {
        if std::mem::take(&mut self.deadly) {
            resume_unwind(Box::new(Death));
        }
        let count = self.events.len().min(KernelEvent::PER_FRAME);
        self.events.drain(..count).for_each(|event| take(&event));
        count
    }
}

/// All of it.
pub(crate) struct World {
    pub(crate) rest: Rest,
    pub(crate) logd: Option<Logd<'static>>,
    pub(crate) enforcer: Option<Reporter<Words>>,
    pub(crate) acts: Vec<Act>,
    /// Lives of policyd, logd and the enforcer.
    pub(crate) lives: [u64; 3],
    memory: Memory<'static>,
    outcomes: Words,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let system = System::load(&root).unwrap();
        let names = boot_image::candidates::policy_names(&system);
        let compiled = authoring::compile_dir(&root.join("recipes/policy"), &names);
        let compiled = compiled.unwrap_or_else(|faults| panic!("{faults}"));
        let policy = Policy::open(Vec::leak(compiled.words)).expect("the policy of the tree");
        let lane = memory(16 + DECISION_PLACES * 16);
        let outcomes = memory(16 + OUTCOME_PLACES * 16);
        let mut lanes = Lanes::default();
        lanes[0] = Some(Lane { producer: ids::POLICYD, words: lane });
        lanes[1] = Some(Lane { producer: ids::STATEFSD, words: outcomes });
        let journal = Some(memory(slots::logd::KEPT_JOURNAL_BYTES / 8));
        let rest = Rest {
            fates: Vec::new(),
            lane,
            policy,
            policyd: None,
            policyd_lives: 0,
            now_ns: 1_000,
            state: seed,
            events: VecDeque::new(),
            next_event: 0,
            deadly: false,
        };
        let memory = Memory { journal, lanes, ..Memory::default() };
        let (logd, enforcer) = (None, None);
        World { rest, logd, enforcer, acts: Vec::new(), lives: [0; 3], memory, outcomes }
    }

    pub(crate) fn start_logd(&mut self) {
        if self.logd.is_none() {
            let (logd, found) = Logd::attach(&self.memory);
            assert!(matches!(found, Some(logd::Found::Fresh | logd::Found::Kept { damaged: 0 })));
            self.lives[1] += 1;
            self.logd = Some(logd);
        }
        self.lives[0] = self.rest.policyd_lives;
    }

    /// logd looks after its lanes; a little time passes.
    pub(crate) fn tick(&mut self) {
        self.rest.now_ns += 50_000_000;
        if let Some(logd) = &mut self.logd {
            logd.tick(&mut self.rest);
        }
    }

    pub(crate) fn kill_logd_in_a_drain(&mut self) {
        self.start_logd();
        self.rest.deadly = true;
        let died = catch_unwind(AssertUnwindSafe(|| self.tick()));
        assert!(died.is_err_and(|cause| cause.is::<Death>()));
        self.logd = None;
    }

    fn enforcer(&mut self) -> &mut Reporter<Words> {
        let (lives, outcomes) = (&mut self.lives[2], self.outcomes);
        self.enforcer.get_or_insert_with(|| {
            *lives += 1;
            Reporter::over(Some(outcomes))
        })
    }

    /// An act that must be on record: place first, decision, act, outcome; or death in between.
    pub(crate) fn act(&mut self) {
        let Ok(place) = self.enforcer().reserve() else { return };
        let capability = Capability::new("audit.read").expect("a name");
        let op = Op::Authorize { subject: READER, capability };
        let (status, seq) = self.rest.ask(ids::STATEFSD.0, op);
        if status != policy::Status::Allow {
            self.enforcer().cancel(place);
            return;
        }
        let id = self.acts.len() as u64;
        if self.rest.chance(20) == 0 {
            self.enforcer = None;
            self.acts.push(Act::Gone { id });
            return;
        }
        let outcome = Outcome {
            evidence: Some(Evidence { nonce: 7, seq }),
            detail: id,
            ..Outcome::own(AuditOp::State, ServiceId(READER))
        };
        let now_ns = self.rest.now_ns;
        self.enforcer().commit(place, &outcome, now_ns);
        self.acts.push(Act::Recorded { id, decision: seq });
    }

    /// What need not be on record.
    pub(crate) fn remark(&mut self) {
        for _ in 0..self.rest.chance(12) {
            let id = self.acts.len() as u64;
            let outcome = Outcome { detail: id, ..Outcome::own(AuditOp::State, ids::STATEFSD) };
            let now_ns = self.rest.now_ns;
            let stored = self.enforcer().record(&outcome, now_ns);
            let act = if stored { Act::Recorded { id, decision: 0 } } else { Act::Gone { id } };
            self.acts.push(act);
        }
    }

    /// One request to logd, if it lives: its status, and what `read` makes of the reply.
    pub(crate) fn request<T>(
        &mut self,
        op: log::Op<'_>,
        read: impl FnOnce(&log::Reply<'_>) -> T,
    ) -> Option<T> {
        let logd = self.logd.as_mut()?;
        let mut frame = [0; 512];
        let len = log::Request { version: 2, nonce: Some(5), op }.encode(&mut frame);
        let reply = step(logd, sender(READER), &frame[..len], &mut self.rest);
        let reply = log::Response::decode(reply.bytes()).expect("a reply of the protocol");
        (reply.status == log::Status::Ok).then(|| read(&reply.body))
    }

    /// Producer, produced, stored and lost of a lane.
    pub(crate) fn source(&mut self, index: u8) -> [u64; 4] {
        let figures = self.request(log::Op::AuditSource { index }, |reply| match *reply {
            log::Reply::AuditSource { producer, produced, stored, lost } => {
                [producer, produced, stored, lost]
            }
            _ => panic!("not the figures"),
        });
        figures.expect("audit.read")
    }
}
