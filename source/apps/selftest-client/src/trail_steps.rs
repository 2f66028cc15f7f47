//! The audit as a trail one can trust: found, refused, chained, accounted for, required.

use nexus_abi::Sys;
use nexus_audit::{Checkpoint, Digest, LANES, link, root};
use nexus_ipc::{
    log::{AuditFilter, AuditSearch},
    policy::NotAllowed,
};
use nexus_system::ids;
use nexus_wire::{
    audit::{Decision, Flags, Op, PAGE_MAX, Reason, Record},
    log::Status as LogStatus,
    policy::Status,
};
use probe::Behaviour;

use crate::{
    children,
    harness::{Ctx, Failure, MS, Outcome, ensure},
    policy_steps::{allowed_still, route_with_nonce},
    restart_steps::{back, balanced, flood, incarnation, peers_newest, restart},
};

/// Pages read before a search gives up.
const PAGES_MAX: usize = 2048;
/// More than the lane holds.
pub(crate) const FILL: u32 = 600;
/// How long logd stays down while the lane fills.
pub(crate) const DOWN_NS: u64 = 50 * MS;
/// Longer than logd waits until it writes down what was dropped.
const SETTLED_NS: u64 = 5200 * MS;
/// A capability whose allow exists only with its record; granted to us.
const REQUIRED: &str = "audit.probe";

/// How many records match, and the last one.
pub(crate) fn found<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    search: &AuditSearch<'_>,
) -> Result<(u32, Option<Record>), Failure> {
    let mut search = *search;
    let mut client = ctx.log_client();
    let (mut count, mut last) = (0u32, None);
    for _ in 0..PAGES_MAX {
        let deadline = ctx.soon();
        let page = client
            .audit_search(ctx.sys, &search, PAGE_MAX as u8, deadline)
            .map_err(|_| "audit search refused")?;
        count = count.saturating_add(page.records.len() as u32);
        last = page.records.iter().last().or(last);
        search.filter.since_seq = page.next_seq;
        if page.records.len() < PAGE_MAX {
            return Ok((count, last));
        }
    }
    Err("audit search does not end")
}

/// A fresh deny is found by every field at once, and by none if one is off.
pub(crate) fn query<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (nonce, before) = (ctx.nonce(), ctx.sys.now_ns());
    ensure(route_with_nonce(ctx, ids::BENCH_SERVER, nonce)? == Status::Deny, "not denied")?;
    let filter = AuditFilter {
        subject: ctx.me.0,
        op: Some(Op::Route),
        decision: Some(Decision::Deny),
        nonce,
        ..AuditFilter::default()
    };
    let plain = AuditSearch { filter, ..AuditSearch::default() };
    let (count, record) = found(ctx, &plain)?;
    let record = record.filter(|_| count == 1).ok_or("not found by nonce")?;
    let filter = AuditFilter { since_seq: record.seq, ..filter };
    let all = AuditSearch {
        filter,
        until_seq: record.seq,
        since_ns: before,
        until_ns: record.time_ns,
        enforcer: ctx.me.0,
        capability: b"route.*",
    };
    ensure(found(ctx, &all)?.0 == 1, "not found by every field")?;
    let with = |filter| AuditSearch { filter, ..all };
    for off in [
        with(AuditFilter { subject: ids::SELFTEST_PEER.0, ..filter }),
        with(AuditFilter { op: Some(Op::Exec), ..filter }),
        with(AuditFilter { decision: Some(Decision::Allow), ..filter }),
        with(AuditFilter { nonce: nonce.wrapping_add(1), ..filter }),
        with(AuditFilter { since_seq: record.seq.saturating_add(1), ..filter }),
        AuditSearch { until_seq: record.seq.saturating_sub(1), ..all },
        AuditSearch { since_ns: record.time_ns.saturating_add(1), ..all },
        AuditSearch { until_ns: record.time_ns.saturating_sub(1), ..all },
        AuditSearch { enforcer: ids::LOGD.0, ..all },
        AuditSearch { capability: b"route", ..all },
    ] {
        ensure(found(ctx, &off)?.0 == 0, "found although one field is off")?;
    }
    two_cursors(ctx)
}

