//! Every operation against a store in memory: whose key, which right, which bound, which failure.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::sync::atomic::AtomicU64;

use common::{Fails, ONE, OTHER, READER, Ram, TWO, bench, boot, encoded, memory};
use nexus_state::{Durability, Error, Found, limits, open, open_behind};
use nexus_wire::{
    Bytes, FRAME_MAX,
    state::{
        BATCH_MAX, BatchBuilder, Change, KEY_MAX, Listing, Op, Pair, Reply, Response, State,
        Status, VALUE_MAX,
    },
};
use statefsd::{Kept, QUOTA, WRITERS_MAX};

fn keys(bench: &mut common::Bench<'_>, service: u64, prefix: &[u8], after: &[u8]) -> Vec<String> {
    let listing = Listing { limit: 256, prefix: Bytes::new(prefix).unwrap() };
    let op = Op::ListAfter { after: Bytes::new(after).unwrap(), listing };
    let bytes = bench.raw(service, &encoded(op));
    match Response::decode(&bytes).unwrap().body {
        Reply::ListAfter { keys } => {
            keys.iter().map(|k| String::from_utf8(k.to_vec()).unwrap()).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn batch(bench: &mut common::Bench<'_>, changes: &[Change<'_>]) -> Status {
    let mut scratch = [0; FRAME_MAX];
    let mut batch = BatchBuilder::new(&mut scratch);
    assert!(changes.iter().all(|change| batch.push(change)));
    bench.status(ONE, Op::Batch { batch: batch.finish() })
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let (mut bench, found) = boot(Ram::seeded());
    assert_eq!(found, Found::Formatted);
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
    assert_eq!(bench.put(ONE, b"b", &[7; VALUE_MAX]), Status::Ok);
    assert_eq!(bench.del(ONE, b"a"), Status::Ok);
    let (state, boots, sequence) = bench.standing(ONE).unwrap();
    assert_eq!((state, boots), (State::Durable, 1));
    let flushes = bench.disk().flushes;
    assert_eq!(bench.status(ONE, Op::Sync {}), Status::Ok);
    assert_eq!(bench.disk().flushes, flushes, "nothing was left to be flushed");
    let disk = bench.disk().clone();
    let (mut again, found) = boot(disk);
    assert_eq!(found, Found::Mounted);
    assert_eq!(again.get(ONE, b"a"), Err(Status::NotFound));
    assert_eq!(again.get(ONE, b"b"), Ok(vec![7; VALUE_MAX]));
    let (_, boots, later) = again.standing(ONE).unwrap();
    assert!(boots == 2 && later > sequence, "the boot is counted");
}

#[test]
fn two_services_have_two_values_under_one_name() {
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(ONE, b"name", b"one"), Status::Ok);
    assert_eq!(bench.put(TWO, b"name", b"two"), Status::Ok);
    assert_eq!(bench.put(TWO, b"of-two", b"two"), Status::Ok);
    assert_eq!(bench.get(ONE, b"name"), Ok(b"one".to_vec()));
    assert_eq!(bench.get(TWO, b"name"), Ok(b"two".to_vec()));
    assert_eq!(keys(&mut bench, ONE, b"", b""), ["name"]);
    assert_eq!(keys(&mut bench, TWO, b"", b""), ["name", "of-two"]);
    assert_eq!(keys(&mut bench, READER, b"", b""), [""; 0]);
    assert_eq!(bench.del(ONE, b"name"), Status::Ok);
    assert_eq!(bench.get(TWO, b"name"), Ok(b"two".to_vec()));
}

#[test]
fn test_reject_anothers_key_exactly_as_nobodys() {
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(TWO, b"of-two", b"two"), Status::Ok);
    let op = |key| Op::Get { key: Bytes::new(key).unwrap() };
    let foreign = bench.raw(ONE, &encoded(op(b"of-two")));
    let missing = bench.raw(ONE, &encoded(op(b"of-non")));
    assert_eq!(foreign, missing);
    let op = |key| Op::Del { key: Bytes::new(key).unwrap() };
    let foreign = bench.raw(ONE, &encoded(op(b"of-two")));
    assert_eq!(foreign, bench.raw(ONE, &encoded(op(b"of-non"))));
    let writes = bench.disk_asked();
    assert_eq!(bench.del(ONE, b"of-two"), Status::NotFound);
    assert_eq!(bench.disk_asked(), writes, "nothing is written for nothing");
    assert_eq!(bench.get(TWO, b"of-two"), Ok(b"two".to_vec()));
}

