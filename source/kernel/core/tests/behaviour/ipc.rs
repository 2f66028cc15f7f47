//! Calls, replies, notifications, deadlines, death and revocation in between.

use nexus_abi::{Call, Error, Handle, Return, Rights, ServiceId, layout::SLOT_SERVER};
use nexus_kernel_core::{Outcome, ProcIndex};

use crate::{
    common::INIT,
    family::{CONNECT, NEVER, Pair, SERVER, len, served},
};

fn token(ret: Option<Return>) -> u64 {
    match ret {
        Some(Return::Message { token, .. }) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_switches_to_the_server_with_the_callers_stamp_and_back() {
    let mut f = served();
    f.w.m.pages[INIT.index()][..5].copy_from_slice(b"hello");
    f.w.request(INIT, f.ep, NEVER);
    assert_eq!(f.w.last, Outcome::Resume(f.server));
    let got = f.w.answer(f.server);
    let Some(Return::Message { len: 5, service: ServiceId(1), incarnation: 1, badge: 0, .. }) = got
    else {
        panic!("{got:?}")
    };
    assert_eq!(&f.w.m.pages[f.server.index()][..5], b"hello");
    let (token, cap) = (token(got), Handle::NONE);
    f.w.m.pages[f.server.index()][..2].copy_from_slice(b"ok");
    let reply =
        Call::ReplyRecv { token, len: len(2), cap, ep: SERVER, mask: 1, deadline_ns: NEVER };
    assert_eq!(f.w.call(f.server, reply), None);
    assert_eq!(f.w.last, Outcome::Resume(INIT));
    assert_eq!(f.w.answer(INIT), Some(Return::Replied { len: 2, cap: Handle::NONE }));
    assert_eq!(&f.w.m.pages[INIT.index()][..5], b"okllo");
    assert_eq!(f.w.m.timer, None, "no deadline, no timer call");
}

#[test]
fn test_reject_second_late_and_foreign_replies() {
    let mut f = served();
    f.w.request(INIT, f.ep, 5_000);
    let token = token(f.w.answer(f.server));
    let reply = Call::Reply { token, len: len(0), cap: Handle::NONE };
    f.w.tick(5_000);
    assert_eq!(f.w.answer(INIT), Some(Return::Failed(Error::TimedOut)));
    assert_eq!(f.w.err(f.server, reply), Error::StaleReply);
    f.w.listen(f.server, 1);
    assert_eq!(f.w.err(INIT, reply), Error::StaleReply);
    f.w.request(INIT, f.ep, NEVER);
    assert_eq!(f.w.err(f.server, reply), Error::StaleReply);
}

#[test]
fn death_of_the_server_ends_the_call_and_a_successor_serves() {
    let mut f = served();
    let child = f.w.child(3, 4);
    f.w.give(f.ep, Rights::CALL, 9, child, 0);
    let client = f.w.start(child);
    assert_eq!(f.w.last, Outcome::Resume(INIT));
    let sleep = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 9_000 };
    assert_eq!(f.w.call(INIT, sleep), None);
    f.w.request(client, CONNECT, NEVER);
    f.w.m.returns.clear();
    f.w.last = f.w.kernel.fault(&mut f.w.m, f.server, nexus_abi::FaultCause::Load, 0, 0);
    assert_eq!(f.w.answer(client), Some(Return::Failed(Error::PeerDied)));
    let call = Call::Call { ep: CONNECT, len: len(0), cap: Handle::NONE, deadline_ns: NEVER };
    assert_eq!(f.w.err(client, call), Error::PeerDied);
    f.w.tick(9_000);
    let second = f.w.child(2, 6);
    f.w.give(f.ep, Rights::RECV, 0, second, SLOT_SERVER);
    let third = f.w.child(8, 6);
    let recv = Rights::RECV;
    let again = Call::CapDerive { cap: f.ep, rights: recv, badge: 0, child: third, slot: 1 };
    assert_eq!(f.w.err(INIT, again), Error::Busy);
    let server = f.w.start(second);
    f.w.listen(server, 0);
    assert_eq!(
        f.w.call(INIT, Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 99_000 }),
        None
    );
    f.w.request(client, CONNECT, NEVER);
    assert!(matches!(f.w.answer(server), Some(Return::Message { badge: 9, .. })));
}

