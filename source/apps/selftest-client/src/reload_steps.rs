//! Another policy while the system runs: a newer signed one is taken at once and for good,
//! everything else leaves the old one in force.

use nexus_abi::{
    Call, Handle, Rights, Sys,
    syscall::{Seal, VmoKind},
};
use nexus_ipc::{echo::Tally, log::AuditFilter, policy::Reloaded};
use nexus_system::{ids, slots::selftest_client as slots};
use nexus_wire::audit::{Decision, Op, Reason};

use crate::{
    audit_steps::for_each,
    harness::{Ctx, Failure, MS, Outcome, ensure},
    policy_steps::{allowed_still, denied_still, holds},
    restart_steps::{back, burst_over, incarnation, restart, tally, total},
};

/// The peer's until the next policy (`recipes/policy-reload-test/`) takes it away.
const TAKEN: &str = "time.read";
/// Ours from the next policy on.
const GIVEN: &str = "bundle.query";
/// Checks around the reload: several of the peer's batches, between which we get to run.
const BURST: u32 = 2048;
/// Checks when nothing else happens.
const FEW: u32 = 20;
/// Larger than any policy that policyd can hold.
const TOO_LARGE: u64 = 64 << 10;

/// Offers a policy. The capability is gone afterwards.
fn offer<S: Sys>(ctx: &mut Ctx<'_, S>, blob: Handle) -> Result<Reloaded, Failure> {
    let deadline = ctx.soon();
    ctx.policy_client().reload(ctx.sys, blob, deadline).map_err(|_| "no answer to a reload")
}

/// Offers a copy of a file we were granted.
fn offer_file<S: Sys>(ctx: &mut Ctx<'_, S>, file: Handle) -> Result<Reloaded, Failure> {
    let copy = ctx.sys.derive(file, Rights::READ.or(Rights::GRANT), 0);
    offer(ctx, copy.map_err(|_| "file not copied")?)
}

/// Exactly one record says what the answer said.
fn recorded<S: Sys>(ctx: &mut Ctx<'_, S>, answer: &Reloaded) -> Outcome {
    let (op, nonce) = (Some(Op::PolicyReload), answer.nonce);
    let filter = AuditFilter { subject: ctx.me.0, op, nonce, ..AuditFilter::default() };
    let (mut count, mut last) = (0u32, None);
    for_each(ctx, &filter, |record| {
        count = count.saturating_add(1);
        last = Some(*record);
    })?;
    ensure(count == 1, "not exactly one record of a reload")?;
    let record = last.ok_or("no record")?;
    let decision = if answer.loaded { Decision::Allow } else { Decision::Deny };
    ensure(record.decision == decision && record.reason == answer.reason, "another record")?;
    ensure(record.enforcer == ctx.me.0, "record of another sender")?;
    ensure(record.args.first() == Some(&answer.version), "record of another version")
}

/// The offer is refused for `reason`, recorded, and `version` stays in force.
fn refused<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    answer: &Reloaded,
    (reason, version): (Reason, u64),
) -> Outcome {
    ensure(!answer.loaded, "a policy was loaded that must not be")?;
    ensure(answer.reason == reason, "refused for another reason")?;
    ensure(answer.version == version, "another policy is in force")?;
    recorded(ctx, answer)
}

/// The peer asks for [`TAKEN`] so many times: what it was told.
fn peers<S: Sys>(ctx: &mut Ctx<'_, S>, count: u32) -> Result<Tally, Failure> {
    let before = tally(ctx)?;
    begin(ctx, count)?;
    told(ctx, &before, count)
}

fn begin<S: Sys>(ctx: &mut Ctx<'_, S>, count: u32) -> Outcome {
    let deadline = ctx.soon();
    let burst = ctx.peer_client().burst(ctx.sys, count, TAKEN, deadline);
    burst.map(|_| ()).map_err(|_| "peer refuses the burst")
}

/// What the peer was told since `before`; every check has an answer.
fn told<S: Sys>(ctx: &mut Ctx<'_, S>, before: &Tally, count: u32) -> Result<Tally, Failure> {
    let after = burst_over(ctx, total(before).saturating_add(count))?;
    let lost = (after.peer_died, after.timed_out, after.other);
    ensure(lost == (before.peer_died, before.timed_out, before.other), "a request was lost")?;
    let (allow, deny) =
        (after.allow.saturating_sub(before.allow), after.deny.saturating_sub(before.deny));
    Ok(Tally { allow, deny, ..Tally::default() })
}

