//! Erasing what computing with secrets left on the stack.

use zeroize::Zeroize;

/// Words erased: more than the deepest signature, verification or sealing needs
/// (`verify_strict` in a build without optimisation is the deepest of them).
const WORDS: usize = 1024;

/// Overwrites the stack below the caller, where the calls it made just before had their locals.
///
/// Functions of this crate that touch secrets call it themselves. Best effort, as everything of
/// that kind is without control over the compiler: registers and what was spilled by callers
/// further up are not reached.
#[inline(never)]
pub fn scrub_stack() {
    let mut area = [0u64; WORDS];
    // A volatile write per word: the compiler may not leave it out.
    area.zeroize();
    core::hint::black_box(&mut area);
}
