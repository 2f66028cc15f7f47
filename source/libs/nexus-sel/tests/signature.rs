//! What stands outside the digest, and what is written down nowhere else: where signature and key
//! lie, what is signed, how a policy is named, and that the format stays what its number says.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
mod common;

use common::sample;
use nexus_sel::{Policy, stated_blob, stated_version, with_signature};

fn bytes<const N: usize>(from: u8) -> [u8; N] {
    let mut next = from;
    [(); N].map(|()| {
        next = next.wrapping_add(1);
        next
    })
}

#[test]
fn a_signature_and_its_key_come_back_and_change_nothing_else() {
    let plain = sample().words;
    assert_eq!(Policy::open(&plain).unwrap().signature(), None);
    let (key, signature): ([u8; 32], [u8; 64]) = (bytes(7), bytes(100));
    let signed = with_signature(&plain, &key, &signature);
    let policy = Policy::open(&signed).unwrap();
    assert_eq!(policy.signature(), Some((key, signature)));
    assert_eq!(policy.digest(), Policy::open(&plain).unwrap().digest());
    assert_eq!((&signed[..9], &signed[21..]), (&plain[..9], &plain[21..]));
    assert_eq!(with_signature(&signed, &[0; 32], &[0; 64]), plain, "replaced, not kept");
    assert_eq!(with_signature(&plain[..20], &key, &signature), plain[..20], "too short for one");
}

/// One byte of either is a signature, if a bad one: never "not signed".
#[test]
fn a_blob_with_any_bit_of_a_signature_is_signed() {
    let plain = sample().words;
    for at in 9..21 {
        let mut words = plain.clone();
        words[at] = 1 << 40;
        assert!(Policy::open(&words).unwrap().signature().is_some(), "word {at}");
    }
}

#[test]
fn the_signed_message_is_domain_version_and_digest() {
    let words = sample().words;
    let policy = Policy::open(&words).unwrap();
    let mut expected = b"nexus-policy-signature-1".to_vec();
    expected.extend(7_u64.to_le_bytes());
    expected.extend(policy.digest());
    assert_eq!(policy.signed_message().to_vec(), expected);
}

#[test]
fn a_policy_is_named_by_its_digest_and_version() {
    let words = sample().words;
    let policy = Policy::open(&words).unwrap();
    let digest = policy.digest();
    let stated: Vec<u8> = words[5..9].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(digest.to_vec(), stated);
    assert_eq!(policy.tag(), u32::from_le_bytes(*digest.first_chunk().unwrap()));
    assert_eq!((policy.version(), stated_version(&words)), (7, 7));
    assert_eq!((stated_version(&words[..3]), stated_version(&[])), (0, 0));
}

#[test]
fn a_blob_is_cut_to_what_it_states() {
    let words = sample().words;
    let mut padded = words.clone();
    padded.extend([0; 5]);
    assert_eq!(stated_blob(&padded), words);
    assert_eq!(stated_blob(&words), words);
    assert_eq!(stated_blob(&words[..40]), &words[..40], "it states more than there is");
    assert_eq!(stated_blob(&[1, 2]), [1, 2], "it states nothing");
}

/// Signed policies outlive the program that wrote them. Whatever changes these bytes (a hash, a
/// field, an order) makes another format, and needs another number in the header.
#[test]
fn the_format_is_the_one_its_number_names() {
    let words = sample().words;
    assert_eq!(words[1], 4, "a new format has a new digest here");
    let digest = Policy::open(&words).unwrap().digest();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "8bbd1167a90732517614823bb680b02330072ce48fb08fc1cd78a57796cb5217");
}
