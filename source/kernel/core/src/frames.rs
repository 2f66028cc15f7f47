//! The frame allocator: one bit per frame, and a stock of zeroed frames for page tables.

use crate::{
    FrameSource, Machine,
    limits::{MAX_FRAMES, SPARE_TABLES},
    types::Pfn,
};

const WORDS: usize = MAX_FRAMES / 64;

/// Which frames are used. Runs are taken from the bottom and single frames from the top, so
/// that page tables do not cut the memory into pieces.
pub(crate) struct Frames {
    first: u32,
    total: u32,
    used: u32,
    bits: [u64; WORDS],
    /// Zeroed frames, used but charged to nobody yet.
    spare: [Pfn; SPARE_TABLES],
    spares: usize,
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Frames {
            first: 0,
            total: 0,
            used: 0,
            bits: [u64::MAX; WORDS],
            spare: [Pfn(0); SPARE_TABLES],
            spares: 0,
        }
    }

    /// Takes over the free RAM; what exceeds [`MAX_FRAMES`] stays unused.
    pub(crate) fn add(&mut self, free: core::ops::Range<u32>) {
        self.first = free.start;
        self.total = free.end.saturating_sub(free.start).min(MAX_FRAMES as u32);
        for n in 0..self.total {
            self.set(n, false);
        }
        self.used = 0;
    }

    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn spares(&self) -> u32 {
        self.spares as u32
    }

    fn is_used(&self, n: u32) -> bool {
        self.bits.get(n as usize / 64).is_none_or(|word| (word >> (n % 64)) & 1 == 1)
    }

    fn set(&mut self, n: u32, used: bool) {
        let Some(word) = self.bits.get_mut(n as usize / 64) else { return };
        let bit = 1u64.wrapping_shl(n % 64);
        if used {
            *word |= bit;
            self.used = self.used.saturating_add(1);
        } else {
            *word &= !bit;
            self.used = self.used.saturating_sub(1);
        }
    }

    /// `count` contiguous frames, not cleared.
    pub(crate) fn take_run(&mut self, count: u32) -> Option<Pfn> {
        if count == 0 || count > self.total.saturating_sub(self.used) {
            return None;
        }
        let (mut n, mut run) = (0u32, 0u32);
        while n < self.total {
            let full = n.is_multiple_of(64) && self.bits.get(n as usize / 64) == Some(&u64::MAX);
            if full || self.is_used(n) {
                run = 0;
                n = n.saturating_add(if full { 64 } else { 1 });
                continue;
            }
            run = run.saturating_add(1);
            n = n.saturating_add(1);
            if run == count {
                let start = n.saturating_sub(count);
                (start..n).for_each(|i| self.set(i, true));
                return Some(Pfn(self.first).offset(start));
            }
        }
        None
    }

    /// One frame from the top, not cleared.
    pub(crate) fn take_one(&mut self) -> Option<Pfn> {
        let (index, word) = self.bits.iter().enumerate().rfind(|(_, word)| **word != u64::MAX)?;
        let n =
            (index as u32).wrapping_mul(64).wrapping_add(63u32.wrapping_sub(word.leading_ones()));
        self.set(n, true);
        Some(Pfn(self.first).offset(n))
    }

    /// Gives frames back; one that is not used (a kernel bug) is left alone. Returns how many
    /// were.
    pub(crate) fn give(&mut self, first: Pfn, count: u32) -> u32 {
        let start = first.0.wrapping_sub(self.first);
        let mut given = 0u32;
        for n in start..start.saturating_add(count).min(self.total) {
            if self.is_used(n) {
                self.set(n, false);
                given = given.saturating_add(1);
            }
        }
        given
    }

    /// Makes sure that a mapping of `pages` pages finds zeroed table frames, as far as memory
    /// goes.
    pub(crate) fn stock<M: Machine>(&mut self, m: &mut M, pages: u32) {
        let need = (pages as usize / 512).saturating_add(4).min(SPARE_TABLES);
        while self.spares < need {
            let Some(frame) = self.take_one() else { return };
            m.zero_frames(frame, 1);
            if let Some(slot) = self.spare.get_mut(self.spares) {
                *slot = frame;
            }
            self.spares = self.spares.saturating_add(1);
        }
    }

    fn take_spare(&mut self) -> Option<Pfn> {
        let last = self.spares.checked_sub(1)?;
        let frame = *self.spare.get(last)?;
        self.spares = last;
        Some(frame)
    }
}

/// Table frames for one process, inside its quota.
pub(crate) struct Charged<'a> {
    pub(crate) frames: &'a mut Frames,
    pub(crate) used: &'a mut u32,
    pub(crate) limit: u32,
    /// Frames of the address space among `used`.
    pub(crate) space: &'a mut u32,
}

impl FrameSource for Charged<'_> {
    fn take(&mut self) -> Option<Pfn> {
        if *self.used >= self.limit {
            return None;
        }
        let frame = self.frames.take_spare()?;
        *self.used = self.used.saturating_add(1);
        *self.space = self.space.saturating_add(1);
        Some(frame)
    }

    fn give(&mut self, frame: Pfn) {
        let given = self.frames.give(frame, 1);
        *self.used = self.used.saturating_sub(given);
        *self.space = self.space.saturating_sub(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_from_below_single_frames_from_above_and_all_come_back() {
        let mut f = Frames::new();
        f.add(100..300);
        let run = f.take_run(70).unwrap();
        let top = f.take_one().unwrap();
        assert_eq!((run, top, f.used()), (Pfn(100), Pfn(299), 71));
        assert_eq!(f.take_run(130), None);
        assert_eq!(f.give(run, 70), 70);
        assert_eq!(f.take_run(199), Some(Pfn(100)));
        assert_eq!(f.take_one(), None);
        assert_eq!((f.give(Pfn(100), 199), f.give(top, 1), f.used()), (199, 1, 0));
    }

    #[test]
    fn test_reject_double_free() {
        let mut f = Frames::new();
        f.add(0..64);
        let a = f.take_one().unwrap();
        assert_eq!((f.give(a, 1), f.give(a, 1), f.give(Pfn(64), 9), f.used()), (1, 0, 0, 0));
    }

    #[test]
    fn a_hole_of_the_right_size_is_found() {
        let mut f = Frames::new();
        f.add(0..256);
        let all = f.take_run(256).unwrap();
        f.give(all.offset(63), 3);
        f.give(all.offset(130), 4);
        assert_eq!(f.take_run(4), Some(Pfn(130)));
        assert_eq!(f.take_run(3), Some(Pfn(63)));
    }
}
