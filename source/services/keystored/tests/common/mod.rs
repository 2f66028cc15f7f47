//! keystored over a store in memory, with everything outside it made to fail on demand.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part")]

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::atomic::AtomicU64};

use keystored::{Env, Keystored, Measured, NoEntropy, StoreError, StoreStanding, Value};
use nexus_abi::{Sender, ServiceId};
use nexus_keys::Seal;
use nexus_service::{
    lane::Consumer,
    permit::{Authorizer, Evidence},
    report::Reporter,
    step,
};
use nexus_wire::{
    Bytes, FRAME_MAX, Status as Common,
    audit::Record,
    keys::{Op, Reply, Request, Response, Rotation, Slot, Status},
    state::Change,
};

/// May do everything.
pub const CLIENT: u64 = 20;
/// Has secrets of its own, and no other right.
pub const PEER: u64 = 21;
/// The journal.
pub const LOGD: u64 = 3;

pub const SERVICE: u16 = 1;
pub const ATTEST: u16 = 2;
pub const CHECKPOINT: u16 = 4;
pub const ROTATE: u16 = 8;

pub type Notes = fn(&[u8]) -> Vec<[u8; 8]>;
pub type Disk = Rc<RefCell<BTreeMap<Vec<u8>, Vec<u8>>>>;

/// Everything outside.
pub struct Outside {
    pub now_ns: u64,
    pub disk: Disk,
    pub durable: bool,
    pub sequence: u64,
    /// So many commits reach the disk; then the power is gone.
    pub commits_left: usize,
    /// The last commit is made, and its answer lost.
    pub answer_lost: bool,
    pub reads_fail: bool,
    /// Length of every key looked up, and of what was found.
    pub lookups: Vec<(usize, Option<usize>)>,
    pub entropy_fails: bool,
    pub entropy_constant: bool,
    drawn: u64,
    /// Notes the seeds that are drawn, in a form that is not the thing itself.
    pub noted: Option<Notes>,
    pub windows: Vec<[u8; 8]>,
    pub policyd_is_dead: bool,
    /// The next policy, which allows nobody anything.
    pub reloaded: bool,
    pub asked: Vec<(u64, String)>,
    pub kept_boot: u32,
    pub kept_head: Option<(u64, [u8; 32])>,
    pub reporter: Reporter<&'static [AtomicU64]>,
    pub records: Consumer<&'static [AtomicU64]>,
    pub measured: Option<Measured>,
    pub checkpoints: Vec<(u64, [u8; 32])>,
    pub seals: Vec<Seal>,
    pub seed: u64,
}

impl Authorizer for Outside {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Common> {
        self.asked.push((subject.0, capability.to_owned()));
        if self.policyd_is_dead {
            return Err(Common::Unavailable);
        }
        let allowed = match subject.0 {
            CLIENT => capability != "key.checkpoint",
            PEER => capability.starts_with("keystore."),
            LOGD => capability == "key.checkpoint",
            _ => false,
        } && !self.reloaded;
        let seq = self.asked.len() as u64;
        if allowed { Ok(Evidence { nonce: 7, seq }) } else { Err(Common::Denied) }
    }
}

impl Outside {
    fn draw(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        assert!(out.len() <= 256);
        if self.entropy_fails {
            return Err(NoEntropy);
        }
        if self.entropy_constant {
            out.fill(0x41);
            return Ok(());
        }
        self.drawn += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&self.drawn.to_le_bytes());
        hasher.finalize_xof().fill(out);
        // Salts are drawn alone and stand in the store for everybody to read.
        if let Some(hide) = self.noted.filter(|_| out.len() > 32) {
            self.windows.extend(hide(out));
        }
        Ok(())
    }

    /// Something drawn and noted, to be searched for.
    pub fn draw_noted(&mut self) -> Box<[u8; 64]> {
        let mut out = Box::new([0; 64]);
        self.draw(&mut *out).expect("entropy");
        out
    }

    pub fn drain(&mut self) -> Vec<Record> {
        std::iter::from_fn(|| self.records.pop())
            .map(|words| Record::from_words(&words).expect("a record"))
            .collect()
    }
}

