use crate::{testing::*, *};

fn key() -> PurposeKey {
    PurposeKey::admit(&certified(Purpose::Attest, 0), &chain(0)).unwrap()
}

fn wanted() -> Wanted {
    Wanted { nonce: nonce(), allow_development: false }
}

#[test]
fn a_quote_holds_and_comes_back_from_its_bytes() {
    let quote = quote();
    assert_eq!(quote.verify(&chain(0), &key(), &wanted()), Ok(()));
    assert_eq!(Quote::decode(&quote.encode()), Ok(quote));
    let long = Nonce::new(&[9; 64]).unwrap();
    let body = QuoteBody { nonce: long, ..body() };
    assert_eq!(QuoteBody::decode(&body.encode()), Ok(body));
    assert_eq!(long.as_bytes(), [9; 64]);
    assert_eq!(nonce().as_bytes(), [0xA5; 32]);
}

#[test]
fn test_reject_k24_nonces_absent_short_long_or_zero() {
    for len in [0, 1, 31, 65, 255, 256, 288] {
        assert_eq!(Nonce::new(&vec![7; len]), Err(Error::BadNonce), "{len} bytes");
    }
    for len in [32, 33, 63, 64] {
        assert!(Nonce::new(&vec![7; len]).is_ok(), "{len} bytes");
        assert_eq!(Nonce::new(&vec![0; len]), Err(Error::BadNonce), "{len} zeros");
    }
    let good = body().encode();
    for len in [0, 31, 65, 255] {
        let mut bytes = good;
        bytes[8] = len;
        assert_eq!(QuoteBody::decode(&bytes), Err(Error::BadNonce), "{len} bytes");
    }
    let mut zero = good;
    zero[32..96].fill(0);
    assert_eq!(QuoteBody::decode(&zero), Err(Error::BadNonce));
    // Bytes behind the length would be a second encoding.
    let mut behind = good;
    behind[95] = 1;
    assert_eq!(QuoteBody::decode(&behind), Err(Error::Malformed));
}

#[test]
fn k25_quotes_over_one_nonce_in_two_boots_differ() {
    let other = Evidence { boot: 4, boot_id: [8; 16], ..evidence() };
    let second = QuoteBody { evidence: other, ..body() };
    assert_ne!(body().encode(), second.encode());
    let second = Quote::sign(&purpose_key(Purpose::Attest, 0), second).unwrap();
    let spliced = Quote { body: body(), signature: second.signature };
    assert_eq!(spliced.verify(&chain(0), &key(), &wanted()), Err(Error::BadSignature));
}

#[test]
fn test_reject_k28_a_development_key_unless_allowed() {
    let genesis = Genesis::sign(&identity(0), &identity(1).public(), NOW, true).unwrap();
    let chain = Chain::start(&genesis).unwrap();
    let attest = purpose_key(Purpose::Attest, 0);
    let usage = usage(Purpose::Attest);
    let certificate = PurposeCertificate::sign(
        (chain.device(), true),
        &identity(0),
        &attest,
        (0, Generation(0)),
        usage,
    );
    let key = PurposeKey::admit(&certificate.unwrap(), &chain).unwrap();
    let flags = evidence().flags.with(Flags::DEVELOPMENT_KEY);
    let honest = QuoteBody { evidence: Evidence { flags, ..evidence() }, ..body() };
    let quote = Quote::sign(&attest, honest).unwrap();
    assert_eq!(quote.verify(&chain, &key, &wanted()), Err(Error::DevelopmentKey));
    let allowed = Wanted { allow_development: true, ..wanted() };
    assert_eq!(quote.verify(&chain, &key, &allowed), Ok(()));
    // The flag stands in the signed body, and cannot be left out of it or taken out.
    let mut hidden = quote;
    hidden.body.evidence.flags = Flags::NO_HARDWARE_ROOT;
    assert_eq!(hidden.verify(&chain, &key, &allowed), Err(Error::Inconsistent));
    let lie = Quote::sign(&attest, body()).unwrap();
    assert_eq!(lie.verify(&chain, &key, &allowed), Err(Error::Inconsistent));
    // Nor does a real device's chain take a quote that says so.
    let real = crate::testing::chain(0);
    assert_eq!(quote.verify(&real, &self::key(), &allowed), Err(Error::Inconsistent));
}

