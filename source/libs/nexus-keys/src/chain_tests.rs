use crate::{testing::*, *};

fn at(boot: u32, ns: u64) -> Moment {
    Moment { boot, ns }
}

/// The rotation 0 to 1 of the tests, with a change made before both keys signed it anew.
fn altered(change: impl FnOnce(&mut Rotation)) -> Certificate {
    let mut certificate = rotation(0, Reason::Scheduled, overlap(2));
    change(&mut certificate.rotation);
    certificate.signed_anew(&identity(0), &identity(1))
}

#[test]
fn a_chain_of_rotations_holds() {
    let chain = chain(3);
    assert_eq!(chain.generation(), Generation(3));
    assert_eq!(chain.key(), &identity(3).public());
    assert_eq!(chain.device(), &identity(0).public());
    assert_eq!(chain.standing(Generation(3)), Standing::Current);
    assert_eq!(chain.standing(Generation(2)), Standing::Overlap(overlap(4)));
    assert_eq!(chain.standing(Generation(4)), Standing::Unknown);
}

#[test]
fn test_reject_a_genesis_of_another_key() {
    let mut genesis = genesis();
    genesis.signature[3] ^= 1;
    assert_eq!(Chain::start(&genesis), Err(Error::BadSignature));
    let mut genesis = super::super::testing::genesis();
    genesis.next[0] ^= 1;
    assert_eq!(Chain::start(&genesis), Err(Error::BadSignature));
    genesis.development = true;
    assert_eq!(Chain::start(&genesis), Err(Error::BadSignature));
}

#[test]
fn test_reject_k16_an_old_key_after_its_overlap_without_another_rotation() {
    let chain = chain(1);
    let old = identity(0).public();
    for now in [at(2, 0), at(2, 999), at(3, 0), at(4, 999)] {
        assert_eq!(chain.usable(Generation(0), now), Ok(old), "{now:?}");
    }
    for now in [at(2, 1000), at(3, 1000), at(5, 0), at(u32::MAX, 0)] {
        assert_eq!(chain.usable(Generation(0), now), Err(Error::Retired), "{now:?}");
    }
    // A clock before the rotation went backwards.
    assert_eq!(chain.usable(Generation(0), at(1, 0)), Err(Error::NotYet));
    assert_eq!(chain.usable(Generation(1), at(1, 0)), Err(Error::NotYet));
    assert_eq!(chain.usable(Generation(1), at(9, 9)), Ok(identity(1).public()));
}

#[test]
fn what_an_old_key_said_in_its_time_stays_true() {
    let chain = chain(2);
    assert_eq!(chain.vouches(Generation(0), at(1, 9)), Ok(identity(0).public()));
    assert_eq!(chain.vouches(Generation(0), at(1, 8)), Err(Error::NotYet));
    assert_eq!(chain.vouches(Generation(1), at(1, 500)), Err(Error::NotYet));
    assert_eq!(chain.vouches(Generation(1), at(2, 500)), Ok(identity(1).public()));
    assert_eq!(chain.vouches(Generation(1), at(9, 0)), Err(Error::Retired));
    assert_eq!(chain.vouches(Generation(2), at(2, 0)), Err(Error::NotYet));
    assert_eq!(chain.vouches(Generation(2), at(99, 0)), Ok(identity(2).public()));
    assert_eq!(chain.vouches(Generation(3), at(99, 0)), Err(Error::UnknownGeneration));
}

#[test]
fn test_reject_k17_a_certificate_of_one_key_alone() {
    let genuine = rotation(0, Reason::Scheduled, overlap(2));
    for zero in [true, false] {
        let mut by_one = genuine;
        // No possession proof: the old key's signature in both places, or none.
        by_one.by_new = if zero { [0; 64] } else { genuine.by_old };
        assert_eq!(chain(0).extend(&by_one), Err(Error::BadSignature));
        by_one = genuine;
        by_one.by_old = if zero { [0; 64] } else { genuine.by_new };
        assert_eq!(chain(0).extend(&by_one), Err(Error::BadSignature));
    }
    let swapped = Certificate { by_old: genuine.by_new, by_new: genuine.by_old, ..genuine };
    assert_eq!(chain(0).extend(&swapped), Err(Error::BadSignature));
}

