//! Where records come from, and what they are worth.

use std::{fs, path::Path};

use nexus_audit::{Entries, Entry, Report};
use nexus_wire::audit::Record;

use super::{
    channel::{Channel, Trouble},
    jsonl,
    style::Progress,
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

/// Reads what a running image holds now; reading is recorded too, and is not read again.
pub(super) fn live(socket: &Path) -> Result<Trail, String> {
    let said = |trouble: Trouble| trouble.to_string();
    let (mut channel, _) = Channel::open(socket).map_err(said)?;
    let head = channel.head().map_err(said)?;
    let progress = Progress::new("read", usize::try_from(head).unwrap_or(usize::MAX));
    let (mut since, mut records) = (0, Vec::new());
    while since < head {
        let (page, next) = channel.page(since).map_err(said)?;
        records.extend(page.into_iter().filter(|record| record.seq < head));
        progress.at(records.len());
        if next <= since {
            break;
        }
        since = next;
    }
    Ok(Trail { records, report: None })
}

/// The records of an export, which its bytes alone do not prove.
pub(super) fn exported(bytes: &[u8]) -> Option<Vec<Record>> {
    Entries::open(bytes).ok().map(|_| readable(bytes))
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

#[cfg(test)]
mod tests {
    use super::super::channel::tests::{Place, image, record};
    use super::*;

    #[test]
    fn a_running_image_is_read_to_its_end() {
        let place = Place::new("live");
        let all: Vec<Record> = (5..30).map(|seq| record(seq, 20)).collect();
        let image = image(&place.socket(), all.clone(), &[(64, 1)]);
        let trail = live(&place.socket()).unwrap();
        image.join().unwrap();
        assert_eq!(trail.records, all);
        assert_eq!(trail.doubt().as_deref(), Some(NO_CHAIN));
        assert!(live(&place.socket()).is_err(), "gone");
    }
}
