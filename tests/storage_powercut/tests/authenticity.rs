//! S04 to S06, S13, S14: what is not a record of this store, at this place, of this time, is none.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{REGION, SECTORS, STARTS, Step, contents, disk, name, play, put, with};
use nexus_state::{Contents, Error, Format, FramingKey, Memory, Mount, Store, Tail, format, probe};
use storage_powercut::{
    disk::{Ending, Model, SimDisk},
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
