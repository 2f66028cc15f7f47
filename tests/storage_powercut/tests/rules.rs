//! S04 to S15: one rule of the store each, and its bound.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{REGION, SECTORS, STARTS, Step, contents, disk, name, play, put, script, with};
use nexus_state::{
    Batch, BlockDevice, Contents, Durability, Error, Format, FramingKey, KeyFault, Memory, Mount,
    Operation, Quota, Store, Tail, format,
    limits::{DEVICE_MIN_SECTORS, ENTRIES_MAX, QUOTAS_MAX, VALUE_MAX_BYTES},
    probe,
};
use storage_powercut::{
    disk::{Ending, Fault, Model, SimDisk},
    format_options, mount_options,
    run::Map,
};

fn one(key: &str, value: &str) -> Map {
    Map::from([(name(1, key), value.as_bytes().to_vec())])
}

fn mount_with(disk: &mut SimDisk, how: &Mount) -> Result<u64, Error> {
    disk.open();
    let mut memory = Memory::new();
    Store::mount(disk, &mut memory, how).map(|store| store.status().sequence)
}

/// A record as it stands on the disk, small enough to be a value.
fn recorded(disk: &mut SimDisk, position: usize) -> Vec<u8> {
    let sector = disk.media()[STARTS[0] + position];
    let body = usize::from(u16::from_le_bytes([sector[24], sector[25]]));
    sector[..48 + body + 16].to_vec()
}

#[test]
fn s04_a_value_that_imitates_a_record_is_never_one() {
    let mut disk = disk(Model::Volatile);
    put(&mut disk, "a", b"true").expect("puts");
    put(&mut disk, "b", b"small").expect("puts");
    let real = recorded(&mut disk, 1);
    let mut later = real.clone();
    later[16..24].copy_from_slice(&9_u64.to_le_bytes());
    // The header of the next record exactly, with a tag that is a guess.
    let mut next = recorded(&mut disk, 1);
    next[16..24].copy_from_slice(&4_u64.to_le_bytes());
    next[32..48].copy_from_slice(&real[real.len() - 16..]);
    for forged in [real, later, next] {
        let mut disk = disk.clone();
        // Two values that end where the record's first sector ends, then the forged one.
        let changes = vec![
            (name(1, "x"), Some(vec![0; 200])),
            (name(1, "y"), Some(vec![0; 201])),
            (name(1, "z"), Some(forged.clone())),
        ];
        for mask in [0b10, 0b11] {
            disk.open();
            disk.landing = Some(mask);
            // The mount's flush, two writes, and the flush that is cut.
            disk.end_after(3, Ending::Cut);
            assert_eq!(play(&mut disk, &[Step::Commit(changes.clone())]), 0);
            assert!(disk.media()[STARTS[0] + 3].starts_with(&forged), "the value stands there");
            let (found, _) = contents(&mut disk).expect("a forged record is no damage either");
            assert_eq!(found.get(&name(1, "a")), Some(&b"true".to_vec()));
            assert_eq!(found.contains_key(&name(1, "z")), mask == 0b11);
        }
    }
}

#[test]
fn s05_damage_before_the_last_record_fails_closed_and_says_where() {
    let mut good = disk(Model::Ordered);
    for n in 0..6 {
        put(&mut good, &format!("k{n}"), &[n; 100]).expect("puts");
    }
    for at in 0..5 {
        for byte in [0, 5, 17, 40, 60, 180, 185] {
            let mut disk = good.clone();
            disk.media()[STARTS[0] + at][byte] ^= 0x10;
            let sector = (STARTS[0] + at) as u64;
            assert_eq!(contents(&mut disk), Err(Error::Damaged { sector }), "{at} {byte}");
        }
    }
}

#[test]
fn the_last_record_damaged_is_a_torn_tail_unless_the_caller_knows_better() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    let last = put(&mut disk, "k", b"2").expect("puts");
    disk.media()[STARTS[0] + 1][70] ^= 1;
    let (found, mounted) = contents(&mut disk).expect("mounts");
    assert_eq!(found, one("k", "1"));
    assert_eq!(mounted.tail, Tail::Torn { sector: STARTS[0] as u64 + 1 });
    let anchored = Mount { min_sequence: last, ..mount_options() };
    assert_eq!(mount_with(&mut disk, &anchored), Err(Error::Rollback { sequence: last - 1 }));
    let anchored = Mount { min_sequence: last - 1, ..mount_options() };
    assert_eq!(mount_with(&mut disk, &anchored), Ok(last - 1));
}

