//! A name is what it is, whole: whatever differs from it in any byte, or only in length, is
//! another one, for every length and every way to ask.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
use nexus_sel::authoring::{CapabilitySpec, Cell, Model, emit};
use nexus_sel::bounds::MAX_NAME_BYTES;
use nexus_sel::{AuditMode, Effect, Facts, NoLimits, PackedName, Policy, Reason, Sensitivity};

const SUBJECT: u64 = 7;

/// A policy in which a subject and a capability have this name, and the one may use the other.
fn only(name: &str) -> Vec<u64> {
    let capability = CapabilitySpec {
        name: name.to_owned(),
        audit: AuditMode::Required,
        sensitivity: Sensitivity::Low,
    };
    let mut model = Model {
        version: 1,
        subjects: vec![(name.to_owned(), SUBJECT)],
        capabilities: vec![capability],
        rules: 1,
        ..Model::default()
    };
    model.cells.insert((0, 0), Cell::Rule(Effect::Allow, 1));
    emit(&model).unwrap()
}

fn text(len: usize) -> String {
    "k7.q_x-z0m".chars().cycle().take(len).collect()
}

/// Names that a comparison which forgets a word, or lets two differences cancel, would take for
/// `name`: one bit, the same bit in two words, zeros more or less, and such a length together
/// with the bits in which the two lengths differ.
fn near(name: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for at in 0..name.len() {
        for bit in 0..8 {
            let mut one = name.to_vec();
            one[at] ^= 1 << bit;
            for other in (at % 8..name.len()).step_by(8).filter(|other| *other > at) {
                let mut two = one.clone();
                two[other] ^= 1 << bit;
                all.push(two);
            }
            all.push(one);
        }
    }
    for len in (0..=MAX_NAME_BYTES + 8).filter(|len| *len != name.len()) {
        let mut resized = name.to_vec();
        resized.resize(len, 0);
        all.push(resized.clone());
        for word in (0..len).step_by(8) {
            let mut cancelled = resized.clone();
            cancelled[word] ^= (len ^ name.len()) as u8;
            all.push(cancelled);
        }
    }
    all
}

fn packed(policy: &Policy<'_>, name: &[u8]) -> Reason {
    let Some(name) = PackedName::new(name) else { return Reason::UnknownCapability };
    policy.decide_packed(SUBJECT, &name, Facts::NONE, &mut NoLimits).reason()
}

#[test]
fn test_reject_names_that_are_almost_one() {
    for len in 1..=MAX_NAME_BYTES {
        let name = text(len);
        let words = only(&name);
        let policy = Policy::open(&words).unwrap();
        let name = name.as_bytes();
        let allowed = policy.decide(SUBJECT, name, Facts::NONE);
        assert_eq!((allowed.reason(), allowed.audit()), (Reason::Allowed, AuditMode::Required));
        assert_eq!(packed(&policy, name), Reason::Allowed);
        assert_eq!(policy.subject_id(name), Some(SUBJECT));
        assert_eq!(policy.capability(name).map(|cap| cap.index()), Some(0));
        assert_eq!(
            policy.audit_of_packed(&PackedName::new(name).unwrap()),
            AuditMode::Required,
            "{len}"
        );
        for other in near(name) {
            let decision = policy.decide(SUBJECT, &other, Facts::NONE);
            assert_eq!(decision.reason(), Reason::UnknownCapability, "{other:?}");
            assert_eq!(decision.audit(), AuditMode::Normal);
            assert_eq!(packed(&policy, &other), Reason::UnknownCapability, "{other:?}");
            assert!(policy.capability(&other).is_none(), "{other:?}");
            assert!(policy.subject_id(&other).is_none(), "{other:?}");
        }
    }
}

/// A padded name is asked about by its words alone: bytes behind its end make it another.
#[test]
fn test_reject_padded_names_with_more_behind_them() {
    for len in 1..=MAX_NAME_BYTES {
        let name = text(len);
        let words = only(&name);
        let policy = Policy::open(&words).unwrap();
        let right = PackedName::new(name.as_bytes()).unwrap();
        let ask = |words, len| {
            let name = PackedName::padded(words, len);
            policy.decide_packed(SUBJECT, &name, Facts::NONE, &mut NoLimits).reason()
        };
        assert_eq!(PackedName::padded(*right.words(), len), right);
        assert_eq!((right.len(), ask(*right.words(), len)), (len, Reason::Allowed));
        for other in (0..=MAX_NAME_BYTES + 1).filter(|other| *other != len) {
            assert_eq!(ask(*right.words(), other), Reason::UnknownCapability, "{len} {other}");
        }
        // The words that the name's own length says are looked at.
        for word in 0..len.div_ceil(16) * 2 {
            let mut words = *right.words();
            words[word] ^= 1 << 63;
            assert_eq!(ask(words, len), Reason::UnknownCapability, "{len} word {word}");
        }
    }
}
