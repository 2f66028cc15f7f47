//! Callers' own secrets and counters.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use keystored::{COUNTERS, SLOTS_MAX, SLOTS_PER_OWNER};
use nexus_wire::keys::{KEY_MAX, Op, Slot, Status, VALUE_MAX};

fn del(bench: &mut Bench, from: u64, key: &[u8]) -> Status {
    bench.status(from, Op::Del { slot: Slot::new(key, b"").unwrap() })
}

#[test]
fn a_secret_comes_back_to_its_owner_over_boots() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.put(CLIENT, b"token", b"secret"), Status::Ok);
    assert_eq!(bench.put(CLIENT, b"token", b"newer"), Status::Ok);
    assert_eq!(bench.put(CLIENT, b"empty", b""), Status::Ok);
    let mut bench = boot(&disk, 2);
    assert_eq!(bench.get(CLIENT, b"token"), Ok(b"newer".to_vec()));
    assert_eq!(bench.get(CLIENT, b"empty"), Ok(vec![]));
    assert_eq!(del(&mut bench, CLIENT, b"token"), Status::Ok);
    assert_eq!(del(&mut bench, CLIENT, b"token"), Status::NotFound);
    assert_eq!(bench.get(CLIENT, b"token"), Err(Status::NotFound));
}

/// K07, K42: what is another's and what is nobody's looks the same, byte for byte.
#[test]
fn test_reject_anothers_secret_exactly_as_a_missing_one() {
    let mut bench = boot(&disk(), 1);
    assert_eq!(bench.put(CLIENT, b"token", b"secret"), Status::Ok);
    let mut ask = |from, key: &[u8], del: bool| {
        let slot = Slot::new(key, b"").unwrap();
        let op = if del { Op::Del { slot } } else { Op::Get { slot } };
        let mut frame = [0; 512];
        let len = nexus_wire::Request { version: 2, nonce: Some(5), op }.encode(&mut frame);
        bench.raw(from, &frame[..len])
    };
    for op in [false, true] {
        let missing = ask(PEER, b"nobody", op);
        assert_eq!(ask(PEER, b"token", op), missing);
    }
    assert_eq!(bench.get(CLIENT, b"token"), Ok(b"secret".to_vec()));
    // The same name is another secret.
    assert_eq!(bench.put(PEER, b"token", b"mine"), Status::Ok);
    assert_eq!(bench.get(CLIENT, b"token"), Ok(b"secret".to_vec()));
    assert_eq!(bench.get(PEER, b"token"), Ok(b"mine".to_vec()));
}

#[test]
fn nothing_readable_of_a_secret_or_its_name_is_on_the_disk() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.put(CLIENT, b"the-name-of-it", b"the-secret-itself"), Status::Ok);
    let all: Vec<u8> = disk.borrow().iter().flat_map(|(k, v)| [&k[..], &v[..]].concat()).collect();
    for clear in [&b"the-name"[..], b"secret-it"] {
        assert!(!all.windows(clear.len()).any(|w| w == clear));
    }
}

#[test]
fn test_reject_k10_names_and_values_out_of_bounds() {
    let mut bench = boot(&disk(), 1);
    let request = |key: &[u8], value: &[u8]| {
        let mut frame = b"KS\x02\x01\x05\0\0\0".to_vec();
        frame.push(key.len() as u8);
        frame.extend((value.len() as u16).to_le_bytes());
        [frame, key.to_vec(), value.to_vec()].concat()
    };
    let status = |bench: &mut Bench, frame: &[u8]| {
        bench.outside.now_ns += 1_000_000_000;
        let answer = bench.raw(CLIENT, frame);
        nexus_wire::keys::Response::decode(&answer).unwrap().status
    };
    let (long, value) = ([b'a'; KEY_MAX + 1], [7; VALUE_MAX + 1]);
    for (key, value, expected) in [
        (&long[..KEY_MAX], &value[..VALUE_MAX], Status::Ok),
        (&long[..], &[][..], Status::TooLarge),
        (b"a", &value[..], Status::TooLarge),
        (b"", b"v", Status::Malformed),
        (b"a\0b", b"v", Status::Malformed),
        (b"a\x7f", b"v", Status::Malformed),
        (b"\xff\xfe", b"v", Status::Malformed),
        (b"\xc0\xaf", b"v", Status::Malformed),
    ] {
        assert_eq!(status(&mut bench, &request(key, value)), expected, "{key:?}");
    }
    let mut longer = request(b"a", b"v");
    longer.push(0);
    assert_eq!(status(&mut bench, &longer), Status::Malformed);
    let value = bench.get(CLIENT, &long[..KEY_MAX]).unwrap();
    assert_eq!(value, [7; VALUE_MAX]);
}

