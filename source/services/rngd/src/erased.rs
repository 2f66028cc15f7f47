//! Buffers that are zero when they go.

use core::ops::{Deref, DerefMut};

use zeroize::optimization_barrier;

/// Bytes in one place: handed on by reference, since a value that moves leaves a copy behind.
pub(crate) struct Erased<const N: usize>([u8; N]);

impl<const N: usize> Erased<N> {
    pub(crate) const fn new() -> Self {
        Erased([0; N])
    }

    /// Filled at the width of the machine, and seen to be, so that no compiler leaves it out.
    pub(crate) fn erase(&mut self) {
        self.0.fill(0);
        optimization_barrier(&self.0);
    }
}

impl<const N: usize> Drop for Erased<N> {
    fn drop(&mut self) {
        self.erase();
    }
}

impl<const N: usize> Deref for Erased<N> {
    type Target = [u8; N];
    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Erased<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}
