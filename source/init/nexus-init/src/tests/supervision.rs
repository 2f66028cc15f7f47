//! Services die, and are restarted on purpose.

use nexus_abi::{Call, Error, Handle, Sender};
use nexus_service::{Service, step};
use nexus_wire::{
    FRAME_MAX, Status,
    policy::Status as Decision,
    supervise::{Op, Reply, Request, Response, SHUTDOWN_BIT, State},
};

use super::{CLIENT, LOGD, POLICYD, booted, fake::Fake, fake::Policyd, image_with, sender};
use crate::{END_NS, EXIT_HALTED, Env, MAX_DELAY_NS, supervisor::Supervisor};

/// Positions in the manifest of the tests: their death bits.
const CLIENT_BIT: u64 = 1;
const LOGD_BIT: u64 = 2;
const POLICYD_BIT: u64 = 4;
const LOAD_FAULT: [u64; 3] = [3, 2, 0];

fn operate(
    supervisor: &mut Supervisor<'_>,
    env: &mut Env<'_, Fake>,
    op: Op,
) -> Result<Reply, Status> {
    operate_as(supervisor, env, sender(CLIENT), op)
}

fn operate_as(
    supervisor: &mut Supervisor<'_>,
    env: &mut Env<'_, Fake>,
    from: Sender,
    op: Op,
) -> Result<Reply, Status> {
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 1, nonce: Some(9), op }.encode(&mut frame);
    let answer = step(supervisor, from, &frame[..len], env);
    let reply = Response::decode(answer.bytes()).unwrap();
    assert_eq!((reply.nonce, answer.cap), (Some(9), Handle::NONE));
    if reply.status == Status::Ok { Ok(reply.body) } else { Err(reply.status) }
}

fn restart(service: u64, after_ns: u64, down_ns: u64) -> Op {
    Op::Restart { service, after_ns, down_ns }
}

fn state(supervisor: &mut Supervisor<'_>, env: &mut Env<'_, Fake>, service: u64) -> (State, u32) {
    match operate(supervisor, env, Op::Status { service }) {
        Ok(Reply::Status { state, restarts, .. }) => (state, restarts),
        other => panic!("{other:?}"),
    }
}

fn tick(supervisor: &mut Supervisor<'_>, env: &mut Env<'_, Fake>, now_ns: u64) {
    env.0.now_ns = now_ns;
    supervisor.tick(env);
}

fn due(supervisor: &Supervisor<'_>) -> u64 {
    Service::<Env<'_, Fake>>::next_tick_ns(supervisor)
}

#[test]
fn a_fault_is_told_once_and_the_service_comes_back_as_it_was() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let before = env.0.gifts(LOGD);
        let old = env.0.process(LOGD).unwrap();
        env.0.kill(LOGD, LOAD_FAULT);
        env.0.forget();
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(env.0.console, "init: logd died: fault load at 0x0\ninit: restarted logd (1)\n");
        assert_eq!(env.0.gifts(LOGD), before, "same endpoint, memory, lane");
        assert_ne!(env.0.process(LOGD), Some(old));
        assert!(env.0.log.contains(&Call::CapClose { cap: old }));
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(env.0.console.matches("died").count(), 1, "a second bit is no second death");
    });
}

#[test]
fn exits_are_told_with_their_code() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        env.0.kill(CLIENT, [2, -7i64 as u64, 0]);
        env.0.forget();
        supervisor.notified(CLIENT_BIT, env);
        assert_eq!(env.0.console, "init: client died: exit -7\ninit: client stays down\n");
        assert_eq!(state(supervisor, env, CLIENT), (State::Stopped, 0));
        assert_eq!(due(supervisor), u64::MAX);
    });
}

#[test]
fn a_vital_service_that_dies_too_often_halts_the_system() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for _ in 0..2 {
            env.0.kill(POLICYD, LOAD_FAULT);
            supervisor.notified(POLICYD_BIT, env);
            assert!(env.0.process(POLICYD).is_some());
        }
        env.0.kill(POLICYD, LOAD_FAULT);
        env.0.forget();
        supervisor.notified(POLICYD_BIT, env);
        let halt = Call::ProcExit { proc: Handle::NONE, code: EXIT_HALTED };
        assert!(env.0.log.contains(&halt));
        assert!(env.0.console.ends_with("init: halting: policyd died too often\n"));
        assert_eq!(env.0.process(POLICYD), None);
    });
}

