//! Names of values: checked once, before anything is read or written.

use core::fmt;

use crate::limits::KEY_MAX_BYTES;

/// Why bytes are not a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFault {
    /// No bytes.
    Empty,
    /// More than [`KEY_MAX_BYTES`].
    TooLong,
    /// A byte outside `a-z 0-9 . _ / -`.
    Byte,
    /// A part between slashes is `.` or `..`.
    Dots,
}

/// A key: 1 to [`KEY_MAX_BYTES`] bytes of `a-z 0-9 . _ / -`, no part of it `.` or `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// Checks bytes.
    ///
    /// # Errors
    /// Which rule they break.
    pub fn new(bytes: &'a [u8]) -> Result<Key<'a>, KeyFault> {
        if bytes.is_empty() {
            return Err(KeyFault::Empty);
        }
        if bytes.len() > KEY_MAX_BYTES {
            return Err(KeyFault::TooLong);
        }
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
        if !bytes.iter().all(allowed) {
            return Err(KeyFault::Byte);
        }
        if bytes.split(|b| *b == b'/').any(|part| part == b"." || part == b"..") {
            return Err(KeyFault::Dots);
        }
        Ok(Key(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        core::str::from_utf8(self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_allowed_byte_are_keys() {
        for key in ["a", "slot/0.key", "a-b_c", "...", "a/.../b", "/", "09az"] {
            assert_eq!(Key::new(key.as_bytes()).map(|k| k.as_str()), Ok(key));
        }
    }

    #[test]
    fn the_longest_key_is_one_and_a_longer_one_is_not() {
        assert!(Key::new(&[b'a'; KEY_MAX_BYTES]).is_ok());
        assert_eq!(Key::new(&[b'a'; KEY_MAX_BYTES + 1]), Err(KeyFault::TooLong));
        assert_eq!(Key::new(&[b'a'; 256]), Err(KeyFault::TooLong));
    }

    #[test]
    fn test_reject_what_is_no_key() {
        assert_eq!(Key::new(b""), Err(KeyFault::Empty));
        for bytes in [&b"A"[..], b"a b", b"a\0", b"a\\b", b"\xc3\xa9", b"\xff", b"a*", b"a\n"] {
            assert_eq!(Key::new(bytes), Err(KeyFault::Byte), "{bytes:?}");
        }
        for bytes in [&b".."[..], b".", b"../a", b"a/..", b"a/../b", b"a/./b", b"/.."] {
            assert_eq!(Key::new(bytes), Err(KeyFault::Dots), "{bytes:?}");
        }
    }
}
