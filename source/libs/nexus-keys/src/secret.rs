//! Secrets that erase themselves.

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// 32 secret bytes: the seed of a signing key, or the device's root secret for sealing.
///
/// Erased when dropped. No `Debug`, `Clone`, `Copy` or `PartialEq`: it is compared with
/// [`SecretSeed::is`], in constant time.
///
/// ```compile_fail
/// fn prints<T: core::fmt::Debug>() {}
/// prints::<nexus_keys::SecretSeed>();
/// ```
/// ```compile_fail
/// fn clones<T: Clone>() {}
/// clones::<nexus_keys::SecretSeed>();
/// ```
/// ```compile_fail
/// fn compares<T: PartialEq>() {}
/// compares::<nexus_keys::SecretSeed>();
/// ```
pub struct SecretSeed([u8; 32]);

impl Drop for SecretSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretSeed {}

impl SecretSeed {
    /// Takes the bytes and erases where they were.
    ///
    /// # Errors
    /// [`Error::BadSeed`] for zeros; `source` is zero either way.
    pub fn take(source: &mut [u8; 32]) -> Result<SecretSeed, Error> {
        let seed = SecretSeed(*source);
        source.zeroize();
        if bool::from(seed.0.ct_eq(&[0; 32])) { Err(Error::BadSeed) } else { Ok(seed) }
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is(&self, other: &SecretSeed) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// Shows the bytes to `work` for as long as it runs: to seal them, never to hand them out.
    pub fn expose<T>(&self, work: impl FnOnce(&[u8; 32]) -> T) -> T {
        work(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_erases_the_source() {
        let mut source = [7; 32];
        let seed = SecretSeed::take(&mut source).unwrap();
        assert_eq!(source, [0; 32]);
        seed.expose(|bytes| assert_eq!(bytes, &[7; 32]));
    }

    #[test]
    fn test_reject_a_seed_of_zeros() {
        assert!(matches!(SecretSeed::take(&mut [0; 32]), Err(Error::BadSeed)));
    }

    #[test]
    fn equal_means_every_byte() {
        let seed = SecretSeed::take(&mut [7; 32]).unwrap();
        let same = SecretSeed::take(&mut [7; 32]).unwrap();
        assert!(bool::from(seed.is(&same)));
        for at in 0..32 {
            let mut bytes = [7; 32];
            bytes[at] ^= 0x80;
            assert!(!bool::from(seed.is(&SecretSeed::take(&mut bytes).unwrap())), "byte {at}");
        }
    }
}
