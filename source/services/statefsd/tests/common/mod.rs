//! statefsd over a disk in memory, with a policyd that answers from a list.

use nexus_abi::{Sender, ServiceId};
use nexus_service::{
    permit::{Authorizer, Evidence},
    step,
};
use nexus_state::{BlockDevice, Durability, Error, Found, Memory, SEED_MAGIC, Sector, Store, open};
use nexus_wire::{
    FRAME_MAX, Status as Common,
    state::{Op, Pair, Reply, Request, Response, State, Status},
};
use statefsd::{Env, Kept, QUOTA, Statefsd};

/// May read and write.
pub(crate) const ONE: u64 = 20;
/// Likewise.
pub(crate) const TWO: u64 = 21;
/// May read.
pub(crate) const READER: u64 = 22;
/// May nothing.
pub(crate) const OTHER: u64 = 23;

/// What the disk does when asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Fails {
    #[default]
    Nothing,
    Reads,
    Writes,
    Flushes,
}

/// A disk in memory.
#[derive(Clone)]
pub(crate) struct Ram {
    pub(crate) sectors: Vec<Sector>,
    pub(crate) durability: Durability,
    pub(crate) fails: Fails,
    pub(crate) asked: u64,
    pub(crate) flushes: u64,
}

impl Ram {
    pub(crate) fn blank(sectors: usize) -> Ram {
        Ram {
            sectors: vec![[0; 512]; sectors],
            durability: Durability::Flush,
            fails: Fails::Nothing,
            asked: 0,
            flushes: 0,
        }
    }

    /// Blank, and provisioned for a store.
    pub(crate) fn seeded() -> Ram {
        let mut ram = Ram::blank(4096);
        ram.seed(5);
        ram
    }

    pub(crate) fn seed(&mut self, byte: u8) {
        let last = self.sectors.last_mut().unwrap();
        last[..8].copy_from_slice(SEED_MAGIC);
        last[8..56].fill(byte);
    }
}

impl BlockDevice for Ram {
    type Error = ();
    fn sectors(&self) -> u64 {
        self.sectors.len() as u64
    }
    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), ()> {
        self.asked += 1;
        if self.fails == Fails::Reads {
            return Err(());
        }
        *into = *self.sectors.get(sector as usize).ok_or(())?;
        Ok(())
    }
    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), ()> {
        self.asked += 1;
        assert_ne!(self.durability, Durability::ReadOnly, "a write to a disk that takes none");
        if self.fails == Fails::Writes {
            return Err(());
        }
        *self.sectors.get_mut(sector as usize).ok_or(())? = *from;
        Ok(())
    }
    fn flush(&mut self) -> Result<(), ()> {
        self.asked += 1;
        self.flushes += 1;
        if self.fails == Fails::Flushes { Err(()) } else { Ok(()) }
    }
    fn durable(&self) -> Durability {
        self.durability
    }
}

/// Everything outside statefsd.
pub(crate) struct Outside<'m> {
    pub(crate) store: Result<Store<'m, Ram>, State>,
    pub(crate) asked: Vec<(u64, String)>,
    pub(crate) kept: Kept<'static>,
    pub(crate) policyd_is_dead: bool,
    pub(crate) told: Vec<Error>,
}

impl Authorizer for Outside<'_> {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Common> {
        self.asked.push((subject.0, capability.to_owned()));
        let held = match subject.0 {
            ONE | TWO => matches!(capability, "statefs.read" | "statefs.write"),
            READER => capability == "statefs.read",
            _ => false,
        };
        match (self.policyd_is_dead, held) {
            (true, _) => Err(Common::Unavailable),
            (false, true) => Ok(Evidence { nonce: 1, seq: 0 }),
            (false, false) => Err(Common::Denied),
        }
    }
}

impl<'m> Env<'m> for Outside<'m> {
    type Device = Ram;
    fn store(&mut self) -> Result<&mut Store<'m, Ram>, State> {
        self.store.as_mut().map_err(|state| *state)
    }
    fn acknowledged(&mut self, sequence: u64) {
        self.kept.acknowledged(sequence);
    }

    fn failed(&mut self, error: Error) {
        self.told.push(error);
    }
}

/// A running statefsd.
pub(crate) struct Bench<'m> {
    pub(crate) service: Statefsd,
    pub(crate) env: Outside<'m>,
}

pub(crate) fn memory() -> &'static mut Memory {
    Box::leak(Box::new(Memory::new()))
}

/// Boots on a disk that must be good.
pub(crate) fn boot(ram: Ram) -> (Bench<'static>, Found) {
    let (store, found) = open(ram, memory(), (QUOTA, 1)).unwrap();
    (bench(Ok(store)), found)
}

pub(crate) fn bench(store: Result<Store<'static, Ram>, State>) -> Bench<'static> {
    let env = Outside {
        store,
        kept: Kept::default(),
        asked: Vec::new(),
        policyd_is_dead: false,
        told: Vec::new(),
    };
    Bench { service: Statefsd::default(), env }
}

pub(crate) fn encoded(op: Op<'_>) -> Vec<u8> {
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce: Some(7), op }.encode(&mut frame);
    frame[..len].to_vec()
}

impl Bench<'_> {
    /// Any bytes; the reply's bytes.
    pub(crate) fn raw(&mut self, service: u64, frame: &[u8]) -> Vec<u8> {
        let sender = Sender { service: ServiceId(service), incarnation: 3, badge: 9 };
        step(&mut self.service, sender, frame, &mut self.env).bytes().to_vec()
    }

    /// The outcome of a request.
    pub(crate) fn status(&mut self, service: u64, op: Op<'_>) -> Status {
        Response::decode(&self.raw(service, &encoded(op))).unwrap().status
    }

    pub(crate) fn put(&mut self, service: u64, key: &[u8], value: &[u8]) -> Status {
        self.status(service, Op::Put { pair: Pair::new(key, value).unwrap() })
    }

    pub(crate) fn del(&mut self, service: u64, key: &[u8]) -> Status {
        self.status(service, Op::Del { key: nexus_wire::Bytes::new(key).unwrap() })
    }

    pub(crate) fn get(&mut self, service: u64, key: &[u8]) -> Result<Vec<u8>, Status> {
        let op = Op::Get { key: nexus_wire::Bytes::new(key).unwrap() };
        let bytes = self.raw(service, &encoded(op));
        let reply = Response::decode(&bytes).unwrap();
        match reply.body {
            Reply::Get { value } => Ok(value.as_bytes().to_vec()),
            _ => Err(reply.status),
        }
    }

    /// State, boots and sequence.
    pub(crate) fn standing(&mut self, service: u64) -> Option<(State, u64, u64)> {
        let bytes = self.raw(service, &encoded(Op::Status {}));
        match Response::decode(&bytes).unwrap().body {
            Reply::Status { state, boots, sequence, .. } => Some((state, boots, sequence)),
            _ => None,
        }
    }

    /// How often the disk was asked for anything.
    pub(crate) fn disk_asked(&self) -> u64 {
        self.env.store.as_ref().map_or(0, |store| store.device().asked)
    }

    pub(crate) fn disk(&mut self) -> &mut Ram {
        self.env.store.as_mut().unwrap().device_mut()
    }
}
