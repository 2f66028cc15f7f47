//! Identity, deadlines and ownership of endpoints.

use nexus_abi::{Call, Error, Handle, Rights, Sys, layout::SLOT_SERVER};
use probe::Behaviour;

use crate::{
    children::{self, Probe},
    harness::{Ctx, MS, Outcome, ensure},
};

/// The peer tells who the kernel says we are; no field of the request names anybody.
pub(crate) fn sender_identity<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let deadline = ctx.soon();
    let mut peer = ctx.peer_client();
    let who = peer.who(ctx.sys, deadline).map_err(|_| "peer did not answer")?;
    ensure(who.service == ctx.me, "stamped with another id")?;
    ensure(who.incarnation == ctx.incarnation, "stamped with another incarnation")?;
    ensure(who.badge == 0, "badge nobody set")
}

/// A server that never answers costs the caller its deadline and nothing more.
pub(crate) fn deadline<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let create = Call::EndpointCreate { notif: Handle::NONE };
    let endpoint = ctx.sys.make(create).map_err(|_| "no endpoint")?;
    let sink = children::sink(ctx, endpoint)?;
    let deadline_ns = ctx.within(5 * MS);
    let answer = ctx.sys.call(endpoint, 4, Handle::NONE, deadline_ns);
    ensure(answer == Err(Error::TimedOut), "call to a silent server did not time out")?;
    ensure(ctx.sys.now_ns() >= deadline_ns, "timed out before its deadline")?;
    sink.kill(ctx)?;
    let after = ctx.within(5 * MS);
    let dead = ctx.sys.call(endpoint, 4, Handle::NONE, after);
    ensure(dead == Err(Error::PeerDied), "a dead server is not told apart from a slow one")?;
    ctx.sys.run(Call::CapClose { cap: endpoint }).map(|_| ()).map_err(|_| "endpoint not closed")
}

/// An endpoint has one server: neither a client nor a second process can take its place.
pub(crate) fn ownership<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let policy = ctx.policy;
    let stolen = ctx.sys.recv(policy, 0, 0);
    ensure(stolen == Err(Error::MissingRight), "received on another's endpoint")?;
    let widened = ctx.sys.derive(policy, Rights::CALL.or(Rights::RECV), 0);
    ensure(widened == Err(Error::MissingRight), "derived RECV from a CALL capability")?;
    let create = Call::EndpointCreate { notif: Handle::NONE };
    let endpoint = ctx.sys.make(create).map_err(|_| "no endpoint")?;
    let first = children::sink(ctx, endpoint)?;
    let second = Probe::new(ctx, Behaviour::Sink)?;
    let child = second.child.process;
    let twice = ctx.sys.run(Call::CapDerive {
        cap: endpoint,
        rights: Rights::RECV,
        badge: 0,
        child,
        slot: SLOT_SERVER,
    });
    ensure(twice == Err(Error::Busy), "an endpoint got a second server")?;
    second.kill(ctx)?;
    first.kill(ctx)?;
    ctx.sys.run(Call::CapClose { cap: endpoint }).map(|_| ()).map_err(|_| "endpoint not closed")
}