/// The next policy is in force: what it takes is denied, what it gives and keeps is allowed.
fn next_in_force<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    ensure(peers(ctx, FEW)?.deny == FEW, "a stale allow")?;
    let me = ctx.me;
    holds(ctx, me, GIVEN).map_err(|_| "the new grant is not allowed")?;
    allowed_still(ctx)?;
    denied_still(ctx)
}

/// While the peer asks and asks, the policy changes: its answers change once, none is lost.
pub(crate) fn reload<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let me = ctx.me;
    ensure(peers(ctx, FEW)?.allow == FEW, "not allowed before the reload")?;
    ensure(holds(ctx, me, GIVEN).is_err(), "allowed before the reload")?;
    let before = tally(ctx)?;
    begin(ctx, BURST)?;
    let begun = ctx.within(MS);
    ctx.sys.sleep_until(begun);
    let answer = offer_file(ctx, slots::BLOB_POLICY_NEXT)?;
    ensure(answer.loaded && answer.reason == Reason::Policy, "the next policy was refused")?;
    let around = told(ctx, &before, BURST)?;
    ensure(around.allow > 0 && around.deny > 0, "the reload was not in the burst")?;
    recorded(ctx, &answer)?;
    next_in_force(ctx)
}

/// Neither an older policy nor the same one again, also not after policyd died.
pub(crate) fn rollback<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let version = offer_file(ctx, slots::BLOB_POLICY_OLDER)?.version;
    let expected = (Reason::BlobNotNewer, version);
    for file in [slots::BLOB_POLICY_OLDER, slots::BLOB_POLICY_NEXT] {
        let answer = offer_file(ctx, file)?;
        refused(ctx, &answer, expected)?;
    }
    let old = incarnation(ctx, ids::POLICYD)?;
    restart(ctx, ids::POLICYD, (0, 0))?;
    back(ctx, ids::POLICYD, old)?;
    let answer = offer_file(ctx, slots::BLOB_POLICY_OLDER)?;
    refused(ctx, &answer, expected)?;
    next_in_force(ctx)
}

/// Each of these is newer than what is in force, and wrong in one way.
pub(crate) fn bad_signature<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    const CASES: [(Handle, Reason); 5] = [
        (slots::BLOB_POLICY_FOREIGN, Reason::BlobForeignKey),
        (slots::BLOB_POLICY_UNSIGNED, Reason::BlobUnsigned),
        (slots::BLOB_POLICY_FORGED, Reason::BlobBadSignature),
        (slots::BLOB_POLICY_FLIPPED, Reason::BlobDigest),
        (slots::BLOB_POLICY_TRUNCATED, Reason::BlobTruncated),
    ];
    let version = offer_file(ctx, slots::BLOB_POLICY_OLDER)?.version;
    for (file, reason) in CASES {
        let answer = offer_file(ctx, file)?;
        refused(ctx, &answer, (reason, version))?;
    }
    no_policy_at_all(ctx, version)?;
    next_in_force(ctx)
}

/// Nothing, memory that is not sealed, and more of it than policyd holds.
fn no_policy_at_all<S: Sys>(ctx: &mut Ctx<'_, S>, version: u64) -> Outcome {
    let open = memory(ctx, nexus_abi::layout::PAGE)?;
    let answer = offer(ctx, open)?;
    refused(ctx, &answer, (Reason::BlobMissing, version))?;
    let large = memory(ctx, TOO_LARGE)?;
    let sealed = ctx.sys.run(Call::VmoSeal { vmo: large, seal: Seal::ReadOnly });
    sealed.map_err(|_| "memory not sealed")?;
    let answer = offer(ctx, large)?;
    refused(ctx, &answer, (Reason::BlobTooLarge, version))?;
    let answer = offer(ctx, Handle::NONE)?;
    ensure(!answer.loaded && answer.reason == Reason::BlobMissing, "no policy was loaded")
}

fn memory<S: Sys>(ctx: &mut Ctx<'_, S>, len: u64) -> Result<Handle, Failure> {
    let create = Call::VmoCreate { len, kind: VmoKind::Ram, authority: Handle::NONE };
    ctx.sys.make(create).map_err(|_| "no memory")
}
