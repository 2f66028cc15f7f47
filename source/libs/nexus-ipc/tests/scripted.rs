//! Clients against a scripted kernel: whatever goes wrong, nothing becomes an allow.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use nexus_abi::{Call, Error, Handle, Return, ServiceId, Sys};
use nexus_ipc::{
    CallError, ConnectError, Deadline, connect, echo,
    log::{self, AuditFilter, AuditSearch, LogError},
    policy::{Allowed, Client, NotAllowed},
    supervise,
};
use nexus_wire::{
    Bytes, FRAME_MAX, Status,
    audit::{Decision, Op as AuditOp, Page, Reason, Record},
    log as lo, policy as po, route, supervise as sv,
};

type Kernel<'k> = dyn FnMut(&[u8], &mut [u8; FRAME_MAX]) -> Return + 'k;

/// Answers every call from a script; closing is recorded, nothing else exists.
struct Script<'k> {
    frame: [u8; FRAME_MAX],
    kernel: Box<Kernel<'k>>,
    closed: Vec<Handle>,
    deadlines: Vec<u64>,
}

impl<'k> Script<'k> {
    fn new(kernel: impl FnMut(&[u8], &mut [u8; FRAME_MAX]) -> Return + 'k) -> Self {
        let kernel = Box::new(kernel);
        Script { frame: [0; FRAME_MAX], kernel, closed: Vec::new(), deadlines: Vec::new() }
    }

    /// Always answers with these bytes.
    fn saying(bytes: &'k [u8]) -> Self {
        Script::new(move |_, frame| reply(bytes, frame))
    }
}

fn reply(bytes: &[u8], frame: &mut [u8; FRAME_MAX]) -> Return {
    frame[..bytes.len()].copy_from_slice(bytes);
    Return::Replied { len: bytes.len() as u16, cap: Handle::NONE }
}

impl Sys for Script<'_> {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        match call {
            Call::Call { len, deadline_ns, .. } => {
                self.deadlines.push(deadline_ns);
                let request = self.frame;
                (self.kernel)(&request[..len.get()], &mut self.frame)
            }
            Call::CapClose { cap } => {
                self.closed.push(cap);
                Return::OK
            }
            _ => Return::Failed(Error::Denied),
        }
    }
    fn now_ns(&mut self) -> u64 {
        1_000
    }
}

const EP: Handle = Handle::fixed(9);
const SEED: u32 = 0x1122_3343;
const SUBJECT: ServiceId = ServiceId(20);
const SOON: Deadline = Deadline::at_ns(5_000);
const MOVED: Handle = Handle::fixed(33);

