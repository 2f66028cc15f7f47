//! The loop against a scripted kernel: one reply per request, no request lost, no spinning.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a panic is a failed test"
)]

use std::collections::VecDeque;

use nexus_abi::{Call, Error, Handle, Return, Sender, ServiceId, Sys, layout::FRAME_MAX};
use nexus_service::{Ended, Env, Flow, Incoming, Outgoing, Service, serve, step};

const EP: Handle = Handle::fixed(1);
const CAP: Handle = Handle::fixed(40);
const MASK: u64 = 3;
/// The loop's own pause between ticks and between attempts to receive.
const PAUSE_NS: u64 = 1_000_000;

/// What a receive gives: a return, and the frame that comes with it.
type Arrival = (Return, &'static [u8]);

struct Script {
    frame: [u8; FRAME_MAX],
    arrivals: VecDeque<Arrival>,
    reply_result: Return,
    /// A reply for itself moves a capability.
    last_moves: bool,
    now_ns: u64,
    /// What the loop did, in order.
    trace: Vec<String>,
}

impl Script {
    fn new(arrivals: &[Arrival]) -> Self {
        let arrivals = arrivals.iter().copied().collect();
        let (frame, trace) = ([0; FRAME_MAX], Vec::new());
        let (reply_result, last_moves) = (Return::OK, false);
        Script { frame, arrivals, reply_result, last_moves, now_ns: 0, trace }
    }

    fn arrive(&mut self, deadline_ns: u64) -> Return {
        // After the script the endpoint is gone.
        let gone = fails(Error::StaleHandle);
        let (ret, bytes) = self.arrivals.pop_front().unwrap_or(gone);
        self.frame[..bytes.len()].copy_from_slice(bytes);
        if ret == Return::Failed(Error::TimedOut) {
            self.now_ns = self.now_ns.max(deadline_ns);
        }
        ret
    }
}

impl Sys for Script {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        match call {
            Call::Recv { ep, mask, deadline_ns } => {
                assert_eq!((ep, mask), (EP, MASK));
                self.trace.push("recv".into());
                self.arrive(deadline_ns)
            }
            Call::ReplyRecv { token, len, cap, ep, mask, deadline_ns } => {
                assert_eq!((ep, mask), (EP, MASK));
                let text = String::from_utf8_lossy(&self.frame[..len.get()]).into_owned();
                let cap = if cap.is_none() { "" } else { "+cap" };
                self.trace.push(format!("reply {token} {text}{cap} recv"));
                self.arrive(deadline_ns)
            }
            Call::Reply { token, len, cap } => {
                assert_eq!(!cap.is_none(), self.last_moves);
                let text = String::from_utf8_lossy(&self.frame[..len.get()]).into_owned();
                self.trace.push(format!("reply {token} {text}"));
                self.reply_result
            }
            Call::CapClose { cap } => {
                self.trace.push(format!("close {}", cap.slot()));
                Return::OK
            }
            Call::Wait { deadline_ns, .. } => {
                self.trace.push(format!("sleep {}", deadline_ns - self.now_ns));
                self.now_ns = deadline_ns;
                Return::Failed(Error::TimedOut)
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }
}

impl Env for Script {
    type Sys = Script;
    fn sys(&mut self) -> &mut Script {
        self
    }
}

/// Answers with its request in capitals; `c` asks for a capability to be moved, and every
/// request overwrites the message frame, as a service that calls others does.
#[derive(Default)]
struct Shout {
    next_tick_ns: Option<u64>,
    period_ns: u64,
}

impl Service<Script> for Shout {
    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut Script,
    ) -> Outgoing {
        env.frame.fill(b'?');
        let len = call.frame.len();
        reply[..len].copy_from_slice(&call.frame.to_ascii_uppercase());
        let cap = if call.frame == b"c" { CAP } else { Handle::NONE };
        Outgoing { len: if call.frame == b"long" { FRAME_MAX + 9 } else { len }, cap }
    }
    fn notified(&mut self, bits: u64, env: &mut Script) {
        env.trace.push(format!("notified {bits}"));
    }
    fn next_tick_ns(&self) -> u64 {
        self.next_tick_ns.unwrap_or(u64::MAX)
    }
    fn tick(&mut self, env: &mut Script) {
        env.trace.push("tick".into());
        self.next_tick_ns = self.next_tick_ns.map(|t| t + self.period_ns);
    }
    fn undelivered(&mut self, sender: Sender, env: &mut Script) {
        env.trace.push(format!("undelivered {}", sender.service.0));
    }
}

const fn message(token: u64, bytes: &'static [u8], cap: Handle) -> Arrival {
    let (len, service) = (bytes.len() as u16, ServiceId(20));
    (Return::Message { len, service, incarnation: 1, badge: 0, token, cap }, bytes)
}

const fn fails(error: Error) -> Arrival {
    (Return::Failed(error), b"")
}

fn run(service: &mut Shout, arrivals: &[Arrival]) -> Vec<String> {
    run_with(service, Script::new(arrivals))
}

fn run_with(service: &mut Shout, mut script: Script) -> Vec<String> {
    assert_eq!(serve(service, &mut script, EP, MASK), Ended::Gone(Error::StaleHandle));
    script.trace
}

#[test]
fn every_request_gets_its_own_reply_in_one_trap() {
    let arrivals = [message(1, b"ab", Handle::NONE), message(2, b"z", Handle::NONE)];
    let trace = run(&mut Shout::default(), &arrivals);
    assert_eq!(trace[..3], ["recv", "reply 1 AB recv", "reply 2 Z recv"]);
}

#[test]
fn a_stale_reply_loses_nothing() {
    let arrivals =
        [message(1, b"a", Handle::NONE), fails(Error::StaleReply), message(2, b"b", Handle::NONE)];
    let trace = run(&mut Shout::default(), &arrivals);
    assert_eq!(trace[..4], ["recv", "reply 1 A recv", "undelivered 20", "recv"]);
    assert_eq!(trace[4], "reply 2 B recv");
}

#[test]
fn a_capability_that_cannot_be_moved_is_closed_and_the_caller_answered() {
    for error in [Error::NoSpace, Error::MissingRight, Error::StaleHandle] {
        let arrivals =
            [message(1, b"c", Handle::NONE), fails(error), message(2, b"b", Handle::NONE)];
        let trace = run(&mut Shout::default(), &arrivals);
        let expected = ["recv", "reply 1 C+cap recv", "reply 1 C", "close 40", "recv"];
        assert_eq!(trace[..5], expected);
        assert_eq!(trace[5], "reply 2 B recv");
    }
}

/// The kernel says of a reply that it failed, not whether its own first half did: where the second
/// attempt finds the token used up, the caller has its answer.
#[test]
fn a_reply_that_was_out_already_is_delivered() {
    let arrivals = [message(1, b"c", Handle::NONE), fails(Error::NoSpace)];
    let mut script = Script::new(&arrivals);
    script.reply_result = Return::Failed(Error::StaleReply);
    let trace = run_with(&mut Shout::default(), script);
    assert_eq!(trace, ["recv", "reply 1 C+cap recv", "reply 1 C", "close 40", "recv"]);
}

/// Longer than a frame: the reply is cut, and the loop goes on.
#[test]
fn test_reject_replies_longer_than_a_frame() {
    let trace = run(&mut Shout::default(), &[message(1, b"long", Handle::NONE)]);
    assert!(trace[1].starts_with("reply 1 LONG") && trace[1].len() > FRAME_MAX, "{trace:?}");
}

#[test]
fn a_capability_for_a_dead_caller_is_closed() {
    let arrivals = [message(1, b"c", Handle::NONE), fails(Error::StaleReply)];
    let trace = run(&mut Shout::default(), &arrivals);
    let expected = ["recv", "reply 1 C+cap recv", "close 40", "undelivered 20", "recv"];
    assert_eq!(trace, expected);
}

#[test]
fn test_reject_capabilities_nobody_asked_for() {
    let trace = run(&mut Shout::default(), &[message(1, b"a", Handle::fixed(50))]);
    assert_eq!(trace[..3], ["recv", "close 50", "reply 1 A recv"]);
}

#[test]
fn a_full_table_waits_and_does_not_spin() {
    let arrivals = [fails(Error::NoSpace), fails(Error::NoSpace), message(1, b"a", Handle::NONE)];
    let trace = run(&mut Shout::default(), &arrivals);
    let pause = format!("sleep {PAUSE_NS}");
    assert_eq!(trace[..6], ["recv", &pause, "recv", &pause, "recv", "reply 1 A recv"]);
}

#[test]
fn ticks_come_at_their_time_and_after_notifications() {
    let mut service = Shout { next_tick_ns: Some(5 * PAUSE_NS), period_ns: 5 * PAUSE_NS };
    let arrivals =
        [(Return::Notified { bits: 2 }, &b""[..]), fails(Error::TimedOut), fails(Error::TimedOut)];
    let trace = run(&mut service, &arrivals);
    assert_eq!(trace, ["recv", "notified 2", "recv", "tick", "recv", "tick", "recv"]);
}

#[test]
fn a_tick_that_is_always_due_does_not_spin() {
    let mut service = Shout { next_tick_ns: Some(0), period_ns: 0 };
    let mut script = Script::new(&[fails(Error::TimedOut); 4]);
    assert_eq!(serve(&mut service, &mut script, EP, MASK), Ended::Gone(Error::StaleHandle));
    assert_eq!(script.now_ns, 3 * PAUSE_NS);
}

#[test]
fn traffic_does_not_starve_ticks() {
    let mut service = Shout { next_tick_ns: Some(7), period_ns: 100 * PAUSE_NS };
    let mut script = Script::new(&[message(1, b"a", Handle::NONE), message(2, b"b", Handle::NONE)]);
    script.now_ns = 7;
    let trace = run_with(&mut service, script);
    assert_eq!(trace[..4], ["recv", "tick", "reply 1 A recv", "reply 2 B recv"]);
}

#[test]
fn a_timeout_after_a_reply_is_no_second_reply() {
    let mut service = Shout { next_tick_ns: Some(9), period_ns: PAUSE_NS };
    let arrivals = [message(1, b"a", Handle::NONE), fails(Error::TimedOut)];
    let trace = run(&mut service, &arrivals);
    assert_eq!(trace, ["recv", "reply 1 A recv", "tick", "recv"]);
}

#[test]
fn step_answers_as_the_loop_does() {
    let mut env = Script::new(&[]);
    let sender = Sender { service: ServiceId(20), incarnation: 1, badge: 0 };
    let answer = step(&mut Shout::default(), sender, b"ab", &mut env);
    assert_eq!((answer.bytes(), answer.cap), (&b"AB"[..], Handle::NONE));
    let too_long = step(&mut Shout::default(), sender, b"long", &mut env);
    assert_eq!(too_long.bytes().len(), FRAME_MAX);
}

/// What the loop hands on behind a frame is whatever earlier callers sent; a host test that saw
/// zeros there would see what no service does.
#[test]
fn a_step_has_another_caller_s_bytes_behind_its_frame() {
    struct Behind;
    impl Service<Script> for Behind {
        fn handle(
            &mut self,
            call: &Incoming<'_>,
            _: &mut [u8; FRAME_MAX],
            _: &mut Script,
        ) -> Outgoing {
            let words = call.words().iter().flat_map(|word| word.to_le_bytes());
            assert!(words.skip(call.frame.len()).all(|byte| byte != 0));
            Outgoing::bytes(0)
        }
    }
    let sender = Sender { service: ServiceId(20), incarnation: 1, badge: 0 };
    for frame in [&b""[..], b"ab", b"12345678", b"123456789"] {
        let _empty = step(&mut Behind, sender, frame, &mut Script::new(&[]));
    }
}

/// Keeps what comes along, and stops at a frame that says so.
struct Keeper;

impl Service<Script> for Keeper {
    const KEEPS_CAPS: bool = true;

    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut Script,
    ) -> Outgoing {
        Shout::default().handle(call, reply, env)
    }

    fn handle_with_cap(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut Script,
    ) -> (Outgoing, Flow) {
        let flow = if call.frame == b"go" { Flow::Continue } else { Flow::Stop };
        (self.handle(call, reply, env), flow)
    }

    fn undelivered(&mut self, sender: Sender, env: &mut Script) {
        Shout::default().undelivered(sender, env);
    }
}

