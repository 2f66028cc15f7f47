//! What keys cost, and whether the cost depends on the secret.
//!
//! The counter is exact, so the second question needs no statistics: over 64 keys, or over every
//! place where two values can differ, the fewest and the most instructions must be one number.
//! Necessary, not sufficient: addresses that depend on secrets and multipliers that take longer
//! for some operands are not seen. The last row is the control: comparing slices must show a
//! spread, or the gate could not fail.

use core::hint::black_box;

use bench_server::instret;
use nexus_keys::{
    Counter, Error, Generation, Header, Moment, PAYLOAD_MAX, Preimage, PublicKey, Purpose,
    Purposes, RECORD_MAX, SecretSeed, SigningKey, Slot, Usage, open, seal, verify,
};

use crate::{
    Failure,
    median::{between, median},
};

/// Keys each spread is taken over.
const KEYS: u8 = 64;
/// Runs per input, of which the cheapest counts: a timer or a drain can only add.
const RUNS: usize = 3;

const SLOT: Slot<'static> =
    Slot { owner: 30, name: b"bench", purposes: Purposes::only(Purpose::Service) };
const TAG: usize = 16;

/// Fewest and most instructions over all inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

type Measure<T> = fn() -> Result<T, Failure>;
type Gate = fn(Spread) -> Result<(), Failure>;

/// One figure each; median.
pub(crate) const PLAIN: [(&str, Measure<u64>); 5] = [
    ("key_verify", verifying),
    ("key_enrol", enrolling),
    ("key_sign_identity", || median(|| sign(Purposes::IDENTITY, Purpose::Certify, 1))),
    ("sealed_seal", sealing),
    ("sealed_open", || median(|| opening(None))),
];

/// Names of the fewest and the most, how to measure them, what must hold between them.
pub(crate) const SPREADS: [([&str; 2], Measure<Spread>, Gate); 5] = [
    (["key_generate.min", "key_generate.max"], || spread(KEYS, generate), constant),
    (["key_sign.min", "key_sign.max"], || spread(KEYS, sign_service), constant),
    (["sealed_open_wrong.min", "sealed_open_wrong.max"], || spread(16, wrong_tag), constant),
    (["secret_compare.min", "secret_compare.max"], || spread(32, compare_secrets), constant),
    (["slice_compare.min", "slice_compare.max"], || spread(32, compare_slices), varying),
];

fn constant(spread: Spread) -> Result<(), Failure> {
    if spread.min == spread.max { Ok(()) } else { Err("instructions depend on a secret") }
}

fn varying(spread: Spread) -> Result<(), Failure> {
    if spread.min < spread.max { Ok(()) } else { Err("control: comparing slices shows nothing") }
}

/// Counts `once` for the inputs below `inputs`.
fn spread(inputs: u8, once: fn(u8) -> Result<u64, Failure>) -> Result<Spread, Failure> {
    let mut spread = Spread { min: u64::MAX, max: 0 };
    for input in 0..inputs {
        let mut count = u64::MAX;
        for _ in 0..RUNS {
            count = count.min(once(input)?);
        }
        spread = Spread { min: spread.min.min(count), max: spread.max.max(count) };
    }
    Ok(spread)
}

/// Different for every number, and no number's bytes are alike.
fn bytes(number: u8) -> [u8; 32] {
    let mut state = u32::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9);
    let mut out = [0; 32];
    for byte in &mut out {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = state as u8;
    }
    out
}

fn seed(number: u8) -> Result<SecretSeed, Failure> {
    SecretSeed::take(&mut bytes(number)).map_err(|_| "no seed")
}

fn key(purposes: Purposes, number: u8) -> Result<SigningKey, Failure> {
    SigningKey::new(&seed(number)?, purposes, Generation(0)).map_err(|_| "no key")
}

fn preimage(purpose: Purpose, number: u8) -> Result<Preimage, Failure> {
    let made = Preimage::of(purpose, Generation(0), 30, 1, &bytes(number));
    made.map_err(|_| "no preimage")
}

fn generate(number: u8) -> Result<u64, Failure> {
    let seed = seed(number)?;
    let purposes = Purposes::only(Purpose::Service);
    let before = instret();
    let made = SigningKey::new(black_box(&seed), purposes, Generation(0));
    let after = instret();
    black_box(made).map(|_| between(before, after)).map_err(|_| "no key")
}

fn sign(purposes: Purposes, purpose: Purpose, number: u8) -> Result<u64, Failure> {
    let (key, preimage) = (key(purposes, number)?, preimage(purpose, number)?);
    let before = instret();
    let signed = black_box(&key).sign(&preimage);
    let after = instret();
    black_box(signed).map(|_| between(before, after)).map_err(|_| "not signed")
}

fn sign_service(number: u8) -> Result<u64, Failure> {
    sign(Purposes::only(Purpose::Service), Purpose::Service, number)
}

