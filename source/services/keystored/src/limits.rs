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
    /// Asking for a private key. Each leaves a record, so that all that fit must not fill the lane.
    Export,
}

/// In the order of their numbers.
const KINDS: [Kind; 8] = [
    Kind::Read,
    Kind::Write,
    Kind::Sign,
    Kind::Verify,
    Kind::Attest,
    Kind::Keygen,
    Kind::Rotate,
    Kind::Export,
];
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
            Kind::Export => Rate { burst: 8, period_ns: SECOND / 4 },
            Kind::Keygen => Rate { burst: 4, period_ns: 60 * SECOND },
        }
    }
}

/// All callers together sign so often.
const SIGN_ALL: Rate = Rate { burst: 64, period_ns: SECOND / 64 };
/// The device replaces its keys so often.
const ROTATE_ALL: Rate = Rate { burst: 1, period_ns: 3600 * SECOND };

/// Requests beyond a limit that nobody has been told of yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// Whose.
    pub(crate) caller: u64,
    /// Of which kind.
    pub(crate) kind: Kind,
    /// How many.
    pub(crate) requests: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it will be full again; full at 0.
    full_at: u64,
    /// The last request did not fit.
    over: bool,
    /// Requests that did not fit, behind the first of a row.
    untold: u64,
}

impl Bucket {
    fn take(&mut self, rate: Rate, now_ns: u64) -> bool {
        let full_at = self.full_at.max(now_ns).saturating_add(rate.period_ns);
        let fits = full_at.saturating_sub(now_ns) <= rate.burst.saturating_mul(rate.period_ns);
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// As [`Bucket::take`], and how many to tell of: the first of a row at once, the others when
    /// a request fits again.
    fn take_counted(&mut self, rate: Rate, now_ns: u64) -> (bool, u64) {
        let fits = self.take(rate, now_ns);
        let first = !fits && !self.over;
        self.over = !fits;
        if fits {
            (true, core::mem::take(&mut self.untold))
        } else {
            self.untold = self.untold.saturating_add(u64::from(!first));
            (false, u64::from(first))
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    id: u64,
    buckets: [Bucket; KINDS.len()],
}

impl Caller {
    fn is_full(&self, now_ns: u64) -> bool {
        self.buckets.iter().all(|bucket| bucket.full_at <= now_ns && bucket.untold == 0)
    }
}

/// Every bucket.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    callers: [Caller; CALLERS],
    /// All that is to be told of.
    untold: u64,
    sign: Bucket,
    rotate: Bucket,
}

impl Limits {
    /// Takes a token of the caller's: whether there was one, and what is to be put on record
    /// about earlier ones.
    pub(crate) fn take(&mut self, caller: u64, kind: Kind, now_ns: u64) -> (bool, Option<Over>) {
        let known = self.callers.iter().position(|c| c.id == caller && !c.is_full(now_ns));
        let at = known.or_else(|| self.callers.iter().position(|c| c.is_full(now_ns)));
        let Some(place) = at.and_then(|at| self.callers.get_mut(at)) else { return (false, None) };
        if known.is_none() {
            // A full bucket says nothing about whose it was.
            *place = Caller { id: caller, ..Caller::default() };
        }
        let Some(bucket) = place.buckets.get_mut(kind as usize) else { return (false, None) };
        let before = bucket.untold;
        let (fits, requests) = bucket.take_counted(kind.rate(), now_ns);
        self.untold = self.untold.saturating_sub(before).saturating_add(bucket.untold);
        (fits, (requests > 0).then_some(Over { caller, kind, requests }))
    }

    /// Whether somebody was over a limit and has not come back.
    pub(crate) const fn has_untold(&self) -> bool {
        self.untold > 0
    }

    /// What is to be put on record about a bucket that is full again: nobody has to come back.
    pub(crate) fn settle(&mut self, now_ns: u64) -> Option<Over> {
        let places = self.callers.iter_mut().flat_map(|c| {
            let caller = c.id;
            c.buckets.iter_mut().zip(KINDS).map(move |(bucket, kind)| (caller, kind, bucket))
        });
        let (caller, kind, bucket) =
            { places }.find(|(.., b)| b.untold > 0 && b.full_at <= now_ns)?;
        let requests = core::mem::take(&mut bucket.untold);
        self.untold = self.untold.saturating_sub(requests);
        Some(Over { caller, kind, requests })
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

    struct Taking(Limits);

    impl Taking {
        fn take(&mut self, caller: u64, kind: Kind, now_ns: u64) -> bool {
            self.0.take(caller, kind, now_ns).0
        }
    }

    #[test]
    fn k41_every_request_beyond_a_limit_is_told_of_once() {
        let mut limits = Limits::default();
        let over = |requests| Some(Over { caller: 20, kind: Kind::Sign, requests });
        let told: Vec<_> = (0..1000).filter_map(|_| limits.take(20, Kind::Sign, 5).1).collect();
        assert_eq!(told, [over(1).unwrap()], "the first at once, and no flood of records");
        assert_eq!(limits.settle(5 + SECOND), None, "not before the bucket is full again");
        assert!(limits.has_untold());
        let mut again = Limits { callers: limits.callers, ..limits };
        assert_eq!(limits.settle(5 + 2 * SECOND), over(1000 - 32 - 1));
        assert!(!limits.has_untold() && limits.settle(u64::MAX).is_none());
        assert_eq!(again.take(20, Kind::Sign, 5 + SECOND), (true, over(1000 - 32 - 1)));
        assert!(!again.has_untold());
        for (at, kind) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, at);
        }
    }

    #[test]
    fn test_reject_k40_the_33rd_signature_of_a_burst() {
        let mut limits = Taking(Limits::default());
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
        let mut limits = Taking(Limits::default());
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
