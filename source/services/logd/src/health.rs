//! Watches the audit itself: losses, damage, and records that wait too long. Guards that getting
//! worse is noticed while it happens and leaves a record.

use crate::ledger::Ledger;

/// How long nothing may have gone wrong before the audit counts as well again.
const CALM_NS: u64 = 2_000_000_000;

/// What went wrong, in the order of importance; its number is in the record's first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Health {
    /// Starts from what the journal had counted already: old news.
    pub(crate) fn new(ledger: &Ledger) -> Self {
        Health { seen: Self::figures(ledger), since_ns: None }
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
            (Some((trouble, by)), before) => {
                self.since_ns = Some(now_ns);
                before.is_none().then_some(Change::Degraded(trouble, by))
            }
            (None, Some(since_ns)) if now_ns.saturating_sub(since_ns) >= CALM_NS => {
                self.since_ns = None;
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
        let mut health = Health::new(&ledger);
        assert_eq!(health.look(&ledger, 2, 1), None);
        ledger.lanes[1] = Stream { stored: 0, lost: 7 };
        assert_eq!(health.look(&ledger, 0, 2), Some(Change::Degraded(Trouble::Lost, 7)));
        assert!(health.is_degraded());
        ledger.kernel = Stream { stored: 0, lost: 1 };
        assert_eq!(health.look(&ledger, 0, 3), None, "still degraded");
        assert_eq!(health.look(&ledger, 0, 2 + CALM_NS), None, "the last trouble counts");
        assert_eq!(health.look(&ledger, 0, 3 + CALM_NS), Some(Change::Well));
        assert_eq!(health.look(&ledger, 3, 9), Some(Change::Degraded(Trouble::Lag, 3)));
        ledger.damaged = 1;
        assert!(Health::new(&ledger).look(&ledger, 0, 9).is_none(), "old news");
    }
}