#[test]
fn a_restart_without_room_is_tried_again_and_counted() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        env.0.no_room_for = Some(LOGD);
        env.0.kill(LOGD, LOAD_FAULT);
        supervisor.notified(LOGD_BIT, env);
        assert!(env.0.console.contains("init: refused logd: Spawn(Kernel(NoSpace))\n"));
        let again = due(supervisor);
        assert!(again != u64::MAX);
        env.0.no_room_for = None;
        tick(supervisor, env, again);
        assert!(env.0.process(LOGD).is_some());
        env.0.no_room_for = Some(LOGD);
        env.0.kill(LOGD, LOAD_FAULT);
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(state(supervisor, env, LOGD).0, State::Stopped, "three deaths in the window");
    });
}

#[test]
fn an_authorised_restart_happens_when_it_was_asked_for() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let old = env.0.process(LOGD).unwrap();
        assert_eq!(operate(supervisor, env, restart(LOGD, 500, 2000)), Ok(Reply::Restart {}));
        assert_eq!(due(supervisor), 500);
        let busy = operate(supervisor, env, restart(LOGD, 1, 1));
        assert_eq!(busy, Err(Status::Busy), "one at a time");
        tick(supervisor, env, 499);
        assert_eq!(env.0.process(LOGD), Some(old), "not before its time");
        tick(supervisor, env, 500);
        assert_eq!(env.0.process(LOGD), None);
        env.0.now_ns = 510;
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(state(supervisor, env, LOGD), (State::Restarting, 0));
        assert_eq!(operate(supervisor, env, restart(LOGD, 1, 1)), Err(Status::Busy));
        assert_eq!(due(supervisor), 2510);
        tick(supervisor, env, 2510);
        assert_eq!(state(supervisor, env, LOGD), (State::Running, 1));
        assert!(env.0.console.ends_with("init: logd died: killed\ninit: restarted logd (1)\n"));
    });
}

#[test]
fn restarts_on_request_do_not_count_as_deaths() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for round in 1..=5u64 {
            operate(supervisor, env, restart(POLICYD, 0, 0)).unwrap();
            tick(supervisor, env, round);
            supervisor.notified(POLICYD_BIT, env);
            assert_eq!(state(supervisor, env, POLICYD), (State::Running, round as u32));
        }
    });
}

#[test]
fn a_service_that_dies_before_its_planned_restart_falls_under_the_rule() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        operate(supervisor, env, restart(LOGD, 1000, 1_000_000)).unwrap();
        env.0.kill(LOGD, LOAD_FAULT);
        env.0.now_ns = 10;
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(state(supervisor, env, LOGD), (State::Running, 1), "at once");
        tick(supervisor, env, 1000);
        assert!(env.0.process(LOGD).is_some(), "the plan died with it");
    });
}

/// Its death is not heard of yet when its time comes: what ended it was not init.
#[test]
fn a_service_found_dead_at_its_planned_restart_falls_under_the_rule() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        operate(supervisor, env, restart(LOGD, 10, 1_000_000)).unwrap();
        env.0.kill(LOGD, LOAD_FAULT);
        tick(supervisor, env, 10);
        supervisor.notified(LOGD_BIT, env);
        assert_eq!(state(supervisor, env, LOGD), (State::Running, 1), "at once");
    });
}

/// Every operation, and the right that it takes.
const OPERATIONS: [(Op, &str); 4] = [
    (Op::Status { service: LOGD }, "service.restart"),
    (Op::Restart { service: LOGD, after_ns: 0, down_ns: 0 }, "service.restart"),
    (Op::Measurements { index: 0 }, "boot.measurements"),
    (Op::Shutdown { verdict: 0 }, "system.shutdown"),
];

