//! Services die under load: what is refused, what is counted, what is right again afterwards.

use nexus_abi::{ServiceId, Sys};
use nexus_ipc::{ConnectError, connect, echo::Tally, log::AuditFilter, policy::NotAllowed};
use nexus_system::{ids, names};
use nexus_wire::supervise::State;

use crate::{
    audit_steps::{newest, stats},
    harness::{Ctx, Failure, MS, Outcome, PATIENCE_NS, ensure},
    policy_steps::{GRANTED, allowed_still, denied_still},
};

/// Checks per burst: long enough that a kill lands inside it.
const BURST: u32 = 200;
/// Kills tried until one hits a check in flight. Four in ten do, wherever in
/// a check they fall.
const KILLS_MAX: u64 = 32;
/// Between two attempts: a service's ticks are at least a millisecond apart, and so soon after the
/// last burst the next would not begin when it is asked for, but after the kill.
const CALM_NS: u64 = 2 * MS;
/// All of them land inside the peer's first batch of checks.
const FIRST_KILL_NS: u64 = 150_000;
const KILLS_SPAN_NS: u64 = 150_000;
const STEP_NS: u64 = 7_300;
/// Makes each move longer than the one before: equal ones may all hit the same moment of a check.
const DRIFT_NS: u64 = 310;
/// How long a service stays down when its absence is what we look at.
const DOWN_NS: u64 = 50 * MS;
/// More than lane and journal hold together.
const FLOOD: u32 = 2500;

/// Ends a service `after_ns` from now and leaves it down for `down_ns`.
pub(crate) fn restart<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    service: ServiceId,
    (after_ns, down_ns): (u64, u64),
) -> Outcome {
    let deadline = ctx.soon();
    let asked = ctx.supervisor().restart(ctx.sys, service, (after_ns, down_ns), deadline);
    asked.map_err(|_| "restart refused")
}

/// Waits until the service runs again, in another incarnation than `old`. The supervisor asks
/// policyd before it tells, so while policyd is down it cannot be asked.
pub(crate) fn back<S: Sys>(ctx: &mut Ctx<'_, S>, service: ServiceId, old: u32) -> Outcome {
    let give_up = ctx.within(PATIENCE_NS);
    while ctx.sys.now_ns() < give_up {
        let deadline = ctx.soon();
        let status = ctx.supervisor().status(ctx.sys, service, deadline);
        if let Ok(status) = status
            && status.state == State::Running
            && status.incarnation != old
        {
            return Ok(());
        }
        let later = ctx.within(MS);
        ctx.sys.sleep_until(later);
    }
    Err("service did not come back")
}

pub(crate) fn incarnation<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    service: ServiceId,
) -> Result<u32, Failure> {
    let deadline = ctx.soon();
    let status = ctx.supervisor().status(ctx.sys, service, deadline);
    status.map(|status| status.incarnation).map_err(|_| "status refused")
}

pub(crate) fn tally<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<Tally, Failure> {
    let deadline = ctx.soon();
    ctx.peer_client().tally(ctx.sys, deadline).map_err(|_| "peer does not tell")
}

pub(crate) fn total(tally: &Tally) -> u32 {
    [tally.allow, tally.deny, tally.peer_died, tally.timed_out, tally.other]
        .iter()
        .fold(0, |sum, n| sum.saturating_add(*n))
}

/// The tally once every check has an outcome.
pub(crate) fn burst_over<S: Sys>(ctx: &mut Ctx<'_, S>, checks: u32) -> Result<Tally, Failure> {
    let give_up = ctx.within(PATIENCE_NS);
    while ctx.sys.now_ns() < give_up {
        let now = tally(ctx)?;
        if total(&now) == checks {
            return Ok(now);
        }
        let later = ctx.within(MS);
        ctx.sys.sleep_until(later);
    }
    Err("a check had no outcome")
}

/// policyd dies with checks in flight and stays away: each check ends with an error of its own,
/// none is an allow; afterwards decisions are right again.
pub(crate) fn fail_closed<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    in_flight(ctx)?;
    while_down(ctx)?;
    allowed_still(ctx)?;
    denied_still(ctx)
}

