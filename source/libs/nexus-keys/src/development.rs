//! The keys everybody knows, for bring-up on machines without entropy.
//!
//! They exist only in builds with an explicitly insecure feature. A device that has them must say
//! so in its genesis; whoever claims that identity without saying so is refused, because anybody
//! can sign with it.

use crate::Generation;

const SEEDS: &str = "keystored insecure bring-up seeds v1";

/// Public key of the first identity that [`development_seeds`] gives.
pub const DEVELOPMENT_DEVICE: [u8; 32] = [
    0xe3, 0x7c, 0xd0, 0xa5, 0x20, 0x0f, 0x59, 0xe4, 0x1d, 0x17, 0x50, 0x01, 0x0f, 0x07, 0xb1, 0x16,
    0xf7, 0x17, 0x71, 0xec, 0x2f, 0xe9, 0x0f, 0x5d, 0x73, 0x1c, 0x62, 0xf5, 0xb1, 0x47, 0x46, 0xb9,
];

/// What stands in for entropy in such a build: the first 32 bytes are the identity's seed.
pub fn development_seeds(generation: Generation, out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(SEEDS);
    hasher.update(&generation.0.to_le_bytes());
    hasher.finalize_xof().fill(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Error, Genesis, Moment, Purposes, SecretSeed, SigningKey};

    fn identity(generation: u32) -> SigningKey {
        let mut seed = [0; 32];
        development_seeds(Generation(generation), &mut seed);
        let seed = SecretSeed::take(&mut seed).unwrap();
        SigningKey::new(&seed, Purposes::IDENTITY, Generation(generation)).unwrap()
    }

    #[test]
    fn the_known_device_is_the_key_of_the_known_seed() {
        assert_eq!(identity(0).public().bytes(), &DEVELOPMENT_DEVICE);
    }

    #[test]
    fn test_reject_the_known_identity_without_its_flag() {
        let genesis = |development| {
            let second = identity(1).public();
            Genesis::sign(&identity(0), &second, Moment::default(), development).unwrap()
        };
        assert!(Chain::start(&genesis(true)).is_ok());
        assert_eq!(Chain::start(&genesis(false)), Err(Error::DevelopmentKey));
    }
}
