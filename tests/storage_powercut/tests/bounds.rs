//! S11, S15: what fits, and what commits and listings answer.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{contents, disk, put, with};
use nexus_state::{
    Batch, Error, KeyFault, Quota, format,
    limits::{ENTRIES_MAX, QUOTAS_MAX, VALUE_MAX_BYTES},
};
use storage_powercut::{
    disk::{Model, SimDisk},
    format_options,
};

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
        // Also the longest batch there is.
        for round in 0..50_u8 {
            let value = [round; 400];
            let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
            let mut batch = Batch::new();
            for key in &keys {
                batch.put(1, key.as_bytes(), &value).expect("fits");
            }
            store.commit(&batch).expect("replaces eight");
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