/// A client of priority 4 that calls and then has the machine: init sleeps meanwhile.
fn caller(f: &mut Pair, until_ns: u64) -> (Handle, ProcIndex) {
    let child = f.w.child(10, 4);
    f.w.give(f.ep, Rights::CALL, 10, child, 0);
    let client = f.w.start(child);
    let nap = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: until_ns };
    assert_eq!(f.w.call(INIT, nap), None);
    f.w.request(client, CONNECT, NEVER);
    (child, client)
}

/// A token names the caller's place in the table: who takes the place of a dead caller starts where
/// that one's tokens ended, or a server slow to answer would answer the wrong one.
#[test]
fn test_reject_a_dead_caller_s_reply_to_whoever_took_its_place() {
    let mut f = served();
    let (dead, first) = caller(&mut f, 9_000);
    let late = token(f.w.answer(f.server));
    let nap = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 20_000 };
    assert_eq!(f.w.call(f.server, nap), None);
    f.w.tick(9_000);
    f.w.ok(INIT, Call::ProcExit { proc: dead, code: 0 });
    f.w.ok(INIT, Call::CapClose { cap: dead });
    let (_, second) = caller(&mut f, 99_000);
    assert_eq!(first, second, "the same place");
    f.w.tick(20_000);
    let receive = Call::Recv { ep: SERVER, mask: 0, deadline_ns: NEVER };
    let own = token(f.w.call(f.server, receive));
    let reply = |token| Call::Reply { token, len: len(0), cap: Handle::NONE };
    assert_eq!(f.w.err(f.server, reply(late)), Error::StaleReply);
    f.w.ok(f.server, reply(own));
}

/// The capability a queued call was to bring is revoked: the call ends, and is in nobody's way.
#[test]
fn test_reject_a_queued_call_whose_capability_was_revoked() {
    let mut f = served();
    let nap = |until_ns| Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: until_ns };
    let _busy = caller(&mut f, 9_000);
    assert_eq!(f.w.call(f.server, nap(20_000)), None);
    f.w.tick(9_000);
    let lent = f.w.handle(INIT, Call::NotifCreate {});
    let child = f.w.child(11, 4);
    f.w.give(f.ep, Rights::CALL, 11, child, 0);
    f.w.give(lent, Rights::SIGNAL.or(Rights::GRANT), 0, child, 2);
    let client = f.w.start(child);
    assert_eq!(f.w.call(INIT, nap(15_000)), None);
    let cap = Handle::fixed(2);
    assert_eq!(
        f.w.call(client, Call::Call { ep: CONNECT, len: len(0), cap, deadline_ns: NEVER }),
        None
    );
    f.w.tick(15_000);
    f.w.ok(INIT, Call::CapRevoke { cap: lent });
    assert_eq!(f.w.call(INIT, nap(99_000)), None);
    f.w.tick(20_000);
    f.w.listen(f.server, 0);
    assert_eq!(f.w.answer(client), Some(Return::Failed(Error::Revoked)));
}

#[test]
fn queued_calls_come_by_priority_then_arrival() {
    let mut f = served();
    let clients: Vec<_> = [(10, 1), (11, 3), (12, 3), (13, 0)]
        .into_iter()
        .map(|(service, priority)| {
            let child = f.w.child(service, priority);
            f.w.give(f.ep, Rights::CALL, service, child, 0);
            f.w.start(child)
        })
        .collect();
    // The server is kept busy by init's call while the others queue up.
    f.w.request(INIT, f.ep, NEVER);
    let first = token(f.w.answer(f.server));
    let nap = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 50_000 };
    assert_eq!(f.w.call(f.server, nap), None);
    for client in [clients[1], clients[2], clients[0], clients[3]] {
        f.w.request(client, CONNECT, NEVER);
    }
    assert_eq!(f.w.last, Outcome::Idle);
    f.w.tick(50_000);
    let mut token_now = first;
    let mut order = Vec::new();
    for _ in 0..4 {
        let (token, cap) = (token_now, Handle::NONE);
        let next =
            Call::ReplyRecv { token, len: len(0), cap, ep: SERVER, mask: 0, deadline_ns: NEVER };
        let Some(Return::Message { service, token, .. }) = f.w.call(f.server, next) else {
            panic!("nothing received")
        };
        order.push(service.0);
        token_now = token;
    }
    assert_eq!(order, [11, 12, 10, 13]);
}

