//! The health tests at their cutoffs, and the cutoffs themselves.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use nexus_wire::rng::Health;
use rngd::{Cutoffs, Tests, WINDOW};

fn feed(bytes: impl IntoIterator<Item = u8>) -> Result<(), (usize, Health)> {
    let mut tests = Tests::new(Cutoffs::CLAIMED);
    let mut numbered = bytes.into_iter().enumerate();
    numbered.try_for_each(|(n, byte)| tests.feed(byte).map_err(|health| (n + 1, health)))
}

/// A window that begins with 0 and has so many of them, none beside another.
fn window(zeros: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..usize::from(WINDOW)).map(|i| (i % 251 + 1) as u8).collect();
    for i in 0..zeros {
        bytes[i * 7] = 0;
    }
    bytes
}

#[test]
fn test_reject_nine_equal_bytes_and_not_eight() {
    let with = |n: usize| [vec![1, 2, 3], vec![7; n], vec![4, 5]].concat();
    assert_eq!(feed(with(8)), Ok(()));
    assert_eq!(feed(with(9)), Err((12, Health::Repetition)));
    assert_eq!(feed([vec![7; 8], vec![8], vec![7; 8]].concat()), Ok(()), "a run ends");
    assert_eq!(feed(vec![0; 9]), Err((9, Health::Repetition)), "the first byte counts too");
}

#[test]
fn test_reject_seventy_one_in_a_window_and_not_seventy() {
    assert_eq!(feed(window(70)), Ok(()));
    assert_eq!(feed(window(71)), Err((70 * 7 + 1, Health::Proportion)));
    // Windows follow each other without a gap, and each counts its own first byte.
    assert_eq!(feed([window(70), window(70), window(70)].concat()), Ok(()));
    assert_eq!(feed([window(70), window(71)].concat()), Err((512 + 491, Health::Proportion)));
}

/// R07.
#[test]
fn test_reject_cutoffs_that_are_looser() {
    let claimed = Cutoffs::CLAIMED;
    assert_eq!(claimed.tightened(9, 71), Some(claimed));
    let tight = claimed.tightened(6, 62).unwrap();
    for (repetition, proportion) in [(10, 71), (9, 72), (u16::MAX, 2), (1, 71), (9, 1), (0, 0)] {
        assert_eq!(claimed.tightened(repetition, proportion), None);
    }
    assert_eq!(tight.tightened(9, 71), None, "there is no way back");
    let mut tests = Tests::new(tight);
    let tripped = (0..9).position(|_| tests.feed(3).is_err());
    assert_eq!(tripped, Some(5));
}

/// SP 800-90B 4.4.1 and 4.4.2: the cutoffs follow from 4 bits a byte and 2^-30.
#[test]
fn the_cutoffs_are_those_of_the_standard() {
    let (entropy, alpha_bits) = (4.0f64, 30.0f64);
    let repetition = 1 + (alpha_bits / entropy).ceil() as u16;
    // 1 + the least c with P(X <= c) >= 1 - alpha, X binomial over the window; summed from the
    // far tail, where nothing cancels.
    let (n, p, alpha) = (f64::from(WINDOW), (-entropy).exp2(), (-alpha_bits).exp2());
    let ln_factorial = |x: f64| (1..=x as u64).map(|i| (i as f64).ln()).sum::<f64>();
    let term = |k: f64| {
        let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
        (ln_choose + k * p.ln() + (n - k) * (1.0 - p).ln()).exp()
    };
    let (mut tail, mut least) = (0.0, WINDOW);
    while tail + term(f64::from(least)) <= alpha {
        tail += term(f64::from(least));
        least -= 1;
    }
    assert_eq!((repetition, 1 + least), (9, 71));
    assert_eq!(Cutoffs::CLAIMED.tightened(repetition, 1 + least), Some(Cutoffs::CLAIMED));
}
