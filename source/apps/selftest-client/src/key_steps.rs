//! The key store: keys made once, used by right, never told; signatures checked here, over the
//! structure as anybody can rebuild it.

use nexus_abi::{Call, Sys};
use nexus_ipc::{
    connect,
    keys::{Claim, Client, KeyError, Signed},
    log::{AuditFilter, AuditSearch},
    supervise::Measurements,
};
use nexus_keys::{
    Certificate, Chain, Generation, Genesis, Nonce, Preimage, PublicKey, Purpose,
    PurposeCertificate, PurposeKey, Quote, QuoteBody, Wanted,
};
use nexus_system::{ids, names};
use nexus_wire::{
    Bytes, FRAME_MAX,
    audit::{Decision, Op as AuditOp},
    keys::{
        ACTIVE, Durability, KeyState, Op, Request, Response, Rotation, Slot, Standing, Status,
        VALUE_MAX,
    },
};

use crate::{
    harness::{Ctx, Failure, Outcome, ensure},
    trail_steps::found,
};

const SERVICE: u16 = Purpose::Service.code();
const ROTATE: u16 = Purpose::Rotate.code();
const MESSAGE: &[u8] = b"a message of the selftest";
/// Our own secret that tells the next boot of this disk who the device was.
const NOTE: &[u8] = b"selftest/device";
/// Longer than any honest answer: a rotation is several commits and several signatures.
const PATIENCE_NS: u64 = 5_000_000_000;

/// A connection of our own; closed behind `step`.
pub(crate) fn with<S: Sys, T>(
    ctx: &mut Ctx<'_, S>,
    step: impl FnOnce(&mut Ctx<'_, S>, &mut Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let deadline = ctx.soon();
    let ep = connect(ctx.sys, names::KEYSTORED, deadline).map_err(|_| "no channel to keystored")?;
    let seed = ctx.nonce();
    let outcome = step(ctx, &mut Client::new(ep, seed));
    let _gone_either_way = ctx.sys.run(Call::CapClose { cap: ep });
    outcome
}

pub(crate) fn long<S: Sys>(ctx: &mut Ctx<'_, S>) -> nexus_ipc::Deadline {
    nexus_ipc::Deadline::after_ns(ctx.sys, PATIENCE_NS)
}

fn refused<T>(answer: &Result<T, KeyError>, status: Status) -> bool {
    matches!(answer, Err(KeyError::Refused(told)) if *told == status)
}

fn standing<S: Sys>(ctx: &mut Ctx<'_, S>, keys: &mut Client) -> Result<Standing, Failure> {
    let deadline = long(ctx);
    keys.status(ctx.sys, deadline).map_err(|_| "keystored does not tell how it is")
}

/// Made if there are none, refused if there are, kept durably, and the same afterwards.
pub(crate) fn made<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    with(ctx, |ctx, keys| {
        let before = standing(ctx, keys)?;
        ensure(before.flags & Standing::DURABLE != 0, "the key store is not durable")?;
        ensure(before.flags & Standing::BRINGUP_KEY == 0, "a build with keys everybody knows")?;
        let deadline = long(ctx);
        let made = keys.keygen(ctx.sys, (0, 0), deadline);
        if before.flags & Standing::HAS_KEYS == 0 {
            ensure(made == Ok((0, Durability::Durable)), "no keys, or none that stay")?;
        } else {
            ensure(refused(&made, Status::KeyExists), "keys made over others")?;
        }
        let device = public(ctx, keys, (ROTATE, 0))?;
        let deadline = long(ctx);
        let again = keys.keygen(ctx.sys, (0, 0), deadline);
        ensure(refused(&again, Status::KeyExists), "keys made twice")?;
        ensure(public(ctx, keys, (ROTATE, 0))? == device, "another device than before")?;
        ensure(standing(ctx, keys)?.flags & Standing::HAS_KEYS != 0, "keys made and not there")
    })
}

fn public<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    keys: &mut Client,
    which: (u16, u32),
) -> Result<PublicKey, Failure> {
    let deadline = long(ctx);
    let key = keys.pubkey(ctx.sys, which, deadline).map_err(|_| "public key refused")?;
    PublicKey::enrol(&key.public).map_err(|_| "public key that is none")
}

