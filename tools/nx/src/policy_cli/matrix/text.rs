//! The matrix on a terminal: capabilities down, subjects across under a stair of names.

use std::{fmt::Write as _, ops::Range};

use super::{Matrix, State};
use crate::policy_cli::style::{Style, Tone};

/// Columns a cell takes.
const CELL: usize = 3;
/// In front of a sensitive capability.
const SENSITIVE: &str = "!";

/// The table; in blocks of subjects side by side where `columns` would not hold them all.
pub(super) fn table(matrix: &Matrix, style: Style, columns: Option<usize>) -> String {
    let width = matrix.capabilities.iter().map(|cap| cap.name.len()).max().unwrap_or(0);
    let margin = width + SENSITIVE.len() + 2;
    let mut text = String::new();
    let mut first = 0;
    while first < matrix.subjects.len() {
        let names = matrix.subjects.get(first..).unwrap_or_default();
        let fit = columns.map_or(names.len(), |columns| fitting(names, margin, columns));
        if first > 0 {
            text.push('\n');
        }
        block(matrix, first..first + fit, width, style, &mut text);
        first += fit;
    }
    text.push_str(&footnotes(matrix));
    let _ = writeln!(
        text,
        "\n● allowed  ◐ gated  ✕ denied by a rule  · no rule: denied   {SENSITIVE} sensitive\n\
         {}, version {}; why: nx policy explain SUBJECT CAPABILITY",
        matrix.label, matrix.version
    );
    text
}

/// How many subjects stand side by side, with the step each name takes in the stair.
fn fitting(names: &[(String, u64)], margin: usize, columns: usize) -> usize {
    let steps = names.iter().enumerate();
    let fits = steps.take_while(|(at, (name, _))| margin + at * CELL + name.len() <= columns);
    fits.count().max(1)
}

fn block(matrix: &Matrix, shown: Range<usize>, width: usize, style: Style, text: &mut String) {
    let margin = width + SENSITIVE.len() + 2;
    let names = matrix.subjects.get(shown.clone()).unwrap_or_default();
    for (at, (name, _)) in names.iter().enumerate() {
        let bars = format!("│{}", " ".repeat(CELL - 1)).repeat(at);
        let _ = writeln!(text, "{:margin$}{bars}{}", "", style.paint(Tone::Strong, name));
    }
    for cap in &matrix.capabilities {
        let mark = if cap.is_sensitive() { SENSITIVE } else { " " };
        let name = format!("{:width$}", cap.name);
        let name = if cap.is_sensitive() { style.paint(Tone::Careful, &name) } else { name };
        let mut line = format!("{mark} {name} ");
        for at in shown.clone() {
            let (sign, tone) = match cap.cells.get(&at).map(|entry| entry.state) {
                Some(State::Allowed) => ("●", Tone::Good),
                Some(State::Gated) => ("◐", Tone::Careful),
                Some(State::Denied) => ("✕", Tone::Bad),
                None => ("·", Tone::Dim),
            };
            let _ = write!(line, "{}{}", style.paint(tone, sign), " ".repeat(CELL - 1));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// What the gated and denied cells depend on.
fn footnotes(matrix: &Matrix) -> String {
    let mut text = String::new();
    for cap in &matrix.capabilities {
        for (at, entry) in cap.cells.iter().filter(|(_, entry)| entry.state != State::Allowed) {
            let Some((subject, _)) = matrix.subjects.get(*at) else { continue };
            let rules = entry.rules.iter().filter_map(|id| {
                let rule = matrix.rules.get((*id as usize).checked_sub(1)?)?;
                Some(format!("{}:{}", rule.source.file, rule.source.line))
            });
            let places = rules.collect::<Vec<_>>().join(", ");
            let sign = if entry.state == State::Gated { "◐" } else { "✕" };
            let lead = if text.is_empty() { "\n" } else { "" };
            let _ =
                writeln!(text, "{lead}{sign} {subject}  {}: {}  ({places})", cap.name, entry.text);
        }
    }
    text
}