#[test]
fn test_reject_more_secrets_than_places() {
    let mut bench = boot(&disk(), 1);
    for at in 0..SLOTS_PER_OWNER {
        assert_eq!(bench.put(CLIENT, &[b'a' + at as u8], b"v"), Status::Ok);
    }
    assert_eq!(bench.put(CLIENT, b"z", b"v"), Status::Full);
    assert_eq!(bench.put(CLIENT, b"a", b"w"), Status::Ok, "a place of one's own stays");
    for at in 0..SLOTS_MAX - SLOTS_PER_OWNER {
        assert_eq!(bench.put(PEER, &[b'a' + at as u8], b"v"), Status::Ok, "not the peer's loss");
    }
    assert_eq!(bench.put(PEER, b"z", b"v"), Status::Full);
    assert_eq!(del(&mut bench, CLIENT, b"a"), Status::Ok);
    assert_eq!(bench.put(CLIENT, b"z", b"v"), Status::Ok);
}

#[test]
fn test_reject_secrets_without_entropy() {
    let mut bench = boot(&disk(), 1);
    assert!(bench.service.prepare(&mut bench.outside));
    bench.outside.entropy_fails = true;
    assert_eq!(bench.put(CLIENT, b"a", b"v"), Status::NoEntropy);
    assert_eq!(bench.get(CLIENT, b"a"), Err(Status::NotFound));
}

/// K21, K37, K38: an older record, another's record, and every byte changed.
#[test]
fn test_reject_records_that_are_not_the_newest_of_their_own() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.put(CLIENT, b"a", b"one"), Status::Ok);
    let name = disk.borrow().keys().find(|k| k.starts_with(b"s/")).cloned().unwrap();
    let floor = [&b"f/"[..], &name[2..]].concat();
    let old = disk.borrow()[&name].clone();
    assert_eq!(bench.put(CLIENT, b"a", b"two"), Status::Ok);
    let new = disk.borrow()[&name].clone();
    disk.borrow_mut().insert(name.clone(), old);
    assert_eq!(bench.get(CLIENT, b"a"), Err(Status::Rollback));
    for at in 0..new.len() {
        let mut bent = new.clone();
        bent[at] ^= 0x20;
        disk.borrow_mut().insert(name.clone(), bent);
        assert_eq!(bench.get(CLIENT, b"a"), Err(Status::Damaged), "byte {at}");
    }
    disk.borrow_mut().insert(name.clone(), new.clone());
    assert_eq!(bench.get(CLIENT, b"a"), Ok(b"two".to_vec()));
    // Another's ciphertext under this name.
    assert_eq!(bench.put(PEER, b"a", b"peer"), Status::Ok);
    let foreign = {
        let records = disk.borrow();
        let key = records.keys().find(|k| k.starts_with(b"s/") && **k != name).unwrap();
        records[key].clone()
    };
    disk.borrow_mut().insert(name.clone(), foreign);
    assert_eq!(bench.get(CLIENT, b"a"), Err(Status::Damaged));
    // One of the two without the other.
    disk.borrow_mut().remove(&name);
    assert_eq!(bench.get(CLIENT, b"a"), Err(Status::Rollback));
    disk.borrow_mut().insert(name.clone(), new);
    disk.borrow_mut().remove(&floor);
    assert_eq!(bench.get(CLIENT, b"a"), Err(Status::Rollback));
    assert_eq!(del(&mut bench, CLIENT, b"a"), Status::Ok, "its owner is not stuck with it");
    assert_eq!(bench.put(CLIENT, b"a", b"three"), Status::Ok);
}

