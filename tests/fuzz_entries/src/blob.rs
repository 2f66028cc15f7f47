//! A compiled policy from hostile hands.
use nexus_sel::{Bucket, Buckets, Facts, NoLimits, Policy, Reason};

/// Words of the header that the digest does not cover: digest, signature and key.
const UNCOVERED: core::ops::Range<usize> = 5..21;
/// Where the digest stands therein.
const DIGEST: core::ops::Range<usize> = 5..9;
/// Questions asked of a policy that opens, over and above one per name.
const SUBJECTS: [u64; 6] = [0, 1, 2, 20, 1_024, u64::MAX];

/// Opens the bytes as they are, and again behind a right digest: the digest comes with the
/// blob, so whoever forges one forges both. What opens has to answer every question.
pub fn policy_blob(bytes: &[u8]) {
    let mut words = words(bytes);
    if let Ok(policy) = Policy::open(&words) {
        questions(&policy);
    }
    reseal(&mut words);
    if let Ok(policy) = Policy::open(&words) {
        questions(&policy);
    }
}

/// Bytes as little-endian words; a rest of fewer than eight is zero padded.
#[must_use]
pub fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes.chunks(8).map(word).collect()
}

/// Writes the right digest; too short a blob stays as it is.
pub fn reseal(words: &mut [u64]) {
    let total = words.get(2).map_or(0, |total| usize::try_from(*total).unwrap_or(usize::MAX));
    let (Some(head), Some(rest)) =
        (words.get(..UNCOVERED.start), words.get(UNCOVERED.end..total.min(words.len())))
    else {
        return;
    };
    let mut hasher = blake3::Hasher::new();
    for word in head.iter().chain(rest) {
        hasher.update(&word.to_le_bytes());
    }
    let digest = self::words(hasher.finalize().as_bytes());
    words[DIGEST].copy_from_slice(&digest);
}

fn questions(policy: &Policy<'_>) {
    let names: Vec<_> = policy.capabilities().collect();
    let mut ids: Vec<u64> = policy.subjects().map(|(_, id)| id).collect();
    ids.truncate(8);
    ids.extend(SUBJECTS);
    for id in ids {
        for (name, handle) in names.iter().take(64) {
            ask(policy, id, name.as_bytes());
            let subject = policy.subject(id);
            let direct = policy.decide(id, name.as_bytes(), Facts::NONE);
            assert!(direct.reason() != Reason::UnknownCapability, "{name} is listed");
            assert!(direct.rule().0 <= policy.rule_count(), "{direct:?}");
            if let Some(subject) = subject {
                let quick = policy.decide_interned(subject, *handle, Facts::NONE, &mut NoLimits);
                assert_eq!(direct, quick, "{id} {name}");
            } else {
                assert!(direct.reason() == Reason::UnknownSubject);
            }
        }
        for name in [&b""[..], b"a", b"ipc.core", &[0xff; 16], &[b'a'; 49]] {
            ask(policy, id, name);
        }
        if let Some(name) = policy.subject_name(id) {
            assert_eq!(policy.subject_id(name.as_bytes()), Some(id));
        }
    }
    let _ = (policy.digest(), policy.version(), policy.signature());
}

fn ask(policy: &Policy<'_>, id: u64, name: &[u8]) {
    for facts in [Facts::NONE, Facts { bits: u64::MAX, wall_s: u64::MAX }] {
        let mut one = [Bucket::FULL];
        let mut limits = Buckets { buckets: &mut one, now_ns: 1 };
        let decision = policy.decide_with(id, name, facts, &mut limits);
        assert_eq!(decision.is_allow(), decision.reason() == Reason::Allowed, "{decision:?}");
    }
}