#[test]
fn a_service_that_keeps_capabilities_may_stop_behind_its_reply() {
    let cap = Handle::fixed(50);
    let arrivals = [
        message(1, b"stop", Handle::NONE),
        message(2, b"go", cap),
        message(3, b"stop", cap),
        message(4, b"late", Handle::NONE),
    ];
    let mut script = Script::new(&arrivals);
    assert_eq!(serve(&mut Keeper, &mut script, EP, MASK), Ended::Stopped);
    let expected = ["recv", "reply 1 STOP recv", "reply 2 GO recv", "reply 3 STOP"];
    assert_eq!(script.trace, expected, "nothing closed, nothing received behind the end");
}

#[test]
fn a_last_reply_that_finds_nobody_leaves_no_capability_behind() {
    let mut script = Script::new(&[message(1, b"c", Handle::fixed(50))]);
    script.last_moves = true;
    script.reply_result = Return::Failed(Error::StaleReply);
    assert_eq!(serve(&mut Keeper, &mut script, EP, MASK), Ended::Stopped);
    assert_eq!(script.trace, ["recv", "reply 1 C", "close 40", "undelivered 20"]);
}

/// Carries secrets: finds nothing of the exchange before it anywhere.
struct Hush;

impl Service<Script> for Hush {
    const WIPES: bool = true;

    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut Script,
    ) -> Outgoing {
        assert!(reply.iter().all(|byte| *byte == 0), "the last reply");
        assert!(env.frame[call.frame.len()..].iter().all(|byte| *byte == 0), "the message page");
        let words = call.words().iter().flat_map(|word| word.to_le_bytes());
        assert!(words.skip(call.frame.len()).all(|byte| byte == 0), "the last request");
        Shout::default().handle(call, reply, env)
    }

    fn undelivered(&mut self, sender: Sender, env: &mut Script) {
        Shout::default().undelivered(sender, env);
    }
}

#[test]
fn a_service_that_wipes_leaves_nothing_of_an_exchange() {
    let long = message(1, b"a long secret", Handle::NONE);
    let arrivals =
        [long, message(2, b"a", Handle::NONE), message(3, b"longer again", Handle::NONE)];
    let mut script = Script::new(&arrivals);
    assert_eq!(serve(&mut Hush, &mut script, EP, MASK), Ended::Gone(Error::StaleHandle));
    let expected = [
        "recv",
        "reply 1 A LONG SECRET",
        "recv",
        "reply 2 A",
        "recv",
        "reply 3 LONGER AGAIN",
        "recv",
    ];
    assert_eq!(script.trace, expected);
    assert_eq!(script.frame, [0; FRAME_MAX], "asleep, it holds nothing");
    // A caller that has died is told apart, and what it was to get is gone all the same.
    let mut script = Script::new(&arrivals[..1]);
    script.reply_result = Return::Failed(Error::StaleReply);
    assert_eq!(serve(&mut Hush, &mut script, EP, MASK), Ended::Gone(Error::StaleHandle));
    assert_eq!(script.trace, ["recv", "reply 1 A LONG SECRET", "undelivered 20", "recv"]);
    assert_eq!(script.frame, [0; FRAME_MAX]);
}
