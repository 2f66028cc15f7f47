//! What policyd has to say for a permit, and what a service does while it is not there.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use nexus_abi::{Call, Error, Handle, Return, Sender, ServiceId, Sys, layout::SLOT_CONNECT};
use nexus_ipc::CONNECT_NS;
use nexus_service::permit::{Action, Authority, Authorizer, DECISION_NS, Evidence, authorize};
use nexus_wire::{FRAME_MAX, Status, route};

/// The time; it also starts the nonces.
const NOW_NS: u64 = 6;

/// A supervisor that connects while policyd is there, and a policyd of fixed answers.
struct Kernel {
    frame: [u8; FRAME_MAX],
    there: bool,
    /// How policyd's end of the call goes.
    policyd: Result<&'static [u8], Error>,
    connected: u16,
    closed: u16,
}

fn kernel(policyd: Result<&'static [u8], Error>) -> Kernel {
    Kernel { frame: [0; FRAME_MAX], there: true, policyd, connected: 0, closed: 0 }
}

impl Kernel {
    fn connect(&mut self, len: usize) -> Return {
        let asked = self.frame;
        let request = route::Request::decode(&asked[..len]).unwrap();
        let route::Op::Get { nonce, .. } = request.op;
        let status = if self.there { route::Status::Ok } else { route::Status::Unavailable };
        let body = route::Reply::Get { send_slot: 0, recv_slot: 0, nonce };
        let len = request.answer(status, body).encode(&mut self.frame) as u16;
        self.connected += u16::from(self.there);
        let cap = if self.there { Handle::fixed(40) } else { Handle::NONE };
        Return::Replied { len, cap }
    }
}

impl Sys for Kernel {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        match call {
            Call::Call { ep, len, deadline_ns, .. } if ep == Handle::fixed(SLOT_CONNECT) => {
                assert_eq!(deadline_ns, NOW_NS + CONNECT_NS);
                self.connect(len.get())
            }
            Call::Call { ep, deadline_ns, .. } => {
                assert_eq!((ep, deadline_ns), (Handle::fixed(40), NOW_NS + DECISION_NS));
                match self.policyd {
                    Ok(bytes) => {
                        self.frame[..bytes.len()].copy_from_slice(bytes);
                        Return::Replied { len: bytes.len() as u16, cap: Handle::NONE }
                    }
                    Err(error) => Return::Failed(error),
                }
            }
            Call::CapClose { .. } => {
                self.closed += 1;
                Return::OK
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    fn now_ns(&mut self) -> u64 {
        NOW_NS
    }
}

/// A daemon's environment, as far as permits go.
struct Outside {
    sys: Kernel,
    policyd: Authority,
}

impl Authorizer for Outside {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        self.policyd.decide(&mut self.sys, subject, capability)
    }
}

fn outside(policyd: Result<&'static [u8], Error>) -> Outside {
    Outside { sys: kernel(policyd), policyd: Authority::named("authority") }
}

struct Read;

impl Action for Read {
    const CAPABILITY: &'static str = "log.read";
}

fn permit(env: &mut Outside) -> Result<Evidence, Status> {
    let sender = Sender { service: ServiceId(20), incarnation: 1, badge: 0 };
    authorize(env, sender, Read).map(|permit| permit.evidence())
}

/// The answers to the first question of a connection.
const ALLOW: &[u8] = b"PO\x02\x88\x07\0\0\0\x00\0\x02\x01\0\0\0\0\0\0";
const DENY: &[u8] = b"PO\x02\x88\x07\0\0\0\x01\0";

#[test]
fn only_an_allow_of_policyd_makes_a_permit() {
    let says = |bytes| permit(&mut outside(Ok(bytes)));
    assert_eq!(says(ALLOW), Ok(Evidence { nonce: 7, seq: 0x0102 }));
    assert_eq!(says(DENY), Err(Status::Denied));
    assert_eq!(says(b"PO\x02\x88\x07\0\0\0\x00\0"), Err(Status::Unavailable), "no number");
    let other = b"PO\x02\x88\x08\0\0\0\x00\0\x02\x01\0\0\0\0\0\0";
    assert_eq!(says(other), Err(Status::Unavailable), "another nonce");
    assert_eq!(says(b"PO\x02\x85\x07\0\0\0\x00\0"), Err(Status::Unavailable), "another question");
    assert_eq!(says(b"PO\x02\x88\x07\0\0\0\x02\0"), Err(Status::Unavailable), "not understood");
    assert_eq!(says(b""), Err(Status::Unavailable));
}

#[test]
fn test_reject_without_a_decision_and_ask_anew_the_next_time() {
    for error in [Error::TimedOut, Error::PeerDied, Error::Revoked, Error::Denied] {
        let mut env = outside(Err(error));
        assert_eq!(permit(&mut env), Err(Status::Unavailable), "{error:?}");
        assert_eq!((env.sys.connected, env.sys.closed), (1, 1), "{error:?}");
        env.sys.policyd = Ok(ALLOW);
        assert!(permit(&mut env).is_ok(), "{error:?}");
        assert_eq!((env.sys.connected, env.sys.closed), (2, 1), "{error:?}");
    }
}

#[test]
fn test_reject_while_policyd_is_not_there() {
    let mut env = outside(Ok(ALLOW));
    env.sys.there = false;
    assert_eq!(permit(&mut env), Err(Status::Unavailable));
    env.sys.there = true;
    assert!(permit(&mut env).is_ok());
}

#[test]
fn a_no_keeps_the_connection() {
    let mut env = outside(Ok(DENY));
    assert_eq!(permit(&mut env), Err(Status::Denied));
    env.sys.policyd = Ok(b"PO\x02\x88\x08\0\0\0\x01\0");
    assert_eq!(permit(&mut env), Err(Status::Denied));
    assert_eq!((env.sys.connected, env.sys.closed), (1, 0));
}
