//! RAM as the kernel sees it: every frame at its physical address plus `OFFSET`.

use nexus_abi::layout::PAGE;
use nexus_kernel_core::Pfn;

use crate::{
    fatal::fatal,
    layout::{KERNEL_BASE, OFFSET, RAM_END},
    sv39::{ENTRIES, Tables},
};

const FIRST: u32 = (KERNEL_BASE / PAGE) as u32;
const END: u32 = (RAM_END / PAGE) as u32;

/// First byte of `count` frames, all of them RAM that the kernel may own.
#[inline]
pub(crate) fn frames(first: Pfn, count: u32) -> *mut u8 {
    let inside = first.0 >= FIRST && first.0 <= END && count <= END.wrapping_sub(first.0);
    if !inside {
        fatal(format_args!("frame {:#x} + {count} outside RAM", first.0));
    }
    core::ptr::with_exposed_provenance_mut(first.address().wrapping_add(OFFSET) as usize)
}

/// Words per turn of the clearing loop.
const CHUNK: usize = 8;

/// Clears whole frames. Volatile stores in chunks: half the instructions of the generic
/// `memset`, on a path that every new table and every memory object takes.
pub(crate) fn zero(first: Pfn, count: u32) {
    let mut at = frames(first, count).cast::<u64>();
    let chunks = (count as usize).wrapping_mul(PAGE as usize / (8 * CHUNK));
    for _ in 0..chunks {
        for i in 0..CHUNK {
            // SAFETY: `frames` checked that the range is RAM; the core hands in only frames it
            // owns and nobody maps, so no reference to them exists.
            unsafe { at.wrapping_add(i).write_volatile(0) };
        }
        at = at.wrapping_add(CHUNK);
    }
}

/// Copies `len` bytes from the start of frame `src` on to frame `dst` on.
pub(crate) fn copy(dst: Pfn, src: Pfn, len: u64) {
    let count = len.div_ceil(PAGE) as u32;
    let (to, from) = (frames(dst, count), frames(src, count));
    // SAFETY: both ranges are RAM; the core copies the boot image, which it does not own, into
    // frames it owns, so they do not overlap.
    unsafe { to.copy_from_nonoverlapping(from, len as usize) };
}

/// Page tables in RAM.
pub(crate) struct InRam;

#[inline]
fn entry(table: Pfn, index: usize) -> *mut u64 {
    frames(table, 1).cast::<u64>().wrapping_add(index % ENTRIES)
}

impl Tables for InRam {
    #[inline]
    fn get(&self, table: Pfn, index: usize) -> u64 {
        // SAFETY: aligned, inside one RAM frame that is a table; the hardware only reads it.
        unsafe { entry(table, index).read_volatile() }
    }

    #[inline]
    fn set(&mut self, table: Pfn, index: usize, value: u64) {
        // SAFETY: as in `get`; table frames are the core's to give and nobody else's.
        unsafe { entry(table, index).write_volatile(value) };
    }
}
