//! Device windows as bounded registers: the only way a driver touches hardware.
//!
//! The kernel maps exactly the window the capability names; this crate keeps every access
//! inside it, aligned, and volatile.
#![cfg_attr(not(test), no_std)]

use core::sync::atomic::{Ordering, fence};

use nexus_abi::{Error, Handle, Sys};

/// A mapped device window.
#[derive(Debug)]
pub struct Window {
    first: *mut u32,
    len_bytes: usize,
}

impl Window {
    /// Maps the first `len_bytes` (a multiple of 8) of a device window, for the life of the
    /// process.
    ///
    /// # Errors
    /// As [`Sys::map_words`].
    pub fn map<S: Sys>(sys: &mut S, device: Handle, len_bytes: usize) -> Result<Window, Error> {
        let words = sys.map_words(device, len_bytes)?;
        // The slice is given up for a raw pointer at once: a device register may change by
        // itself, so no reference to it may live on.
        Ok(Window { first: words.as_ptr().cast::<u32>().cast_mut(), len_bytes })
    }

    /// The register at byte `offset`, or `None` outside the window or misaligned.
    fn register(&self, offset: usize) -> Option<*mut u32> {
        let inside = offset.is_multiple_of(4) && offset.checked_add(4)? <= self.len_bytes;
        inside.then(|| self.first.wrapping_byte_add(offset))
    }

    /// Reads a 32-bit register.
    ///
    /// # Errors
    /// `InvalidArgument` outside the window or misaligned.
    pub fn read32(&self, offset: usize) -> Result<u32, Error> {
        let register = self.register(offset).ok_or(Error::InvalidArgument)?;
        // SAFETY: aligned and inside the mapping `map` made for the life of the process.
        let value = unsafe { register.read_volatile() };
        // What the device wrote before this value must be seen after it.
        fence(Ordering::Acquire);
        Ok(u32::from_le(value))
    }

    /// Writes a 32-bit register.
    ///
    /// # Errors
    /// `InvalidArgument` outside the window or misaligned.
    pub fn write32(&self, offset: usize, value: u32) -> Result<(), Error> {
        let register = self.register(offset).ok_or(Error::InvalidArgument)?;
        // What was written to memory before must be there when the device acts.
        fence(Ordering::Release);
        // SAFETY: aligned and inside the mapping `map` made; shared words allow writes through
        // a pointer made from them.
        unsafe { register.write_volatile(value.to_le()) };
        Ok(())
    }
}

/// The SiFive test device of the virt machine: ends the run with a verdict.
#[derive(Debug)]
pub struct Finisher(Window);

impl Finisher {
    /// Bytes of its window.
    pub const LEN: usize = 4096;
    /// QEMU exits with status 0.
    const PASS: u32 = 0x5555;
    /// QEMU exits with the code in the upper half.
    const FAIL: u32 = 0x3333;

    /// Maps the finisher.
    ///
    /// # Errors
    /// As [`Window::map`].
    pub fn map<S: Sys>(sys: &mut S, device: Handle) -> Result<Finisher, Error> {
        Window::map(sys, device, Finisher::LEN).map(Finisher)
    }

    /// Ends the run as passed.
    ///
    /// # Errors
    /// As [`Window::write32`].
    pub fn pass(&self) -> Result<(), Error> {
        self.0.write32(0, Finisher::PASS)
    }

    /// Ends the run as failed; `code` 0 would read as success and becomes 1.
    ///
    /// # Errors
    /// As [`Window::write32`].
    pub fn fail(&self, code: u16) -> Result<(), Error> {
        self.0.write32(0, Finisher::FAIL | (u32::from(code.max(1)) << 16))
    }
}

#[cfg(test)]
mod tests;
