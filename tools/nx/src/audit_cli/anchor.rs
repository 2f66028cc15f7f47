//! A checkpoint seen earlier, held against a file: shows a file that is older than what was seen,
//! or of another history.

use std::{fs, path::Path};

use nexus_audit::{Checkpoint, Entries, Entry};

use super::verify::{Class, Statement};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    number: u64,
    digest: Option<String>,
}

/// `NUMBER` or `NUMBER:DIGEST`.
pub(super) fn parse(text: &str) -> Result<Anchor, String> {
    let (number, digest) = match text.split_once(':') {
        Some((number, digest)) => (number, Some(digest.to_ascii_lowercase())),
        None => (text, None),
    };
    let is_digest = |d: &String| d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit());
    match number.parse() {
        Ok(number) if number > 0 && digest.as_ref().is_none_or(is_digest) => {
            Ok(Anchor { number, digest })
        }
        _ => Err("wanted NUMBER or NUMBER:DIGEST with 64 hexadecimal digits".to_owned()),
    }
}

/// The checkpoints of a file, good or not.
pub(super) fn checkpoints(file: &[u8]) -> Vec<Checkpoint> {
    let entries = Entries::open(file).into_iter().flatten().map_while(Result::ok);
    let points = entries.filter_map(|entry| match entry {
        Entry::Checkpoint(bytes) => Checkpoint::decode(bytes),
        _ => None,
    });
    points.collect()
}

/// How a checkpoint is named to people, and to `--anchor`.
pub(super) fn name(point: &Checkpoint) -> String {
    let digest: String = point.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{digest}", point.number)
}

impl Anchor {
    /// What the file says to it.
    pub(super) fn check(&self, path: &Path) -> Result<Statement, String> {
        let file = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(self.against(&checkpoints(&file)))
    }

    fn against(&self, points: &[Checkpoint]) -> Statement {
        let newest = points.iter().map(|point| point.number).max().unwrap_or(0);
        let number = self.number;
        let seen = points.iter().find(|point| point.number == number).map(name);
        let said = |class, text| Statement { class, text };
        match (seen, &self.digest) {
            _ if newest < number => said(
                Class::Broken,
                format!(
                    "The file ends at checkpoint {newest}, older than checkpoint {number}, which was \
                     seen: its tail was cut, or it is an old copy."
                ),
            ),
            (Some(name), Some(digest)) if name != format!("{number}:{digest}") => said(
                Class::Broken,
                format!("Checkpoint {number} is not the one that was seen: another history."),
            ),
            (Some(_), Some(_)) => {
                said(Class::Holds, format!("Checkpoint {number} is the one that was seen."))
            }
            _ => said(
                Class::Open,
                format!(
                    "The file reaches beyond checkpoint {number}, but does not show that it is the \
                     one that was seen."
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Checkpoint> {
        (3..6)
            .map(|number| Checkpoint { number, last_seq: number, ..Checkpoint::default() })
            .collect()
    }

    fn class(text: &str) -> Class {
        parse(text).unwrap().against(&points()).class
    }

    #[test]
    fn what_was_seen_is_found_or_missed() {
        assert_eq!(class(&name(&points()[1])), Class::Holds);
        assert_eq!(class("5"), Class::Open);
        assert_eq!(class("2"), Class::Open);
    }

    #[test]
    fn test_reject_older_files_and_other_histories() {
        assert_eq!(class("6"), Class::Broken);
        assert_eq!(class(&format!("4:{}", "0".repeat(64))), Class::Broken);
        for text in ["", "0", "x", "4:", "4:12", "-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