/// The chain from the device's first key to the one in use, built and checked here.
pub(crate) fn chain<S: Sys>(ctx: &mut Ctx<'_, S>, keys: &mut Client) -> Result<Chain, Failure> {
    let deadline = long(ctx);
    let link = keys.chain(ctx.sys, (ROTATE, 0), deadline).map_err(|_| "no genesis")?;
    let active = link.active;
    let genesis = Genesis::decode(link.certificate).map_err(|_| "genesis does not decode")?;
    let mut chain = Chain::start(&genesis).map_err(|_| "genesis does not verify")?;
    for generation in 1..=active {
        let deadline = long(ctx);
        let link = keys.chain(ctx.sys, (ROTATE, generation), deadline);
        let bytes = link.map_err(|_| "a certificate is missing")?.certificate;
        let certificate = Certificate::decode(bytes).map_err(|_| "certificate does not decode")?;
        chain.extend(&certificate).map_err(|_| "the chain does not verify")?;
    }
    Ok(chain)
}

pub(crate) fn certified<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    keys: &mut Client,
    (chain, purpose, generation): (&Chain, Purpose, u32),
) -> Result<PurposeKey, Failure> {
    let deadline = long(ctx);
    let link = keys.chain(ctx.sys, (purpose.code(), generation), deadline);
    let bytes = link.map_err(|_| "a key without a certificate")?.certificate;
    let certificate = PurposeCertificate::decode(bytes).map_err(|_| "certificate of nothing")?;
    PurposeKey::admit(&certificate, chain).map_err(|_| "the device does not vouch for its key")
}

/// Every public key is what the device's chain vouches for, and none is another's.
pub(crate) fn public_keys<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    with(ctx, |ctx, keys| {
        let chain = chain(ctx, keys)?;
        ensure(public(ctx, keys, (ROTATE, 0))? == *chain.device(), "another device id")?;
        ensure(public(ctx, keys, (ROTATE, ACTIVE))? == *chain.key(), "another identity")?;
        for purpose in [Purpose::Service, Purpose::Attest, Purpose::Checkpoint] {
            let key = certified(ctx, keys, (&chain, purpose, ACTIVE))?.certificate().key;
            ensure(public(ctx, keys, (purpose.code(), ACTIVE))? == key, "another key")?;
            ensure(key != *chain.key(), "one key for two purposes")?;
        }
        let deadline = long(ctx);
        let ahead = chain.generation().0.saturating_add(1);
        let coming = keys.pubkey(ctx.sys, (ROTATE, ahead), deadline);
        ensure(refused(&coming, Status::KeyNotFound), "the coming key is told")
    })
}

/// Nobody gets the private key, whatever the right; that it was asked for is on record.
pub(crate) fn export<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let refusals = |ctx: &mut Ctx<'_, S>| {
        let (subject, enforcer) = (ctx.me.0, ids::KEYSTORED.0);
        let (op, decision) = (Some(AuditOp::KeyUse), Some(Decision::Deny));
        let filter = AuditFilter { subject, op, decision, ..AuditFilter::default() };
        Ok(found(ctx, &AuditSearch { filter, enforcer, ..AuditSearch::default() })?.0)
    };
    let before: u32 = refusals(ctx)?;
    with(ctx, |ctx, keys| {
        let deadline = long(ctx);
        let key = keys.privkey(ctx.sys, deadline);
        ensure(refused(&key, Status::PrivateExportDenied), "not the refusal it should be")
    })?;
    ensure(refusals(ctx)? == before.saturating_add(1), "the refusal is not on record")
}

fn sign<S: Sys>(ctx: &mut Ctx<'_, S>, keys: &mut Client) -> Result<Signed, Failure> {
    let deadline = long(ctx);
    keys.sign(ctx.sys, MESSAGE, deadline).map_err(|_| "signature refused")
}

/// Verified here, over the structure rebuilt from what we know; and by nobody over our bytes.
pub(crate) fn signed<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    with(ctx, |ctx, keys| {
        let Signed { generation, boot, signature } = sign(ctx, keys)?;
        let key = public(ctx, keys, (SERVICE, generation))?;
        let made = |caller| {
            let generation = Generation(generation);
            Preimage::of(Purpose::Service, generation, caller, boot, MESSAGE)
                .map_err(|_| "no preimage")
        };
        let ours = nexus_keys::verify(&key, &made(ctx.me.0)?, &signature);
        ensure(ours.is_ok(), "the signature does not verify")?;
        let anothers = nexus_keys::verify(&key, &made(ids::SELFTEST_PEER.0)?, &signature);
        ensure(anothers.is_err(), "a signature of whoever one likes")?;
        let raw = nexus_keys::verify_raw(key.bytes(), MESSAGE, &signature);
        ensure(raw.is_err(), "our bytes were signed as they are")?;
        let deadline = long(ctx);
        let smuggled = keys.device_sign(ctx.sys, (ROTATE, MESSAGE), deadline);
        ensure(refused(&smuggled, Status::WrongPurpose), "signed for another purpose")
    })
}

