//! Public keys that were checked, and strict verification.
//!
//! Plain Ed25519 verification as many libraries do it accepts a key of small order: with R and S
//! chosen to match, one signature then verifies for every message. Here a key is refused when it
//! is enrolled and again wherever a signature is verified, the equation is the one without
//! cofactor, and R and S must be canonical. A key with a part of small order added (mixed order)
//! would verify some signatures and not others and is a second name for the same secret: it is
//! refused at enrolment too. Every verifier of the system, `nx key` included, runs this code, so
//! that the outcome is the same everywhere.

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::VerifyingKey;

use crate::{Error, Preimage};

/// An Ed25519 signature as it travels.
pub type Signature = [u8; 64];

/// A public key: the canonical encoding of a point of the prime-order subgroup, not its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks a key that came from outside.
    ///
    /// # Errors
    /// [`Error::NonCanonicalKey`], [`Error::WeakKey`], [`Error::MixedKey`].
    pub fn enrol(bytes: &[u8; 32]) -> Result<PublicKey, Error> {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(Error::NonCanonicalKey)?;
        // Decompression reduces y and ignores the sign of x = 0: only what encodes back was canonical.
        if point.compress().0 != *bytes {
            return Err(Error::NonCanonicalKey);
        }
        if point.is_small_order() {
            return Err(Error::WeakKey);
        }
        if !point.is_torsion_free() {
            return Err(Error::MixedKey);
        }
        Ok(PublicKey(*bytes))
    }

    /// The key of a secret of our own: in the subgroup by construction.
    pub(crate) fn of(key: &VerifyingKey) -> PublicKey {
        PublicKey(key.to_bytes())
    }

    /// The encoding.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn check(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| Error::NonCanonicalKey)?;
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(message, &signature).map_err(|_| Error::BadSignature)
    }
}

/// Whether `signature` is the signature of `public` over `preimage`.
///
/// # Errors
/// [`Error::BadSignature`].
pub fn verify(public: &PublicKey, preimage: &Preimage, signature: &Signature) -> Result<(), Error> {
    public.check(&preimage.encode(), signature)
}

/// Verifies over bytes as they are: for published test vectors, which know no preimages.
///
/// # Errors
/// As [`PublicKey::enrol`], and [`Error::BadSignature`].
pub fn verify_raw(public: &[u8; 32], message: &[u8], signature: &Signature) -> Result<(), Error> {
    PublicKey::enrol(public)?.check(message, signature)
}

#[cfg(test)]
#[path = "public_tests.rs"]
mod tests;
