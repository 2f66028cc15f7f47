//! The same cuts against sequential-storage 8.0.2, the crate that was the alternative: figures for
//! `docs/adr/0007-state-store.md`, and a check of the harness on code that is not ours.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use nexus_state::{BlockDevice, limits::SECTOR_BYTES};
use sequential_storage::{
    cache::Cache,
    map::{MapConfig, MapStorage},
};
use storage_powercut::{
    disk::{Ending, MODELS, Model, SimDisk},
    random::Random,
};

const PAGE: usize = 4096;
const PAGES: usize = 32;
const RUNS: u64 = 100;
const CUTS: u64 = 6;
const KEYS: u64 = 8;

/// NOR flash on a disk of sectors: what is smaller than a sector is read, changed and written.
struct Flash<'d> {
    disk: &'d mut SimDisk,
    /// A flush after every device operation, or only when the caller asks.
    flush_each: bool,
    sectors: u64,
    flushes: u64,
}

#[derive(Debug)]
struct Off;

impl NorFlashError for Off {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Flash<'_> {
    type Error = Off;
}

impl Flash<'_> {
    fn flush(&mut self) -> Result<(), Off> {
        self.flushes += 1;
        self.disk.flush().map_err(|_| Off)
    }

    fn change(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Off> {
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (sector, inside) = ((at / SECTOR_BYTES) as u64, at % SECTOR_BYTES);
            let len = rest.len().min(SECTOR_BYTES - inside);
            let mut data = [0; SECTOR_BYTES];
            self.disk.read(sector, &mut data).map_err(|_| Off)?;
            data[inside..inside + len].copy_from_slice(&rest[..len]);
            self.disk.write(sector, &data).map_err(|_| Off)?;
            self.sectors += 1;
            (at, rest) = (at + len, &rest[len..]);
        }
        if self.flush_each { self.flush() } else { Ok(()) }
    }
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Off> {
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let inside = at % SECTOR_BYTES;
            let len = rest.len().min(SECTOR_BYTES - inside);
            let mut data = [0; SECTOR_BYTES];
            self.disk.read((at / SECTOR_BYTES) as u64, &mut data).map_err(|_| Off)?;
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&data[inside..inside + len]);
            (at, rest) = (at + len, later);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        PAGE * PAGES
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Off> {
        self.change(from, &vec![0xff; (to - from) as usize])
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Off> {
        self.change(offset, bytes)
    }
}

impl MultiwriteNorFlash for Flash<'_> {}

/// Nothing here ever waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("the disk is in memory"),
    }
}

type Map = BTreeMap<u8, Vec<u8>>;

#[derive(Default)]
struct Figures {
    bad: u64,
    sectors: u64,
    flushes: u64,
    commits: u64,
}

/// One run. False: a key was neither old nor new, or could not be read.
fn run(model: Model, flush_each: bool, seed: u64, figures: &mut Figures) -> bool {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(PAGES * PAGE / SECTOR_BYTES, model, seed);
    for sector in disk.media() {
        sector.fill(0xff);
    }
    let mut known = Map::new();
    let mut in_flight: Option<(u8, Option<Vec<u8>>)> = None;
    for _ in 0..CUTS {
        disk.open();
        let config = MapConfig::new(0..(PAGE * PAGES) as u32);
        let flash = Flash { disk: &mut disk, flush_each, sectors: 0, flushes: 0 };
        let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
        let mut buffer = [0; 512];
        let mut found = Map::new();
        for key in 0..KEYS as u8 {
            match now(map.fetch_item::<&[u8]>(&mut buffer, &key)) {
                Ok(Some(value)) => drop(found.insert(key, value.to_vec())),
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        let mut with = known.clone();
        if let Some((key, value)) = in_flight.take() {
            match value {
                Some(value) => drop(with.insert(key, value)),
                None => drop(with.remove(&key)),
            }
        }
        if found != known && found != with {
            return false;
        }
        known = found;
        map.flash().disk.end_after(random.below(120), Ending::Cut);
        for _ in 0..200 {
            let key = random.below(KEYS) as u8;
            let len = 16 + random.below(112) as usize;
            let value = (!random.once_in(8)).then(|| vec![random.next() as u8; len]);
            in_flight = Some((key, value.clone()));
            let done = match &value {
                Some(value) => now(map.store_item(&mut buffer, &key, &value.as_slice())),
                None => now(map.remove_item(&mut buffer, &key)),
            };
            let done = done.is_ok() && (flush_each || map.flash().flush().is_ok());
            if !done {
                break;
            }
            figures.commits += 1;
            in_flight = None;
            match value {
                Some(value) => drop(known.insert(key, value)),
                None => drop(known.remove(&key)),
            }
        }
        figures.sectors += map.flash().sectors;
        figures.flushes += map.flash().flushes;
        if !disk.is_off() {
            disk.cut();
        }
    }
    true
}

fn all(model: Model, flush_each: bool) -> Figures {
    let mut figures = Figures::default();
    for seed in 0..RUNS {
        let good = run(model, flush_each, seed, &mut figures);
        figures.bad += u64::from(!good);
    }
    println!(
        "sequential-storage, {model:?}, flush {}: {} bad of {RUNS} runs, \
         {:.2} sectors and {:.2} flushes a commit",
        if flush_each { "each" } else { "at commit" },
        figures.bad,
        figures.sectors as f64 / figures.commits as f64,
        figures.flushes as f64 / figures.commits as f64,
    );
    figures
}

#[test]
fn sequential_storage_keeps_its_promises_with_a_flush_after_every_write() {
    for model in MODELS {
        let figures = all(model, true);
        assert!(figures.sectors > 2 * figures.commits, "dearer than one sector a commit");
        if matches!(model, Model::Ordered | Model::Volatile) {
            assert_eq!(figures.bad, 0, "{model:?}");
        }
    }
}

#[test]
fn with_one_flush_at_commit_it_loses_what_it_acknowledged() {
    assert!(all(Model::Volatile, false).bad > 0);
}
