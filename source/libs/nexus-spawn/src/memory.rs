//! Memory of a new process: filled through a temporary view, sealed, mapped, then known only to
//! the mapping.

use core::sync::atomic::{AtomicU64, Ordering};

use nexus_abi::{
    Call, Error, Handle, Sys,
    layout::{PAGE, STACK_TOP},
    syscall::{Prot, Seal, VmoKind},
};
use nexus_elf::Segment;

const WORD: usize = size_of::<u64>();

/// Copies a segment into fresh memory and maps it into the child.
pub(crate) fn load_segment<S: Sys>(
    sys: &mut S,
    process: Handle,
    segment: &Segment,
    image: &[u8],
) -> Result<(), Error> {
    let bytes = segment.bytes(image).ok_or(Error::InvalidArgument)?;
    let len = segment.page_len();
    let vmo = create(sys, len)?;
    let mapped = fill(sys, vmo, len, bytes)
        .and_then(|()| match segment.prot {
            Prot::ReadWrite => Ok(()),
            Prot::Read => seal(sys, vmo, Seal::ReadOnly),
            Prot::ReadExec => seal(sys, vmo, Seal::Exec),
        })
        .and_then(|()| map(sys, process, vmo, (segment.va, len), segment.prot));
    closed(sys, vmo, mapped)
}

/// Maps a zeroed stack that ends at [`STACK_TOP`]. Nothing else is ever mapped between the views
/// and the stack, so the page below it faults.
pub(crate) fn map_stack<S: Sys>(sys: &mut S, process: Handle, len: u64) -> Result<(), Error> {
    let vmo = create(sys, len)?;
    let mapped = map(sys, process, vmo, (STACK_TOP.saturating_sub(len), len), Prot::ReadWrite);
    closed(sys, vmo, mapped)
}

/// A fresh memory object that holds `bytes` and zeroes up to the page, sealed read-only.
///
/// # Errors
/// What the kernel refuses; nothing is left of the object then.
pub fn sealed_copy<S: Sys>(sys: &mut S, bytes: &[u8]) -> Result<Handle, Error> {
    let len = (bytes.len() as u64).div_ceil(PAGE).max(1).saturating_mul(PAGE);
    let vmo = create(sys, len)?;
    let sealed = fill(sys, vmo, len, bytes).and_then(|()| seal(sys, vmo, Seal::ReadOnly));
    if sealed.is_err() {
        return closed(sys, vmo, sealed).map(|()| Handle::NONE);
    }
    Ok(vmo)
}

fn create<S: Sys>(sys: &mut S, len: u64) -> Result<Handle, Error> {
    sys.make(Call::VmoCreate { len, kind: VmoKind::Ram, authority: Handle::NONE })
}

fn seal<S: Sys>(sys: &mut S, vmo: Handle, seal: Seal) -> Result<(), Error> {
    sys.run(Call::VmoSeal { vmo, seal }).map(|_| ())
}

fn map<S: Sys>(
    sys: &mut S,
    proc: Handle,
    vmo: Handle,
    (va, len): (u64, u64),
    prot: Prot,
) -> Result<(), Error> {
    sys.run(Call::VmMap { proc, vmo, va, offset: 0, len, prot }).map(|_| ())
}

/// The mapping keeps the memory alive; the handle is of no further use, in success or failure.
fn closed<S: Sys>(sys: &mut S, vmo: Handle, step: Result<(), Error>) -> Result<(), Error> {
    let closed = sys.run(Call::CapClose { cap: vmo });
    step.and(closed.map(|_| ()))
}

/// Writes `bytes` to the start of the object of `len` bytes as little-endian words; the object is zeroed, so
/// only the words that hold bytes are touched.
fn fill<S: Sys>(sys: &mut S, vmo: Handle, len: u64, bytes: &[u8]) -> Result<(), Error> {
    if bytes.is_empty() {
        return Ok(());
    }
    let len = usize::try_from(len).map_err(|_| Error::InvalidArgument)?;
    let mut written = false;
    sys.with_words(vmo, len, &mut |words| written = copy(words, bytes))?;
    if written { Ok(()) } else { Err(Error::InvalidArgument) }
}

/// Whether every byte found a place.
fn copy(words: &[AtomicU64], bytes: &[u8]) -> bool {
    let (whole, tail) = bytes.as_chunks::<WORD>();
    for (word, chunk) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if !tail.is_empty() {
        let mut last = [0; WORD];
        for (place, byte) in last.iter_mut().zip(tail) {
            *place = *byte;
        }
        if let Some(word) = words.get(whole.len()) {
            word.store(u64::from_le_bytes(last), Ordering::Relaxed);
        }
    }
    words.len() >= bytes.len().div_ceil(WORD)
}
