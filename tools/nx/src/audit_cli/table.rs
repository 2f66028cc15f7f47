//! Records as lines for people.

use std::fmt::Write as _;

use nexus_wire::audit::Record;

use super::{json, names, style};
use style::Style;

const HEAD: [&str; 9] =
    ["SEQ", "TIME", "DECISION", "OP", "SUBJECT", "TARGET", "CAPABILITY", "REASON", "RULE"];
/// Which column carries the decision's colour.
const DECISION: usize = 2;

/// What of a record fits a line: one aligned table.
pub(super) fn render(records: &[Record], style: Style) -> String {
    let rows: Vec<[String; 9]> = records.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut out = style.bold(&aligned(&HEAD.map(str::to_owned), &widths, |_, text| text));
    out.push('\n');
    for (record, row) in records.iter().zip(&rows) {
        let paint = |column: usize, text: String| match column {
            DECISION => style.decision(record.decision, &text),
            _ => text,
        };
        out.push_str(&aligned(row, &widths, paint));
        out.push('\n');
        if let Some(said) = json::suppressed(record) {
            let [seq, ..] = widths;
            let _infallible = writeln!(out, "{:>seq$}  {}", "", style.dim(&said));
        }
    }
    out
}

fn cells(record: &Record) -> [String; 9] {
    let dash = || "-".to_owned();
    let cap = match record.cap.as_bytes() {
        [] => dash(),
        name => style::shown(name),
    };
    let target = match (json::gone(record), json::object(record)) {
        (Some(count), _) => format!("{count} records"),
        (None, Some(number)) => format!("#{number}"),
        (None, None) => json::target(record).map_or_else(dash, names::who),
    };
    [
        record.seq.to_string(),
        style::seconds(record.time_ns),
        record.decision.name().to_owned(),
        record.op.name().to_owned(),
        names::who(record.subject),
        target,
        cap,
        record.reason.name().to_owned(),
        json::rule(record).map_or_else(dash, |rule| rule.to_string()),
    ]
}

/// Cells are ASCII, so bytes are columns; the last one needs no padding.
fn aligned(
    cells: &[String; 9],
    widths: &[usize; 9],
    paint: impl Fn(usize, String) -> String,
) -> String {
    let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        let text = match column {
            0 | 1 => format!("{cell:>width$}"),
            8 => cell.clone(),
            _ => format!("{cell:<width$}"),
        };
        paint(column, text)
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
