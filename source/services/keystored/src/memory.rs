//! A store in memory, for machines without a disk: what it keeps is gone with the process, and
//! every answer says so.

use nexus_wire::state::{Change, VALUE_MAX, check_key};
use zeroize::Zeroize as _;

use crate::env::{StoreError, Value};

const NAME: usize = 40;

#[derive(Clone, Copy)]
struct Entry {
    name: [u8; NAME],
    name_len: u8,
    value: Value,
    len: u16,
}

const FREE: Entry = Entry { name: [0; NAME], name_len: 0, value: [0; VALUE_MAX], len: 0 };

impl Entry {
    fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.name_len)).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.value.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.value.zeroize();
        *self = FREE;
    }
}

/// At most `N` keys.
pub struct MemoryStore<const N: usize> {
    entries: [Entry; N],
    sequence: u64,
}

impl<const N: usize> Default for MemoryStore<N> {
    fn default() -> Self {
        MemoryStore { entries: [FREE; N], sequence: 0 }
    }
}

impl<const N: usize> Drop for MemoryStore<N> {
    fn drop(&mut self) {
        self.entries.iter_mut().for_each(Entry::clear);
    }
}

impl<const N: usize> MemoryStore<N> {
    /// Grows with every change.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name_len > 0 && entry.name() == name)
    }

    /// The value of a key: its length in `out`.
    pub fn get(&mut self, name: &[u8], out: &mut Value) -> Option<usize> {
        let entry = self.find(name)?;
        let place = out.get_mut(..entry.value().len())?;
        place.copy_from_slice(entry.value());
        Some(place.len())
    }

    /// Makes all the changes, or none.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let free = self.entries.iter().filter(|entry| entry.name_len == 0).count();
        let mut needed = 0usize;
        for change in changes {
            let name = change.key();
            let fits = name.len() <= NAME && check_key(name).is_ok();
            let value_fits = !matches!(change, Change::Put(p) if p.value().len() > VALUE_MAX);
            if !fits || !value_fits {
                return Err(StoreError::Full);
            }
            let new = matches!(change, Change::Put(_)) && self.find(name).is_none();
            needed = needed.saturating_add(usize::from(new));
        }
        if needed > free {
            return Err(StoreError::Full);
        }
        changes.iter().for_each(|change| self.make(change));
        self.sequence = self.sequence.saturating_add(1);
        Ok(())
    }

    fn make(&mut self, change: &Change<'_>) {
        let there = self.find(change.key()).is_some();
        match change {
            Change::Del(name) => {
                if let Some(entry) = self.find(name) {
                    entry.clear();
                }
            }
            Change::Put(pair) => {
                let place = if there { self.find(pair.key()) } else { self.vacant() };
                let Some(entry) = place else { return };
                entry.clear();
                entry.name_len = pair.key().len() as u8;
                entry.len = pair.value().len() as u16;
                let name = entry.name.get_mut(..pair.key().len());
                name.unwrap_or_default().copy_from_slice(pair.key());
                let value = entry.value.get_mut(..pair.value().len());
                value.unwrap_or_default().copy_from_slice(pair.value());
            }
        }
    }

    fn vacant(&mut self) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name_len == 0)
    }

    /// Calls `each` for at most `limit` keys that begin with `prefix`, in order.
    pub fn list(&self, prefix: &[u8], limit: usize, each: &mut dyn FnMut(&[u8])) {
        let names = || {
            let used = self.entries.iter().filter(|entry| entry.name_len > 0);
            used.map(Entry::name).filter(|name| name.starts_with(prefix))
        };
        let mut last: Option<&[u8]> = None;
        for _ in 0..limit {
            let next = names().filter(|name| last.is_none_or(|last| *name > last)).min();
            let Some(name) = next else { return };
            each(name);
            last = Some(name);
        }
    }
}
