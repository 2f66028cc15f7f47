//! Derivation and revocation, tried in every way a process has.

use nexus_abi::{
    Call, Error, Handle, Rights, Sys,
    layout::{PAGE, WINDOW_BASE},
    syscall::{Prot, VmoKind},
};
use probe::{Behaviour, EXIT_HELD, SLOT_GO, SLOT_TARGET};

use crate::{
    children::{End, Probe},
    harness::{Ctx, Failure, Outcome, ensure},
};

/// Far from the views the runtime places.
const SPARE_VA: u64 = WINDOW_BASE + 0x8_0000_0000;

fn gone(answer: Result<[u64; 4], Error>) -> bool {
    matches!(answer, Err(Error::StaleHandle | Error::BadHandle))
}

/// A subset can be derived, a superset cannot, and a derived capability cannot outlive what it
/// came from.
pub(crate) fn derive_bounds<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let notif = ctx.sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
    let subset = Rights::SIGNAL.or(Rights::DERIVE);
    let narrow = ctx.sys.derive(notif, subset, 0).map_err(|_| "subset refused")?;
    let signalled = ctx.sys.run(Call::Signal { notif: narrow, bits: 1 });
    ensure(signalled.is_ok(), "derived right does not work")?;
    let waited = ctx.sys.run(Call::Wait { notif: narrow, mask: 1, deadline_ns: 0 });
    ensure(waited == Err(Error::MissingRight), "waited without WAIT")?;
    let wider = ctx.sys.derive(narrow, subset.or(Rights::WAIT), 0);
    ensure(wider == Err(Error::MissingRight), "superset derived")?;
    let revoked = ctx.sys.run(Call::CapRevoke { cap: notif });
    ensure(matches!(revoked, Ok([1, ..])), "revoke did not destroy exactly the copy")?;
    ensure(gone(ctx.sys.run(Call::Signal { notif: narrow, bits: 1 })), "copy outlived its source")?;
    let again = ctx.sys.derive(narrow, Rights::SIGNAL, 0);
    ensure(again.is_err(), "derived from a revoked capability")?;
    ctx.sys.run(Call::CapClose { cap: notif }).map(|_| ()).map_err(|_| "source not closed")
}

/// After a revoke: the handle, a copy in another process, a call under way, a mapping and a
/// renewed derivation are all refused.
pub(crate) fn revoke<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    later_call_refused(ctx)?;
    call_under_way_ends(ctx)?;
    mapping_removed(ctx)
}

fn target<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<(Handle, Handle), Failure> {
    let create = Call::EndpointCreate { notif: Handle::NONE };
    let endpoint = ctx.sys.make(create).map_err(|_| "no endpoint")?;
    let rights = Rights::CALL.or(Rights::DERIVE).or(Rights::MANAGE);
    let lent = ctx.sys.derive(endpoint, rights, 0).map_err(|_| "not derived")?;
    Ok((endpoint, lent))
}

fn close<S: Sys>(ctx: &mut Ctx<'_, S>, caps: &[Handle]) {
    for cap in caps {
        // Already gone is as good as closed.
        let _closed = ctx.sys.run(Call::CapClose { cap: *cap });
    }
}

fn later_call_refused<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (endpoint, lent) = target(ctx)?;
    let go = ctx.sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
    let probe = Probe::new(ctx, Behaviour::CallWhenTold)?;
    probe.give(ctx, lent, Rights::CALL, SLOT_TARGET)?;
    probe.give(ctx, go, Rights::WAIT, SLOT_GO)?;
    probe.start(ctx)?;
    ctx.sys.run(Call::CapRevoke { cap: endpoint }).map_err(|_| "revoke refused")?;
    ensure(ctx.sys.derive(lent, Rights::CALL, 0).is_err(), "derived from a revoked handle")?;
    ctx.sys.run(Call::Signal { notif: go, bits: 1 }).map_err(|_| "go refused")?;
    let end = probe.end(ctx)?;
    close(ctx, &[lent, endpoint, go]);
    ensure(end == End::Exited(EXIT_HELD), "another process still held the capability")
}

fn call_under_way_ends<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (endpoint, lent) = target(ctx)?;
    let probe = Probe::new(ctx, Behaviour::CallAndWait)?;
    probe.give(ctx, lent, Rights::CALL, SLOT_TARGET)?;
    probe.start(ctx)?;
    let deadline_ns = ctx.soon().ns();
    let received = ctx.sys.recv(endpoint, 0, deadline_ns);
    let Ok(nexus_abi::Received::Message(message)) = received else {
        return Err("the probe's call did not arrive");
    };
    ctx.sys.run(Call::CapRevoke { cap: endpoint }).map_err(|_| "revoke refused")?;
    let late = ctx.sys.reply(message.token, 0, Handle::NONE);
    ensure(late == Err(Error::StaleReply), "answered a call that was revoked")?;
    let end = probe.end(ctx)?;
    close(ctx, &[lent, endpoint]);
    ensure(end == End::Exited(EXIT_HELD), "a call under way survived the revoke")
}

/// Mapping the same place again works only because the revoke removed what was there.
fn mapping_removed<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let ram = Call::VmoCreate { len: PAGE, kind: VmoKind::Ram, authority: Handle::NONE };
    let vmo = ctx.sys.make(ram).map_err(|_| "no memory")?;
    let lent = ctx.sys.derive(vmo, Rights::READ, 0).map_err(|_| "not derived")?;
    let map = |vmo| Call::VmMap {
        proc: Handle::NONE,
        vmo,
        va: SPARE_VA,
        offset: 0,
        len: PAGE,
        prot: Prot::Read,
    };
    ctx.sys.run(map(lent)).map_err(|_| "not mapped")?;
    ensure(ctx.sys.run(map(vmo)) == Err(Error::Overlap), "mapped over a mapping")?;
    ctx.sys.run(Call::CapRevoke { cap: vmo }).map_err(|_| "revoke refused")?;
    ensure(gone(ctx.sys.run(map(lent))), "mapped through a revoked capability")?;
    ctx.sys.run(map(vmo)).map_err(|_| "the revoked mapping is still there")?;
    let unmap = Call::VmUnmap { proc: Handle::NONE, va: SPARE_VA, len: PAGE };
    ctx.sys.run(unmap).map_err(|_| "not unmapped")?;
    close(ctx, &[vmo]);
    Ok(())
}
