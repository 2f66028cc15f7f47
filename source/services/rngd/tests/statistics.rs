//! The battery of FIPS 140-1 and its kin on a mebibyte of output, every byte drawn through
//! frames. The source is a fixed one, so the result is too. A control for each test shows that it
//! can fail.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::{Bench, CLIENT, good};
use nexus_wire::rng::Status;

/// Bytes looked at.
const BYTES: usize = 1 << 20;
const BITS: f64 = (BYTES * 8) as f64;
/// Standard deviations a count may be off: at 5, one good generator in a million and a half.
const SIGMAS: f64 = 5.0;
/// Chi-square bounds for 15 and 255 degrees of freedom, one in ten thousand outside.
const POKER: std::ops::Range<f64> = 2.16..46.17;
const BYTE_VALUES: std::ops::Range<f64> = 176.0..347.0;
/// Longest run of one value: 23 is to be expected among so many bits.
const LONG_RUN: u32 = 40;
/// Shifts of the autocorrelation: every distance up to two cipher words and a bit.
const SHIFTS: usize = 96;

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

fn off(count: f64, expected: f64, sigma: f64) -> bool {
    (count - expected).abs() > SIGMAS * sigma
}

fn monobit(words: &[u64]) -> bool {
    let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
    !off(f64::from(ones), BITS / 2.0, BITS.sqrt() / 2.0)
}

fn chi_square(counts: &[u32]) -> f64 {
    let expected = counts.iter().map(|n| f64::from(*n)).sum::<f64>() / counts.len() as f64;
    counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum()
}

fn poker(bytes: &[u8]) -> bool {
    let mut counts = [0; 16];
    for byte in bytes {
        counts[usize::from(byte >> 4)] += 1;
        counts[usize::from(byte & 15)] += 1;
    }
    POKER.contains(&chi_square(&counts))
}

fn byte_values(bytes: &[u8]) -> bool {
    let mut counts = [0; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    BYTE_VALUES.contains(&chi_square(&counts))
}

/// Lengths of all runs, from the lowest bit of the first word on.
fn run_lengths(words: &[u64]) -> Vec<(u64, u32)> {
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for word in words {
        let (mut rest, mut left) = (*word, 64);
        while left > 0 {
            let value = rest & 1;
            let same = if value == 1 { rest.trailing_ones() } else { rest.trailing_zeros() };
            let len = same.min(left);
            match runs.last_mut() {
                Some((last, sum)) if *last == value => *sum += len,
                _ => runs.push((value, len)),
            }
            rest = rest.checked_shr(len).unwrap_or(0);
            left -= len;
        }
    }
    runs
}

/// Runs of ones and of zeros, each of length 1 to 5 and of 6 and more, as often as they should be.
fn runs(words: &[u64]) -> bool {
    let mut counts = [[0u32; 6]; 2];
    for (value, len) in run_lengths(words) {
        counts[value as usize][(len.min(6) - 1) as usize] += 1;
    }
    counts.iter().all(|of_value| {
        of_value.iter().enumerate().all(|(i, count)| {
            let share = if i == 5 { 2f64.powi(-7) } else { 2f64.powi(-(i as i32) - 3) };
            let expected = BITS * share;
            !off(f64::from(*count), expected, expected.sqrt())
        })
    })
}

fn long_run(words: &[u64]) -> bool {
    run_lengths(words).iter().all(|(_, len)| *len < LONG_RUN)
}

fn autocorrelation(words: &[u64]) -> bool {
    (1..=SHIFTS).all(|shift| {
        let (by, bits) = (shift / 64, shift % 64);
        let pairs = words.len() - by - 1;
        let differing: u32 = (0..pairs)
            .map(|i| {
                let pair = u128::from(words[i + by]) | u128::from(words[i + by + 1]) << 64;
                (words[i] ^ (pair >> bits) as u64).count_ones()
            })
            .sum();
        let n = (pairs * 64) as f64;
        !off(f64::from(differing), n / 2.0, n.sqrt() / 2.0)
    })
}

/// The names of the tests that these bytes do not pass.
fn failed(bytes: &[u8]) -> Vec<&'static str> {
    let words = words(bytes);
    let verdicts = [
        ("monobit", monobit(&words)),
        ("poker", poker(bytes)),
        ("runs", runs(&words)),
        ("long run", long_run(&words)),
        ("autocorrelation", autocorrelation(&words)),
        ("byte values", byte_values(bytes)),
    ];
    verdicts.iter().filter(|(_, passed)| !passed).map(|(name, _)| *name).collect()
}

/// Drawn in replies of every length, one after the other.
fn output(seed: u64) -> Vec<u8> {
    let mut bench = Bench::boot(good(seed));
    let mut bytes = Vec::with_capacity(BYTES + 256);
    for n in (1..=256).cycle() {
        let (status, drawn) = bench.entropy(CLIENT, n);
        assert_eq!(status, Status::Ok);
        bytes.extend(drawn);
        if bytes.len() >= BYTES {
            break;
        }
    }
    bytes.truncate(BYTES);
    bytes
}

#[test]
fn a_mebibyte_of_output_passes_every_test() {
    for seed in [1, 2] {
        assert_eq!(failed(&output(seed)), [""; 0], "seed {seed}");
    }
}

#[test]
fn test_reject_controls_that_are_a_little_off() {
    let good = output(3);
    assert_eq!(failed(&good), [""; 0]);
    let with = |change: &dyn Fn(usize, &mut [u8])| {
        let mut bytes = good.clone();
        (16..BYTES - 16).for_each(|at| change(at, &mut bytes));
        failed(&bytes)
    };
    // One bit in 320 set; one nibble value for another of the same weight, one time in 16; one
    // byte in 50 with the neighbours' bits grouped; one run; one byte in 40 that came before.
    let every = |n: usize, at: usize| at.is_multiple_of(n);
    assert!(with(&|at, b| b[at] |= u8::from(every(40, at))).contains(&"monobit"));
    let swapped = |at: usize, b: &mut [u8]| {
        if every(16, at) && b[at] & 15 == 3 {
            b[at] ^= 3 ^ 5;
        }
    };
    assert!(with(&swapped).contains(&"poker"));
    let grouped = |at: usize, b: &mut [u8]| {
        if every(50, at) && b[at].count_ones() == 4 {
            b[at] = 0xf0;
        }
    };
    assert!(with(&grouped).contains(&"runs"));
    assert!(with(&|at, b| b[at] *= u8::from(!(5000..5006).contains(&at))).contains(&"long run"));
    let repeated = |at: usize, b: &mut [u8]| {
        if every(40, at) {
            b[at] = b[at - 8];
        }
    };
    assert_eq!(with(&repeated), ["autocorrelation"]);
    let value = |at: usize, b: &mut [u8]| {
        if every(3, at) && b[at] == 0x35 {
            b[at] = 0x53;
        }
    };
    assert_eq!(with(&value), ["byte values"]);
    let counter: Vec<u8> = (0..BYTES).map(|at| at as u8).collect();
    assert!(failed(&counter).len() >= 3);
}
