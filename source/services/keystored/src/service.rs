//! The state machine: who asks, may they, is there a place for the record, and only then the key.

use nexus_abi::Sender;
use nexus_keys::Purpose;
use nexus_service::{
    Incoming, Outgoing, Service,
    permit::{Action, Permit, authorize},
    report::Outcome,
};
use nexus_system::ids;
use nexus_wire::{
    Bytes, FRAME_MAX, audit,
    keys::{ACTIVE, Durability, KeyState, Op, Reply, Request, Slot, Standing, Status},
};

use crate::{
    bringup,
    env::{self, Env},
    identity::{Identity, now},
    keyset::Bounds,
    limits::{Kind, Limits},
    refusals::{cross_purpose_refused, export_refused, kind, limited, no_permit, reason},
    rotation::Wanted,
    scrub,
    secrets::{self, Counters},
    signing::{AuditHead, Claim, purpose},
    vault::Vault,
};

/// When an attempt to reach the store is made again, if nobody asks meanwhile.
const RETRY_NS: u64 = 200_000_000;

type Frame = [u8; FRAME_MAX];

/// What the store gave.
struct Open {
    vault: Vault,
    /// Or why there must not be a new one.
    identity: Result<Option<Identity>, Status>,
    counters: Result<Counters, Status>,
}

/// The key store.
#[derive(Default)]
pub struct Keystored {
    open: Option<Open>,
    limits: Limits,
    head: Option<AuditHead>,
    signed: u64,
    refused: u64,
    retry_ns: u64,
    /// The last reason for which the store could not be opened.
    trouble: Option<Status>,
    /// Keys moved over the stack since it was last overwritten.
    moved: bool,
}

/// What an operation did, for its record.
struct Done<T> {
    value: T,
    target: u64,
}

impl Keystored {
    /// Reads the store, if that has not been done or has become doubtful. Whether it is open.
    pub fn prepare<E: Env>(&mut self, env: &mut E) -> bool {
        self.scrubbed(|this| this.opened(env).is_ok())
    }

