//! A capability name made ready for questions: six words, zero padded, and its length.
//!
//! Without unaligned loads a name at any byte costs three instructions a byte to gather, more
//! than the decision itself. Whoever holds the frame as words gathers with one shift and one
//! `or` per word instead ([`PackedName::from_words`]); whoever asks twice gathers once.
use crate::bounds::{MAX_NAME_BYTES, MAX_NAME_WORDS};
use crate::decision::{AuditMode, Decision, Facts};
use crate::layout::NameHeader;
use crate::limits::Limits;
use crate::name::{SHORT_BYTES, THREE_WORDS, pack_long, pack_short};
use crate::policy::{Policy, audit_of};

/// A name of at most 48 bytes. Whether any policy knows it is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedName {
    words: [u64; MAX_NAME_WORDS],
    len: usize,
}

impl PackedName {
    /// Packs bytes; `None` for an empty name and one of more than 48 bytes.
    #[must_use]
    #[inline]
    pub fn new(name: &[u8]) -> Option<Self> {
        let words = match pack_short(name) {
            Some([first, second]) => [first, second, 0, 0, 0, 0],
            None => pack_long(name)?,
        };
        Some(Self { words, len: name.len() })
    }

    /// Packs the `len` bytes that start at byte `at` of little-endian `words`; `None` as for
    /// [`PackedName::new`], and where the words end before the name does.
    #[must_use]
    #[inline]
    pub fn from_words(words: &[u64], at: usize, len: usize) -> Option<Self> {
        if len == 0 || len > MAX_NAME_BYTES {
            return None;
        }
        let rest = words.get(at >> 3..)?;
        let shift = (at as u32 & 7).wrapping_mul(8);
        // A name of `len` bytes from here ends in this word.
        let last = (at & 7).wrapping_add(len).wrapping_sub(1) >> 3;
        if last >= rest.len() {
            return None;
        }
        let mut packed = [0; MAX_NAME_WORDS];
        // Names of up to 24 bytes are the usual ones, and have words behind them in a frame.
        if let (Some([one, two, three, four]), true) = (rest.first_chunk::<4>(), len <= THREE_WORDS)
        {
            let [first, second] = [join(*one, *two, shift), join(*two, *three, shift)];
            packed = match len {
                ..=8 => [keep(first, len), 0, 0, 0, 0, 0],
                9..=SHORT_BYTES => [first, keep(second, len.wrapping_sub(8)), 0, 0, 0, 0],
                _ => {
                    let third = keep(join(*three, *four, shift), len.wrapping_sub(SHORT_BYTES));
                    [first, second, third, 0, 0, 0]
                }
            };
        } else {
            // Words behind the last do not exist; nothing of them is used.
            let word = |index: usize| rest.get(index).copied().unwrap_or(0);
            for (index, slot) in packed.iter_mut().enumerate().take(len.div_ceil(8)) {
                let whole = join(word(index), word(index.wrapping_add(1)), shift);
                *slot = keep(whole, len.wrapping_sub(index.wrapping_mul(8)).min(8));
            }
        }
        Some(Self { words: packed, len })
    }

    /// Of words that hold a name from their first byte on: `len` bytes, and zeros behind them.
    #[must_use]
    #[inline]
    pub const fn padded(words: [u64; MAX_NAME_WORDS], len: usize) -> Self {
        Self { words, len }
    }

    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a name is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

/// The eight bytes that start `shift` bits into two words.
#[inline]
const fn join(low: u64, high: u64, shift: u32) -> u64 {
    low.wrapping_shr(shift) | high.wrapping_shl(63_u32.wrapping_sub(shift)).wrapping_shl(1)
}

/// The lowest 1 to 8 bytes of a word.
#[inline]
const fn keep(word: u64, bytes: usize) -> u64 {
    word & u64::MAX.wrapping_shr(64_u32.wrapping_sub((bytes as u32).wrapping_mul(8)))
}

impl Policy<'_> {
    /// As [`Policy::decide_with`], about a name that was packed before.
    #[inline]
    pub fn decide_packed<L: Limits>(
        &self,
        subject: u64,
        capability: &PackedName,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        if capability.len > SHORT_BYTES {
            return self.decide_packed_long(subject, capability, facts, limits);
        }
        let [first, second, ..] = capability.words;
        match self.find_short(&[first, second], capability.len) {
            Some(cap) => self.decide_capability(subject, cap, facts, limits),
            None => self.without_capability(subject),
        }
    }

    /// Out of line: the usual way shall not save what only this one needs.
    #[inline(never)]
    fn decide_packed_long<L: Limits>(
        &self,
        subject: u64,
        capability: &PackedName,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        match self.find_six(&capability.words, capability.len) {
            Some(cap) => self.decide_capability(subject, cap, facts, limits),
            None => self.without_capability(subject),
        }
    }

    /// What audit has to guarantee for decisions about a packed name.
    #[must_use]
    pub fn audit_of_packed(&self, capability: &PackedName) -> AuditMode {
        self.find_packed(capability).map_or(AuditMode::Normal, audit_of)
    }

    #[inline]
    fn find_packed(&self, name: &PackedName) -> Option<NameHeader> {
        if name.len <= SHORT_BYTES {
            let [first, second, ..] = name.words;
            return self.find_short(&[first, second], name.len);
        }
        self.find_six(&name.words, name.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_pack_alike_at_every_place() {
        let bytes: Vec<u8> = (0..80_u8).map(|i| i.wrapping_mul(37) | 1).collect();
        let words: Vec<u64> =
            bytes.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
        for at in 0..32 {
            for len in 0..=49 {
                let name = &bytes[at..(at + len).min(bytes.len())];
                let expected = if at + len <= bytes.len() { PackedName::new(name) } else { None };
                assert_eq!(PackedName::from_words(&words, at, len), expected, "{at} {len}");
            }
        }
    }

    #[test]
    fn test_reject_names_that_leave_the_words() {
        let words = [0x6161_6161_6161_6161; 2];
        assert!(PackedName::from_words(&words, 8, 8).is_some());
        assert!(PackedName::from_words(&words, 9, 7).is_some());
        assert!(PackedName::from_words(&words, 9, 8).is_none());
        assert!(PackedName::from_words(&words, 16, 1).is_none());
        assert!(PackedName::from_words(&words, usize::MAX, 1).is_none());
        assert!(PackedName::from_words(&words, 0, 0).is_none());
        assert!(PackedName::from_words(&[0; 9], 0, MAX_NAME_BYTES + 1).is_none());
    }
}
