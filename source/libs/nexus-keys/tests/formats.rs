//! The layouts as bytes: golden vectors, and no two encodings of anything. `NEXUS_BLESS=1` writes
//! the vectors; the diff is the review.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

use std::{fmt::Debug, fs, path::Path};

use nexus_keys::*;

const MADE: Moment = Moment { boot: 1, ns: 2 };

fn seed(number: u8) -> SecretSeed {
    SecretSeed::take(&mut [number; 32]).unwrap()
}

fn identity(generation: u32) -> SigningKey {
    SigningKey::new(&seed(generation as u8 + 1), Purposes::IDENTITY, Generation(generation))
        .unwrap()
}

fn key(purpose: Purpose) -> SigningKey {
    let number = 0x40 + purpose.code().trailing_zeros() as u8;
    SigningKey::new(&seed(number), Purposes::only(purpose), Generation(5)).unwrap()
}

fn genesis() -> Genesis {
    Genesis::sign(&identity(0), &identity(1).public(), MADE, false).unwrap()
}

fn certificate() -> Certificate {
    let overlap = Window { from: Moment { boot: 3, ns: 4 }, boots: 5, ns: 6 };
    Certificate::sign(
        (&identity(0).public(), false),
        &identity(0),
        &identity(1),
        &identity(2).public(),
        (Reason::Scheduled, overlap),
    )
    .unwrap()
}

fn purpose() -> PurposeCertificate {
    let window = Window { from: MADE, boots: 7, ns: 8 };
    let usage = Usage { purposes: Purposes::only(Purpose::Attest), uses: 9, window };
    let device = identity(0).public();
    let (owner, floor) = (10, Generation(4));
    let key = key(Purpose::Attest);
    PurposeCertificate::sign((&device, false), &identity(0), &key, (owner, floor), usage).unwrap()
}

fn quote() -> Quote {
    let evidence = Evidence {
        flags: Flags::NO_HARDWARE_ROOT.with(Flags::STORAGE_VOLATILE),
        boot: 11,
        resumes: 12,
        boot_id: [13; 16],
        images: 14,
        measurements: [15; 32],
        policy: [16; 32],
        policy_version: 17,
        audit_size: 18,
        audit_head: [19; 32],
        rollback_floor: 20,
    };
    let body = QuoteBody {
        nonce: Nonce::new(&[21; 40]).unwrap(),
        caller: 22,
        device: identity(0).public(),
        generation: Generation(5),
        identity: Generation(0),
        evidence,
    };
    Quote::sign(&key(Purpose::Attest), body).unwrap()
}

fn checkpoint() -> Seal {
    Seal::sign(&key(Purpose::Checkpoint), (23, [24; 32]), (25, 26), false).unwrap()
}

fn preimage() -> Preimage {
    Preimage::of(Purpose::Service, Generation(27), 28, 29, b"a message").unwrap()
}

fn sealed() -> Vec<u8> {
    let slot = Slot { owner: 30, name: b"name", purposes: Purposes::only(Purpose::Service) };
    let usage = Usage::unlimited(slot.purposes, MADE);
    let header =
        Header { development: false, generation: Generation(31), counter: Counter(32), usage };
    let mut out = [0; RECORD_MAX];
    let len = seal(&seed(33), &slot, &header, &[34; 32], b"payload", &mut out).unwrap();
    out[..len].to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect()
}

#[test]
fn golden_vectors() {
    let vectors: [(&str, &[u8]); 8] = [
        ("preimage", &preimage().encode()),
        ("genesis", &genesis().encode()),
        ("certificate", &certificate().encode()),
        ("purpose", &purpose().encode()),
        ("quote", &quote().encode()),
        ("seal", &checkpoint().encode()),
        ("sealed", &sealed()),
        ("commitment", &commitment(&identity(0).public(), Generation(1), &identity(1).public())),
    ];
    for (name, bytes) in vectors {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.hex"));
        if std::env::var_os("NEXUS_BLESS").is_some() {
            fs::write(&file, hex(bytes)).unwrap();
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(hex(bytes), wanted, "{name}: NEXUS_BLESS=1 writes it");
    }
}

/// Every prefix, every extension and every flipped bit: refused, or another value that encodes
/// back to just those bytes.
fn exact<T: Debug + PartialEq>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, Error>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let value = decode(bytes).expect("own encoding");
    assert_eq!(encode(&value), bytes);
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    for more in [1, 8, bytes.len()] {
        let mut longer = bytes.to_vec();
        longer.resize(bytes.len() + more, 0);
        assert!(decode(&longer).is_err(), "{more} bytes more");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = decode(&flipped) {
            assert_ne!(other, value, "bit {bit} means nothing");
            assert_eq!(encode(&other), flipped, "bit {bit} reads as something else");
        }
    }
}

#[test]
fn test_reject_any_other_length_and_any_second_encoding() {
    exact(&preimage().encode(), Preimage::decode, |v| v.encode().to_vec());
    exact(&genesis().encode(), Genesis::decode, |v| v.encode().to_vec());
    exact(&certificate().encode(), Certificate::decode, |v| v.encode().to_vec());
    exact(&purpose().encode(), PurposeCertificate::decode, |v| v.encode().to_vec());
    exact(&quote().encode(), Quote::decode, |v| v.encode().to_vec());
    exact(&checkpoint().encode(), Seal::decode, |v| v.encode().to_vec());
}

#[test]
fn test_reject_every_flipped_bit_of_a_file() {
    let mut file = genesis().encode().to_vec();
    file.extend(purpose().encode());
    file.extend(quote().encode());
    let read = |bytes: &[u8]| -> Result<(), Error> {
        let objects = Objects::new(bytes).collect::<Result<Vec<_>, _>>()?;
        let [Object::Genesis(genesis), Object::Purpose(purpose), Object::Quote(quote)] =
            objects[..]
        else {
            return Err(Error::Malformed);
        };
        let chain = Chain::start(&genesis)?;
        let key = PurposeKey::admit(&purpose, &chain)?;
        let nonce = Nonce::new(&[21; 40])?;
        quote.verify(&chain, &key, &Wanted { nonce, allow_development: true })
    };
    // Boot 11 is beyond the window of the certificate above: the file as it is says so.
    assert_eq!(read(&file), Err(Error::Expired));
    file = genesis().encode().to_vec();
    let mut usage = purpose().usage;
    usage.window.boots = 10;
    let device = identity(0).public();
    let attest = key(Purpose::Attest);
    let by = (10, Generation(4));
    let longer = PurposeCertificate::sign((&device, false), &identity(0), &attest, by, usage);
    file.extend(longer.unwrap().encode());
    file.extend(quote().encode());
    assert_eq!(read(&file), Ok(()));
    // Every third bit, coprime to the width of everything: all bytes, in good time.
    for bit in (0..file.len() * 8).step_by(3) {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "bit {bit}");
    }
    for len in 0..file.len() {
        assert!(read(&file[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn test_reject_what_is_no_object() {
    let mut file = checkpoint().encode().to_vec();
    file.extend(b"NXKWHAT?");
    let objects: Vec<_> = Objects::new(&file).collect();
    assert_eq!(objects, [Ok(Object::Seal(checkpoint())), Err(Error::Malformed)]);
    assert_eq!(Objects::new(b"").count(), 0);
    assert_eq!(Objects::new(b"NXK").next(), Some(Err(Error::Malformed)));
}
