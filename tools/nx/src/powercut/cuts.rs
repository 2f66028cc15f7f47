//! Where the power can go, and what is on the medium then: everything up to the last flush, any
//! subset of what was written after it, and the newest of it perhaps torn.
use std::collections::{BTreeMap, BTreeSet};

use super::log::{Entry, SECTOR};

/// The disk as sectors that were ever written; the others are zero.
pub(super) type Image = BTreeMap<u64, [u8; SECTOR]>;

/// Un-flushed writes up to which every subset is tried.
const ALL_SUBSETS: usize = 6;
/// Subsets tried beyond that, besides those with one write missing.
const SAMPLED: u64 = 24;
/// Bytes of the new sector in front of the old rest, and the other way round.
const TORN: [usize; 5] = [1, 64, 256, 448, 511];

/// One cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// Entries that were made before it.
    pub(super) at: usize,
    /// Which of the un-flushed single-sector writes landed, oldest first.
    landed: Vec<bool>,
    /// How much of the newest landed: so many bytes, or all but so many.
    torn: Option<(usize, bool)>,
}

impl Cut {
    /// After everything.
    pub(super) const fn whole(history: &History) -> Cut {
        Cut { at: history.entries.len(), landed: Vec::new(), torn: None }
    }
}

/// A recorded machine.
#[derive(Debug)]
pub(super) struct History {
    pub(super) start: Image,
    pub(super) entries: Vec<Entry>,
}

/// One sector written.
type Single<'a> = (u64, &'a [u8; SECTOR]);

impl History {
    /// Each write as single sectors: no larger unit lands whole.
    pub(super) fn new(start: Image, entries: Vec<Entry>) -> History {
        let single = |entry: Entry| match entry {
            Entry::Flush => vec![Entry::Flush],
            Entry::Write { sector, data } => {
                let (sectors, _) = data.as_chunks::<SECTOR>();
                let one = |(at, data): (u64, &[u8; SECTOR])| Entry::Write {
                    sector: sector + at,
                    data: data.to_vec(),
                };
                (0..).zip(sectors).map(one).collect()
            }
        };
        History { start, entries: entries.into_iter().flat_map(single).collect() }
    }

    /// The sectors ever written, each once.
    pub(super) fn written(&self) -> BTreeSet<u64> {
        self.writes(0, self.entries.len()).map(|(sector, _)| sector).collect()
    }

    /// The sectors of all writes, in their order.
    pub(super) fn written_in_order(&self) -> Vec<u64> {
        self.writes(0, self.entries.len()).map(|(sector, _)| sector).collect()
    }

    /// The sector written last.
    pub(super) fn last_write(&self) -> Option<u64> {
        self.writes(0, self.entries.len()).last().map(|(sector, _)| sector)
    }

    /// The index behind the last flush before `at`.
    fn flushed(&self, at: usize) -> usize {
        let before = self.entries.get(..at).unwrap_or_default();
        before.iter().rposition(|entry| *entry == Entry::Flush).map_or(0, |flush| flush + 1)
    }

    fn writes(&self, from: usize, to: usize) -> impl Iterator<Item = Single<'_>> {
        self.entries.get(from..to).unwrap_or_default().iter().filter_map(|entry| match entry {
            Entry::Write { sector, data } => Some((*sector, data.first_chunk()?)),
            Entry::Flush => None,
        })
    }

    /// Every cut worth making, none twice. With `barriers` false flushes mean nothing: what a
    /// disk does that lies about them, and the control that this test can fail.
    pub(super) fn cuts(&self, barriers: bool) -> Vec<Cut> {
        let mut cuts = vec![Cut { at: 0, landed: vec![], torn: None }];
        for at in 1..=self.entries.len() {
            let from = if barriers { self.flushed(at) } else { at.saturating_sub(8) };
            let pending = self.writes(from, at).count();
            if pending == 0 || self.entries.get(at - 1) == Some(&Entry::Flush) {
                if barriers {
                    cuts.push(Cut { at, landed: vec![], torn: None });
                }
                continue;
            }
            for landed in subsets(pending, at as u64) {
                cuts.push(Cut { at, landed, torn: None });
            }
            let mut all = vec![true; pending];
            for torn in TORN.into_iter().flat_map(|n| [(n, true), (n, false)]) {
                cuts.push(Cut { at, landed: all.clone(), torn: Some(torn) });
            }
            // The newest torn, and nothing else of it there.
            all.fill(false);
            if let Some(newest) = all.last_mut().filter(|_| pending > 1) {
                *newest = true;
                cuts.push(Cut { at, landed: all, torn: Some((256, true)) });
            }
        }
        cuts
    }

    /// What is on the medium after the cut.
    pub(super) fn image(&self, cut: &Cut) -> Image {
        let mut image = self.start.clone();
        let pending = cut.landed.len();
        let made: Vec<Single<'_>> = self.writes(0, cut.at).collect();
        let (kept, loose) = made.split_at(made.len() - pending);
        for (sector, data) in kept {
            image.insert(*sector, **data);
        }
        for (index, ((sector, data), landed)) in loose.iter().zip(&cut.landed).enumerate() {
            if !landed {
                continue;
            }
            let place = image.entry(*sector).or_insert([0; SECTOR]);
            match cut.torn.filter(|_| index + 1 == pending) {
                None => *place = **data,
                Some((bytes, front)) => {
                    let new = |at: usize| (at < bytes) == front;
                    for (at, (old, byte)) in place.iter_mut().zip(data.iter()).enumerate() {
                        *old = if new(at) { *byte } else { *old };
                    }
                }
            }
        }
        image
    }
}