type Outcome = Result<Allowed, NotAllowed>;
type Ask = fn(&mut Client, &mut Script<'_>) -> Outcome;

/// Every question that has an answer, and the one reply that allows it.
const QUESTIONS: &[(Ask, &[u8])] = &[
    (|c, s| c.check(s, "logd", SOON), b"PO\x01\x81\x00\x00"),
    (|c, s| c.route(s, SUBJECT, ServiceId(3), SOON), b"PO\x03\x82\x44\x33\x22\x11\x00\x00"),
    (|c, s| c.exec(s, SUBJECT, 1, SOON), b"PO\x03\x83\x44\x33\x22\x11\x00\x00"),
    (|c, s| c.check_cap(s, SUBJECT, "ipc.core", SOON), b"PO\x01\x84\x00\x00"),
    (
        |c, s| c.check_cap_delegated(s, SUBJECT, "ipc.core", SOON),
        b"PO\x02\x85\x44\x33\x22\x11\x00\x00",
    ),
];

fn ask(question: Ask, script: &mut Script<'_>) -> Outcome {
    question(&mut Client::new(EP, SEED), script)
}

#[test]
fn only_the_exact_reply_allows() {
    for (question, allow) in QUESTIONS {
        assert!(ask(*question, &mut Script::saying(allow)).is_ok());
        for len in 0..allow.len() {
            let outcome = ask(*question, &mut Script::saying(&allow[..len]));
            assert_eq!(outcome, Err(NotAllowed::Protocol));
        }
        let longer = [*allow, &[0]].concat();
        assert_eq!(ask(*question, &mut Script::saying(&longer)), Err(NotAllowed::Protocol));
        for bit in 0..allow.len() * 8 {
            let mut other = allow.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(ask(*question, &mut Script::saying(&other)).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn test_reject_the_allow_of_another_question() {
    for (i, (question, _)) in QUESTIONS.iter().enumerate() {
        for (j, (_, allow)) in QUESTIONS.iter().enumerate() {
            let outcome = ask(*question, &mut Script::saying(allow));
            assert_eq!(outcome.is_ok(), i == j, "{i} {j}");
        }
    }
}

#[test]
fn test_reject_the_echo_of_the_request_and_the_silent_frame() {
    for (question, _) in QUESTIONS {
        let mut echo = Script::new(|request, _| Return::Replied {
            len: request.len() as u16,
            cap: Handle::NONE,
        });
        assert_eq!(ask(*question, &mut echo), Err(NotAllowed::Protocol));
        let mut oversize = Script::new(|_, _| Return::Replied { len: 513, cap: Handle::NONE });
        assert_eq!(ask(*question, &mut oversize), Err(NotAllowed::Protocol));
    }
}

#[test]
fn every_kernel_error_is_its_own_and_no_allow() {
    for (question, allow) in QUESTIONS {
        for error in Error::ALL {
            let mut dead = Script::new(|_, frame| {
                // The bytes of an allow lie in the frame; the call failed all the same.
                frame[..allow.len()].copy_from_slice(allow);
                Return::Failed(*error)
            });
            assert_eq!(ask(*question, &mut dead), Err(NotAllowed::Ipc(*error)));
        }
        for shape in [Return::OK, Return::Notified { bits: 1 }] {
            let mut odd = Script::new(|_, frame| {
                frame[..allow.len()].copy_from_slice(allow);
                shape
            });
            assert_eq!(ask(*question, &mut odd), Err(NotAllowed::Ipc(Error::Denied)));
        }
    }
}

#[test]
fn refusals_keep_their_kind() {
    for (question, allow) in QUESTIONS {
        for (status, expected) in [
            (1, NotAllowed::Denied),
            (2, NotAllowed::Refused(po::Status::Malformed)),
            (3, NotAllowed::Refused(po::Status::Unsupported)),
            (4, NotAllowed::Protocol),
        ] {
            let mut bytes = allow.to_vec();
            let at = bytes.len() - 2;
            bytes[at] = status;
            assert_eq!(ask(*question, &mut Script::saying(&bytes)), Err(expected));
        }
    }
}

#[test]
fn test_reject_an_allow_with_a_capability_and_give_it_up() {
    for (question, allow) in QUESTIONS {
        let mut pushy = Script::new(|_, frame| {
            reply(allow, frame);
            Return::Replied { len: allow.len() as u16, cap: MOVED }
        });
        assert_eq!(ask(*question, &mut pushy), Err(NotAllowed::Protocol));
        assert_eq!(pushy.closed, [MOVED]);
    }
}

#[test]
fn nothing_is_sent_when_an_argument_does_not_fit() {
    let long = "a".repeat(49);
    for bad in ["", long.as_str()] {
        let mut script = Script::saying(b"");
        let mut client = Client::new(EP, SEED);
        let outcomes = [
            client.check(&mut script, bad, SOON),
            client.check_cap(&mut script, SUBJECT, bad, SOON),
            client.check_cap_delegated(&mut script, SUBJECT, bad, SOON),
        ];
        assert!(outcomes.iter().all(|o| *o == Err(NotAllowed::Argument)));
        assert_eq!(connect(&mut script, bad, SOON), Err(ConnectError::Argument));
        assert!(script.deadlines.is_empty());
    }
}

#[test]
fn nonces_differ_and_deadlines_are_finite() {
    let mut nonces = Vec::new();
    let mut script = Script::new(|request, frame| {
        nonces.push(request[4..8].to_vec());
        let mut bytes = b"PO\x02\x85\0\0\0\0\0\0".to_vec();
        bytes[4..8].copy_from_slice(&request[4..8]);
        reply(&bytes, frame)
    });
    let mut client = Client::new(EP, u32::MAX);
    let never = Deadline::at_ns(u64::MAX);
    for _ in 0..3 {
        let allowed = client.check_cap_delegated(&mut script, SUBJECT, "ipc.core", never);
        assert!(allowed.is_ok());
    }
    let after = Deadline::after_ns(&mut script, u64::MAX);
    assert!(after.ns() < u64::MAX);
    assert!(script.deadlines.iter().all(|deadline| *deadline < u64::MAX));
    drop(script);
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
}

#[test]
fn a_profile_is_read_from_the_frame_and_denied_to_strangers() {
    let answer = |status| {
        let mut script = Script::new(move |request, frame| {
            let request = po::Request::decode(request).unwrap();
            let profile = Bytes::new(b"abc").unwrap();
            let len = request.answer(status, po::Reply::AbiProfileGet { profile }).encode(frame);
            Return::Replied { len: len as u16, cap: Handle::NONE }
        });
        let got = Client::new(EP, SEED).abi_profile_get(&mut script, SUBJECT, SOON);
        got.map(<[u8]>::to_vec)
    };
    assert_eq!(answer(po::Status::Allow), Ok(b"abc".to_vec()));
    assert_eq!(answer(po::Status::Deny), Err(NotAllowed::Denied));
}

fn supervisor(status: route::Status, cap: Handle) -> (Result<Handle, ConnectError>, Vec<Handle>) {
    let mut script = Script::new(move |request, frame| {
        let request = route::Request::decode(request).unwrap();
        let route::Op::Get { nonce, .. } = request.op;
        let body = route::Reply::Get { send_slot: 0, recv_slot: 0, nonce };
        let len = request.answer(status, body).encode(frame) as u16;
        Return::Replied { len, cap }
    });
    (connect(&mut script, "logd", SOON), script.closed)
}

#[test]
fn connect_gives_a_capability_only_when_told_so() {
    use route::Status as S;
    assert_eq!(supervisor(S::Ok, MOVED), (Ok(MOVED), vec![]));
    assert_eq!(supervisor(S::Ok, Handle::NONE), (Err(ConnectError::Protocol), vec![]));
    for (status, expected) in [
        (S::NotFound, ConnectError::NotFound),
        (S::Denied, ConnectError::Denied),
        (S::Unavailable, ConnectError::Unavailable),
        (S::Malformed, ConnectError::Refused),
        (S::Unsupported, ConnectError::Refused),
    ] {
        assert_eq!(supervisor(status, Handle::NONE), (Err(expected), vec![]));
        // A refusal with a capability is a contradiction; the capability is not kept.
        assert_eq!(supervisor(status, MOVED), (Err(expected), vec![MOVED]));
    }
}

#[test]
fn test_reject_a_connect_reply_with_a_wrong_nonce_or_an_error() {
    let mut wrong = Script::new(|_, frame| {
        let bytes = b"RT\x01\x41\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff";
        reply(bytes, frame);
        Return::Replied { len: bytes.len() as u16, cap: MOVED }
    });
    assert_eq!(connect(&mut wrong, "logd", SOON), Err(ConnectError::Protocol));
    assert_eq!(wrong.closed, [MOVED]);
    for error in Error::ALL {
        let mut dead = Script::new(|_, _| Return::Failed(*error));
        assert_eq!(connect(&mut dead, "logd", SOON), Err(ConnectError::Ipc(*error)));
    }
}

/// A logd that answers each operation with fixed figures.
fn logd(request: &[u8], frame: &mut [u8; FRAME_MAX]) -> Return {
    let request = lo::Request::decode(request).unwrap();
    let records = [Record::new(AuditOp::Check, Decision::Deny, Reason::Policy).encode()];
    let body = match request.op {
        lo::Op::Append { .. } => lo::Reply::Append { record_id: 1, dropped: 2 },
        lo::Op::AuditQuery { op: 1, decision: 2, .. } => {
            lo::Reply::AuditQuery { next_seq: 4, page: Page::new(&records).unwrap() }
        }
        other => lo::Reply::empty(other.code(), request.version, true),
    };
    let len = request.answer(lo::Status::Ok, body).encode(frame);
    Return::Replied { len: len as u16, cap: Handle::NONE }
}

#[test]
fn the_journal_answers_every_question() {
    let mut script = Script::new(logd);
    let mut client = log::Client::new(EP, 1);
    let entry = lo::Entry::new(lo::Level::Info, b"s", b"m", b"").unwrap();
    let appended = client.append(&mut script, entry, SOON).unwrap();
    assert_eq!((appended.record_id, appended.dropped), (1, 2));
    assert_eq!(client.query(&mut script, 0, 9, SOON).unwrap().entries.count(), 0);
    assert_eq!(client.stats(&mut script, SOON).unwrap().total, 0);
    assert_eq!(client.audit_stats(&mut script, SOON).unwrap().produced, 0);
    let (op, decision) = (Some(AuditOp::Check), Some(Decision::Deny));
    let filter = AuditFilter { op, decision, ..AuditFilter::default() };
    let page = client.audit_query(&mut script, &filter, 3, SOON).unwrap();
    assert_eq!((page.next_seq, page.records.iter().count()), (4, 1));
}

#[test]
fn journal_refusals_and_wrong_nonces_are_errors() {
    let mut client = log::Client::new(EP, 1);
    let mut denied = Script::new(|request, frame| {
        let len = lo::Request::decode(request).unwrap().respond(lo::Status::Denied).encode(frame);
        Return::Replied { len: len as u16, cap: Handle::NONE }
    });
    let outcome = client.audit_stats(&mut denied, SOON);
    assert_eq!(outcome, Err(LogError::Refused(lo::Status::Denied)));
    let mut late = Script::new(|request, frame| {
        let mut request = lo::Request::decode(request).unwrap();
        request.nonce = Some(999);
        let len = request.respond(lo::Status::Ok).encode(frame);
        Return::Replied { len: len as u16, cap: Handle::NONE }
    });
    assert_eq!(client.stats(&mut late, SOON), Err(LogError::Protocol));
    let mut dead = Script::new(|_, _| Return::Failed(Error::PeerDied));
    assert_eq!(client.stats(&mut dead, SOON), Err(LogError::Ipc(Error::PeerDied)));
}

/// Bytes of a reply of one protocol, right but for the version, the nonce or the operation.
fn others(reply: &[u8], nonce_at: usize) -> [Vec<u8>; 3] {
    [2, nonce_at, 3].map(|at| {
        let mut other = reply.to_vec();
        // The operation changes to another one of the protocol with an equal layout, or to none.
        other[at] ^= if at == 3 { 5 } else { 1 };
        other
    })
}

/// A client whose nonces start at 9 sends 10 first.
#[test]
fn test_reject_the_supervisor_s_answers_to_other_questions() {
    let ok = b"SV\x01\x81\x00\x0a\0\0\0";
    let restart = |bytes: &[u8]| {
        let mut client = supervise::Client::new(EP, 9);
        client.restart(&mut Script::saying(bytes), SUBJECT, (1, 2), SOON)
    };
    assert_eq!(restart(ok), Ok(()));
    // Bit 5 of the operation byte makes of a restart (1) the end of all (4): as empty an answer.
    for other in others(ok, 5) {
        assert_eq!(restart(&other), Err(CallError::Protocol), "{other:x?}");
    }
}

#[test]
fn test_reject_a_reload_s_answers_to_other_questions() {
    let ok = b"PO\x02\x87\x0a\0\0\0\x00\0\x01\x08\0\0\0\0\0\0\0";
    let reload = |bytes: &[u8]| {
        let mut script = Script::saying(bytes);
        let told = Client::new(EP, 9).reload(&mut script, MOVED, SOON);
        (told.map(|told| (told.loaded, told.version)), script.closed)
    };
    assert_eq!(reload(ok), (Ok((true, 8)), vec![]));
    for other in others(ok, 4) {
        assert_eq!(reload(&other), (Err(CallError::Protocol), vec![MOVED]), "{other:x?}");
    }
}

#[test]
fn test_reject_a_capability_pattern_beyond_its_field_and_send_nothing() {
    let mut script = Script::new(logd);
    let mut client = log::Client::new(EP, 1);
    let longest = [b'c'; 48];
    let search = AuditSearch { capability: &longest, ..AuditSearch::default() };
    let _reached = client.audit_search(&mut script, &search, 1, SOON);
    assert_eq!(script.deadlines.len(), 1);
    let longer = [b'c'; 49];
    let search = AuditSearch { capability: &longer, ..AuditSearch::default() };
    let outcome = client.audit_search(&mut script, &search, 1, SOON);
    assert_eq!(outcome.err(), Some(LogError::Argument));
    assert_eq!(script.deadlines.len(), 1);
}

#[test]
fn supervise_and_echo_carry_their_values() {
    let mut script = Script::new(|request, frame| {
        let request = sv::Request::decode(request).unwrap();
        let state = sv::State::Running;
        let reply = match request.op {
            sv::Op::Restart { .. } => request.respond(Status::Denied),
            sv::Op::Status { .. } => {
                let body = sv::Reply::Status { state, incarnation: 7, restarts: 1 };
                request.answer(Status::Ok, body)
            }
            sv::Op::Measurements { .. } => {
                let (log, policy, image) = ([1; 32], [2; 32], [3; 32]);
                let (images, whole, service) = (2, 1, 4);
                let body = sv::Reply::Measurements { images, whole, log, policy, service, image };
                request.answer(Status::Ok, body)
            }
            sv::Op::Shutdown { verdict: 3 } => request.answer(Status::Ok, sv::Reply::Shutdown {}),
            sv::Op::Shutdown { .. } => request.respond(Status::Busy),
        };
        Return::Replied { len: reply.encode(frame) as u16, cap: Handle::NONE }
    });
    let mut client = supervise::Client::new(EP, 1);
    let refused = client.restart(&mut script, SUBJECT, (1, 2), SOON);
    assert_eq!(refused, Err(CallError::Refused(Status::Denied)));
    let status = client.status(&mut script, SUBJECT, SOON).unwrap();
    assert_eq!((status.state, status.incarnation, status.restarts), (sv::State::Running, 7, 1));
    let taken = client.measurements(&mut script, 0, SOON).unwrap();
    assert_eq!((taken.images, taken.whole, taken.image), (2, true, [3; 32]));
    assert_eq!(client.shutdown(&mut script, 3, SOON), Ok(()));
    assert_eq!(client.shutdown(&mut script, 0, SOON), Err(CallError::Refused(Status::Busy)));

    let mut peer = Script::new(|request, frame| {
        use nexus_wire::echo::{Op, Reply, Request};
        let request = Request::decode(request).unwrap();
        let mut out = [0; FRAME_MAX];
        let len = match request.op {
            Op::Who {} => {
                let who = Reply::Who { service: 20, incarnation: 6, badge: 3 };
                request.answer(Status::Ok, who).encode(&mut out)
            }
            Op::Echo { bytes } => {
                request.answer(Status::Ok, Reply::Echo { bytes }).encode(&mut out)
            }
            _ => request.respond(Status::Ok).encode(&mut out),
        };
        reply(&out[..len], frame)
    });
    let mut client = echo::Client::new(EP, 1);
    assert_eq!(client.who(&mut peer, SOON).unwrap().badge, 3);
    let long = [7; 500];
    assert_eq!(client.echo(&mut peer, &long, SOON), Ok(&long[..]));
    assert_eq!(client.echo(&mut peer, &[7; 501], SOON), Err(CallError::Argument));
    assert_eq!(client.burst(&mut peer, 5, "ipc.core", SOON), Ok(()));
    assert_eq!(client.tally(&mut peer, SOON), Ok(echo::Tally::default()));
}
