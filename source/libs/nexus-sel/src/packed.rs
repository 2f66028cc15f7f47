//! A capability name made ready for questions: six words, zero padded, and its length.
//!
//! Without unaligned loads a name at any byte costs three instructions a byte to gather, more
//! than the decision itself. Whoever holds the frame as words gathers with two shifts and one
//! `or` per word instead ([`PackedName::from_words`]); whoever asks twice gathers once.
use crate::bounds::{MAX_NAME_BYTES, MAX_NAME_WORDS};
use crate::decision::{AuditMode, Decision, Facts};
use crate::layout::NameHeader;
use crate::limits::Limits;
use crate::name::{SHORT_BYTES, pack_long, pack_short};
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
    /// [`PackedName::new`], and where fewer than seven words, which is what the longest name can
    /// touch, are left from the one on where it starts.
    #[must_use]
    #[inline(always)]
    pub fn from_words(words: &[u64], at: usize, len: usize) -> Option<Self> {
        if len == 0 || len > MAX_NAME_BYTES {
            return None;
        }
        let first = at >> 3;
        let near = words.get(first..first.wrapping_add(NEAR))?.first_chunk::<NEAR>()?;
        let words = match at as u32 & 7 {
            0 => gather::<true>(near, 0, len),
            bytes => gather::<false>(near, bytes.wrapping_mul(8), len),
        };
        Some(Self { words, len })
    }

    /// Of words that hold a name from their first byte on: `len` bytes, and zeros behind them. No
    /// bytes, and more than 48, are a name that no policy knows.
    #[must_use]
    #[inline]
    pub const fn padded(words: [u64; MAX_NAME_WORDS], len: usize) -> Self {
        Self { words, len: if len > MAX_NAME_BYTES { 0 } else { len } }
    }

    /// Its words.
    #[must_use]
    #[inline]
    pub const fn words(&self) -> &[u64; MAX_NAME_WORDS] {
        &self.words
    }

    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty name is none")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

/// Those bytes of the last word of a name of `len` bytes that are the name's.
#[inline]
const fn end_mask(len: usize) -> u64 {
    // A shift counts modulo 64: whole words keep all of theirs.
    u64::MAX.wrapping_shr((len as u32).wrapping_mul(8).wrapping_neg())
}

/// Words that a name of 48 bytes can touch.
const NEAR: usize = MAX_NAME_WORDS + 1;

/// The eight bytes that start `shift` bits, 8 to 56, into two words; or none, if `WHOLE`.
#[inline(always)]
const fn join<const WHOLE: bool>(low: u64, high: u64, shift: u32) -> u64 {
    if WHOLE { low } else { low.wrapping_shr(shift) | high.wrapping_shl(shift.wrapping_neg()) }
}

/// The words of a name of `len` bytes that begins `shift` bits into `near`. Only those it has are
/// made, and without a loop: that would cost as much as the shifts.
#[inline(always)]
const fn gather<const WHOLE: bool>(
    near: &[u64; NEAR],
    shift: u32,
    len: usize,
) -> [u64; MAX_NAME_WORDS] {
    let [a, b, c, d, e, f, g] = *near;
    let end = end_mask(len);
    let one = join::<WHOLE>(a, b, shift);
    if len <= 24 {
        if len <= 8 {
            return [one & end, 0, 0, 0, 0, 0];
        }
        let two = join::<WHOLE>(b, c, shift);
        if len <= 16 {
            return [one, two & end, 0, 0, 0, 0];
        }
        return [one, two, join::<WHOLE>(c, d, shift) & end, 0, 0, 0];
    }
    let two = join::<WHOLE>(b, c, shift);
    let [three, four] = [join::<WHOLE>(c, d, shift), join::<WHOLE>(d, e, shift)];
    if len <= 32 {
        return [one, two, three, four & end, 0, 0];
    }
    let five = join::<WHOLE>(e, f, shift);
    if len <= 40 {
        return [one, two, three, four, five & end, 0];
    }
    [one, two, three, four, five, join::<WHOLE>(f, g, shift) & end]
}

impl Policy<'_> {
    /// As [`Policy::decide_with`], about a name that was packed before.
    #[inline(always)]
    pub fn decide_packed<L: Limits>(
        &self,
        subject: u64,
        capability: &PackedName,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        match self.find_packed(capability) {
            Some(cap) => self.decide_capability(subject, cap, facts, limits),
            None => self.without_capability(subject),
        }
    }

    /// What audit has to guarantee for decisions about a packed name.
    #[must_use]
    pub fn audit_of_packed(&self, capability: &PackedName) -> AuditMode {
        self.find_packed(capability).map_or(AuditMode::Normal, audit_of)
    }

    #[inline(always)]
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
        let bytes: Vec<u8> = (0..88_u8).map(|i| i.wrapping_mul(37) | 1).collect();
        let words: Vec<u64> =
            bytes.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
        for at in 0..32 {
            for len in 0..=49 {
                let name = &bytes[at..at + len];
                let expected = PackedName::new(name);
                assert_eq!(PackedName::from_words(&words, at, len), expected, "{at} {len}");
            }
        }
    }

    #[test]
    fn test_reject_names_that_leave_the_words() {
        let words = [0x6161_6161_6161_6161; NEAR + 1];
        assert!(PackedName::from_words(&words, 15, MAX_NAME_BYTES).is_some());
        assert!(PackedName::from_words(&words, 16, 1).is_none());
        assert!(PackedName::from_words(&words, usize::MAX, 1).is_none());
        assert!(PackedName::from_words(&words, 0, 0).is_none());
        assert!(PackedName::from_words(&[0; 9], 0, MAX_NAME_BYTES + 1).is_none());
    }
}
