//! The state store: what two subjects keep under one name are two things, and neither reaches
//! the other's.

use nexus_abi::{Handle, Sys};
use nexus_ipc::{
    connect,
    state::{Client, StateError},
};
use nexus_system::{ids, names};
use nexus_wire::{
    Bytes, FRAME_MAX,
    echo::RELAY_MAX,
    state::{Change, Key, Listing, Op, Pair, Reply, Request, Response, State, Status},
};

use crate::{
    audit_steps::for_each,
    harness::{Ctx, Failure, Outcome, ensure},
};

/// Both use this name.
const SHARED: &[u8] = b"selftest/shared";
/// Only the peer uses this one.
const PEERS: &[u8] = b"selftest/of-the-peer";
/// Nobody uses this one.
const NOBODYS: &[u8] = b"selftest/of-nobody.";
const OUR_VALUE: &[u8] = b"kept by the client";
const PEERS_VALUE: &[u8] = b"kept by the peer";

/// Names by which somebody might hope to reach another's part.
const GUESSES: [&[u8]; 4] =
    [b"21/selftest/of-the-peer", b"selftest-peer/selftest/of-the-peer", b"of-the-peer", b"0/21"];
/// Names that are none.
const ESCAPES: [&[u8]; 4] =
    [b"../21/selftest/of-the-peer", b"/21/selftest/of-the-peer", b"*", b"selftest/\0of-the-peer"];

/// A connection of our own; closed by the caller.
fn client<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<Client, Failure> {
    let deadline = ctx.soon();
    let ep = connect(ctx.sys, names::STATEFSD, deadline).map_err(|_| "no channel to statefsd")?;
    let seed = ctx.nonce();
    Ok(Client::new(ep, seed))
}

fn close<S: Sys>(ctx: &mut Ctx<'_, S>, client: &Client) {
    let cap: Handle = client.endpoint();
    let _gone_either_way = ctx.sys.run(nexus_abi::Call::CapClose { cap });
}

/// What the peer is answered; a value or keys go to `text`, keys with a space behind each.
fn peers<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    op: Op<'_>,
    text: &mut [u8; RELAY_MAX],
) -> Result<(Status, usize), Failure> {
    let nonce = Some(u64::from(ctx.nonce()));
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce, op }.encode(&mut frame);
    let bytes = frame.get(..len).unwrap_or_default();
    let deadline = ctx.soon();
    let answer = ctx
        .peer_client()
        .relay(ctx.sys, names::STATEFSD, bytes, deadline)
        .map_err(|_| "the peer got no answer from statefsd")?;
    let reply = Response::decode(answer).filter(|reply| reply.nonce == nonce);
    let reply = reply.ok_or("the peer was answered with something else")?;
    let mut filled = 0usize;
    let mut add = |part: &[u8]| {
        let end = filled.saturating_add(part.len());
        if let Some(place) = text.get_mut(filled..end) {
            place.copy_from_slice(part);
            filled = end;
        }
    };
    match reply.body {
        Reply::Get { value } => add(value.as_bytes()),
        Reply::List { keys } => keys.iter().for_each(|key| {
            add(key);
            add(b" ");
        }),
        _ => {}
    }
    Ok((reply.status, filled))
}

fn key(bytes: &[u8]) -> Result<Key<'_>, Failure> {
    Bytes::new(bytes).ok_or("key too long")
}

fn put<'a>(name: &'a [u8], value: &'a [u8]) -> Result<Op<'a>, Failure> {
    Ok(Op::Put { pair: Pair::new(name, value).ok_or("pair too long")? })
}

/// The peer changes something, and is told OK.
fn peer_does<S: Sys>(ctx: &mut Ctx<'_, S>, op: Op<'_>) -> Outcome {
    let (status, _) = peers(ctx, op, &mut [0; RELAY_MAX])?;
    ensure(status == Status::Ok, "the peer may not change its own part")
}

fn peer_reads<S: Sys>(ctx: &mut Ctx<'_, S>, name: &[u8], want: &[u8]) -> Outcome {
    let mut text = [0; RELAY_MAX];
    let (status, len) = peers(ctx, Op::Get { key: key(name)? }, &mut text)?;
    let right = status == Status::Ok && text.get(..len) == Some(want);
    ensure(right, "the peer reads something else than it wrote")
}

/// Ours for a key: whether there is one, and whether it is `want`.
fn ours<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    client: &mut Client,
    name: &[u8],
    want: &[u8],
) -> Result<Option<bool>, StateError> {
    let deadline = ctx.soon();
    Ok(client.get(ctx.sys, name, deadline)?.map(|value| value == want))
}

/// Two subjects, one name, two values; and no way from the one to the other.
pub(crate) fn isolation<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let mut state = client(ctx)?;
    let outcome = apart(ctx, &mut state);
    close(ctx, &state);
    outcome
}

