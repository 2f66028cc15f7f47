//! `nx policy diff`: what changed in what is in force.

use std::collections::{BTreeMap, BTreeSet};

use nexus_sel::{
    AuditMode, Sensitivity,
    authoring::{RuleSource, suggest},
};
use serde_json::{Value, json};

use super::{
    access::{Change, Pair, View, compare},
    describe,
    matrix::matches,
    render,
    side::{Failure, Place, Side, load, pair},
    style::{Progress, Style, Tone},
};

/// Nothing is granted or refused that was not before.
pub(super) const UNCHANGED: u8 = 0;
/// Something is lost, nothing gained.
pub(super) const NARROWER: u8 = 3;
/// Something is gained.
pub(super) const WIDER: u8 = 4;

/// Compares two policies by what they permit
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy diff                          what you have changed
  nx policy diff HEAD~1..HEAD             what the last commit changed
  nx policy diff main...HEAD || [ $? = 3 ]     fail where a branch grants something new
  nx policy diff old-policy/ build/policy.blob --subject logd

A policy is a directory, a rule file, a blob, or a git revision. What is left out is HEAD on the
left and the working tree on the right: `nx policy diff` shows what you have changed.
`A...B` compares B with the commit where it left A: what a branch adds.

Exit status: 0 no change in effective permissions
             1 a policy does not build
             2 wrong usage
             3 narrower: something is lost, nothing gained
             4 wider: something is gained")]
pub(super) struct DiffArgs {
    /// `A..B`, `A...B`, or two policies
    #[arg(value_name = "A..B", num_args = 0..=2)]
    policies: Vec<String>,
    /// Only subjects that match; `*` stands for any text; repeat for more
    #[arg(long, value_name = "GLOB")]
    subject: Vec<String>,
}

/// One pair whose answers differ.
pub(super) struct Entry<'a> {
    pub(super) pair: Pair<'a>,
    pub(super) change: Change,
    sensitivity: Sensitivity,
    before: String,
    after: String,
    rules_before: Vec<RuleSource>,
    rules_after: Vec<RuleSource>,
}

/// A change that belongs to no single pair.
struct Note {
    change: Change,
    text: String,
}

/// Everything that differs.
pub(super) struct Difference<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    notes: Vec<Note>,
}

impl Difference<'_> {
    /// All changes together.
    pub(super) fn change(&self) -> Change {
        let entries = self.entries.iter().map(|entry| entry.change);
        entries.chain(self.notes.iter().map(|note| note.change)).fold(Change::NONE, Change::and)
    }
}

/// The exit status that goes with a change.
pub(super) const fn status(change: Change) -> u8 {
    match change {
        Change { gained: true, .. } => WIDER,
        Change { lost: true, .. } => NARROWER,
        Change { .. } => UNCHANGED,
    }
}

pub(super) fn run(place: Place<'_>, json: bool, args: &DiffArgs) -> Result<u8, Failure> {
    let (old, new) = pair(place, &args.policies)?;
    let (old, new) = (load(place, &old)?, load(place, &new)?);
    let views = (View::new(&old).map_err(Failure::Text)?, View::new(&new).map_err(Failure::Text)?);
    for name in &args.subject {
        let mut rows = old.rows.iter().chain(&new.rows);
        if !rows.any(|(row, _)| matches(name.as_bytes(), row.as_bytes())) {
            let names = new.rows.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let hint = suggest(name, names).map_or(String::new(), |hint| format!("; {hint}"));
            return Err(Failure::Usage(format!("neither policy knows the subject `{name}`{hint}")));
        }
    }
    let mut found = difference(&views.0, &views.1);
    if !args.subject.is_empty() {
        let wanted = |subject: &str| {
            args.subject.iter().any(|glob| matches(glob.as_bytes(), subject.as_bytes()))
        };
        found.entries.retain(|entry| wanted(entry.pair.subject));
        found.notes.clear();
    }
    if json {
        println!("{:#}", as_json(&old, &new, &found));
    } else {
        print!("{}", as_text(&old, &new, &found, Style::of_stdout()));
    }
    Ok(status(found.change()))
}

