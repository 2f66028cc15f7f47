//! The median of repeated counts.

use crate::Failure;

/// Measured runs of each figure; odd, so that the median is one of them.
pub const REPEATS: usize = 101;

/// Runs before them: caches of the emulator do not matter, but page tables, timers and lazily
/// made connections do.
pub const WARM_UP: usize = 16;

/// Runs `once` until the numbers mean something, and gives back their median.
pub(crate) fn median(mut once: impl FnMut() -> Result<u64, Failure>) -> Result<u64, Failure> {
    for _ in 0..WARM_UP {
        once()?;
    }
    let mut counts = [0; REPEATS];
    for count in &mut counts {
        *count = once()?;
    }
    Ok(middle(&mut counts))
}

fn middle(counts: &mut [u64; REPEATS]) -> u64 {
    let (_, middle, _) = counts.select_nth_unstable(REPEATS / 2);
    *middle
}

/// Instructions strictly between two readings: the later reading counts itself.
#[inline(always)]
pub(crate) const fn between(first: u64, second: u64) -> u64 {
    second.wrapping_sub(first).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_do_not_move_the_median() {
        let mut n = 0;
        let result = median(|| {
            n += 1;
            Ok(if n % 10 == 0 { 1_000_000 } else { 50 })
        });
        assert_eq!(result, Ok(50));
        assert_eq!(n, WARM_UP + REPEATS);
    }

    #[test]
    fn median_is_the_middle_value() {
        let mut n = 0;
        let result = median(|| {
            n += 1;
            Ok(n)
        });
        assert_eq!(result, Ok((WARM_UP + REPEATS / 2 + 1) as u64));
    }

    #[test]
    fn test_reject_a_series_with_a_failure_in_it() {
        let mut n = 0;
        let result = median(|| {
            n += 1;
            if n == WARM_UP + 5 { Err("broken") } else { Ok(1) }
        });
        assert_eq!(result, Err("broken"));
    }

    #[test]
    fn an_empty_pair_has_nothing_between() {
        assert_eq!(between(10, 11), 0);
        assert_eq!(between(10, 21), 10);
    }
}