fn verifying() -> Result<u64, Failure> {
    let key = key(SLOT.purposes, 1)?;
    let (public, preimage) = (key.public(), preimage(Purpose::Service, 1)?);
    let signature = key.sign(&preimage).map_err(|_| "not signed")?;
    median(|| {
        let before = instret();
        let verified = verify(black_box(&public), &preimage, &signature);
        let after = instret();
        verified.map(|()| between(before, after)).map_err(|_| "not verified")
    })
}

fn enrolling() -> Result<u64, Failure> {
    let public = *key(SLOT.purposes, 1)?.public().bytes();
    median(|| {
        let before = instret();
        let enrolled = PublicKey::enrol(black_box(&public));
        let after = instret();
        enrolled.map(|_| between(before, after)).map_err(|_| "not enrolled")
    })
}

/// Seals a seed; gives the record, its length and what it cost.
fn sealed() -> Result<([u8; RECORD_MAX], usize, u64), Failure> {
    let usage = Usage::unlimited(SLOT.purposes, Moment::default());
    let header =
        Header { development: false, generation: Generation(0), counter: Counter(1), usage };
    let (root, salt, payload) = (seed(200)?, bytes(201), bytes(202));
    let mut out = [0; RECORD_MAX];
    let before = instret();
    let len = seal(&root, &SLOT, &header, &salt, black_box(&payload), &mut out);
    let after = instret();
    let len = len.map_err(|_| "not sealed")?;
    Ok((out, len, between(before, after)))
}

fn sealing() -> Result<u64, Failure> {
    median(|| sealed().map(|(_, _, count)| count))
}

/// Opens, with that byte of the tag wrong if any.
fn opening(wrong: Option<u8>) -> Result<u64, Failure> {
    let (mut record, len, _) = sealed()?;
    if let Some(byte) = wrong {
        let at = len.saturating_sub(TAG).saturating_add(usize::from(byte));
        let place = record.get_mut(at).ok_or("no such byte")?;
        *place ^= 1;
    }
    let root = seed(200)?;
    let record = record.get(..len).ok_or("no record")?;
    let mut payload = [0; PAYLOAD_MAX];
    let before = instret();
    let opened = open(&root, &SLOT, Counter(0), black_box(record), &mut payload);
    let after = instret();
    match (wrong, opened) {
        (None, Ok(_)) | (Some(_), Err(Error::Unsealed)) => Ok(between(before, after)),
        _ => Err("opened what it must not, or did not open"),
    }
}

fn wrong_tag(byte: u8) -> Result<u64, Failure> {
    opening(Some(byte))
}

/// The same bytes with one of them another.
fn but_one(at: u8) -> Result<[u8; 32], Failure> {
    let mut other = bytes(0);
    *other.get_mut(usize::from(at)).ok_or("no such byte")? ^= 1;
    Ok(other)
}

fn compare_secrets(at: u8) -> Result<u64, Failure> {
    let one = seed(0)?;
    let other = SecretSeed::take(&mut but_one(at)?).map_err(|_| "no seed")?;
    let before = instret();
    let same = black_box(&one).is(black_box(&other));
    let after = instret();
    if bool::from(same) { Err("two secrets are one") } else { Ok(between(before, after)) }
}

fn compare_slices(at: u8) -> Result<u64, Failure> {
    let (one, other) = (bytes(0), but_one(at)?);
    let before = instret();
    let same = black_box(one.as_slice()) == black_box(other.as_slice());
    let after = instret();
    if same { Err("two slices are one") } else { Ok(between(before, after)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_reject_a_spread_where_there_may_be_none() {
        assert_eq!(constant(Spread { min: 9, max: 9 }), Ok(()));
        assert!(constant(Spread { min: 9, max: 10 }).is_err());
    }

    #[test]
    fn test_reject_a_control_without_a_spread() {
        assert_eq!(varying(Spread { min: 9, max: 10 }), Ok(()));
        assert!(varying(Spread { min: 9, max: 9 }).is_err());
    }

    #[test]
    fn the_spread_is_over_inputs_and_ignores_what_disturbs_one_run() {
        assert_eq!(spread(4, |n| Ok(u64::from(n) + 5)), Ok(Spread { min: 5, max: 8 }));
        assert_eq!(spread(4, |_| Err("broken")), Err("broken"));
    }

    #[test]
    fn every_measurement_runs() {
        // On the host nothing is counted: every figure is what lies between equal readings.
        let nothing = between(0, 0);
        for (name, measure) in PLAIN {
            assert_eq!(measure(), Ok(nothing), "{name}");
        }
        for ([name, _], measure, _) in SPREADS {
            assert_eq!(measure(), Ok(Spread { min: nothing, max: nothing }), "{name}");
        }
    }
}
