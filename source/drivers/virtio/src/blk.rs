//! The block device: sectors read, written and made durable, one request at a time.
//!
//! A request ends, whatever the device does: by its answer, by the time limit, or by a breach of
//! the protocol. After either of the latter the device is reset, so that it reaches no memory any
//! more, and stays unused: what it did with the last request nobody knows.

use nexus_abi::{Handle, Sys};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use crate::{
    Arena, Fault, Registers,
    dma::{Chain, Data, HEAD, SECTOR},
    negotiate,
};

#[cfg(test)]
mod tests;

/// Bytes of a sector.
pub const SECTOR_BYTES: usize = SECTOR;
/// Bytes of DMA memory: two pages of ring, one of buffers.
pub const DMA_BYTES: usize = 3 * 4096;

/// How long one request may take: far above a disk's worst, and finite.
pub const LIMIT_NS: u64 = 5_000_000_000;
/// How long the answer is looked for without a pause: what a disk needs that is not asleep. Each
/// such look reads a register of the device too: on a bus that takes as long as the device takes,
/// and in an emulator that counts instructions hardly any, so its clock hardly depends on the
/// host's disk.
pub const LOOK_NS: u64 = 5_000_000;
/// How long each pause after that is, and each look between two pauses.
pub const PAUSE_NS: u64 = 1_000_000;

/// The device takes no writes.
const FEATURE_READ_ONLY: u64 = 1 << 5;
/// The device has a cache, and a request that empties it.
const FEATURE_FLUSH: u64 = 1 << 9;

/// Places in the configuration.
const CAPACITY_AT: usize = 0;
/// How often the capacity is read until two readings are of one configuration.
const CAPACITY_READINGS: usize = 8;

const QUEUE: u16 = 0;

const ASK_READ: u32 = 0;
const ASK_WRITE: u32 = 1;
const ASK_FLUSH: u32 = 4;

const DONE: u8 = 0;
const FAILED: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// Time, and the device's interrupt.
pub trait Waiting {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// Sleeps until the interrupt or this time; whether it was the interrupt. Its line stays
    /// closed until [`Waiting::reopen`].
    fn sleep(&mut self, until_ns: u64) -> bool;
    /// The device has been told that its interrupt was seen: the line may rise again.
    fn reopen(&mut self);
}

/// What a completed write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It is durable after a flush.
    Flush,
    /// The device has no FLUSH: by its contract it keeps what it completed.
    WriteThrough,
    /// There are no writes.
    ReadOnly,
}

/// A block device.
pub struct Blk<T> {
    device: T,
    chain: Chain,
    sectors: u64,
    cache: Cache,
    /// Why the device is not used any more.
    broken: Option<Fault>,
}

impl Blk<Registers> {
    /// Opens the block device of a slot, with the process's DMA memory.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn open<S: Sys>(
        sys: &mut S,
        slot: Handle,
        (dma, dma_bytes): (Handle, usize),
    ) -> Result<Self, Fault> {
        let device = Registers::open(sys, slot, DeviceType::Block)?;
        Arena::attach(sys, dma, dma_bytes, &device)?;
        Blk::start(device)
    }
}

impl<T: Transport> Blk<T> {
    /// Brings a reset device up.
    ///
    /// # Errors
    /// [`Fault::Unsupported`], [`Fault::Memory`].
    pub fn start(mut device: T) -> Result<Self, Fault> {
        // Not asked for: a cache mode that can be switched under way. What is negotiated here
        // holds until the next reset.
        let features = negotiate(&mut device, FEATURE_READ_ONLY | FEATURE_FLUSH)?;
        let chain = Chain::new(&mut device, QUEUE)?;
        let sectors = capacity(&device)?;
        device.finish_init();
        let cache = match (features & FEATURE_READ_ONLY != 0, features & FEATURE_FLUSH != 0) {
            (true, _) => Cache::ReadOnly,
            (false, true) => Cache::Flush,
            (false, false) => Cache::WriteThrough,
        };
        Ok(Blk { device, chain, sectors, cache, broken: None })
    }

