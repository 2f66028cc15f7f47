//! Asking for keys, and the page they come on.

use super::{KEY_FIELD_MAX, Key, REPLY_HEAD, pair::split};
use crate::{Bytes, FRAME_MAX, Field, Flaw, Out, Zero};

/// Bytes of all keys of a reply.
const KEYS_BYTES_MAX: usize = FRAME_MAX - REPLY_HEAD - 2;

/// Which keys, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    /// Most keys; 0 asks for one.
    pub limit: u16,
    /// What they begin with.
    pub prefix: Key<'a>,
}

impl<'a> Field<'a> for Listing<'a> {
    const KIND: &'static str = "listing (prefix_len u16, limit u16, prefix)";
    const MIN: usize = 4;
    const MAX: usize = 4 + KEY_FIELD_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (len, rest) = u16::take(input)?;
        let (limit, rest) = u16::take(rest)?;
        let (prefix, rest) = split(rest, len.into(), KEY_FIELD_MAX)?;
        Ok((Listing { limit, prefix: Bytes::new(prefix).ok_or(Flaw::TooLarge)? }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        let prefix = self.prefix.as_bytes();
        (prefix.len() as u16).put(out);
        self.limit.put(out);
        out.bytes(prefix);
    }
}

/// The keys of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Keys<'a> {
    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (key, tail) = Key::take(rest).ok()?;
            rest = tail;
            Some(key.as_bytes())
        })
    }
}

impl Zero for Keys<'_> {
    const ZERO: Self = Keys { count: 0, bytes: &[] };
}

impl<'a> Field<'a> for Keys<'a> {
    const KIND: &'static str = "keys (count u16, each: len u16, key)";
    const MIN: usize = 2;
    const MAX: usize = 2 + KEYS_BYTES_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, bytes) = u16::take(input)?;
        let mut rest = bytes;
        for _ in 0..count {
            rest = Key::take(rest)?.1;
        }
        let used = bytes.len().saturating_sub(rest.len());
        let (bytes, rest) = split(bytes, used, KEYS_BYTES_MAX)?;
        Ok((Keys { count, bytes }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        self.count.put(out);
        out.bytes(self.bytes);
    }
}

/// Collects keys for a reply.
#[derive(Debug)]
pub struct KeysBuilder<'b> {
    frame: &'b mut [u8; FRAME_MAX],
    len: usize,
    count: u16,
}

impl<'b> KeysBuilder<'b> {
    /// Starts empty, in scratch memory.
    #[must_use]
    pub const fn new(scratch: &'b mut [u8; FRAME_MAX]) -> Self {
        KeysBuilder { frame: scratch, len: 0, count: 0 }
    }

    /// Adds a key; `false` when the reply has no more room for it.
    pub fn push(&mut self, key: &[u8]) -> bool {
        let end = self.len.saturating_add(2).saturating_add(key.len());
        let Some(field) = Key::new(key).filter(|_| end <= KEYS_BYTES_MAX) else { return false };
        let mut out = Out::resume(self.frame, self.len);
        field.put(&mut out);
        self.len = end;
        self.count = self.count.saturating_add(1);
        true
    }

    /// The reply field.
    #[must_use]
    pub fn finish(self) -> Keys<'b> {
        let frame: &'b [u8; FRAME_MAX] = self.frame;
        Keys { count: self.count, bytes: frame.get(..self.len).unwrap_or_default() }
    }
}
