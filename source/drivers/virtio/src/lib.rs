//! Virtio devices over device-window capabilities.
//!
//! `virtio-drivers` knows the rings; this crate keeps it inside what the process was granted:
//! registers only through a [`nexus_mmio::Window`], memory only from the one DMA object, no wait
//! without a bound, and no number from the device believed. A driver is made of a
//! [`Registers`] transport and [`Queue`]s; [`Port`] is the console device, [`Rng`] the entropy
//! device.
//!
//! `registers` is the transport, `dma` the one place with `unsafe`, `port` the console device,
//! `blk` the disk, `rng` the entropy device.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

pub mod blk;
mod dma;
mod port;
mod registers;
mod rng;
#[cfg(test)]
mod tests;

pub use dma::{Arena, Queue};
pub use port::{BUFFER, Port};
pub use registers::{Registers, negotiate};
pub use rng::{BLOCK as ENTROPY_BLOCK, Rng, Taken};
pub use virtio_drivers::transport::{DeviceType, Transport};

/// Why a device cannot be used, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No device in this slot, or no modern virtio one.
    Absent,
    /// Another kind of device.
    WrongDevice,
    /// The device did not do in time what it must.
    TimedOut,
    /// The device refused the features, or a queue of the size needed.
    Unsupported,
    /// The DMA memory is missing, too small, already in use, or its address is not ours to know.
    Memory,
    /// The device used a buffer it was not given, or more of it than there is.
    Protocol,
    /// The device says that it could not do what was asked.
    Failed,
    /// No such sector.
    Range,
    /// The device takes no writes.
    ReadOnly,
}
