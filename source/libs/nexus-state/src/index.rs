//! Where every live value is: a fixed table, ordered by namespace and key.

use crate::{
    key::Key,
    limits::{ENTRIES_MAX, KEY_MAX_BYTES},
    record::ITEM_HEADER_BYTES,
    tag::{TAG_BYTES, Tag},
};

/// One live key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) namespace: u64,
    pub(crate) sequence: u64,
    pub(crate) digest: Tag,
    /// Sector of the device in which the value begins.
    pub(crate) sector: u32,
    /// Byte of that sector.
    pub(crate) offset: u16,
    pub(crate) value_len: u16,
    pub(crate) key_len: u8,
    pub(crate) key: [u8; KEY_MAX_BYTES],
}

impl Slot {
    pub(crate) const EMPTY: Slot = Slot {
        namespace: 0,
        sequence: 0,
        digest: [0; TAG_BYTES],
        sector: 0,
        offset: 0,
        value_len: 0,
        key_len: 0,
        key: [0; KEY_MAX_BYTES],
    };

    pub(crate) fn named(namespace: u64, key: Key<'_>) -> Slot {
        let mut slot = Slot { namespace, ..Slot::EMPTY };
        let bytes = key.as_bytes();
        if let Some(space) = slot.key.get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            slot.key_len = u8::try_from(bytes.len()).unwrap_or_default();
        }
        slot
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.key.get(..usize::from(self.key_len)).unwrap_or_default()
    }

    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> u32 {
        u32::from(self.key_len).saturating_add(u32::from(self.value_len))
    }

    /// Bytes the entry takes in a snapshot.
    pub(crate) fn item_bytes(&self) -> usize {
        ITEM_HEADER_BYTES
            .saturating_add(usize::from(self.key_len))
            .saturating_add(usize::from(self.value_len))
    }

    fn name(&self) -> (u64, &[u8]) {
        (self.namespace, self.key())
    }
}

/// All live keys.
#[derive(Debug)]
pub(crate) struct Index {
    slots: [Slot; ENTRIES_MAX],
    /// The first `len` are slots in order of their names.
    order: [u16; ENTRIES_MAX],
    len: usize,
    /// Bytes that all entries take in a snapshot.
    item_bytes: usize,
}

impl Index {
    pub(crate) const EMPTY: Index =
        Index { slots: [Slot::EMPTY; ENTRIES_MAX], order: [0; ENTRIES_MAX], len: 0, item_bytes: 0 };

    pub(crate) fn clear(&mut self) {
        (self.len, self.item_bytes) = (0, 0);
    }

