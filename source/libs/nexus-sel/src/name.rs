//! Names: at most 48 bytes, compared exactly, as words.
use core::fmt;

use crate::bounds::{MAX_NAME_BYTES, MAX_NAME_WORDS};

/// A name packed into little-endian words, zero padded. The length is part of the name:
/// `"a"` and `"a\0"` differ.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) words: [u64; MAX_NAME_WORDS],
    pub(crate) len: usize,
}

impl Packed {
    /// `None` for an empty or too long name.
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let len = bytes.len();
        if len == 0 || len > MAX_NAME_BYTES {
            return None;
        }
        let mut words = [0; MAX_NAME_WORDS];
        let (full, tail) = bytes.as_chunks::<8>();
        let mut slots = words.iter_mut();
        for (chunk, word) in full.iter().zip(&mut slots) {
            *word = u64::from_le_bytes(*chunk);
        }
        if !tail.is_empty() {
            let rest = pack_tail(bytes, tail);
            if let Some(word) = words.get_mut(full.len()) {
                *word = rest;
            }
        }
        Some(Self { words, len })
    }

    #[inline]
    pub(crate) fn used(&self) -> &[u64] {
        self.words.get(..words_of(self.len)).unwrap_or(&[])
    }
}

/// The last 1 to 7 bytes as a word. Longer names reread the last eight bytes and shift the
/// known ones out: fewer instructions than a byte loop.
#[inline]
fn pack_tail(bytes: &[u8], tail: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => {
            let known = 8_u32.wrapping_sub(tail.len() as u32).wrapping_mul(8);
            u64::from_le_bytes(*last).wrapping_shr(known)
        }
        None => tail.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    }
}

/// Words of a name of `len` bytes.
#[inline]
pub(crate) const fn words_of(len: usize) -> usize {
    len.wrapping_add(7) >> 3
}

/// True for the one spelling of names: lower case ASCII, digits, `.`, `_`, `-`.
#[must_use]
pub(crate) const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// A name read back from a policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; MAX_NAME_BYTES],
    len: u8,
}

impl Name {
    /// Reads a packed name; `open` has checked every byte.
    pub(crate) fn from_words(words: &[u64], len: usize) -> Self {
        let mut bytes = [0; MAX_NAME_BYTES];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        Self { bytes, len: len.min(MAX_NAME_BYTES) as u8 }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_every_length_exactly() {
        let text: Vec<u8> = (1..=60_u8).collect();
        for len in 1..=MAX_NAME_BYTES {
            let packed = Packed::new(&text[..len]).unwrap();
            let back: Vec<u8> = packed.words.iter().flat_map(|w| w.to_le_bytes()).collect();
            assert_eq!(&back[..len], &text[..len]);
            assert!(back[len..].iter().all(|b| *b == 0), "padding at {len}");
            assert_eq!(packed.used().len(), len.div_ceil(8));
            assert_eq!(Name::from_words(packed.used(), len).as_bytes(), &text[..len]);
        }
    }

    #[test]
    fn test_reject_empty_and_49_bytes() {
        assert!(Packed::new(b"").is_none());
        assert!(Packed::new(&[b'a'; MAX_NAME_BYTES]).is_some());
        assert!(Packed::new(&[b'a'; MAX_NAME_BYTES + 1]).is_none());
    }
}
