//! What goes wrong in a run, decided before it starts.

use std::collections::BTreeMap;

use nexus_abi::{ServiceId, syscall::nr};

/// Faults by service, each at the n-th syscall (or reply) that service makes, counted from 1
/// over all its incarnations.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    kills: Vec<(ServiceId, u64)>,
    late: Vec<(ServiceId, u64, u64)>,
    traps: BTreeMap<u64, u64>,
    replies: BTreeMap<u64, u64>,
}

/// What happens to the trap at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Go,
    /// The process faults instead.
    Kill,
    /// The trap happens this many nanoseconds later.
    Late(u64),
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Faults {
        Faults::default()
    }

    /// `service` faults at its `nth` syscall.
    #[must_use]
    pub fn kill(mut self, service: ServiceId, nth: u64) -> Faults {
        self.kills.push((service, nth));
        self
    }

    /// The `nth` reply of `service` comes `delay_ns` late.
    #[must_use]
    pub fn late_reply(mut self, service: ServiceId, nth: u64, delay_ns: u64) -> Faults {
        self.late.push((service, nth, delay_ns));
        self
    }

    /// `count` kills and `count` late replies of `service`, spread over its first `span` traps.
    #[must_use]
    pub fn seeded(seed: u64, service: ServiceId, count: u32, span: u64) -> Faults {
        let mut rng = SplitMix(seed);
        let mut faults = Faults::none();
        for _ in 0..count {
            faults = faults.kill(service, 1 + rng.next() % span).late_reply(
                service,
                1 + rng.next() % span,
                1_000_000 + rng.next() % 1_000_000_000,
            );
        }
        faults
    }

    pub(crate) fn at_trap(&mut self, service: ServiceId, number: u64) -> Verdict {
        let traps = self.traps.entry(service.0).or_insert(0);
        *traps += 1;
        if self.kills.contains(&(service, *traps)) {
            return Verdict::Kill;
        }
        if number != nr::Reply && number != nr::ReplyRecv {
            return Verdict::Go;
        }
        let replies = self.replies.entry(service.0).or_insert(0);
        *replies += 1;
        let late = self.late.iter().find(|(s, n, _)| (*s, *n) == (service, *replies));
        late.map_or(Verdict::Go, |(_, _, delay)| Verdict::Late(*delay))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough to choose faults with.
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "not an iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