#[test]
fn test_reject_whoever_lacks_the_right_before_anything_is_looked_at() {
    let (mut bench, _) = boot(Ram::seeded());
    let put = Op::Put { pair: Pair::new(b"a", b"1").unwrap() };
    let listing = Listing { limit: 1, prefix: Bytes::new(b"").unwrap() };
    let key = Bytes::new(b"a").unwrap();
    let asked = bench.disk_asked();
    for op in [put, Op::Del { key }, Op::Sync {}] {
        assert_eq!(bench.status(READER, op), Status::Denied);
        assert_eq!(bench.status(OTHER, op), Status::Denied);
    }
    for op in [Op::Get { key }, Op::List { listing }, Op::Status {}] {
        assert_eq!(bench.status(OTHER, op), Status::Denied);
        assert_ne!(bench.status(READER, op), Status::Denied);
    }
    assert_eq!(bench.disk_asked(), asked);
    assert!(bench.env.asked.iter().all(|(who, _)| [READER, OTHER].contains(who)));
    // A key that is none tells a stranger nothing either.
    let bad = Op::Get { key: Bytes::new(b"..").unwrap() };
    assert_eq!(bench.status(OTHER, bad), Status::Denied);
    bench.env.policyd_is_dead = true;
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Unavailable);
    assert_eq!(bench.get(ONE, b"a"), Err(Status::Unavailable));
}

#[test]
fn test_reject_bad_keys_and_values_before_the_disk_is_asked() {
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(ONE, &[b'k'; KEY_MAX], &[1; VALUE_MAX]), Status::Ok);
    assert_eq!(bench.get(ONE, &[b'k'; KEY_MAX]), Ok(vec![1; VALUE_MAX]));
    let asked = bench.disk_asked();
    assert_eq!(bench.put(ONE, &[b'k'; KEY_MAX + 1], b""), Status::KeyTooLong);
    assert_eq!(bench.put(ONE, &[b'k'; 255], b""), Status::KeyTooLong);
    assert_eq!(bench.get(ONE, &[b'k'; KEY_MAX + 1]), Err(Status::KeyTooLong));
    assert_eq!(bench.del(ONE, &[b'k'; KEY_MAX + 1]), Status::KeyTooLong);
    assert_eq!(bench.put(ONE, b"a", &[1; VALUE_MAX + 1]), Status::ValueTooLarge);
    for key in [&b""[..], b"..", b"a/../b", b"/a", b"a/", b"A", b"\xff\xfe", b"a\0b", b"a b"] {
        assert_eq!(bench.put(ONE, key, b""), Status::InvalidKey, "{key:?}");
        assert_eq!(bench.get(ONE, key), Err(Status::InvalidKey), "{key:?}");
        assert_eq!(bench.del(ONE, key), Status::InvalidKey, "{key:?}");
    }
    assert_eq!(bench.disk_asked(), asked);
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    let (mut bench, _) = boot(Ram::seeded());
    let names: Vec<Vec<u8>> = (0..=BATCH_MAX as u8).map(|n| vec![b'a' + n]).collect();
    let puts: Vec<_> = names.iter().map(|k| Change::Put(Pair::new(k, b"1").unwrap())).collect();
    assert_eq!(batch(&mut bench, &puts[..BATCH_MAX]), Status::Ok);
    assert_eq!(keys(&mut bench, ONE, b"", b"").len(), BATCH_MAX);
    let sequence = bench.standing(ONE).unwrap().2;
    // Nine; one key twice; one that is no key at the end; none at all.
    assert_eq!(batch(&mut bench, &puts), Status::BatchLimit);
    assert_eq!(batch(&mut bench, &[Change::Del(b"a"), Change::Del(b"a")]), Status::BatchLimit);
    assert_eq!(batch(&mut bench, &[Change::Del(b"a"), Change::Del(b"..")]), Status::InvalidKey);
    assert_eq!(batch(&mut bench, &[]), Status::Malformed);
    let long = Change::Put(Pair::new(b"z", &[0; VALUE_MAX + 1]).unwrap());
    assert_eq!(batch(&mut bench, &[Change::Del(b"a"), long]), Status::ValueTooLarge);
    assert_eq!(bench.get(ONE, b"a"), Ok(b"1".to_vec()), "a refused batch removed something");
    assert_eq!(bench.standing(ONE).unwrap().2, sequence);
    let mixed = [Change::Del(b"a"), Change::Put(Pair::new(b"b", b"2").unwrap()), Change::Del(b"q")];
    assert_eq!(batch(&mut bench, &mixed), Status::Ok);
    assert_eq!(bench.get(ONE, b"a"), Err(Status::NotFound));
    assert_eq!(bench.get(ONE, b"b"), Ok(b"2".to_vec()));
}

