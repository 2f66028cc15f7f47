//! One run: a workload on one disk through many cuts, held against a model.

use std::collections::BTreeMap;

use nexus_state::{Batch, Durability, Error, Memory, Store, format, limits::VALUE_MAX_BYTES};

use crate::{
    disk::{Barrier, Ending, Model, SimDisk},
    format_options, mount_options,
    random::Random,
};

/// Namespace and key to value.
pub type Map = BTreeMap<(u64, String), Vec<u8>>;

/// Keys of the workload, in each of two namespaces.
const KEYS: u64 = 8;
/// Sectors of the disk: the smallest, so that compactions are frequent.
const SECTORS: usize = 80;

/// Changes of a batch: namespace, key, and the value or none for a delete.
pub type Changes = Vec<((u64, String), Option<Vec<u8>>)>;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Names the run.
    pub seed: u64,
    /// What a cut leaves.
    pub model: Model,
    /// How many cuts.
    pub cuts: u64,
    /// A barrier the disk does not keep: the control.
    pub ignores: Option<Barrier>,
    /// What the disk says of itself.
    pub durability: Durability,
}

/// What a run did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Figures {
    /// Power cuts.
    pub cuts: u64,
    /// Deaths of the writer with the disk going on.
    pub kills: u64,
    /// Acknowledged batches and boots.
    pub commits: u64,
    /// Sectors written by commits, compactions included.
    pub sectors: u64,
    /// Flushes by commits, compactions included.
    pub flushes: u64,
    /// Compactions seen at a mount.
    pub epochs: u64,
    /// Cuts while the store was being mounted.
    pub in_recovery: u64,
    /// Batches in flight at a cut that were there afterwards.
    pub kept_in_flight: u64,
}

impl Figures {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Figures) -> Figures {
        Figures {
            cuts: self.cuts + other.cuts,
            kills: self.kills + other.kills,
            commits: self.commits + other.commits,
            sectors: self.sectors + other.sectors,
            flushes: self.flushes + other.flushes,
            epochs: self.epochs + other.epochs,
            in_recovery: self.in_recovery + other.in_recovery,
            kept_in_flight: self.kept_in_flight + other.kept_in_flight,
        }
    }
}

/// Makes a batch of changes.
///
/// # Errors
/// The changes break a bound.
pub fn batch(changes: &Changes) -> Result<Batch<'_>, Error> {
    let mut batch = Batch::new();
    for ((namespace, key), value) in changes {
        match value {
            Some(value) => batch.put(*namespace, key.as_bytes(), value)?,
            None => batch.delete(*namespace, key.as_bytes())?,
        }
    }
    Ok(batch)
}

/// Applies changes to a map.
pub fn apply(map: &mut Map, changes: &Changes) {
    for (name, value) in changes {
        match value {
            Some(value) => map.insert(name.clone(), value.clone()),
            None => map.remove(name),
        };
    }
}

/// Everything a store holds, every value read back.
///
/// # Errors
/// A value cannot be read or is damaged.
pub fn read_all<D: nexus_state::BlockDevice>(store: &mut Store<'_, D>) -> Result<Map, Error> {
    let names: Vec<_> = store.entries().map(|e| (e.namespace, e.key.as_str().to_owned())).collect();
    let mut into = [0; VALUE_MAX_BYTES];
    let mut map = Map::new();
    for (namespace, key) in names {
        let value = store.get(namespace, key.as_bytes(), &mut into)?.unwrap_or_default().to_vec();
        map.insert((namespace, key), value);
    }
    Ok(map)
}

/// What may be there.
#[derive(Clone, Debug, Default)]
struct Expected {
    acknowledged: Map,
    sequence: u64,
    boots: u32,
    in_flight: Option<Changes>,
    boot_in_flight: bool,
}

impl Expected {
    /// Compares with what a mount found, and takes that for the truth from now on: what was told
    /// once stays.
    fn settle(&mut self, found: Map, sequence: u64, boots: u32) -> Result<bool, String> {
        let mut with = self.acknowledged.clone();
        if let Some(changes) = &self.in_flight {
            apply(&mut with, changes);
        }
        if found != self.acknowledged && found != with {
            return Err(self.difference(&found));
        }
        if sequence < self.sequence {
            return Err(format!("sequence went from {} to {sequence}", self.sequence));
        }
        let most = self.boots + u32::from(self.boot_in_flight);
        if !(self.boots..=most).contains(&boots) {
            return Err(format!("boots went from {} to {boots}", self.boots));
        }
        let kept = self.in_flight.is_some() && found != self.acknowledged;
        *self = Expected { acknowledged: found, sequence, boots, ..Expected::default() };
        Ok(kept)
    }

    fn difference(&self, found: &Map) -> String {
        let lost: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|(k, v)| found.get(*k) != Some(v))
            .map(|(k, _)| k)
            .collect();
        let extra: Vec<_> = found.keys().filter(|k| !self.acknowledged.contains_key(*k)).collect();
        format!("not as acknowledged {lost:?}, not known {extra:?}, in flight {:?}", self.in_flight)
    }
}

