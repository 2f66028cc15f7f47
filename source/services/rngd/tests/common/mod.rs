//! rngd over a device and a policyd that do as they are told.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::should_implement_trait, reason = "not an iterator: it never ends")]

use nexus_abi::{Sender, ServiceId};
use nexus_service::{
    Service,
    permit::{Authorizer, Evidence},
    step,
};
use nexus_wire::{
    Status as Common,
    rng::{Health, Op, Reply, Request, Response, Status},
};
use rngd::{Cutoffs, ENTROPY_BLOCK, Env, Fault, Rngd, Taken};

/// May draw, draw for keys and read the status; may draw; may nothing.
pub const CLIENT: u64 = 4;
pub const OTHER: u64 = 20;
pub const STRANGER: u64 = 21;

pub type Block = [u8; ENTROPY_BLOCK];

/// What a device does with a request.
pub enum Answer {
    Block(Block),
    Short,
    Never,
    Broken,
}

/// SplitMix64: good enough as a source for tests, and the same in every run.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn block(&mut self) -> Block {
        let mut block = [0; ENTROPY_BLOCK];
        for chunk in block.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        block
    }
}

/// A device that works.
pub fn good(seed: u64) -> impl FnMut() -> Answer {
    let mut rng = SplitMix(seed);
    move || Answer::Block(rng.block())
}

/// The outside: a clock that moves with every look, the device, policyd.
pub struct Outside {
    pub now_ns: u64,
    pub device: Box<dyn FnMut() -> Answer>,
    pub under_way: Option<Answer>,
    pub requests: u64,
    pub rests: u64,
    /// Interrupts come although nothing is there.
    pub rings_for_nothing: bool,
    pub policyd: Result<(), Common>,
    pub asked: Vec<(u64, String)>,
    pub said: Vec<Health>,
}

impl Outside {
    pub fn new(device: impl FnMut() -> Answer + 'static) -> Outside {
        Outside {
            now_ns: 1_000,
            device: Box::new(device),
            under_way: None,
            requests: 0,
            rests: 0,
            rings_for_nothing: false,
            policyd: Ok(()),
            asked: Vec::new(),
            said: Vec::new(),
        }
    }
}

impl Authorizer for Outside {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Common> {
        self.asked.push((subject.0, capability.to_owned()));
        self.policyd?;
        let held = subject.0 == CLIENT || subject.0 == OTHER && capability == "rng.entropy";
        if held { Ok(EVIDENCE) } else { Err(Common::Denied) }
    }
}

const EVIDENCE: Evidence = Evidence { nonce: 1, seq: 1 };

impl Env for Outside {
    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1_000;
        self.now_ns
    }
    fn incarnation(&self) -> u32 {
        1
    }
    fn request(&mut self) -> Result<(), Fault> {
        if self.under_way.is_none() {
            self.requests += 1;
            self.under_way = Some((self.device)());
        }
        match self.under_way {
            Some(Answer::Broken) => Err(Fault::Protocol),
            _ => Ok(()),
        }
    }
    fn take(&mut self, block: &mut Block) -> Result<Taken, Fault> {
        block.fill(0);
        match self.under_way.take() {
            Some(Answer::Block(bytes)) => {
                *block = bytes;
                Ok(Taken::Whole)
            }
            Some(Answer::Short) => Ok(Taken::Short),
            Some(Answer::Broken) => Err(Fault::Protocol),
            never => {
                self.under_way = never;
                Ok(Taken::Pending)
            }
        }
    }
    fn rest(&mut self, deadline_ns: u64) -> Result<(), Fault> {
        self.rests += 1;
        if !self.rings_for_nothing {
            self.now_ns = self.now_ns.max(deadline_ns);
        }
        Ok(())
    }
    fn health(&mut self, health: Health) {
        self.said.push(health);
    }
}

/// rngd and its outside.
pub struct Bench {
    pub rngd: Rngd,
    pub outside: Outside,
}

impl Bench {
    /// After its first attempt to start.
    pub fn boot(device: impl FnMut() -> Answer + 'static) -> Bench {
        let mut bench = Bench { rngd: Rngd::new(Cutoffs::CLAIMED), outside: Outside::new(device) };
        bench.rngd.start(&mut bench.outside);
        bench
    }

    pub fn frame(&mut self, from: u64, frame: &[u8]) -> Vec<u8> {
        let sender = Sender { service: ServiceId(from), incarnation: 1, badge: 0 };
        let reply = step(&mut self.rngd, sender, frame, &mut self.outside);
        assert!(reply.cap.is_none() && !reply.bytes().is_empty(), "exactly one reply");
        reply.bytes().to_vec()
    }

    pub fn ask(&mut self, from: u64, op: Op) -> (Status, Vec<u8>) {
        let mut frame = [0; 512];
        let len = Request { version: 1, nonce: Some(77), op }.encode(&mut frame);
        let bytes = self.frame(from, &frame[..len]);
        let reply = Response::decode(&bytes).expect("a reply of the protocol");
        assert_eq!((reply.nonce, reply.body.code()), (Some(77), op.code()));
        let drawn = match reply.body {
            Reply::GetEntropy { bytes } | Reply::GetSeed { bytes } => bytes.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        assert!(reply.status == Status::Ok || bytes.len() == 9, "a refusal carries nothing");
        (reply.status, drawn)
    }

    pub fn entropy(&mut self, from: u64, n: u16) -> (Status, Vec<u8>) {
        self.ask(from, Op::GetEntropy { n })
    }

    pub fn seed(&mut self, from: u64, n: u16) -> (Status, Vec<u8>) {
        self.ask(from, Op::GetSeed { n })
    }

    /// Health, then the counters in the order of the protocol.
    pub fn status(&mut self) -> (Health, [u64; 6]) {
        let mut frame = [0; 512];
        let request = Request { version: 1, nonce: Some(77), op: Op::Status {} };
        let len = request.encode(&mut frame);
        let bytes = self.frame(CLIENT, &frame[..len]);
        match Response::decode(&bytes).unwrap().body {
            Reply::Status {
                health,
                raw_bytes,
                reseeds,
                answered,
                refused,
                short_reads,
                timeouts,
            } => (health, [raw_bytes, reseeds, answered, refused, short_reads, timeouts]),
            other => panic!("not the figures: {other:?}"),
        }
    }

    pub fn due_ns(&self) -> u64 {
        Service::<Outside>::next_tick_ns(&self.rngd)
    }

    pub fn tick(&mut self) {
        self.rngd.tick(&mut self.outside);
    }
}
