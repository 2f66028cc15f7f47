//! The verdict, and the numbers for people.
use std::fmt::Write as _;

use crate::list::{ENTRIES, Entry, Role};
use crate::machine;
use crate::results::Results;

/// A decision from an id and a name costs at most this many instructions on the host.
pub const MOST_FROM_NAME: f64 = 200.0;
/// And at most this many from interned ids.
pub const MOST_INTERNED: f64 = 40.0;
/// Every general engine in its best form needs at least this many times what nexus-sel needs: with
/// its request ready, and where both begin with an id and the bytes of a name.
pub const LEAST_FACTOR: f64 = 100.0;
/// Cost at any size over cost at any other: "alike".
pub const MOST_SPREAD: f64 = 1.1;

/// Every promise that does not hold.
pub fn judge(results: &Results) -> Vec<String> {
    let mut failures = Vec::new();
    for (key, most) in [
        ("sel", MOST_FROM_NAME),
        ("long", MOST_FROM_NAME),
        ("packed", MOST_FROM_NAME),
        ("interned", MOST_INTERNED),
    ] {
        let costs = costs(results, key);
        for (size, cost) in &costs {
            check(&mut failures, *cost <= most, || {
                format!("{key} at {size}: {cost:.1} instructions, at most {most} are promised")
            });
            let spent = results.number(key, *size, "allocations");
            check(&mut failures, spent == Some(0.0), || {
                format!("{key} at {size}: {spent:?} allocations per decision, none are promised")
            });
        }
        let spread = spread(&costs);
        check(&mut failures, spread <= MOST_SPREAD, || {
            format!("{key}: cost differs by {spread:.2} between sizes, {MOST_SPREAD} is promised")
        });
    }
    for entry in ENTRIES.iter().filter(|e| matches!(e.role, Role::Best | Role::Ready)) {
        for (size, factor) in factors(results, entry) {
            check(&mut failures, factor >= LEAST_FACTOR, || {
                format!("{} at {size}: factor {factor:.1}, {LEAST_FACTOR} is promised", entry.key)
            });
        }
    }
    failures
}

/// A missing figure fails: comparisons with NaN are false.
fn check(failures: &mut Vec<String>, holds: bool, message: impl FnOnce() -> String) {
    if !holds {
        failures.push(message());
    }
}

fn costs(results: &Results, key: &'static str) -> Vec<(usize, f64)> {
    let cost = |size: &usize| (*size, results.instructions(key, *size).unwrap_or(f64::NAN));
    results.sizes.iter().map(cost).collect()
}

fn spread(costs: &[(usize, f64)]) -> f64 {
    let most = costs.iter().map(|(_, cost)| *cost).fold(0.0, f64::max);
    let least = costs.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    most / least
}

/// How many times the instructions of nexus-sel, asked alike, an engine needs, by size.
fn factors(results: &Results, entry: &Entry) -> Vec<(usize, f64)> {
    let ours = costs(results, if entry.role == Role::Ready { "interned" } else { "sel" });
    let theirs = costs(results, entry.key);
    theirs.iter().zip(ours).map(|((size, theirs), (_, ours))| (*size, theirs / ours)).collect()
}

/// For the terminal.
pub fn summary(results: &Results) -> String {
    let mut out = String::from("\ninstructions per decision\n");
    for entry in &ENTRIES {
        let _ = write!(out, "{:<16}", entry.key);
        for size in &results.sizes {
            let text = results.instructions(entry.key, *size).map_or("-".into(), number);
            let _ = write!(out, "{text:>14}");
        }
        out.push('\n');
    }
    out
}