/// init restarts at once and above everybody's priority, so a check that finds no policyd can
/// only be one that policyd held when it died.
fn in_flight<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    for attempt in 0..KILLS_MAX {
        let calm = ctx.within(CALM_NS);
        ctx.sys.sleep_until(calm);
        let old = incarnation(ctx, ids::POLICYD)?;
        let before = tally(ctx)?;
        let drift = attempt.saturating_mul(attempt).saturating_mul(DRIFT_NS);
        let moved = attempt.saturating_mul(STEP_NS).saturating_add(drift);
        let after_ns = FIRST_KILL_NS.saturating_add(moved.rem_euclid(KILLS_SPAN_NS));
        restart(ctx, ids::POLICYD, (after_ns, 0))?;
        let deadline = ctx.soon();
        let burst = ctx.peer_client().burst(ctx.sys, BURST, GRANTED, deadline);
        burst.map_err(|_| "peer refuses the burst")?;
        back(ctx, ids::POLICYD, old)?;
        let after = burst_over(ctx, total(&before).saturating_add(BURST))?;
        ensure(after.other == before.other && after.deny == before.deny, "a check went astray")?;
        if after.peer_died > before.peer_died {
            return Ok(());
        }
    }
    Err("no kill ever hit a check in flight")
}

fn while_down<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let old = incarnation(ctx, ids::POLICYD)?;
    restart(ctx, ids::POLICYD, (0, DOWN_NS))?;
    let dead = ctx.within(MS);
    ctx.sys.sleep_until(dead);
    let (me, deadline) = (ctx.me, ctx.soon());
    let check = ctx.policy_client().check_cap(ctx.sys, me, GRANTED, deadline).map(|_| ());
    ensure(matches!(check, Err(NotAllowed::Ipc(_))), "an answer from a dead policyd")?;
    let route = connect(ctx.sys, names::LOGD, deadline);
    ensure(route == Err(ConnectError::Unavailable), "a route without a decision")?;
    ensure(ctx.log_client().audit_stats(ctx.sys, deadline).is_err(), "audit read undecided")?;
    back(ctx, ids::POLICYD, old)
}

/// Makes decisions about ourselves, as fast as they come.
pub(crate) fn flood<S: Sys>(ctx: &mut Ctx<'_, S>, count: u32) -> Outcome {
    let mut client = ctx.policy_client();
    let me = ctx.me;
    for _ in 0..count {
        let deadline = ctx.soon();
        let check = client.check_cap(ctx.sys, me, GRANTED, deadline);
        ensure(check.is_ok(), "a decision was blocked by the audit")?;
    }
    Ok(())
}

pub(crate) fn peers_newest<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<u64, Failure> {
    let filter = AuditFilter { subject: ids::SELFTEST_PEER.0, ..AuditFilter::default() };
    let record = newest(ctx, &filter)?.ok_or("no record of the peer")?;
    Ok(record.seq)
}

pub(crate) fn balanced<S: Sys>(
    ctx: &mut Ctx<'_, S>,
) -> Result<nexus_ipc::log::AuditStats, Failure> {
    let now = stats(ctx)?;
    let stored_and_lost = now.stored.checked_add(now.lost);
    ensure(stored_and_lost == Some(now.produced), "produced is not stored plus lost")?;
    let kernel = now.kernel_stored.checked_add(now.kernel_lost);
    ensure(kernel == Some(now.kernel_produced), "kernel events not accounted for")?;
    Ok(now)
}

/// A flood while logd is away overflows the lane, a flood while it is there overflows the
/// journal: no decision waits, every record is stored or counted, the peer's records survive.
pub(crate) fn accounting<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let peers = peers_newest(ctx)?;
    let before = balanced(ctx)?;
    let old = incarnation(ctx, ids::LOGD)?;
    restart(ctx, ids::LOGD, (0, DOWN_NS))?;
    let dead = ctx.within(MS);
    ctx.sys.sleep_until(dead);
    flood(ctx, FLOOD)?;
    back(ctx, ids::LOGD, old)?;
    let overflowed = balanced(ctx)?;
    ensure(overflowed.lost > before.lost, "the lane never overflowed")?;
    ensure(overflowed.produced >= before.produced.saturating_add(FLOOD.into()), "uncounted")?;
    flood(ctx, FLOOD)?;
    let flooded = balanced(ctx)?;
    ensure(flooded.evicted > before.evicted, "the journal never overflowed")?;
    ensure(peers_newest(ctx)? == peers, "the flood evicted another subject's record")
}

/// logd dies and a new one attaches: what was stored is still there, new decisions arrive.
pub(crate) fn consumer_restart<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let peers = peers_newest(ctx)?;
    let before = balanced(ctx)?;
    let old = incarnation(ctx, ids::LOGD)?;
    restart(ctx, ids::LOGD, (0, 0))?;
    back(ctx, ids::LOGD, old)?;
    ensure(peers_newest(ctx)? == peers, "the journal lost a record")?;
    let after = balanced(ctx)?;
    ensure(after.lost == before.lost, "a restart lost records")?;
    ensure(after.produced > before.produced, "sequence numbers started again")?;
    crate::audit_steps::allow_recorded(ctx)
}
