//! A blob is hostile bytes: an error or the same meaning, never a panic.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
mod common;

use common::{reseal, sample, section_of};
use nexus_sel::bounds::{MAX_BLOB_WORDS, MAX_PADDING_WORDS};
use nexus_sel::{BlobError, Bucket, Buckets, Decision, Facts, NoLimits, PackedName, Policy};
use proptest::prelude::*;

/// Every answer a policy can give, over all names, some ids and all facts.
fn answers(policy: &Policy<'_>) -> Vec<Decision> {
    let mut all = Vec::new();
    for subject in [0, 1, 2, 3, 1023, 1024, 4095, 4096, u64::MAX] {
        for name in ["ipc.core", "fs.read", "fs.verify-a-long-name", "key.use", "route.logd", "x"] {
            for bits in 0..4 {
                for wall_s in [0, 1_700_000_000, 1_850_000_000, 2_000_000_000] {
                    let mut one = [Bucket::FULL];
                    let mut limits = Buckets { buckets: &mut one, now_ns: 1 };
                    let facts = Facts { bits, wall_s };
                    all.push(policy.decide_with(subject, name.as_bytes(), facts, &mut limits));
                }
            }
        }
        let _ = (policy.subject_name(subject), policy.subject_id(b"init"), policy.fact(b"night"));
    }
    all.extend(
        policy.capabilities().map(|(name, _)| policy.decide(1, name.as_bytes(), Facts::NONE)),
    );
    let _ = policy.subjects().count();
    all
}

/// Whatever a policy says, it says nothing about what it does not name: the empty name, a name that
/// is a capability's but for its length, an id that is no subject's. True if none is allowed.
fn nothing_else_is_allowed(policy: &Policy<'_>) -> bool {
    let all = Facts { bits: u64::MAX, wall_s: 1 };
    let names: Vec<Vec<u8>> = policy.capabilities().map(|(n, _)| n.as_bytes().to_vec()).collect();
    let subjects = policy.subjects().map(|(_, id)| id).chain([0, 2, 1024, 4095, u64::MAX]);
    let allows = |subject: u64, name: &PackedName| {
        policy.decide_packed(subject, name, all, &mut NoLimits).is_allow()
    };
    let known = |name: &[u8]| names.iter().any(|other| other == name);
    let strays = |subject: u64, name: &Vec<u8>| {
        let (packed, cut) = (PackedName::new(name).unwrap(), &name[..name.len() - 1]);
        let lengths = [0, cut.len(), name.len() + 1, 49, usize::MAX];
        let bent = lengths.map(|len| PackedName::padded(*packed.words(), len));
        let nobody = subject == 0 || policy.subject(subject).is_none();
        bent.iter().any(|name| allows(subject, name))
            || policy.decide(subject, &[&name[..], b"\0"].concat(), all).is_allow()
            || (!known(cut) && policy.decide(subject, cut, all).is_allow())
            || (nobody && allows(subject, &packed))
    };
    subjects.into_iter().all(|subject| {
        !policy.decide(subject, b"", all).is_allow()
            && !names.iter().any(|name| strays(subject, name))
    })
}

#[test]
fn resealing_is_what_the_compiler_does() {
    let mut words = sample().words;
    let original = words.clone();
    reseal(&mut words);
    assert_eq!(words, original);
}

#[test]
fn test_reject_every_truncation() {
    let words = sample().words;
    for len in 0..words.len() {
        assert!(Policy::open(&words[..len]).is_err(), "{len} words");
        let mut cut = words[..len].to_vec();
        if len > 21 {
            cut[2] = len as u64;
            reseal(&mut cut);
            assert!(Policy::open(&cut).is_err(), "{len} words, resealed");
        }
    }
}

