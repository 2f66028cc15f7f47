//! Capability names inside records.

use core::fmt::{self, Write as _};

use crate::{CAPABILITY_MAX, Capability};

/// A capability name inside a record: empty, or as [`Capability`].
///
/// Aligned, so that its words are plain loads where the alternative is eight byte loads each.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct CapName {
    bytes: [u8; CAPABILITY_MAX],
    len: u8,
}

impl CapName {
    /// No capability.
    pub const NONE: CapName = CapName { bytes: [0; CAPABILITY_MAX], len: 0 };

    /// A copy of the name.
    #[inline]
    #[must_use]
    pub fn new(name: Capability<'_>) -> CapName {
        let mut cap = CapName::NONE;
        let source = name.as_bytes();
        if let Some(place) = cap.bytes.get_mut(..source.len()) {
            place.copy_from_slice(source);
            cap.len = source.len() as u8;
        }
        cap
    }

    /// As [`CapName::new`], from the same name in words, zero padded. Which name a record tells is
    /// then what `words` say: the caller must have gathered them from where `name` lies.
    #[inline]
    #[must_use]
    pub fn gathered(name: Capability<'_>, words: &[u64; 6]) -> CapName {
        let mut cap = CapName { len: name.as_bytes().len() as u8, ..CapName::NONE };
        let (chunks, _) = cap.bytes.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        cap
    }

    /// Whether it is [`CapName::NONE`].
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or_default()
    }

    /// Bytes of the name.
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// The name, padded with zeros, as little-endian words.
    #[inline]
    #[must_use]
    pub fn words(&self) -> [u64; 6] {
        let mut words = [0; 6];
        let (chunks, _) = self.bytes.as_chunks::<8>();
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*chunk);
        }
        words
    }

    /// `None` unless the name is valid and the padding zero.
    pub(super) fn from_words(len: u8, words: &[u64; 6]) -> Option<CapName> {
        let mut bytes = [0; CAPABILITY_MAX];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        let (name, tail) = bytes.split_at_checked(len as usize)?;
        let valid = name.is_empty() || Capability::from_bytes(name).is_some();
        let clean = tail.iter().all(|b| *b == 0);
        if valid && clean { Some(CapName { bytes, len }) } else { None }
    }
}

impl fmt::Debug for CapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Only characters that cannot change how a line reads.
impl fmt::Display for CapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| {
            let plain = byte.is_ascii_alphanumeric() || b"._-*".contains(byte);
            f.write_char(if plain { char::from(*byte) } else { '?' })
        })
    }
}
