//! Looking at a disk from outside: what `nx state check` prints and what a replay of a real
//! boot's writes is held against.

use std::{collections::BTreeMap, string::String, vec::Vec};

use crate::{
    device::BlockDevice,
    error::Error,
    limits::{SECTOR_BYTES, VALUE_MAX_BYTES},
    options::{Contents, Mount},
    store::{Memory, Mounted, Status, Store, Usage, probe},
    superblock::{self, Found, SLOTS},
};

/// One of the two superblocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Zeros.
    Blank,
    /// Not a superblock.
    Other,
    /// Torn or damaged.
    Broken,
    /// Of a later version.
    Later(u16),
    /// Whole.
    Whole {
        /// Of its region: compactions so far, plus one.
        epoch: u64,
        /// Another region took over.
        closed: bool,
        /// Where its records begin.
        first_sector: u64,
        /// How many sectors they may take.
        sectors: u64,
        /// Sequence before its first record.
        base_sequence: u64,
    },
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Whose it is.
    pub namespace: u64,
    /// Its name.
    pub key: String,
    /// Its value, read back and checked.
    pub value: Vec<u8>,
    /// Sequence of the batch that put it.
    pub sequence: u64,
}

/// What a store holds.
#[derive(Clone, Debug)]
pub struct Holds {
    /// What the mount found.
    pub mounted: Mounted,
    /// How the store does.
    pub status: Status,
    /// Every key, in order of namespace and name.
    pub items: Vec<Item>,
}

impl Holds {
    /// What each namespace holds.
    #[must_use]
    pub fn namespaces(&self) -> BTreeMap<u64, Usage> {
        let mut all = BTreeMap::<u64, Usage>::new();
        for item in &self.items {
            let usage = all.entry(item.namespace).or_default();
            let bytes = item.key.len().saturating_add(item.value.len());
            usage.entries = usage.entries.saturating_add(1);
            usage.bytes = usage.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        all
    }
}

/// What was found on a disk.
#[derive(Clone, Debug)]
pub struct Report {
    /// How large the disk is.
    pub sectors: u64,
    /// What the superblocks say without the key.
    pub contents: Result<Contents, Error>,
    /// Each superblock, with its sector.
    pub superblocks: Vec<(u64, Slot)>,
    /// What the store holds, or why it cannot be mounted.
    pub store: Result<Holds, Error>,
}

/// Looks at all of a disk. A device that can be written is written only as a mount writes it.
pub fn inspect<D: BlockDevice>(mut device: D, how: &Mount) -> Report {
    let sectors = device.sectors();
    let contents = probe(&mut device);
    let superblocks =
        SLOTS.into_iter().filter_map(|at| Some((at, slot(&mut device, at)?))).collect();
    let mut memory = Memory::new();
    let store = Store::mount(device, &mut memory, how).and_then(|mut store| holds(&mut store));
    Report { sectors, contents, superblocks, store }
}

fn slot<D: BlockDevice>(device: &mut D, at: u64) -> Option<Slot> {
    let mut sector = [0; SECTOR_BYTES];
    device.read(at, &mut sector).ok()?;
    Some(match superblock::decode(&sector) {
        Found::Blank => Slot::Blank,
        Found::Other => Slot::Other,
        Found::Broken => Slot::Broken,
        Found::Later(version) => Slot::Later(version),
        Found::Whole(found, _) => Slot::Whole {
            epoch: found.epoch,
            closed: found.closed,
            first_sector: found.start(),
            sectors: found.region_sectors,
            base_sequence: found.base_sequence,
        },
    })
}

fn holds<D: BlockDevice>(store: &mut Store<'_, D>) -> Result<Holds, Error> {
    let mut items: Vec<Item> = store
        .entries()
        .map(|entry| Item {
            namespace: entry.namespace,
            key: String::from(entry.key.as_str()),
            value: Vec::new(),
            sequence: entry.sequence,
        })
        .collect();
    let mut into = [0; VALUE_MAX_BYTES];
    for item in &mut items {
        let value = store.get(item.namespace, item.key.as_bytes(), &mut into)?;
        item.value = value.unwrap_or_default().to_vec();
    }
    Ok(Holds { mounted: store.mounted(), status: store.status(), items })
}
