//! Puts and deletes that happen together or not at all.

use crate::{
    error::Error,
    key::Key,
    limits::{BATCH_MAX_OPS, VALUE_MAX_BYTES},
};

/// One change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op<'a> {
    /// The key has this value from now on.
    Put(&'a [u8]),
    /// The key is gone; one that is not there may be deleted.
    Delete,
}

/// One change with the key it is made to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) namespace: u64,
    pub(crate) key: Key<'a>,
    pub(crate) op: Op<'a>,
}

/// Up to [`BATCH_MAX_OPS`] changes, of one namespace or of several.
#[derive(Clone, Copy, Default, Debug)]
pub struct Batch<'a> {
    changes: [Option<Change<'a>>; BATCH_MAX_OPS],
    len: usize,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Batch<'a> {
        Batch { changes: [None; BATCH_MAX_OPS], len: 0 }
    }

    /// Adds a put.
    ///
    /// # Errors
    /// The key, the value or the batch breaks a bound; the batch is as before.
    pub fn put(&mut self, namespace: u64, key: &'a [u8], value: &'a [u8]) -> Result<(), Error> {
        if value.len() > VALUE_MAX_BYTES {
            return Err(Error::ValueTooLong);
        }
        self.add(Change { namespace, key: Key::new(key)?, op: Op::Put(value) })
    }

    /// Adds a delete.
    ///
    /// # Errors
    /// The key or the batch breaks a bound; the batch is as before.
    pub fn delete(&mut self, namespace: u64, key: &'a [u8]) -> Result<(), Error> {
        self.add(Change { namespace, key: Key::new(key)?, op: Op::Delete })
    }

    fn add(&mut self, change: Change<'a>) -> Result<(), Error> {
        let same = |c: &Change<'_>| c.namespace == change.namespace && c.key == change.key;
        if self.changes().any(|c| same(&c)) {
            return Err(Error::BatchRepeats);
        }
        let free = self.changes.get_mut(self.len).ok_or(Error::BatchFull)?;
        *free = Some(change);
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// How many changes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no change.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = Change<'a>> + '_ {
        self.changes.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_eight_changes_and_refuses_the_ninth() {
        let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut batch = Batch::new();
        for key in keys {
            assert_eq!(batch.put(1, key.as_bytes(), b"v"), Ok(()));
        }
        assert_eq!(batch.put(1, b"i", b"v"), Err(Error::BatchFull));
        assert_eq!(batch.delete(1, b"j"), Err(Error::BatchFull));
        assert_eq!(batch.len(), BATCH_MAX_OPS);
    }

    #[test]
    fn the_longest_value_fits_and_a_longer_one_does_not() {
        let mut batch = Batch::new();
        assert_eq!(batch.put(1, b"k", &[7; VALUE_MAX_BYTES]), Ok(()));
        assert_eq!(batch.put(1, b"l", &[7; VALUE_MAX_BYTES + 1]), Err(Error::ValueTooLong));
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn test_reject_a_key_named_twice() {
        let mut batch = Batch::new();
        assert_eq!(batch.put(1, b"k", b""), Ok(()));
        assert_eq!(batch.delete(1, b"k"), Err(Error::BatchRepeats));
        assert_eq!(batch.delete(2, b"k"), Ok(()));
    }
}
