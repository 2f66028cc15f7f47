//! Keys that sign, and sign only preimages.

use ed25519_dalek::Signer as _;

use crate::{
    Error, Generation, Preimage, PublicKey, Purposes, SecretSeed, Signature, scrub::scrubbed,
};

/// An Ed25519 key with the purposes it was made for.
///
/// It holds the seed's expansion in memory and erases it when dropped. The public key is always
/// computed from the seed, never taken from outside: signing with a foreign public key would give
/// the secret away.
///
/// ```compile_fail
/// fn signs_bytes(key: &nexus_keys::SigningKey) {
///     let _ = key.sign(b"whatever somebody sent");
/// }
/// ```
/// ```compile_fail
/// fn prints<T: core::fmt::Debug>() {}
/// prints::<nexus_keys::SigningKey>();
/// ```
/// ```compile_fail
/// fn clones<T: Clone>() {}
/// clones::<nexus_keys::SigningKey>();
/// ```
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    purposes: Purposes,
    generation: Generation,
}

impl SigningKey {
    /// The key of `seed`.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`] for purposes that do not sign.
    pub fn new(
        seed: &SecretSeed,
        purposes: Purposes,
        generation: Generation,
    ) -> Result<SigningKey, Error> {
        if !purposes.iter().all(crate::Purpose::signs) {
            return Err(Error::WrongPurpose);
        }
        let key = scrubbed(|| seed.expose(ed25519_dalek::SigningKey::from_bytes));
        Ok(SigningKey { key, purposes, generation })
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::of(&self.key.verifying_key())
    }

    /// What it is for.
    #[must_use]
    pub const fn purposes(&self) -> Purposes {
        self.purposes
    }

    /// Which of its line.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Signs. The identity key verifies what it signed before it lets go of it: a single wrong
    /// bit while computing would otherwise publish the secret.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`] if the key is not for that purpose, [`Error::UnknownGeneration`]
    /// if the preimage names another generation, [`Error::Fault`].
    pub fn sign(&self, preimage: &Preimage) -> Result<Signature, Error> {
        if !self.purposes.has(preimage.purpose) {
            return Err(Error::WrongPurpose);
        }
        if preimage.generation != self.generation {
            return Err(Error::UnknownGeneration);
        }
        let signature = scrubbed(|| self.key.sign(&preimage.encode()).to_bytes());
        if self.purposes.is_identity() {
            released(&self.public(), preimage, signature)
        } else {
            Ok(signature)
        }
    }
}

/// Lets a signature go only if it verifies.
fn released(
    public: &PublicKey,
    preimage: &Preimage,
    signature: Signature,
) -> Result<Signature, Error> {
    match crate::verify(public, preimage, &signature) {
        Ok(()) => Ok(signature),
        Err(_) => Err(Error::Fault),
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
