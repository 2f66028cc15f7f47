//! Erasing what computing with secrets left on the stack.

use zeroize::Zeroize;

/// Words erased: more than the deepest signature, verification or sealing needs
/// (`verify_strict` in a build without optimisation is the deepest of them).
const WORDS: usize = 1024;

/// Runs `work` on secrets in a frame of its own and overwrites the stack it used.
///
/// The frame matters: inlined into the caller, its locals would stand above what is overwritten.
pub(crate) fn scrubbed<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    scrub_stack();
    done
}

#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites the stack below the caller, where the calls it made just before had their locals.
///
/// Functions of this crate that touch secrets do it themselves; who moves secrets about calls it
/// afterwards. Best effort, as everything of that kind is without control over the compiler:
/// registers and what was spilled by callers further up are not reached.
#[inline(never)]
pub fn scrub_stack() {
    let mut area = [0u64; WORDS];
    // A volatile write per word: the compiler may not leave it out.
    area.zeroize();
    core::hint::black_box(&mut area);
}