    /// Runs `work` in a frame of its own, and overwrites the stack it used if keys moved there.
    fn scrubbed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let done = scrub::apart(|| work(self));
        if core::mem::take(&mut self.moved) {
            scrub::stack();
        }
        done
    }

    fn opened<E: Env>(&mut self, env: &mut E) -> Result<&mut Open, Status> {
        if self.open.as_ref().is_some_and(|open| open.vault.in_doubt) {
            self.open = None;
        }
        if self.open.is_none() {
            self.moved = true;
            match open(env) {
                Ok(open) => (self.open, self.trouble) = (Some(open), None),
                Err(status) => {
                    self.trouble = Some(status);
                    return Err(status);
                }
            }
        }
        self.open.as_mut().ok_or(Status::Unavailable)
    }

    /// Asks whether the sender may, keeps a place for the record, acts, and records.
    fn act<E: Env, A: Action, T>(
        &mut self,
        env: &mut E,
        (from, action, op): (Sender, A, audit::Op),
        work: impl FnOnce(&mut Self, &mut E, &Permit<A>) -> Result<Done<T>, Status>,
    ) -> Result<T, Status> {
        let permit = authorize(env, from, action).map_err(no_permit)?;
        let place = env.reporter().reserve().map_err(|_| Status::AuditUnavailable)?;
        let outcome = work(self, env, &permit);
        let (result, target) = match &outcome {
            Ok(done) => (Ok(()), done.target),
            Err(status) => (Err(reason(*status)), 0),
        };
        let detail = outcome.as_ref().err().map_or(0, |status| u64::from(status.code()));
        let record = Outcome { result, target, detail, ..Outcome::of(&permit, op) };
        let now_ns = env.now_ns();
        env.reporter().commit(place, &record, now_ns);
        outcome.map(|done| done.value)
    }

    fn answer<E: Env>(
        &mut self,
        request: &Request<'_>,
        from: Sender,
        (reply, env): (&mut Frame, &mut E),
    ) -> Result<usize, Status> {
        let (fits, over) = self.limits.take(from.service.0, kind(&request.op), env.now_ns());
        if let Some(over) = over {
            limited(env, over);
        }
        if !fits {
            return Err(Status::RateLimited);
        }
        let body = match request.op {
            Op::PutPlain { slot } => {
                self.put(env, from, &slot).map(|_| Reply::PutPlain { value: EMPTY })
            }
            Op::Put { slot } => {
                self.put(env, from, &slot).map(|durability| Reply::Put { durability })
            }
            Op::DelPlain { slot } => {
                self.del(env, from, &slot).map(|_| Reply::DelPlain { value: EMPTY })
            }
            Op::Del { slot } => {
                self.del(env, from, &slot).map(|durability| Reply::Del { durability })
            }
            Op::Get { slot } => return self.get(request, env, from, (&slot, reply)),
            Op::CounterRead { counter } => self.counter_read(env, from, counter),
            Op::CounterIncrement { counter, by } => self.counter_up(env, from, (counter, by)),
            Op::Status {} => self.status(env, from),
            Op::DevicePrivkey {} => Err(export_refused(env, from)),
            _ => return self.answer_keys(request, from, (reply, env)),
        };
        Ok(request.answer(Status::Ok, body?).encode(reply))
    }

    /// Everything about the device's keys.
    fn answer_keys<E: Env>(
        &mut self,
        request: &Request<'_>,
        from: Sender,
        (reply, env): (&mut Frame, &mut E),
    ) -> Result<usize, Status> {
        let body = match request.op {
            Op::Sign { message } => self
                .sign(env, from, message.as_bytes())
                .map(|(generation, boot, signature)| Reply::Sign { generation, boot, signature }),
            Op::DeviceSign { purpose: code, message } => {
                if purpose(code) != Ok(Purpose::Service) {
                    return Err(cross_purpose_refused(env, from, code));
                }
                self.sign(env, from, message.as_bytes()).map(|(generation, boot, signature)| {
                    Reply::DeviceSign { generation, boot, signature }
                })
            }
            Op::Verify { purpose, caller, generation, boot, signature, message } => {
                let message = message.as_bytes();
                let claim = Claim { purpose, caller, generation, boot, signature, message };
                self.verify(env, from, &claim)
            }
            Op::KeygenPlain {} => {
                let bounds = Bounds { max_uses: 0, max_boots: 0 };
                self.keygen(env, from, bounds).map(|_| Reply::KeygenPlain { value: EMPTY })
            }
            Op::Keygen { max_uses, max_boots } => {
                self.keygen(env, from, Bounds { max_uses, max_boots })
            }
            Op::DevicePubkey {} => return self.device_pubkey(request, env, from, reply),
            Op::Pubkey { purpose, generation } => self.pubkey(env, from, (purpose, generation)),
            Op::Rotate { reason, overlap_boots, overlap_ns } => {
                self.rotate(env, from, &Wanted { reason, overlap_boots, overlap_ns })
            }
            Op::Revoke { generation } => self.revoke(env, from, generation),
            Op::Chain { purpose, generation } => {
                return self.chain(request, env, from, ((purpose, generation), reply));
            }
            Op::Attest { challenge } => {
                return self.attest(request, env, from, (challenge.as_bytes(), reply));
            }
            _ => Err(Status::Unsupported),
        };
        Ok(request.answer(Status::Ok, body?).encode(reply))
    }

    fn put<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        slot: &Slot<'_>,
    ) -> Result<Durability, Status> {
        self.act(env, (from, env::WriteOwn, audit::Op::Secret), |this, env, permit| {
            let (open, owner) = (this.opened(env)?, permit.subject().0);
            secrets::put(env, &mut open.vault, owner, (slot.key, slot.value))?;
            Ok(Done { value: durability(open), target: owner })
        })
    }

    fn del<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        slot: &Slot<'_>,
    ) -> Result<Durability, Status> {
        if !slot.value.is_empty() {
            return Err(Status::Malformed);
        }
        self.act(env, (from, env::WriteOwn, audit::Op::Secret), |this, env, permit| {
            let (open, owner) = (this.opened(env)?, permit.subject().0);
            secrets::del(env, &mut open.vault, owner, slot.key)?;
            Ok(Done { value: durability(open), target: owner })
        })
    }

    fn get<E: Env>(
        &mut self,
        request: &Request<'_>,
        env: &mut E,
        from: Sender,
        (slot, reply): (&Slot<'_>, &mut Frame),
    ) -> Result<usize, Status> {
        if !slot.value.is_empty() {
            return Err(Status::Malformed);
        }
        let work = |this: &mut Self, env: &mut E, permit: &Permit<env::ReadOwn>| {
            let (open, owner) = (this.opened(env)?, permit.subject().0);
            let secret = secrets::get(env, &open.vault, owner, slot.key)?;
            let value = Bytes::new(secret.as_bytes()).ok_or(Status::Damaged)?;
            let len = request.answer(Status::Ok, Reply::Get { value }).encode(reply);
            Ok(Done { value: len, target: owner })
        };
        self.act(env, (from, env::ReadOwn, audit::Op::Secret), work)
    }

    fn counter_read<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        counter: u8,
    ) -> Result<Reply<'static>, Status> {
        let permit = authorize(env, from, env::ReadOwn).map_err(no_permit)?;
        let open = self.opened(env)?;
        let counters = open.counters.as_ref().map_err(|status| *status)?;
        let value = counters.read(permit.subject().0, counter)?;
        Ok(Reply::CounterRead { value })
    }

    fn counter_up<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        step: (u8, u32),
    ) -> Result<Reply<'static>, Status> {
        self.act(env, (from, env::WriteOwn, audit::Op::Counter), |this, env, permit| {
            let (open, owner) = (this.opened(env)?, permit.subject().0);
            let counters = open.counters.as_mut().map_err(|status| *status)?;
            let value = counters.increment(env, &mut open.vault, owner, step)?;
            let durability = durability(open);
            let target = u64::from(step.0);
            Ok(Done { value: Reply::CounterIncrement { value, durability }, target })
        })
    }

    fn sign<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        message: &[u8],
    ) -> Result<(u32, u32, [u8; 64]), Status> {
        self.act(env, (from, env::Sign, audit::Op::KeyUse), |this, env, permit| {
            if !this.limits.take_shared(Kind::Sign, env.now_ns()) {
                return Err(Status::RateLimited);
            }
            let open = this.opened(env)?;
            let identity = present(&mut open.identity)?;
            let signed = identity.sign(env, &mut open.vault, permit, message)?;
            this.signed = this.signed.saturating_add(1);
            let value = (signed.generation, signed.boot, signed.signature);
            Ok(Done { value, target: u64::from(signed.generation) })
        })
    }

    fn verify<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        claim: &Claim<'_>,
    ) -> Result<Reply<'static>, Status> {
        let _permit = authorize(env, from, env::Verify).map_err(no_permit)?;
        let open = self.opened(env)?;
        let identity = present(&mut open.identity)?;
        let (valid, state) = identity.verify(env, &open.vault, claim)?;
        Ok(Reply::Verify { valid: u8::from(valid), state })
    }

    fn keygen<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        bounds: Bounds,
    ) -> Result<Reply<'static>, Status> {
        self.act(env, (from, env::Keygen, audit::Op::KeyLifecycle), |this, env, _permit| {
            this.moved = true;
            let open = this.opened(env)?;
            match &open.identity {
                Ok(None) => {}
                Ok(Some(_)) => return Err(Status::KeyExists),
                // What cannot be read is there all the same.
                Err(status) => return Err(*status),
            }
            let identity = Identity::create(env, &mut open.vault, bounds)?;
            let generation = identity.active().0;
            open.identity = Ok(Some(identity));
            let durability = durability(open);
            let value = Reply::Keygen { generation, durability };
            Ok(Done { value, target: u64::from(generation) })
        })
    }

    fn rotate<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        wanted: &Wanted,
    ) -> Result<Reply<'static>, Status> {
        self.act(env, (from, env::Rotate, audit::Op::KeyLifecycle), |this, env, _permit| {
            if !this.limits.take_shared(Kind::Rotate, env.now_ns()) {
                return Err(Status::RateLimited);
            }
            this.moved = true;
            let open = this.opened(env)?;
            let identity = present(&mut open.identity)?;
            identity.rotate(env, &mut open.vault, wanted)?;
            let generation = identity.active().0;
            let durability = durability(open);
            let value = Reply::Rotate { generation, durability };
            Ok(Done { value, target: u64::from(generation) })
        })
    }

    fn revoke<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        generation: u32,
    ) -> Result<Reply<'static>, Status> {
        self.act(env, (from, env::Rotate, audit::Op::KeyLifecycle), |this, env, _permit| {
            let open = this.opened(env)?;
            let identity = present(&mut open.identity)?;
            identity.revoke(env, &mut open.vault, generation)?;
            let durability = durability(open);
            Ok(Done { value: Reply::Revoke { durability }, target: u64::from(generation) })
        })
    }

    fn pubkey<E: Env>(
        &mut self,
        env: &mut E,
        from: Sender,
        (code, generation): (u16, u32),
    ) -> Result<Reply<'static>, Status> {
        let _permit = authorize(env, from, env::ReadPublic).map_err(no_permit)?;
        let open = self.opened(env)?;
        let identity = present(&mut open.identity)?;
        let generation = if generation == ACTIVE { identity.active().0 } else { generation };
        let moment = now(env, &open.vault);
        let state = identity.state(&open.vault, generation, moment);
        if state == KeyState::None {
            return Err(Status::KeyNotFound);
        }
        let public = *identity.public(env, &open.vault, (purpose(code)?, generation))?.bytes();
        Ok(Reply::Pubkey { generation, state, public })
    }

    fn device_pubkey<E: Env>(
        &mut self,
        request: &Request<'_>,
        env: &mut E,
        from: Sender,
        reply: &mut Frame,
    ) -> Result<usize, Status> {
        let _permit = authorize(env, from, env::ReadPublic).map_err(no_permit)?;
        let identity = present(&mut self.opened(env)?.identity)?;
        let value = Bytes::new(identity.chain.device().bytes()).ok_or(Status::Internal)?;
        Ok(request.answer(Status::Ok, Reply::DevicePubkey { value }).encode(reply))
    }

    fn chain<E: Env>(
        &mut self,
        request: &Request<'_>,
        env: &mut E,
        from: Sender,
        ((code, generation), reply): ((u16, u32), &mut Frame),
    ) -> Result<usize, Status> {
        let _permit = authorize(env, from, env::ReadPublic).map_err(no_permit)?;
        let identity = present(&mut self.opened(env)?.identity)?;
        let active = identity.active().0;
        let generation = if generation == ACTIVE { active } else { generation };
        let mut value = [0; nexus_wire::state::VALUE_MAX];
        let len = identity.vouching(env, (purpose(code)?, generation), &mut value)?;
        let bytes = value.get(..len).unwrap_or_default();
        let certificate = Bytes::new(bytes).ok_or(Status::Damaged)?;
        let body = Reply::Chain { first: 0, active, certificate };
        Ok(request.answer(Status::Ok, body).encode(reply))
    }

    fn attest<E: Env>(
        &mut self,
        request: &Request<'_>,
        env: &mut E,
        from: Sender,
        (challenge, reply): (&[u8], &mut Frame),
    ) -> Result<usize, Status> {
        let work = |this: &mut Self, env: &mut E, permit: &Permit<env::Attest>| {
            let head = this.head(env);
            let open = this.opened(env)?;
            let identity = present(&mut open.identity)?;
            let quote = identity.attest(env, &open.vault, permit, (challenge, head))?;
            let body = quote.body.encode();
            let bytes = Bytes::new(&body).ok_or(Status::Internal)?;
            let answer = Reply::Attest { quote: bytes, signature: quote.signature };
            let target = u64::from(identity.active().0);
            Ok(Done { value: request.answer(Status::Ok, answer).encode(reply), target })
        };
        self.act(env, (from, env::Attest, audit::Op::Attest), work)
    }

    fn status<E: Env>(&mut self, env: &mut E, from: Sender) -> Result<Reply<'static>, Status> {
        let _permit = authorize(env, from, env::ReadOwn).map_err(no_permit)?;
        let (signed, refused) = (self.signed, self.refused);
        let mut status = Standing { signed, refused, ..Standing::default() };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        status.flags |= flag(bringup::ENABLED, Standing::BRINGUP_KEY);
        let trouble = match self.opened(env) {
            Err(status) => Some(status),
            Ok(open) => {
                status.boot = open.vault.floor.boot;
                status.slots = secrets::kept(env)?;
                status.flags |= Standing::STORE
                    | flag(open.vault.durable, Standing::DURABLE)
                    | flag(open.vault.older, Standing::ROLLBACK);
                if let Ok(Some(identity)) = &open.identity {
                    status.flags |= Standing::HAS_KEYS;
                    (status.generation, status.uses) = (identity.active().0, identity.used);
                }
                open.identity.as_ref().err().or(open.counters.as_ref().err()).copied()
            }
        };
        status.flags |= flag(trouble == Some(Status::Damaged), Standing::DAMAGED)
            | flag(trouble == Some(Status::Rollback), Standing::ROLLBACK);
        Ok(Reply::Status { status })
    }

    /// The newest checkpoint sealed in this boot, by whichever instance.
    fn head<E: Env>(&mut self, env: &mut E) -> Option<AuditHead> {
        if self.head.is_none() {
            self.head = env.kept_head().map(|(number, digest)| AuditHead { number, digest });
        }
        self.head
    }

    /// Signs the checkpoints that wait, each on a decision about the journal itself.
    fn seal_checkpoints<E: Env>(&mut self, env: &mut E) {
        const MOST: usize = 8;
        for _ in 0..MOST {
            let Some(checkpoint) = env.next_checkpoint() else { return };
            // Without keys there is nothing to decide, and a record each time would be noise.
            if !self.opened(env).is_ok_and(|open| present(&mut open.identity).is_ok()) {
                continue;
            }
            let journal = Sender { service: ids::LOGD, incarnation: 0, badge: 0 };
            let sealed = self.act(
                env,
                (journal, env::SealCheckpoint, audit::Op::Seal),
                |this, env, permit| {
                    if this.head(env).is_some_and(|head| !head.admits(checkpoint)) {
                        return Err(Status::Rollback);
                    }
                    let open = this.opened(env)?;
                    let identity = present(&mut open.identity)?;
                    let value = identity.seal(&open.vault, permit, checkpoint)?;
                    Ok(Done { value, target: checkpoint.0 })
                },
            );
            if let Ok(seal) = sealed {
                let (number, digest) = checkpoint;
                self.head = Some(AuditHead { number, digest });
                // Before the seal leaves: no later instance seals another history behind it.
                env.keep_head(checkpoint);
                // Unsigned is what the journal takes it for if nothing comes back.
                let _best_effort = env.return_seal(&seal);
            }
        }
    }
}