#[test]
fn keys_come_by_page_in_order_and_none_twice() {
    let (mut bench, _) = boot(Ram::seeded());
    let mut names: Vec<String> = (0..QUOTA.entries).map(|n| format!("{n:0>64}")).collect();
    names.iter().rev().for_each(|k| assert_eq!(bench.put(ONE, k.as_bytes(), b""), Status::Ok));
    names.sort();
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = keys(&mut bench, ONE, b"0", after.as_bytes());
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        all.extend(page);
    }
    assert_eq!(all, names);
    for (limit, want) in [(0, 1), (1, 1), (2, 2), (u16::MAX, 7)] {
        let listing = Listing { limit, prefix: Bytes::new(b"").unwrap() };
        let bytes = bench.raw(ONE, &encoded(Op::List { listing }));
        let Reply::List { keys } = Response::decode(&bytes).unwrap().body else { panic!() };
        assert_eq!(keys.count(), want, "limit {limit}");
    }
}

#[test]
fn test_reject_beyond_the_quota_and_leave_the_others_their_share() {
    let (mut bench, _) = boot(Ram::seeded());
    for n in 0..QUOTA.entries {
        assert_eq!(bench.put(ONE, format!("k{n}").as_bytes(), b""), Status::Ok);
    }
    assert_eq!(bench.put(ONE, b"one-more", b""), Status::Quota);
    assert_eq!(bench.put(ONE, b"k0", b"replaced"), Status::Ok);
    assert_eq!(bench.put(TWO, b"one-more", b""), Status::Ok);
    assert_eq!(bench.del(ONE, b"k0"), Status::Ok);
    assert_eq!(bench.put(ONE, b"one-more", b""), Status::Ok);
    // The same by bytes.
    let each = QUOTA.bytes as usize / VALUE_MAX;
    let big = |n: usize| format!("b{n}");
    let filled = (0..each).take_while(|n| {
        bench.put(READER + 10, big(*n).as_bytes(), &[0; VALUE_MAX]) == Status::Denied
    });
    assert_eq!(filled.count(), each, "who may not write fills nothing");
    let filled = (0..=each)
        .take_while(|n| bench.put(TWO, big(*n).as_bytes(), &[0; VALUE_MAX]) == Status::Ok)
        .count();
    assert!(filled < each + 1 && filled * (VALUE_MAX + 3) <= QUOTA.bytes as usize);
}

#[test]
fn all_writers_at_their_quota_fit() {
    let (mut bench, _) = boot(Ram::seeded());
    let capacity = bench.env.store.as_ref().unwrap().status().capacity;
    let writers = u32::try_from(WRITERS_MAX).unwrap();
    assert!(QUOTA.entries * writers <= limits::ENTRIES_MAX as u32);
    assert!(QUOTA.entries * writers <= capacity.entries && QUOTA.bytes * writers <= capacity.bytes);
    assert_eq!(bench.put(ONE, b"a", b""), Status::Ok);
}

#[test]
fn test_reject_changes_after_the_disk_failed_and_say_so_once() {
    for (fails, operation) in [(Fails::Writes, "write"), (Fails::Flushes, "flush")] {
        let (mut bench, _) = boot(Ram::seeded());
        assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
        bench.disk().fails = fails;
        assert_eq!(bench.put(ONE, b"a", b"2"), Status::Io, "{operation}");
        bench.disk().fails = Fails::Nothing;
        let asked = bench.disk_asked();
        assert_eq!(bench.put(ONE, b"b", b"2"), Status::Io, "no second try");
        assert_eq!(bench.status(ONE, Op::Sync {}), Status::Io);
        assert_eq!(bench.disk_asked(), asked, "nothing more is written");
        assert_eq!(bench.standing(ONE).unwrap().0, State::Poisoned);
        assert_eq!(bench.get(ONE, b"a"), Ok(b"1".to_vec()), "reads go on");
        assert!(matches!(bench.env.told[..], [Error::Io(_)]), "{:?}", bench.env.told);
    }
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
    bench.disk().fails = Fails::Reads;
    assert_eq!(bench.get(ONE, b"a"), Err(Status::Io));
}

