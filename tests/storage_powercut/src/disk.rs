//! A disk that can lose power at any write or flush, and does then what its model allows.

use nexus_state::{BlockDevice, Durability, Sector, limits::SECTOR_BYTES};

use crate::random::Random;

/// What a power cut may leave behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// Writes are durable one after the other; the one being made is not.
    Ordered,
    /// Likewise, and the sector being written holds a mixture of old and new bytes.
    Torn,
    /// Writes are durable after a flush. Of the others any subset lands.
    Volatile,
    /// Likewise, and each of those may be torn.
    VolatileTorn,
}

/// All models.
pub const MODELS: [Model; 4] = [Model::Ordered, Model::Torn, Model::Volatile, Model::VolatileTorn];

impl Model {
    const fn cached(self) -> bool {
        matches!(self, Model::Volatile | Model::VolatileTorn)
    }

    const fn tears(self) -> bool {
        matches!(self, Model::Torn | Model::VolatileTorn)
    }
}

/// What a flush is for, told from what was written since the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// Nothing written since the device was opened.
    Mount,
    /// Part of a snapshot.
    Snapshot,
    /// An open superblock.
    Superblock,
    /// Anything else: a batch or a boot.
    Commit,
}

/// How an operation ends the power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Power cut: the cache is lost but for what happens to land.
    Cut,
    /// The writer dies, the disk does not: the cache stays.
    Kill,
}

/// The disk failed, or is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off;

/// An operation that fails without the power going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Reading this sector.
    Read(u64),
    /// The write or flush of this number, see [`SimDisk::operations`].
    Operation(u64),
}

/// A disk in memory.
#[derive(Clone, Debug)]
pub struct SimDisk {
    media: Vec<Sector>,
    /// Writes since the last flush, in order.
    cache: Vec<(u64, Sector)>,
    model: Model,
    durability: Durability,
    random: Random,
    operations: u64,
    end_at: Option<(u64, Ending)>,
    /// Which of the cached writes land at a cut, bit by bit; random when none.
    pub landing: Option<u64>,
    /// At which byte a torn write stops; random, and of any form, when none.
    pub tear_at: Option<usize>,
    /// A barrier that this disk claims to keep and does not.
    pub ignores: Option<Barrier>,
    /// What fails without a cut.
    pub fault: Option<Fault>,
    off: bool,
    fresh: bool,
    at_risk: usize,
    since_flush: Vec<Barrier>,
}

impl SimDisk {
    /// A blank disk.
    #[must_use]
    pub fn new(sectors: usize, model: Model, seed: u64) -> SimDisk {
        SimDisk {
            media: vec![[0; SECTOR_BYTES]; sectors],
            cache: Vec::new(),
            model,
            durability: Durability::Flush,
            random: Random::new(seed),
            operations: 0,
            end_at: None,
            landing: None,
            tear_at: None,
            ignores: None,
            fault: None,
            off: false,
            fresh: true,
            at_risk: 0,
            since_flush: Vec::new(),
        }
    }

    /// A disk that says this of itself.
    #[must_use]
    pub fn claiming(mut self, durability: Durability) -> SimDisk {
        self.durability = durability;
        self
    }

    /// What is on the medium.
    pub fn media(&mut self) -> &mut Vec<Sector> {
        &mut self.media
    }