const EMPTY: Bytes<'static, { nexus_wire::keys::VALUE_MAX }> =
    <Bytes<'static, { nexus_wire::keys::VALUE_MAX }> as nexus_wire::Zero>::ZERO;

fn open<E: Env>(env: &mut E) -> Result<Open, Status> {
    let mut vault = Vault::attach(env)?;
    let identity = match Identity::load(env, &mut vault) {
        // Not knowing is no answer: the whole is read again at the next request.
        Err(Status::Unavailable) => return Err(Status::Unavailable),
        other => other,
    };
    let counters = match Counters::load(env, &vault) {
        Err(Status::Unavailable) => return Err(Status::Unavailable),
        other => other,
    };
    Ok(Open { vault, identity, counters })
}

fn present(identity: &mut Result<Option<Identity>, Status>) -> Result<&mut Identity, Status> {
    match identity {
        Ok(Some(identity)) => Ok(identity),
        Ok(None) => Err(Status::KeyNotFound),
        Err(status) => Err(*status),
    }
}

const fn durability(open: &Open) -> Durability {
    if open.vault.durable { Durability::Durable } else { Durability::Volatile }
}

impl<E: Env> Service<E> for Keystored {
    /// Requests and replies carry secrets.
    const WIPES: bool = true;

    fn handle(&mut self, call: &Incoming<'_>, reply: &mut Frame, env: &mut E) -> Outgoing {
        let outcome = match Request::decode(call.frame) {
            Ok(request) => self
                .scrubbed(|this| this.answer(&request, call.sender, (&mut *reply, &mut *env)))
                .map_err(|status| request.respond(status).encode(reply)),
            Err(refusal) => Err(refusal.encode(reply)),
        };
        self.refused = self.refused.saturating_add(u64::from(outcome.is_err()));
        Outgoing::bytes(outcome.unwrap_or_else(|len| len))
    }

    fn notified(&mut self, _bits: u64, env: &mut E) {
        self.scrubbed(|this| this.seal_checkpoints(env));
    }

    fn next_tick_ns(&self) -> u64 {
        let due = self.trouble == Some(Status::Unavailable) || self.limits.has_untold();
        if due { self.retry_ns } else { u64::MAX }
    }

    fn tick(&mut self, env: &mut E) {
        let _whether_open = self.prepare(env);
        while let Some(over) = self.limits.settle(env.now_ns()) {
            limited(env, over);
        }
        self.retry_ns = env.now_ns().saturating_add(RETRY_NS);
    }
}