/// Runs a plan.
///
/// # Errors
/// The first violation, in words.
pub fn run(plan: Plan) -> Result<Figures, String> {
    let seed = plan.seed.wrapping_mul(0x1_0001);
    let mut disk = SimDisk::new(SECTORS, plan.model, seed).claiming(plan.durability);
    format(&mut disk, &format_options()).map_err(|e| format!("format: {e:?}"))?;
    disk.ignores = plan.ignores;
    let mut run = Run {
        random: Random::new(seed ^ 0x55),
        expected: Expected::default(),
        figures: Figures::default(),
        last_epoch: 1,
    };
    let mut memory = Memory::new();
    while run.figures.cuts < plan.cuts {
        run.life(&mut disk, &mut memory)
            .map_err(|what| format!("{plan:?} after {} cuts: {what}", run.figures.cuts))?;
    }
    Ok(run.figures)
}

struct Run {
    random: Random,
    expected: Expected,
    figures: Figures,
    last_epoch: u64,
}

impl Run {
    /// From power on to the next end.
    fn life(&mut self, disk: &mut SimDisk, memory: &mut Memory) -> Result<(), String> {
        disk.open();
        if self.random.once_in(4) {
            disk.end_after(self.random.below(4), Ending::Cut);
        }
        let mut store = match Store::mount(&mut *disk, memory, &mount_options()) {
            Ok(store) => store,
            Err(error) => {
                if !disk.is_off() {
                    return Err(format!("mount: {error:?}"));
                }
                self.figures.in_recovery += 1;
                self.figures.cuts += 1;
                return Ok(());
            }
        };
        let found = read_all(&mut store).map_err(|e| format!("read: {e:?}"))?;
        let mounted = store.mounted();
        let kept = self.expected.settle(found, mounted.sequence, mounted.boots)?;
        self.figures.kept_in_flight += u64::from(kept);
        self.figures.epochs += mounted.epoch - self.last_epoch;
        self.last_epoch = mounted.epoch;
        let ending = if self.random.once_in(4) { Ending::Kill } else { Ending::Cut };
        let device = store.device_mut();
        if !device.is_off() {
            device.end_after(self.random.below(60), ending);
        }
        self.work(&mut store)?;
        let status = store.status();
        self.figures.sectors += status.sectors_written;
        self.figures.flushes += status.flushes;
        let _closed = store.into_device();
        if !disk.is_off() {
            disk.cut();
        }
        match ending {
            Ending::Cut => self.figures.cuts += 1,
            Ending::Kill => self.figures.kills += 1,
        }
        Ok(())
    }

    /// Works until the power goes, or long enough.
    fn work(&mut self, store: &mut Store<'_, &mut SimDisk>) -> Result<(), String> {
        for _ in 0..40 {
            if self.step(store)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One operation. True: the power went.
    fn step(&mut self, store: &mut Store<'_, &mut SimDisk>) -> Result<bool, String> {
        let done = match self.random.below(16) {
            0 => {
                let boot_id = [self.random.next() as u8; 16];
                self.expected.boot_in_flight = true;
                store.begin_boot(boot_id).map(|boots| {
                    self.expected.boots = boots;
                    self.expected.boot_in_flight = false;
                    self.figures.commits += 1;
                })
            }
            1 => store.compact(),
            2 => return self.compare(store),
            _ => {
                let changes = self.changes();
                let asked = batch(&changes).map_err(|e| format!("batch: {e:?}"))?;
                self.expected.in_flight = Some(changes.clone());
                store.commit(&asked).map(|sequence| {
                    apply(&mut self.expected.acknowledged, &changes);
                    self.expected.sequence = sequence;
                    self.expected.in_flight = None;
                    self.figures.commits += 1;
                })
            }
        };
        match done {
            Ok(()) => Ok(false),
            Err(Error::Io(_)) if store.device().is_off() => Ok(true),
            Err(error) => Err(format!("refused: {error:?}")),
        }
    }

    fn compare(&self, store: &mut Store<'_, &mut SimDisk>) -> Result<bool, String> {
        match read_all(store) {
            Ok(found) if found == self.expected.acknowledged => Ok(false),
            Ok(found) => Err(format!("while running: {}", self.expected.difference(&found))),
            Err(Error::Io(_)) if store.device().is_off() => Ok(true),
            Err(error) => Err(format!("read while running: {error:?}")),
        }
    }

    /// Mostly single small puts, sometimes a batch of up to eight with the longest values.
    fn changes(&mut self) -> Changes {
        let ops = if self.random.once_in(3) { 1 + self.random.below(8) } else { 1 };
        let mut changes = BTreeMap::new();
        for _ in 0..ops {
            let name = (1 + self.random.below(2), format!("key/{}", self.random.below(KEYS)));
            let len = if self.random.once_in(8) {
                self.random.below(401)
            } else {
                16 + self.random.below(112)
            };
            let byte = self.random.next() as u8;
            let value = (0..len).map(|n| byte.wrapping_add(n as u8)).collect();
            changes.insert(name, (!self.random.once_in(8)).then_some(value));
        }
        changes.into_iter().collect()
    }
}