    /// How many sectors there are.
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.sectors
    }

    /// What a completed write means.
    #[must_use]
    pub const fn cache(&self) -> Cache {
        self.cache
    }

    /// Why the device is not used any more, if it is not.
    #[must_use]
    pub const fn broken(&self) -> Option<Fault> {
        self.broken
    }

    /// Reads one sector.
    ///
    /// # Errors
    /// [`Fault::Range`], or the device's: [`Fault::Failed`], [`Fault::TimedOut`],
    /// [`Fault::Protocol`].
    pub fn read<W: Waiting>(
        &mut self,
        waiting: &mut W,
        sector: u64,
        into: &mut [u8; SECTOR_BYTES],
    ) -> Result<(), Fault> {
        self.within(sector)?;
        self.exchange(waiting, (ASK_READ, sector), Data::In)?;
        self.chain.copy_data(into);
        Ok(())
    }

    /// Writes one sector. Durable after [`Blk::flush`], or at once without a cache.
    ///
    /// # Errors
    /// As [`Blk::read`]; [`Fault::ReadOnly`].
    pub fn write<W: Waiting>(
        &mut self,
        waiting: &mut W,
        sector: u64,
        from: &[u8; SECTOR_BYTES],
    ) -> Result<(), Fault> {
        if self.cache == Cache::ReadOnly {
            return Err(Fault::ReadOnly);
        }
        self.within(sector)?;
        self.exchange(waiting, (ASK_WRITE, sector), Data::Out(from))
    }

    /// Makes every completed write durable. Asks the device only if it has such a request: no
    /// other success is reported for it.
    ///
    /// # Errors
    /// As [`Blk::read`]; [`Fault::Unsupported`] where there is nothing to ask.
    pub fn flush<W: Waiting>(&mut self, waiting: &mut W) -> Result<(), Fault> {
        match self.cache {
            Cache::Flush => self.exchange(waiting, (ASK_FLUSH, 0), Data::None),
            Cache::WriteThrough | Cache::ReadOnly => Err(Fault::Unsupported),
        }
    }

    const fn within(&self, sector: u64) -> Result<(), Fault> {
        if sector < self.sectors { Ok(()) } else { Err(Fault::Range) }
    }

    /// One request and its end.
    fn exchange<W: Waiting>(
        &mut self,
        waiting: &mut W,
        ask: (u32, u64),
        data: Data<'_>,
    ) -> Result<(), Fault> {
        if let Some(fault) = self.broken {
            return Err(fault);
        }
        let done = self.chain.start(&mut self.device, head(ask), data);
        match done.and_then(|()| self.answer(waiting)) {
            Ok(DONE) => Ok(()),
            Ok(FAILED | UNSUPPORTED) => Err(Fault::Failed),
            Ok(_) => Err(self.give_up(Fault::Protocol)),
            Err(fault) => Err(self.give_up(fault)),
        }
    }

    /// The status, or the time limit. An answer that is nearly always there at once is worth a
    /// look before a sleep; a device that stays silent gets at most half of the time.
    fn answer<W: Waiting>(&mut self, waiting: &mut W) -> Result<u8, Fault> {
        let start = waiting.now_ns();
        let limit = start.saturating_add(LIMIT_NS);
        let first_until = start.saturating_add(LOOK_NS);
        let mut look_until = first_until;
        loop {
            if let Some(status) = self.chain.poll()? {
                return Ok(status);
            }
            let now = waiting.now_ns();
            if now >= limit {
                return Err(Fault::TimedOut);
            }
            if now < first_until {
                self.is_alive()?;
                continue;
            }
            if now < look_until {
                core::hint::spin_loop();
                continue;
            }
            let wake = now.saturating_add(PAUSE_NS).min(limit);
            if waiting.sleep(wake) {
                let _cause = self.device.ack_interrupt();
                waiting.reopen();
            }
            self.is_alive()?;
            look_until = waiting.now_ns().saturating_add(PAUSE_NS);
        }
    }

    /// Whether the device still works: one that does not says so in its status.
    fn is_alive(&self) -> Result<(), Fault> {
        let broken = self.device.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET);
        if broken { Err(Fault::Protocol) } else { Ok(()) }
    }

    fn give_up(&mut self, fault: Fault) -> Fault {
        self.device.set_status(DeviceStatus::empty());
        self.broken = Some(fault);
        fault
    }
}

fn head((what, sector): (u32, u64)) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (kind, rest) = head.split_at_mut(4);
    kind.copy_from_slice(&what.to_le_bytes());
    if let Some(place) = rest.last_chunk_mut() {
        *place = sector.to_le_bytes();
    }
    head
}

/// The capacity in sectors, both halves of one configuration.
fn capacity<T: Transport>(device: &T) -> Result<u64, Fault> {
    let reading = || {
        let before = device.read_config_generation();
        let sectors = device.read_config_space::<u64>(CAPACITY_AT).ok()?;
        (device.read_config_generation() == before).then_some(sectors)
    };
    (0..CAPACITY_READINGS).find_map(|_| reading()).ok_or(Fault::Unsupported)
}
