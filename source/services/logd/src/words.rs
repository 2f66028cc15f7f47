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
        self.store(at, value, Ordering::Relaxed);
    }

    fn store(self, at: usize, value: u64, order: Ordering) {
        #[cfg(test)]
        death::before_store();
        if let Some(word) = self.0.get(at) {
            word.store(value, order);
        }
    }

    /// Writes only once everything written before is in memory.
    pub(crate) fn publish(self, at: usize, value: u64) {
        self.store(at, value, Ordering::Release);
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
        for (at, value) in (at..self.len()).zip(values) {
            self.set(at, *value);
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

/// A chain value as words.
pub(crate) fn digest_words(digest: &[u8; 32]) -> [u64; 4] {
    let (chunks, _) = digest.as_chunks::<8>();
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// Inverse of [`digest_words`].
pub(crate) fn words_digest(words: [u64; 4]) -> [u8; 32] {
    let mut digest = [0; 32];
    let (chunks, _) = digest.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    digest
}

/// Dying at a chosen store, to try every place a daemon can be killed at.
#[cfg(test)]
pub(crate) mod death {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    thread_local! {
        static STORES_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    struct Death;

    pub(super) fn before_store() {
        match STORES_LEFT.get() {
            u64::MAX => {}
            0 => resume_unwind(Box::new(Death)),
            left => STORES_LEFT.set(left - 1),
        }
    }

    /// Runs `life`, which ends before its store number `stores`; whether it lived to its end.
    pub(crate) fn after(stores: u64, life: impl FnOnce()) -> bool {
        STORES_LEFT.set(stores);
        let outcome = catch_unwind(AssertUnwindSafe(life));
        STORES_LEFT.set(u64::MAX);
        match outcome {
            Ok(()) => true,
            Err(cause) if cause.is::<Death>() => false,
            Err(cause) => resume_unwind(cause),
        }
    }
}
