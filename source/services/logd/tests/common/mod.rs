//! logd over plain memory, with a policyd that answers from a list.

use std::{collections::VecDeque, sync::atomic::AtomicU64};

use logd::{Env, Logd, Memory};
use nexus_abi::{KernelEvent, Sender, ServiceId};
use nexus_service::{
    lane::Producer,
    permit::{Authorizer, Evidence},
    step,
};
use nexus_system::slots::logd as slots;
use nexus_wire::{
    Status as Common,
    audit::{Decision, Op as AuditOp, Reason, Record},
    log::{Op, Reply, Request, Response, Status},
};

/// May read everything.
pub const READER: u64 = 20;
/// May read nothing.
pub const OTHER: u64 = 21;

/// Everything outside logd.
#[derive(Default)]
pub struct Outside {
    pub now_ns: u64,
    pub events: VecDeque<KernelEvent>,
    pub asked: Vec<(u64, String)>,
    pub policyd_is_dead: bool,
}

impl Authorizer for Outside {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Common> {
        self.asked.push((subject.0, capability.to_owned()));
        match (self.policyd_is_dead, subject.0) {
            (true, _) => Err(Common::Unavailable),
            (false, READER) => Ok(Evidence { nonce: 1, seq: 0 }),
            (false, _) => Err(Common::Denied),
        }
    }
}

impl Env for Outside {
    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }
    fn kernel_events(&mut self, take: &mut dyn FnMut(&KernelEvent)) -> usize {
        let count = self.events.len().min(KernelEvent::PER_FRAME);
        self.events.drain(..count).for_each(|event| take(&event));
        count
    }
}

/// The memory a logd finds.
pub struct Machine {
    pub journal: Vec<AtomicU64>,
    pub lane: Vec<AtomicU64>,
    pub entries: Vec<AtomicU64>,
}

impl Machine {
    pub fn new() -> Machine {
        let words = |bytes: usize| (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Machine {
            journal: words(slots::KEPT_JOURNAL_BYTES),
            lane: words(slots::LANE_AUDIT_BYTES),
            entries: words(logd::ENTRIES_BYTES),
        }
    }

    pub fn producer(&self) -> Producer<&[AtomicU64]> {
        Producer::attach(&self.lane[..]).expect("room for a lane")
    }

    pub fn lanes(&self) -> logd::Lanes<'_> {
        let mut lanes = logd::Lanes::default();
        lanes[0] = Some(logd::Lane { producer: nexus_system::ids::POLICYD, words: &self.lane });
        lanes
    }

    /// A new instance of logd.
    pub fn boot(&self) -> Bench<'_> {
        let memory = Memory {
            journal: Some(&self.journal),
            lanes: self.lanes(),
            entries: Some(&self.entries),
            ..Memory::default()
        };
        let (logd, found) = Logd::attach(&memory);
        assert!(found.is_some());
        Bench { logd, outside: Outside::default() }
    }
}

/// logd and its outside.
pub struct Bench<'m> {
    pub logd: Logd<'m>,
    pub outside: Outside,
}

impl Bench<'_> {
    pub fn frame(&mut self, from: u64, frame: &[u8]) -> Vec<u8> {
        let reply = step(&mut self.logd, sender(from), frame, &mut self.outside);
        assert!(reply.cap.is_none() && !reply.bytes().is_empty(), "exactly one reply");
        reply.bytes().to_vec()
    }

    /// One request in `version`, its status, and what `read` makes of the reply.
    pub fn ask<T>(
        &mut self,
        (from, version): (u64, u8),
        op: Op<'_>,
        read: impl FnOnce(&Reply<'_>) -> T,
    ) -> (Status, T) {
        let nonce = (version > 1).then_some(0x1122_3344_5566_7788);
        let mut frame = [0; 512];
        let len = Request { version, nonce, op }.encode(&mut frame);
        let bytes = self.frame(from, &frame[..len]);
        let reply = Response::decode(&bytes).expect("a reply of the protocol");
        assert_eq!((reply.version, reply.nonce, reply.body.code()), (version, nonce, op.code()));
        (reply.status, read(&reply.body))
    }

    pub fn status(&mut self, from: (u64, u8), op: Op<'_>) -> Status {
        self.ask(from, op, |_| ()).0
    }

    /// Every audit record that matches, page by page.
    pub fn audit(&mut self, subject: u64, op: u8, decision: u8, request_nonce: u32) -> Vec<Record> {
        let (mut all, mut since_seq) = (Vec::new(), 0);
        loop {
            let op = Op::AuditQuery { since_seq, subject, op, decision, request_nonce, max: 3 };
            let (status, (next, page)) = self.ask((READER, 2), op, |body| match body {
                Reply::AuditQuery { next_seq, page } => {
                    (*next_seq, page.iter().collect::<Vec<_>>())
                }
                _ => panic!("not a page"),
            });
            assert_eq!(status, Status::Ok);
            since_seq = next;
            all.extend_from_slice(&page);
            if page.len() < 3 {
                return all;
            }
        }
    }

    /// produced, stored, lost, evicted, retained; then the kernel's first three.
    pub fn audit_stats(&mut self) -> ([u64; 5], [u64; 3]) {
        let (status, stats) = self.ask((READER, 2), Op::AuditStats {}, |body| match *body {
            Reply::AuditStats {
                produced,
                stored,
                lost,
                evicted,
                retained,
                kernel_produced,
                kernel_stored,
                kernel_lost,
            } => (
                [produced, stored, lost, evicted, retained],
                [kernel_produced, kernel_stored, kernel_lost],
            ),
            _ => panic!("not the figures"),
        });
        assert_eq!(status, Status::Ok);
        stats
    }
}

pub fn sender(service: u64) -> Sender {
    Sender { service: ServiceId(service), incarnation: 1, badge: 0 }
}

/// A decision as policyd records it.
pub fn decision(subject: u64, decision: Decision, nonce: u32) -> Record {
    Record {
        subject,
        enforcer: subject,
        nonce,
        ..Record::new(AuditOp::CheckCap, decision, Reason::Policy)
    }
}
