//! Where things are on the virt machine. The linker script and the boot assembly share these.

use nexus_abi::layout::PAGE;

/// Kernel virtual address = physical address + this; the upper half of Sv39 begins here.
pub const OFFSET: u64 = 0xffff_ffc0_0000_0000;

/// First byte of RAM.
pub const RAM_BASE: u64 = 0x8000_0000;
/// One past the last byte of RAM: QEMU runs with 128 MiB.
pub const RAM_END: u64 = RAM_BASE + (128 << 20);

/// Where OpenSBI enters the kernel; the megapage before it is the firmware's and never mapped.
pub const KERNEL_BASE: u64 = 0x8020_0000;
/// The kernel's image, data and stacks fit this much, held by the linker script's assertion.
pub const KERNEL_SPAN: u64 = KERNEL_TABLES as u64 * MEGAPAGE;
/// Leaf tables that give the kernel's own pages their protection, 2 MiB each.
pub const KERNEL_TABLES: usize = 2;
/// Bytes one entry of a middle table maps.
pub const MEGAPAGE: u64 = 512 * PAGE;

/// SiFive test finisher.
pub const FINISHER: u64 = 0x10_0000;
/// Platform interrupt controller; only its first two megapages are used.
pub const PLIC: u64 = 0x0c00_0000;
/// 16550 UART.
pub const UART: u64 = 0x1000_0000;
