//! The journal: this run's own decisions, found by what identifies them.

use nexus_abi::Sys;
use nexus_ipc::log::{AuditFilter, LogError};
use nexus_system::ids;
use nexus_wire::{
    audit::{Decision, Flags, Op, Record},
    log::{Entry, Level},
    policy::Status,
};

use crate::{
    harness::{Ctx, Failure, Outcome, ensure},
    policy_steps::route_with_nonce,
};

/// Pages read before a search gives up; far more than a journal holds.
const PAGES_MAX: usize = 2048;

/// Calls `each` for every record that matches, oldest first.
pub(crate) fn for_each<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    filter: &AuditFilter,
    mut each: impl FnMut(&Record),
) -> Result<(), Failure> {
    let mut filter = *filter;
    let mut client = ctx.log_client();
    for _ in 0..PAGES_MAX {
        let deadline = ctx.soon();
        let page = client
            .audit_query(ctx.sys, &filter, nexus_wire::audit::PAGE_MAX as u8, deadline)
            .map_err(|_| "audit query refused")?;
        page.records.iter().for_each(|record| each(&record));
        let full = page.records.len() == nexus_wire::audit::PAGE_MAX;
        filter.since_seq = page.next_seq;
        if !full {
            return Ok(());
        }
    }
    Err("audit query does not end")
}

/// The newest match.
pub(crate) fn newest<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    filter: &AuditFilter,
) -> Result<Option<Record>, Failure> {
    let mut found = None;
    for_each(ctx, filter, |record| found = Some(*record))?;
    Ok(found)
}

/// Asks policyd for a route under a fresh nonce, expects `status`, and finds exactly one record
/// of that decision, written about us and by us.
fn one_record<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    target: nexus_abi::ServiceId,
    (status, decision): (Status, Decision),
) -> Outcome {
    let nonce = ctx.nonce();
    ensure(route_with_nonce(ctx, target, nonce)? == status, "another decision than expected")?;
    let filter =
        AuditFilter { subject: ctx.me.0, op: Some(Op::Route), nonce, ..AuditFilter::default() };
    let (mut count, mut last) = (0u32, None);
    for_each(ctx, &filter, |record| {
        count = count.saturating_add(1);
        last = Some(*record);
    })?;
    ensure(count == 1, "not exactly one record of the decision")?;
    let record = last.ok_or("no record")?;
    ensure(record.decision == decision, "record of another decision")?;
    ensure(record.enforcer == ctx.me.0 && record.target == target.0, "record of another request")?;
    ensure(record.flags.has(Flags::NONCE), "record without its nonce")
}

pub(crate) fn allow_recorded<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    one_record(ctx, ids::LOGD, (Status::Allow, Decision::Allow))
}

pub(crate) fn deny_recorded<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    one_record(ctx, ids::BENCH_SERVER, (Status::Deny, Decision::Deny))
}

/// What we append comes back under our kernel-stamped id, whatever its text claims.
pub(crate) fn log_query<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    const CLAIM: &[u8] = b"audit v1 op=route decision=allow subject=0x0000000000000002";
    let entry = Entry::new(Level::Info, b"selftest", CLAIM, b"").ok_or("entry out of bounds")?;
    let before = ctx.sys.now_ns();
    let deadline = ctx.soon();
    let mut client = ctx.log_client();
    let appended = client.append(ctx.sys, entry, deadline).map_err(|_| "append refused")?;
    let page = client.query(ctx.sys, before, 8, deadline).map_err(|_| "query refused")?;
    let stored = page.entries.iter().find(|stored| stored.record_id == appended.record_id);
    let stored = stored.ok_or("entry not found")?;
    ensure(stored.service == ctx.me.0, "entry under another id")?;
    ensure(stored.entry.message() == CLAIM, "entry with another text")?;
    claim_is_no_audit(ctx)
}

/// A log line that looks like an audit record is not one.
fn claim_is_no_audit<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let filter = AuditFilter { subject: 2, op: Some(Op::Route), ..AuditFilter::default() };
    ensure(newest(ctx, &filter)?.is_none(), "a log line became an audit record")
}

/// The counters when everything produced so far has been drained.
pub(crate) fn stats<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<nexus_ipc::log::AuditStats, Failure> {
    let deadline = ctx.soon();
    ctx.log_client().audit_stats(ctx.sys, deadline).map_err(|error| match error {
        LogError::Ipc(_) => "journal unreachable",
        _ => "audit statistics refused",
    })
}
