//! Values and listings.

use super::{Entry, Memory, Store};
use crate::{
    device::{BlockDevice, Sector},
    disk::Disk,
    error::Error,
    index::Slot,
    key::Key,
    limits::VALUE_MAX_BYTES,
    tag::Tags,
};

impl<D: BlockDevice> Store<'_, D> {
    /// Reads a value back from the device and checks it. `None`: no such key.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Damaged`], [`Error::Io`].
    pub fn get<'b>(
        &mut self,
        namespace: u64,
        key: &[u8],
        into: &'b mut [u8; VALUE_MAX_BYTES],
    ) -> Result<Option<&'b [u8]>, Error> {
        let key = Key::new(key)?;
        let Memory { index, scratch, .. } = &mut *self.memory;
        let Some(slot) = index.find(namespace, key.as_bytes()) else { return Ok(None) };
        let damaged = Error::Damaged { sector: u64::from(slot.sector) };
        let space = into.get_mut(..usize::from(slot.value_len)).ok_or(damaged)?;
        copy_value(&mut self.disk, scratch, slot, &self.log.tags, space)?;
        Ok(Some(space))
    }

    /// Keys of a namespace that begin with `prefix` and come after `after` (empty: from the
    /// first), in byte order.
    pub fn list<'s>(
        &'s self,
        namespace: u64,
        prefix: &'s [u8],
        after: &'s [u8],
    ) -> impl Iterator<Item = Entry<'s>> + 's {
        let slots = self.memory.index.from(namespace, prefix.max(after));
        slots
            .take_while(move |slot| slot.namespace == namespace && slot.key().starts_with(prefix))
            .filter(move |slot| slot.key() > after)
            .filter_map(entry)
    }

    /// All keys, in order of namespace and key.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        self.memory.index.iter().filter_map(entry)
    }
}

fn entry(slot: &Slot) -> Option<Entry<'_>> {
    Some(Entry {
        namespace: slot.namespace,
        key: Key::new(slot.key()).ok()?,
        value_len: usize::from(slot.value_len),
        sequence: slot.sequence,
    })
}

/// Reads the value of a slot. What the device gives is not told before its digest is right.
pub(super) fn copy_value<D: BlockDevice>(
    disk: &mut Disk<D>,
    scratch: &mut Sector,
    slot: &Slot,
    tags: &Tags,
    into: &mut [u8],
) -> Result<(), Error> {
    let damaged = Error::Damaged { sector: u64::from(slot.sector) };
    let (mut at, mut offset) = (u64::from(slot.sector), usize::from(slot.offset));
    let mut rest = &mut *into;
    while !rest.is_empty() {
        disk.read(at, scratch)?;
        let have = scratch.get(offset..).ok_or(damaged)?;
        let len = have.len().min(rest.len());
        let (space, more) = rest.split_at_mut_checked(len).ok_or(damaged)?;
        space.copy_from_slice(have.get(..len).ok_or(damaged)?);
        rest = more;
        (at, offset) = (at.saturating_add(1), 0);
    }
    if tags.value(into) != slot.digest {
        into.fill(0);
        return Err(damaged);
    }
    Ok(())
}
