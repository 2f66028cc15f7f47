//! Bytes that are no requests, and the frames of the existing protocol.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use nexus_wire::keys::{Response, Status};

/// K43.
#[test]
fn test_reject_every_length_and_every_single_byte_of_noise() {
    let (disk, mut bench) = with_keys();
    let before = disk.borrow().clone();
    for len in 0..=512usize {
        for byte in [0, 1, b'K', 0xff] {
            let answer = bench.raw(CLIENT, &vec![byte; len]);
            let reply = Response::decode(&answer).unwrap();
            assert_eq!(reply.status, Status::Malformed, "{len} times {byte}");
        }
    }
    for op in 0..=255u8 {
        for version in [0, 1, 2, 3, 0xff] {
            bench.outside.now_ns += 1_000_000_000;
            let answer = bench.raw(99, &[b'K', b'S', version, op, 1, 2, 3, 4]);
            assert!(answer.len() >= 5 && answer[4] != 0, "{op} {version}: {answer:?}");
        }
    }
    assert_eq!(*disk.borrow(), before);
}

#[test]
fn test_reject_lengths_that_point_beyond_the_frame() {
    let (_, mut bench) = with_keys();
    for (frame, expected) in [
        (&b"KS\x02\x01\x05\0\0\0\x40\xff\xffab"[..], Status::TooLarge),
        (b"KS\x02\x01\x05\0\0\0\x40\xe0\x00ab", Status::Malformed),
        (b"KS\x02\x05\x05\0\0\0\xff\xff", Status::Malformed),
        (b"KS\x02\x05\x05\0\0\0", Status::Malformed),
        (b"KS\x01\x05\x01\0\0\0a", Status::Unsupported),
        (b"KS\x01\x0c\x01\0\0\0a", Status::Unsupported),
        (b"KS\x02\x63\x05\0\0\0", Status::Unsupported),
        (b"KS\x09\x01\x05\0\0\0", Status::Unsupported),
    ] {
        let answer = bench.raw(CLIENT, frame);
        let status = Response::decode(&answer).map(|reply| reply.status);
        let status = status.or_else(|| Status::from_code(answer[4]));
        assert_eq!(status, Some(expected), "{frame:?}");
    }
}

#[test]
fn the_frames_of_the_existing_protocol_still_mean_what_they_meant() {
    let mut bench = boot(&disk(), 1);
    let mut ask = |frame: &[u8]| {
        bench.outside.now_ns += 70_000_000_000;
        bench.raw(CLIENT, frame)
    };
    assert_eq!(ask(b"KS\x01\x01\x01\x02\x00kvv"), b"KS\x01\x81\x00\x00\x00");
    assert_eq!(ask(b"KS\x01\x02\x01\x00\x00k"), b"KS\x01\x82\x00\x02\x00vv");
    assert_eq!(ask(b"KS\x01\x03\x01\x00\x00k"), b"KS\x01\x83\x00\x00\x00");
    assert_eq!(ask(b"KS\x01\x02\x01\x00\x00k"), b"KS\x01\x82\x01\x00\x00");
    assert_eq!(ask(b"KS\x01\x0b"), b"KS\x01\x8b\x0b\x00\x00", "no key yet");
    assert_eq!(ask(b"KS\x01\x0a"), b"KS\x01\x8a\x00\x00\x00");
    assert_eq!(ask(b"KS\x01\x0a"), b"KS\x01\x8a\x0a\x00\x00", "there is one");
    let public = ask(b"KS\x01\x0b");
    assert_eq!((public.len(), &public[..7]), (39, &b"KS\x01\x8b\x00\x20\x00"[..]));
    assert_eq!(ask(b"KS\x01\x0d"), b"KS\x01\x8d\x0c\x00\x00");
}