#[test]
fn test_reject_a_value_that_rotted() {
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(ONE, b"a", &[0x5a; 64]), Status::Ok);
    let rotten: Vec<usize> = (0..bench.disk().sectors.len())
        .filter(|n| bench.disk().sectors[*n].windows(64).any(|w| w == [0x5a; 64]))
        .collect();
    assert!(!rotten.is_empty());
    rotten.iter().for_each(|n| {
        let sector = &mut bench.disk().sectors[*n];
        let at = sector.windows(64).position(|w| w == [0x5a; 64]).unwrap();
        sector[at] ^= 1;
    });
    assert_eq!(bench.get(ONE, b"a"), Err(Status::Integrity));
    assert!(matches!(bench.env.told[..], [Error::Damaged { .. }]));
}

#[test]
fn without_flush_writes_count_as_they_are_and_a_read_only_disk_only_reads() {
    let mut ram = Ram::seeded();
    ram.durability = Durability::WriteThrough;
    let (mut bench, _) = boot(ram);
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
    assert_eq!(bench.standing(ONE).unwrap().0, State::WriteThrough);
    assert_eq!(bench.disk().flushes, 0);
    let mut ram = bench.disk().clone();
    ram.durability = Durability::ReadOnly;
    let (mut bench, found) = boot(ram);
    assert_eq!((found, bench.standing(ONE).unwrap().0), (Found::Mounted, State::ReadOnly));
    assert_eq!(bench.get(ONE, b"a"), Ok(b"1".to_vec()));
    assert_eq!(bench.put(ONE, b"a", b"2"), Status::ReadOnly);
    assert_eq!(bench.del(ONE, b"a"), Status::ReadOnly);
    assert_eq!(bench.status(ONE, Op::Sync {}), Status::ReadOnly);
}

#[test]
fn test_reject_everything_but_the_question_without_a_store() {
    for (state, status) in
        [(State::Absent, Status::Unavailable), (State::Refused, Status::Integrity)]
    {
        let mut bench = bench(Err(state));
        assert_eq!(bench.put(ONE, b"a", b"1"), status);
        assert_eq!(bench.get(ONE, b"a"), Err(status));
        assert_eq!(bench.status(ONE, Op::Sync {}), status);
        assert_eq!(bench.standing(ONE), Some((state, 0, 0)));
        assert_eq!(bench.standing(OTHER), None, "not even that without the right");
    }
}

#[test]
fn a_store_whose_making_was_cut_in_its_first_sector_is_made_again() {
    for torn in [1, 64, 150] {
        let (mut made, _) = boot(Ram::seeded());
        let first = made.disk().sectors[0];
        let mut cut = Ram::seeded();
        cut.sectors[0][torn..].copy_from_slice(&first[torn..]);
        assert_eq!(boot(cut).1, Found::Formatted, "{torn} bytes missing");
        let mut cut = Ram::seeded();
        cut.sectors[0][..torn].copy_from_slice(&first[..torn]);
        assert_eq!(boot(cut).1, Found::Formatted, "{torn} bytes there");
    }
}

#[test]
fn test_reject_disks_that_are_not_ours_to_format() {
    let refused = |ram: Ram| {
        let mut ram = ram;
        let before = ram.sectors.clone();
        let error = open(&mut ram, memory(), (QUOTA, 1)).err();
        assert!(ram.sectors == before, "a refused disk was touched");
        error
    };
    assert_eq!(refused(Ram::blank(4096)), Some(Error::Blank), "no seed");
    let mut zero = Ram::seeded();
    zero.seed(0);
    assert_eq!(refused(zero), Some(Error::Blank), "a seed of zeros is none");
    let mut foreign = Ram::seeded();
    foreign.sectors[0][..4].copy_from_slice(b"\xebXFS");
    foreign.sectors[700][0] = 1;
    assert_eq!(refused(foreign), Some(Error::NotOurs));
    assert_eq!(refused(Ram::blank(8)), Some(Error::TooSmall));
    // So small that the store would lie where the seed is.
    let mut nobodys = Ram::blank(4096);
    nobodys.sectors[0][..4].copy_from_slice(b"\xebXFS");
    assert_eq!(refused(nobodys), Some(Error::NotOurs), "no seed says that it is ours");
    let mut small = Ram::blank(2000);
    small.seed(5);
    assert_eq!(refused(small), Some(Error::NotOurs));
    let mut failing = Ram::seeded();
    failing.fails = Fails::Reads;
    assert!(matches!(refused(failing), Some(Error::Io(_))));
    let (mut bench, _) = boot(Ram::seeded());
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
    let good = bench.disk().clone();
    let mut corrupt = good.clone();
    for slot in [0, 8] {
        corrupt.sectors[slot][100] ^= 1;
    }
    assert!(matches!(refused(corrupt), Some(Error::Damaged { .. })), "never made anew");
    let mut truncated = good;
    truncated.sectors.truncate(1000);
    assert_eq!(refused(truncated), Some(Error::Truncated));
}

