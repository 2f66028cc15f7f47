//! What stands behind the audit: the device's signature, and what its state opens and closes.

use nexus_abi::Sys;
use nexus_audit::{Checkpoint, Seal as Signed};
use nexus_ipc::{
    log::{AuditFilter, AuditSearch},
    policy::NotAllowed,
};
use nexus_keys::{Generation, Purpose, Seal};
use nexus_system::ids;
use nexus_wire::audit::{Decision, Op};

use crate::{
    harness::{Ctx, Failure, MS, Outcome, ensure},
    key_steps::{certified, chain, with},
    restart_steps::{back, balanced, flood, incarnation, restart},
    trail_steps::{DOWN_NS, FILL, found},
};

/// Granted to us only while the audit keeps every record.
const GATED: &str = "audit.gated";
/// Between two looks at something that comes by itself.
const LOOK_NS: u64 = 50 * MS;
/// Looks before it counts as not coming: twice what logd takes to ask again or to be well again.
const LOOKS: u32 = 240;

fn checkpoint<S: Sys>(ctx: &mut Ctx<'_, S>, number: u64) -> Result<Checkpoint, Failure> {
    let mut client = ctx.log_client();
    let deadline = ctx.soon();
    let bytes = client.audit_checkpoint(ctx.sys, number, deadline).map_err(|_| "no checkpoint")?;
    bytes.first_chunk().and_then(Checkpoint::decode).ok_or("checkpoint malformed")
}

/// Looks until `seen` finds something.
fn awaited<S: Sys, T>(
    ctx: &mut Ctx<'_, S>,
    otherwise: Failure,
    mut seen: impl FnMut(&mut Ctx<'_, S>) -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    for _ in 0..LOOKS {
        if let Some(found) = seen(ctx)? {
            return Ok(found);
        }
        let next = ctx.within(LOOK_NS);
        ctx.sys.sleep_until(next);
    }
    Err(otherwise)
}

/// A checkpoint comes to be signed by itself, with the key that the device vouches for, over the
/// digest that is computed here.
pub(crate) fn sealed<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let number = checkpoint(ctx, 0)?.number;
    let (point, by) = awaited(ctx, "a checkpoint stays unsigned", |ctx| {
        let point = checkpoint(ctx, number)?;
        ensure(point.number == number, "another checkpoint than asked for")?;
        Ok(match point.seal {
            Signed::Ed25519(by) => Some((point, by)),
            Signed::Unsigned => None,
        })
    })?;
    with(ctx, |ctx, keys| {
        let chain = chain(ctx, keys)?;
        let key = certified(ctx, keys, (&chain, Purpose::Checkpoint, by.generation))?;
        let seal = Seal {
            number,
            digest: point.digest(),
            generation: Generation(by.generation),
            boot: by.boot,
            caller: ids::LOGD.0,
            signature: by.bytes,
        };
        ensure(seal.verify(&key).is_ok(), "the seal does not verify")?;
        let later = Checkpoint { time_ns: point.time_ns.saturating_add(1), ..point };
        let other = Seal { digest: later.digest(), ..seal };
        ensure(other.verify(&key).is_err(), "a seal of any checkpoint")?;
        let anothers = Seal { caller: ctx.me.0, ..seal };
        ensure(anothers.verify(&key).is_err(), "a seal of whoever one likes")
    })
}

fn gated<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<(), NotAllowed> {
    let (me, deadline) = (ctx.me, ctx.soon());
    ctx.policy_client().check_cap(ctx.sys, me, GATED, deadline).map(|_| ())
}

fn opened<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    awaited(ctx, "the gate stays closed", |ctx| Ok(gated(ctx).ok()))
}

/// Records lost close a gate until all is well again, and both changes are on record.
pub(crate) fn health<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    opened(ctx)?;
    let since_ns = ctx.sys.now_ns();
    let told = |ctx: &mut Ctx<'_, S>, decision| {
        let filter = AuditFilter {
            op: Some(Op::Health),
            decision: Some(decision),
            ..AuditFilter::default()
        };
        let search = AuditSearch { filter, since_ns, ..AuditSearch::default() };
        Ok::<u32, Failure>(found(ctx, &search)?.0)
    };
    let lost = balanced(ctx)?.lost;
    let old = incarnation(ctx, ids::LOGD)?;
    restart(ctx, ids::LOGD, (0, DOWN_NS))?;
    flood(ctx, FILL)?;
    back(ctx, ids::LOGD, old)?;
    ensure(balanced(ctx)?.lost > lost, "the flood lost nothing: this proves nothing")?;
    ensure(gated(ctx) == Err(NotAllowed::Denied), "the gate is open over lost records")?;
    ensure(told(ctx, Decision::Deny)? > 0, "the loss is not on record as a matter of health")?;
    opened(ctx)?;
    ensure(told(ctx, Decision::Allow)? > 0, "that all is well again is not on record")
}
