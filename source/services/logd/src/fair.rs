//! Which slot to fill next. Guards that one noisy subject cannot push out another's records:
//! when nothing is free, the oldest record of whoever holds the most goes.

/// No slot.
const NIL: u16 = u16::MAX;

/// One slot's place in the arrival order and in its holder's own order.
#[derive(Clone, Copy)]
struct Link {
    older: u16,
    newer: u16,
    /// Next newer slot of the same holder; for a free slot, the next free one.
    next: u16,
}

/// The records one subject has in the store.
#[derive(Clone, Copy)]
struct Holder {
    subject: u64,
    count: u16,
    oldest: u16,
    newest: u16,
}

const NO_LINK: Link = Link { older: NIL, newer: NIL, next: NIL };
const NO_HOLDER: Holder = Holder { subject: 0, count: 0, oldest: NIL, newest: NIL };

/// A slot to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Index of the slot.
    pub(crate) slot: usize,
    /// Whether a record had to go for it.
    pub(crate) evicted: bool,
}

/// Order and ownership of `SLOTS` slots. The last of the `HOLDERS` is shared by every subject
/// that finds no holder of its own, so the table stays bounded whatever the input.
pub(crate) struct Fair<const SLOTS: usize, const HOLDERS: usize> {
    links: [Link; SLOTS],
    holders: [Holder; HOLDERS],
    oldest: u16,
    newest: u16,
    free: u16,
    len: u16,
}

impl<const SLOTS: usize, const HOLDERS: usize> Fair<SLOTS, HOLDERS> {
    /// Links are 16 bits wide and the shared holder must exist.
    const BOUNDS: () = assert!(SLOTS > 0 && SLOTS < NIL as usize && HOLDERS > 0);

    /// Every slot taken out of play; [`Fair::adopt`] and [`Fair::release`] put them in.
    pub(crate) const fn nothing() -> Self {
        let () = Self::BOUNDS;
        let (links, holders) = ([NO_LINK; SLOTS], [NO_HOLDER; HOLDERS]);
        Fair { links, holders, oldest: NIL, newest: NIL, free: NIL, len: 0 }
    }

    /// Every slot free, lowest index first.
    pub(crate) fn empty() -> Self {
        let mut fair = Self::nothing();
        for slot in (0..SLOTS).rev() {
            fair.release(slot);
        }
        fair
    }

    /// Slots in use.
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// The slot filled last.
    pub(crate) fn newest(&self) -> Option<usize> {
        self.links.get(self.newest as usize).map(|_| self.newest as usize)
    }

    /// Marks `slot` as free.
    pub(crate) fn release(&mut self, slot: usize) {
        let free = self.free;
        if let (Some(link), Ok(index)) = (self.links.get_mut(slot), u16::try_from(slot)) {
            *link = Link { next: free, ..NO_LINK };
            self.free = index;
        }
    }

    /// Marks `slot` as the newest record of `subject`.
    pub(crate) fn adopt(&mut self, slot: usize, subject: u64) {
        if let Some(index) = self.append(slot) {
            self.hand(index, subject, self.holder(subject));
        }
    }

    /// Adds `slot` to the arrival order.
    fn append(&mut self, slot: usize) -> Option<u16> {
        let (index, newest) = (u16::try_from(slot).ok()?, self.newest);
        *self.links.get_mut(slot)? = Link { older: newest, ..NO_LINK };
        match self.link(newest) {
            Some(before) => before.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        self.len = self.len.saturating_add(1);
        Some(index)
    }

    /// As [`Fair::adopt`], into the holder it had before a restart.
    pub(crate) fn adopt_into(&mut self, slot: usize, subject: u64, holder: usize) {
        if let Some(index) = self.append(slot) {
            self.hand(index, subject, holder);
        }
    }

    /// The holder that has the newest record of `subject`.
    pub(crate) fn holder(&self, subject: u64) -> usize {
        let own = self.holders.iter().position(|h| h.count > 0 && h.subject == subject);
        let place = own.or_else(|| self.holders.iter().position(|h| h.count == 0));
        place.unwrap_or(HOLDERS.saturating_sub(1))
    }

    /// Holder and slot of the record that has to go for the next one; `None` if a slot is free.
    pub(crate) fn victim(&self) -> Option<(usize, usize)> {
        if self.free != NIL {
            return None;
        }
        let holders = self.holders.iter().enumerate();
        let (place, holder) = holders.reduce(|a, b| if b.1.count > a.1.count { b } else { a })?;
        Some((place, holder.oldest as usize))
    }

    /// Holders that have records, with whom they belong to, their oldest and their newest slot.
    pub(crate) fn held(&self) -> impl Iterator<Item = (usize, u64, [usize; 2])> + '_ {
        let holders = self.holders.iter().enumerate().filter(|(_, holder)| holder.count > 0);
        holders.map(|(place, h)| (place, h.subject, [h.oldest as usize, h.newest as usize]))
    }

