use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::CompressedEdwardsY,
};

use crate::{testing::*, *};

/// The order of the prime-order subgroup.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn signed() -> (PublicKey, Preimage, Signature) {
    let key = purpose_key(Purpose::Service, 0);
    let preimage = Preimage::of(Purpose::Service, Generation(0), 20, 3, b"m").unwrap();
    let signature = key.sign(&preimage).unwrap();
    (key.public(), preimage, signature)
}

#[test]
fn keys_of_our_own_enrol() {
    for number in 1..=64 {
        let key = SigningKey::new(&seed(number), Purposes::IDENTITY, Generation(0)).unwrap();
        assert_eq!(PublicKey::enrol(key.public().bytes()), Ok(key.public()));
    }
}

#[test]
fn test_reject_k32_the_identity_as_a_key() {
    let identity = EIGHT_TORSION[0].compress().0;
    assert_eq!(PublicKey::enrol(&identity), Err(Error::WeakKey));
    // R = identity, S = 0: plain verification takes it for every message.
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&identity);
    assert_eq!(verify_raw(&identity, b"anything", &forged), Err(Error::WeakKey));
    let key = ed25519_dalek::VerifyingKey::from_bytes(&identity).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&forged);
    assert!(ed25519_dalek::Verifier::verify(&key, b"anything", &signature).is_ok(), "the control");
    assert!(key.verify_strict(b"anything", &signature).is_err());
}

#[test]
fn test_reject_k33_small_order_and_non_canonical_keys() {
    for point in EIGHT_TORSION {
        assert_eq!(PublicKey::enrol(&point.compress().0), Err(Error::WeakKey));
    }
    // y from p to 2^255 - 1, both signs: 38 encodings that are no canonical one.
    for above in 0..19 {
        for sign in [0, 0x80] {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (0xed + above, 0x7f | sign);
            assert_eq!(PublicKey::enrol(&y), Err(Error::NonCanonicalKey), "p + {above}");
        }
    }
    // x = 0 with the sign of a negative x: the identity and (0, -1).
    for mut y in [[0; 32], EIGHT_TORSION[4].compress().0] {
        if y == [0; 32] {
            y[0] = 1;
        }
        y[31] |= 0x80;
        assert_eq!(PublicKey::enrol(&y), Err(Error::NonCanonicalKey));
    }
    // No point at all.
    let mut y = [0; 32];
    y[0] = 2;
    assert_eq!(CompressedEdwardsY(y).decompress(), None);
    assert_eq!(PublicKey::enrol(&y), Err(Error::NonCanonicalKey));
}

#[test]
fn test_reject_k34_other_encodings_of_one_signature() {
    let (public, preimage, good) = signed();
    assert_eq!(verify(&public, &preimage, &good), Ok(()));
    // S + L, while it fits.
    let mut more = good;
    let mut carry = 0;
    for (byte, add) in more[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(verify(&public, &preimage, &more), Err(Error::BadSignature));
    // S of 2^252 and above, up to the bits old verifiers looked at.
    for top in [0x20, 0x40, 0x80, 0xe0] {
        let mut high = good;
        high[63] |= top;
        assert_eq!(verify(&public, &preimage, &high), Err(Error::BadSignature));
    }
    // R of small order and R that is no canonical encoding.
    let mut small = good;
    for point in EIGHT_TORSION {
        small[..32].copy_from_slice(&point.compress().0);
        assert_eq!(verify(&public, &preimage, &small), Err(Error::BadSignature));
    }
    for above in 0..19 {
        small[..32].fill(0xff);
        (small[0], small[31]) = (0xed + above, 0x7f);
        assert_eq!(verify(&public, &preimage, &small), Err(Error::BadSignature));
    }
    // The other root for R.
    let mut mirrored = good;
    mirrored[31] ^= 0x80;
    assert_eq!(verify(&public, &preimage, &mirrored), Err(Error::BadSignature));
}

#[test]
fn test_reject_k35_keys_of_mixed_order() {
    let (public, ..) = signed();
    let point = CompressedEdwardsY(*public.bytes()).decompress().unwrap();
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = (point + torsion).compress().0;
        assert_eq!(PublicKey::enrol(&mixed), Err(Error::MixedKey));
        let base = (ED25519_BASEPOINT_POINT + torsion).compress().0;
        assert_eq!(verify_raw(&base, b"m", &[1; 64]), Err(Error::MixedKey));
    }
}

#[test]
fn test_reject_k36_a_graph_with_lenient_or_double_crates() {
    let lock = include_str!("../../../../Cargo.lock");
    for once in ["rand_core", "curve25519-dalek", "ed25519-dalek", "blake3", "zeroize", "subtle"] {
        let versions = lock.matches(&format!("name = \"{once}\"\n")).count();
        assert!(versions <= 1, "{versions} versions of {once}");
    }
    let workspace = include_str!("../../../../Cargo.toml");
    for manifest in [workspace, include_str!("../Cargo.toml")] {
        for feature in ["legacy_compatibility", "hazmat"] {
            assert!(!manifest.contains(feature), "{feature}");
        }
    }
}