/// Two readers in turn see the same records: neither moves the other.
fn two_cursors<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let filter = AuditFilter { subject: ids::LOGD.0, ..AuditFilter::default() };
    let (mut one, mut two) = (ctx.log_client(), ctx.log_client());
    let mut cursors = [0u64; 2];
    for _ in 0..4 {
        let mut firsts = [0u64; 2];
        for (client, (cursor, first)) in
            [&mut one, &mut two].into_iter().zip(cursors.iter_mut().zip(&mut firsts))
        {
            let deadline = ctx.soon();
            let filter = AuditFilter { since_seq: *cursor, ..filter };
            let search = AuditSearch { filter, ..AuditSearch::default() };
            let page = client
                .audit_search(ctx.sys, &search, 1, deadline)
                .map_err(|_| "audit search refused")?;
            *first = page.records.iter().next().map_or(0, |record| record.seq);
            *cursor = page.next_seq;
        }
        let [a, b] = firsts;
        ensure(a == b || a == 0, "one reader moved the other")?;
    }
    Ok(())
}

/// The peer has a channel to logd and no right to read through it: logd refuses, and the refusal
/// is on record under the peer's stamped id.
pub(crate) fn read_denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let deadline = ctx.soon();
    let status = ctx.peer_client().read_audit(ctx.sys, deadline).map_err(|_| "peer is silent")?;
    ensure(status == LogStatus::Denied.code(), "audit read without the right")?;
    let filter = AuditFilter {
        subject: ids::SELFTEST_PEER.0,
        op: Some(Op::CheckCapDelegated),
        decision: Some(Decision::Deny),
        ..AuditFilter::default()
    };
    let enforcer = ids::LOGD.0;
    let search =
        AuditSearch { filter, enforcer, capability: b"audit.read", ..AuditSearch::default() };
    ensure(found(ctx, &search)?.0 == 1, "the refusal is not on record")?;
    ensure(crate::audit_steps::stats(ctx).is_ok(), "nobody may read: the refusal proves nothing")
}

/// The chains over every record up to a checkpoint, recomputed, end in its root.
pub(crate) fn chain<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let mut client = ctx.log_client();
    let deadline = ctx.soon();
    let bytes = client.audit_checkpoint(ctx.sys, 0, deadline).map_err(|_| "no checkpoint")?;
    let point = bytes.first_chunk().and_then(Checkpoint::decode).ok_or("checkpoint malformed")?;
    ensure(point.last_seq > 0 && point.policy_version > 0, "checkpoint of nothing")?;
    let mut heads: [Option<Digest>; LANES] = [None; LANES];
    let (mut next, mut seen, mut flipped) = (0u64, 0u64, false);
    while next <= point.last_seq {
        let deadline = ctx.soon();
        let page = client
            .audit_chain(ctx.sys, next, PAGE_MAX as u8, deadline)
            .map_err(|_| "audit chain refused")?;
        for chained in page.records.iter() {
            let seq = Record::decode(&chained.bytes).map_or(u64::MAX, |record| record.seq);
            if seq > point.last_seq {
                break;
            }
            let head = heads.get_mut(chained.lane as usize).ok_or("no such lane")?;
            ensure(head.is_none_or(|head| head == chained.before), "a chain is broken")?;
            let after = link(&chained.before, &chained.bytes);
            let mut other = chained.bytes;
            other.iter_mut().skip(16).take(1).for_each(|byte| *byte ^= 1);
            flipped = link(&chained.before, &other) != after;
            (*head, seen) = (Some(after), seen.saturating_add(1));
        }
        ensure(page.next_seq > next, "audit chain does not go on")?;
        next = page.next_seq;
    }
    let heads = || heads.iter().enumerate().filter_map(|(n, head)| Some((n as u8, (*head)?)));
    ensure(heads().count() as u64 == point.lanes, "another number of lanes")?;
    ensure(root(heads()) == point.root, "the chains do not end in the checkpoint")?;
    let held = point.last_seq.saturating_sub(point.counts.evicted);
    ensure(seen == held && flipped, "not every record is in a chain")
}

