//! policyd dead, slow or without a policy; logd dead or full: nothing is ever allowed by
//! accident, nothing is lost uncounted.
#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{ME, authority, boot, journal, records, route, soon};
use nexus_abi::{Error, Sys};
use nexus_ipc::{ConnectError, connect, echo, log::AuditFilter, policy::NotAllowed, supervise};
use nexus_sim::{Faults, Scenario, SimSys};
use nexus_system::{ids, names};
use nexus_wire::supervise::State;

fn supervisor() -> supervise::Client {
    let slot = nexus_abi::layout::SLOT_CONNECT;
    supervise::Client::new(nexus_abi::Handle::fixed(slot), 0x300)
}

/// Waits until `service` runs as another incarnation than `old`.
fn back(sys: &mut SimSys, service: nexus_abi::ServiceId, old: u32) {
    for _ in 0..1000 {
        let deadline = soon(sys);
        if let Ok(status) = supervisor().status(sys, service, deadline)
            && status.state == State::Running
            && status.incarnation != old
        {
            return;
        }
        let later = sys.now_ns() + 1_000_000;
        sys.sleep_until(later);
    }
    panic!("service did not come back");
}

fn incarnation(sys: &mut SimSys, service: nexus_abi::ServiceId) -> u32 {
    let deadline = soon(sys);
    supervisor().status(sys, service, deadline).expect("holder of service.restart").incarnation
}

#[test]
fn dead_policyd_allows_nothing() {
    let _report = boot(Scenario::new(), |sys| {
        let mut policy = authority(sys);
        let old = incarnation(sys, ids::POLICYD);
        let deadline = soon(sys);
        let down = (0, 20_000_000);
        supervisor().restart(sys, ids::POLICYD, down, deadline).expect("allowed");
        let later = sys.now_ns() + 1_000_000;
        sys.sleep_until(later);
        let check = policy.check_cap(sys, ME, "ipc.core", deadline);
        assert_eq!(check, Err(NotAllowed::Ipc(Error::PeerDied)));
        assert_eq!(connect(sys, names::LOGD, deadline), Err(ConnectError::Unavailable));
        back(sys, ids::POLICYD, old);
        let deadline = soon(sys);
        assert!(policy.check_cap(sys, ME, "ipc.core", deadline).is_ok(), "right again");
        assert_eq!(
            policy.check_cap(sys, ME, "crypto.derive.statefs", deadline),
            Err(NotAllowed::Denied)
        );
    });
}

/// Wherever a fault hits policyd, a question ends with an allow that was decided or with a
/// refusal, and never with an allow for what is not granted.
#[test]
fn faults_anywhere_in_policyd_fail_closed() {
    for seed in 0..12 {
        let faults = Faults::seeded(seed, ids::POLICYD, 2, 120);
        let _report = boot(Scenario::new().faults(faults), |sys| {
            let deadline = soon(sys);
            let Ok(ep) = connect(sys, names::POLICYD, deadline) else { return };
            let mut policy = nexus_ipc::policy::Client::new(ep, 1);
            for _ in 0..100 {
                let deadline = soon(sys);
                assert!(policy.check_cap(sys, ME, "crypto.derive.statefs", deadline).is_err());
                let _either = policy.check_cap(sys, ME, "ipc.core", deadline);
            }
        });
    }
}

#[test]
fn late_policyd_is_a_refusal() {
    let faults = (1..40).fold(Faults::none(), |f, n| f.late_reply(ids::POLICYD, n, 300_000_000));
    let report = boot(Scenario::new().faults(faults), |sys| {
        let deadline = soon(sys);
        let route = connect(sys, names::LOGD, deadline);
        assert!(route.is_err(), "no answer in time, no capability");
    });
    assert!(report.traps > 0);
}

#[test]
fn test_reject_damaged_policy_blob() {
    let report = boot(Scenario::new().damage_policy(200), |sys| {
        let deadline = soon(sys);
        assert!(connect(sys, names::LOGD, deadline).is_err(), "no valid policy, no route");
    });
    let ready = |(_, line): &(nexus_abi::ServiceId, String)| line == "policyd: ready";
    assert!(!report.console.iter().any(ready), "ready without a policy");
}

fn flood(sys: &mut SimSys, policy: &mut nexus_ipc::policy::Client, count: u32) {
    for _ in 0..count {
        let deadline = soon(sys);
        let decided = policy.check_cap(sys, ME, "ipc.core", deadline);
        assert!(decided.is_ok(), "no decision waits for the audit");
    }
}

#[test]
fn full_lane_is_counted_loss_and_never_a_brake() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, mut journal) = (authority(sys), journal(sys));
        let deadline = soon(sys);
        let before = journal.audit_stats(sys, deadline).expect("readable");
        let old = incarnation(sys, ids::LOGD);
        let deadline = soon(sys);
        supervisor().restart(sys, ids::LOGD, (0, 50_000_000), deadline).expect("allowed");
        let later = sys.now_ns() + 1_000_000;
        sys.sleep_until(later);
        flood(sys, &mut policy, 1500);
        back(sys, ids::LOGD, old);
        let deadline = soon(sys);
        let after = journal.audit_stats(sys, deadline).expect("readable");
        assert!(after.lost > before.lost, "the lane overflowed");
        assert!(after.produced >= before.produced + 1500);
        assert_eq!(after.produced, after.stored + after.lost);
        assert_eq!(after.kernel_produced, after.kernel_stored + after.kernel_lost);
    });
}

#[test]
fn flood_of_one_subject_keeps_the_records_of_others() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, mut journal) = (authority(sys), journal(sys));
        let mut peer = echo::Client::new(route(sys, names::SELFTEST_PEER), 0x400);
        let deadline = soon(sys);
        peer.burst(sys, 5, "ipc.core", deadline).expect("peer serves");
        let done = sys.now_ns() + 5_000_000;
        sys.sleep_until(done);
        let of_peer = AuditFilter { subject: ids::SELFTEST_PEER.0, ..AuditFilter::default() };
        let before = records(sys, &mut journal, &of_peer);
        assert!(before.len() >= 5, "the peer's checks are recorded");
        flood(sys, &mut policy, 3000);
        let after = records(sys, &mut journal, &of_peer);
        assert_eq!(before, after);
    });
}