#[test]
fn test_reject_k18_a_generation_skipped_or_used_again() {
    let mut one = chain(1);
    let before = one;
    assert_eq!(one.extend(&rotation(0, Reason::Scheduled, overlap(2))), Err(Error::WrongLink));
    assert_eq!(one.extend(&rotation(2, Reason::Scheduled, overlap(4))), Err(Error::WrongLink));
    assert_eq!(one, before, "an error changes nothing");
    // n to n + 2, signed by the right keys: not even decoded.
    let skips = altered(|rotation| rotation.to = Generation(2));
    assert_eq!(skips.verify(false), Err(Error::WrongLink));
    assert_eq!(Certificate::decode(&skips.encode()), Err(Error::WrongLink));
    assert_eq!(chain(0).extend(&skips), Err(Error::WrongLink));
    // The last generation has no next one.
    let last =
        altered(|rotation| (rotation.from, rotation.to) = (Generation(u32::MAX), Generation(0)));
    assert_eq!(Certificate::decode(&last.encode()), Err(Error::Exhausted));
}

#[test]
fn test_reject_k18_a_key_that_was_there_before() {
    // The identity comes back to its first key.
    let (device, first) = (
        genesis().device,
        SigningKey::new(&seed(0x10), Purposes::IDENTITY, Generation(2)).unwrap(),
    );
    let back = Certificate::sign(
        (&device, false),
        &identity(1),
        &first,
        &identity(3).public(),
        (Reason::Scheduled, overlap(3)),
    );
    assert_eq!(chain(1).extend(&back.unwrap()), Err(Error::WrongLink));
}

#[test]
fn test_reject_k19_a_key_that_was_not_committed_to() {
    // A thief with key 0 names a successor: both signatures hold, the commitment does not.
    let thief = SigningKey::new(&seed(0x77), Purposes::IDENTITY, Generation(1)).unwrap();
    let stolen = Certificate::sign(
        (&genesis().device, false),
        &identity(0),
        &thief,
        &identity(2).public(),
        (Reason::Compromise, Window::none(at(2, 0))),
    )
    .unwrap();
    assert_eq!(stolen.verify(false), Ok(()));
    assert_eq!(chain(0).extend(&stolen), Err(Error::NotCommitted));
}

#[test]
fn test_reject_k20_a_compromised_key_at_once_and_all_before_it() {
    let mut chain = chain(1);
    assert!(chain.usable(Generation(0), at(3, 0)).is_ok(), "inside its overlap");
    chain.extend(&rotation(1, Reason::Compromise, Window::none(at(3, 0)))).unwrap();
    for generation in [Generation(0), Generation(1)] {
        assert_eq!(chain.standing(generation), Standing::Compromised);
        assert_eq!(chain.usable(generation, at(3, 0)), Err(Error::Compromised));
        // Nor does anything it is said to have signed earlier count.
        assert_eq!(chain.vouches(generation, at(2, 0)), Err(Error::Compromised));
    }
    assert_eq!(chain.usable(Generation(2), at(3, 0)), Ok(identity(2).public()));
}

#[test]
fn test_reject_k20_a_compromise_with_an_overlap() {
    let certificate = altered(|rotation| rotation.reason = Reason::Compromise);
    assert_eq!(certificate.verify(false), Err(Error::Malformed));
    assert_eq!(Certificate::decode(&certificate.encode()), Err(Error::Malformed));
    assert_eq!(chain(0).extend(&certificate), Err(Error::Malformed));
}

#[test]
fn test_reject_an_overlap_out_of_bounds() {
    const WEEK: u64 = 604_800_000_000_000;
    for (boots, ns, good) in
        [(64, WEEK, true), (65, WEEK, false), (64, WEEK + 1, false), (u32::MAX, 1, false)]
    {
        let certificate = altered(|rotation| {
            (rotation.overlap.boots, rotation.overlap.ns) = (boots, ns);
        });
        assert_eq!(chain(0).extend(&certificate).is_ok(), good, "{boots} {ns}");
    }
}

#[test]
fn test_reject_a_certificate_of_another_device_or_time() {
    let foreign = altered(|rotation| rotation.device = identity(5).public());
    assert_eq!(chain(0).extend(&foreign), Err(Error::WrongDevice));
    let early = altered(|rotation| rotation.overlap.from = at(0, 0));
    assert_eq!(chain(0).extend(&early), Err(Error::NotYet));
    let other = altered(|rotation| rotation.old = identity(4).public());
    assert_eq!(chain(0).extend(&other), Err(Error::WrongLink));
}

#[test]
fn test_reject_certificates_that_mix_development_and_real_keys() {
    assert_eq!(rotation(0, Reason::Scheduled, overlap(2)).verify(true), Err(Error::BadSignature));
}

