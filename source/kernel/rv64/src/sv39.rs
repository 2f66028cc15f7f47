//! Sv39 page tables as data: a walk over tables that somebody else can read and write.
//!
//! Pure, so that the same code runs against RAM on the device and against a map in the tests.
//! Section numbers are those of the RISC-V privileged specification 1.12, chapter 4.4.

use nexus_abi::{Error, layout::PAGE, syscall::Prot};
use nexus_kernel_core::{FrameSource, Pfn};

/// Entries of one table.
pub const ENTRIES: usize = 512;
/// Root entries below this index are user space, the others the kernel half (bit 38).
pub const USER_ENTRIES: usize = 256;

const VALID: u64 = 1 << 0;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXEC: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
// Set from the start: the kernel does not page, so hardware has no reason to fault on them.
const ACCESSED: u64 = 1 << 6;
const DIRTY: u64 = 1 << 7;
const PPN_SHIFT: u32 = 10;

/// `satp.MODE` for Sv39.
const MODE: u64 = 8 << 60;

/// Table memory, one table per frame.
pub trait Tables {
    /// Entry `index` (below [`ENTRIES`]) of a table.
    fn get(&self, table: Pfn, index: usize) -> u64;
    /// Sets it.
    fn set(&mut self, table: Pfn, index: usize, entry: u64);
}

/// What a leaf allows. There is no writable and executable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(u64);

impl Leaf {
    /// Kernel text.
    pub const KERNEL_TEXT: Leaf = Leaf(READ | EXEC | GLOBAL | ACCESSED | VALID);
    /// Kernel constants.
    pub const KERNEL_CONST: Leaf = Leaf(READ | GLOBAL | ACCESSED | VALID);
    /// Kernel data, RAM seen by the kernel, and device registers.
    pub const KERNEL_DATA: Leaf = Leaf(READ | WRITE | GLOBAL | ACCESSED | DIRTY | VALID);

    /// A user page. Device windows need nothing extra: the memory attributes of the virt
    /// machine are fixed per physical address, so its registers are strongly ordered as is.
    #[must_use]
    pub const fn user(prot: Prot) -> Leaf {
        let access = match prot {
            Prot::Read => READ,
            Prot::ReadWrite => READ | WRITE | DIRTY,
            Prot::ReadExec => READ | EXEC,
        };
        Leaf(access | USER | ACCESSED | VALID)
    }

    /// The entry that maps `frame`.
    #[inline]
    #[must_use]
    pub const fn entry(self, frame: Pfn) -> u64 {
        ((frame.0 as u64) << PPN_SHIFT) | self.0
    }
}

/// The entry that points to the next table.
#[inline]
#[must_use]
pub const fn branch(table: Pfn) -> u64 {
    ((table.0 as u64) << PPN_SHIFT) | VALID
}

/// The next table, if the entry points to one.
#[inline]
#[must_use]
pub const fn target(entry: u64) -> Option<Pfn> {
    let leaf = entry & (READ | WRITE | EXEC) != 0;
    if entry & VALID == 0 || leaf { None } else { Some(Pfn((entry >> PPN_SHIFT) as u32)) }
}

/// Index into the table of `level` (2 is the root).
#[inline]
#[must_use]
pub const fn index(va: u64, level: u32) -> usize {
    let shift = 12u32.wrapping_add(level.wrapping_mul(9));
    ((va >> shift) & 0x1ff) as usize
}

/// The `satp` value that selects a root. No ASID: every switch fences, see `Rv64::enter`.
#[must_use]
pub const fn satp(root: Pfn) -> u64 {
    MODE | root.0 as u64
}

fn descend<T: Tables>(tables: &T, table: Pfn, va: u64, level: u32) -> Option<Pfn> {
    target(tables.get(table, index(va, level)))
}

fn descend_or_make<T: Tables>(
    tables: &mut T,
    table: Pfn,
    va: u64,
    level: u32,
    frames: &mut dyn FrameSource,
) -> Option<Pfn> {
    if let Some(next) = descend(tables, table, va, level) {
        return Some(next);
    }
    let fresh = frames.take()?;
    tables.set(table, index(va, level), branch(fresh));
    Some(fresh)
}

/// Where a run of pages lies.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// First address, page aligned, in the user half.
    pub va: u64,
    /// Pages.
    pub pages: u32,
}

impl Run {
    fn addresses(self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.pages)).map(move |i| self.va.wrapping_add(i.wrapping_mul(PAGE)))
    }
}

/// Maps `run` to the frames from `first` on.
///
/// # Errors
/// [`Error::QuotaExceeded`] when `frames` runs dry; then no page of the run is mapped.
pub fn map<T: Tables>(
    tables: &mut T,
    root: Pfn,
    run: Run,
    (first, leaf): (Pfn, Leaf),
    frames: &mut dyn FrameSource,
) -> Result<(), Error> {
    for (done, va) in (0..).zip(run.addresses()) {
        let middle = descend_or_make(tables, root, va, 2, frames);
        let last = middle.and_then(|m| descend_or_make(tables, m, va, 1, frames));
        let Some(last) = last else {
            unmap(tables, root, Run { va: run.va, pages: done });
            return Err(Error::QuotaExceeded);
        };
        tables.set(last, index(va, 0), leaf.entry(first.offset(done)));
    }
    Ok(())
}

/// Removes the translations of `run`; tables stay.
pub fn unmap<T: Tables>(tables: &mut T, root: Pfn, run: Run) {
    for va in run.addresses() {
        let last = descend(tables, root, va, 2).and_then(|m| descend(tables, m, va, 1));
        if let Some(last) = last {
            tables.set(last, index(va, 0), 0);
        }
    }
}

/// Copies the kernel half of one root into another.
pub fn share_kernel_half<T: Tables>(tables: &mut T, from: Pfn, to: Pfn) {
    for i in USER_ENTRIES..ENTRIES {
        let entry = tables.get(from, i);
        tables.set(to, i, entry);
    }
}

/// Takes every user table out of `root` and gives it back.
pub fn release_user_half<T: Tables>(tables: &mut T, root: Pfn, frames: &mut dyn FrameSource) {
    for i in 0..USER_ENTRIES {
        let Some(middle) = target(tables.get(root, i)) else { continue };
        tables.set(root, i, 0);
        for j in 0..ENTRIES {
            if let Some(last) = target(tables.get(middle, j)) {
                frames.give(last);
            }
        }
        frames.give(middle);
    }
}

#[cfg(test)]
mod tests;
