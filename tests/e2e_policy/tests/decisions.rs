//! Allow, deny, spoof, delegation, malformed, oversize: the answers and their records.
#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{ME, authority, boot, journal, records, route, soon};
use nexus_abi::{Error, Handle, Sys, layout::FRAME_MAX};
use nexus_ipc::{ConnectError, connect, log::AuditFilter, policy::NotAllowed};
use nexus_sim::{Scenario, SimSys};
use nexus_system::{ids, names};
use nexus_wire::audit::{Decision, Op, Reason};

const DENIED: Result<(), NotAllowed> = Err(NotAllowed::Denied);

#[test]
fn granted_is_allowed_and_the_rest_denied() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, deadline) = (authority(sys), soon(sys));
        assert!(policy.check(sys, names::SELFTEST_CLIENT, deadline).is_ok());
        assert!(policy.check_cap(sys, ME, "ipc.core", deadline).is_ok());
        let missing = policy.check_cap(sys, ME, "crypto.derive.statefs", deadline);
        assert_eq!(missing, Err(NotAllowed::Denied));
        let unknown = policy.check_cap(sys, ME, "no.such", deadline);
        assert_eq!(unknown, Err(NotAllowed::Denied));
    });
}

#[test]
fn test_reject_spoofed_subject() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, deadline) = (authority(sys), soon(sys));
        let peer = ids::SELFTEST_PEER;
        assert!(policy.route(sys, ME, ids::LOGD, deadline).is_ok(), "own route");
        let of_peer = policy.route(sys, peer, ids::LOGD, deadline).map(|_| ());
        assert_eq!(of_peer, DENIED);
        assert_eq!(policy.check_cap(sys, peer, "ipc.core", deadline).map(|_| ()), DENIED);
        assert_eq!(policy.exec(sys, ids::NEXUS_INIT, 1, deadline).map(|_| ()), DENIED);
        assert_eq!(policy.check(sys, names::SELFTEST_PEER, deadline).map(|_| ()), DENIED);
    });
}

#[test]
fn test_reject_delegation_without_the_right() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, deadline) = (authority(sys), soon(sys));
        let asked = policy.check_cap_delegated(sys, ids::SELFTEST_PEER, "ipc.core", deadline);
        assert_eq!(asked.map(|_| ()), DENIED);
        let mut journal = journal(sys);
        let filter = AuditFilter { op: Some(Op::CheckCapDelegated), ..AuditFilter::default() };
        let found = records(sys, &mut journal, &filter);
        let mine = found.iter().find(|r| r.enforcer == ME.0).expect("recorded");
        assert_eq!((mine.decision, mine.reason), (Decision::Deny, Reason::Identity));
    });
}

/// logd asks policyd for its reader: the record names the reader as subject, logd as enforcer.
#[test]
fn delegated_decision_names_the_real_subject() {
    let _report = boot(Scenario::new(), |sys| {
        let mut journal = journal(sys);
        let deadline = soon(sys);
        assert!(journal.audit_stats(sys, deadline).is_ok(), "holder of audit.read");
        let filter = AuditFilter {
            subject: ME.0,
            op: Some(Op::CheckCapDelegated),
            decision: Some(Decision::Allow),
            ..AuditFilter::default()
        };
        let found = records(sys, &mut journal, &filter);
        assert!(
            found.iter().any(|r| r.enforcer == ids::LOGD.0 && r.cap.as_bytes() == b"audit.read")
        );
    });
}

#[test]
fn test_reject_route_without_the_right() {
    let _report = boot(Scenario::new(), |sys| {
        let deadline = soon(sys);
        assert_eq!(connect(sys, names::BENCH_SERVER, deadline), Err(ConnectError::Denied));
        assert_eq!(connect(sys, "nobody", deadline), Err(ConnectError::NotFound));
        let filter = AuditFilter {
            subject: ME.0,
            op: Some(Op::Route),
            decision: Some(Decision::Deny),
            ..AuditFilter::default()
        };
        let mut journal = journal(sys);
        let found = records(sys, &mut journal, &filter);
        assert_eq!(found.len(), 1, "one decision, one record");
        let record = found.first().expect("one");
        assert_eq!(record.target, ids::BENCH_SERVER.0);
        assert_eq!(record.enforcer, ids::NEXUS_INIT.0, "asked by the supervisor on our behalf");
    });
}

fn raw(sys: &mut SimSys, ep: Handle, bytes: &[u8]) -> Vec<u8> {
    sys.frame_mut()[..bytes.len()].copy_from_slice(bytes);
    let deadline = soon(sys).ns();
    let reply = sys.call(ep, bytes.len(), Handle::NONE, deadline).expect("one reply");
    sys.frame()[..reply.len].to_vec()
}

#[test]
fn test_reject_malformed_frames() {
    let _report = boot(Scenario::new(), |sys| {
        let ep = route(sys, names::POLICYD);
        let before = malformed_records(sys);
        assert_eq!(raw(sys, ep, b"bad"), b"PO\x01\x81\x02\x00");
        assert_eq!(raw(sys, ep, b""), b"PO\x01\x81\x02\x00");
        assert_eq!(
            raw(sys, ep, b"PO\x02\x02\x44\x33\x22\x11"),
            b"PO\x02\x82\x44\x33\x22\x11\x02\x00"
        );
        assert_eq!(raw(sys, ep, b"PO\x07\x01\x01x"), b"PO\x01\x81\x03\x00");
        assert_eq!(raw(sys, ep, &[0xff; FRAME_MAX]), b"PO\x01\x81\x02\x00");
        assert_eq!(malformed_records(sys), before + 5, "each leaves one record");
        let (mut policy, deadline) = (authority(sys), soon(sys));
        assert!(policy.check_cap(sys, ME, "ipc.core", deadline).is_ok());
    });
}

fn malformed_records(sys: &mut SimSys) -> usize {
    let mut journal = journal(sys);
    let of = |op| AuditFilter { subject: ME.0, op: Some(op), ..AuditFilter::default() };
    let malformed = records(sys, &mut journal, &of(Op::Malformed)).len();
    malformed + records(sys, &mut journal, &of(Op::Unsupported)).len()
}

#[test]
fn test_reject_oversize_frame_at_the_sender() {
    let _report = boot(Scenario::new(), |sys| {
        let ep = route(sys, names::POLICYD);
        let deadline = soon(sys).ns();
        let refused = sys.call(ep, FRAME_MAX + 1, Handle::NONE, deadline);
        assert_eq!(refused, Err(Error::TooLarge));
    });
}

#[test]
fn two_runs_are_the_same_run() {
    let run = || {
        boot(Scenario::new(), |sys| {
            let (mut policy, deadline) = (authority(sys), soon(sys));
            for _ in 0..50 {
                let _decided = policy.check_cap(sys, ME, "ipc.core", deadline);
            }
        })
    };
    let (first, second) = (run(), run());
    assert_eq!(first.console, second.console);
    assert_eq!((first.traps, first.now_ns), (second.traps, second.now_ns));
}
