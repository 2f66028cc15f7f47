//! A cell of the policy in words, without rule numbers: what is in force, not how it is written.

use std::fmt::Write as _;

use nexus_sel::{
    Effect, LimitSpec,
    authoring::{Cell, Condition, Link},
};

use super::access::{Pair, View, condition};

/// What the policy says about a pair.
pub(super) fn pair(view: &View<'_>, pair: Pair<'_>) -> String {
    if view.id(pair.subject) == 0 {
        return "unknown subject".to_owned();
    }
    if view.policy.capability(pair.capability.as_bytes()).is_none() {
        return "unknown capability".to_owned();
    }
    match view.cell(pair) {
        None => "not permitted".to_owned(),
        Some(found) => {
            let beside: Vec<String> = view.beside(pair).into_iter().collect();
            let shared = match &beside[..] {
                [] => String::new(),
                names => format!(" (shared with {})", names.join(", ")),
            };
            cell(view, found) + &shared
        }
    }
}

/// What a cell says.
pub(super) fn cell(view: &View<'_>, cell: &Cell) -> String {
    let links = match cell {
        Cell::Rule(Effect::Allow, _) => return "allowed".to_owned(),
        Cell::Rule(Effect::Deny, _) => return "denied by rule".to_owned(),
        Cell::Chain(links) => links,
    };
    let of = |effect: Effect| {
        let links = links.iter().filter(move |link| link.effect == effect);
        let words: Vec<String> = links.map(|link| when(view, link)).collect();
        words.join(", or ")
    };
    match (of(Effect::Allow), of(Effect::Deny)) {
        (allow, deny) if allow.is_empty() => format!("denied {deny}, else not permitted"),
        (allow, deny) if deny.is_empty() => format!("allowed {allow}"),
        (allow, deny) => format!("allowed {allow}; denied {deny}"),
    }
}

fn when(view: &View<'_>, link: &Link) -> String {
    let condition = condition(view, link);
    let text = conditions(view, &condition);
    if text.is_empty() { "always".to_owned() } else { text }
}

fn conditions(view: &View<'_>, condition: &Condition) -> String {
    let not = view.fact_names(condition.none).into_iter().map(|name| format!("not {name}"));
    let facts = view.fact_names(condition.all).into_iter().map(str::to_owned).chain(not);
    let facts: Vec<String> = facts.collect();
    let mut parts = Vec::new();
    if !facts.is_empty() {
        parts.push(format!("when {}", facts.join(" and ")));
    }
    parts.extend(condition.until.map(|until| format!("until {}", date(until))));
    parts.extend(condition.limit.map(limit));
    parts.join(" ")
}

/// A token bucket in words.
pub(super) fn limit(spec: LimitSpec) -> String {
    match spec.refill_ns {
        0 => format!("at most {} times", spec.burst),
        ns => format!("at most {} at once, one more every {}", spec.burst, duration(ns)),
    }
}

/// A length of time in the largest unit that keeps it whole.
pub(super) fn duration(ns: u64) -> String {
    let units = [("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000)];
    let small = [("ms", 1_000_000), ("us", 1_000)];
    let fits =
        units.into_iter().chain(small).find(|(_, size)| ns >= *size && ns.is_multiple_of(*size));
    let (unit, size) = fits.unwrap_or(("ns", 1));
    format!("{} {unit}", ns / size)
}

/// A number of things.
pub(super) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Time since boot, for people.
pub(super) fn since_boot(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}

/// Seconds since 1970 as a date in UTC.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil: years begin in March, eras are 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if rest != 0 {
        let _ = write!(text, "T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    }
    text
}

/// Text from outside (a log, a blob) that a terminal cannot be steered with.
pub(super) fn printable(text: &str) -> String {
    let safe = |c: char| (' '..='~').contains(&c);
    text.chars()
        .map(|c| if safe(c) { c.to_string() } else { c.escape_unicode().to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_durations() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), text);
        }
        for (ns, text) in [(1, "1 ns"), (1_500_000, "1500 us"), (60_000_000_000, "1 min")] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(since_boot(1_234_567_890), "1.234 s");
        assert_eq!(printable("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
    }
}