/// What keystored answers the peer; a value goes to `value`.
fn peers<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    op: Op<'_>,
    value: &mut [u8; VALUE_MAX],
) -> Result<(Status, usize), Failure> {
    let nonce = Some(ctx.nonce());
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce, op }.encode(&mut frame);
    let bytes = frame.get(..len).unwrap_or_default();
    let deadline = long(ctx);
    let mut peer = ctx.peer_client();
    let answer = peer.relay(ctx.sys, names::KEYSTORED, bytes, deadline);
    let answer = answer.map_err(|_| "the peer got no answer from keystored")?;
    let reply = Response::decode(answer).filter(|reply| reply.nonce == nonce);
    let reply = reply.ok_or("the peer was answered with something else")?;
    let secret = match reply.body {
        nexus_wire::keys::Reply::Get { value } => value.as_bytes(),
        _ => &[],
    };
    if let Some(place) = value.get_mut(..secret.len()) {
        place.copy_from_slice(secret);
    }
    Ok((reply.status, secret.len()))
}

/// The peer is denied by policy: the frame that serves us is refused from it, and the denial is
/// found where keystored asked for it.
pub(crate) fn sign_denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let denials = |ctx: &mut Ctx<'_, S>| {
        let (subject, decision) = (ids::SELFTEST_PEER.0, Some(Decision::Deny));
        let filter = AuditFilter { subject, decision, ..AuditFilter::default() };
        let (enforcer, capability) = (ids::KEYSTORED.0, b"crypto.sign");
        let search = AuditSearch { filter, enforcer, capability, ..AuditSearch::default() };
        Ok(found(ctx, &search)?.0)
    };
    let before: u32 = denials(ctx)?;
    let message = Bytes::new(MESSAGE).ok_or("message too long")?;
    let (status, _) = peers(ctx, Op::Sign { message }, &mut [0; VALUE_MAX])?;
    ensure(status == Status::Denied, "the peer is not denied")?;
    with(ctx, |ctx, keys| sign(ctx, keys).map(|_| ()))?;
    ensure(denials(ctx)? == before.saturating_add(1), "the denial is not on record")
}

/// Two subjects, one name, two secrets; another's and nobody's look the same.
pub(crate) fn scope<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    const SHARED: &[u8] = b"selftest/shared";
    const PEERS: &[u8] = b"selftest/peer";
    const NOBODYS: &[u8] = b"selftest/none";
    let name = |key| Slot::new(key, b"").ok_or("no name");
    let secret = |key, value| Slot::new(key, value).ok_or("no secret");
    let mut value = [0; VALUE_MAX];
    for key in [SHARED, PEERS] {
        let (status, _) = peers(ctx, Op::Put { slot: secret(key, b"the peer's")? }, &mut value)?;
        ensure(status == Status::Ok, "the peer may not keep a secret")?;
    }
    with(ctx, |ctx, keys| {
        let deadline = long(ctx);
        let kept = keys.put(ctx.sys, (SHARED, b"ours"), deadline);
        ensure(kept == Ok(Durability::Durable), "a secret not kept, or not durably")?;
        let mut ours = [0; VALUE_MAX];
        let deadline = long(ctx);
        let len = keys.get(ctx.sys, SHARED, &mut ours, deadline).map_err(|_| "get refused")?;
        ensure(ours.get(..len) == Some(b"ours"), "another secret than we kept")?;
        for key in [PEERS, NOBODYS] {
            let deadline = long(ctx);
            let foreign = keys.get(ctx.sys, key, &mut ours, deadline);
            ensure(refused(&foreign, Status::NotFound), "another's secret is told apart")?;
            let deadline = long(ctx);
            let foreign = keys.del(ctx.sys, key, deadline);
            ensure(refused(&foreign, Status::NotFound), "another's secret can be touched")?;
        }
        Ok(())
    })?;
    for key in [SHARED, PEERS] {
        let (status, len) = peers(ctx, Op::Get { slot: name(key)? }, &mut value)?;
        let right = status == Status::Ok && value.get(..len) == Some(b"the peer's".as_slice());
        ensure(right, "the peer reads something else than it kept")?;
        let (status, _) = peers(ctx, Op::Del { slot: name(key)? }, &mut value)?;
        ensure(status == Status::Ok, "the peer may not forget")?;
    }
    Ok(())
}

