//! Keys and values: what a frame can carry, and what a key may be.

use super::{KEY_FIELD_MAX, KEY_MAX, REPLY_HEAD, REQUEST_HEAD, Status, VALUE_MAX};
use crate::{Bytes, FRAME_MAX, Field, Flaw, Out, Zero};

/// A key as a frame carries it; see [`check_key`] for what is accepted.
pub type Key<'a> = Bytes<'a, KEY_FIELD_MAX>;

/// Key and value of a PUT together, in bytes: what the frame has room for.
const PAIR_DATA_MAX: usize = FRAME_MAX - REQUEST_HEAD - Pair::HEAD;
/// The longest value a reply has room for.
const VALUE_FIELD_MAX: usize = FRAME_MAX - REPLY_HEAD - 4;

const _: () = assert!(KEY_MAX + VALUE_MAX <= PAIR_DATA_MAX && VALUE_MAX <= VALUE_FIELD_MAX);

/// Checks what a key may be: 1 to [`KEY_MAX`] bytes of `a-z 0-9 . _ - /`, in parts between the
/// slashes that are not empty, `.` or `..`.
///
/// # Errors
/// [`Status::KeyTooLong`] or [`Status::InvalidKey`].
pub fn check_key(key: &[u8]) -> Result<(), Status> {
    if key.len() > KEY_MAX {
        return Err(Status::KeyTooLong);
    }
    let plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
    let named = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    let valid = key.iter().all(plain) && key.split(|b| *b == b'/').all(named);
    if valid { Ok(()) } else { Err(Status::InvalidKey) }
}

/// Checks the length of a value.
///
/// # Errors
/// [`Status::ValueTooLarge`].
pub const fn check_value(value: &[u8]) -> Result<(), Status> {
    if value.len() > VALUE_MAX { Err(Status::ValueTooLarge) } else { Ok(()) }
}

/// A value after its four-byte length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// `None` if it does not fit a reply.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > VALUE_FIELD_MAX { None } else { Some(Value(bytes)) }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl Zero for Value<'_> {
    const ZERO: Self = Value(&[]);
}

impl<'a> Field<'a> for Value<'a> {
    const KIND: &'static str = "value (u32 length)";
    const MIN: usize = 4;
    const MAX: usize = 4 + VALUE_FIELD_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (len, rest) = u32::take(input)?;
        let (value, rest) = split(rest, len as usize, VALUE_FIELD_MAX)?;
        Ok((Value(value), rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        (self.0.len() as u32).put(out);
        out.bytes(self.0);
    }
}

/// A key and its value, both lengths first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Pair<'a> {
    /// Bytes before the key.
    pub(super) const HEAD: usize = 6;

    /// `None` if the two do not fit a frame.
    #[must_use]
    pub const fn new(key: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let fits =
            key.len() <= KEY_FIELD_MAX && key.len().saturating_add(value.len()) <= PAIR_DATA_MAX;
        if fits { Some(Pair { key, value }) } else { None }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }
}

impl<'a> Field<'a> for Pair<'a> {
    const KIND: &'static str = "pair (key_len u16, value_len u32, key, value)";
    const MIN: usize = Self::HEAD;
    const MAX: usize = Self::HEAD + PAIR_DATA_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (key_len, rest) = u16::take(input)?;
        let (value_len, rest) = u32::take(rest)?;
        let (key, rest) = split(rest, key_len.into(), KEY_FIELD_MAX)?;
        let (value, rest) = split(rest, value_len as usize, PAIR_DATA_MAX)?;
        Ok((Pair::new(key, value).ok_or(Flaw::TooLarge)?, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        (self.key.len() as u16).put(out);
        (self.value.len() as u32).put(out);
        out.bytes(self.key);
        out.bytes(self.value);
    }
}

/// A length beyond its bound is `TooLarge` even if the frame could not hold it.
pub(super) fn split(input: &[u8], len: usize, max: usize) -> Result<(&[u8], &[u8]), Flaw> {
    if len > max {
        return Err(Flaw::TooLarge);
    }
    input.split_at_checked(len).ok_or(Flaw::Malformed)
}
