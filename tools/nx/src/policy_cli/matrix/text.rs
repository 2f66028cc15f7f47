//! The matrix on a terminal: capabilities down, subjects across under a stair of names.

use std::fmt::Write as _;

use super::{Matrix, State};
use crate::policy_cli::style::{Style, Tone};

/// Columns a cell takes.
const CELL: usize = 3;
/// In front of a sensitive capability.
const SENSITIVE: &str = "!";

pub(super) fn table(matrix: &Matrix, style: Style) -> String {
    let width = matrix.capabilities.iter().map(|cap| cap.name.len()).max().unwrap_or(0);
    let margin = width + SENSITIVE.len() + 2;
    let mut text = stairs(matrix, margin, style);
    for cap in &matrix.capabilities {
        let mark = if cap.is_sensitive() { SENSITIVE } else { " " };
        let name = format!("{:width$}", cap.name);
        let name = if cap.is_sensitive() { style.paint(Tone::Careful, &name) } else { name };
        let mut line = format!("{mark} {name} ");
        for at in 0..matrix.subjects.len() {
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
    text.push_str(&footnotes(matrix));
    let _ = writeln!(
        text,
        "\n● allowed  ◐ gated  ✕ denied by a rule  · no rule: denied   {SENSITIVE} sensitive\n\
         {}, version {}; why: nx policy explain SUBJECT CAPABILITY",
        matrix.label, matrix.version
    );
    text
}

fn stairs(matrix: &Matrix, margin: usize, style: Style) -> String {
    let mut text = String::new();
    for (at, (name, _)) in matrix.subjects.iter().enumerate() {
        let mut line = " ".repeat(margin);
        for _ in 0..at {
            line.push_str(&format!("│{}", " ".repeat(CELL - 1)));
        }
        let _ = writeln!(text, "{line}{}", style.paint(Tone::Strong, name));
    }
    text
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
