//! S08 to S10: devices that fail, cannot flush or cannot be written; and formatting them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{SECTORS, STARTS, contents, disk, name, play, put, script, with};
use nexus_state::{
    Batch, BlockDevice, Contents, Durability, Error, Format, Memory, Operation, Store, format,
    limits::{DEVICE_MIN_SECTORS, VALUE_MAX_BYTES},
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