#[test]
fn test_reject_frames_that_are_no_requests() {
    let (mut bench, _) = boot(Ram::seeded());
    let asked = bench.disk_asked();
    let good = encoded(Op::Put { pair: Pair::new(b"a", b"1").unwrap() });
    for len in 0..good.len() {
        let reply = bench.raw(ONE, &good[..len]);
        let status = Response::decode(&reply).unwrap().status;
        assert!(matches!(status, Status::Malformed | Status::Unsupported), "{len}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(Response::decode(&bench.raw(ONE, &longer)).unwrap().status, Status::Malformed);
    // Version 1, the old transactions, REOPEN, and operations nobody has.
    for (at, byte) in [(2, 1), (2, 3), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 14), (3, 0)] {
        let mut other = good.clone();
        other[at] = byte;
        let reply = bench.raw(ONE, &other);
        assert_eq!(Response::decode(&reply).map(|r| r.status), Some(Status::Unsupported), "{byte}");
    }
    assert_eq!(bench.raw(ONE, &[0xff; FRAME_MAX])[4], Status::Malformed.code());
    assert_eq!(bench.disk_asked(), asked);
    assert!(bench.env.asked.is_empty(), "policyd was asked about a frame that is none");
}

/// A disk that went back while the machine ran: what was acknowledged is not there.
#[test]
fn test_reject_a_disk_older_than_what_was_acknowledged_in_this_boot() {
    let words: &'static [AtomicU64] = Box::leak((0..512).map(|_| AtomicU64::new(0)).collect());
    let kept = Kept(Some(words));
    assert_eq!(kept.anchor(), None, "the first mount of a boot has none");
    let (store, _) = open_behind(Ram::seeded(), memory(), (QUOTA, 1), kept.anchor()).unwrap();
    kept.begin(store.status().id, store.status().sequence);
    let mut bench = bench(Ok(store));
    bench.env.kept = kept;
    assert_eq!(bench.put(ONE, b"a", b"1"), Status::Ok);
    let before = bench.disk().clone();
    assert_eq!(bench.put(ONE, b"a", b"2"), Status::Ok);
    let newest = bench.disk().clone();
    let again = |mut ram: Ram| {
        let sectors = ram.sectors.clone();
        let error = open_behind(&mut ram, memory(), (QUOTA, 2), kept.anchor()).err();
        assert!(error.is_none() || ram.sectors == sectors, "a refused disk was touched");
        error
    };
    let sequence = kept.anchor().unwrap().sequence;
    assert_eq!(again(before), Some(Error::Rollback { sequence: sequence - 1 }));
    // The last record damaged looks like a cut, but for the anchor.
    let mut torn = newest.clone();
    let last = torn.sectors.iter().rposition(|s| s.starts_with(b"NXSR")).unwrap();
    torn.sectors[last][60] ^= 1;
    assert_eq!(again(torn), Some(Error::Rollback { sequence: sequence - 1 }));
    assert_eq!(again(Ram::seeded()), Some(Error::Rollback { sequence: 0 }), "nothing is made anew");
    let mut other = Ram::seeded();
    other.seed(6);
    let (mut other, _) = boot(other);
    assert_eq!((0..9).map(|_| other.put(ONE, b"a", b"3")).last(), Some(Status::Ok));
    assert_eq!(again(other.disk().clone()), Some(Error::Foreign));
    let mut poisoned = newest.clone();
    poisoned.fails = Fails::Writes;
    assert!(matches!(again(poisoned), Some(Error::Io(_))));
    assert_eq!(again(newest), None);
}
