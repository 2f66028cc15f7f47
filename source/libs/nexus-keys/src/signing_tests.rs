use crate::{testing::*, *};

fn preimage(purpose: Purpose, message: &[u8]) -> Preimage {
    Preimage::of(purpose, Generation(0), 20, 3, message).unwrap()
}

/// One seed under every purpose: what a key store must never make, so that the purpose in the
/// preimage is the only thing that keeps its signatures apart.
fn shared(purpose: Purpose) -> SigningKey {
    SigningKey::new(&seed(9), Purposes::only(purpose), Generation(0)).unwrap()
}

/// A certificate for that key, by the identity key.
fn key_of(purpose: Purpose) -> PurposeKey {
    let mut certificate = certified(purpose, 0);
    certificate.key = shared(purpose).public();
    PurposeKey::admit(&certificate.signed_anew(&identity(0)), &chain(0)).unwrap()
}

#[test]
fn test_reject_k01_a_purpose_the_key_was_not_made_for() {
    for made in Purpose::ALL {
        let Ok(purposes) = Purposes::from_bits(made.code()) else { continue };
        let key = SigningKey::new(&seed(4), purposes, Generation(0));
        let Ok(key) = key else {
            assert!(!made.signs(), "{made:?}");
            assert_eq!(key.err(), Some(Error::WrongPurpose));
            continue;
        };
        for asked in Purpose::ALL.iter().filter(|p| p.signs()) {
            let signed = key.sign(&preimage(*asked, b"m"));
            assert_eq!(signed.is_ok(), asked == made, "{made:?} asked to {asked:?}");
            assert!(signed.is_ok() || signed == Err(Error::WrongPurpose));
        }
    }
    for sealing in [Purpose::Seal, Purpose::Derive] {
        let preimage = Preimage::of(sealing, Generation(0), 20, 3, b"m");
        assert_eq!(preimage, Err(Error::WrongPurpose));
    }
}

#[test]
fn test_reject_another_generation_than_the_keys_own() {
    let key = purpose_key(Purpose::Service, 0);
    let other = Preimage { generation: Generation(1), ..preimage(Purpose::Service, b"m") };
    assert_eq!(key.sign(&other), Err(Error::UnknownGeneration));
}

#[test]
fn test_reject_k03_a_quote_body_signed_for_a_service() {
    let body = body();
    let signature = shared(Purpose::Service).sign(&preimage(Purpose::Service, &body.encode()));
    let quote = Quote { body, signature: signature.unwrap() };
    let wanted = Wanted { nonce: nonce(), allow_development: true };
    let verdict = quote.verify(&chain(0), &key_of(Purpose::Attest), &wanted);
    assert_eq!(verdict, Err(Error::BadSignature));
    // Signed as a quote by that very key it would hold: it is the purpose that refuses.
    let genuine = Quote::sign(&shared(Purpose::Attest), body).unwrap();
    assert_eq!(genuine.verify(&chain(0), &key_of(Purpose::Attest), &wanted), Ok(()));
}

#[test]
fn test_reject_k04_a_message_that_is_a_preimage_of_another_kind() {
    let wanted = preimage(Purpose::Attest, b"what runs here");
    let message = wanted.encode();
    assert_eq!(Preimage::decode(&message), Ok(wanted));
    let signed = preimage(Purpose::Service, &message);
    let signature = shared(Purpose::Service).sign(&signed).unwrap();
    let key = shared(Purpose::Service).public();
    assert_eq!(verify(&key, &signed, &signature), Ok(()));
    assert_eq!(verify(&key, &wanted, &signature), Err(Error::BadSignature));
    assert_eq!(verify_raw(key.bytes(), &message, &signature), Err(Error::BadSignature));
    assert_ne!(signed.encode(), message);
}

#[test]
fn test_reject_k05_a_checkpoint_signed_for_a_service() {
    let seal = checkpoint();
    let mut body = b"NXKCKPTB".to_vec();
    body.extend(seal.number.to_le_bytes());
    body.extend(seal.digest);
    let asked = Preimage::of(Purpose::Service, Generation(0), seal.caller, seal.boot, &body);
    let signature = shared(Purpose::Service).sign(&asked.unwrap()).unwrap();
    let forged = Seal { signature, ..seal };
    assert_eq!(forged.verify(&key_of(Purpose::Checkpoint)), Err(Error::BadSignature));
    let key = shared(Purpose::Checkpoint);
    let genuine = Seal::sign(&key, (12, [0xC0; 32]), (3, 3), false).unwrap();
    assert_eq!(genuine.verify(&key_of(Purpose::Checkpoint)), Ok(()));
}

#[test]
fn k06_signatures_over_derivation_labels_are_no_keys() {
    // Nothing is derived from a signature: sealing needs the root secret, whatever was signed.
    let label = b"nexus-keys 2026-11 key of a sealed record v1";
    let slot = Slot { owner: 20, name: b"a", purposes: Purposes::only(Purpose::Service) };
    let header = Header {
        development: false,
        generation: Generation(0),
        counter: Counter(1),
        usage: usage(Purpose::Service),
    };
    let mut record = [0; RECORD_MAX];
    let root = seed(1);
    let len = seal(&root, &slot, &header, &[7; 32], b"secret", &mut record).unwrap();
    for purpose in Purpose::ALL.iter().filter(|p| p.signs()) {
        let Ok(purposes) = Purposes::from_bits(purpose.code()) else { continue };
        let key = SigningKey::new(&root, purposes, Generation(0)).unwrap();
        let signature = key.sign(&preimage(*purpose, label)).unwrap();
        for half in signature.chunks(32) {
            let mut guess: [u8; 32] = half.try_into().unwrap();
            let guess = SecretSeed::take(&mut guess).unwrap();
            let opened = open(&guess, &slot, Counter(0), &record[..len], &mut [0; PAYLOAD_MAX]);
            assert_eq!(opened, Err(Error::Unsealed));
        }
    }
}

#[test]
fn every_field_of_the_preimage_is_signed() {
    let key = purpose_key(Purpose::Service, 0);
    let signed = preimage(Purpose::Service, b"m");
    let signature = key.sign(&signed).unwrap();
    let changes: [fn(&mut Preimage); 7] = [
        |p| p.purpose = Purpose::Bundle,
        |p| p.development = true,
        |p| p.generation.0 += 1,
        |p| p.caller += 1,
        |p| p.boot += 1,
        |p| p.message_len += 1,
        |p| p.digest[31] ^= 1,
    ];
    for change in changes {
        let mut other = signed;
        change(&mut other);
        assert_eq!(verify(&key.public(), &other, &signature), Err(Error::BadSignature));
    }
    assert_eq!(verify(&key.public(), &signed, &signature), Ok(()));
}

#[test]
fn test_reject_k30_a_signature_that_a_fault_spoiled() {
    let key = identity(0);
    let preimage = preimage(Purpose::Rotate, b"m");
    let good = key.sign(&preimage).unwrap();
    assert_eq!(super::released(&key.public(), &preimage, good), Ok(good));
    for bit in [0, 100, 255, 256, 400, 511] {
        let mut spoiled = good;
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let released = super::released(&key.public(), &preimage, spoiled);
        assert_eq!(released, Err(Error::Fault), "bit {bit}");
    }
}