    /// Writes and flushes so far.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// Whether the power went, or the writer died.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.off
    }

    /// Writes that were in the cache at the last cut.
    #[must_use]
    pub const fn at_risk(&self) -> usize {
        self.at_risk
    }

    /// Another course of chances.
    pub const fn reseed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// Ends the power, or the writer, in the middle of the `nth` write or flush from now.
    pub const fn end_after(&mut self, nth: u64, ending: Ending) {
        self.end_at = Some((self.operations + nth, ending));
    }

    /// Power on, or a new writer.
    pub fn open(&mut self) {
        (self.off, self.end_at, self.fresh) = (false, None, true);
        self.since_flush.clear();
    }

    /// Ends the power now, between two operations.
    pub fn cut(&mut self) {
        self.land();
        self.off = true;
    }

    /// Lets some of the cache land and forgets the rest.
    fn land(&mut self) {
        self.at_risk = self.cache.len();
        for (n, (sector, data)) in std::mem::take(&mut self.cache).into_iter().enumerate() {
            let lands = match self.landing {
                Some(mask) => mask >> n & 1 == 1,
                None => self.random.once_in(2),
            };
            if lands {
                let torn = self.model.tears() && self.landing.is_none() && self.random.once_in(3);
                let old = self.media[sector as usize];
                self.media[sector as usize] = if torn { self.tear(&old, &data) } else { data };
            }
        }
    }

    /// A mixture of old and new bytes.
    fn tear(&mut self, old: &Sector, new: &Sector) -> Sector {
        let mut torn = *old;
        if let Some(stop) = self.tear_at {
            torn[..stop].copy_from_slice(&new[..stop]);
            return torn;
        }
        let differ = |i: &usize| old[*i] != new[*i];
        let first = (0..SECTOR_BYTES).find(differ).unwrap_or(0);
        let last = (0..SECTOR_BYTES).rev().find(differ).unwrap_or(0);
        let inside = first + self.random.below((last - first + 1) as u64) as usize;
        match self.random.below(4) {
            0 | 1 => torn[..inside].copy_from_slice(&new[..inside]),
            2 => torn[inside..].copy_from_slice(&new[inside..]),
            _ => {
                for word in (0..SECTOR_BYTES).step_by(8) {
                    if self.random.once_in(2) {
                        torn[word..word + 8].copy_from_slice(&new[word..word + 8]);
                    }
                }
            }
        }
        torn
    }

    /// Counts a write or flush. Some: it is the one in which it ends.
    fn count(&mut self) -> Result<Option<Ending>, Off> {
        if self.off || self.fault == Some(Fault::Operation(self.operations)) {
            self.operations += 1;
            return Err(Off);
        }
        let ending = self.end_at.filter(|(at, _)| *at == self.operations).map(|(_, ending)| ending);
        self.operations += 1;
        Ok(ending)
    }

    fn write_ending(&mut self, ending: Ending, sector: u64, data: &Sector) {
        self.off = true;
        match (ending, self.model.cached()) {
            (Ending::Kill, true) if self.random.once_in(2) => self.cache.push((sector, *data)),
            (Ending::Kill, _) => {}
            (Ending::Cut, true) => {
                self.cache.push((sector, *data));
                self.land();
            }
            (Ending::Cut, false) if self.model.tears() => {
                let old = self.media[sector as usize];
                self.media[sector as usize] = self.tear(&old, data);
            }
            (Ending::Cut, false) => {}
        }
    }

    /// What the next flush would be for.
    fn barrier(&self) -> Barrier {
        if self.fresh && self.since_flush.is_empty() {
            return Barrier::Mount;
        }
        let any = |what| self.since_flush.contains(&what);
        if any(Barrier::Superblock) {
            Barrier::Superblock
        } else if any(Barrier::Snapshot) {
            Barrier::Snapshot
        } else {
            Barrier::Commit
        }
    }

    fn note(&mut self, sector: u64, data: &Sector) {
        let open_superblock = matches!(sector, 0 | 8) && data[11] == 0;
        let snapshot = data.starts_with(b"NXSR") && data[5] == 2;
        self.since_flush.push(match (open_superblock, snapshot) {
            (true, _) => Barrier::Superblock,
            (_, true) => Barrier::Snapshot,
            _ => Barrier::Commit,
        });
    }
}

impl BlockDevice for SimDisk {
    type Error = Off;

    fn sectors(&self) -> u64 {
        self.media.len() as u64
    }

    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), Off> {
        if self.off || self.fault == Some(Fault::Read(sector)) {
            return Err(Off);
        }
        let cached = self.cache.iter().rev().find(|(at, _)| *at == sector);
        let media = self.media.get(sector as usize).ok_or(Off)?;
        *into = cached.map_or(*media, |(_, data)| *data);
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), Off> {
        if sector >= self.sectors() || self.durability == Durability::ReadOnly {
            return Err(Off);
        }
        if let Some(ending) = self.count()? {
            self.write_ending(ending, sector, from);
            return Err(Off);
        }
        self.note(sector, from);
        if self.model.cached() {
            self.cache.push((sector, *from));
        } else {
            self.media[sector as usize] = *from;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Off> {
        if self.durability == Durability::WriteThrough {
            return Err(Off);
        }
        if let Some(ending) = self.count()? {
            self.off = true;
            if ending == Ending::Cut {
                self.land();
            }
            return Err(Off);
        }
        let barrier = self.barrier();
        self.since_flush.clear();
        self.fresh = false;
        if self.ignores == Some(barrier) {
            return Ok(());
        }
        for (sector, data) in std::mem::take(&mut self.cache) {
            self.media[sector as usize] = data;
        }
        Ok(())
    }

    fn durable(&self) -> Durability {
        self.durability
    }
}
