//! The peer over a scripted policyd.

use nexus_abi::{Sender, ServiceId};
use nexus_service::{Service, step};
use nexus_wire::{
    Bytes, Capability, FRAME_MAX, Name, Status,
    echo::{Op, RELAY_MAX, Reply, Request, Response},
};

use crate::{BURST_MAX, Checks, Peer, burst::Outcome};

const SENDER: Sender = Sender { service: ServiceId(20), incarnation: 7, badge: 3 };

#[derive(Default)]
struct Script {
    now_ns: u64,
    outcomes: Vec<Outcome>,
    asked: Vec<String>,
}

impl Checks for Script {
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }
    fn check(&mut self, capability: &str) -> Outcome {
        self.asked.push(capability.to_owned());
        let at = (self.asked.len() - 1) % self.outcomes.len();
        self.outcomes[at]
    }
    fn read_audit(&mut self) -> u8 {
        7
    }
    fn relay(&mut self, to: &str, bytes: &[u8], answer: &mut [u8; RELAY_MAX]) -> Option<usize> {
        answer[..bytes.len()].copy_from_slice(bytes);
        (to == "statefsd").then_some(bytes.len())
    }
}

fn ask(peer: &mut Peer, env: &mut Script, op: Op<'_>) -> (Status, Option<[u32; 5]>, Vec<u8>) {
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 1, nonce: Some(77), op }.encode(&mut frame);
    let answer = step(peer, SENDER, &frame[..len], env);
    let reply = Response::decode(answer.bytes()).unwrap();
    assert_eq!(reply.nonce, Some(77));
    let tally = match reply.body {
        Reply::Tally { allow, deny, peer_died, timed_out, other } => {
            Some([allow, deny, peer_died, timed_out, other])
        }
        _ => None,
    };
    (reply.status, tally, answer.bytes().to_vec())
}

fn burst(count: u32) -> Op<'static> {
    Op::Burst { count, capability: Capability::new("ipc.core").unwrap() }
}

#[test]
fn who_tells_what_the_kernel_stamped() {
    let (mut peer, mut env) = (Peer::default(), Script::default());
    let (status, _, bytes) = ask(&mut peer, &mut env, Op::Who {});
    assert_eq!(status, Status::Ok);
    let reply = Response::decode(&bytes).unwrap();
    assert_eq!(reply.body, Reply::Who { service: 20, incarnation: 7, badge: 3 });
}

#[test]
fn echo_sends_every_length_back() {
    let (mut peer, mut env) = (Peer::default(), Script::default());
    for len in [0usize, 1, 64, 500] {
        let sent: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let bytes = Bytes::new(&sent).unwrap();
        let (_, _, reply) = ask(&mut peer, &mut env, Op::Echo { bytes });
        assert_eq!(Response::decode(&reply).unwrap().body, Reply::Echo { bytes });
    }
}

#[test]
fn burst_answers_first_and_tallies_every_outcome_later() {
    let mut env = Script { now_ns: 5, ..Script::default() };
    env.outcomes =
        vec![Outcome::Allow, Outcome::Deny, Outcome::PeerDied, Outcome::TimedOut, Outcome::Other];
    let mut peer = Peer::default();
    assert_eq!(ask(&mut peer, &mut env, burst(1000)).0, Status::Ok);
    assert!(env.asked.is_empty(), "nothing is asked inside the handler");
    let due = Service::<Script>::next_tick_ns(&peer);
    assert!(due > env.now_ns && due != u64::MAX, "the answer goes out before the first check");
    assert_eq!(ask(&mut peer, &mut env, burst(1)).0, Status::Busy);
    while Service::<Script>::next_tick_ns(&peer) != u64::MAX {
        peer.tick(&mut env);
    }
    assert_eq!(ask(&mut peer, &mut env, Op::Tally {}).1, Some([200; 5]));
    assert!(env.asked.iter().all(|name| name == "ipc.core"));
    assert_eq!(ask(&mut peer, &mut env, burst(0)).0, Status::Ok);
    assert_eq!(Service::<Script>::next_tick_ns(&peer), u64::MAX);
}

#[test]
fn test_reject_endless_bursts_and_junk() {
    let (mut peer, mut env) = (Peer::default(), Script::default());
    assert_eq!(ask(&mut peer, &mut env, burst(BURST_MAX + 1)).0, Status::TooLarge);
    for junk in [b"".as_slice(), b"EC", b"EC\x01\x09\x01\0\0\0", b"XX\x01\x01\x01\0\0\0"] {
        let answer = step(&mut peer, SENDER, junk, &mut env);
        let reply = Response::decode(answer.bytes()).unwrap();
        assert!(matches!(reply.status, Status::Malformed | Status::Unsupported));
    }
}

#[test]
fn a_frame_is_passed_on_with_its_answer_or_refused() {
    let (mut peer, mut env) = (Peer::default(), Script::default());
    let frame = Bytes::new(b"SF\x02?").unwrap();
    let relay = |to| Op::Relay { to: Name::new(to).unwrap(), frame };
    let (_, _, bytes) = ask(&mut peer, &mut env, relay("statefsd"));
    assert_eq!(Response::decode(&bytes).unwrap().body, Reply::Relay { frame });
    assert_eq!(ask(&mut peer, &mut env, relay("keystored")).0, Status::Unavailable);
}
