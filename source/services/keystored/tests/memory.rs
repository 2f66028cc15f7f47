//! K29: what was forgotten is nowhere in this process's memory, the stack included. A program of its own, with one
//! test: all writable pages are searched, so nobody else may be writing them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::FileExt as _;

use common::*;
use nexus_wire::keys::{Rotation, Status};
use zeroize::Zeroize as _;

/// Windows are kept as their complement, so that what is looked for is not found in the list.
type Hidden = [u8; 8];

fn hidden(secret: &[u8]) -> Vec<Hidden> {
    let hide = |window: &[u8]| <[u8; 8]>::try_from(window).unwrap().map(|byte| !byte);
    secret.windows(8).map(hide).collect()
}

/// How many places of this process's writable memory hold one of the windows.
fn found(windows: &std::collections::HashSet<Hidden>) -> usize {
    const STEP: usize = 1 << 16;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut begins = vec![false; 1 << 16];
    for [first, second, ..] in windows {
        begins[usize::from(u16::from_le_bytes([!first, !second]))] = true;
    }
    let mut buffer = vec![0; STEP + 7];
    let own = buffer.as_ptr().addr();
    let mut hits = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).unwrap().starts_with("rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let at = |hex| usize::from_str_radix(hex, 16).unwrap();
        let (from, to) = (at(from), at(to));
        for start in (from..to).step_by(STEP) {
            let len = (STEP + 7).min(to - start);
            if memory.read_exact_at(&mut buffer[..len], start as u64).is_err() {
                continue;
            }
            // What this search itself reads into is no finding: it would find every one again.
            hits += buffer[..len]
                .windows(8)
                .enumerate()
                .filter(|(_, w)| begins[usize::from(u16::from_le_bytes([w[0], w[1]]))])
                .filter(|(at, _)| !(own..own + STEP + 7).contains(&(start + at)))
                .filter(|(_, w)| windows.contains(&<[u8; 8]>::try_from(*w).unwrap().map(|b| !b)))
                .count();
        }
        buffer.fill(0);
    }
    hits
}

#[test]
fn test_reject_k29_seeds_left_in_memory() {
    let disk = disk();
    // Emptying a list drops in place: what is freed or assigned to would be written over.
    let mut place = vec![boot(&disk, 1)];
    let bench = &mut place[0];
    bench.outside.noted = Some(hidden as Notes);
    assert!(bench.service.prepare(&mut bench.outside));
    // The root secret lies in the store, which here is memory.
    bench.outside.windows.clear();
    let mut control = bench.outside.draw_noted();
    assert!(
        found(&bench.outside.windows.drain(..).collect()) > 0,
        "the search finds what is there"
    );
    control.zeroize();

    assert_eq!(bench.keygen(), Status::Ok);
    assert!(bench.sign(CLIENT, b"m").is_ok());
    let first: std::collections::HashSet<_> = bench.outside.windows.drain(..).collect();
    assert!(first.len() == 5 * 32 - 7, "the seeds of a generation");
    assert!(found(&first) > 0, "a key in use is somewhere");
    assert_eq!(bench.rotate(Rotation::Scheduled, 3), Ok(1));
    let second: std::collections::HashSet<_> = bench.outside.windows.drain(..).collect();
    assert!(bench.sign(CLIENT, b"m").is_ok());

    // Read by another instance: the keys move over its stack once more.
    let mut later = vec![boot(&disk, 2)];
    let bench = &mut later[0];
    assert!(bench.service.prepare(&mut bench.outside));
    later.clear();
    place.clear();
    let left = [&first, &second].map(found);
    assert_eq!(left, [0, 0], "seeds are left behind");
}