impl Env for Outside {
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.draw(out)
    }
    fn seed(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.draw(out)
    }
    fn store_standing(&mut self) -> Result<StoreStanding, StoreError> {
        if self.reads_fail {
            return Err(StoreError::Unavailable);
        }
        Ok(StoreStanding { durable: self.durable, sequence: self.sequence })
    }
    fn store_get(&mut self, key: &[u8], out: &mut Value) -> Result<Option<usize>, StoreError> {
        if self.reads_fail {
            return Err(StoreError::Unavailable);
        }
        let found = self.disk.borrow().get(key).map(|value| {
            out[..value.len()].copy_from_slice(value);
            value.len()
        });
        self.lookups.push((key.len(), found));
        Ok(found)
    }
    fn store_commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        // What a frame of the state protocol has room for.
        let bytes: usize = changes.iter().map(|change| 7 + change.key().len() + len(change)).sum();
        assert!(bytes <= FRAME_MAX - 13, "{bytes} bytes in a batch");
        if self.commits_left == 0 {
            return Err(StoreError::Unavailable);
        }
        self.commits_left -= 1;
        self.sequence += 1;
        for change in changes {
            match change {
                Change::Put(p) => {
                    self.disk.borrow_mut().insert(p.key().to_vec(), p.value().to_vec())
                }
                Change::Del(key) => self.disk.borrow_mut().remove(*key),
            };
        }
        let lost = self.answer_lost && self.commits_left == 0;
        if lost { Err(StoreError::Unavailable) } else { Ok(()) }
    }
    fn store_list(
        &mut self,
        prefix: &[u8],
        limit: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        if self.reads_fail {
            return Err(StoreError::Unavailable);
        }
        let disk = self.disk.borrow();
        disk.keys().filter(|key| key.starts_with(prefix)).take(limit).for_each(|key| each(key));
        Ok(())
    }
    fn reporter(&mut self) -> &mut Reporter<&'static [AtomicU64]> {
        &mut self.reporter
    }
    fn measured(&mut self) -> Option<Measured> {
        self.measured
    }
    fn kept_boot(&mut self) -> u32 {
        self.kept_boot
    }
    fn keep_boot(&mut self, boot: u32) {
        self.kept_boot = boot;
    }
    fn boot_id(&mut self) -> [u8; 16] {
        [self.kept_boot as u8; 16]
    }
    fn kept_head(&mut self) -> Option<(u64, [u8; 32])> {
        self.kept_head
    }
    fn keep_head(&mut self, head: (u64, [u8; 32])) {
        self.kept_head = Some(head);
    }
    fn next_checkpoint(&mut self) -> Option<(u64, [u8; 32])> {
        self.checkpoints.pop()
    }
    fn return_seal(&mut self, seal: &Seal) -> bool {
        self.seals.push(*seal);
        true
    }
}

fn len(change: &Change<'_>) -> usize {
    match change {
        Change::Put(pair) => pair.value().len(),
        Change::Del(_) => 0,
    }
}

/// keystored and its outside.
pub struct Bench {
    pub service: Keystored,
    pub outside: Outside,
}

/// A fresh disk.
pub fn disk() -> Disk {
    Rc::new(RefCell::new(BTreeMap::new()))
}

/// A copy of a disk as it is now.
pub fn copy(disk: &Disk) -> Disk {
    Rc::new(RefCell::new(disk.borrow().clone()))
}

/// One start of a machine with this disk.
pub fn boot(disk: &Disk, seed: u64) -> Bench {
    let words: Vec<AtomicU64> = (0..16 * 65).map(|_| AtomicU64::new(0)).collect();
    let lane: &'static [AtomicU64] = Box::leak(words.into_boxed_slice());
    let outside = Outside {
        now_ns: 1_000,
        disk: disk.clone(),
        durable: true,
        sequence: 1000 * seed,
        commits_left: usize::MAX,
        answer_lost: false,
        reads_fail: false,
        lookups: Vec::new(),
        entropy_fails: false,
        entropy_constant: false,
        drawn: 0,
        noted: None,
        windows: Vec::new(),
        policyd_is_dead: false,
        reloaded: false,
        asked: Vec::new(),
        kept_boot: 0,
        kept_head: None,
        reporter: Reporter::over(Some(lane)),
        records: Consumer::attach(lane).expect("room"),
        measured: Some(Measured {
            images: 7,
            digest: [0x11; 32],
            policy: [0x22; 32],
            complete: true,
        }),
        checkpoints: Vec::new(),
        seals: Vec::new(),
        seed,
    };
    Bench { service: Keystored::default(), outside }
}

/// A machine with keys.
pub fn with_keys() -> (Disk, Bench) {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.keygen(), Status::Ok);
    (disk, bench)
}

impl Bench {
    pub fn raw(&mut self, from: u64, frame: &[u8]) -> Vec<u8> {
        let sender = Sender { service: ServiceId(from), incarnation: 1, badge: 0 };
        let answer = step(&mut self.service, sender, frame, &mut self.outside);
        let drained = self.outside.drain();
        drop(drained);
        answer.bytes().to_vec()
    }