#[test]
fn signals_reach_a_receiver_through_the_bound_notification() {
    let mut f = served();
    let notif = Handle::fixed(9);
    assert_eq!(f.w.call(INIT, Call::Signal { notif, bits: 0b110 }), Some(Return::OK));
    assert_eq!(f.w.last, Outcome::Resume(INIT), "not the bits it asked for");
    f.w.call(INIT, Call::Signal { notif, bits: 1 });
    assert_eq!(f.w.last, Outcome::Resume(f.server));
    assert_eq!(f.w.answer(f.server), Some(Return::Notified { bits: 1 }));
    let poll = Call::Recv { ep: SERVER, mask: NEVER, deadline_ns: 0 };
    assert_eq!(f.w.call(f.server, poll), Some(Return::Notified { bits: 0b110 }));
    assert_eq!(f.w.err(f.server, poll), Error::TimedOut);
}

#[test]
fn a_moved_capability_leaves_its_giver_and_moves_once() {
    let mut f = served();
    let rights = Rights::SIGNAL.or(Rights::GRANT);
    let (badge, child) = (0, Handle::NONE);
    let notif = Handle::fixed(9);
    let cap = f.w.handle(INIT, Call::CapDerive { cap: notif, rights, badge, child, slot: 0 });
    let call = |cap| Call::Call { ep: f.ep, len: len(0), cap, deadline_ns: NEVER };
    assert_eq!(f.w.err(INIT, call(notif)), Error::Busy, "it has children");
    assert_eq!(f.w.call(INIT, call(cap)), None);
    let Some(Return::Message { cap: moved, token, .. }) = f.w.answer(f.server) else { panic!() };
    assert!(moved.slot() >= 4);
    assert_eq!(f.w.call(f.server, Call::Signal { notif: moved, bits: 4 }), Some(Return::OK));
    let back = Call::Reply { token, len: len(0), cap: moved };
    assert_eq!(f.w.err(f.server, back), Error::MissingRight, "no DERIVE: moved only once");
    f.w.call(f.server, Call::Reply { token, len: len(0), cap: Handle::NONE });
    f.w.listen(f.server, 0);
    assert_eq!(f.w.err(INIT, Call::Signal { notif: cap, bits: 1 }), Error::BadHandle);
}

#[test]
fn revocation_ends_the_call_made_through_a_derived_capability() {
    let mut f = served();
    let child = f.w.child(3, 4);
    f.w.give(f.ep, Rights::CALL, 0, child, 0);
    let client = f.w.start(child);
    let sleep = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 9_000 };
    assert_eq!(f.w.call(INIT, sleep), None);
    f.w.request(client, CONNECT, NEVER);
    let stale = token(f.w.answer(f.server));
    f.w.tick(9_000);
    let nap = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: 10_000 };
    assert_eq!(f.w.call(f.server, nap), None);
    assert_eq!(f.w.ok(INIT, Call::CapRevoke { cap: f.ep })[0], 2);
    assert_eq!(f.w.answer(client), Some(Return::Failed(Error::Revoked)));
    let call = Call::Call { ep: f.ep, len: len(0), cap: Handle::NONE, deadline_ns: NEVER };
    assert_eq!(f.w.err(INIT, call), Error::PeerDied, "the server lost RECV");
    f.w.tick(10_000);
    let late = Call::Reply { token: stale, len: len(0), cap: Handle::NONE };
    assert_eq!(f.w.err(f.server, late), Error::StaleReply);
    let recv = Call::Recv { ep: SERVER, mask: 0, deadline_ns: 0 };
    assert_eq!(f.w.err(f.server, recv), Error::BadHandle);
    assert_eq!(f.w.call(f.server, Call::ProcExit { proc: Handle::NONE, code: 0 }), None);
    assert_eq!(f.w.err(INIT, Call::ProcExit { proc: f.server_handle, code: 0 }), Error::WrongState);
}