/// Compares every pair that a rule of either side speaks about.
pub(super) fn difference<'a>(old: &View<'a>, new: &View<'a>) -> Difference<'a> {
    let pairs: BTreeSet<(&str, &str)> = spoken(old.side).chain(spoken(new.side)).collect();
    let mut progress = Progress::new("comparing", pairs.len());
    let mut entries = Vec::new();
    for (done, (subject, capability)) in pairs.into_iter().enumerate() {
        progress.at(done);
        let pair = Pair { subject, capability };
        let change = compare(old, new, pair);
        if change != Change::NONE {
            entries.push(Entry {
                pair,
                change,
                sensitivity: sensitivity(new, capability).max_of(sensitivity(old, capability)),
                before: describe::pair(old, pair),
                after: describe::pair(new, pair),
                rules_before: sources(old, pair),
                rules_after: sources(new, pair),
            });
        }
    }
    Difference { entries, notes: notes(old, new) }
}

fn spoken(side: &Side) -> impl Iterator<Item = (&str, &str)> {
    side.model.cells.keys().filter_map(|(row, cap)| {
        let (subject, _) = side.rows.get(*row as usize)?;
        let capability = side.model.capabilities.get(*cap as usize)?;
        Some((subject.as_str(), capability.name.as_str()))
    })
}

fn sources(view: &View<'_>, pair: Pair<'_>) -> Vec<RuleSource> {
    let rules = view.cell(pair).into_iter().flat_map(|cell| cell.rules());
    rules.filter_map(|(_, rule)| view.side.rule(rule).cloned()).collect()
}

trait MaxOf {
    fn max_of(self, other: Self) -> Self;
}

impl MaxOf for Sensitivity {
    /// The more sensitive of the two: whoever lowers the mark of a capability hides nothing.
    fn max_of(self, other: Self) -> Self {
        if (self as u8) < (other as u8) { other } else { self }
    }
}

fn sensitivity(view: &View<'_>, capability: &str) -> Sensitivity {
    let found = view.policy.capability(capability.as_bytes());
    found.map_or(Sensitivity::Low, |found| found.sensitivity())
}

/// What changed around the rules: audit duties, owners of facts, ids of services.
fn notes(old: &View<'_>, new: &View<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for cap in &new.side.model.capabilities {
        let Some(before) = old.policy.capability(cap.name.as_bytes()) else { continue };
        let (from, to) = (before.audit(), cap.audit);
        if from != to {
            let change = if to == AuditMode::Required { Change::LOST } else { Change::GAINED };
            let (from, to) = (render::audit(from), render::audit(to));
            let text = format!("audit of `{}`: {from} -> {to}", cap.name);
            notes.push(Note { change, text });
        }
        let (from, to) = (before.sensitivity(), cap.sensitivity);
        if from != to {
            let (from, to) = (render::level(from), render::level(to));
            let text = format!("sensitivity of `{}`: {from} -> {to}", cap.name);
            notes.push(Note { change: Change::NONE, text });
        }
    }
    let owners: BTreeMap<_, _> = old.side.model.facts.iter().cloned().collect();
    for (fact, owner) in &new.side.model.facts {
        if let Some(before) = owners.get(fact).filter(|before| *before != owner) {
            let (from, to) = (who(old, *before), who(new, *owner));
            let text = format!("owner of fact `{fact}`: {from} -> {to}");
            notes.push(Note { change: Change { gained: true, lost: true }, text });
        }
    }
    for (name, id) in &new.side.rows {
        if let Some((_, before)) = old.side.row(name).filter(|(_, before)| before != id) {
            let text = format!("id of `{name}`: {before} -> {id}");
            notes.push(Note { change: Change::NONE, text });
        }
    }
    notes
}

fn who(view: &View<'_>, id: u64) -> String {
    view.policy.subject_name(id).map_or_else(|| id.to_string(), |name| name.to_string())
}

const fn verdict(change: Change) -> &'static str {
    match change {
        Change { gained: true, lost: true } => "wider (and narrower elsewhere)",
        Change { gained: true, .. } => "wider",
        Change { lost: true, .. } => "narrower",
        Change { .. } => "unchanged",
    }
}

