//! Where records come from, and what they are worth.

use std::{fs, path::Path};

use nexus_audit::{Entries, Entry, Report};
use nexus_wire::audit::Record;

use super::{
    jsonl,
    verify::{self, Class, Key, Statement},
};

/// Records and what is known about them.
pub(super) struct Trail {
    /// In the order of the source.
    pub(super) records: Vec<Record>,
    /// What its chains prove; `None` if the source has none.
    pub(super) report: Option<Report>,
}

/// What records without chains are worth.
const NO_CHAIN: &str = "This source carries no chain: nothing proves these records.";

impl Trail {
    /// What is proven and what is not.
    pub(super) fn statements(&self) -> Vec<Statement> {
        match &self.report {
            Some(report) => verify::statements(report, &self.records),
            None => vec![Statement { class: Class::Open, text: NO_CHAIN.to_owned() }],
        }
    }

    /// What a reader of single records has to know first, if anything.
    pub(super) fn doubt(&self) -> Option<String> {
        let statements = self.statements();
        let broken = statements.iter().find(|said| said.class == Class::Broken);
        match (&self.report, broken) {
            (None, _) => Some(NO_CHAIN.to_owned()),
            (Some(_), broken) => broken.map(|said| format!("BROKEN: {}", said.text)),
        }
    }
}

/// Reads an exported file: the export itself, or JSON lines made of one.
pub(super) fn load(path: &Path, key: &Key) -> Result<Trail, String> {
    let at = |error: &str| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| at(&error.to_string()))?;
    if Entries::open(&bytes).is_ok() {
        let report = Some(nexus_audit::verify(&bytes, key));
        return Ok(Trail { records: readable(&bytes), report });
    }
    let text = str::from_utf8(&bytes).ok().filter(|text| text.trim_start().starts_with('{'));
    let text = text.ok_or_else(|| at("neither an audit export nor JSON lines"))?;
    let records = jsonl::read(text).map_err(|error| at(&error))?;
    Ok(Trail { records, report: None })
}

/// Every record that can be read, proven or not.
fn readable(file: &[u8]) -> Vec<Record> {
    let entries = Entries::open(file).into_iter().flatten().map_while(Result::ok);
    let record = |entry| match entry {
        Entry::Record { bytes, .. } => Record::decode(bytes),
        _ => None,
    };
    entries.filter_map(record).collect()
}
