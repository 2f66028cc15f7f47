//! Bounded byte fields.

use core::fmt;

use crate::{Field, Flaw, Out, Zero};

/// Non-empty UTF-8 of at most `N` bytes (`N` below 256), after a one-byte length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Text<'a, N> {
    /// `None` if empty, longer than `N` bytes or not UTF-8.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let bounded = !bytes.is_empty() && bytes.len() <= N;
        // Names are ASCII in practice, and that test is a few instructions.
        let utf8 = bounded && (bytes.is_ascii() || core::str::from_utf8(bytes).is_ok());
        if utf8 { Some(Text(bytes)) } else { None }
    }

    /// `None` if empty or longer than `N` bytes.
    #[inline]
    #[must_use]
    pub const fn new(text: &'a str) -> Option<Self> {
        if text.is_empty() || text.len() > N { None } else { Some(Text(text.as_bytes())) }
    }

    /// The bytes.
    #[inline(always)]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        core::str::from_utf8(self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for Text<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<'a, const N: usize> Field<'a> for Text<'a, N> {
    const KIND: &'static str = "text (u8 length, UTF-8, not empty)";
    const MIN: usize = 2;
    const MAX: usize = {
        assert!(N < 256);
        N.saturating_add(1)
    };
    #[inline]
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (len, rest) = input.split_first().ok_or(Flaw::Malformed)?;
        let (bytes, rest) = rest.split_at_checked(*len as usize).ok_or(Flaw::Malformed)?;
        Ok((Text::from_bytes(bytes).ok_or(Flaw::Malformed)?, rest))
    }
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        out.array([self.0.len() as u8]);
        out.bytes(self.0);
    }
}

/// At most `N` bytes of anything, after a two-byte length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Bytes<'a, N> {
    /// `None` if longer than `N` bytes.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > N { None } else { Some(Bytes(bytes)) }
    }

    /// The bytes.
    #[inline(always)]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a, const N: usize> Field<'a> for Bytes<'a, N> {
    const KIND: &'static str = "bytes (u16 length)";
    const MIN: usize = 2;
    const MAX: usize = N.saturating_add(2);
    #[inline]
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (len, rest) = <u16 as Field>::take(input)?;
        let (bytes, rest) = rest.split_at_checked(len as usize).ok_or(Flaw::Malformed)?;
        Ok((Bytes::new(bytes).ok_or(Flaw::TooLarge)?, rest))
    }
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        out.array((self.0.len() as u16).to_le_bytes());
        out.bytes(self.0);
    }
}

impl<const N: usize> Zero for Bytes<'_, N> {
    const ZERO: Self = Bytes(&[]);
}

/// One to `N` bytes of anything, up to the end of the frame: the last field of a row, kept for
/// layouts that tell no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Tail<'a, N> {
    /// `None` if empty or longer than `N` bytes.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > N { None } else { Some(Tail(bytes)) }
    }

    /// The bytes.
    #[inline(always)]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a, const N: usize> Field<'a> for Tail<'a, N> {
    const KIND: &'static str = "bytes (to the end of the frame)";
    const MIN: usize = 1;
    const MAX: usize = N;
    #[inline]
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        if input.is_empty() {
            return Err(Flaw::Malformed);
        }
        Ok((Tail::new(input).ok_or(Flaw::TooLarge)?, &[]))
    }
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        out.bytes(self.0);
    }
}

impl<const N: usize> Zero for Tail<'_, N> {
    const ZERO: Self = Tail(&[]);
}

/// A length beyond its bound is `TooLarge` even if the frame could not hold it.
pub(crate) fn split(input: &[u8], len: usize, max: usize) -> Result<(&[u8], &[u8]), Flaw> {
    if len > max {
        return Err(Flaw::TooLarge);
    }
    input.split_at_checked(len).ok_or(Flaw::Malformed)
}

/// Exactly so many bytes of anything.
impl<'a, const N: usize> Field<'a> for [u8; N] {
    const KIND: &'static str = "bytes (fixed length)";
    const MIN: usize = N;
    const MAX: usize = N;
    #[inline]
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (bytes, rest) = input.split_first_chunk().ok_or(Flaw::Malformed)?;
        Ok((*bytes, rest))
    }
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        out.array(*self);
    }
}

impl<const N: usize> Zero for [u8; N] {
    const ZERO: Self = [0; N];
}

#[cfg(test)]
mod tests {
    use super::*;

    type Taken<'a> = Result<&'a [u8], Flaw>;

    fn text(input: &[u8]) -> Taken<'_> {
        Text::<4>::take(input).map(|(text, _)| text.as_bytes())
    }

    fn bytes(input: &[u8]) -> Taken<'_> {
        Bytes::<4>::take(input).map(|(bytes, _)| bytes.as_bytes())
    }

    fn tail(input: &[u8]) -> Taken<'_> {
        Tail::<4>::take(input).map(|(bytes, _)| bytes.as_bytes())
    }

    /// Every field of four bytes at most: empty, at its bound and one past it, cut short, and what
    /// of text is text.
    #[test]
    fn test_reject_lengths_and_spellings_out_of_bounds() {
        type Take = for<'a> fn(&'a [u8]) -> Taken<'a>;
        let table: [(Take, &[u8], Taken<'_>); 15] = [
            (text, b"\x04abcd", Ok(b"abcd")),
            (text, b"\x05abcde", Err(Flaw::Malformed)),
            (text, b"\x05abcd", Err(Flaw::Malformed)),
            (text, b"\x00", Err(Flaw::Malformed)),
            (text, b"", Err(Flaw::Malformed)),
            (text, b"\x02\xc3\xa4", Ok("\u{e4}".as_bytes())),
            (text, b"\x02a\xff", Err(Flaw::Malformed)),
            (bytes, b"\x04\x00abcd", Ok(b"abcd")),
            (bytes, b"\x05\x00abcde", Err(Flaw::TooLarge)),
            (bytes, b"\x00\x00", Ok(b"")),
            (bytes, b"\x04\x00abc", Err(Flaw::Malformed)),
            (tail, b"abcd", Ok(b"abcd")),
            (tail, b"abcde", Err(Flaw::TooLarge)),
            (tail, b"", Err(Flaw::Malformed)),
            (|input| split(input, 4, 4).map(|(bytes, _)| bytes), b"abcde", Ok(b"abcd")),
        ];
        for (take, input, expected) in table {
            assert_eq!(take(input), expected, "{input:?}");
        }
        assert_eq!(split(b"abcde", 5, 4), Err(Flaw::TooLarge));
        assert_eq!(split(b"ab", 5, 4), Err(Flaw::TooLarge), "before the frame is looked at");
        assert_eq!(split(b"ab", 4, 4), Err(Flaw::Malformed));
    }
}
