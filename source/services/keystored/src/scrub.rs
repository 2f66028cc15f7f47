//! Overwriting the stack over which keys moved.
//!
//! Keys are moved from where they are made or read to where they stay, and each move may leave a
//! copy behind: in a build without optimisation down to 50 KiB below the request. What the library
//! overwrites after each of its own operations reaches 8 KiB.

use zeroize::zeroize_stack;

/// Bytes overwritten. The service's stack has twice as many.
const DEPTH: usize = 64 * 1024;

/// Runs `work` in a frame of its own: inlined into the caller, its locals would stand above what
/// is overwritten.
#[inline(never)]
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites the stack below the caller.
#[inline(never)]
pub(crate) fn stack() {
    zeroize_stack::<DEPTH>();
}