/// K39: the same content sealed twice after a rollback shares nothing.
#[test]
fn the_same_secret_is_never_sealed_alike() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert!(bench.service.prepare(&mut bench.outside));
    let fork = copy(&disk);
    assert_eq!(bench.put(CLIENT, b"a", b"same"), Status::Ok);
    let mut other = boot(&fork, 2);
    assert_eq!(other.put(CLIENT, b"a", b"same"), Status::Ok);
    let record = |disk: &Disk| {
        let records = disk.borrow();
        let key = records.keys().find(|k| k.starts_with(b"s/")).unwrap();
        records[key].clone()
    };
    let (one, two) = (record(&disk), record(&fork));
    assert_eq!(one[..72], two[..72], "the same slot and counter");
    assert_ne!(one[72..104], two[72..104], "another salt");
    assert_ne!(one[112..116], two[112..116], "another key stream");
}

#[test]
fn counters_only_go_up_and_are_each_callers_own() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.counter(CLIENT, 0), Ok(0));
    assert_eq!(bench.count(CLIENT, 0, 1), Ok(1));
    assert_eq!(bench.count(CLIENT, 0, u32::MAX), Ok(1 + u64::from(u32::MAX)));
    assert_eq!(bench.count(CLIENT, 3, 5), Ok(5));
    assert_eq!(bench.counter(PEER, 0), Ok(0));
    let mut bench = boot(&disk, 2);
    assert_eq!(bench.counter(CLIENT, 0), Ok(1 + u64::from(u32::MAX)));
    assert_eq!(bench.counter(CLIENT, 3), Ok(5));
    assert_eq!(bench.count(PEER, 0, 1), Ok(1));
}

#[test]
fn test_reject_counters_out_of_bounds_and_steps_of_none() {
    let mut bench = boot(&disk(), 1);
    assert_eq!(bench.count(CLIENT, 0, 0), Err(Status::Limit));
    assert_eq!(bench.count(CLIENT, COUNTERS as u8 - 1, 1), Ok(1));
    assert_eq!(bench.count(CLIENT, COUNTERS as u8, 1), Err(Status::NotFound));
    assert_eq!(bench.counter(CLIENT, u8::MAX), Err(Status::NotFound));
}

#[test]
fn test_reject_counters_that_went_back() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.count(CLIENT, 0, 1), Ok(1));
    let name = disk.borrow().keys().find(|k| k.starts_with(b"c/")).cloned().unwrap();
    let old = disk.borrow()[&name].clone();
    assert_eq!(bench.count(CLIENT, 0, 1), Ok(2));
    let newest = disk.borrow()[&name].clone();
    for (record, expected) in [(Some(old), Status::Rollback), (None, Status::Rollback)] {
        match record {
            Some(record) => drop(disk.borrow_mut().insert(name.clone(), record)),
            None => drop(disk.borrow_mut().remove(&name)),
        }
        let mut bench = boot(&disk, 2);
        assert_eq!(bench.counter(CLIENT, 0), Err(expected));
        assert_eq!(bench.count(CLIENT, 0, 1), Err(expected));
    }
    let mut bent = newest;
    bent[0] ^= 1;
    disk.borrow_mut().insert(name, bent);
    let mut bench = boot(&disk, 3);
    assert_eq!(bench.counter(CLIENT, 0), Err(Status::Damaged));
}

#[test]
fn a_cut_in_a_put_leaves_the_old_secret_or_the_new() {
    for cut in 0..2 {
        for answer_lost in [false, true] {
            let disk = disk();
            let mut bench = boot(&disk, 1);
            assert_eq!(bench.put(CLIENT, b"a", b"old"), Status::Ok);
            (bench.outside.commits_left, bench.outside.answer_lost) = (cut, answer_lost);
            let told = bench.put(CLIENT, b"a", b"new");
            let value = boot(&disk, 2).get(CLIENT, b"a").unwrap();
            assert!(value == b"new" || (value == b"old" && told != Status::Ok));
        }
    }
}

#[test]
fn what_was_in_doubt_is_read_again() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.count(CLIENT, 0, 1), Ok(1));
    (bench.outside.commits_left, bench.outside.answer_lost) = (1, true);
    assert_eq!(bench.count(CLIENT, 0, 1), Err(Status::Unavailable), "made, and not heard of");
    (bench.outside.commits_left, bench.outside.answer_lost) = (usize::MAX, false);
    assert_eq!(bench.counter(CLIENT, 0), Ok(2));
    assert_eq!(bench.count(CLIENT, 0, 1), Ok(3));
}
