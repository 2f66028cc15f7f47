//! Replacing the policy: who may, what is believed, and what is left of everything else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::{Bench, CLIENT, INIT, PEER, compiled_as, from, policy, signed, signed_with};
use ed25519_dalek::SigningKey;
use nexus_abi::Handle;
use nexus_sel::{Policy, authoring::emit, stated_blob, with_signature};
use nexus_service::{Flow, Incoming, Service};
use nexus_wire::{
    audit::{Decision, Flags, Op as Recorded, Reason, Record},
    policy::{Op, Reply, Request, Response, Status},
};
use policyd::{Anchor, BLOB_WORDS, admit};

const CAP: Handle = Handle::fixed(40);

/// What a reload ended with.
struct Done {
    status: Status,
    reason: Reason,
    version: u64,
    flow: Flow,
    record: Record,
}

fn offer_from(bench: &mut Bench, sender: u64, blob: Result<Vec<u64>, Reason>) -> Done {
    bench.outside.offered = blob;
    bench.outside.closed.clear();
    let before = bench.outside.records.len();
    let (mut frame, mut reply) = ([0; 512], [0; 512]);
    let len = Request { version: 2, nonce: Some(9), op: Op::Reload {} }.encode(&mut frame);
    let mut room = [0; 64];
    let call = Incoming::new(from(sender), &frame[..len], &mut room, CAP);
    let (answer, flow) = bench.policyd.handle_with_cap(&call, &mut reply, &mut bench.outside);
    assert!(answer.cap.is_none());
    let response = Response::decode(&reply[..answer.len]).expect("a reply");
    assert_eq!((response.version, response.nonce), (2, Some(9)));
    let Reply::Reload { reason, version } = response.body else { panic!("{response:?}") };
    assert_eq!(bench.outside.closed, [CAP], "the capability is given up once, whatever happens");
    let records = &bench.outside.records[before..];
    let record = records.first().copied().unwrap_or(Record::new(
        Recorded::Lost,
        Decision::None,
        Reason::Overflow,
    ));
    assert!(records.len() <= 1);
    Done { status: response.status, reason, version, flow, record }
}

fn offer(bench: &mut Bench, blob: Vec<u64>) -> Done {
    offer_from(bench, INIT, Ok(blob))
}

/// Version 7 is still what answers, and nothing was kept.
fn unchanged(bench: &mut Bench) {
    assert!(bench.outside.kept.is_none());
    assert_eq!(bench.ask(from(PEER), 1, Op::Check { name: name("peer") }).0, Status::Allow);
}

fn name(name: &str) -> nexus_wire::Name<'_> {
    nexus_wire::Name::new(name).unwrap()
}

fn test_reject(blob: Vec<u64>, reason: Reason) {
    let mut bench = Bench::new(Some(policy()));
    let stated = blob.get(3).copied().unwrap_or(0);
    let done = offer(&mut bench, blob);
    assert_eq!((done.status, done.reason, done.version), (Status::Deny, reason, 7));
    assert_eq!(done.flow, Flow::Continue);
    let record = done.record;
    assert_eq!((record.op, record.decision), (Recorded::PolicyReload, Decision::Deny));
    assert_eq!((record.reason, record.enforcer, record.subject), (reason, INIT, INIT));
    if reason != Reason::BlobTooLarge {
        assert_eq!(record.args, [7, stated], "in force, offered");
    }
    assert!(record.flags.has(Flags::NONCE.or(Flags::REQUIRED)) && record.nonce == 9);
    unchanged(&mut bench);
}

#[test]
fn newer_signed_policy_is_taken_and_stops_the_old_one() {
    let mut bench = Bench::new(Some(policy()));
    let done = offer(&mut bench, signed(8));
    assert_eq!((done.status, done.reason, done.version), (Status::Allow, Reason::Policy, 8));
    assert_eq!(done.flow, Flow::Stop, "behind this reply the old policy answers nobody");
    assert_eq!((done.record.op, done.record.decision), (Recorded::PolicyReload, Decision::Allow));
    assert_eq!(done.record.args, [8, 8]);
    let kept = bench.outside.kept.take().expect("kept for the time after a death");
    let next = Policy::open(stated_blob(&*kept)).expect("whole");
    let mut bench = Bench::new(Some(nexus_leak(next, &kept)));
    assert_eq!(bench.ask(from(PEER), 1, Op::Check { name: name("peer") }).0, Status::Deny);
}

