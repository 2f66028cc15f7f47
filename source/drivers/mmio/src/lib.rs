//! MMIO windows.
