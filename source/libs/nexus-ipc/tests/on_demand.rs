//! A connection made on demand: when it is kept, when it is made anew, and that nothing leaks.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use nexus_abi::{Call, Error, Handle, Return, Sys, layout::SLOT_CONNECT};
use nexus_ipc::{CONNECT_NS, CallError, ConnectError, OnDemand, Verdict as _, policy::NotAllowed};
use nexus_wire::{FRAME_MAX, Status, echo, policy, route};

const WAIT_NS: u64 = 70;
const NOW_NS: u64 = 1_000;

/// A supervisor that answers with a new handle each time, and closing.
struct Supervisor {
    frame: [u8; FRAME_MAX],
    says: route::Status,
    connected: u32,
    open: Vec<Handle>,
}

fn supervisor(says: route::Status) -> Supervisor {
    Supervisor { frame: [0; FRAME_MAX], says, connected: 0, open: Vec::new() }
}

impl Sys for Supervisor {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        match call {
            Call::Call { ep, len, deadline_ns, .. } => {
                assert_eq!((ep, deadline_ns), (Handle::fixed(SLOT_CONNECT), NOW_NS + CONNECT_NS));
                let asked = self.frame;
                let request = route::Request::decode(&asked[..len.get()]).unwrap();
                let route::Op::Get { nonce, .. } = request.op;
                let body = route::Reply::Get { send_slot: 0, recv_slot: 0, nonce };
                let len = request.answer(self.says, body).encode(&mut self.frame) as u16;
                let mut cap = Handle::NONE;
                if self.says == route::Status::Ok {
                    self.connected += 1;
                    cap = Handle::fixed(30 + self.connected as u8);
                    self.open.push(cap);
                }
                Return::Replied { len, cap }
            }
            Call::CapClose { cap } => {
                self.open.retain(|open| *open != cap);
                Return::OK
            }
            _ => Return::Failed(Error::Denied),
        }
    }
    fn now_ns(&mut self) -> u64 {
        NOW_NS
    }
}

type Peer = OnDemand<echo::Protocol>;

/// Puts a question with this outcome; over which connection it went.
fn ask(peer: &mut Peer, sys: &mut Supervisor, outcome: Result<(), CallError>) -> Handle {
    let mut over = Handle::NONE;
    let answer = peer.ask(sys, WAIT_NS, |connection, _, deadline| {
        assert_eq!(deadline.ns(), NOW_NS + WAIT_NS);
        over = connection.endpoint();
        outcome
    });
    assert_eq!(answer, Ok(outcome));
    over
}

#[test]
fn nothing_is_connected_before_the_first_question_and_answers_keep_the_connection() {
    let (mut peer, mut sys) = (Peer::to("echo"), supervisor(route::Status::Ok));
    assert_eq!(sys.connected, 0);
    let first = ask(&mut peer, &mut sys, Ok(()));
    for outcome in [Err(CallError::Refused(Status::Denied)), Err(CallError::Argument), Ok(())] {
        assert_eq!(ask(&mut peer, &mut sys, outcome), first, "{outcome:?}");
    }
    assert_eq!((sys.connected, sys.open.len()), (1, 1));
}

#[test]
fn a_question_without_answer_is_not_repeated_and_the_next_goes_over_a_new_connection() {
    let (mut peer, mut sys) = (Peer::to("echo"), supervisor(route::Status::Ok));
    let failures = [CallError::Protocol, CallError::Ipc(Error::PeerDied), Error::TimedOut.into()];
    for (connected, failure) in (1..).zip(failures) {
        ask(&mut peer, &mut sys, Err(failure));
        // Given up at once: a peer that keeps dying cannot fill the table.
        assert_eq!((sys.connected, sys.open.len()), (connected, 0), "{failure:?}");
    }
}

#[test]
fn test_reject_a_question_without_connection() {
    let (mut peer, mut sys) = (Peer::to("echo"), supervisor(route::Status::Denied));
    for _ in 0..2 {
        let answer = peer.ask(&mut sys, WAIT_NS, |_, _, _| -> Result<(), CallError> {
            unreachable!("asked nobody")
        });
        assert_eq!(answer, Err(ConnectError::Denied));
    }
    sys.says = route::Status::Ok;
    ask(&mut peer, &mut sys, Ok(()));
    assert_eq!(sys.connected, 1);
}

#[test]
fn only_a_decision_of_policyd_keeps_its_connection() {
    assert!(NotAllowed::Denied.keeps_connection());
    for broken in [
        NotAllowed::Ipc(Error::PeerDied),
        NotAllowed::Protocol,
        NotAllowed::Refused(policy::Status::Malformed),
    ] {
        assert!(!broken.keeps_connection(), "{broken:?}");
    }
}
