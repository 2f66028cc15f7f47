//! Decisions: allowed, denied, spoofed, malformed, unrouted.

use nexus_abi::{Handle, ServiceId, Sys};
use nexus_ipc::{ConnectError, connect, policy::NotAllowed};
use nexus_system::{ids, names};
use nexus_wire::{
    Name,
    policy::{Op, Request, Response, Status},
};

use crate::harness::{Ctx, Failure, Outcome, ensure};

/// Granted to us in `recipes/policy/base.toml`.
pub(crate) const GRANTED: &str = "ipc.core";
/// Registered, and granted to others only.
const NOT_GRANTED: &str = "crypto.derive.statefs";
/// Granted to us by a wildcard and taken away by an explicit deny.
const DENIED_IN_WILDCARD: &str = "fs.verify";
/// Granted to us by the same wildcard.
const GRANTED_BY_WILDCARD: &str = "fs.read";

/// Granted to us behind a gate that is closed in a normal boot.
const BEHIND_CLOSED_GATE: &str = "device.key.reload";

/// Opens the connections everything else uses.
pub(crate) fn open<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let route = |ctx: &mut Ctx<'_, S>, name| {
        let deadline = ctx.soon();
        connect(ctx.sys, name, deadline).map_err(|_| "no route to a service we may reach")
    };
    ctx.policy = route(ctx, names::POLICYD)?;
    ctx.log = route(ctx, names::LOGD)?;
    ctx.peer = route(ctx, names::SELFTEST_PEER)?;
    ctx.rng = route(ctx, names::RNGD)?;
    Ok(())
}

/// Does policyd let `subject` have `capability`, when we ask?
pub(crate) fn holds<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    subject: ServiceId,
    capability: &str,
) -> Result<(), NotAllowed> {
    let deadline = ctx.soon();
    ctx.policy_client().check_cap(ctx.sys, subject, capability, deadline).map(|_| ())
}

/// A decision that must be an allow; used again after every disturbance.
pub(crate) fn allowed_still<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let me = ctx.me;
    holds(ctx, me, GRANTED).map_err(|_| "granted capability not allowed")
}

/// A decision that must be a deny: not an error, not silence.
pub(crate) fn denied_still<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let me = ctx.me;
    let answer = holds(ctx, me, NOT_GRANTED);
    ensure(answer == Err(NotAllowed::Denied), "missing capability not denied")
}

pub(crate) fn allow<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let deadline = ctx.soon();
    let named = ctx.policy_client().check(ctx.sys, names::SELFTEST_CLIENT, deadline);
    ensure(named.is_ok(), "own name not allowed")?;
    let me = ctx.me;
    holds(ctx, me, GRANTED_BY_WILDCARD).map_err(|_| "wildcard does not grant")?;
    allowed_still(ctx)
}

pub(crate) fn deny<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let me = ctx.me;
    let denied = Err(NotAllowed::Denied);
    ensure(holds(ctx, me, DENIED_IN_WILDCARD) == denied, "deny does not beat allow")?;
    ensure(holds(ctx, me, BEHIND_CLOSED_GATE) == denied, "closed gate lets through")?;
    ensure(holds(ctx, me, "no.such-capability") == denied, "unknown capability not denied")?;
    denied_still(ctx)
}

/// Speaking for somebody else is denied, even where they would be allowed and we would too.
pub(crate) fn spoof<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let denied = Err(NotAllowed::Denied);
    let (peer, me) = (ids::SELFTEST_PEER, ctx.me);
    ensure(holds(ctx, peer, GRANTED) == denied, "CHECK_CAP for another subject")?;
    let deadline = ctx.soon();
    let mut client = ctx.policy_client();
    let own = client.route(ctx.sys, me, ids::LOGD, deadline);
    ensure(own.is_ok(), "own route refused: the next answer would prove nothing")?;
    let other = client.route(ctx.sys, peer, ids::LOGD, deadline).map(|_| ());
    ensure(other == denied, "ROUTE for another requester")?;
    let exec = client.exec(ctx.sys, ids::NEXUS_INIT, 1, deadline).map(|_| ());
    ensure(exec == denied, "EXEC for another requester")?;
    let delegated = client.check_cap_delegated(ctx.sys, peer, GRANTED, deadline).map(|_| ());
    ensure(delegated == denied, "delegated check without policy.delegate")?;
    let named = client.check(ctx.sys, names::SELFTEST_PEER, deadline).map(|_| ());
    ensure(named == denied, "CHECK under another's name")
}

