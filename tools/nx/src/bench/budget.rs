//! `tests/bench/budget.toml`: what each path may cost, and what it costs today.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::BenchError;
use super::report::Measurement;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    row: BTreeMap<String, Row>,
}

/// One path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// Never above this, where the design says so.
    gate: Option<u64>,
    /// Where the design wants it.
    goal: Option<u64>,
    /// The last reviewed figure; a run above it fails.
    blessed: Option<u64>,
    /// The comparable seL4 figure, for the reader.
    sel4: Option<String>,
    /// Waiting for a device of the host is in it: no two runs are alike, the gate alone holds.
    #[serde(default)]
    varies: bool,
    /// Not measured itself: the first of two measured rows less the second.
    difference: Option<[String; 2]>,
}

/// How one row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Exactly the blessed figure.
    Same,
    /// Better than blessed: bless it.
    Lower,
    /// Within its gate; nothing else is asked of a row that varies.
    Within,
    /// Within its gate, never blessed.
    New,
    /// Above the blessed figure.
    AboveBlessed,
    /// Above the gate.
    AboveGate,
    /// Measured, but the budget has no such row.
    Unbudgeted,
    /// Budgeted, but not measured.
    Unmeasured,
}

impl Outcome {
    /// True when the row fails the run on the pinned toolchain.
    pub(super) fn fails(self) -> bool {
        !matches!(self, Self::Same | Self::Lower | Self::Within | Self::New)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Same => "ok",
            Self::Lower => "ok, lower: just bench-os-bless",
            Self::Within => "ok, varies",
            Self::New => "ok, not blessed yet: just bench-os-bless",
            Self::AboveBlessed => "FAIL: above its blessed value",
            Self::AboveGate => "FAIL: above its gate",
            Self::Unbudgeted => "FAIL: no such row in the budget",
            Self::Unmeasured => "FAIL: not measured",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) measured: Option<u64>,
    row: Row,
    /// How it stands.
    pub(super) outcome: Outcome,
}

impl Budget {
    /// Reads the file.
    pub(super) fn load(path: &Path) -> Result<Self, BenchError> {
        let text =
            std::fs::read_to_string(path).map_err(|e| BenchError::BadBudget(e.to_string()))?;
        Self::parse(&text)
    }

    /// Parses its text.
    pub(super) fn parse(text: &str) -> Result<Self, BenchError> {
        toml::from_str(text).map_err(|e| BenchError::BadBudget(e.to_string()))
    }

    /// The measured rows, and what the budget wants to know about how far apart they are. A row
    /// whose operands are not both measured, or not in this order, stays unmeasured: it fails.
    pub(super) fn with_differences(&self, mut rows: Vec<Measurement>) -> Vec<Measurement> {
        let count = |name: &String| rows.iter().find(|m| m.name == *name).map(|m| m.instructions);
        let wanted = self.row.iter().filter_map(|(name, row)| {
            let [whole, part] = row.difference.as_ref()?;
            let instructions = count(whole)?.checked_sub(count(part)?)?;
            Some(Measurement { name: name.clone(), instructions })
        });
        let derived: Vec<_> = wanted.collect();
        rows.extend(derived);
        rows
    }

    /// Every budgeted row and every measured one, in the order measured; unmeasured rows last.
    pub(super) fn compare(&self, measured: &[Measurement]) -> Vec<Line> {
        let found = measured.iter().map(|m| {
            let row = self.row.get(&m.name);
            let outcome = row.map_or(Outcome::Unbudgeted, |row| row.judge(m.instructions));
            let row = row.cloned().unwrap_or_default();
            Line { name: m.name.clone(), measured: Some(m.instructions), row, outcome }
        });
        let absent = self.row.iter().filter(|(name, _)| measured.iter().all(|m| m.name != **name));
        let absent = absent.map(|(name, row)| Line {
            name: name.clone(),
            measured: None,
            row: row.clone(),
            outcome: Outcome::Unmeasured,
        });
        found.chain(absent).collect()
    }
}

impl Row {
    fn judge(&self, measured: u64) -> Outcome {
        match self.blessed {
            _ if self.gate.is_some_and(|gate| measured > gate) => Outcome::AboveGate,
            // A row that varies and has no gate would ask for nothing at all.
            _ if self.varies => self.gate.map_or(Outcome::AboveGate, |_| Outcome::Within),
            None => Outcome::New,
            Some(blessed) if measured > blessed => Outcome::AboveBlessed,
            Some(blessed) if measured < blessed => Outcome::Lower,
            Some(_) => Outcome::Same,
        }
    }
}

/// The table for people: instructions, and seL4's figure on the same emulator.
pub(super) fn table(lines: &[Line]) -> String {
    let mut out = format!(
        "{:<28} {:>9} {:>9} {:>9} {:>9}  {:<16} {}\n",
        "path (instructions)", "measured", "blessed", "goal", "gate", "seL4", ""
    );
    for line in lines {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let _ = writeln!(
            out,
            "{:<28} {:>9} {:>9} {:>9} {:>9}  {:<16} {}",
            line.name,
            number(line.measured),
            number(line.row.blessed),
            number(line.row.goal),
            number(line.row.gate),
            line.row.sel4.as_deref().unwrap_or("-"),
            line.outcome.words()
        );
    }
    out
}

/// The budget's text with the measured figures as blessed values; all else stays as it was.
pub(super) fn blessed(text: &str, rows: &[Measurement]) -> String {
    let varies = Budget::parse(text).map(|budget| budget.row).unwrap_or_default();
    let varies = |row: &&Measurement| varies.get(&row.name).is_some_and(|known| known.varies);
    let blessed = rows.iter().filter(|row| !varies(row));
    blessed.fold(text.to_owned(), |text, row| bless_row(&text, row))
}

fn bless_row(text: &str, row: &Measurement) -> String {
    let header = format!("[row.\"{}\"]", row.name);
    let line = format!("blessed = {}", row.instructions);
    let mut out: Vec<String> = Vec::new();
    let (mut inside, mut done) = (false, false);
    for old in text.lines() {
        if old.trim_start().starts_with('[') {
            if inside && !done {
                insert_before_blank(&mut out, &line);
                done = true;
            }
            inside = old.trim() == header;
        }
        if inside && !done && old.split('=').next().is_some_and(|key| key.trim() == "blessed") {
            out.push(line.clone());
            done = true;
        } else {
            out.push(old.to_owned());
        }
    }
    if inside && !done {
        insert_before_blank(&mut out, &line);
    } else if !done {
        out.extend([String::new(), header, line]);
    }
    out.join("\n") + "\n"
}

/// Keeps the blank line and the comments that stand above the next header with that header.
fn insert_before_blank(out: &mut Vec<String>, line: &str) {
    let keys = out.iter().rposition(|l| l.contains('=') && !l.trim_start().starts_with('#'));
    let header = out.iter().rposition(|l| l.trim_start().starts_with('['));
    let at = keys.max(header).map_or(out.len(), |index| index + 1);
    out.insert(at, line.to_owned());
}
