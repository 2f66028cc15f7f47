//! Another policy in the running system, over the real kernel core and the real daemons.
#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{ME, authority, boot, journal, records, soon};
use nexus_abi::{Error, Handle, Rights, Sys};
use nexus_ipc::{
    CallError,
    log::AuditFilter,
    policy::{Client, NotAllowed, Reloaded},
    supervise,
};
use nexus_sim::{Faults, Scenario, SimSys};
use nexus_system::{ids, slots::selftest_client as slots};
use nexus_wire::audit::{Op, Reason};

/// What the next policy gives us.
const GIVEN: &str = "bundle.query";

fn offer(sys: &mut SimSys, policy: &mut Client, file: Handle) -> Result<Reloaded, CallError> {
    let copy = sys.derive(file, Rights::READ.or(Rights::GRANT), 0).expect("a copy");
    let deadline = soon(sys);
    policy.reload(sys, copy, deadline)
}

fn given(sys: &mut SimSys, policy: &mut Client) -> bool {
    let deadline = soon(sys);
    match policy.check_cap(sys, ME, GIVEN, deadline) {
        Ok(_allowed) => true,
        Err(NotAllowed::Denied) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_decision_flips_at_the_reply_and_not_before() {
    let _report = boot(Scenario::new(), |sys| {
        let (mut policy, mut journal) = (authority(sys), journal(sys));
        assert!(!given(sys, &mut policy));
        let done = offer(sys, &mut policy, slots::BLOB_POLICY_NEXT).expect("answered");
        assert!(done.loaded && done.reason == Reason::Policy, "{done:?}");
        assert!(given(sys, &mut policy));
        let filter = AuditFilter { op: Some(Op::PolicyReload), ..AuditFilter::default() };
        let found = records(sys, &mut journal, &filter);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].args, [done.version, done.version]);
        let filter = AuditFilter { op: Some(Op::PolicyLoad), ..AuditFilter::default() };
        let versions: Vec<u64> =
            records(sys, &mut journal, &filter).iter().map(|record| record.args[0]).collect();
        assert_eq!(versions, [done.version - 1, done.version], "in force, in turn");
    });
}

#[test]
fn test_reject_everything_but_a_newer_policy_of_the_trusted_key() {
    let _report = boot(Scenario::new(), |sys| {
        let mut policy = authority(sys);
        let cases = [
            (slots::BLOB_POLICY_OLDER, Reason::BlobNotNewer),
            (slots::BLOB_POLICY_FOREIGN, Reason::BlobForeignKey),
            (slots::BLOB_POLICY_UNSIGNED, Reason::BlobUnsigned),
            (slots::BLOB_POLICY_FORGED, Reason::BlobBadSignature),
            (slots::BLOB_POLICY_FLIPPED, Reason::BlobDigest),
            (slots::BLOB_POLICY_TRUNCATED, Reason::BlobTruncated),
            (slots::IMAGE_PROBE, Reason::BlobMalformed),
        ];
        for (file, reason) in cases {
            let Ok(copy) = sys.derive(file, Rights::READ.or(Rights::GRANT), 0) else { continue };
            let deadline = soon(sys);
            let done = policy.reload(sys, copy, deadline).expect("answered");
            assert_eq!((done.loaded, done.reason), (false, reason));
            assert!(!given(sys, &mut policy), "{reason:?}");
        }
    });
}

#[test]
fn test_reject_rollback_after_a_restart() {
    let _report = boot(Scenario::new(), |sys| {
        let mut policy = authority(sys);
        assert!(offer(sys, &mut policy, slots::BLOB_POLICY_NEXT).expect("answered").loaded);
        let connect = Handle::fixed(nexus_abi::layout::SLOT_CONNECT);
        let mut supervisor = supervise::Client::new(connect, 0x300);
        let deadline = soon(sys);
        supervisor.restart(sys, ids::POLICYD, (0, 0), deadline).expect("allowed");
        let later = sys.now_ns() + 10_000_000;
        sys.sleep_until(later);
        assert!(given(sys, &mut policy), "still the newer policy");
        let older = offer(sys, &mut policy, slots::BLOB_POLICY_OLDER).expect("answered");
        assert_eq!((older.loaded, older.reason), (false, Reason::BlobNotNewer));
    });
}

#[test]
fn many_offers_leave_no_capability_behind() {
    let _report = boot(Scenario::new(), |sys| {
        let mut policy = authority(sys);
        // policyd's table has 64 slots, its address space far fewer mappings.
        for _ in 0..70 {
            let done = offer(sys, &mut policy, slots::BLOB_POLICY_FOREIGN).expect("answered");
            assert_eq!(done.reason, Reason::BlobForeignKey);
        }
        assert!(offer(sys, &mut policy, slots::BLOB_POLICY_NEXT).expect("answered").loaded);
        assert!(given(sys, &mut policy));
    });
}

/// Wherever policyd dies: afterwards the old policy is in force or the new one, and whoever was
/// told "loaded" has the new one.
#[test]
fn faults_anywhere_in_a_reload_leave_one_policy_in_force() {
    for seed in 0..12 {
        let faults = Faults::seeded(seed, ids::POLICYD, 2, 120);
        let _report = boot(Scenario::new().faults(faults), |sys| {
            let deadline = soon(sys);
            let name = nexus_system::names::POLICYD;
            let Ok(ep) = nexus_ipc::connect(sys, name, deadline) else { return };
            let mut policy = Client::new(ep, 1);
            let mut loaded = false;
            for _ in 0..20 {
                let answer = offer(sys, &mut policy, slots::BLOB_POLICY_NEXT);
                loaded |= answer.is_ok_and(|done| done.loaded);
                let deadline = soon(sys);
                match policy.check_cap(sys, ME, GIVEN, deadline) {
                    Err(NotAllowed::Denied) => assert!(!loaded, "a stale deny"),
                    Ok(_) | Err(NotAllowed::Ipc(Error::PeerDied | Error::TimedOut)) => {}
                    Err(other) => panic!("{other:?}"),
                }
                let deadline = soon(sys);
                assert!(policy.check_cap(sys, ME, "crypto.derive.statefs", deadline).is_err());
            }
        });
    }
}
