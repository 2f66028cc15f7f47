//! How often: a bucket of tokens for each caller and kind of request. Guards that no caller can
//! use up another's, and that what is refused costs as much as what is done.

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reading: public keys, own secrets, status; and what is refused out of hand.
    Read,
    /// Writing secrets and counters.
    Write,
    /// Signing.
    Sign,
    /// Verifying.
    Verify,
    /// Quotes.
    Attest,
    /// Making the device's keys.
    Keygen,
    /// Replacing and revoking them.
    Rotate,
}

const KINDS: usize = 7;
/// Callers with a bucket that is not full. Ids are stamped by the kernel, and few services have a
/// route here; one more is refused until somebody's bucket has filled up again.
pub const CALLERS: usize = 16;

const SECOND: u64 = 1_000_000_000;

/// Tokens a full bucket holds, and the time one token takes.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u64,
    period_ns: u64,
}

impl Kind {
    const fn rate(self) -> Rate {
        match self {
            Kind::Read => Rate { burst: 128, period_ns: SECOND / 64 },
            Kind::Write | Kind::Sign | Kind::Verify => Rate { burst: 32, period_ns: SECOND / 16 },
            Kind::Attest | Kind::Rotate => Rate { burst: 4, period_ns: SECOND },
            Kind::Keygen => Rate { burst: 4, period_ns: 60 * SECOND },
        }
    }
}

/// All callers together sign so often.
const SIGN_ALL: Rate = Rate { burst: 64, period_ns: SECOND / 64 };
/// The device replaces its keys so often.
const ROTATE_ALL: Rate = Rate { burst: 1, period_ns: 3600 * SECOND };

/// When the bucket will be full again; full at 0.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(u64);

impl Bucket {
    fn take(&mut self, rate: Rate, now_ns: u64) -> bool {
        let full_at = self.0.max(now_ns).saturating_add(rate.period_ns);
        let fits = full_at.saturating_sub(now_ns) <= rate.burst.saturating_mul(rate.period_ns);
        if fits {
            self.0 = full_at;
        }
        fits
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    id: u64,
    buckets: [Bucket; KINDS],
}

impl Caller {
    fn is_full(&self, now_ns: u64) -> bool {
        self.buckets.iter().all(|bucket| bucket.0 <= now_ns)
    }
}

/// Every bucket.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    callers: [Caller; CALLERS],
    sign: Bucket,
    rotate: Bucket,
}

impl Limits {
    /// Takes a token of the caller's; `false` if there is none.
    pub(crate) fn take(&mut self, caller: u64, kind: Kind, now_ns: u64) -> bool {
        let known = self.callers.iter().position(|c| c.id == caller && !c.is_full(now_ns));
        let at = known.or_else(|| self.callers.iter().position(|c| c.is_full(now_ns)));
        let Some(place) = at.and_then(|at| self.callers.get_mut(at)) else { return false };
        if known.is_none() {
            // A full bucket says nothing about whose it was.
            *place = Caller { id: caller, ..Caller::default() };
        }
        let bucket = place.buckets.get_mut(kind as usize);
        bucket.is_some_and(|bucket| bucket.take(kind.rate(), now_ns))
    }

    /// Takes a token of everybody's, after the caller was allowed: nobody without the right can
    /// use these up.
    pub(crate) fn take_shared(&mut self, kind: Kind, now_ns: u64) -> bool {
        match kind {
            Kind::Sign => self.sign.take(SIGN_ALL, now_ns),
            Kind::Rotate => self.rotate.take(ROTATE_ALL, now_ns),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_reject_k40_the_33rd_signature_of_a_burst() {
        let mut limits = Limits::default();
        for _ in 0..32 {
            assert!(limits.take(20, Kind::Sign, 5));
        }
        assert!(!limits.take(20, Kind::Sign, 5));
        assert!(limits.take(21, Kind::Sign, 5), "another caller is not affected");
        assert!(limits.take(20, Kind::Read, 5), "another kind is not affected");
        assert!(!limits.take(20, Kind::Sign, 5 + SECOND / 16 - 1));
        assert!(limits.take(20, Kind::Sign, 5 + SECOND / 16));
        assert!(!limits.take(20, Kind::Sign, 5 + SECOND / 16));
    }

    #[test]
    fn test_reject_more_callers_than_places_until_one_is_free() {
        let mut limits = Limits::default();
        for caller in 1..=CALLERS as u64 {
            assert!(limits.take(caller, Kind::Attest, 0));
        }
        assert!(!limits.take(99, Kind::Attest, 0));
        assert!(limits.take(1, Kind::Attest, 0), "who has a place keeps it");
        assert!(limits.take(99, Kind::Attest, SECOND), "caller 2's bucket is full again");
    }

    #[test]
    fn test_reject_a_second_rotation_within_the_hour() {
        let mut limits = Limits::default();
        assert!(limits.take_shared(Kind::Rotate, 7));
        assert!(!limits.take_shared(Kind::Rotate, 3600 * SECOND));
        assert!(limits.take_shared(Kind::Rotate, 7 + 3600 * SECOND));
        for _ in 0..64 {
            assert!(limits.take_shared(Kind::Sign, 0));
        }
        assert!(!limits.take_shared(Kind::Sign, 0));
        assert!(limits.take_shared(Kind::Read, 0));
    }
}
