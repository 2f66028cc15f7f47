//! The state machine: seeds, serves, refuses. Guards that no byte leaves without an ALLOW for the
//! stamped sender, and none at all once the source has failed a test.

use nexus_abi::{Sender, ServiceId};
use nexus_service::{
    Incoming, Outgoing, Service,
    permit::{Permit, authorize},
};
use nexus_wire::{
    FRAME_MAX, Status as Common, Tail,
    rng::{ENTROPY_MAX, Health, Op, Reply, Request, Status},
};
use zeroize::zeroize_stack;

use crate::{
    env::{Entropy, Env, ReadStatus, Seed},
    generator::{Generator, Output, Salt},
    health::Cutoffs,
    source::{Raw, Source},
};

/// How often the start-up test is tried while the device is too slow for it.
pub const RETRY_NS: u64 = 1_000_000_000;

/// Stack below the request's that is overwritten after it, in bytes; the cipher uses half of it.
const SCRUBBED: usize = 2048;

type Frame = [u8; FRAME_MAX];

/// The entropy service.
pub struct Rngd {
    cutoffs: Cutoffs,
    source: Source,
    generator: Generator,
    /// Whether [`Health::Well`] has been said.
    ready: bool,
    retry_ns: u64,
    reseeds: u64,
    answered: u64,
    refused: u64,
}

impl Rngd {
    /// Not tested, so not usable yet.
    #[must_use]
    pub fn new(cutoffs: Cutoffs) -> Rngd {
        let source = Source::new(cutoffs);
        let generator = Generator::new();
        Rngd {
            cutoffs,
            source,
            generator,
            ready: false,
            retry_ns: 0,
            reseeds: 0,
            answered: 0,
            refused: 0,
        }
    }

    /// Tests the source and seeds the generator. A device that is only slow is tried again by
    /// the tick.
    pub fn start<E: Env>(&mut self, env: &mut E) {
        if self.source.health() == Health::Untested {
            let _tried_again_later = self.source.start_up(self.cutoffs, env);
        }
        if self.source.health() == Health::Well && !self.ready {
            let _tried_again_later = self.reseed(env);
        }
        self.retry_ns = env.now_ns().saturating_add(RETRY_NS);
    }

    /// There is no device: never usable.
    pub fn no_device<E: Env>(&mut self, env: &mut E) {
        self.source.fail(Health::Device, env);
    }

    /// Whether the source may be used, and if not, why.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.source.health()
    }

    fn answer<E: Env>(
        &mut self,
        request: &Request,
        sender: Sender,
        (reply, env): (&mut Frame, &mut E),
    ) -> Result<usize, Status> {
        match request.op {
            Op::GetEntropy { n } => {
                let n = bounded(n)?;
                let permit = allowed(authorize(env, sender, Entropy))?;
                let mut out = Output::new();
                self.draw(&permit, place(&mut out, n)?, env)?;
                let bytes = out.get(..n).and_then(Tail::new).ok_or(Status::Oversized)?;
                Ok(request.answer(Status::Ok, Reply::GetEntropy { bytes }).encode(reply))
            }
            Op::GetSeed { n } => {
                let n = bounded(n)?;
                let permit = allowed(authorize(env, sender, Seed))?;
                let mut out = Output::new();
                self.draw_fresh(&permit, place(&mut out, n)?, env)?;
                let bytes = out.get(..n).and_then(Tail::new).ok_or(Status::Oversized)?;
                Ok(request.answer(Status::Ok, Reply::GetSeed { bytes }).encode(reply))
            }
            Op::Status {} => {
                let permit = allowed(authorize(env, sender, ReadStatus))?;
                let body = self.told(&permit);
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
        }
    }

    fn draw<E: Env>(
        &mut self,
        permit: &Permit<Entropy>,
        out: &mut [u8],
        env: &mut E,
    ) -> Result<(), Status> {
        if self.generator.due(env.now_ns()) {
            self.reseed(env)?;
        }
        self.output(permit.subject(), out)
    }

    fn draw_fresh<E: Env>(
        &mut self,
        permit: &Permit<Seed>,
        out: &mut [u8],
        env: &mut E,
    ) -> Result<(), Status> {
        self.reseed(env)?;
        self.output(permit.subject(), out)
    }

    fn output(&mut self, client: ServiceId, out: &mut [u8]) -> Result<(), Status> {
        if self.source.health() != Health::Well {
            return Err(Status::Unavailable);
        }
        self.generator.fill(client, out);
        Ok(())
    }

    /// A new key of fresh raw bytes and the old key. A source that fails a test takes the old
    /// generator with it.
    fn reseed<E: Env>(&mut self, env: &mut E) -> Result<(), Status> {
        let mut raw = Raw::new();
        let read = self.source.read(&mut raw, env);
        if self.source.health() != Health::Well {
            self.generator.erase();
        }
        read.map_err(|_| Status::Unavailable)?;
        let salt = Salt { incarnation: env.incarnation(), now_ns: env.now_ns() };
        self.generator.reseed(&raw, salt);
        self.reseeds = self.reseeds.saturating_add(1);
        if !self.ready {
            self.ready = true;
            env.health(Health::Well);
        }
        Ok(())
    }

    fn told(&self, _permit: &Permit<ReadStatus>) -> Reply<'static> {
        Reply::Status {
            health: self.source.health(),
            raw_bytes: self.source.raw_bytes,
            reseeds: self.reseeds,
            answered: self.answered,
            refused: self.refused,
            short_reads: self.source.short_reads,
            timeouts: self.source.timeouts,
        }
    }
}

impl<E: Env> Service<E> for Rngd {
    /// What a reply held is the client's alone.
    const WIPES: bool = true;

    fn handle(&mut self, call: &Incoming<'_>, reply: &mut Frame, env: &mut E) -> Outgoing {
        let len = match Request::decode(call.frame) {
            Ok(request) => match self.answer(&request, call.sender, (reply, env)) {
                Ok(len) => {
                    self.answered = self.answered.saturating_add(1);
                    len
                }
                Err(status) => {
                    self.refused = self.refused.saturating_add(1);
                    request.respond(status).encode(reply)
                }
            },
            Err(refusal) => {
                self.refused = self.refused.saturating_add(1);
                refusal.encode(reply)
            }
        };
        // Hash and cipher left copies of keys on it.
        zeroize_stack::<SCRUBBED>();
        Outgoing::bytes(len)
    }

    fn next_tick_ns(&self) -> u64 {
        let usable = matches!(self.source.health(), Health::Untested | Health::Well);
        if usable && !self.ready { self.retry_ns } else { u64::MAX }
    }

    fn tick(&mut self, env: &mut E) {
        self.start(env);
    }
}

/// The bound of a request, before anybody is asked: it tells nothing about anybody.
fn bounded(n: u16) -> Result<usize, Status> {
    let n = usize::from(n);
    if (1..=ENTROPY_MAX).contains(&n) { Ok(n) } else { Err(Status::Oversized) }
}

fn place(out: &mut Output, n: usize) -> Result<&mut [u8], Status> {
    out.get_mut(..n).ok_or(Status::Oversized)
}

/// A decision is one thing, the lack of one another; neither gives bytes.
fn allowed<A>(outcome: Result<Permit<A>, Common>) -> Result<Permit<A>, Status> {
    outcome.map_err(|status| match status {
        Common::Denied => Status::Denied,
        _ => Status::Unavailable,
    })
}