#[test]
fn generations_out_of_memory_are_retired_and_compromise_is_never_forgotten() {
    let rotations = KEPT as u32 + 2;
    let chain = chain(rotations);
    assert_eq!(chain.standing(Generation(1)), Standing::Forgotten);
    assert!(matches!(chain.standing(Generation(2)), Standing::Overlap(_)));
    assert_eq!(chain.usable(Generation(1), at(99, 0)), Err(Error::Retired));
    let mut chain = crate::testing::chain(0);
    chain.extend(&rotation(0, Reason::Compromise, Window::none(at(2, 0)))).unwrap();
    for from in 1..rotations {
        chain.extend(&rotation(from, Reason::Requested, overlap(from + 2))).unwrap();
    }
    assert_eq!(chain.standing(Generation(0)), Standing::Compromised);
    assert_eq!(chain.usable(Generation(0), at(99, 0)), Err(Error::Compromised));
}

#[test]
fn test_reject_purpose_keys_the_chain_does_not_vouch_for() {
    let certificate = certified(Purpose::Attest, 0);
    assert!(PurposeKey::admit(&certificate, &chain(2)).is_ok(), "made while key 0 was in use");
    let mut compromised = chain(0);
    compromised.extend(&rotation(0, Reason::Compromise, Window::none(at(2, 0)))).unwrap();
    assert_eq!(PurposeKey::admit(&certificate, &compromised), Err(Error::Compromised));
    let mut other = certificate;
    other.device = identity(4).public();
    assert_eq!(PurposeKey::admit(&other, &chain(0)), Err(Error::WrongDevice));
    other = certificate;
    other.usage.uses = 1;
    assert_eq!(PurposeKey::admit(&other, &chain(0)), Err(Error::BadSignature));
    other = certificate;
    other.issuer = Generation(1);
    assert_eq!(PurposeKey::admit(&other, &chain(0)), Err(Error::UnknownGeneration));
}

#[test]
fn test_reject_certificates_over_the_wrong_kind_of_key() {
    let (device, issuer) = (genesis().device, identity(0));
    let sign = |key: &SigningKey, purposes, floor| {
        let usage = Usage::unlimited(purposes, NOW);
        PurposeCertificate::sign((&device, false), &issuer, key, (0, Generation(floor)), usage)
    };
    let attest = Purposes::only(Purpose::Attest);
    let key = purpose_key(Purpose::Attest, 1);
    assert!(sign(&key, attest, 1).is_ok());
    assert_eq!(sign(&key, attest, 2), Err(Error::Malformed), "floor above the key itself");
    // K02: no certificate widens what the key was made for.
    assert_eq!(sign(&key, Purposes::only(Purpose::Service), 0), Err(Error::WrongPurpose));
    assert_eq!(sign(&identity(1), Purposes::IDENTITY, 0), Err(Error::WrongPurpose));
    // Only the identity key certifies.
    let usage = Usage::unlimited(attest, NOW);
    let by_other =
        PurposeCertificate::sign((&device, false), &key, &key, (0, Generation(0)), usage);
    assert_eq!(by_other, Err(Error::WrongPurpose));
}

#[test]
fn test_reject_signatures_outside_the_certificate() {
    let signer = purpose_key(Purpose::Service, 2);
    let mut certificate = certified(Purpose::Service, 2);
    certificate.floor = Generation(2);
    certificate.usage.window = Window { from: at(2, 0), boots: 1, ns: 10 };
    let certificate = certificate.signed_anew(&identity(0));
    let key = PurposeKey::admit(&certificate, &chain(0)).unwrap();
    let preimage = |boot| Preimage::of(Purpose::Service, Generation(2), 20, boot, b"m").unwrap();
    let signed = |boot| signer.sign(&preimage(boot)).unwrap();
    assert_eq!(key.verify(&preimage(2), &signed(2)), Ok(()));
    assert_eq!(key.verify(&preimage(3), &signed(3)), Ok(()));
    assert_eq!(key.verify(&preimage(1), &signed(1)), Err(Error::NotYet));
    assert_eq!(key.verify(&preimage(4), &signed(4)), Err(Error::Expired));
    assert_eq!(key.verify(&preimage(2), &signed(3)), Err(Error::BadSignature));
    let older = Preimage { generation: Generation(1), ..preimage(2) };
    assert_eq!(key.verify(&older, &signed(2)), Err(Error::Retired), "below the floor");
    let newer = Preimage { generation: Generation(3), ..preimage(2) };
    assert_eq!(key.verify(&newer, &signed(2)), Err(Error::UnknownGeneration));
    let other = Preimage { purpose: Purpose::Attest, ..preimage(2) };
    assert_eq!(key.verify(&other, &signed(2)), Err(Error::WrongPurpose));
}