/// The kernel's own records of one process, from its making over its fault to its end.
pub(crate) fn kernel<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (service, _) = children::run(ctx, Behaviour::LoadNull)?;
    let about = |subject: u64, op| AuditSearch {
        filter: AuditFilter { subject, op: Some(op), ..AuditFilter::default() },
        ..AuditSearch::default()
    };
    let (made, created) = found(ctx, &about(ctx.me.0, Op::KernelProcessCreated))?;
    let (count, faulted) = found(ctx, &about(service.0, Op::KernelProcessFaulted))?;
    let created = created.filter(|_| made > 0).ok_or("creation not in the journal")?;
    let faulted = faulted.filter(|_| count == 1).ok_or("not exactly one fault in the journal")?;
    ensure(created.target == service.0, "another process created")?;
    ensure(faulted.enforcer == 0 && faulted.reason == Reason::Kernel, "not the kernel's record")?;
    ensure(faulted.cap.as_bytes() == b"load", "another cause")?;
    let ordered = created.time_ns <= faulted.time_ns && created.seq < faulted.seq;
    ensure(ordered, "the kernel's records are out of order")?;
    balanced(ctx).map(|_| ())
}

/// After the floods of the step before: what they cost us is written down and adds up, a reader
/// that was overtaken is told, and one that looks at another subject is not.
pub(crate) fn flood_accounting<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let peers = peers_newest(ctx)?;
    flood(ctx, FILL)?;
    let settled = ctx.within(SETTLED_NS);
    ctx.sys.sleep_until(settled);
    let stats = balanced(ctx)?;
    let filter = AuditFilter { subject: ctx.me.0, op: Some(Op::Dropped), ..AuditFilter::default() };
    let search = AuditSearch { filter, ..AuditSearch::default() };
    let (count, dropped) = found(ctx, &search)?;
    let dropped = dropped.filter(|_| count > 0).ok_or("what was dropped is not on record")?;
    let [first, last] = dropped.args;
    ensure(dropped.target > 0 && first <= last, "the record says nothing was dropped")?;
    ensure(dropped.target <= stats.evicted, "more dropped than was evicted")?;
    ensure(overtaken(ctx, ctx.me.0, first)?, "an overtaken reader was not told")?;
    let peer = ids::SELFTEST_PEER.0;
    let filter = AuditFilter { subject: peer, since_seq: peers, ..AuditFilter::default() };
    let search = AuditSearch { filter, until_seq: peers, ..AuditSearch::default() };
    ensure(found(ctx, &search)?.0 == 1, "the flood evicted another subject's record")?;
    ensure(!overtaken(ctx, peer, peers)?, "a reader was told of drops that are not its subject's")
}

fn overtaken<S: Sys>(ctx: &mut Ctx<'_, S>, subject: u64, since_seq: u64) -> Result<bool, Failure> {
    let filter = AuditFilter { subject, since_seq, ..AuditFilter::default() };
    let search = AuditSearch { filter, ..AuditSearch::default() };
    let deadline = ctx.soon();
    let page = ctx.log_client().audit_search(ctx.sys, &search, 1, deadline);
    page.map(|page| page.overtaken).map_err(|_| "audit search refused")
}

/// With logd away and the lane full, an allow that needs its record is a deny, everything else
/// goes on, and afterwards that deny is in the journal.
pub(crate) fn required_deny<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    required(ctx).map_err(|_| "required capability not allowed in peace")?;
    let old = incarnation(ctx, ids::LOGD)?;
    restart(ctx, ids::LOGD, (0, DOWN_NS))?;
    let dead = ctx.within(MS);
    ctx.sys.sleep_until(dead);
    flood(ctx, FILL)?;
    let refused = required(ctx);
    allowed_still(ctx)?;
    ensure(refused == Err(NotAllowed::Denied), "allowed without a record")?;
    back(ctx, ids::LOGD, old)?;
    let filter =
        AuditFilter { subject: ctx.me.0, decision: Some(Decision::Deny), ..AuditFilter::default() };
    let capability = REQUIRED.as_bytes();
    let search = AuditSearch { filter, capability, ..AuditSearch::default() };
    let (count, record) = found(ctx, &search)?;
    let record = record.filter(|_| count == 1).ok_or("the deny is not on record")?;
    let why = record.reason == Reason::AuditUnavailable && record.flags.has(Flags::REQUIRED);
    ensure(why, "recorded for another reason")?;
    required(ctx).map_err(|_| "still denied with room again")?;
    balanced(ctx).map(|_| ())
}

fn required<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<(), NotAllowed> {
    let (me, deadline) = (ctx.me, ctx.soon());
    ctx.policy_client().check_cap(ctx.sys, me, REQUIRED, deadline).map(|_| ())
}
