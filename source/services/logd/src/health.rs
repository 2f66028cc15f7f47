//! Watches the audit itself: losses, damage, and records that wait too long. Guards that getting
//! worse is noticed while it happens and leaves a record.

use crate::{journal::Found, ledger::Ledger};

/// How long nothing may have gone wrong before the audit counts as well again.
const CALM_NS: u64 = 2_000_000_000;

/// What went wrong, in the order of importance; its number is in the record's first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(crate) enum Trouble {
    /// Decisions or outcomes were lost.
    Lost = 1,
    /// Kernel events were lost.
    KernelLost = 2,
    /// Slots of the journal were damaged.
    Damaged = 3,
    /// The lane was nearly full.
    Lag = 4,
    /// logd was restarted: how often in this boot. What it was told to watch it did not.
    Restarted = 5,
    /// logd was restarted and what it had kept was not readable: records before are gone.
    Wiped = 6,
}

/// A change that has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It got worse: of what, and how many.
    Degraded(Trouble, u64),
    /// Nothing went wrong for a while.
    Well,
}

/// The monitor.
#[derive(Default)]
pub(crate) struct Health {
    seen: [u64; 3],
    /// When it last got worse, while it is not well.
    since_ns: Option<u64>,
    /// The gravest that was told since it was well.
    told: Option<Trouble>,
    /// How it began, until that is told.
    start: Option<(Trouble, u64)>,
}

impl Health {
    /// Starts from what an earlier instance counted: old news. That there was one is none: how
    /// well it was died with it, so a successor is not well before it has looked for a while.
    pub(crate) fn new(ledger: &Ledger, found: Found) -> Self {
        let [lost, kernel_lost, damaged] = Self::figures(ledger);
        let again = ledger.attached.saturating_sub(1);
        let (now_damaged, start) = match found {
            Found::Fresh => (0, None),
            Found::Kept { damaged } => (damaged, Some((Trouble::Restarted, again))),
            Found::Foreign => (0, Some((Trouble::Wiped, ledger.attached))),
        };
        let seen = [lost, kernel_lost, damaged.saturating_sub(now_damaged)];
        Health { seen, start, ..Health::default() }
    }

    /// How this instance began, once, if it is not the first.
    pub(crate) fn begin(&mut self, now_ns: u64) -> Option<Change> {
        let (trouble, by) = self.start.take()?;
        (self.since_ns, self.told) = (Some(now_ns), Some(trouble));
        Some(Change::Degraded(trouble, by))
    }

    fn figures(ledger: &Ledger) -> [u64; 3] {
        [ledger.all_lanes().lost, ledger.kernel.lost, ledger.damaged]
    }

    pub(crate) const fn is_degraded(&self) -> bool {
        self.since_ns.is_some()
    }

    /// Looks at the counters, and at how full the lane was found, in quarters.
    pub(crate) fn look(&mut self, ledger: &Ledger, quarters: u64, now_ns: u64) -> Option<Change> {
        let [lost, kernel_lost, damaged] = Self::figures(ledger);
        let [seen_lost, seen_kernel, seen_damaged] = self.seen;
        let grown = [
            (Trouble::Lost, lost.saturating_sub(seen_lost)),
            (Trouble::KernelLost, kernel_lost.saturating_sub(seen_kernel)),
            (Trouble::Damaged, damaged.saturating_sub(seen_damaged)),
            (Trouble::Lag, if quarters >= 3 { quarters } else { 0 }),
        ];
        self.seen = Self::figures(ledger);
        match (grown.into_iter().find(|(_, by)| *by > 0), self.since_ns) {
            (Some((trouble, by)), _) => {
                self.since_ns = Some(now_ns);
                let graver = self.told.is_none_or(|told| trouble < told);
                graver.then(|| {
                    self.told = Some(trouble);
                    Change::Degraded(trouble, by)
                })
            }
            (None, Some(since_ns)) if now_ns.saturating_sub(since_ns) >= CALM_NS => {
                (self.since_ns, self.told) = (None, None);
                Some(Change::Well)
            }
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Stream;

    #[test]
    fn worse_is_told_once_and_well_only_after_calm() {
        let mut ledger = Ledger::START;
        let mut health = Health::new(&ledger, Found::Fresh);
        assert_eq!(health.look(&ledger, 2, 1), None);
        ledger.lanes[1] = Stream { stored: 0, lost: 7 };
        assert_eq!(health.look(&ledger, 0, 2), Some(Change::Degraded(Trouble::Lost, 7)));
        assert!(health.is_degraded());
        ledger.kernel = Stream { stored: 0, lost: 1 };
        assert_eq!(health.look(&ledger, 0, 3), None, "still degraded");
        assert_eq!(health.look(&ledger, 0, 2 + CALM_NS), None, "the last trouble counts");
        assert_eq!(health.look(&ledger, 0, 3 + CALM_NS), Some(Change::Well));
        assert_eq!(health.look(&ledger, 3, 9), Some(Change::Degraded(Trouble::Lag, 3)));
        ledger.lanes[1].lost = 8;
        let lost = Some(Change::Degraded(Trouble::Lost, 1));
        assert_eq!(health.look(&ledger, 3, 10), lost, "graver than what was told");
        assert_eq!(health.look(&ledger, 3, 11), None);
        let kept = Found::Kept { damaged: 0 };
        ledger.damaged = 1;
        assert!(Health::new(&ledger, kept).look(&ledger, 0, 9).is_none(), "old news");
    }

    #[test]
    fn a_successor_is_not_well_before_it_has_looked_for_a_while() {
        let ledger = Ledger { attached: 3, damaged: 7, ..Ledger::START };
        let begun = |found| {
            let mut health = Health::new(&ledger, found);
            let begun = health.begin(5);
            assert_eq!(health.begin(6), None, "told once");
            (begun, health)
        };
        assert_eq!(begun(Found::Fresh).0, None);
        let wiped = Some(Change::Degraded(Trouble::Wiped, 3));
        assert_eq!(begun(Found::Foreign).0, wiped);
        let (restarted, mut health) = begun(Found::Kept { damaged: 2 });
        assert_eq!(restarted, Some(Change::Degraded(Trouble::Restarted, 2)));
        let damaged = Some(Change::Degraded(Trouble::Damaged, 2));
        assert_eq!(health.look(&ledger, 0, 6), damaged, "found by this instance: no old news");
        assert_eq!(health.look(&ledger, 0, 5 + CALM_NS), None);
        assert_eq!(health.look(&ledger, 0, 6 + CALM_NS), Some(Change::Well));
    }
}
