//! From one generation to the next, with the power cut at every step.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use nexus_keys::{Certificate, Chain, Generation, Genesis, PurposeCertificate, PurposeKey};
use nexus_wire::keys::{ACTIVE, Op, Rotation, Status};

const DAY_NS: u64 = 24 * 3_600_000_000_000;

/// The chain as a verifier outside builds it.
fn chain(bench: &mut Bench, generations: u32) -> Chain {
    let genesis = Genesis::decode(&bench.chain(ROTATE, 0).unwrap()).unwrap();
    let mut chain = Chain::start(&genesis).unwrap();
    for generation in 1..=generations {
        let certificate = bench.chain(ROTATE, generation).unwrap();
        chain.extend(&Certificate::decode(&certificate).unwrap()).unwrap();
    }
    chain
}

#[test]
fn the_old_key_verifies_in_its_overlap_and_the_chain_verifies_outside() {
    let (_, mut bench) = with_keys();
    let device = bench.public(ROTATE, 0).unwrap();
    let old = bench.sign(CLIENT, b"old").unwrap();
    assert_eq!(bench.rotate(Rotation::Scheduled, 2), Ok(1));
    let new = bench.sign(CLIENT, b"new").unwrap();
    assert_eq!((old.0, new.0), (0, 1));
    assert_eq!(bench.verify((SERVICE, CLIENT), old, b"old"), Ok(true));
    assert_eq!(bench.verify((SERVICE, CLIENT), new, b"new"), Ok(true));
    let chain = chain(&mut bench, 1);
    assert_eq!(chain.device().bytes(), &device, "the first key names the device for ever");
    assert_eq!(chain.key().bytes(), &bench.public(ROTATE, ACTIVE).unwrap());
    for purpose in [SERVICE, ATTEST, CHECKPOINT] {
        for generation in [0, 1] {
            let bytes = bench.chain(purpose, generation).unwrap();
            let certificate = PurposeCertificate::decode(&bytes).unwrap();
            let key = PurposeKey::admit(&certificate, &chain).unwrap();
            assert_eq!(key.certificate().generation, Generation(generation));
            assert_eq!(bench.public(purpose, generation), Ok(*certificate.key.bytes()));
        }
    }
}

#[test]
fn test_reject_k16_the_old_key_after_its_overlap() {
    let (disk, mut bench) = with_keys();
    let old = bench.sign(CLIENT, b"old").unwrap();
    assert_eq!(bench.rotate(Rotation::Scheduled, 1), Ok(1));
    bench.outside.now_ns += DAY_NS;
    assert_eq!(bench.verify((SERVICE, CLIENT), old, b"old"), Err(Status::KeyRetired), "time");
    let mut second = boot(&disk, 2);
    assert_eq!(second.verify((SERVICE, CLIENT), old, b"old"), Ok(true), "one more boot");
    let mut third = boot(&disk, 3);
    assert_eq!(third.verify((SERVICE, CLIENT), old, b"old"), Err(Status::KeyRetired), "boots");
    assert_eq!(third.chain(SERVICE, 0), Err(Status::KeyNotFound), "removed");
    assert!(third.sign(CLIENT, b"m").is_ok());
}

#[test]
fn test_reject_k20_the_old_key_after_a_compromise() {
    let (_, mut bench) = with_keys();
    let old = bench.sign(CLIENT, b"old").unwrap();
    assert_eq!(bench.rotate(Rotation::Compromise, 64), Ok(1));
    assert_eq!(bench.verify((SERVICE, CLIENT), old, b"old"), Err(Status::KeyRevoked));
}

#[test]
fn test_reject_a_revoked_generation_for_ever() {
    let (disk, mut bench) = with_keys();
    let old = bench.sign(CLIENT, b"old").unwrap();
    assert_eq!(bench.status(CLIENT, Op::Revoke { generation: 0 }), Status::WrongPurpose, "active");
    assert_eq!(bench.rotate(Rotation::Scheduled, 9), Ok(1));
    assert_eq!(bench.verify((SERVICE, CLIENT), old, b"old"), Ok(true));
    assert_eq!(bench.status(CLIENT, Op::Revoke { generation: 7 }), Status::KeyNotFound);
    assert_eq!(bench.status(CLIENT, Op::Revoke { generation: 0 }), Status::Ok);
    assert_eq!(bench.verify((SERVICE, CLIENT), old, b"old"), Err(Status::KeyRevoked));
    let mut again = boot(&disk, 2);
    assert_eq!(again.verify((SERVICE, CLIENT), old, b"old"), Err(Status::KeyRevoked));
    // A verifier outside learns it from the newest certificate's floor.
    let bytes = again.chain(SERVICE, ACTIVE).unwrap();
    assert_eq!(PurposeCertificate::decode(&bytes).unwrap().floor, Generation(1));
}

#[test]
fn test_reject_signatures_under_another_generation() {
    let (_, mut bench) = with_keys();
    let (_, boot, signature) = bench.sign(CLIENT, b"old").unwrap();
    assert_eq!(bench.rotate(Rotation::Scheduled, 2), Ok(1));
    let claim = (1, boot, signature);
    assert_eq!(bench.verify((SERVICE, CLIENT), claim, b"old"), Ok(false));
    assert_eq!(
        bench.verify((SERVICE, CLIENT), (2, boot, signature), b"old"),
        Err(Status::KeyNotFound)
    );
    assert_eq!(bench.verify((ATTEST, CLIENT), (0, boot, signature), b"old"), Ok(false));
    assert_eq!(
        bench.verify((ROTATE, CLIENT), (0, boot, signature), b"old"),
        Err(Status::WrongPurpose)
    );
}