#[test]
fn test_reject_every_bit_flip() {
    let words = sample().words;
    let expected = answers(&Policy::open(&words).unwrap());
    assert!(nothing_else_is_allowed(&Policy::open(&words).unwrap()));
    for at in 0..words.len() {
        for bit in 0..64 {
            let mut flipped = words.clone();
            flipped[at] ^= 1 << bit;
            match Policy::open(&flipped) {
                // Only signature and key lie outside the digest.
                Ok(policy) => {
                    assert!((9..21).contains(&at), "word {at} bit {bit}");
                    assert_eq!(answers(&policy), expected);
                    assert!(policy.signature().is_some());
                }
                Err(error) => {
                    let early = [BlobError::Magic, BlobError::Format, BlobError::Length];
                    let other = [BlobError::Reserved, BlobError::Digest];
                    assert!(early.contains(&error) || other.contains(&error), "{error:?}");
                }
            }
        }
    }
}

/// The digest cannot be relied on: it comes with the blob. Behind a right digest every flip
/// still ends in an error or in a policy that answers.
#[test]
fn test_reject_every_resealed_bit_flip_or_answer() {
    let words = sample().words;
    let (mut refused, mut opened) = (0, 0);
    for at in (0..words.len()).filter(|at| !(5..21).contains(at)) {
        for bit in 0..64 {
            let mut flipped = words.clone();
            flipped[at] ^= 1 << bit;
            reseal(&mut flipped);
            match Policy::open(&flipped) {
                Ok(policy) => {
                    opened += 1;
                    assert!(!answers(&policy).is_empty());
                    assert!(nothing_else_is_allowed(&policy), "word {at} bit {bit}");
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} refused, {opened} opened as another policy");
    assert!(refused > 3 * opened);
}

#[test]
fn test_reject_more_padding_than_a_page() {
    let words = sample().words;
    let mut padded = words.clone();
    padded.resize(words.len() + MAX_PADDING_WORDS, 0);
    assert_eq!(Policy::open(&padded).unwrap().digest(), Policy::open(&words).unwrap().digest());
    padded.push(0);
    assert_eq!(Policy::open(&padded).unwrap_err(), BlobError::Length);
    let mut dirty = words.clone();
    dirty.push(1);
    assert_eq!(Policy::open(&dirty).unwrap_err(), BlobError::Reserved);
}

/// Each refusal has its own error, behind a right digest.
#[test]
fn test_reject_each_kind_of_damage() {
    let words = sample().words;
    let section = |index| section_of(&words, index);
    let part = |index: usize| section(index).0;
    let damage = |at: usize, value: u64| {
        let mut bad = words.clone();
        bad[at] = value;
        if !(5..21).contains(&at) {
            reseal(&mut bad);
        }
        Policy::open(&bad).map(|_| ()).unwrap_err()
    };
    let xor = |at: usize, mask: u64| damage(at, words[at] ^ mask);
    assert_eq!(Policy::open(&words[..31]).unwrap_err(), BlobError::TooShort);
    assert_eq!(damage(0, 1), BlobError::Magic);
    assert_eq!(damage(1, 3), BlobError::Format, "the format before this one");
    assert_eq!(damage(1, 5), BlobError::Format);
    assert_eq!(damage(2, words.len() as u64 + 1), BlobError::Length);
    assert_eq!(damage(2, MAX_BLOB_WORDS as u64 + 1), BlobError::Length);
    assert_eq!(damage(2, u64::MAX), BlobError::Length);
    assert_eq!(damage(4, 1), BlobError::Reserved);
    assert_eq!(damage(5, 0), BlobError::Digest);
    assert_eq!(xor(21, 1), BlobError::Section);
    assert_eq!(xor(25, 1 << 40), BlobError::Section);
    let params = part(0);
    assert_eq!(xor(params + 1, 1), BlobError::Table, "even multiplier");
    assert_eq!(xor(params + 2, 1 << 20), BlobError::Table, "reserved");
    assert_eq!(xor(params + 2, 1), BlobError::Table, "slot count");
    assert_eq!(xor(params + 9, 1 << 32), BlobError::Table);
    assert_eq!(damage(params + 9, 1 << 20), BlobError::Table, "too many rules");
    assert_eq!(xor(params, 1), BlobError::Subject, "another id seed moves the ids");
    assert_eq!(xor(params + 6, 1), BlobError::Name, "another name seed moves the names");
    let names = part(4);
    assert_eq!(xor(names + 1, 0x20), BlobError::Name, "upper case");
    assert_eq!(damage(names, 49), BlobError::Name, "too long");
    assert_eq!(xor(names, 1 << 14), BlobError::Name, "reserved");
    let rows = part(5);
    assert_eq!(xor(rows, 1), BlobError::Subject, "somebody else's name");
    assert_eq!(xor(rows + 1, 1 << 36), BlobError::Row, "unknown capability");
    assert_eq!(xor(rows + 1, 1 << 40), BlobError::Row, "wrong first cell");
    assert_eq!(damage(rows + 4, 1), BlobError::Row, "a class has no name here");
    let cells = part(6);
    assert_eq!(damage(cells, 0), BlobError::Row, "a dummy cell that allows");
    assert_eq!(damage(cells + 1, 0), BlobError::Rule, "rule 0");
    assert_eq!(xor(cells + 1, 1 << 8), BlobError::Rule, "reserved");
    for (section, width) in [(1, 2), (2, 1), (3, 4)] {
        let (at, len) = section_of(&words, section);
        let last = words[at + width - 1] & !0xffff;
        let beyond = last | (len / width) as u64;
        assert_eq!(damage(at + width - 1, beyond), BlobError::Table, "a displacement to nowhere");
    }
    let slots = part(3);
    let free = (slots..).step_by(4).find(|at| words[*at] == 0xff).unwrap();
    assert_eq!(damage(free, 0), BlobError::Name, "a free slot that could be a name's");
    let used = (slots..).step_by(4).find(|at| words[*at] != 0xff).unwrap();
    assert_eq!(xor(used + 1, 1), BlobError::Name, "a slot that says another name");
    assert_eq!(xor(used, 1 << 8), BlobError::Name, "a slot that says another audit mode");
    let (chains, len) = section(7);
    assert!(len >= 8);
    assert_eq!(damage(chains, 0), BlobError::Rule);

    assert_eq!(damage(chains + 1, 4), BlobError::Rule, "a fact that does not exist");
    assert_eq!(damage(chains + 3, 0), BlobError::Rule, "expired at birth");
    assert_eq!(damage(part(8), 0), BlobError::Limit);
    assert_eq!(damage(part(8) + 1, 0), BlobError::Limit);
    assert_eq!(damage(part(9), 0), BlobError::Class, "id 0");
    assert_eq!(damage(part(9) + 1, 1), BlobError::Class, "ends before it begins");
    assert_eq!(xor(part(9) + 2, 1), BlobError::Class, "somebody else's row");
    assert_eq!(damage(part(10), 0), BlobError::Fact, "no owner");
    assert_eq!(xor(part(10) + 1, 1), BlobError::Fact, "another name");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_reject_any_words(words in proptest::collection::vec(any::<u64>(), 0..200)) {
        prop_assert!(Policy::open(&words).is_err());
    }

    #[test]
    fn test_reject_any_damage_behind_a_right_digest_or_answer(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0_u8..4), 1..6),
    ) {
        let mut words = sample_words();
        for (at, value, kind) in edits {
            let at = 21 + at.index(words.len() - 21);
            words[at] = match kind {
                0 => value,
                1 => value & 0xff,
                2 => words[at].wrapping_add(value & 3),
                _ => words[at] ^ (1 << (value & 63)),
            };
        }
        reseal(&mut words);
        if let Ok(policy) = Policy::open(&words) {
            prop_assert!(!answers(&policy).is_empty());
            prop_assert!(nothing_else_is_allowed(&policy));
        }
    }
}

fn sample_words() -> Vec<u64> {
    static WORDS: std::sync::OnceLock<Vec<u64>> = std::sync::OnceLock::new();
    WORDS.get_or_init(|| sample().words).clone()
}
