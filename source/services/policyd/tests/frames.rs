//! Frames as bytes: whatever they are, one reply, one record, no panic.
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

use std::sync::atomic::AtomicU64;

use common::{Bench, CLIENT, INIT, PEER, control, from, policy};
use nexus_service::{
    lane::{Consumer, Producer},
    step,
};
use nexus_wire::{
    audit::{self, Decision, Reason, Record},
    policy::{Response, Status},
    testing::{Random, Requests, requests},
};
use policyd::{Env, NoRoom, Policyd};

fn bench() -> Bench {
    Bench::new(Some(policy()))
}

/// The protocol's golden requests.
fn golden() -> Requests {
    requests(include_str!("../../../libs/nexus-wire/golden/policy.txt"))
}

#[test]
fn every_golden_request_is_decided_and_recorded() {
    let golden = golden();
    assert!(golden.len() >= 11, "a vector per operation and version");
    for (name, frame) in golden {
        let (reply, record) = bench().frame(from(PEER), &frame);
        let reply = Response::decode(&reply).unwrap();
        // Strangers and foreign subjects all: a decision each, and none of them is allow.
        assert_eq!(reply.status, Status::Deny, "{name}");
        assert_eq!((reply.version, reply.body.code()), (frame[2], frame[3]), "{name}");
        assert_eq!(record.decision, Decision::Deny, "{name}");
        assert!(!matches!(record.op, audit::Op::Malformed | audit::Op::Unsupported), "{name}");
    }
}

#[test]
fn test_reject_every_truncation_and_every_extra_byte() {
    for (name, frame) in golden() {
        for len in 0..frame.len() {
            refused(&frame[..len], &name);
        }
        let longer = [&frame[..], &[0]].concat();
        refused(&longer, &name);
        let oversize = [&frame[..], &[0xff; 512]].concat();
        refused(&oversize[..512], &name);
    }
}

fn refused(frame: &[u8], name: &str) {
    let (reply, record) = bench().frame(from(CLIENT), frame);
    let reply = Response::decode(&reply).unwrap();
    assert_eq!(reply.status, Status::Malformed, "{name} {frame:02x?}");
    assert_eq!((record.op, record.reason), (audit::Op::Malformed, Reason::Malformed), "{name}");
    assert_eq!((record.decision, record.subject), (Decision::Deny, CLIENT), "{name}");
    if let [b'P', b'O', version @ (2 | 3), _, n0, n1, n2, n3, ..] = *frame {
        let nonce = u32::from_le_bytes([n0, n1, n2, n3]);
        assert_eq!((reply.version, reply.nonce), (version, Some(nonce)), "the nonce comes back");
        assert_eq!(record.nonce, nonce);
    }
}

#[test]
fn test_reject_oversized_policy_query() {
    let mut frame = [b'a'; 512];
    frame[..5].copy_from_slice(&[0x50, 0x4f, 1, 1, 255]);
    refused(&frame, "a name of 255");
    let mut long = vec![0x50, 0x4f, 1, 4, 20, 0, 0, 0, 0, 0, 0, 0, 49];
    long.extend([b'a'; 49]);
    refused(&long, "a capability of 49");
}

#[test]
fn test_reject_empty_and_non_utf8_capabilities() {
    let head = [0x50, 0x4f, 1, 4, 20, 0, 0, 0, 0, 0, 0, 0];
    refused(&[&head[..], &[0]].concat(), "empty");
    refused(&[&head[..], &[2, 0xc3, 0x28]].concat(), "not UTF-8");
}

#[test]
fn test_reject_unknown_versions_and_operations() {
    for frame in
        [[0x50, 0x4f, 4, 1, 1, b'a'], [0x50, 0x4f, 0, 9, 0, 0], [0x50, 0x4f, 1, 0x7f, 0, 0]]
    {
        let (reply, record) = bench().frame(from(CLIENT), &frame);
        assert_eq!(reply, [0x50, 0x4f, 1, frame[3] | 0x80, 3, 0]);
        assert_eq!((record.op, record.reason), (audit::Op::Unsupported, Reason::Unsupported));
        assert_eq!(record.args, [u64::from(frame[2]) | (u64::from(frame[3]) << 8), 0]);
    }
    let (reply, _) = bench().frame(from(CLIENT), &[0x50, 0x4f, 3, 1, 7, 0, 0, 0]);
    assert_eq!(reply, [0x50, 0x4f, 3, 0x81, 7, 0, 0, 0, 3, 0], "version asked, nonce echoed");
}

#[test]
fn junk_is_answered_as_ever() {
    // The last one is a reply, which no server is asked.
    for frame in
        [&b""[..], b"P", b"PO", b"junk, and a lot of it", &[0; 512], b"PO\x02\x85\x07\0\0\0\x00\0"]
    {
        let (reply, _) = bench().frame(from(CLIENT), frame);
        assert_eq!(reply, [0x50, 0x4f, 1, 0x81, 2, 0]);
    }
}

/// Records go through a real lane with nobody reading.
struct Lane<'m> {
    producer: Producer<&'m [AtomicU64]>,
    rung: u64,
}

impl Env for Lane<'_> {
    fn now_ns(&mut self) -> u64 {
        0
    }
    fn append(&mut self, record: &Record) -> Result<u64, NoRoom> {
        let pushed = self.producer.push(&record.to_words());
        self.rung += u64::from(self.producer.should_ring());
        pushed.map_err(|full| NoRoom { seq: full.seq })
    }
    fn read_blob(&mut self, _: nexus_abi::Handle, _: &mut policyd::Blob) -> Result<usize, Reason> {
        Err(Reason::BlobMissing)
    }
    fn close(&mut self, _: nexus_abi::Handle) {}
    fn keep(&mut self, _: &policyd::Blob) {}
}

#[test]
fn a_flood_of_random_frames_is_answered_and_accounted_to_the_last() {
    const FRAMES: u64 = 100_000;
    let memory: Vec<AtomicU64> = (0..16 + 16 * 64).map(|_| AtomicU64::new(0)).collect();
    let mut env = Lane { producer: Producer::attach(&memory[..]).unwrap(), rung: 0 };
    let mut consumer = Consumer::attach(&memory[..]).unwrap();
    let mut policyd = Policyd::start(Some(policy()), common::loader(), &mut env);
    let golden = golden();
    let (mut random, mut stored, mut allows) = (Random(1), 0u64, 0u64);
    for n in 0..FRAMES {
        let frame = random.frame(&golden);
        let sender = if random.below(2) == 0 { control(INIT) } else { from(random.below(40)) };
        let reply = step(&mut policyd, sender, &frame, &mut env);
        let reply = Response::decode(reply.bytes()).expect("a reply of the protocol");
        allows += u64::from(reply.status == Status::Allow);
        if n % 1000 < 500 {
            while let Some(words) = consumer.pop() {
                assert!(Record::from_words(&words).is_some());
                stored += 1;
            }
        }
    }
    stored += std::iter::from_fn(|| consumer.pop()).count() as u64;
    let counters = consumer.counters();
    assert_eq!(counters.produced, FRAMES + 1, "one per request, and one for the start");
    assert_eq!(counters.produced, stored + counters.lost);
    assert!(counters.lost > 0 && env.rung > 0, "the flood did overrun the lane");
    assert!(allows > 0, "the flood did reach decisions");
}
