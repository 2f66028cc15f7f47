//! What the bench image prints: one JSON object per line between two sentinels.
use serde::Deserialize;

use super::BenchError;
use crate::judge::{Origin, split_origin};

/// First line of a report.
const BEGIN: &str = "BENCH-BEGIN";
/// Last line of a report.
const END: &str = "BENCH-END";

/// Back-to-back counter reads differ by one instruction, ten `nop`s between them by eleven:
/// anything else and the counter does not count instructions.
const CALIBRATION: [(&str, u64); 2] = [("calibrate.empty", 1), ("calibrate.nop10", 11)];

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measurement {
    /// Row name, as in the budget.
    pub(super) name: String,
    /// Guest instructions.
    pub(super) instructions: u64,
}

/// The calibrated figures of a log, calibration rows left out.
pub(super) fn parse(log: &str) -> Result<Vec<Measurement>, BenchError> {
    let rows = block(log)?.iter().map(|line| row(line)).collect::<Result<Vec<_>, _>>()?;
    for (index, row) in rows.iter().enumerate() {
        if rows.iter().take(index).any(|earlier| earlier.name == row.name) {
            return Err(BenchError::TwiceMeasured(row.name.clone()));
        }
    }
    for (name, want) in CALIBRATION {
        let got = rows.iter().find(|row| row.name == name).map(|row| row.instructions);
        if got != Some(want) {
            return Err(BenchError::NotCalibrated { name, want, got });
        }
    }
    Ok(rows
        .into_iter()
        .filter(|row| CALIBRATION.iter().all(|(name, _)| *name != row.name))
        .collect())
}

/// The lines between the sentinels, from the process that printed the first one.
fn block(log: &str) -> Result<Vec<&str>, BenchError> {
    let stamped: Vec<(Origin, &str)> = log
        .lines()
        .filter_map(|line| match split_origin(line.trim_end_matches('\r')) {
            (Some(origin), text) => Some((origin, text)),
            (None, _) => None,
        })
        .collect();
    let at = |sentinel: &str| {
        let mut places = stamped.iter().enumerate().filter(|(_, (_, text))| *text == sentinel);
        match (places.next(), places.next()) {
            (Some((index, (origin, _))), None) => Ok((index, *origin)),
            _ => Err(BenchError::NoReport),
        }
    };
    let ((begin, writer), (end, closer)) = (at(BEGIN)?, at(END)?);
    if writer != closer || begin > end {
        return Err(BenchError::NoReport);
    }
    let inside = stamped.iter().take(end).skip(begin).skip(1);
    Ok(inside.filter(|(origin, _)| *origin == writer).map(|(_, text)| *text).collect())
}

/// One object; a comma after it is allowed.
fn row(line: &str) -> Result<Measurement, BenchError> {
    let object = line.trim().trim_end_matches(',');
    serde_json::from_str(object).map_err(|_| BenchError::BadRow(line.to_owned()))
}
