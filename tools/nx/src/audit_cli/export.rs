//! Records for other programs.

use nexus_wire::audit::Record;

use super::{cef, json, ocsf, style::Progress};

/// Text forms, one record a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// All fields as JSON; `nx audit` reads it back
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework 1.3, one JSON object a line
    Ocsf,
    /// ArcSight Common Event Format, version 0
    Cef,
    /// Records with their chains and checkpoints, for `nx audit verify`; from a running image
    Native,
}

/// All records, a line each.
pub(super) fn render(records: &[Record], format: Format, boot_s: u64) -> String {
    let progress = Progress::new("export", records.len());
    let mut out = String::new();
    for (done, record) in records.iter().enumerate() {
        progress.at(done);
        out.push_str(&match format {
            // Chains are not of single records: see the module `native`.
            Format::Jsonl | Format::Native => json::line(record),
            Format::Ocsf => ocsf::line(record, boot_s),
            Format::Cef => cef::line(record),
        });
        out.push('\n');
    }
    out
}
