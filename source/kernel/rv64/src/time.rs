//! Nanoseconds and ticks of the 10 MHz timebase.

/// Nanoseconds per tick: the virt machine's timebase is fixed at 10 MHz.
pub const NS_PER_TICK: u64 = 100;

/// Ticks to nanoseconds; wraps after 584 years.
#[inline(always)]
#[must_use]
pub const fn ns(ticks: u64) -> u64 {
    ticks.wrapping_mul(NS_PER_TICK)
}

/// The first tick at or after `ns`: a timer never fires before its deadline.
#[inline(always)]
#[must_use]
pub const fn ticks(ns: u64) -> u64 {
    ns.div_ceil(NS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early() {
        for deadline in [0, 1, 99, 100, 101, 12_345_678_901, u64::MAX / 2] {
            let fires = ns(ticks(deadline));
            assert!(fires >= deadline && fires < deadline + NS_PER_TICK);
        }
        assert_eq!(ticks(u64::MAX), u64::MAX / 100 + 1);
    }
}
