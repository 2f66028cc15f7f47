//! The restart rule: how often a service may die before it stays down.

use nexus_manifest::boot::Restart;

/// What to do about a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again.
    Restart,
    /// Leave it down.
    Stop,
    /// Stop the whole system.
    Halt,
}

/// Deaths counted against one service. The window starts with its first death and the next one
/// starts with the first death after it, so the memory is constant whatever the rule says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deaths {
    window_start_ns: u64,
    in_window: u16,
}

impl Deaths {
    /// Counts a death at `now_ns`.
    pub(crate) fn count(&mut self, now_ns: u64, rule: &Restart) -> Verdict {
        let age_ns = now_ns.saturating_sub(self.window_start_ns);
        if self.in_window == 0 || age_ns > rule.window_ns {
            *self = Deaths { window_start_ns: now_ns, in_window: 0 };
        }
        self.in_window = self.in_window.saturating_add(1);
        match (self.in_window <= rule.max, rule.halt) {
            (true, _) => Verdict::Restart,
            (false, true) => Verdict::Halt,
            (false, false) => Verdict::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Restart = Restart { max: 2, window_ns: 100, halt: false };

    #[test]
    fn more_deaths_than_the_rule_allows_stop_the_service() {
        let mut deaths = Deaths::default();
        assert_eq!(deaths.count(0, &RULE), Verdict::Restart);
        assert_eq!(deaths.count(50, &RULE), Verdict::Restart);
        assert_eq!(deaths.count(100, &RULE), Verdict::Stop);
    }

    #[test]
    fn a_new_window_forgets_old_deaths() {
        let mut deaths = Deaths::default();
        for now in [0, 50, 101, 150, 202] {
            assert_eq!(deaths.count(now, &RULE), Verdict::Restart, "{now}");
        }
        assert_eq!(deaths.count(203, &RULE), Verdict::Restart);
        assert_eq!(deaths.count(204, &RULE), Verdict::Stop);
    }

    #[test]
    fn a_service_that_may_not_restart_stops_or_halts_at_once() {
        let never = Restart { max: 0, ..RULE };
        assert_eq!(Deaths::default().count(5, &never), Verdict::Stop);
        let vital = Restart { halt: true, ..never };
        assert_eq!(Deaths::default().count(5, &vital), Verdict::Halt);
    }
}
