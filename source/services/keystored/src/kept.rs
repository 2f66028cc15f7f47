//! What a later instance of keystored finds: memory that lives as long as the machine runs. Guards
//! that a death between any two stores leaves what was there before or what comes after.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::vault::{unwords, words};

/// The boot that was counted; 0 for none.
pub(crate) const BOOT: usize = 0;
/// Two words that name this boot.
const ID: usize = 1;
/// How often a head was kept; its last bit tells in which of the two places the newest is.
const HEADS: usize = 3;
/// The two places of a head: number and digest.
const HEAD: usize = 4;
const HEAD_WORDS: usize = 5;

/// The memory, if there is any.
pub(crate) struct Kept(pub(crate) Option<&'static [AtomicU64]>);

impl Kept {
    pub(crate) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// A word; 0 where there is none.
    pub(crate) fn word(&self, at: usize) -> u64 {
        let word = self.0.and_then(|words| words.get(at));
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.0.and_then(|words| words.get(at)) {
            word.store(value, Ordering::Release);
        }
    }

    pub(crate) fn boot_id(&self) -> [u8; 16] {
        words([self.word(ID), self.word(ID + 1)])
    }

    pub(crate) fn keep_boot_id(&self, id: &[u8; 16]) {
        for (at, word) in (ID..).zip(unwords::<2>(id)) {
            self.set(at, word);
        }
    }

    /// Number and digest of the checkpoint kept last; `None` if none was.
    pub(crate) fn head(&self) -> Option<(u64, [u8; 32])> {
        let kept = self.word(HEADS);
        let first = place(kept);
        let digest =
            core::array::from_fn(|at| self.word(first.saturating_add(1).saturating_add(at)));
        (kept > 0).then(|| (self.word(first), words::<4, 32>(digest)))
    }

    /// Into the older place, which counts with the last store only.
    pub(crate) fn keep_head(&self, (number, digest): (u64, [u8; 32])) {
        let kept = self.word(HEADS).saturating_add(1);
        let first = place(kept);
        self.set(first, number);
        for (at, word) in (first.saturating_add(1)..).zip(unwords::<4>(&digest)) {
            self.set(at, word);
        }
        self.set(HEADS, kept);
    }
}

/// The first word of the place that so many keepings ended in.
const fn place(kept: u64) -> usize {
    if kept & 1 == 0 { HEAD } else { HEAD + HEAD_WORDS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> &'static [AtomicU64] {
        Box::leak((0..512).map(|_| AtomicU64::new(0)).collect())
    }

    #[test]
    fn what_was_kept_last_is_found_by_the_next_instance() {
        let memory = memory();
        let kept = Kept(Some(memory));
        assert_eq!(kept.head(), None);
        kept.set(BOOT, 7);
        kept.keep_boot_id(&[9; 16]);
        for number in [0, 1, 3, 9] {
            kept.keep_head((number, [number as u8 + 1; 32]));
            assert_eq!(Kept(Some(memory)).head(), Some((number, [number as u8 + 1; 32])));
        }
        assert_eq!((kept.word(BOOT), kept.boot_id()), (7, [9; 16]));
        let nothing = Kept(None);
        nothing.keep_head((1, [1; 32]));
        assert!(nothing.head().is_none() && nothing.word(BOOT) == 0 && !nothing.is_there());
    }

    /// A death before each store but the last leaves the head of before.
    #[test]
    fn a_death_while_keeping_leaves_the_one_before() {
        for dead_after in 0..=HEAD_WORDS {
            let (memory, scratch) = (memory(), memory());
            Kept(Some(memory)).keep_head((3, [3; 32]));
            for (to, from) in scratch.iter().zip(memory) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            Kept(Some(scratch)).keep_head((5, [5; 32]));
            // The stores of the second keeping, in order, up to the death.
            let order = (place(2)..place(2) + HEAD_WORDS).chain([HEADS]);
            for at in order.take(dead_after) {
                memory[at].store(scratch[at].load(Ordering::Relaxed), Ordering::Relaxed);
            }
            assert_eq!(Kept(Some(memory)).head(), Some((3, [3; 32])), "{dead_after}");
        }
    }
}
