//! What the tests of this directory share.
#![allow(dead_code, reason = "each test program uses its part")]

use nexus_state::{Batch, Error, Memory, Mounted, Store, format};
use storage_powercut::{
    disk::{Model, SimDisk},
    format_options, mount_options,
    run::{Changes, Map, apply, batch, read_all},
};

/// Sectors of the smallest device, and of one of its regions.
pub(crate) const SECTORS: usize = 80;
pub(crate) const REGION: usize = 32;
/// First sector of each region's records.
pub(crate) const STARTS: [usize; 2] = [16, 16 + REGION];

/// A formatted disk.
pub(crate) fn disk(model: Model) -> SimDisk {
    let mut disk = SimDisk::new(SECTORS, model, 1);
    format(&mut disk, &format_options()).expect("formats");
    disk
}

/// Mounts, hands the store out, and answers what the closure answers.
pub(crate) fn with<T>(
    disk: &mut SimDisk,
    work: impl FnOnce(&mut Store<'_, &mut SimDisk>) -> T,
) -> Result<T, Error> {
    disk.open();
    let mut memory = Memory::new();
    let mut store = Store::mount(disk, &mut memory, &mount_options())?;
    Ok(work(&mut store))
}

/// Everything there is, and what the mount found.
pub(crate) fn contents(disk: &mut SimDisk) -> Result<(Map, Mounted), Error> {
    with(disk, |store| read_all(store).map(|map| (map, store.mounted())))?
}

/// Puts one value in namespace 1.
pub(crate) fn put(disk: &mut SimDisk, key: &str, value: &[u8]) -> Result<u64, Error> {
    let mut changes = Batch::new();
    changes.put(1, key.as_bytes(), value)?;
    with(disk, |store| store.commit(&changes))?
}

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(Changes),
    Boot,
    Compact,
}

pub(crate) fn name(namespace: u64, key: &str) -> (u64, String) {
    (namespace, key.to_owned())
}

/// A script with every kind of record: short and longest batches, deletes, boots, compactions
/// asked for and compactions needed.
pub(crate) fn script() -> Vec<Step> {
    let eight = |byte: u8, len: usize| -> Changes {
        (0..8).map(|n| (name(1, &format!("eight/{n}")), Some(vec![byte + n; len]))).collect()
    };
    let one = |key: &str, byte: u8, len: usize| -> Step {
        Step::Commit(vec![(name(2, key), Some(vec![byte; len]))])
    };
    let gone = |key: &str| Step::Commit(vec![(name(2, key), None), (name(1, "eight/0"), None)]);
    vec![
        one("a", 1, 64),
        Step::Boot,
        one("b", 2, 400),
        Step::Commit(eight(10, 400)),
        gone("a"),
        one("c", 3, 0),
        Step::Compact,
        one("a", 4, 16),
        Step::Commit(eight(20, 40)),
        Step::Boot,
        Step::Commit(eight(30, 400)),
        Step::Commit(eight(40, 400)),
        one("b", 5, 100),
        gone("c"),
        Step::Compact,
        Step::Compact,
        one("d", 6, 399),
    ]
}

/// What is there after each number of steps, and how many boots.
pub(crate) fn history(script: &[Step]) -> Vec<(Map, u32)> {
    let mut now = (Map::new(), 0);
    let mut all = vec![now.clone()];
    for step in script {
        match step {
            Step::Commit(changes) => apply(&mut now.0, changes),
            Step::Boot => now.1 += 1,
            Step::Compact => {}
        }
        all.push(now.clone());
    }
    all
}

/// Runs a script. Answers how many steps were acknowledged.
pub(crate) fn play(disk: &mut SimDisk, script: &[Step]) -> usize {
    let mut memory = Memory::new();
    let Ok(mut store) = Store::mount(disk, &mut memory, &mount_options()) else { return 0 };
    for (done, step) in script.iter().enumerate() {
        let result = match step {
            Step::Commit(changes) => {
                store.commit(&batch(changes).expect("within bounds")).map(drop)
            }
            Step::Boot => store.begin_boot([done as u8; 16]).map(drop),
            Step::Compact => store.compact(),
        };
        if result.is_err() {
            assert!(store.device().is_off(), "step {done}: {result:?}");
            return done;
        }
    }
    script.len()
}
