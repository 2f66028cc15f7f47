//! Reading and writing a memory object word by word. Nobody else maps these objects, but a
//! predecessor may have died between any two stores, so every store has its place in an order.

use core::sync::atomic::{AtomicU64, Ordering, fence};

/// A run of shared words; out of range reads as 0 and writes nothing.
#[derive(Clone, Copy)]
pub(crate) struct Words<'v>(pub(crate) &'v [AtomicU64]);

impl<'v> Words<'v> {
    pub(crate) const fn len(self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    pub(crate) fn set(self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Writes only once everything written before is in memory.
    pub(crate) fn publish(self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Writes before anything written after.
    pub(crate) fn retract(self, at: usize) {
        self.set(at, 0);
        fence(Ordering::SeqCst);
    }

    /// The words `at..at + N`.
    pub(crate) fn array<const N: usize>(self, at: usize) -> [u64; N] {
        let mut out = [0; N];
        for (place, word) in out.iter_mut().zip(self.0.iter().skip(at)) {
            *place = word.load(Ordering::Relaxed);
        }
        out
    }

    /// Overwrites the words from `at` on.
    pub(crate) fn fill(self, at: usize, values: &[u64]) {
        for (word, value) in self.0.iter().skip(at).zip(values) {
            word.store(*value, Ordering::Relaxed);
        }
    }

    /// A run of `len` words starting at `at`, shorter at the end.
    pub(crate) fn window(self, at: usize, len: usize) -> Words<'v> {
        let rest = self.0.get(at..).unwrap_or_default();
        Words(rest.get(..len).unwrap_or(rest))
    }
}

/// Tells a finished run of words from a half-written or foreign one. Not a defence against a
/// forger: whoever can write here is logd.
pub(crate) fn check(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0x6e78_6a72_6e6c_3031, |sum: u64, word| {
        (sum ^ word).rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