/// What the page is about, first: the two factors of each engine.
fn claim(results: &Results) -> String {
    let least = |role: Role| -> String {
        let entries = ENTRIES.iter().filter(|entry| entry.role == role);
        let texts = entries.map(|entry| {
            let factors = factors(results, entry).into_iter().map(|(_, factor)| factor);
            let name = entry.title.split([',', ' ']).next().unwrap_or(entry.key);
            format!("{name} {}", whole(factors.fold(f64::INFINITY, f64::min).floor()))
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    format!(
        "# What a policy decision costs\n\n\
         **Best form against best form, requests ready: at least this many times the instructions \
         of nexus-sel at every size: {}.** Where every request begins with a service id and the \
         bytes of a name, and is built within the decision: {}. {LEAST_FACTOR} is promised for \
         either, and the run fails below.\n",
        least(Role::Ready),
        least(Role::Best),
    )
}

/// The page in `docs/`.
pub fn page(results: &Results, failures: &[String]) -> String {
    let mut out = claim(results);
    out.push_str(include_str!("page-head.md"));
    for failure in failures {
        let _ = writeln!(out, "\n**Missed in this run:** {failure}.");
    }
    out.push('\n');
    let rules: Vec<String> = results
        .sizes
        .iter()
        .map(|size| whole(results.number("sel", *size, "rules").unwrap_or(f64::NAN)))
        .collect();
    let _ = writeln!(out, "Rules: {}. {}.\n", rules.join(", "), versions());
    let (least, most) = results.range("load").unwrap_or((f64::NAN, f64::NAN));
    let _ = writeln!(
        out,
        "Measured on {}. While the times were taken, {least:.1} to {most:.1} processes \
         wanted to run (one of them is this benchmark).",
        machine::name()
    );
    let instructions = |r: &Results, key, size| r.instructions(key, size).map(number);
    let field = |name: &'static str, show: fn(f64) -> String| {
        move |r: &Results, key, size| r.number(key, size, name).map(show)
    };
    table(
        &mut out,
        results,
        "Instructions per decision (callgrind, loop subtracted)",
        instructions,
    );
    factor_table(&mut out, results);
    table(&mut out, results, "Time per decision (criterion, median)", field("ns", duration));
    let allocations = |r: &Results, key, size| {
        let count = r.number(key, size, "allocations")?;
        let bytes = r.number(key, size, "allocated_bytes")?;
        Some(if count == 0.0 {
            "0".into()
        } else {
            format!("{} ({})", number(count), size_text(bytes))
        })
    };
    table(&mut out, results, "Allocations per decision (bytes)", allocations);
    table(&mut out, results, "Loading the policy", field("load_ms", |ms| duration(ms * 1e6)));
    table(&mut out, results, "Memory held by the loaded policy", field("live_bytes", size_text));
    let peak = field("peak_kib", |kib| size_text(kib * 1024.0));
    table(&mut out, results, "Growth of resident memory while loading", peak);
    out.push_str(include_str!("page-tail.md"));
    out
}

fn table(
    out: &mut String,
    results: &Results,
    title: &str,
    cell: impl Fn(&Results, &'static str, usize) -> Option<String>,
) {
    head(out, title, results);
    for entry in ENTRIES.iter() {
        row(out, results, entry.title, |size| cell(results, entry.key, size));
    }
}

fn factor_table(out: &mut String, results: &Results) {
    head(out, "Times the instructions of nexus-sel, asked alike", results);
    let asked = [Role::Table, Role::Best, Role::Ready, Role::Other];
    for entry in ENTRIES.iter().filter(|entry| asked.contains(&entry.role)) {
        let factors = factors(results, entry);
        row(out, results, entry.title, |size| {
            let (_, factor) =
                factors.iter().find(|(at, factor)| *at == size && factor.is_finite())?;
            Some(format!("×{}", number(*factor)))
        });
    }
}

fn head(out: &mut String, title: &str, results: &Results) {
    let sizes: Vec<String> = results.sizes.iter().map(|size| whole(*size as f64)).collect();
    let _ = writeln!(out, "\n## {title}\n\n| services | {} |", sizes.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(sizes.len()));
}

fn row(out: &mut String, results: &Results, title: &str, cell: impl Fn(usize) -> Option<String>) {
    let cells = results.sizes.iter().map(|size| cell(*size).unwrap_or_else(|| "—".into()));
    let _ = writeln!(out, "| {title} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

/// The engines' versions, from the lock file they were built with.
fn versions() -> String {
    let lock = include_str!("../../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let names = ["cedar-policy", "regorus", "casbin", "criterion"];
    names.iter().filter_map(|name| version(name)).collect::<Vec<_>>().join(", ")
}

/// Three significant digits, thousands apart.
pub fn number(value: f64) -> String {
    match value {
        value if !value.is_finite() => "—".into(),
        value if value < 1_000.0 => format!("{}", (value * 10.0).round() / 10.0),
        value => {
            let unit = 10_f64.powf(value.log10().floor() - 2.0);
            whole((value / unit).round() * unit)
        }
    }
}

fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds, in the unit that fits.
pub fn duration(ns: f64) -> String {
    scaled(ns, 1_000.0, &["ns", "µs", "ms", "s"])
}

fn size_text(bytes: f64) -> String {
    scaled(bytes, 1_024.0, &["B", "KiB", "MiB", "GiB"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = units.iter().peekable();
    while let Some(name) = unit.next() {
        if value < step || unit.peek().is_none() {
            let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
            return format!("{value:.digits$} {name}");
        }
        value /= step;
    }
    String::new()
}