#[test]
fn test_reject_a_second_rotation_within_the_hour_and_endless_generations() {
    let (_, mut bench) = with_keys();
    assert_eq!(bench.rotate(Rotation::Scheduled, 0), Ok(1));
    let reason = Rotation::Scheduled;
    let op = Op::Rotate { reason, overlap_boots: 0, overlap_ns: 0 };
    assert_eq!(bench.status(CLIENT, op), Status::RateLimited);
    for generation in 2..keystored::GENERATIONS_MAX {
        assert_eq!(bench.rotate(Rotation::Scheduled, 64), Ok(generation));
    }
    assert_eq!(bench.rotate(Rotation::Scheduled, 0), Err(Status::Limit));
    assert!(bench.sign(CLIENT, b"m").is_ok());
    let keys = bench.outside.disk.borrow().len();
    assert!(keys < 30, "{keys} keys in the store");
}

#[test]
fn test_reject_an_overlap_beyond_its_bound() {
    let (_, mut bench) = with_keys();
    assert_eq!(bench.rotate(Rotation::Scheduled, 65), Err(Status::TooLarge));
    assert_eq!(bench.rotate(Rotation::Scheduled, 64), Ok(1));
}

#[test]
fn test_reject_rotation_without_entropy() {
    let (disk, mut bench) = with_keys();
    let before = disk.borrow().clone();
    bench.outside.entropy_fails = true;
    assert_eq!(bench.rotate(Rotation::Scheduled, 1), Err(Status::NoEntropy));
    assert_eq!(*disk.borrow(), before);
}

/// K15: wherever the power goes, there is exactly one active generation, it works, and what was
/// signed before still verifies.
#[test]
fn a_cut_after_every_step_leaves_one_working_generation() {
    let (mut before, mut after) = (0, 0);
    for cut in 0..12 {
        for answer_lost in [false, true] {
            let (disk, mut bench) = with_keys();
            let old = bench.sign(CLIENT, b"old").unwrap();
            (bench.outside.commits_left, bench.outside.answer_lost) = (cut, answer_lost);
            let told = bench.rotate(Rotation::Scheduled, 5);
            let mut next = boot(&disk, 2);
            let (generation, moment, signature) = next.sign(CLIENT, b"m").unwrap();
            if let Ok(told) = told {
                assert_eq!(generation, told, "told, so it stays");
            }
            if generation == 0 {
                before += 1
            } else {
                after += 1
            }
            let claim = (generation, moment, signature);
            assert_eq!(next.verify((SERVICE, CLIENT), claim, b"m"), Ok(true));
            assert_eq!(next.verify((SERVICE, CLIENT), old, b"old"), Ok(true));
            let chain = chain(&mut next, generation);
            assert_eq!(chain.generation(), Generation(generation));
            assert!(!disk.borrow().contains_key(b"id.next".as_slice()), "cut {cut}");
            // And on it goes.
            assert_eq!(next.rotate(Rotation::Scheduled, 5), Ok(generation + 1));
            assert_eq!(next.verify((SERVICE, CLIENT), old, b"old"), Ok(true));
        }
    }
    assert!(before >= 2 && after >= 2, "{before} cuts before the step that counts, {after} behind");
}

/// Two cuts in a row: the second while the first one's work is being finished.
#[test]
fn a_cut_while_finishing_is_finished_by_the_next_start() {
    for first in 0..5 {
        for second in 0..5 {
            let (disk, mut bench) = with_keys();
            bench.outside.commits_left = first;
            let _cut = bench.rotate(Rotation::Scheduled, 5);
            let mut bench = boot(&disk, 2);
            bench.outside.commits_left = second;
            let _cut = bench.sign(CLIENT, b"m");
            let mut bench = boot(&disk, 3);
            let (generation, ..) = bench.sign(CLIENT, b"m").unwrap();
            chain(&mut bench, generation);
        }
    }
}

#[test]
fn test_reject_k21_the_previous_record_of_the_identity() {
    let (disk, mut bench) = with_keys();
    let old = disk.borrow().get(b"id".as_slice()).cloned().unwrap();
    assert_eq!(bench.rotate(Rotation::Scheduled, 5), Ok(1));
    disk.borrow_mut().insert(b"id".to_vec(), old);
    let mut bench = boot(&disk, 2);
    assert_eq!(bench.sign(CLIENT, b"m"), Err(Status::Rollback));
    assert_eq!(bench.keygen(), Status::Rollback, "and no new one is made");
    assert!(bench.put(CLIENT, b"a", b"b") == Status::Ok, "the boot goes on without it");
}

#[test]
fn test_reject_k17_k18_k19_certificates_that_are_none() {
    for at in [0, 8, 12, 16, 30, 60, 100, 130, 150, 200, 260, 303] {
        let (disk, mut bench) = with_keys();
        assert_eq!(bench.rotate(Rotation::Scheduled, 5), Ok(1));
        let name = b"cert/00000001".as_slice();
        disk.borrow_mut().get_mut(name).unwrap()[at] ^= 1;
        let mut bench = boot(&disk, 2);
        assert_eq!(bench.sign(CLIENT, b"m"), Err(Status::Damaged), "byte {at}");
        assert_eq!(bench.keygen(), Status::Damaged);
    }
}
