//! The entropy device: one buffer at a time, checked, copied out, wiped.
//!
//! Nothing here waits: a caller asks, and looks whether it is there. What the device says about
//! lengths and buffers is checked; a device that says what cannot be is reset and never asked
//! again.

use nexus_abi::{Handle, Sys};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use crate::{Arena, Fault, Queue, Registers, negotiate};

/// Bytes of one request.
pub const BLOCK: usize = 128;

/// The only queue, virtio 1.2 section 5.4.2.
const REQUESTS: u16 = 0;
/// One request under way: bytes that wait in memory for somebody to need them are older than
/// they look.
const REQUESTS_AT_ONCE: usize = 1;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// The device still has it.
    Pending,
    /// The device filled a part, or nothing. What it wrote is gone.
    Short,
    /// A whole block.
    Whole,
}

/// An entropy device.
pub struct Rng<T> {
    device: T,
    requests: Queue<REQUESTS_AT_ONCE, BLOCK>,
    broken: bool,
}

impl Rng<Registers> {
    /// Opens the entropy device of a slot, with the process's DMA memory.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn open<S: Sys>(
        sys: &mut S,
        slot: Handle,
        (dma, dma_bytes): (Handle, usize),
    ) -> Result<Self, Fault> {
        let device = Registers::open(sys, slot, DeviceType::EntropySource)?;
        Arena::attach(sys, dma, dma_bytes, &device)?;
        Rng::start(device)
    }
}

impl<T: Transport> Rng<T> {
    /// Brings a reset device up.
    ///
    /// # Errors
    /// [`Fault::Unsupported`], [`Fault::Memory`].
    pub fn start(mut device: T) -> Result<Self, Fault> {
        negotiate(&mut device, 0)?;
        let requests = Queue::new(&mut device, REQUESTS)?;
        device.finish_init();
        Ok(Rng { device, requests, broken: false })
    }

    /// Asks for a block, unless one is under way.
    ///
    /// # Errors
    /// [`Fault::Protocol`], for ever after the first.
    pub fn request(&mut self) -> Result<(), Fault> {
        let asked = self.usable().and_then(|()| self.requests.offer_all(&mut self.device));
        self.or_reset(asked)
    }

    /// Copies a finished block into `out`, and wipes where it was. Unless it is
    /// [`Taken::Whole`], `out` is zero.
    ///
    /// # Errors
    /// As [`Rng::request`].
    pub fn take(&mut self, out: &mut [u8; BLOCK]) -> Result<Taken, Fault> {
        out.fill(0);
        let received = self.usable().and_then(|()| self.requests.receive(out));
        match self.or_reset(received)? {
            None => {
                let alive = self.is_alive();
                self.or_reset(alive).map(|()| Taken::Pending)
            }
            Some(BLOCK) => Ok(Taken::Whole),
            Some(_) => {
                out.fill(0);
                Ok(Taken::Short)
            }
        }
    }

    /// Tells the device that its interrupt has been seen.
    pub fn acknowledge(&mut self) {
        let _cause = self.device.ack_interrupt();
    }

    /// Whether the device still works: one that does not says so in its status. Reading it also
    /// takes as long as the device takes, see [`crate::blk::LOOK_NS`].
    fn is_alive(&self) -> Result<(), Fault> {
        let broken = self.device.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET);
        if broken { Err(Fault::Protocol) } else { Ok(()) }
    }

    fn usable(&self) -> Result<(), Fault> {
        if self.broken { Err(Fault::Protocol) } else { Ok(()) }
    }

    /// A device that broke its protocol is reset: it reaches no memory any more.
    fn or_reset<V>(&mut self, outcome: Result<V, Fault>) -> Result<V, Fault> {
        if outcome.is_err() && !self.broken {
            self.device.set_status(DeviceStatus::empty());
            self.broken = true;
        }
        outcome
    }
}