#[test]
fn s06_a_newer_superblock_torn_leaves_the_older_region_in_force() {
    let mut disk = disk(Model::Torn);
    put(&mut disk, "k", b"1").expect("puts");
    for stop in (0..208).step_by(5) {
        let mut disk = disk.clone();
        disk.open();
        disk.tear_at = Some(stop);
        // Mount's flush, one snapshot sector, its flush, and the superblock that is cut.
        disk.end_after(3, Ending::Cut);
        assert_eq!(play(&mut disk, &[Step::Compact]), 0);
        let (found, mounted) = contents(&mut disk).expect("mounts");
        assert_eq!((found, mounted.epoch), (one("k", "1"), 1), "stopped at {stop}");
    }
}

#[test]
fn a_newer_superblock_lost_later_is_damage_and_not_the_past() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    with(&mut disk, |store| store.compact()).expect("mounts").expect("compacts");
    put(&mut disk, "k", b"2").expect("puts");
    for fill in [0, 0xff] {
        let mut disk = disk.clone();
        disk.media()[8] = [fill; 512];
        assert_eq!(contents(&mut disk), Err(Error::Damaged { sector: 8 }));
    }
    disk.media()[8][100] ^= 1;
    assert_eq!(contents(&mut disk), Err(Error::Damaged { sector: 8 }));
}

#[test]
fn s08_a_flush_that_fails_is_never_a_success_and_stops_all_writing() {
    let mut disk = disk(Model::Volatile);
    put(&mut disk, "k", b"1").expect("puts");
    disk.open();
    let mut memory = Memory::new();
    let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
    let before = store.status().sequence;
    let mut batch = Batch::new();
    batch.put(1, b"k", b"2").expect("fits");
    let device = store.device_mut();
    device.fault = Some(Fault::Operation(device.operations() + 1));
    assert_eq!(store.commit(&batch), Err(Error::Io(Operation::Flush)));
    store.device_mut().fault = None;
    let operations = store.device().operations();
    assert_eq!(store.commit(&batch), Err(Error::Poisoned));
    assert_eq!(store.begin_boot([0; 16]), Err(Error::Poisoned));
    assert_eq!(store.compact(), Err(Error::Poisoned));
    let status = store.status();
    assert!(status.poisoned);
    assert_eq!(status.sequence, before);
    let mut into = [0; VALUE_MAX_BYTES];
    assert_eq!(store.get(1, b"k", &mut into), Ok(Some(&b"1"[..])));
    assert_eq!(store.device().operations(), operations, "nothing was written");
    let (found, _) = contents(&mut disk).expect("mounts again");
    assert!(found == one("k", "1") || found == one("k", "2"));
    put(&mut disk, "k", b"3").expect("and works again");
}

#[test]
fn a_write_that_fails_poisons_too_and_so_does_a_read() {
    for fault in [0, 1] {
        let mut disk = disk(Model::Ordered);
        put(&mut disk, "k", b"1").expect("puts");
        disk.open();
        let mut memory = Memory::new();
        let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
        let mut batch = Batch::new();
        batch.put(1, b"k", b"2").expect("fits");
        let device = store.device_mut();
        if fault == 0 {
            device.fault = Some(Fault::Operation(device.operations()));
            let sector = STARTS[0] as u64 + 1;
            assert_eq!(store.commit(&batch), Err(Error::Io(Operation::Write(sector))));
        } else {
            let sector = STARTS[0] as u64;
            device.fault = Some(Fault::Read(sector));
            let mut into = [0; VALUE_MAX_BYTES];
            let got = store.get(1, b"k", &mut into);
            assert_eq!(got, Err(Error::Io(Operation::Read(sector))));
        }
        store.device_mut().fault = None;
        assert_eq!(store.commit(&batch), Err(Error::Poisoned));
    }
}

