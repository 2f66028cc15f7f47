//! Entropy: drawn, bounded, denied, and there again after rngd has died.

use nexus_abi::{Handle, Sys};
use nexus_ipc::{
    log::{AuditFilter, AuditSearch},
    rng::Report,
};
use nexus_system::{ids, names};
use nexus_wire::{
    FRAME_MAX,
    audit::Decision,
    rng::{ENTROPY_MAX, Health, Op, Reply, Request, Response, Status},
};

use crate::{
    harness::{Ctx, Failure, Outcome, ensure},
    restart_steps::{back, incarnation, restart},
    trail_steps::found,
};

/// Bytes of one draw: what a key needs.
const KEY: usize = 32;
/// Raw bytes behind the first output of a run: the start-up test and one block.
const TESTED_BYTES: u64 = 1024 + 128;

/// Waits for rngd, which answers nobody before its start-up test is over; from here on its line
/// stands where it stands in every run.
pub(crate) fn wait<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let report = status(ctx)?;
    ensure(report.health == Health::Well, "the entropy source is not well")
}

fn status<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<Report, Failure> {
    let deadline = ctx.soon();
    ctx.rng_client().status(ctx.sys, deadline).map_err(|_| "rngd does not tell how it is")
}

fn draw<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<[u8; KEY], Failure> {
    let deadline = ctx.soon();
    let mut bytes = [0; KEY];
    let drawn = ctx.rng_client().entropy(ctx.sys, &mut bytes, deadline);
    drawn.map(|()| bytes).map_err(|_| "no entropy")
}

/// A frame of our own making: status, and how many bytes came with it.
fn raw<S: Sys>(ctx: &mut Ctx<'_, S>, op: Op) -> Result<(Status, usize), Failure> {
    let (nonce, deadline_ns) = (ctx.nonce(), ctx.soon().ns());
    let len = Request { version: 1, nonce: Some(nonce), op }.encode(ctx.sys.frame_mut());
    let reply = ctx.sys.call(ctx.rng, len, Handle::NONE, deadline_ns);
    let len = reply.map_err(|_| "no reply from rngd")?.len;
    let frame = ctx.sys.frame().get(..len).unwrap_or_default();
    let reply = Response::decode(frame).ok_or("reply does not decode")?;
    ensure(reply.nonce == Some(nonce), "reply to another request")?;
    let bytes = match reply.body {
        Reply::GetEntropy { bytes } | Reply::GetSeed { bytes } => bytes.as_bytes().len(),
        _ => 0,
    };
    Ok((reply.status, bytes))
}

/// Two draws have nothing in common, a draw for a key has the device asked.
pub(crate) fn entropy<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (one, two) = (draw(ctx)?, draw(ctx)?);
    let apart = |a: &[u8; KEY], b: &[u8; KEY]| !a.windows(4).any(|w| b.windows(4).any(|v| v == w));
    ensure(apart(&one, &two) && one != [0; KEY], "two draws have bytes in common")?;
    ensure(raw(ctx, Op::GetEntropy { n: 32 })? == (Status::Ok, KEY), "not the length asked for")?;
    let before = status(ctx)?;
    ensure(before.raw_bytes >= TESTED_BYTES, "output without a start-up test")?;
    let (mut key, deadline) = ([0; KEY], ctx.soon());
    let seeded = ctx.rng_client().seed(ctx.sys, &mut key, deadline);
    ensure(seeded.is_ok() && apart(&key, &one) && apart(&key, &two), "no seed")?;
    let after = status(ctx)?;
    ensure(after.reseeds == before.reseeds.saturating_add(1), "a seed without a reseed")
}

/// The bounds, at and past them.
pub(crate) fn oversized<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    for n in [0, 257, u16::MAX] {
        let refused = (Status::Oversized, 0);
        ensure(raw(ctx, Op::GetEntropy { n })? == refused, "a bound does not hold")?;
        ensure(raw(ctx, Op::GetSeed { n })? == refused, "a bound of seeds does not hold")?;
    }
    for n in [1, 256] {
        let given = (Status::Ok, usize::from(n));
        ensure(raw(ctx, Op::GetEntropy { n })? == given, "what is allowed is refused")?;
    }
    ensure(ENTROPY_MAX == 256, "another bound")
}

/// One frame, sent by the peer and by us: policy tells us apart, and says so in the audit.
pub(crate) fn denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let mut frame = [0; FRAME_MAX];
    for op in [Op::GetEntropy { n: 32 }, Op::GetSeed { n: 32 }, Op::Status {}] {
        let nonce = ctx.nonce();
        let len = Request { version: 1, nonce: Some(nonce), op }.encode(&mut frame);
        let request = frame.get(..len).unwrap_or_default();
        let deadline = ctx.soon();
        let answer = ctx.peer_client().relay(ctx.sys, names::RNGD, request, deadline);
        let answer = answer.map_err(|_| "the peer does not reach rngd")?;
        let reply = Response::decode(answer).ok_or("reply does not decode")?;
        let refused = (Some(nonce), Status::Denied, Reply::Refused { op: op.code() });
        ensure((reply.nonce, reply.status, reply.body) == refused, "drawn without the right")?;
        ensure(raw(ctx, op)?.0 == Status::Ok, "nobody may draw: the refusal proves nothing")?;
    }
    for capability in [&b"rng.entropy"[..], b"rng.seed", b"rng.status"] {
        let filter = AuditFilter {
            subject: ids::SELFTEST_PEER.0,
            decision: Some(Decision::Deny),
            ..AuditFilter::default()
        };
        let enforcer = ids::RNGD.0;
        let search = AuditSearch { filter, enforcer, capability, ..AuditSearch::default() };
        ensure(found(ctx, &search)?.0 == 1, "the refusal is not on record")?;
    }
    Ok(())
}

/// The next instance resets the device, tests it from the first byte and gives other bytes.
pub(crate) fn restarted<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let before = draw(ctx)?;
    let old = incarnation(ctx, ids::RNGD)?;
    restart(ctx, ids::RNGD, (0, 0))?;
    back(ctx, ids::RNGD, old)?;
    wait(ctx)?;
    let report = status(ctx)?;
    ensure(report.raw_bytes == TESTED_BYTES && report.reseeds == 1, "not tested again")?;
    ensure(draw(ctx)? != before, "the same bytes again")
}
