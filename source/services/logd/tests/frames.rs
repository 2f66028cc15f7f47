//! Frames as bytes: whatever they are, one reply with a stable status, and no panic.
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

use common::{Machine, OTHER, READER, decision};
use nexus_wire::{
    audit::{Decision, Op as AuditOp},
    log::{Response, Status},
    testing::{Random, Requests, requests},
};

/// The protocol's golden requests.
fn golden() -> Requests {
    requests(include_str!("../../../libs/nexus-wire/golden/log.txt"))
}

#[test]
fn every_golden_request_is_served() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    let golden = golden();
    assert!(golden.len() >= 8, "a vector per operation and version");
    for (name, frame) in golden {
        let reply = logd.frame(READER, &frame);
        let reply = Response::decode(&reply).unwrap();
        assert_eq!(reply.status, Status::Ok, "{name}");
        assert_eq!((reply.version, reply.body.code()), (frame[2], frame[3]), "{name}");
        let nonce = (frame[2] == 2).then_some(0x1122_3344_5566_7788);
        assert_eq!(reply.nonce, nonce, "{name}");
    }
}

#[test]
fn test_reject_every_truncation_and_every_extra_byte() {
    for (name, frame) in golden() {
        let shorter = (0..frame.len()).map(|len| frame[..len].to_vec());
        let longer =
            [[&frame[..], &[0]].concat(), [&frame[..], &[7; 512]].concat()[..512].to_vec()];
        for frame in shorter.chain(longer) {
            let machine = Machine::new();
            let mut logd = machine.boot();
            let reply = logd.frame(OTHER, &frame);
            let reply = Response::decode(&reply).unwrap();
            assert_eq!(reply.status, Status::Malformed, "{name} {frame:02x?}");
            assert!(logd.outside.asked.is_empty(), "nothing to ask about");
            assert_eq!(logd.audit(OTHER, AuditOp::Malformed.code(), 2, 0).len(), 1, "{name}");
        }
    }
}

#[test]
fn test_reject_oversize_texts_unknown_operations_and_versions() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    for (frame, status) in [
        (&[b'L', b'O', 1, 1, 2, 65, 0, 0, 0, 0][..], Status::TooLarge),
        (&[b'L', b'O', 1, 1, 2, 0, 1, 1, 0, 0], Status::TooLarge),
        (&[b'L', b'O', 1, 1, 2, 0, 0, 0, 1, 2], Status::TooLarge),
        (&[b'L', b'O', 1, 1, 5, 0, 0, 0, 0, 0], Status::Malformed),
        (&[b'L', b'O', 1, 4], Status::Unsupported),
        (&[b'L', b'O', 1, 0x7f], Status::Unsupported),
        (&[b'L', b'O', 3, 1], Status::Unsupported),
        (&[b'P', b'O', 1, 1], Status::Malformed),
        (&[], Status::Malformed),
    ] {
        let reply = logd.frame(OTHER, frame);
        assert_eq!(Response::decode(&reply).unwrap().status, status, "{frame:02x?}");
    }
}

#[test]
fn a_flood_of_random_frames_is_answered_and_accounted_to_the_last() {
    const FRAMES: u64 = 100_000;
    let machine = Machine::new();
    let (mut logd, mut producer) = (machine.boot(), machine.producer());
    let (golden, mut random) = (golden(), Random(1));
    for n in 0..FRAMES {
        for _ in 0..random.below(4) {
            let record = decision(random.below(70), Decision::Deny, n as u32);
            let _full_is_counted = producer.push(&record.to_words());
        }
        if n.is_multiple_of(20_000) {
            logd = machine.boot();
        }
        let frame = random.frame(&golden);
        let from = if random.below(50) == 0 { READER } else { 100 + random.below(40) };
        let reply = logd.frame(from, &frame);
        assert!(Response::decode(&reply).is_some(), "{frame:02x?}");
    }
    let ([produced, stored, lost, evicted, retained], _) = logd.audit_stats();
    assert_eq!(produced, producer.produced());
    assert_eq!(produced, stored + lost);
    assert_eq!(retained as usize, logd::JOURNAL_RECORDS);
    assert!(evicted > 0 && lost > 0);
    assert_eq!(logd.audit(0, 0, 0, 0).len(), logd::JOURNAL_RECORDS, "every page reads back");
}
