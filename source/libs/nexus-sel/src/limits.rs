//! Token buckets: the state belongs to the caller, the rates to the policy.

/// A bucket of the policy: one per subject and limited rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u16);

/// The rate of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitSpec {
    /// Tokens a full bucket holds.
    pub burst: u32,
    /// Time in which one token comes back.
    pub refill_ns: u64,
}

/// Where `decide_with` takes tokens from.
pub trait Limits {
    /// Takes one token if there is one. Asked only when every other condition of the grant
    /// holds, so a token is spent exactly for an allow.
    fn take(&mut self, limit: LimitId, spec: LimitSpec) -> bool;
}

/// No buckets at all: every limited grant is spent.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimits;

impl Limits for NoLimits {
    fn take(&mut self, _: LimitId, _: LimitSpec) -> bool {
        false
    }
}

/// One token bucket: how many tokens were used and when the count was last right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    used: u32,
    since_ns: u64,
}

impl Bucket {
    /// A full bucket.
    pub const FULL: Self = Self { used: 0, since_ns: 0 };

    /// Takes one token at `now_ns`. A clock that stands still or goes back refills nothing.
    pub fn take(&mut self, spec: LimitSpec, now_ns: u64) -> bool {
        let passed = now_ns.saturating_sub(self.since_ns);
        let back = passed.checked_div(spec.refill_ns).unwrap_or(0);
        if back >= u64::from(self.used) {
            (self.used, self.since_ns) = (0, self.since_ns.max(now_ns));
        } else {
            // back < used <= u32::MAX, and back * refill_ns <= passed.
            self.used = self.used.saturating_sub(u32::try_from(back).unwrap_or(0));
            self.since_ns = self.since_ns.saturating_add(back.saturating_mul(spec.refill_ns));
        }
        let free = self.used < spec.burst;
        self.used = self.used.saturating_add(u32::from(free));
        free
    }
}

/// Buckets in a slice of the caller at one moment. A policy with more limits than buckets
/// finds the missing ones spent.
#[derive(Debug)]
pub struct Buckets<'a> {
    /// One per [`LimitId`].
    pub buckets: &'a mut [Bucket],
    /// Monotonic time of this decision.
    pub now_ns: u64,
}

impl Limits for Buckets<'_> {
    fn take(&mut self, limit: LimitId, spec: LimitSpec) -> bool {
        let now = self.now_ns;
        self.buckets.get_mut(usize::from(limit.0)).is_some_and(|b| b.take(spec, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: LimitSpec = LimitSpec { burst: 3, refill_ns: 100 };

    #[test]
    fn burst_then_one_per_period() {
        let mut bucket = Bucket::FULL;
        let taken: Vec<bool> = (0..4).map(|_| bucket.take(SPEC, 1_000)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(!bucket.take(SPEC, 1_099));
        assert!(bucket.take(SPEC, 1_100));
        assert!(!bucket.take(SPEC, 1_199), "time already paid out is not paid twice");
        assert!(bucket.take(SPEC, 1_250) && !bucket.take(SPEC, 1_299));
        assert!(bucket.take(SPEC, 1_300), "the half period at 1250 was kept");
    }

    #[test]
    fn long_rest_fills_to_the_burst_only() {
        let mut bucket = Bucket::FULL;
        (0..3).for_each(|_| assert!(bucket.take(SPEC, 5)));
        let taken = (0..10).filter(|_| bucket.take(SPEC, u64::MAX)).count();
        assert_eq!(taken, 3);
    }

    /// What would have come back to a bucket that was full again is nobody's.
    #[test]
    fn a_full_bucket_saves_nothing_up() {
        let mut bucket = Bucket::FULL;
        assert!(bucket.take(SPEC, 0) && bucket.take(SPEC, 0));
        assert!(bucket.take(SPEC, 250), "full since 200");
        (0..2).for_each(|_| assert!(bucket.take(SPEC, 250)));
        assert!(!bucket.take(SPEC, 349) && bucket.take(SPEC, 350));
    }

    #[test]
    fn test_reject_clock_that_goes_back() {
        let mut bucket = Bucket::FULL;
        (0..3).for_each(|_| assert!(bucket.take(SPEC, 500)));
        assert!(!bucket.take(SPEC, 0) && !bucket.take(SPEC, 500));
    }

    #[test]
    fn test_reject_bucket_the_caller_does_not_have() {
        let mut one = [Bucket::FULL];
        let mut limits = Buckets { buckets: &mut one, now_ns: 1 };
        assert!(limits.take(LimitId(0), SPEC));
        assert!(!limits.take(LimitId(1), SPEC));
        assert!(!NoLimits.take(LimitId(0), SPEC));
    }

    #[test]
    fn zero_period_never_refills() {
        let spec = LimitSpec { burst: 1, refill_ns: 0 };
        let mut bucket = Bucket::FULL;
        assert!(bucket.take(spec, 1) && !bucket.take(spec, u64::MAX));
    }
}