fn apart<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client) -> Outcome {
    let deadline = ctx.soon();
    let standing = state.status(ctx.sys, deadline).map_err(|_| "no standing")?;
    ensure(standing.state == State::Durable && standing.boots > 0, "the store is not durable")?;
    let deadline = ctx.soon();
    state.put(ctx.sys, SHARED, OUR_VALUE, deadline).map_err(|_| "put refused")?;
    peer_does(ctx, put(SHARED, PEERS_VALUE)?)?;
    peer_does(ctx, put(PEERS, PEERS_VALUE)?)?;
    let read = ours(ctx, state, SHARED, OUR_VALUE);
    ensure(read == Ok(Some(true)), "we read something else than we wrote")?;
    peer_reads(ctx, SHARED, PEERS_VALUE)?;
    not_named(ctx, state)?;
    not_listed(ctx, state)?;
    // What we remove is ours, whatever its name.
    let deadline = ctx.soon();
    ensure(state.del(ctx.sys, PEERS, deadline) == Ok(false), "removed the peer's key")?;
    let deadline = ctx.soon();
    let batch = [Change::Del(PEERS), Change::Del(SHARED)];
    state.batch(ctx.sys, &batch, deadline).map_err(|_| "batch refused")?;
    ensure(ours(ctx, state, SHARED, OUR_VALUE) == Ok(None), "removed and still there")?;
    peer_reads(ctx, PEERS, PEERS_VALUE)?;
    peer_reads(ctx, SHARED, PEERS_VALUE)?;
    // Kept for the next boot of this disk.
    let deadline = ctx.soon();
    state.put(ctx.sys, SHARED, OUR_VALUE, deadline).map_err(|_| "second put refused")
}

/// The peer's key answers as one that nobody has, also by every name we can think of.
fn not_named<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client) -> Outcome {
    for name in [PEERS, NOBODYS].into_iter().chain(GUESSES) {
        ensure(
            ours(ctx, state, name, b"") == Ok(None),
            "a key of another, or of nobody, is there",
        )?;
    }
    for name in ESCAPES {
        let refused = Err(StateError::Refused(Status::InvalidKey));
        ensure(ours(ctx, state, name, b"") == refused, "a name that is none was looked up")?;
    }
    Ok(())
}

/// Each lists its own keys only: everything, and what begins like a key of the other.
fn not_listed<S: Sys>(ctx: &mut Ctx<'_, S>, state: &mut Client) -> Outcome {
    for prefix in [&b""[..], b"selftest/", PEERS] {
        let deadline = ctx.soon();
        let keys = state.list(ctx.sys, (prefix, b""), 256, deadline).map_err(|_| "list refused")?;
        ensure(keys.iter().all(|key| key != PEERS), "another's key is listed")?;
        let shared = keys.iter().filter(|key| *key == SHARED).count();
        ensure(shared == usize::from(prefix != PEERS), "our own key is not listed once")?;
    }
    let mut text = [0; RELAY_MAX];
    let listing = Listing { limit: 256, prefix: key(b"selftest/")? };
    let (status, len) = peers(ctx, Op::List { listing }, &mut text)?;
    let right = text.get(..len) == Some(b"selftest/of-the-peer selftest/shared ".as_slice());
    ensure(status == Status::Ok && right, "the peer's listing is not the peer's keys")
}

/// The next policy takes `statefs.write` from the peer: the frame that was obeyed is refused, by
/// statefsd and on record; reading goes on, and what was kept is as it was.
pub(crate) fn denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    for op in [put(SHARED, b"changed")?, Op::Del { key: key(SHARED)? }, Op::Sync {}] {
        let (status, _) = peers(ctx, op, &mut [0; RELAY_MAX])?;
        ensure(status == Status::Denied, "a change without the right")?;
    }
    peer_reads(ctx, SHARED, PEERS_VALUE)?;
    let filter = nexus_ipc::log::AuditFilter {
        subject: ids::SELFTEST_PEER.0,
        decision: Some(nexus_wire::audit::Decision::Deny),
        ..nexus_ipc::log::AuditFilter::default()
    };
    let mut by_statefsd = 0u32;
    for_each(ctx, &filter, |record| {
        let theirs = record.enforcer == ids::STATEFSD.0;
        by_statefsd = by_statefsd.saturating_add(u32::from(theirs));
    })?;
    ensure(by_statefsd == 3, "the refusals are not on record")?;
    let mut state = client(ctx)?;
    let deadline = ctx.soon();
    let put = state.put(ctx.sys, SHARED, OUR_VALUE, deadline);
    close(ctx, &state);
    put.map_err(|_| "nobody may write: the refusal proves nothing")
}
