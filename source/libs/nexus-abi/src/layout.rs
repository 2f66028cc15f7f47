//! Fixed sizes and addresses that kernel, runtime and image builder agree on.

/// Bytes in one page and in one physical frame (Sv39 base page).
pub const PAGE: u64 = 4096;

/// Longest IPC frame in bytes; what fits the message window of every process.
pub const FRAME_MAX: usize = 512;

/// Lowest user address that may be mapped; below it every access faults (null guard).
pub const USER_MIN: u64 = 0x1_0000;

/// One past the highest user address: the lower half of Sv39 is 2^38 bytes, the last page of
/// it is never mapped so that no access can run over into the non-canonical hole.
pub const USER_MAX: u64 = (1 << 38) - PAGE;

/// Virtual address of the kernel-owned message page, read-write in every process, never
/// unmappable. The frame is its first [`FRAME_MAX`] bytes.
pub const MESSAGE_PAGE: u64 = 0x3f_0000_0000;

/// Base of the region where [`crate::sys::Sys`] places views of VMOs.
pub const WINDOW_BASE: u64 = 0x20_0000_0000;

/// One past the highest stack address; the page below the stack is never mapped (guard).
pub const STACK_TOP: u64 = 0x30_0000_0000;

/// Slot of the CALL capability to the supervisor's connect endpoint, in every service.
pub const SLOT_CONNECT: u8 = 0;
/// Slot of a server's own RECV capability.
pub const SLOT_SERVER: u8 = 1;
/// Slot of the notification bound to the server endpoint, where a service has one.
pub const SLOT_NOTIFY: u8 = 2;
/// First slot for capabilities a manifest stanza wires statically (lanes, VMOs, devices, ...).
pub const SLOT_WIRED: u8 = 4;

/// Slots in one capability table.
pub const CAP_SLOTS: usize = 64;