    /// As [`Bench::raw`], leaving the records where they are.
    pub fn raw_recorded(&mut self, from: u64, frame: &[u8]) -> (Vec<u8>, Vec<Record>) {
        let sender = Sender { service: ServiceId(from), incarnation: 1, badge: 0 };
        let answer = step(&mut self.service, sender, frame, &mut self.outside);
        (answer.bytes().to_vec(), self.outside.drain())
    }

    /// Asks, lets time pass so that limits do not get in the way, and hands the reply on.
    pub fn ask<T>(
        &mut self,
        from: u64,
        op: Op<'_>,
        then: impl FnOnce(Status, &Reply<'_>) -> T,
    ) -> T {
        self.outside.now_ns += 70_000_000_000;
        let mut frame = [0; FRAME_MAX];
        let len = Request { version: 2, nonce: Some(5), op }.encode(&mut frame);
        let answer = self.raw(from, &frame[..len]);
        let reply = Response::decode(&answer).expect("a reply");
        assert_eq!(reply.nonce, Some(5));
        then(reply.status, &reply.body)
    }

    pub fn status(&mut self, from: u64, op: Op<'_>) -> Status {
        self.ask(from, op, |status, _| status)
    }

    pub fn keygen(&mut self) -> Status {
        self.status(CLIENT, Op::Keygen { max_uses: 0, max_boots: 0 })
    }

    pub fn put(&mut self, from: u64, key: &[u8], value: &[u8]) -> Status {
        self.status(from, Op::Put { slot: Slot::new(key, value).expect("a slot") })
    }

    pub fn get(&mut self, from: u64, key: &[u8]) -> Result<Vec<u8>, Status> {
        let slot = Slot::new(key, b"").expect("a slot");
        self.ask(from, Op::Get { slot }, |status, body| match body {
            Reply::Get { value } if status == Status::Ok => Ok(value.as_bytes().to_vec()),
            _ => Err(status),
        })
    }

    pub fn sign(&mut self, from: u64, message: &[u8]) -> Result<(u32, u32, [u8; 64]), Status> {
        let message = Bytes::new(message).expect("a message");
        self.ask(from, Op::Sign { message }, |status, body| match *body {
            Reply::Sign { generation, boot, signature } => Ok((generation, boot, signature)),
            _ => Err(status),
        })
    }

    pub fn verify(
        &mut self,
        (purpose, caller): (u16, u64),
        (generation, boot, signature): (u32, u32, [u8; 64]),
        message: &[u8],
    ) -> Result<bool, Status> {
        let message = Bytes::new(message).expect("a message");
        let op = Op::Verify { purpose, caller, generation, boot, signature, message };
        self.ask(CLIENT, op, |status, body| match body {
            Reply::Verify { valid, .. } => Ok(*valid == 1),
            _ => Err(status),
        })
    }

    pub fn public(&mut self, purpose: u16, generation: u32) -> Result<[u8; 32], Status> {
        self.ask(CLIENT, Op::Pubkey { purpose, generation }, |status, body| match body {
            Reply::Pubkey { public, .. } => Ok(*public),
            _ => Err(status),
        })
    }

    pub fn rotate(&mut self, reason: Rotation, overlap_boots: u32) -> Result<u32, Status> {
        self.outside.now_ns += 3_600_000_000_000;
        let overlap_ns = 24 * 3_600_000_000_000;
        let op = Op::Rotate { reason, overlap_boots, overlap_ns };
        self.ask(CLIENT, op, |status, body| match body {
            Reply::Rotate { generation, .. } => Ok(*generation),
            _ => Err(status),
        })
    }

    pub fn chain(&mut self, purpose: u16, generation: u32) -> Result<Vec<u8>, Status> {
        self.ask(CLIENT, Op::Chain { purpose, generation }, |status, body| match body {
            Reply::Chain { certificate, .. } => Ok(certificate.as_bytes().to_vec()),
            _ => Err(status),
        })
    }

    pub fn counter(&mut self, from: u64, counter: u8) -> Result<u64, Status> {
        self.ask(from, Op::CounterRead { counter }, |status, body| match body {
            Reply::CounterRead { value } => Ok(*value),
            _ => Err(status),
        })
    }

    pub fn count(&mut self, from: u64, counter: u8, by: u32) -> Result<u64, Status> {
        self.ask(from, Op::CounterIncrement { counter, by }, |status, body| match body {
            Reply::CounterIncrement { value, .. } => Ok(*value),
            _ => Err(status),
        })
    }
}