#[test]
fn a_device_that_fails_while_mounting_gives_no_store() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    for sector in [0, 8, STARTS[0] as u64, STARTS[0] as u64 + 5] {
        disk.fault = Some(Fault::Read(sector));
        assert_eq!(contents(&mut disk), Err(Error::Io(Operation::Read(sector))));
    }
    disk.fault = Some(Fault::Operation(disk.operations()));
    assert_eq!(contents(&mut disk), Err(Error::Io(Operation::Flush)));
}

#[test]
fn s09_a_device_without_flush_is_never_asked_to_and_says_so() {
    let mut disk = SimDisk::new(SECTORS, Model::Ordered, 1).claiming(Durability::WriteThrough);
    format(&mut disk, &format_options()).expect("formats");
    put(&mut disk, "k", b"1").expect("puts");
    let status = with(&mut disk, |store| store.status()).expect("mounts");
    assert_eq!((status.durability, status.flushes), (Durability::WriteThrough, 0));
}

#[test]
fn s10_a_read_only_device_is_mounted_and_refuses_writes() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    let mut disk = disk.claiming(Durability::ReadOnly);
    let operations = disk.operations();
    with(&mut disk, |store| {
        let mut batch = Batch::new();
        batch.put(1, b"k", b"2").expect("fits");
        assert_eq!(store.commit(&batch), Err(Error::ReadOnly));
        assert_eq!(store.begin_boot([1; 16]), Err(Error::ReadOnly));
        assert_eq!(store.compact(), Err(Error::ReadOnly));
        assert_eq!(store.status().durability, Durability::ReadOnly);
        assert!(!store.status().poisoned);
    })
    .expect("mounts");
    assert_eq!(contents(&mut disk).expect("mounts").0, one("k", "1"));
    assert_eq!(format(&mut disk, &format_options()), Err(Error::ReadOnly));
    assert_eq!(disk.operations(), operations);
}

