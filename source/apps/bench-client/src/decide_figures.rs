//! The evaluator alone, in this process: no message, no daemon, no record.

use core::hint::black_box;

use bench_server::instret;
use nexus_sel::{Decision, Facts, NoLimits, PackedName, Policy};

use crate::{Failure, median::between};

include!(concat!(env!("OUT_DIR"), "/policies.rs"));

/// Runs per question, of which the cheapest counts: a timer or a drain can only add.
const RUNS: usize = 3;

/// Words of a frame, of which the name starts in the second.
const FRAME_WORDS: usize = 9;

/// A name, the same packed, and the same in the words of a frame, `at` so many bytes.
pub(crate) struct Asked {
    name: &'static [u8],
    packed: PackedName,
    words: [u64; FRAME_WORDS],
    at: usize,
    /// What the policy says.
    answer: Decision,
}

type Ask = fn(&Policy<'_>, u64, &Asked) -> Decision;

/// Names of the figure over 10 subjects and of that over 10 000, how to ask, and how long a name
/// may be.
pub(crate) const ROWS: [([&str; 2], Ask, usize); 7] = [
    (["policy_decide.words48.10", "policy_decide.words48.10000"], by_words, 48),
    (["policy_decide.frame16.10", "policy_decide.frame16.10000"], by_frame, 16),
    (["policy_decide.frame24.10", "policy_decide.frame24.10000"], by_frame, 24),
    (["policy_decide.frame32.10", "policy_decide.frame32.10000"], by_frame, 32),
    (["policy_decide.frame48.10", "policy_decide.frame48.10000"], by_frame, 48),
    (["policy_decide.bytes16.10", "policy_decide.bytes16.10000"], by_bytes, 16),
    (["policy_decide.bytes48.10", "policy_decide.bytes48.10000"], by_bytes, 48),
];

/// The dearest question over 10 subjects, and over 10 000.
pub(crate) fn worst(ask: Ask, len: usize) -> Result<[u64; 2], Failure> {
    Ok([over(&OF_10, 10, ask, len)?, over(&OF_10000, 10_000, ask, len)?])
}

/// Names of up to `len` bytes, for subjects all over the policy.
fn over(words: &'static [u64], subjects: u64, ask: Ask, len: usize) -> Result<u64, Failure> {
    let policy = Policy::open(words).map_err(|_| "policy refused")?;
    let step = usize::try_from(subjects / 10).map_err(|_| "too many subjects")?;
    let mut dearest = 0;
    for name in NAMES.iter().filter(|name| name.len() <= len) {
        let name = name.as_bytes();
        let packed = PackedName::new(name).ok_or("no name")?;
        for at in 8..16 {
            let answer = policy.decide(1, name, Facts::NONE);
            let words = frame(name, at);
            let asked = black_box(Asked { name, packed, words, at, answer });
            for subject in (1..=subjects).step_by(step) {
                dearest = dearest.max(count(&policy, subject, &asked, ask)?);
            }
        }
    }
    Ok(dearest)
}

/// A frame with the name at byte `at` and other bytes around it.
fn frame(name: &[u8], at: usize) -> [u64; FRAME_WORDS] {
    let mut bytes = [0xA5; FRAME_WORDS * 8];
    for (to, from) in bytes.iter_mut().skip(at).zip(name) {
        *to = *from;
    }
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut words = [0; FRAME_WORDS];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// What asking costs, less the call itself.
fn count(policy: &Policy<'_>, subject: u64, asked: &Asked, ask: Ask) -> Result<u64, Failure> {
    let call = least(policy, subject, asked, by_nothing)?;
    Ok(least(policy, subject, asked, ask)?.saturating_sub(call))
}

fn least(policy: &Policy<'_>, subject: u64, asked: &Asked, ask: Ask) -> Result<u64, Failure> {
    let ask = black_box(ask);
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        let before = instret();
        let decision = ask(policy, subject, asked);
        let after = instret();
        least = least.min(between(before, after));
        if !decision.is_allow() {
            return Err("wrong decision");
        }
    }
    Ok(least)
}

/// From the answer itself: a call, a load and a return.
#[inline(never)]
fn by_nothing(_policy: &Policy<'_>, _subject: u64, asked: &Asked) -> Decision {
    asked.answer
}

/// From the bytes of the name, wherever they are: gathering them is in the count.
#[inline(never)]
fn by_bytes(policy: &Policy<'_>, subject: u64, asked: &Asked) -> Decision {
    policy.decide(subject, asked.name, Facts::NONE)
}

/// From the words of a frame, as policyd asks: packing is in the count.
#[inline(never)]
fn by_frame(policy: &Policy<'_>, subject: u64, asked: &Asked) -> Decision {
    match PackedName::from_words(&asked.words, asked.at, asked.name.len()) {
        Some(packed) => policy.decide_packed(subject, &packed, Facts::NONE, &mut NoLimits),
        None => policy.decide(subject, &[], Facts::NONE),
    }
}

/// From the words of the name alone.
#[inline(never)]
fn by_words(policy: &Policy<'_>, subject: u64, asked: &Asked) -> Decision {
    policy.decide_packed(subject, &asked.packed, Facts::NONE, &mut NoLimits)
}