    pub(crate) const fn item_bytes(&self) -> usize {
        self.item_bytes
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn ordered(&self) -> &[u16] {
        self.order.get(..self.len).unwrap_or_default()
    }

    fn at(&self, place: u16) -> &Slot {
        self.slots.get(usize::from(place)).unwrap_or(&Slot::EMPTY)
    }

    /// The slot of this rank in the order of names.
    pub(crate) fn ranked(&self, rank: usize) -> Option<&Slot> {
        self.ordered().get(rank).map(|place| self.at(*place))
    }

    pub(crate) fn ranked_mut(&mut self, rank: usize) -> Option<&mut Slot> {
        let place = *self.ordered().get(rank)?;
        self.slots.get_mut(usize::from(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> + '_ {
        self.ordered().iter().map(|place| self.at(*place))
    }

    /// Slots at and after a name.
    pub(crate) fn from(&self, namespace: u64, key: &[u8]) -> impl Iterator<Item = &Slot> + '_ {
        let (Ok(rank) | Err(rank)) = self.rank(namespace, key);
        self.ordered().get(rank..).unwrap_or_default().iter().map(|place| self.at(*place))
    }

    fn rank(&self, namespace: u64, key: &[u8]) -> Result<usize, usize> {
        self.ordered().binary_search_by(|place| self.at(*place).name().cmp(&(namespace, key)))
    }

    pub(crate) fn find(&self, namespace: u64, key: &[u8]) -> Option<&Slot> {
        self.rank(namespace, key).ok().and_then(|rank| self.ranked(rank))
    }

    /// Puts a slot in place of the one of its name, or beside the others. False: no room.
    pub(crate) fn put(&mut self, slot: Slot) -> bool {
        let bytes = slot.item_bytes();
        let replaced = match self.rank(slot.namespace, slot.key()) {
            Ok(rank) => self.ranked_mut(rank).map(|old| core::mem::replace(old, slot).item_bytes()),
            Err(rank) => self.insert(rank, slot).map(|()| 0),
        };
        if let Some(replaced) = replaced {
            self.item_bytes = self.item_bytes.saturating_sub(replaced).saturating_add(bytes);
        }
        replaced.is_some()
    }

    fn insert(&mut self, rank: usize, slot: Slot) -> Option<()> {
        let len = self.len.checked_add(1)?;
        *self.slots.get_mut(self.len)? = slot;
        let place = u16::try_from(self.len).ok()?;
        let tail = self.order.get_mut(rank..len)?;
        tail.rotate_right(1);
        *tail.first_mut()? = place;
        self.len = len;
        Some(())
    }

    /// Forgets a name; one that is not there stays so.
    pub(crate) fn remove(&mut self, namespace: u64, key: &[u8]) {
        if let Ok(rank) = self.rank(namespace, key) {
            let _removed = self.take(rank);
        }
    }

    /// Slots stay without holes: the last one moves into the place that became free.
    fn take(&mut self, rank: usize) -> Option<()> {
        let len = self.len.checked_sub(1)?;
        let (free, last) = (*self.order.get(rank)?, u16::try_from(len).ok()?);
        self.item_bytes = self.item_bytes.saturating_sub(self.at(free).item_bytes());
        self.order.get_mut(rank..self.len)?.rotate_left(1);
        self.len = len;
        if free != last {
            let moved = *self.slots.get(len)?;
            *self.slots.get_mut(usize::from(free))? = moved;
            let order = self.order.get_mut(..len)?;
            *order.iter_mut().find(|place| **place == last)? = free;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn slot(namespace: u64, name: &str, sequence: u64) -> Slot {
        match Key::new(name.as_bytes()) {
            Ok(key) => {
                let value_len = sequence as u16 % 400;
                Slot { sequence, value_len, ..Slot::named(namespace, key) }
            }
            Err(fault) => unreachable!("{fault:?}"),
        }
    }

    #[test]
    fn the_index_behaves_like_an_ordered_map() {
        let mut index = Index::EMPTY;
        let mut model = BTreeMap::new();
        let mut random = 1_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (namespace, name) = (random >> 62, format!("k{}", random >> 40 & 127));
            if random >> 33 & 3 == 0 {
                index.remove(namespace, name.as_bytes());
                model.remove(&(namespace, name));
            } else if model.len() < ENTRIES_MAX {
                assert!(index.put(slot(namespace, &name, step)));
                model.insert((namespace, name), step);
            }
            if step % 64 == 0 {
                let have: Vec<_> = index.iter().map(|s| (s.name(), s.sequence)).collect();
                let want: Vec<_> =
                    model.iter().map(|((n, k), s)| ((*n, k.as_bytes()), *s)).collect();
                assert_eq!(have, want);
                let bytes: usize = index.iter().map(Slot::item_bytes).sum();
                assert_eq!(index.item_bytes(), bytes);
            }
        }
    }

    #[test]
    fn the_table_takes_its_bound_and_not_one_more() {
        let mut index = Index::EMPTY;
        for n in 0..ENTRIES_MAX {
            assert!(index.put(slot(1, &format!("k{n}"), 0)));
        }
        assert!(!index.put(slot(1, "one-more", 0)));
        assert!(index.put(slot(1, "k7", 9)), "replacing needs no room");
        assert_eq!(index.len(), ENTRIES_MAX);
        assert_eq!(index.find(1, b"k7").map(|s| s.sequence), Some(9));
    }
}