#[test]
fn s11_a_batch_that_does_not_fit_is_absent_and_the_store_goes_on() {
    let mut disk = disk(Model::Volatile);
    let full = with(&mut disk, |store| {
        let mut stored = 0;
        loop {
            let key = format!("k{stored}");
            let mut batch = Batch::new();
            batch.put(1, key.as_bytes(), &[7; 400]).expect("fits");
            batch.put(2, key.as_bytes(), &[8; 400]).expect("fits");
            match store.commit(&batch) {
                Ok(_) => stored += 1,
                Err(Error::Full) => break stored,
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .expect("mounts");
    let (before, mounted) = contents(&mut disk).expect("mounts");
    assert_eq!(before.len(), full * 2, "the batch that did not fit left nothing");
    assert!(full > 8, "{full}");
    with(&mut disk, |store| {
        // All that needs no more room still works, as often as one likes.
        for round in 0..200_u32 {
            let value = [round as u8; 400];
            let mut batch = Batch::new();
            batch.put(1, b"k0", &value).expect("fits");
            let sequence = store.commit(&batch).expect("replaces");
            assert!(sequence > mounted.sequence);
            assert_eq!(store.begin_boot([0; 16]), Ok(round + 1));
        }
        store.compact().expect("compacts");
        let mut batch = Batch::new();
        batch.delete(1, b"k1").expect("fits");
        batch.delete(2, b"k1").expect("fits");
        store.commit(&batch).expect("deletes when full");
        let mut batch = Batch::new();
        batch.put(1, b"new", &[9; 400]).expect("fits");
        store.commit(&batch).expect("there is room again");
    })
    .expect("mounts");
    assert_eq!(contents(&mut disk).expect("mounts").0.len(), full * 2 - 1);
}

#[test]
fn the_table_of_keys_takes_its_bound_and_not_one_more() {
    let mut disk = SimDisk::new(2064, Model::Ordered, 1);
    format(&mut disk, &format_options()).expect("formats");
    with(&mut disk, |store| {
        assert_eq!(store.status().capacity.entries as usize, ENTRIES_MAX);
        for n in 0..=ENTRIES_MAX {
            let key = format!("{n:0>64}");
            let mut batch = Batch::new();
            let value = [n as u8; 400];
            batch.put(n as u64 % 5, key.as_bytes(), &value).expect("fits");
            let done = store.commit(&batch);
            assert_eq!(done.err(), (n == ENTRIES_MAX).then_some(Error::Full), "{n}");
        }
        store.compact().expect("the fullest store can be compacted");
        let usage = store.status().usage;
        assert_eq!(usage, store.status().capacity);
    })
    .expect("mounts");
    let (found, _) = contents(&mut disk).expect("mounts");
    assert_eq!(found.len(), ENTRIES_MAX);
    assert!(found.values().all(|value| value.len() == 400));
}

#[test]
fn quotas_hold_at_their_bound_and_do_not_reach_into_other_namespaces() {
    let mut disk = disk(Model::Ordered);
    with(&mut disk, |store| {
        store.set_quota(1, Quota { entries: 2, bytes: 20 }).expect("room");
        let mut put = |namespace: u64, key: &str, len: usize| {
            let value = vec![0; len];
            let mut batch = Batch::new();
            batch.put(namespace, key.as_bytes(), &value).expect("fits");
            store.commit(&batch).map(drop)
        };
        assert_eq!(put(1, "a", 9), Ok(()));
        assert_eq!(put(1, "b", 10), Err(Error::Quota));
        assert_eq!(put(1, "b", 9), Ok(()), "20 bytes of 20");
        assert_eq!(put(1, "a", 10), Err(Error::Quota), "replacing counts the difference");
        assert_eq!(put(1, "a", 8), Ok(()));
        assert_eq!(put(1, "c", 0), Err(Error::Quota), "a third key of two");
        assert_eq!(put(2, "c", 400), Ok(()), "another namespace has its own");
        assert_eq!(put(0, "c", 400), Ok(()));
        let (usage, quota) = store.usage(1);
        assert_eq!((usage.entries, usage.bytes, quota.entries), (2, 19, 2));
        // Lowered below what is held: less is always allowed.
        store.set_quota(1, Quota { entries: 1, bytes: 5 }).expect("room");
        let mut batch = Batch::new();
        batch.put(1, b"a", &[0; 7]).expect("fits");
        assert!(store.commit(&batch).is_ok());
        let mut batch = Batch::new();
        batch.delete(1, b"b").expect("fits");
        assert!(store.commit(&batch).is_ok());
        // A batch that breaks one namespace's quota changes nothing in the others.
        let mut batch = Batch::new();
        batch.put(2, b"x", b"1").expect("fits");
        batch.put(1, b"x", b"1").expect("fits");
        assert_eq!(store.commit(&batch), Err(Error::Quota));
        assert_eq!(store.list(2, b"x", b"").count(), 0);
    })
    .expect("mounts");
}

#[test]
fn as_many_quotas_as_the_bound_and_not_one_more() {
    let mut disk = disk(Model::Ordered);
    with(&mut disk, |store| {
        let quota = Quota { entries: 1, bytes: 1 };
        for namespace in 0..QUOTAS_MAX as u64 {
            assert_eq!(store.set_quota(namespace, quota), Ok(()));
        }
        assert_eq!(store.set_quota(99, quota), Err(Error::TooManyQuotas));
        assert_eq!(store.set_quota(3, Quota::UNBOUNDED), Ok(()), "changing one needs no room");
    })
    .expect("mounts");
}

#[test]
fn s13_records_of_another_device_are_not_ours() {
    let mut ours = disk(Model::Ordered);
    let mut theirs = SimDisk::new(SECTORS, Model::Ordered, 1);
    format(&mut theirs, &Format { salt: [8; 32], ..format_options() }).expect("formats");
    for n in 0..4 {
        put(&mut ours, "k", &[n]).expect("puts");
        put(&mut theirs, "k", &[n + 100]).expect("puts");
    }
    put(&mut theirs, "k", b"theirs").expect("puts");
    // Behind our end: as if nothing was there.
    let mut disk = ours.clone();
    disk.media()[STARTS[0] + 4] = theirs.media()[STARTS[0] + 4];
    assert_eq!(contents(&mut disk).expect("mounts").0, Map::from([(name(1, "k"), vec![3])]));
    // In place of one of ours.
    disk.media()[STARTS[0] + 2] = theirs.media()[STARTS[0] + 2];
    assert_eq!(contents(&mut disk), Err(Error::Damaged { sector: STARTS[0] as u64 + 2 }));
    // All records, under our superblock: there is no record of ours, which an anchor tells.
    let (a, b) = (STARTS[0], STARTS[0] + REGION);
    let mut disk = ours.clone();
    disk.media()[a..b].copy_from_slice(&theirs.media()[a..b]);
    assert_eq!(contents(&mut disk).expect("mounts").0, Map::new());
    let anchored = Mount { min_sequence: 4, ..mount_options() };
    assert_eq!(mount_with(&mut disk, &anchored), Err(Error::Rollback { sequence: 0 }));
    // Our own record at another place of our own log.
    let mut disk = ours.clone();
    disk.media()[STARTS[0] + 4] = ours.media()[STARTS[0] + 3];
    assert_eq!(contents(&mut disk).expect("mounts").1.sequence, 4);
}

#[test]
fn test_reject_another_store_and_another_key() {
    let mut disk = disk(Model::Ordered);
    let other_id = Mount { expect: Some([9; 16]), ..mount_options() };
    assert_eq!(mount_with(&mut disk, &other_id), Err(Error::Foreign));
    let same_id = Mount { expect: Some(format_options().id), ..mount_options() };
    assert_eq!(mount_with(&mut disk, &same_id), Ok(0));
    let other_key = Mount { key: FramingKey([1; 32]), ..mount_options() };
    assert_eq!(mount_with(&mut disk, &other_key), Err(Error::Foreign));
    assert_eq!(probe(&mut disk), Ok(Contents::Store(format_options().id)));
    // A superblock in the other's place, and one of another key beside ours.
    let mut swapped = disk.clone();
    swapped.media()[8] = swapped.media()[0];
    assert_eq!(contents(&mut swapped), Err(Error::Damaged { sector: 8 }));
    swapped.media()[0] = [0; 512];
    assert_eq!(contents(&mut swapped), Err(Error::Foreign));
}

#[test]
fn s14_an_older_image_is_a_rollback_and_an_older_region_is_damage() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    let mut older = disk.clone();
    let compact = |disk: &mut SimDisk| with(disk, |store| store.compact()).expect("mounts");
    compact(&mut disk).expect("compacts");
    let between = put(&mut disk, "k", b"2").expect("puts");
    let mut middle = disk.clone();
    compact(&mut disk).expect("compacts");
    let last = put(&mut disk, "k", b"3").expect("puts");
    let anchored = Mount { min_sequence: last, ..mount_options() };
    assert_eq!(mount_with(&mut disk, &anchored), Ok(last));
    assert!(matches!(mount_with(&mut older, &anchored), Err(Error::Rollback { sequence: 1 })));
    assert_eq!(mount_with(&mut middle, &anchored), Err(Error::Rollback { sequence: between }));
    // Region A as it was in epoch 1, over epoch 3: epoch 2 was closed, so its successor is missing.
    let end = STARTS[0] + REGION;
    disk.media()[0] = older.media()[0];
    disk.media()[STARTS[0]..end].copy_from_slice(&older.media()[STARTS[0]..end]);
    assert_eq!(contents(&mut disk), Err(Error::Damaged { sector: 0 }));
}

#[test]
fn s15_what_breaks_a_bound_is_refused_before_anything_is_read() {
    let mut disk = disk(Model::Ordered);
    with(&mut disk, |store| {
        // A device that is off fails every operation: none of these gets so far.
        store.device_mut().cut();
        let mut into = [0; VALUE_MAX_BYTES];
        for (key, fault) in [
            (&b""[..], KeyFault::Empty),
            (&[b'a'; 256][..], KeyFault::TooLong),
            (b"a/../b", KeyFault::Dots),
            (b"\xff\xfe", KeyFault::Byte),
        ] {
            assert_eq!(store.get(1, key, &mut into), Err(Error::Key(fault)));
            assert_eq!(Batch::new().put(1, key, b""), Err(Error::Key(fault)));
            assert_eq!(Batch::new().delete(1, key), Err(Error::Key(fault)));
        }
        let long = [0; VALUE_MAX_BYTES + 1];
        assert_eq!(Batch::new().put(1, b"k", &long), Err(Error::ValueTooLong));
        assert_eq!(store.get(1, b"none", &mut into), Ok(None), "a missing key reads nothing");
        assert!(!store.status().poisoned);
    })
    .expect("mounts");
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let mut disk = disk(Model::Ordered);
    let sequence = put(&mut disk, "k", b"1").expect("puts");
    with(&mut disk, |store| {
        let mut batch = Batch::new();
        assert_eq!(store.commit(&batch), Ok(sequence), "an empty batch");
        batch.delete(1, b"none").expect("fits");
        assert_eq!(store.commit(&batch), Ok(sequence));
        assert_eq!(store.status().sectors_written, 0);
    })
    .expect("mounts");
}

#[test]
fn a_commit_is_one_sector_and_one_flush() {
    let mut disk = disk(Model::Ordered);
    with(&mut disk, |store| {
        let before = store.status();
        let mut batch = Batch::new();
        batch.put(1, b"k", &[1; 64]).expect("fits");
        store.commit(&batch).expect("commits");
        let after = store.status();
        assert_eq!(after.sectors_written - before.sectors_written, 1);
        assert_eq!(after.flushes - before.flushes, 1);
    })
    .expect("mounts");
}

#[test]
fn boots_are_counted_durably_and_named() {
    let mut disk = disk(Model::Volatile);
    for boot in 1..=40_u32 {
        let id = [boot as u8; 16];
        with(&mut disk, |store| {
            assert_eq!(store.mounted().boots, boot - 1);
            assert_eq!(store.begin_boot(id), Ok(boot));
        })
        .expect("mounts");
        disk.landing = Some(0);
        disk.cut();
        let (_, mounted) = contents(&mut disk).expect("mounts");
        assert_eq!((mounted.boots, mounted.boot_id), (boot, id), "compactions keep it");
    }
    assert!(contents(&mut disk).expect("mounts").1.epoch > 1);
}

#[test]
fn a_listing_is_ordered_pages_and_knows_no_other_namespace() {
    let mut disk = disk(Model::Ordered);
    for key in ["b/2", "a", "b/10", "b", "c", "b/1"] {
        put(&mut disk, key, key.as_bytes()).expect("puts");
    }
    with(&mut disk, |store| {
        let mut batch = Batch::new();
        batch.put(0, b"b/0", b"").expect("fits");
        batch.put(2, b"b/3", b"").expect("fits");
        store.commit(&batch).expect("commits");
        let list = |prefix: &str, after: &str| -> Vec<String> {
            let found = store.list(1, prefix.as_bytes(), after.as_bytes());
            found.map(|entry| entry.key.as_str().to_owned()).collect()
        };
        assert_eq!(list("", ""), ["a", "b", "b/1", "b/10", "b/2", "c"]);
        assert_eq!(list("b/", ""), ["b/1", "b/10", "b/2"]);
        assert_eq!(list("b/", "b/1"), ["b/10", "b/2"]);
        assert_eq!(list("b/", "b/2"), [""; 0]);
        assert_eq!(list("b/", "a"), ["b/1", "b/10", "b/2"]);
        assert_eq!(list("", "b"), ["b/1", "b/10", "b/2", "c"]);
        assert_eq!(list("z", ""), [""; 0]);
    })
    .expect("mounts");
}

#[test]
fn format_takes_a_blank_disk_and_nothing_else_unless_forced() {
    let mut disk = SimDisk::new(SECTORS, Model::Ordered, 1);
    assert_eq!(probe(&mut disk), Ok(Contents::Blank));
    assert_eq!(contents(&mut disk), Err(Error::Blank));
    // Someone else's data, anywhere a store would use.
    for sector in [0, 1, 8, STARTS[0], SECTORS - 1] {
        let mut disk = disk.clone();
        disk.media()[sector][510] = 0x55;
        let before = disk.operations();
        assert_eq!(probe(&mut disk), Ok(Contents::Other), "{sector}");
        assert_eq!(format(&mut disk, &format_options()), Err(Error::NotOurs));
        assert_eq!(contents(&mut disk), Err(Error::NotOurs));
        assert_eq!(disk.operations(), before + 1, "nothing but the mount's flush");
        let forced = Format { force: true, ..format_options() };
        assert_eq!(format(&mut disk, &forced), Ok(()));
        assert_eq!(contents(&mut disk).expect("mounts").0, Map::new());
    }
    format(&mut disk, &format_options()).expect("formats");
    assert_eq!(format(&mut disk, &format_options()), Err(Error::Occupied));
}

#[test]
fn formatting_again_brings_nothing_back_even_with_the_same_salt() {
    let mut disk = disk(Model::Ordered);
    assert_eq!(play(&mut disk, &script()), script().len());
    let forced = Format { force: true, ..format_options() };
    format(&mut disk, &forced).expect("formats");
    let (found, mounted) = contents(&mut disk).expect("mounts");
    assert_eq!((found, mounted.sequence, mounted.boots), (Map::new(), 0, 0));
}

#[test]
fn a_format_that_is_cut_leaves_a_blank_disk_or_a_store() {
    for model in [Model::Ordered, Model::Torn, Model::Volatile] {
        for (at, stop) in (0..3).flat_map(|at| (0..512).map(move |stop| (at, stop))) {
            let mut disk = SimDisk::new(SECTORS, model, stop as u64);
            disk.tear_at = Some(stop);
            disk.end_after(at, Ending::Cut);
            let done = format(&mut disk, &format_options());
            assert_eq!(done.is_ok(), at == 2);
            disk.cut();
            disk.open();
            match probe(&mut disk) {
                Ok(Contents::Blank) => assert!(at < 2, "an acknowledged format is there"),
                Ok(Contents::Store(_)) => {
                    assert_eq!(contents(&mut disk).expect("mounts").0, Map::new());
                    continue;
                }
                other => panic!("{model:?} {at} {stop}: {other:?}"),
            }
            format(&mut disk, &format_options()).expect("formats without force");
        }
    }
}

#[test]
fn the_smallest_device_is_one_and_a_smaller_one_is_not() {
    let mut small = SimDisk::new(DEVICE_MIN_SECTORS as usize - 1, Model::Ordered, 1);
    assert_eq!(format(&mut small, &format_options()), Err(Error::TooSmall));
    assert_eq!(probe(&mut small), Err(Error::TooSmall));
    let mut nothing = SimDisk::new(0, Model::Ordered, 1);
    assert_eq!(probe(&mut nothing), Err(Error::TooSmall));
    assert_eq!(contents(&mut nothing), Err(Error::TooSmall));
    let mut least = SimDisk::new(DEVICE_MIN_SECTORS as usize, Model::Ordered, 1);
    assert_eq!(format(&mut least, &format_options()), Ok(()));
}

#[test]
fn a_truncated_image_is_not_mounted_and_a_grown_one_is() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"1").expect("puts");
    let mut grown = disk.clone();
    grown.media().resize(4096, [0; 512]);
    assert_eq!(contents(&mut grown).expect("mounts").0, one("k", "1"));
    assert_eq!(grown.sectors(), 4096);
    disk.media().truncate(SECTORS - 1);
    assert_eq!(contents(&mut disk), Err(Error::Truncated));
    disk.media().truncate(10);
    assert_eq!(contents(&mut disk), Err(Error::TooSmall));
}

/// Both the key and its salt are fixed here, so the bytes are: a change of layout is a decision.
#[test]
fn the_layout_on_the_disk_is_this_one() {
    let mut disk = disk(Model::Ordered);
    put(&mut disk, "k", b"value").expect("puts");
    let superblock = disk.media()[0];
    assert_eq!(&superblock[..12], b"NEXSTATE\x01\0\0\0");
    assert_eq!(&superblock[16..32], b"powercut-tests--");
    let record = disk.media()[STARTS[0]];
    assert_eq!(&record[..8], b"NXSR\x01\x01\x01\0");
    assert_eq!(record[8..16], 1_u64.to_le_bytes());
    assert_eq!(record[16..24], 1_u64.to_le_bytes());
    assert_eq!(record[24..26], 26_u16.to_le_bytes());
    assert_eq!(&record[48..52], b"\x01\x01\x05\0");
    assert_eq!(&record[68..74], b"kvalue");
}