/// The next generation: certified by the old one, whose signatures count in the overlap and not
/// once it is revoked.
pub(crate) fn rotation<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    with(ctx, |ctx, keys| {
        let old = sign(ctx, keys)?;
        let device = public(ctx, keys, (ROTATE, 0))?;
        let deadline = long(ctx);
        let rotated = keys.rotate(ctx.sys, Rotation::Scheduled, (3, u64::from(u32::MAX)), deadline);
        let next = old.generation.saturating_add(1);
        ensure(rotated == Ok((next, Durability::Durable)), "not rotated")?;
        let new = sign(ctx, keys)?;
        ensure(new.generation == next, "the old key still signs")?;
        let caller = ctx.me.0;
        let checked = |ctx: &mut Ctx<'_, S>, keys: &mut Client, signed| {
            let deadline = long(ctx);
            let claim = Claim { purpose: SERVICE, caller, signed, message: MESSAGE };
            keys.verify(ctx.sys, &claim, deadline)
        };
        let in_overlap = checked(ctx, keys, old);
        ensure(in_overlap == Ok((true, KeyState::Overlap)), "the old key does not verify")?;
        ensure(checked(ctx, keys, new) == Ok((true, KeyState::Active)), "nor does the new one")?;
        let forged = Signed { generation: next, ..old };
        ensure(checked(ctx, keys, forged) == Ok((false, KeyState::Active)), "of any generation")?;
        let chain = chain(ctx, keys)?;
        ensure(*chain.device() == device, "another device after the rotation")?;
        ensure(chain.generation() == Generation(next), "a chain of another length")?;
        let deadline = long(ctx);
        let again = keys.rotate(ctx.sys, Rotation::Scheduled, (0, 0), deadline);
        ensure(refused(&again, Status::RateLimited), "rotated twice within the hour")?;
        let deadline = long(ctx);
        let revoked = keys.revoke(ctx.sys, old.generation, deadline);
        ensure(revoked == Ok(Durability::Durable), "not revoked")?;
        ensure(refused(&checked(ctx, keys, old), Status::KeyRevoked), "a revoked key verifies")
    })
}

/// The nonce is ours, the signature the device's, the measurements those the supervisor took.
pub(crate) fn attested<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let challenge = *b"a challenge of forty bytes, not repeated";
    let deadline = long(ctx);
    let taken = ctx.supervisor().measurements(ctx.sys, 0, deadline);
    let taken: Measurements = taken.map_err(|_| "no measurements")?;
    ensure(taken.whole && taken.images > 0, "the list of images is not whole")?;
    with(ctx, |ctx, keys| {
        let deadline = long(ctx);
        let (bytes, signature) =
            keys.attest(ctx.sys, &challenge, deadline).map_err(|_| "no quote")?;
        let body = QuoteBody::decode(bytes).map_err(|_| "quote does not decode")?;
        let chain = chain(ctx, keys)?;
        let key = certified(ctx, keys, (&chain, Purpose::Attest, body.generation.0))?;
        let nonce = |bytes| Nonce::new(bytes).map_err(|_| "no nonce");
        let wanted = Wanted { nonce: nonce(&challenge)?, allow_development: false };
        let quote = Quote { body, signature };
        ensure(quote.verify(&chain, &key, &wanted).is_ok(), "the quote does not verify")?;
        let other = Wanted { nonce: nonce(&[7; 40])?, ..wanted };
        ensure(quote.verify(&chain, &key, &other).is_err(), "a quote over any nonce")?;
        let evidence = body.evidence;
        ensure(body.caller == ctx.me.0, "somebody else's quote")?;
        ensure(evidence.images == taken.images, "another number of images")?;
        ensure(evidence.measurements == taken.log, "other measurements")?;
        ensure(evidence.policy == taken.policy, "another policy")?;
        let deadline = long(ctx);
        let short = keys.attest(ctx.sys, &[1; 31], deadline);
        ensure(refused(&short, Status::Malformed), "a quote over a short nonce")
    })
}

/// Leaves a note of who the device is, or, on a disk that has one, compares. Which it was.
fn noted<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<bool, Failure> {
    with(ctx, |ctx, keys| {
        let device = public(ctx, keys, (ROTATE, 0))?;
        let mut note = [0; VALUE_MAX];
        let deadline = long(ctx);
        match keys.get(ctx.sys, NOTE, &mut note, deadline) {
            Ok(len) => {
                ensure(note.get(..len) == Some(device.bytes().as_slice()), "another device")?;
                let chain = chain(ctx, keys)?;
                ensure(chain.generation().0 > 0, "the last boot's rotation is gone")?;
                sign(ctx, keys)?;
                Ok(true)
            }
            Err(KeyError::Refused(Status::NotFound)) => {
                let deadline = long(ctx);
                let kept = keys.put(ctx.sys, (NOTE, device.bytes()), deadline);
                ensure(kept == Ok(Durability::Durable), "no note for the next boot")?;
                Ok(false)
            }
            Err(_) => Err("the note of the last boot cannot be read"),
        }
    })
}

/// On the second boot of a disk: the device is who it was, with the keys it had.
pub(crate) fn persisted<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<bool, Failure> {
    noted(ctx)
}
