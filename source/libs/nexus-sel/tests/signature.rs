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
use nexus_sel::authoring::{CapabilitySpec, Condition, Model, Rule, emit};
use nexus_sel::{
    AuditMode, Effect, LimitSpec, Policy, Sensitivity, stated_blob, stated_version, with_signature,
};

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

/// A policy of every kind of entry, said without the language: what words mean there may change.
fn every_kind() -> Model {
    let spec = |name: &str, audit, sensitivity| {
        let name = name.to_owned();
        CapabilitySpec { name, audit, sensitivity }
    };
    let when = |all, until, limit| Condition { all, none: 0, until, limit };
    let rule =
        |effect, caps: &[u32], when| Rule { effect, rows: vec![0, 1], caps: caps.to_vec(), when };
    let mut model = Model {
        version: 7,
        subjects: vec![
            ("a-service".to_owned(), 3),
            ("another-service-by-name".to_owned(), 1 << 40),
        ],
        classes: vec![(1_024, 4_095)],
        capabilities: vec![
            spec("a.capability", AuditMode::Normal, Sensitivity::Low),
            spec("b.capability-of-32-bytes-at-most", AuditMode::Required, Sensitivity::Medium),
            spec(
                "c.capability-of-48-bytes-at-most-and-no-byte-mor",
                AuditMode::Normal,
                Sensitivity::High,
            ),
        ],
        facts: vec![("it-is-so".to_owned(), 3)],
        ..Model::default()
    };
    let limit = LimitSpec { burst: 2, refill_ns: 1_000 };
    let rules = [
        rule(Effect::Allow, &[0], Condition::default()),
        rule(Effect::Deny, &[1], Condition::default()),
        rule(Effect::Deny, &[2], when(1, None, None)),
        rule(Effect::Allow, &[2], when(0, Some(2_000_000_000), Some(limit))),
        Rule { effect: Effect::Allow, rows: vec![2], caps: vec![0], when: Condition::default() },
    ];
    model.fill(&rules).unwrap();
    model
}

/// Signed policies outlive the program that wrote them. Whatever changes these bytes (a hash, a
/// field, an order) makes another format, and needs another number in the header.
#[test]
fn the_format_is_the_one_its_number_names() {
    let words = emit(&every_kind()).unwrap();
    assert_eq!(words[1], 4, "a new format has a new digest here");
    let digest = Policy::open(&words).unwrap().digest();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "c510b827e1e26ba365053315ececa25cbecb3dfae52ac254743dffb66436915a");
}