/// Subsets of so many writes in which the newest landed; the others are cuts before it.
fn subsets(pending: usize, seed: u64) -> Vec<Vec<bool>> {
    let older = pending - 1;
    let with = |bit: &dyn Fn(usize) -> bool| (0..pending).map(|n| n == older || bit(n)).collect();
    if older < ALL_SUBSETS {
        return (0..1u32 << older).map(|mask| with(&|n| mask >> n & 1 == 1)).collect();
    }
    let mut all: Vec<Vec<bool>> = vec![with(&|_| true), with(&|_| false)];
    all.extend((0..older).map(|missing| with(&|n| n != missing)));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..SAMPLED {
        let mut bits = Vec::with_capacity(older);
        for _ in 0..older {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bits.push(state & 1 == 1);
        }
        all.push(with(&|n| bits.get(n).copied().unwrap_or(true)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sector: u64, byte: u8) -> Entry {
        Entry::Write { sector, data: vec![byte; SECTOR] }
    }

    fn history(entries: Vec<Entry>) -> History {
        History::new(Image::from([(1, [9; SECTOR])]), entries)
    }

    #[test]
    fn flushed_writes_are_there_and_the_others_in_every_combination() {
        let history = history(vec![write(1, 1), Entry::Flush, write(1, 2), write(2, 3)]);
        let whole: Vec<(u8, u8)> = history
            .cuts(true)
            .iter()
            .filter(|cut| cut.at == 4 && cut.torn.is_none())
            .map(|cut| history.image(cut))
            .map(|image| (image[&1][0], image.get(&2).map_or(0, |s| s[0])))
            .collect();
        assert_eq!(whole, [(1, 3), (2, 3)]);
        let first = history.image(&history.cuts(true)[0]);
        assert_eq!(first[&1][0], 9, "before anything");
        for cut in history.cuts(true).iter().filter(|cut| cut.at >= 2) {
            assert_ne!(history.image(cut)[&1][0], 9, "flushed and gone: {cut:?}");
        }
        let lies = history.cuts(false);
        let gone = |cut: &&Cut| cut.at == 4 && history.image(cut)[&1][0] == 9;
        assert!(lies.iter().any(|cut| gone(&cut)), "without barriers it may be gone");
    }

    #[test]
    fn only_the_newest_is_torn_and_at_every_place() {
        let history = history(vec![write(1, 1)]);
        let torn: Vec<Image> = history
            .cuts(true)
            .iter()
            .filter(|cut| cut.torn.is_some())
            .map(|cut| history.image(cut))
            .collect();
        assert_eq!(torn.len(), 2 * TORN.len());
        let mixed = |image: &Image| image[&1].contains(&1) && image[&1].contains(&9);
        assert!(torn.iter().all(mixed));
        assert_eq!((torn[0][&1][0], torn[0][&1][1]), (1, 9), "front");
        assert_eq!((torn[1][&1][0], torn[1][&1][1]), (9, 1), "back");
    }

    #[test]
    fn large_writes_are_cut_into_sectors_and_many_are_sampled() {
        let history = history(vec![Entry::Write { sector: 5, data: vec![1; 20 * SECTOR] }]);
        assert_eq!(history.entries.len(), 20);
        let last = history.cuts(true).into_iter().filter(|cut| cut.at == 20).count();
        assert_eq!(last, 2 + 19 + SAMPLED as usize + 2 * TORN.len() + 1);
    }
}