/// The same policy over memory that lives long enough.
fn nexus_leak(_checked: Policy<'_>, kept: &policyd::Blob) -> Policy<'static> {
    let words: &'static [u64] = kept.to_vec().leak();
    Policy::open(stated_blob(words)).expect("the same words")
}

#[test]
fn padding_to_whole_pages_changes_nothing() {
    let mut bench = Bench::new(Some(policy()));
    let mut blob = signed(8);
    blob.resize(blob.len().next_multiple_of(512), 0);
    assert_eq!(offer(&mut bench, blob).status, Status::Allow);
}

#[test]
fn test_reject_senders_without_the_right() {
    for sender in [CLIENT, PEER, common::ENFORCER, 999] {
        let mut bench = Bench::new(Some(policy()));
        let done = offer_from(&mut bench, sender, Ok(signed(8)));
        assert_eq!((done.status, done.flow), (Status::Deny, Flow::Continue));
        assert_eq!((done.reason, done.version), (Reason::Default, 0), "and told nothing");
        assert_eq!(done.record.decision, Decision::Deny);
        assert_eq!(done.record.args, [0, 0], "its policy was not even read");
        unchanged(&mut bench);
    }
}

#[test]
fn test_reject_rollback_and_the_same_version() {
    for version in [1, 6, 7] {
        test_reject(signed(version), Reason::BlobNotNewer);
    }
}

#[test]
fn test_reject_unsigned_foreign_and_forged() {
    let words = compiled_as(8).words;
    test_reject(words.clone(), Reason::BlobUnsigned);
    let foreign = SigningKey::from_bytes(&[3; 32]);
    test_reject(signed_with(&foreign, &words), Reason::BlobForeignKey);
    // The signature of another version, and of another key under the trusted key's name.
    for signature in [signed(9), signed_with(&foreign, &words)] {
        let (_, signature) = Policy::open(&signature).unwrap().signature().unwrap();
        let forged = with_signature(&words, &nexus_system::keys::POLICY, &signature);
        test_reject(forged, Reason::BlobBadSignature);
    }
}

#[test]
fn test_reject_a_signature_over_the_bare_digest() {
    use ed25519_dalek::Signer as _;
    let words = compiled_as(8).words;
    let digest = Policy::open(&words).unwrap().digest();
    let signature = common::bring_up().sign(&digest).to_bytes();
    let bare = with_signature(&words, &nexus_system::keys::POLICY, &signature);
    test_reject(bare, Reason::BlobBadSignature);
}

#[test]
fn test_reject_damage_of_any_kind() {
    let good = signed(8);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    test_reject(flipped, Reason::BlobDigest);
    test_reject(good[..good.len() - 1].to_vec(), Reason::BlobTruncated);
    test_reject(good[..20].to_vec(), Reason::BlobTruncated);
    test_reject(Vec::new(), Reason::BlobTruncated);
    test_reject(vec![0; 512], Reason::BlobMalformed);
    test_reject(vec![u64::MAX; BLOB_WORDS], Reason::BlobMalformed);
}

#[test]
fn test_reject_more_than_there_is_room_for() {
    test_reject(vec![0; BLOB_WORDS + 1], Reason::BlobTooLarge);
}

#[test]
fn test_reject_every_flipped_bit_of_version_signature_and_key() {
    let good = signed(8);
    let anchor = Anchor(&nexus_system::keys::POLICY);
    assert!(admit(&good, anchor).is_ok());
    for word in 3..21 {
        for bit in [0, 7, 31, 62, 63] {
            let mut flipped = good.clone();
            flipped[word] ^= 1 << bit;
            assert!(admit(&flipped, anchor).is_err(), "word {word} bit {bit}");
        }
    }
}

#[test]
fn test_reject_small_order_keys() {
    // The neutral element: without strict checks every signature of zeros verifies.
    let mut key = [0; 32];
    key[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let words = with_signature(&compiled_as(8).words, &key, &signature);
    assert_eq!(admit(&words, Anchor(&key)).err(), Some(Reason::BlobBadSignature));
}

#[test]
fn compiled_again_from_a_signed_policy_it_is_the_same_blob() {
    let words = signed(8);
    let policy = Policy::open(&words).unwrap();
    let again = nexus_sel::authoring::reemit(&policy).unwrap();
    assert_eq!(again, compiled_as(8).words);
    assert_eq!(signed_with(&common::bring_up(), &again), words, "signatures are deterministic");
    assert_eq!(emit(&nexus_sel::authoring::Model::from_policy(&policy)).unwrap(), again);
}

#[test]
fn test_reject_reload_without_a_record() {
    let mut bench = Bench::new(Some(policy()));
    bench.outside.room = bench.outside.records.len();
    let done = offer(&mut bench, signed(8));
    assert_eq!((done.status, done.reason), (Status::Deny, Reason::AuditUnavailable));
    assert_eq!((done.version, done.flow), (7, Flow::Continue));
    assert!(bench.outside.kept.is_none());
}

#[test]
fn test_reject_reload_without_a_policy_in_force() {
    let mut bench = Bench::new(None);
    let done = offer(&mut bench, signed(8));
    assert_eq!((done.status, done.reason, done.version), (Status::Deny, Reason::Default, 0));
    assert_eq!(done.record.reason, Reason::NoPolicy);
}

#[test]
fn test_reject_reload_without_a_capability() {
    let mut bench = Bench::new(Some(policy()));
    for (sender, reason) in [(INIT, Reason::BlobMissing), (PEER, Reason::Default)] {
        let (status, record) = bench.ask(from(sender), 2, Op::Reload {});
        assert_eq!((status, record.op), (Status::Deny, Recorded::PolicyReload));
        assert_eq!((record.reason, record.decision), (reason, Decision::Deny));
        assert_eq!((record.rule, record.cap.as_bytes()), (0, &b"policy.reload"[..]));
    }
}

/// What is told about an offer is about this one, and what is kept of one is nothing of the last.
#[test]
fn nothing_is_left_of_an_earlier_offer() {
    let mut bench = Bench::new(Some(policy()));
    let mut damaged = signed(9);
    damaged.resize(damaged.len() + 64, 1);
    assert_eq!(offer(&mut bench, damaged).record.args, [7, 9]);
    let done = offer_from(&mut bench, INIT, Err(Reason::BlobMissing));
    assert_eq!((done.reason, done.record.args), (Reason::BlobMissing, [7, 0]), "none was offered");
    let whole = signed(8);
    assert_eq!(offer(&mut bench, whole.clone()).status, Status::Allow);
    let kept = bench.outside.kept.take().unwrap();
    assert_eq!(kept[..whole.len()], whole);
    assert!(kept[whole.len()..].iter().all(|word| *word == 0));
}

#[test]
fn other_requests_with_a_capability_are_answered_and_the_capability_closed() {
    let mut bench = Bench::new(Some(policy()));
    let mut frame = [0; 512];
    let op = Op::Check { name: name("peer") };
    let len = Request { version: 1, nonce: None, op }.encode(&mut frame);
    for bytes in [&frame[..len], b"junk", b""] {
        bench.outside.closed.clear();
        let mut reply = [0; 512];
        let mut room = [0; 64];
        let call = Incoming::new(from(PEER), bytes, &mut room, CAP);
        let (_, flow) = bench.policyd.handle_with_cap(&call, &mut reply, &mut bench.outside);
        assert_eq!((flow, &bench.outside.closed[..]), (Flow::Continue, &[CAP][..]));
    }
}
