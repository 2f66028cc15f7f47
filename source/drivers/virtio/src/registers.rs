//! The virtio MMIO registers as a transport, every access through the window.

use nexus_abi::{Handle, Sys};
use nexus_mmio::Window;
use virtio_drivers::{
    Error, PhysAddr,
    device::common::Feature,
    transport::{DeviceStatus, DeviceType, InterruptStatus, Transport},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::Fault;

/// One slot of the virt machine.
const WINDOW: usize = 4096;
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// The interface of virtio 1.0 and later.
const MODERN: u32 = 2;
/// How often a register is read until a device must have done what was asked. QEMU is done at
/// the first; a device that is not after so many is broken.
const POLLS: u32 = 10_000;
/// Longest configuration field: the longest any known device has.
const CONFIG_FIELD_MAX: usize = 64;

/// Register offsets, virtio 1.2 section 4.2.2.
mod at {
    pub(super) const MAGIC: usize = 0x00;
    pub(super) const VERSION: usize = 0x04;
    pub(super) const DEVICE: usize = 0x08;
    pub(super) const DEVICE_FEATURES: usize = 0x10;
    pub(super) const DEVICE_FEATURES_SEL: usize = 0x14;
    pub(super) const DRIVER_FEATURES: usize = 0x20;
    pub(super) const DRIVER_FEATURES_SEL: usize = 0x24;
    pub(super) const QUEUE_SEL: usize = 0x30;
    pub(super) const QUEUE_NUM_MAX: usize = 0x34;
    pub(super) const QUEUE_NUM: usize = 0x38;
    pub(super) const QUEUE_READY: usize = 0x44;
    pub(super) const QUEUE_NOTIFY: usize = 0x50;
    pub(super) const INTERRUPT_STATUS: usize = 0x60;
    pub(super) const INTERRUPT_ACK: usize = 0x64;
    pub(super) const STATUS: usize = 0x70;
    pub(super) const QUEUE_DESC: usize = 0x80;
    pub(super) const QUEUE_DRIVER: usize = 0x90;
    pub(super) const QUEUE_DEVICE: usize = 0xa0;
    pub(super) const CONFIG_GENERATION: usize = 0xfc;
    pub(super) const CONFIG: usize = 0x100;
}

/// A device that has been reset.
#[derive(Debug)]
pub struct Registers {
    window: Window,
    device: DeviceType,
}

impl Registers {
    /// Maps the window, checks what is behind it and resets it, so that it reaches no memory
    /// that an earlier driver gave it.
    ///
    /// # Errors
    /// [`Fault::Absent`], [`Fault::WrongDevice`], [`Fault::TimedOut`].
    pub fn open<S: Sys>(sys: &mut S, slot: Handle, want: DeviceType) -> Result<Self, Fault> {
        let window = Window::map(sys, slot, WINDOW).map_err(|_| Fault::Absent)?;
        let registers = Registers { window, device: want };
        if registers.read(at::MAGIC) != MAGIC || registers.read(at::VERSION) != MODERN {
            return Err(Fault::Absent);
        }
        match registers.read(at::DEVICE) {
            0 => return Err(Fault::Absent),
            id if DeviceType::try_from(id) != Ok(want) => return Err(Fault::WrongDevice),
            _ => {}
        }
        registers.write(at::STATUS, 0);
        if registers.becomes(at::STATUS, 0) { Ok(registers) } else { Err(Fault::TimedOut) }
    }

    /// A register of the block: the offsets above lie inside the window, so neither can fail.
    fn read(&self, offset: usize) -> u32 {
        self.window.read32(offset).unwrap_or(0)
    }

    fn write(&self, offset: usize, value: u32) {
        let _inside_the_window = self.window.write32(offset, value);
    }

    fn write_pair(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset.wrapping_add(4), (value >> 32) as u32);
    }

    fn becomes(&self, offset: usize, value: u32) -> bool {
        (0..POLLS).any(|_| self.read(offset) == value)
    }
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        self.device
    }

    fn read_device_features(&mut self) -> u64 {
        self.write(at::DEVICE_FEATURES_SEL, 0);
        let low = self.read(at::DEVICE_FEATURES);
        self.write(at::DEVICE_FEATURES_SEL, 1);
        u64::from(low) | (u64::from(self.read(at::DEVICE_FEATURES)) << 32)
    }

    fn write_driver_features(&mut self, features: u64) {
        self.write(at::DRIVER_FEATURES_SEL, 0);
        self.write(at::DRIVER_FEATURES, features as u32);
        self.write(at::DRIVER_FEATURES_SEL, 1);
        self.write(at::DRIVER_FEATURES, (features >> 32) as u32);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.write(at::QUEUE_SEL, queue.into());
        self.read(at::QUEUE_NUM_MAX)
    }

    fn notify(&mut self, queue: u16) {
        self.write(at::QUEUE_NOTIFY, queue.into());
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.read(at::STATUS))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.write(at::STATUS, status.bits());
    }

    fn set_guest_page_size(&mut self, _bytes: u32) {
        // A modern device does not ask.
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.write(at::QUEUE_SEL, queue.into());
        self.write(at::QUEUE_NUM, size);
        self.write_pair(at::QUEUE_DESC, descriptors);
        self.write_pair(at::QUEUE_DRIVER, driver_area);
        self.write_pair(at::QUEUE_DEVICE, device_area);
        self.write(at::QUEUE_READY, 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.write(at::QUEUE_SEL, queue.into());
        self.write(at::QUEUE_READY, 0);
        // A device that keeps the queue all the same is reset: that ends every queue.
        if !self.becomes(at::QUEUE_READY, 0) {
            self.write(at::STATUS, 0);
        }
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.write(at::QUEUE_SEL, queue.into());
        self.read(at::QUEUE_READY) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let pending = self.read(at::INTERRUPT_STATUS);
        if pending != 0 {
            self.write(at::INTERRUPT_ACK, pending);
        }
        InterruptStatus::from_bits_truncate(pending)
    }

    fn read_config_generation(&self) -> u32 {
        self.read(at::CONFIG_GENERATION)
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let mut bytes = [0; CONFIG_FIELD_MAX];
        let end = offset.checked_add(size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        let field = bytes.get_mut(..size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        for (place, at) in field.iter_mut().zip(offset..end) {
            let aligned = at::CONFIG.checked_add(at & !3).ok_or(Error::ConfigSpaceTooSmall)?;
            let word = self.window.read32(aligned).map_err(|_| Error::ConfigSpaceTooSmall)?;
            let [b0, b1, b2, b3] = word.to_le_bytes();
            *place = match at & 3 {
                0 => b0,
                1 => b1,
                2 => b2,
                _ => b3,
            };
        }
        T::read_from_bytes(field).map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: T,
    ) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}

/// Takes a reset device to where its queues can be set up: the features of `wanted` that it
/// offers, version 1 among them. Ends with [`Transport::finish_init`], the caller's.
///
/// # Errors
/// [`Fault::Unsupported`] if the device is older or does not accept the choice.
pub fn negotiate<T: Transport>(device: &mut T, wanted: u64) -> Result<u64, Fault> {
    let (hello, version) =
        (DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER, Feature::VERSION_1.bits());
    device.set_status(hello);
    let features = device.read_device_features() & (wanted | version);
    device.write_driver_features(features);
    device.set_status(hello | DeviceStatus::FEATURES_OK);
    let accepted = device.get_status().contains(DeviceStatus::FEATURES_OK);
    if accepted && features & version != 0 { Ok(features) } else { Err(Fault::Unsupported) }
}
