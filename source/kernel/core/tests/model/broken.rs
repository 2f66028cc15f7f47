//! The checks must be able to fail: one broken state per invariant, each made from a good one.

use nexus_abi::{
    Handle, Return, Rights,
    syscall::{CapKind, Prot, Seal},
};
use nexus_kernel_core::{
    ProcIndex,
    inspect::{Memory, Payer, Place, State},
};

use crate::{driver::Driver, view::View};

/// A state with a derivation, a blocked process, a dead one and two mappings, and its driver.
fn good() -> (Driver, View) {
    for seed in 0..200 {
        let mut d = Driver::new(seed);
        while d.steps < 400 && d.step() {
            let v = View::of(&d.w);
            let derived = v.caps.iter().any(|c| c.parent.is_some() && c.kind != CapKind::Factory);
            let dead = v.processes.iter().any(|p| p.state == State::Dead);
            let asleep = v
                .processes
                .iter()
                .any(|p| matches!(p.state, State::Receiving | State::Awaiting | State::Queued));
            if derived && dead && asleep && v.mappings.len() > 2 && d.w.running().is_some() {
                return (d, v);
            }
        }
    }
    panic!("no seed leads to a rich state");
}

fn refused(break_it: impl FnOnce(&mut View), because: &str) {
    let (_, mut v) = good();
    v.check().unwrap();
    break_it(&mut v);
    let why = v.check().expect_err("the checker accepts a broken state");
    assert!(why.contains(because), "refused for another reason: {why}");
}

#[test]
fn test_reject_more_rights_than_the_parent() {
    refused(
        |v| {
            let at = v.caps.iter().position(|c| c.parent.is_some()).unwrap();
            let parent = v.caps[at].parent;
            v.caps[at].rights = Rights::ALL;
            v.caps.iter_mut().filter(|c| Some(c.place) == parent).for_each(|c| {
                c.rights = Rights::DERIVE;
            });
        },
        "more rights",
    );
}

#[test]
fn test_reject_a_descendant_of_a_revoked_capability() {
    refused(
        |v| {
            let parent = v.caps.iter().find_map(|c| c.parent).unwrap();
            v.caps.retain(|c| c.place != parent);
        },
        "is gone",
    );
}

#[test]
fn test_reject_a_writable_and_executable_frame() {
    refused(
        |v| {
            let exec = v.frames.iter().find(|f| f.2 == Prot::ReadExec).copied().unwrap();
            v.frames.push((exec.0, 9, Prot::ReadWrite));
        },
        "writable and executable",
    );
    refused(|v| v.frames.push((1, 0, Prot::Read)), "other pages");
}

#[test]
fn test_reject_a_wait_without_a_source() {
    refused(
        |v| {
            let p = v.processes.iter_mut().find(|p| p.state == State::Running).unwrap();
            p.state = State::Sleeping;
            p.deadline = u64::MAX;
        },
        "waits for nothing",
    );
    refused(
        |v| {
            let dead = v.processes.iter().find(|p| p.state == State::Dead).unwrap().index;
            let p = v.processes.iter_mut().find(|p| p.state == State::Running).unwrap();
            p.state = State::Awaiting;
            p.on = u16::from(dead.0);
        },
        "waits for nothing",
    );
}

#[test]
fn test_reject_lost_and_invented_frames() {
    refused(|v| v.pool.frames_used += 1, "frames paid");
    refused(|v| v.pool.pool_frames -= 1, "of quota");
    refused(|v| v.processes[0].frames_used += 1, "other frames");
    refused(
        |v| {
            let mut twin = v.vmos.iter().find(|v| v.memory == Memory::Ram).unwrap().clone();
            twin.payer = Payer::Nobody;
            v.vmos.push(twin);
        },
        "share a frame",
    );
}

#[test]
fn test_reject_property_of_the_dead() {
    refused(
        |v| {
            let dead = v.processes.iter().find(|p| p.state == State::Dead).unwrap().index;
            let mut cap = v.caps[0].clone();
            cap.place = Place { owner: dead, slot: 5 };
            cap.parent = None;
            v.caps.push(cap);
        },
        "is dead and owns",
    );
}

#[test]
fn test_reject_a_wrong_reference_count() {
    refused(|v| v.vmos[0].refs += 1, "VmoView");
}

#[test]
fn test_reject_what_the_oracle_does_not_hold() {
    let (d, v) = good();
    assert_eq!(d.agrees(&v), Ok(()));
    let broken: [fn(&mut View); 6] = [
        |v| v.caps[0].handle = Handle::new(4, 9),
        |v| v.caps.truncate(1),
        |v| v.mappings.truncate(1),
        |v| v.pool.events_produced += 1,
        |v| v.processes[0].mask.0 ^= 1,
        |v| v.processes[0].service.0 += 1,
    ];
    for break_it in broken {
        let mut bad = v.clone();
        break_it(&mut bad);
        assert!(d.agrees(&bad).is_err());
    }
}

#[test]
#[should_panic(expected = "was told")]
fn test_reject_a_sender_that_is_not_the_caller() {
    let (mut d, _) = good();
    // A delivery as the oracle expects it, but stamped with another service.
    let stamp = |service| Return::Message {
        len: 0,
        service: nexus_abi::ServiceId(service),
        incarnation: 1,
        badge: 0,
        token: 0x100,
        cap: Handle::NONE,
    };
    d.oracle.told.clear();
    d.oracle.tell(ProcIndex(0), stamp(1));
    d.w.m.returns = vec![(ProcIndex(0), stamp(2))];
    let _never = d.compare("spoof".into());
}

#[test]
#[should_panic(expected = "was told nothing")]
fn test_reject_a_caller_left_hanging() {
    let (mut d, _) = good();
    let running = d.w.running().unwrap();
    d.oracle.told.clear();
    d.oracle.tell(running, Return::OK);
    d.w.m.returns.clear();
    let _never = d.compare("silence".into());
}

#[test]
fn a_refused_call_with_an_effect_is_visible() {
    let (_, v) = good();
    let quiet = v.clone().without_traces(false);
    let mut v = v;
    v.pool.events_produced += 1;
    assert!(v.clone().without_traces(false) == quiet);
    v.vmos[0].seal = if v.vmos[0].seal.is_none() { Some(Seal::Exec) } else { None };
    assert!(v.without_traces(false) != quiet);
}
