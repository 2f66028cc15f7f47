//! What a commit, a read and a mount cost. Counts are held; times are printed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    reason = "tests"
)]

use std::time::Instant;

use nexus_state::{Batch, Memory, Store, format, limits::ENTRIES_MAX};
use storage_powercut::{
    disk::{Model, SimDisk},
    format_options, mount_options,
    random::Random,
};

/// Sectors of a disk with regions of the largest size.
const LARGE: usize = 2064;
const COMMITS: u64 = 20_000;

#[test]
fn a_small_put_costs_one_sector_and_one_flush_with_compactions_counted() {
    let mut disk = SimDisk::new(LARGE, Model::Ordered, 1);
    format(&mut disk, &format_options()).expect("formats");
    let mut memory = Memory::new();
    let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
    let mut random = Random::new(1);
    let begin = Instant::now();
    for _ in 0..COMMITS {
        let key = [b'a' + random.below(8) as u8];
        let value = vec![7; 16 + random.below(112) as usize];
        let mut batch = Batch::new();
        match random.once_in(8) {
            true => batch.delete(1, &key).expect("fits"),
            false => batch.put(1, &key, &value).expect("fits"),
        }
        store.commit(&batch).expect("commits");
    }
    let each = begin.elapsed() / COMMITS as u32;
    let status = store.status();
    println!(
        "{COMMITS} commits, {} sectors, {} flushes, {} compactions, {each:?} each",
        status.sectors_written,
        status.flushes,
        status.epoch - 1
    );
    assert!(status.sectors_written * 100 <= COMMITS * 102);
    assert!(status.flushes * 100 <= COMMITS * 101);
}

#[test]
fn the_fullest_store_is_mounted_read_and_compacted() {
    let mut disk = SimDisk::new(LARGE, Model::Ordered, 1);
    format(&mut disk, &format_options()).expect("formats");
    let mut memory = Memory::new();
    let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
    let names: Vec<String> = (0..ENTRIES_MAX).map(|n| format!("{n:0>64}")).collect();
    let begin = Instant::now();
    for name in &names {
        let mut batch = Batch::new();
        batch.put(1, name.as_bytes(), &[7; 400]).expect("fits");
        store.commit(&batch).expect("commits");
    }
    let put = begin.elapsed() / ENTRIES_MAX as u32;
    let begin = Instant::now();
    let mut into = [0; 400];
    for name in &names {
        assert!(store.get(1, name.as_bytes(), &mut into).expect("reads").is_some());
    }
    let get = begin.elapsed() / ENTRIES_MAX as u32;
    let begin = Instant::now();
    let before = store.status().sectors_written;
    store.compact().expect("compacts");
    let (compact, sectors) = (begin.elapsed(), store.status().sectors_written - before);
    let begin = Instant::now();
    let _ended = store.into_device();
    let _store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
    let mount = begin.elapsed();
    println!(
        "{ENTRIES_MAX} keys of 64 + 400 bytes: put {put:?}, get {get:?}, \
         compaction {compact:?} and {sectors} sectors, mount {mount:?}"
    );
    assert!(sectors <= 276, "snapshot and two superblocks");
}