#[test]
fn every_operation_asks_for_the_right_of_its_own_and_for_the_sender_s() {
    for (op, capability) in OPERATIONS {
        booted(&image_with(|_, _| {}), |supervisor, env| {
            assert!(operate(supervisor, env, op).is_ok());
            let asked =
                format!("CheckCapDelegated {{ subject: {CLIENT}, capability: {capability:?} }}");
            assert_eq!((env.0.asked, &env.0.question.1), (1, &asked));
        });
    }
}

#[test]
fn test_reject_operations_over_a_connect_capability_in_other_hands() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for badge in [0, LOGD, u64::MAX] {
            for (op, _) in OPERATIONS {
                let stolen = Sender { badge, ..sender(CLIENT) };
                assert_eq!(operate_as(supervisor, env, stolen, op), Err(Status::Denied));
            }
        }
        assert_eq!((env.0.asked, due(supervisor)), (0, u64::MAX));
    });
}

#[test]
fn test_reject_operations_without_an_allow() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let cases = [
            (Policyd::Says(Decision::Deny), Status::Denied),
            (Policyd::Says(Decision::Malformed), Status::Unavailable),
            (Policyd::Fails(Error::TimedOut), Status::Unavailable),
            (Policyd::Babbles, Status::Unavailable),
        ];
        for (policyd, expected) in cases {
            env.0.policyd = policyd;
            assert_eq!(operate(supervisor, env, restart(LOGD, 0, 0)), Err(expected));
            assert_eq!(operate(supervisor, env, Op::Status { service: LOGD }), Err(expected));
        }
        assert_eq!(due(supervisor), u64::MAX, "nothing was scheduled");
    });
}

#[test]
fn test_reject_restarts_of_nobody_and_beyond_all_patience() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for nobody in [0, 1, 77, 900] {
            assert_eq!(operate(supervisor, env, restart(nobody, 0, 0)), Err(Status::NotFound));
        }
        for (after, down) in [(MAX_DELAY_NS + 1, 0), (0, MAX_DELAY_NS + 1), (u64::MAX, u64::MAX)] {
            let refused = operate(supervisor, env, restart(LOGD, after, down));
            assert_eq!(refused, Err(Status::TooLarge));
        }
        env.0.kill(CLIENT, [2, 0, 0]);
        supervisor.notified(CLIENT_BIT, env);
        assert_eq!(operate(supervisor, env, restart(CLIENT, 0, 0)), Err(Status::Unavailable));
    });
}

/// What init ends itself with, if it does; no finisher in these tests.
fn ended(env: &Env<'_, Fake>) -> Option<i32> {
    env.0.log.iter().find_map(|call| match call {
        Call::ProcExit { proc: Handle::NONE, code } => Some(*code),
        _ => None,
    })
}

#[test]
fn the_end_waits_for_the_journal_and_no_longer_than_its_time() {
    for answers in [true, false] {
        booted(&image_with(|_, _| {}), |supervisor, env| {
            assert_eq!(
                operate(supervisor, env, Op::Shutdown { verdict: 3 }),
                Ok(Reply::Shutdown {})
            );
            let rung = |call: &Call| matches!(call, Call::Signal { bits: SHUTDOWN_BIT, .. });
            assert_eq!(env.0.log.iter().filter(|call| rung(call)).count(), 1);
            let again = operate(supervisor, env, Op::Shutdown { verdict: 0 });
            assert_eq!(again, Err(Status::Busy));
            assert_eq!((ended(env), due(supervisor)), (None, END_NS));
            if answers {
                env.0.kill(LOGD, [2, 0, 0]);
                supervisor.notified(LOGD_BIT, env);
                assert!(env.0.console.ends_with("init: end, verdict 3\n"), "{}", env.0.console);
            } else {
                tick(supervisor, env, END_NS - 1);
                assert_eq!(ended(env), None);
                tick(supervisor, env, END_NS);
                assert!(env.0.console.contains("did not answer"));
            }
            assert_eq!(ended(env), Some(3));
        });
    }
}

#[test]
fn test_reject_an_end_policy_does_not_allow() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for says in [Policyd::Says(Decision::Deny), Policyd::Babbles] {
            env.0.policyd = says;
            assert!(operate(supervisor, env, Op::Shutdown { verdict: 0 }).is_err());
        }
        tick(supervisor, env, 2 * END_NS);
        assert_eq!(ended(env), None);
    });
}
