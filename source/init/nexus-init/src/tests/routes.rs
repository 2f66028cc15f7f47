//! Names become capabilities only against a decision.

use nexus_abi::{Call, Error, Handle, Rights};
use nexus_service::step;
use nexus_wire::{
    FRAME_MAX, Name,
    policy::{BADGE_CONTROL, Status as Decision},
    route::{Op, Reply, Request, Response, Status},
};

use super::{CLIENT, LOGD, POLICYD, booted, fake::Fake, fake::Policyd, image_with, sender};
use crate::{Env, supervisor::Supervisor};

const NONCE: u32 = 0x5eed;

fn connect_as(
    supervisor: &mut Supervisor<'_>,
    env: &mut Env<'_, Fake>,
    from: nexus_abi::Sender,
    name: &str,
) -> (Status, Handle) {
    let mut frame = [0; FRAME_MAX];
    let op = Op::Get { name: Name::new(name).unwrap(), nonce: NONCE };
    let len = Request { version: 1, nonce: None, op }.encode(&mut frame);
    env.0.forget();
    let answer = step(supervisor, from, &frame[..len], env);
    let reply = Response::decode(answer.bytes()).unwrap();
    assert_eq!(reply.body, Reply::Get { send_slot: 0, recv_slot: 0, nonce: NONCE });
    (reply.status, answer.cap)
}

fn derives(env: &Env<'_, Fake>) -> Vec<Call> {
    env.0.log.iter().filter(|c| matches!(c, Call::CapDerive { .. })).copied().collect()
}

#[test]
fn an_allowed_route_is_one_call_capability() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let logd = env.0.gifts(LOGD)[1].1;
        let (status, cap) = connect_as(supervisor, env, sender(CLIENT), "logd");
        assert_eq!(status, Status::Ok);
        assert!(!cap.is_none());
        assert_eq!(env.0.asked, 1);
        let [Call::CapDerive { cap: from, rights, badge: 0, child: Handle::NONE, .. }] =
            derives(env)[..]
        else {
            panic!("one derivation, unbadged, into init itself")
        };
        assert_eq!(from, logd);
        assert_eq!(rights, Rights::CALL.or(Rights::GRANT));
    });
}

/// What policyd is asked is about the kernel-stamped sender and the service of that name, and it
/// comes through the one capability whose badge lets init speak for others.
#[test]
fn the_question_is_about_the_sender_and_comes_through_the_private_capability() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let authority = env.0.gifts(POLICYD)[1].1;
        let private = |made: &&(Call, Handle)| matches!(made.0, Call::CapDerive { cap, badge: BADGE_CONTROL, .. } if cap == authority);
        let [(Call::CapDerive { rights, child: Handle::NONE, .. }, control)] =
            env.0.derived.iter().filter(private).copied().collect::<Vec<_>>()[..]
        else {
            panic!("one capability with that badge, and init keeps it")
        };
        assert_eq!(rights, Rights::CALL);
        for (from, name, target) in [(CLIENT, "logd", LOGD), (LOGD, "policyd", POLICYD)] {
            assert_eq!(connect_as(supervisor, env, sender(from), name).0, Status::Ok);
            let asked = format!("RouteId {{ requester: {from}, target: {target} }}");
            assert_eq!(env.0.question, (control, asked));
        }
    });
}

#[test]
fn test_reject_every_route_without_an_allow() {
    let cases = [
        (Policyd::Says(Decision::Deny), Status::Denied),
        (Policyd::Says(Decision::Malformed), Status::Unavailable),
        (Policyd::Says(Decision::Unsupported), Status::Unavailable),
        (Policyd::Fails(Error::PeerDied), Status::Unavailable),
        (Policyd::Fails(Error::TimedOut), Status::Unavailable),
        (Policyd::Babbles, Status::Unavailable),
        (Policyd::AnswersAnother, Status::Unavailable),
    ];
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for (policyd, expected) in cases {
            env.0.policyd = policyd;
            let (status, cap) = connect_as(supervisor, env, sender(CLIENT), "logd");
            assert_eq!((status, cap), (expected, Handle::NONE), "{policyd:?}");
            assert_eq!(derives(env), [], "{policyd:?}");
        }
    });
}

#[test]
fn test_reject_names_of_nobody_and_of_images() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        for name in ["nobody", "probe", "client", "logd "] {
            let (status, cap) = connect_as(supervisor, env, sender(CLIENT), name);
            assert_eq!((status, cap), (Status::NotFound, Handle::NONE), "{name}");
            assert_eq!(env.0.asked, 0);
        }
    });
}

#[test]
fn test_reject_a_connect_capability_in_other_hands() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let stolen = nexus_abi::Sender { badge: LOGD, ..sender(CLIENT) };
        assert_eq!(connect_as(supervisor, env, stolen, "logd"), (Status::Denied, Handle::NONE));
        assert_eq!(env.0.asked, 0);
    });
}

#[test]
fn test_reject_frames_that_are_no_requests() {
    booted(&image_with(|_, _| {}), |supervisor, env| {
        let frames: [&[u8]; 6] = [
            b"",
            b"RT",
            b"RT\x01\x40",
            b"RT\x01\x40\x00\0\0\0\0",
            b"RT\x02\x40",
            b"PO\x01\x01\x01x",
        ];
        for frame in frames {
            env.0.forget();
            let answer = step(supervisor, sender(CLIENT), frame, env);
            let reply = Response::decode(answer.bytes()).unwrap();
            assert!(matches!(reply.status, Status::Malformed | Status::Unsupported), "{frame:?}");
            assert_eq!(answer.cap, Handle::NONE);
            assert!(env.0.log.is_empty());
        }
    });
}

#[test]
fn a_stopped_service_is_unavailable_even_where_policy_allows() {
    let tampered = image_with(|manifest, image| {
        image[manifest.services[1].image.offset as usize] ^= 1;
    });
    booted(&tampered, |supervisor, env| {
        let answer = connect_as(supervisor, env, sender(CLIENT), "logd");
        assert_eq!(answer, (Status::Unavailable, Handle::NONE));
    });
}