#[test]
fn test_reject_a_quote_over_another_nonce() {
    let other = Wanted { nonce: Nonce::new(&[0x5A; 32]).unwrap(), ..wanted() };
    assert_eq!(quote().verify(&chain(0), &key(), &other), Err(Error::WrongNonce));
    // The same bytes and more are another nonce.
    let mut longer = [0; 33];
    longer[..32].fill(0xA5);
    let longer = Wanted { nonce: Nonce::new(&longer).unwrap(), ..wanted() };
    assert_eq!(quote().verify(&chain(0), &key(), &longer), Err(Error::WrongNonce));
}

#[test]
fn test_reject_a_quote_of_another_device_or_key() {
    let attest = purpose_key(Purpose::Attest, 0);
    let foreign = QuoteBody { device: identity(7).public(), ..body() };
    let foreign = Quote::sign(&attest, foreign).unwrap();
    assert_eq!(foreign.verify(&chain(0), &key(), &wanted()), Err(Error::WrongDevice));
    // It knows a newer identity than the chain that came with it: the chain was cut.
    let newer = QuoteBody { identity: Generation(1), ..body() };
    let newer = Quote::sign(&attest, newer).unwrap();
    assert_eq!(newer.verify(&chain(0), &key(), &wanted()), Err(Error::Inconsistent));
    // The chain is whole, but a key certified by a retired identity answers nobody any more.
    assert_eq!(newer.verify(&chain(1), &key(), &wanted()), Err(Error::Inconsistent));
    let usage = Usage::unlimited(Purposes::only(Purpose::Attest), Moment { boot: 2, ns: 0 });
    let device = (&genesis().device, false);
    let anew = PurposeCertificate::sign(device, &identity(1), &attest, (0, Generation(0)), usage);
    let anew = PurposeKey::admit(&anew.unwrap(), &chain(1)).unwrap();
    assert_eq!(newer.verify(&chain(1), &anew, &wanted()), Ok(()));
    // An identity that was replaced since says nothing of now.
    assert_eq!(quote().verify(&chain(1), &key(), &wanted()), Err(Error::Inconsistent));
    let checkpoint = certified(Purpose::Checkpoint, 0);
    let checkpoint = PurposeKey::admit(&checkpoint, &chain(0)).unwrap();
    assert_eq!(quote().verify(&chain(0), &checkpoint, &wanted()), Err(Error::WrongPurpose));
}

#[test]
fn test_reject_flags_nobody_knows() {
    assert_eq!(Flags::from_bits(0x1ff).map(Flags::bits), Ok(0x1ff));
    assert_eq!(Flags::from_bits(0x200), Err(Error::Malformed));
    assert_eq!(Flags::ALL.len(), 9);
}

#[test]
fn test_reject_a_seal_over_another_checkpoint() {
    let key = PurposeKey::admit(&certified(Purpose::Checkpoint, 0), &chain(0)).unwrap();
    let seal = checkpoint();
    assert_eq!(seal.verify(&key), Ok(()));
    let changes: [fn(&mut Seal); 4] = [
        |seal| seal.number += 1,
        |seal| seal.digest[0] ^= 1,
        |seal| seal.boot += 1,
        |seal| seal.caller += 1,
    ];
    for change in changes {
        let mut other = seal;
        change(&mut other);
        assert_eq!(other.verify(&key), Err(Error::BadSignature));
    }
    assert_eq!(seal.verify(&self::key()), Err(Error::WrongPurpose));
}
