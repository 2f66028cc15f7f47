//! What clients see: bounds, decisions, and exactly one reply to everything.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::collections::HashSet;

use common::{Answer, Bench, CLIENT, OTHER, STRANGER, SplitMix, good};
use nexus_wire::{
    Status as Common,
    rng::{Health, Op, Response, Status},
};

/// Blocks of the start-up test and of the first seed.
const BLOCKS_AT_START: u64 = 9;

#[test]
fn draws_have_the_length_asked_for_and_never_repeat() {
    let mut bench = Bench::boot(good(1));
    assert_eq!(bench.outside.said, [Health::Well]);
    let mut seen = HashSet::new();
    for n in [1u16, 31, 32, 255, 256] {
        for _ in 0..20 {
            let (status, bytes) = bench.entropy(CLIENT, n);
            assert_eq!((status, bytes.len()), (Status::Ok, usize::from(n)));
            assert!(n < 16 || seen.insert(bytes), "a draw came twice");
        }
    }
    let (health, [raw, reseeds, answered, refused, ..]) = bench.status();
    assert_eq!((health, raw, reseeds, answered, refused), (Health::Well, 1152, 1, 100, 0));
}

/// R08.
#[test]
fn test_reject_none_and_more_than_the_bound_before_anybody_is_asked() {
    let mut bench = Bench::boot(good(1));
    for n in [0, 257, u16::MAX] {
        assert_eq!(bench.entropy(CLIENT, n), (Status::Oversized, Vec::new()));
        assert_eq!(bench.seed(STRANGER, n), (Status::Oversized, Vec::new()));
    }
    assert!(bench.outside.asked.is_empty());
    assert_eq!(bench.entropy(CLIENT, 256).0, Status::Ok);
}

#[test]
fn test_reject_who_has_no_right_while_others_are_served() {
    let mut bench = Bench::boot(good(1));
    for op in [Op::GetEntropy { n: 32 }, Op::GetSeed { n: 32 }, Op::Status {}] {
        assert_eq!(bench.ask(STRANGER, op), (Status::Denied, Vec::new()));
        assert_eq!(bench.ask(CLIENT, op).0, Status::Ok);
    }
    let names = ["rng.entropy", "rng.seed", "rng.status"];
    let asked: Vec<(u64, String)> =
        names.iter().flat_map(|n| [(STRANGER, (*n).into()), (CLIENT, (*n).into())]).collect();
    assert_eq!(bench.outside.asked, asked, "the stamped sender, once per request");
    assert_eq!(bench.entropy(OTHER, 32).0, Status::Ok);
    assert_eq!(bench.seed(OTHER, 32).0, Status::Denied, "drawing is not seeding");
}

#[test]
fn test_reject_everything_without_a_decision() {
    let mut bench = Bench::boot(good(1));
    for lack in [Common::Unavailable, Common::TimedOut, Common::Internal] {
        bench.outside.policyd = Err(lack);
        for op in [Op::GetEntropy { n: 32 }, Op::GetSeed { n: 32 }, Op::Status {}] {
            assert_eq!(bench.ask(CLIENT, op), (Status::Unavailable, Vec::new()));
        }
    }
    assert_eq!(bench.outside.requests, BLOCKS_AT_START, "the device was not asked either");
    bench.outside.policyd = Ok(());
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok);
}

#[test]
fn test_reject_frames_that_are_no_requests() {
    let mut bench = Bench::boot(good(1));
    for (frame, reply) in [
        (&b""[..], &b"RG\x01\x81\x04\0\0\0\0"[..]),
        (b"RG\x01", b"RG\x01\x81\x04\0\0\0\0"),
        (b"RG\x01\x01\x44\x33\x22", b"RG\x01\x81\x04\0\0\0\0"),
        (b"RG\x01\x01\x44\x33\x22\x11\x20", b"RG\x01\x81\x04\x44\x33\x22\x11"),
        (b"RG\x01\x01\x44\x33\x22\x11\x20\0\0", b"RG\x01\x81\x04\x44\x33\x22\x11"),
        (b"RG\x01\x7f\x44\x33\x22\x11", b"RG\x01\xff\x05\x44\x33\x22\x11"),
        (b"RG\x02\x01\x44\x33\x22\x11\x20\0", b"RG\x01\x81\x05\0\0\0\0"),
        (b"PO\x01\x01\x44\x33\x22\x11\x20\0", b"RG\x01\x81\x04\0\0\0\0"),
    ] {
        assert_eq!(bench.frame(CLIENT, frame), reply, "{frame:?}");
    }
    let long = bench.frame(CLIENT, &[0xff; 512]);
    assert!(Response::decode(&long).is_some_and(|reply| reply.status != Status::Ok));
    assert!(bench.outside.asked.is_empty());
}

#[test]
fn a_seed_asks_the_device_and_a_draw_does_not() {
    let mut bench = Bench::boot(good(1));
    for _ in 0..10 {
        assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok);
    }
    assert_eq!(bench.outside.requests, BLOCKS_AT_START);
    for n in 1..=10 {
        assert_eq!(bench.seed(CLIENT, 32).0, Status::Ok);
        assert_eq!(bench.outside.requests, BLOCKS_AT_START + n);
    }
}

/// R09: one generator, two clients; what one draws appears nowhere in what the other draws.
#[test]
fn test_reject_bytes_shared_between_interleaved_callers() {
    let mut bench = Bench::boot(good(1));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        a.extend(bench.entropy(CLIENT, 64).1);
        b.extend(bench.entropy(OTHER, 64).1);
    }
    let windows: HashSet<&[u8]> = a.windows(6).collect();
    assert!(b.windows(6).all(|window| !windows.contains(window)));
    // Copies of one machine, asked by the same client and by another.
    let draw = |client| Bench::boot(good(1)).entropy(client, 64).1;
    let (one, copy, other) = (draw(CLIENT), draw(CLIENT), draw(OTHER));
    assert_eq!(one, copy, "or the next line proves nothing");
    assert!(one.windows(6).all(|window| other.windows(6).all(|seen| seen != window)));
}

/// R11: copies of one machine are alike until the source is asked; a seed asks it.
#[test]
fn test_reject_equal_keys_after_a_snapshot() {
    let resumed = |later: Option<u64>| {
        let (mut rng, mut blocks) = (SplitMix(1), 0);
        Bench::boot(move || {
            blocks += 1;
            match later {
                Some(seed) if blocks == BLOCKS_AT_START + 1 => {
                    rng = SplitMix(seed);
                    Answer::Block(rng.block())
                }
                None if blocks > BLOCKS_AT_START => Answer::Never,
                _ => Answer::Block(rng.block()),
            }
        })
    };
    let keys: Vec<_> = (0..50).map(|n| resumed(Some(1000 + n)).seed(CLIENT, 32)).collect();
    for (n, (status, key)) in keys.iter().enumerate() {
        assert_eq!(*status, Status::Ok);
        assert!(!keys[..n].iter().any(|(_, other)| other == key));
    }
    let mut cut_off = resumed(None);
    assert_eq!(cut_off.seed(CLIENT, 32), (Status::Unavailable, Vec::new()));
}