/// Sends any bytes to policyd; the reply is in the frame.
fn raw<S: Sys>(ctx: &mut Ctx<'_, S>, bytes: &[u8]) -> Result<usize, Failure> {
    let deadline_ns = ctx.soon().ns();
    for (place, byte) in ctx.sys.frame_mut().iter_mut().zip(bytes) {
        *place = *byte;
    }
    let reply = ctx.sys.call(ctx.policy, bytes.len(), Handle::NONE, deadline_ns);
    reply.map(|reply| reply.len).map_err(|_| "no reply to a malformed frame")
}

/// A ROUTE question by id with a nonce of our choice.
pub(crate) fn route_with_nonce<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    target: ServiceId,
    nonce: u32,
) -> Result<Status, Failure> {
    let deadline_ns = ctx.soon().ns();
    let op = Op::RouteId { requester: ctx.me.0, target: target.0 };
    let len = Request { version: 3, nonce: Some(nonce), op }.encode(ctx.sys.frame_mut());
    let reply = ctx.sys.call(ctx.policy, len, Handle::NONE, deadline_ns);
    let len = reply.map_err(|_| "no reply from policyd")?.len;
    let frame = ctx.sys.frame().get(..len).unwrap_or_default();
    let reply = Response::decode(frame).ok_or("reply does not decode")?;
    ensure(reply.nonce == Some(nonce), "reply to another request")?;
    Ok(reply.status)
}

/// Each malformed frame: one reply, stable status, nonce echoed where the frame holds one.
pub(crate) fn malformed<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    const CASES: [(&[u8], &[u8]); 8] = [
        (b"bad", b"PO\x01\x81\x02\x00"),
        (b"", b"PO\x01\x81\x02\x00"),
        (b"XX\x01\x01\x00\x00", b"PO\x01\x81\x02\x00"),
        // ROUTE v2, cut off behind its nonce; then with an empty requester.
        (b"PO\x02\x02\x44\x33\x22\x11", b"PO\x02\x82\x44\x33\x22\x11\x02\x00"),
        (b"PO\x02\x02\x44\x33\x22\x11\x00\x01x", b"PO\x02\x82\x44\x33\x22\x11\x02\x00"),
        // EXEC v3 with one byte too many.
        (
            b"PO\x03\x03\x04\x03\x02\x01\x88\x77\x66\x55\x44\x33\x22\x11\x09\x00",
            b"PO\x03\x83\x04\x03\x02\x01\x02\x00",
        ),
        // CHECK_CAP with an empty capability.
        (b"PO\x01\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00", b"PO\x01\x84\x02\x00"),
        // A version nobody speaks.
        (b"PO\x09\x01\x01x", b"PO\x01\x81\x03\x00"),
    ];
    for (request, reply) in CASES {
        let len = raw(ctx, request)?;
        let answer = ctx.sys.frame().get(..len).unwrap_or_default();
        ensure(answer == reply, "malformed frame answered differently")?;
    }
    let full = [0xff; nexus_abi::layout::FRAME_MAX];
    let len = raw(ctx, &full)?;
    ensure(ctx.sys.frame().get(..len) == Some(b"PO\x01\x81\x02\x00"), "full frame of noise")?;
    allowed_still(ctx)
}

/// A route that policy refuses yields no capability, a name nobody has is told apart.
pub(crate) fn route_denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let deadline = ctx.soon();
    let refused = connect(ctx.sys, names::BENCH_SERVER, deadline);
    ensure(refused == Err(ConnectError::Denied), "route without a right")?;
    let nobody = connect(ctx.sys, "no-such-service", deadline);
    ensure(nobody == Err(ConnectError::NotFound), "route to nobody")?;
    ensure(Name::new("").is_none(), "an empty name is a name")?;
    let again = connect(ctx.sys, names::LOGD, deadline).map_err(|_| "allowed route refused")?;
    let close = nexus_abi::Call::CapClose { cap: again };
    ctx.sys.run(close).map(|_| ()).map_err(|_| "route not closed")
}
