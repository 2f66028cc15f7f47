//! The console device with one port: bytes in, bytes out.

use nexus_abi::{Handle, Sys};
use virtio_drivers::transport::{DeviceType, Transport};

use crate::{Arena, Fault, Queue, Registers, negotiate};

/// Bytes of one buffer, the most that goes out at once.
pub const BUFFER: usize = 1024;
/// Buffers of each direction: one being filled, one being read, and as many again.
const BUFFERS: usize = 4;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// One open port.
pub struct Port<T> {
    device: T,
    receive: Queue<BUFFERS, BUFFER>,
    transmit: Queue<BUFFERS, BUFFER>,
}

impl Port<Registers> {
    /// Opens the console device of a slot, with the process's DMA memory.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn open<S: Sys>(
        sys: &mut S,
        slot: Handle,
        (dma, dma_bytes): (Handle, usize),
    ) -> Result<Self, Fault> {
        let device = Registers::open(sys, slot, DeviceType::Console)?;
        Arena::attach(sys, dma, dma_bytes, &device)?;
        Port::start(device)
    }
}

impl<T: Transport> Port<T> {
    /// Brings a reset device up.
    ///
    /// # Errors
    /// [`Fault::Unsupported`], [`Fault::Memory`].
    pub fn start(mut device: T) -> Result<Self, Fault> {
        // No optional feature: one port, and its size is nobody's business.
        negotiate(&mut device, 0)?;
        let receive = Queue::new(&mut device, RECEIVE)?;
        let transmit = Queue::new(&mut device, TRANSMIT)?;
        device.finish_init();
        let mut port = Port { device, receive, transmit };
        port.receive.offer_all(&mut port.device)?;
        Ok(port)
    }

    /// Tells the device that its interrupt has been seen.
    pub fn acknowledge(&mut self) {
        let _cause = self.device.ack_interrupt();
    }

    /// Copies the oldest bytes received into `out`; `None` if there are none.
    ///
    /// # Errors
    /// [`Fault::Protocol`].
    pub fn receive(&mut self, out: &mut [u8; BUFFER]) -> Result<Option<usize>, Fault> {
        let received = self.receive.receive(out)?;
        if received.is_some() {
            self.receive.offer_all(&mut self.device)?;
        }
        Ok(received)
    }

    /// Sends at most [`BUFFER`] bytes; `false` if the device still has every buffer.
    ///
    /// # Errors
    /// [`Fault::Protocol`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.transmit.send(&mut self.device, bytes)
    }
}
