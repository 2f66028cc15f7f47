//! Several changes in one frame.

use super::{
    KEY_FIELD_MAX, REQUEST_HEAD,
    pair::{Pair, split},
};
use crate::{FRAME_MAX, Field, Flaw, Out};

/// Most changes in one batch.
pub const BATCH_MAX: usize = 8;
/// Bytes of all changes of a batch.
const CHANGES_MAX: usize = FRAME_MAX - REQUEST_HEAD - 1;

const SET: u8 = 1;
const REMOVE: u8 = 2;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Sets the value of a key.
    Put(Pair<'a>),
    /// Removes a key; none is no fault.
    Del(&'a [u8]),
}

impl<'a> Change<'a> {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        match self {
            Change::Put(pair) => pair.key(),
            Change::Del(key) => key,
        }
    }

    fn len_bytes(&self) -> usize {
        let value = if let Change::Put(pair) = self { pair.value().len() } else { 0 };
        let head = Pair::HEAD.saturating_add(1);
        head.saturating_add(self.key().len()).saturating_add(value)
    }

    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (kind, rest) = u8::take(input)?;
        let (pair, rest) = Pair::take(rest)?;
        match kind {
            SET => Ok((Change::Put(pair), rest)),
            REMOVE if pair.value().is_empty() => Ok((Change::Del(pair.key()), rest)),
            _ => Err(Flaw::Malformed),
        }
    }

    fn put(&self, out: &mut Out<'_>) {
        match self {
            Change::Put(pair) => {
                SET.put(out);
                pair.put(out);
            }
            Change::Del(key) => {
                REMOVE.put(out);
                (key.len() as u16).put(out);
                0u32.put(out);
                out.bytes(key);
            }
        }
    }
}

/// The changes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The changes in order.
    pub fn iter(&self) -> impl Iterator<Item = Change<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (change, tail) = Change::take(rest).ok()?;
            rest = tail;
            Some(change)
        })
    }
}

impl<'a> Field<'a> for Batch<'a> {
    const KIND: &'static str = "batch (count u8, each: kind u8 (1 put, 2 del), key_len u16, \
        value_len u32, key, value)";
    const MIN: usize = 1;
    const MAX: usize = 1 + CHANGES_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, bytes) = u8::take(input)?;
        let mut rest = bytes;
        for _ in 0..count {
            rest = Change::take(rest)?.1;
        }
        let used = bytes.len().saturating_sub(rest.len());
        let (bytes, rest) = split(bytes, used, CHANGES_MAX)?;
        Ok((Batch { count, bytes }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        self.count.put(out);
        out.bytes(self.bytes);
    }
}

/// Collects changes for a frame.
#[derive(Debug)]
pub struct BatchBuilder<'b> {
    frame: &'b mut [u8; FRAME_MAX],
    len: usize,
    count: u8,
}

impl<'b> BatchBuilder<'b> {
    /// Starts empty, in scratch memory.
    #[must_use]
    pub const fn new(scratch: &'b mut [u8; FRAME_MAX]) -> Self {
        BatchBuilder { frame: scratch, len: 0, count: 0 }
    }

    /// Adds a change; `false` when the frame has no more room for it.
    pub fn push(&mut self, change: &Change<'_>) -> bool {
        let end = self.len.saturating_add(change.len_bytes());
        if end > CHANGES_MAX || change.key().len() > KEY_FIELD_MAX || self.count == u8::MAX {
            return false;
        }
        let mut out = Out::resume(self.frame, self.len);
        change.put(&mut out);
        self.len = end;
        self.count = self.count.saturating_add(1);
        true
    }

    /// The request field.
    #[must_use]
    pub fn finish(self) -> Batch<'b> {
        let frame: &'b [u8; FRAME_MAX] = self.frame;
        Batch { count: self.count, bytes: frame.get(..self.len).unwrap_or_default() }
    }
}
