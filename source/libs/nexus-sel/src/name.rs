//! Names: at most 48 bytes, compared exactly, as words.
use core::fmt;

use crate::bounds::{MAX_NAME_BYTES, MAX_NAME_WORDS};

/// Packs any name (at build time) into little-endian words, zero padded; `None` if it is empty or too long.
/// The length belongs to the key: `"a"` and `"a\0"` pack alike.
#[cfg(any(test, feature = "authoring"))]
pub(crate) fn pack(bytes: &[u8]) -> Option<[u64; MAX_NAME_WORDS]> {
    match pack_short(bytes) {
        Some([first, second]) => Some([first, second, 0, 0, 0, 0]),
        None => pack_long(bytes),
    }
}

/// Packs a name that [`pack_short`] refused.
#[inline]
pub(crate) fn pack_long(bytes: &[u8]) -> Option<[u64; MAX_NAME_WORDS]> {
    let (last, len) = (bytes.last_chunk::<8>()?, bytes.len());
    if len > MAX_NAME_BYTES {
        return None;
    }
    // Words that are not the last one are whole.
    let (whole, _) = bytes.get(..len.wrapping_sub(1))?.as_chunks::<8>();
    let end = shift_out(last, (len.wrapping_sub(1) & 7).wrapping_add(1));
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    match whole {
        [a, b] => Some([word(a), word(b), end, 0, 0, 0]),
        [a, b, c] => Some([word(a), word(b), word(c), end, 0, 0]),
        [a, b, c, d] => Some([word(a), word(b), word(c), word(d), end, 0]),
        [a, b, c, d, e] => Some([word(a), word(b), word(c), word(d), word(e), end]),
        _ => None,
    }
}

/// The words of a packed name that are stored.
#[cfg(any(test, feature = "authoring"))]
pub(crate) fn stored(words: &[u64; MAX_NAME_WORDS], len: usize) -> &[u64] {
    words.get(..words_of(len)).unwrap_or(&[])
}

/// The last `fresh` (1 to 8) bytes of a name as a word: rereads eight and shifts the known
/// ones out, which takes fewer instructions than a byte loop.
#[inline]
fn shift_out(last: &[u8; 8], fresh: usize) -> u64 {
    let known = 8_u32.wrapping_sub(fresh as u32).wrapping_mul(8);
    u64::from_le_bytes(*last).wrapping_shr(known)
}

/// Words that store a name of `len` bytes: two, four or six, so that neither hashing nor
/// comparing needs a loop. Names of up to 16 bytes are the usual ones.
#[inline]
pub(crate) const fn words_of(len: usize) -> usize {
    if len <= SHORT_BYTES {
        SHORT_BYTES / 8
    } else if len <= MIDDLE_BYTES {
        MIDDLE_BYTES / 8
    } else {
        MAX_NAME_WORDS
    }
}

/// True where a word that is not aligned is loaded byte by byte.
const LOADS_BYTES: bool = cfg!(target_arch = "riscv64");
/// Names up to here are stored in two words.
pub(crate) const SHORT_BYTES: usize = 16;
/// Names up to here are stored in four words.
pub(crate) const MIDDLE_BYTES: usize = 32;

/// A name of 1 to 16 bytes as its two words.
#[inline]
pub(crate) fn pack_short(bytes: &[u8]) -> Option<[u64; 2]> {
    pack_short_by::<LOADS_BYTES>(bytes)
}

/// The same words, in the way that suits a machine that loads `BYTES` where a word is not aligned.
#[inline(always)]
fn pack_short_by<const BYTES: bool>(bytes: &[u8]) -> Option<[u64; 2]> {
    let len = bytes.len();
    let Some(first) = bytes.first_chunk::<8>() else { return pack_tiny(bytes) };
    let first = u64::from_le_bytes(*first);
    match (bytes.last_chunk::<8>(), bytes.last_chunk::<4>()) {
        // The longest ones pay for one comparison, since they pay for most bytes.
        (Some(last), _) if BYTES && len > 12 && len <= SHORT_BYTES => {
            Some([first, shift_out(last, len.wrapping_sub(8))])
        }
        (_, Some(_)) if len == 8 => Some([first, 0]),
        // Half a word is half the loads where loads are byte by byte.
        (_, Some(last)) if BYTES && len <= 12 => {
            let known = 12_u32.wrapping_sub(len as u32).wrapping_mul(8);
            Some([first, u64::from(u32::from_le_bytes(*last).wrapping_shr(known))])
        }
        (Some(last), _) if len <= SHORT_BYTES => {
            Some([first, shift_out(last, len.wrapping_sub(8))])
        }
        _ => None,
    }
}

/// A name of 1 to 7 bytes.
#[inline]
fn pack_tiny(bytes: &[u8]) -> Option<[u64; 2]> {
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            // The two overlap; where they do, they agree.
            let shift = (bytes.len() as u32).wrapping_sub(4).wrapping_mul(8);
            let last = u64::from(u32::from_le_bytes(*last)).wrapping_shl(shift);
            u64::from(u32::from_le_bytes(*first)) | last
        }
        _ if bytes.is_empty() => return None,
        _ => bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    };
    Some([word, 0])
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
            let words = pack(&text[..len]).unwrap();
            let back: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            assert_eq!(&back[..len], &text[..len]);
            assert!(back[len..].iter().all(|b| *b == 0), "padding at {len}");
            assert_eq!(stored(&words, len).len(), 2 * len.div_ceil(16));
            // What the image runs, and what the host does.
            for short in [pack_short_by::<true>(&text[..len]), pack_short_by::<false>(&text[..len])]
            {
                match short {
                    Some(short) => assert_eq!(short, words[..2]),
                    None => assert!(len > 16),
                }
            }
            assert_eq!(Name::from_words(&words, len).as_bytes(), &text[..len]);
        }
    }

    #[test]
    fn test_reject_empty_and_49_bytes() {
        assert!(pack(b"").is_none() && pack_short(b"").is_none());
        assert!(pack_short_by::<true>(b"").is_none() && pack_short_by::<false>(b"").is_none());
        assert!(pack(&[b'a'; MAX_NAME_BYTES]).is_some());
        assert!(pack(&[b'a'; MAX_NAME_BYTES + 1]).is_none());
    }
}