const fn sign(change: Change) -> &'static str {
    match change {
        Change { gained: true, lost: true } => "~",
        Change { gained: true, .. } => "+",
        Change { lost: true, .. } => "-",
        Change { .. } => "=",
    }
}

fn as_json(old: &Side, new: &Side, found: &Difference<'_>) -> Value {
    let side = |side: &Side| json!({ "policy": side.label, "digest": side.digest() });
    let change = |entry: &Entry<'_>| {
        json!({
            "subject": entry.pair.subject,
            "capability": entry.pair.capability,
            "sensitivity": render::level(entry.sensitivity),
            "gained": entry.change.gained,
            "lost": entry.change.lost,
            "before": entry.before,
            "after": entry.after,
            "rules_before": entry.rules_before.iter().map(render::rule).collect::<Vec<_>>(),
            "rules_after": entry.rules_after.iter().map(render::rule).collect::<Vec<_>>(),
        })
    };
    let note = |note: &Note| json!({ "text": note.text, "gained": note.change.gained, "lost": note.change.lost });
    let all = found.change();
    let verdict = if all.gained { "wider" } else { verdict(all) };
    json!({
        "from": side(old),
        "to": side(new),
        "verdict": verdict,
        "gained": found.entries.iter().filter(|entry| entry.change.gained).count(),
        "lost": found.entries.iter().filter(|entry| entry.change.lost).count(),
        "changes": found.entries.iter().map(change).collect::<Vec<_>>(),
        "notes": found.notes.iter().map(note).collect::<Vec<_>>(),
    })
}

fn as_text(old: &Side, new: &Side, found: &Difference<'_>, style: Style) -> String {
    let mut text = format!("{} -> {}\n", old.label, new.label);
    let width = |of: fn(&Entry<'_>) -> usize| found.entries.iter().map(of).max().unwrap_or(0);
    let subjects = width(|entry| entry.pair.subject.len());
    let capabilities = width(|entry| entry.pair.capability.len());
    for (heading, wanted) in [
        ("gained", Change::GAINED),
        ("lost", Change::LOST),
        ("gained in some situations, lost in others", Change::GAINED.and(Change::LOST)),
    ] {
        let entries = found.entries.iter().filter(|entry| entry.change == wanted);
        for (index, entry) in entries.enumerate() {
            if index == 0 {
                text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, heading)));
            }
            let Pair { subject, capability } = entry.pair;
            let tone = if entry.change.gained { Tone::Bad } else { Tone::Good };
            let line =
                format!("  {} {subject:subjects$}  {capability:capabilities$}", sign(entry.change));
            let (line, mark) = match entry.sensitivity {
                Sensitivity::High => (&*line, style.paint(Tone::Careful, "  [sensitive]")),
                _ => (line.trim_end(), String::new()),
            };
            text.push_str(&format!("{}{mark}\n", style.paint(tone, line)));
            text.push_str(&format!("      was  {}{}\n", entry.before, at(&entry.rules_before)));
            text.push_str(&format!("      now  {}{}\n", entry.after, at(&entry.rules_after)));
        }
    }
    if !found.notes.is_empty() {
        text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, "around the rules")));
    }
    for note in &found.notes {
        text.push_str(&format!("  {} {}\n", sign(note.change), note.text));
    }
    let all = found.change();
    let blank = if found.entries.is_empty() && found.notes.is_empty() { "" } else { "\n" };
    if all == Change::NONE && old.digest() != new.digest() {
        text.push_str(&format!(
            "{blank}no change in effective permissions; the policies differ in "
        ));
        text.push_str("rules or numbers only\n");
        return text;
    }
    let count = |of: fn(&Change) -> bool| found.entries.iter().filter(|e| of(&e.change)).count();
    let (gained, lost) = (count(|change| change.gained), count(|change| change.lost));
    text.push_str(&format!("{blank}{gained} gained, {lost} lost: {}\n", verdict(all)));
    text
}

fn at(rules: &[RuleSource]) -> String {
    let places = rules.iter().map(|rule| format!("{}:{}", rule.file, rule.line));
    let places: Vec<String> = places.collect();
    if places.is_empty() { String::new() } else { format!("  ({})", places.join(", ")) }
}