    /// A slot for a record of `subject`: a free one, else the oldest of the heaviest holder.
    /// It already counts as the subject's newest.
    pub(crate) fn claim(&mut self, subject: u64) -> Option<Claim> {
        let (slot, evicted) = match self.take_free() {
            Some(slot) => (slot, false),
            None => (self.evict()?, true),
        };
        self.adopt(slot, subject);
        Some(Claim { slot, evicted })
    }

    /// Slots in use, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let start = self.links.get(self.oldest as usize).map(|_| self.oldest as usize);
        core::iter::successors(start, |slot| {
            let newer = self.links.get(*slot)?.newer as usize;
            self.links.get(newer).map(|_| newer)
        })
        .take(self.len())
    }

    fn link(&mut self, slot: u16) -> Option<&mut Link> {
        self.links.get_mut(slot as usize)
    }

    fn take_free(&mut self) -> Option<usize> {
        let slot = self.free;
        self.free = self.links.get(slot as usize)?.next;
        Some(slot as usize)
    }

    /// Adds `slot` to the holder's own order. A subject gets the holder that is its own, else an
    /// unused one, else the shared last one.
    fn hand(&mut self, slot: u16, subject: u64, holder: usize) {
        let Some(holder) = self.holders.get_mut(holder) else { return };
        let newest = holder.newest;
        (holder.newest, holder.count) = (slot, holder.count.saturating_add(1));
        if holder.count == 1 {
            (holder.subject, holder.oldest) = (subject, slot);
        } else if let Some(before) = self.link(newest) {
            before.next = slot;
        }
    }

    fn evict(&mut self) -> Option<usize> {
        let holders = self.holders.iter_mut();
        let heaviest = holders.reduce(|a, b| if b.count > a.count { b } else { a })?;
        let slot = heaviest.oldest;
        let gone = *self.links.get(slot as usize)?;
        heaviest.oldest = gone.next;
        heaviest.count = heaviest.count.saturating_sub(1);
        self.unlink(gone);
        Some(slot as usize)
    }

    /// Takes a link out of the arrival order.
    fn unlink(&mut self, gone: Link) {
        match self.link(gone.older) {
            Some(older) => older.newer = gone.newer,
            None => self.oldest = gone.newer,
        }
        match self.link(gone.newer) {
            Some(newer) => newer.older = gone.older,
            None => self.newest = gone.older,
        }
        self.len = self.len.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order<const S: usize, const H: usize>(fair: &Fair<S, H>) -> Vec<usize> {
        fair.iter().collect()
    }

    #[test]
    fn free_slots_go_first_and_order_is_arrival() {
        let mut fair = Fair::<3, 2>::empty();
        for expected in 0..3 {
            assert_eq!(fair.claim(7), Some(Claim { slot: expected, evicted: false }));
        }
        assert_eq!(fair.claim(7), Some(Claim { slot: 0, evicted: true }));
        assert_eq!(order(&fair), [1, 2, 0]);
        assert_eq!(fair.len(), 3);
    }

    #[test]
    fn a_flood_evicts_only_itself() {
        let mut fair = Fair::<8, 4>::empty();
        let quiet = [fair.claim(1).unwrap().slot, fair.claim(2).unwrap().slot];
        for _ in 0..10_000 {
            let slot = fair.claim(99).unwrap().slot;
            assert!(!quiet.contains(&slot));
        }
        assert_eq!(order(&fair)[..2], quiet);
    }

    #[test]
    fn more_subjects_than_holders_share_the_last_one() {
        let mut fair = Fair::<4, 2>::empty();
        for subject in 0..1000 {
            fair.claim(subject).unwrap();
            assert!(fair.len() <= 4);
        }
        assert_eq!(order(&fair).len(), 4);
    }

    #[test]
    fn adopting_after_a_restart_keeps_order_and_weight() {
        let mut fair = Fair::<4, 4>::nothing();
        fair.adopt(2, 5);
        fair.adopt(0, 5);
        fair.adopt(3, 6);
        fair.release(1);
        assert_eq!(order(&fair), [2, 0, 3]);
        assert_eq!(fair.claim(6).unwrap(), Claim { slot: 1, evicted: false });
        assert_eq!(fair.claim(6).unwrap(), Claim { slot: 2, evicted: true });
        assert_eq!(order(&fair), [0, 3, 1, 2]);
    }

    #[test]
    fn the_index_agrees_with_a_plain_model() {
        let mut fair = Fair::<6, 5>::empty();
        let mut model: Vec<(usize, u64)> = Vec::new();
        let mut x = 1u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let subject = (x >> 60) % 4;
            let claim = fair.claim(subject).unwrap();
            if claim.evicted {
                let count = |s: u64| model.iter().filter(|m| m.1 == s).count();
                let victim = model.iter().position(|m| m.0 == claim.slot).unwrap();
                let weight = count(model[victim].1);
                assert!((0..4).all(|s| count(s) <= weight), "the heaviest pays");
                assert_eq!(model.iter().position(|m| m.1 == model[victim].1), Some(victim));
                model.remove(victim);
            }
            model.push((claim.slot, subject));
            assert_eq!(order(&fair), model.iter().map(|m| m.0).collect::<Vec<_>>());
        }
    }
}
