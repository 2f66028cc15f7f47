//! What an export proves, in sentences: nothing is claimed that `nexus_audit` has not checked.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use nexus_audit::{Digest, Fault, KeyCheck, Report, Signature, Signatures, Wrong};
use nexus_keys::{Generation, PublicKey, Seal};
use nexus_system::ids;
use nexus_wire::audit::Record;
use serde::Serialize;

use super::{FAULTY, OK, UNPROVEN, absent, anchor, json, style::Style};

/// The device's checkpoint keys to check with.
#[derive(Default)]
pub(super) struct Key(Vec<PublicKey>);

impl Key {
    /// Each is a file with one line of hexadecimal digits beside lines that begin with `#`, or
    /// the digits themselves.
    pub(super) fn load(keys: &[PathBuf]) -> Result<Key, String> {
        let mut all = Vec::new();
        for path in keys {
            let at = |error: &str| format!("{}: {error}", path.display());
            let key = match path.to_str().map(parse_key) {
                Some(Ok(key)) => key,
                _ => {
                    let text = fs::read_to_string(path).map_err(|error| at(&error.to_string()))?;
                    parse_key(&text).map_err(at)?
                }
            };
            all.push(key);
        }
        Ok(Key(all))
    }
}

fn parse_key(text: &str) -> Result<PublicKey, &'static str> {
    let lines = text.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err("not a key: wanted one line with 64 hexadecimal digits");
    };
    let mut bytes = [0; 32];
    let digits = line.as_bytes().as_chunks::<2>();
    if digits.0.len() != bytes.len() || !digits.1.is_empty() {
        return Err("not a key: wanted 64 hexadecimal digits");
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.0) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let pair = digit(*high).zip(digit(*low));
        *byte = pair.map(|(high, low)| high << 4 | low).ok_or("not a hexadecimal digit")?;
    }
    // With a weak key some signature fits every message.
    PublicKey::enrol(&bytes).map_err(|_| "not a sound Ed25519 public key: it proves nothing")
}

impl KeyCheck for Key {
    fn check(&self, (number, digest): (u64, &Digest), by: &Signature) -> Option<bool> {
        let seal = Seal {
            number,
            digest: *digest,
            generation: Generation(by.generation),
            boot: by.boot,
            caller: ids::LOGD.0,
            signature: by.bytes,
        };
        let signed = |key: &PublicKey| {
            [false, true].into_iter().any(|development| seal.verify_by(key, development).is_ok())
        };
        (!self.0.is_empty()).then(|| self.0.iter().any(signed))
    }
}

/// What kind of thing a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Class {
    /// It is proven.
    Holds,
    /// It is not proven.
    Open,
    /// It is disproved.
    Broken,
}

impl Class {
    /// Its name in pages and JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Class::Holds => "holds",
            Class::Open => "open",
            Class::Broken => "broken",
        }
    }
}

/// One sentence of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Statement {
    pub(super) class: Class,
    pub(super) text: String,
}

pub(super) fn say(class: Class, text: impl Into<String>) -> Statement {
    Statement { class, text: text.into() }
}

/// All that can be said about a checked file, in the order in which one wants to know.
pub(super) fn statements(report: &Report, records: &[Record]) -> Vec<Statement> {
    let mut out = Vec::new();
    if let Some(wrong) = report.wrong {
        out.push(say(Class::Broken, describe(wrong)));
        let good = report.last_seq;
        out.push(say(
            Class::Open,
            match good {
                0 => "No record of this file is proven.".to_owned(),
                good => format!("Nothing after record {good} can be believed."),
            },
        ));
    } else if !report.complete {
        let last = report.last_seq;
        let text = format!("The end of the export is missing: it was cut behind record {last}.");
        out.push(say(Class::Broken, text));
    } else {
        out.push(say(Class::Holds, "The file is whole: its end is there and fits every byte."));
    }
    if report.records > 0 {
        out.push(say(Class::Holds, chained(report)));
    }
    out.extend(checkpoints(report));
    // A file that breaks before its first checkpoint shows nothing about signatures.
    if report.wrong.is_none() || report.signatures != Signatures::None {
        out.extend(signatures(report));
    }
    out.extend(absent::statements(report, records));
    out
}

fn chained(report: &Report) -> String {
    let Report { records, first_seq, last_seq, .. } = report;
    format!(
        "{records} records, {first_seq} to {last_seq}, are in order, and each follows from the one \
         before it in its subject's chain."
    )
}

fn checkpoints(report: &Report) -> Vec<Statement> {
    let Report { checkpoints, proven_to, last_seq, superseded, .. } = *report;
    let mut out = Vec::new();
    if checkpoints > 0 {
        let text = format!(
            "{checkpoints} checkpoints hold: the records up to {proven_to} are those they were \
             made over."
        );
        out.push(say(Class::Holds, text));
    }
    if superseded > 0 {
        let text = format!(
            "{superseded} older checkpoints cannot be recomputed, because records they cover were \
             dropped since; a later one covers what is left."
        );
        out.push(say(Class::Open, text));
    }
    if checkpoints > 0 && proven_to < last_seq {
        let text = format!(
            "Records after {proven_to} are chained but behind the last checkpoint: whoever \
             exported could have left out the newest of them."
        );
        out.push(say(Class::Open, text));
    }
    out
}

fn signatures(report: &Report) -> Vec<Statement> {
    let Report { signed_to, last_seq, signed_by: (boot, generation), .. } = *report;
    let mut out = vec![match report.signatures {
        Signatures::Valid if signed_to == 0 => say(
            Class::Open,
            "A checkpoint is signed with the key given, but no record here is behind it.",
        ),
        Signatures::Valid => say(
            Class::Holds,
            format!(
                "Every record up to {signed_to} is behind a checkpoint signed with the key given \
                 (generation {generation}, boot {boot})."
            ),
        ),
        Signatures::Unchecked => say(
            Class::Open,
            "The checkpoints are signed, but no key was given (--key): who signed is unchecked.",
        ),
        Signatures::Unsigned => say(
            Class::Open,
            "UNSIGNED checkpoints: the file agrees with itself, but whoever could write it could \
             have written all of it anew.",
        ),
        Signatures::None => say(
            Class::Open,
            "No checkpoint: the file agrees with itself, and that is all it shows.",
        ),
    }];
    if report.signatures == Signatures::Valid && (1..last_seq).contains(&signed_to) {
        let text = format!(
            "Records after {signed_to} are behind no signed checkpoint: nothing shows that they are \
             the device's."
        );
        out.push(say(Class::Open, text));
    }
    out
}

/// The first thing that is wrong; every sentence names the record.
fn describe(Wrong { seq, fault }: Wrong) -> String {
    match fault {
        Fault::Container(at) => {
            format!("Record {seq}: the file is damaged where it should be, at byte {at}.")
        }
        Fault::Record => format!("Record {seq} is none: its bytes mean nothing."),
        Fault::Lane => format!("Record {seq} has no place in the chain it says it is of."),
        Fault::Link { after } => {
            let after = match after {
                0 => "the chain's start".to_owned(),
                after => format!("record {after}"),
            };
            format!(
                "Record {seq} does not follow from {after}: it, or what stood between, was \
                 changed, taken out or put in."
            )
        }
        Fault::Missing => format!("Record {seq} is missing, and no dropped front explains it."),
        Fault::Order => format!("Record {seq} is not where it belongs: moved, or put in."),
        Fault::Checkpoint(number) => format!(
            "Record {seq}: checkpoint {number} before it is damaged, out of order, or does not \
             quote the one before."
        ),
        Fault::Root(number) => format!(
            "From record {seq} on: the chains are not those of checkpoint {number}; records were \
             rewritten together with their links."
        ),
        Fault::Signature(number) => {
            format!("Record {seq}: checkpoint {number} before it is not signed with the key given.")
        }
        Fault::Dropped => format!(
            "Record {seq}: more records are gone before it than the journal counted as dropped."
        ),
        Fault::End => format!(
            "Record {seq} is where the file ends, but its end does not fit: bytes were changed or \
             entries taken out."
        ),
    }
}

/// Everything as JSON.
#[derive(Serialize)]
struct Verdict<'a> {
    file: String,
    verdict: &'static str,
    exit: u8,
    records: u64,
    first_seq: u64,
    last_seq: u64,
    proven_to: u64,
    checkpoints: u64,
    signatures: &'static str,
    complete: bool,
    signed_to: u64,
    dropped: u64,
    newest_checkpoint: Option<String>,
    first_wrong: Option<u64>,
    statements: &'a [Statement],
}

/// A checked file.
pub(super) struct Checked<'a> {
    pub(super) report: &'a Report,
    pub(super) records: &'a [Record],
    /// What it says to a checkpoint seen earlier.
    pub(super) anchored: Option<Statement>,
}

impl Checked<'_> {
    /// Exit status and word.
    fn verdict(&self) -> (u8, &'static str) {
        let Checked { report, anchored, .. } = self;
        let other = anchored.as_ref().is_some_and(|said| said.class == Class::Broken);
        match () {
            () if other || report.wrong.is_some() || !report.complete => (FAULTY, "broken"),
            () if report.is_vouched_for() => (OK, "proven"),
            () => (UNPROVEN, "intact"),
        }
    }
}

/// The verdict about a file, as text or JSON, and the exit status.
pub(super) fn render(
    file: &Path,
    checked: &Checked<'_>,
    json_wanted: bool,
    style: Style,
) -> (String, u8) {
    let (report, (exit, word)) = (checked.report, checked.verdict());
    let mut statements = statements(report, checked.records);
    statements.extend(checked.anchored.clone());
    // To be kept: what a later export has to reach.
    let points = fs::read(file).map(|bytes| anchor::checkpoints(&bytes)).unwrap_or_default();
    let newest = points.last().filter(|_| word != "broken").map(anchor::name);
    if json_wanted {
        let verdict = Verdict {
            file: file.display().to_string(),
            verdict: word,
            exit,
            records: report.records,
            first_seq: report.first_seq,
            last_seq: report.last_seq,
            proven_to: report.proven_to,
            checkpoints: report.checkpoints,
            signatures: match report.signatures {
                Signatures::None => "none",
                Signatures::Unsigned => "unsigned",
                Signatures::Unchecked => "unchecked",
                Signatures::Valid => "valid",
            },
            complete: report.complete,
            signed_to: report.signed_to,
            dropped: report.dropped,
            newest_checkpoint: newest,
            first_wrong: report.wrong.map(|wrong| wrong.seq),
            statements: &statements,
        };
        return (json::text(&verdict) + "\n", exit);
    }
    let mut out = text(file, (word, report.last_seq), &statements, style);
    if let Some(name) = newest {
        let _infallible = writeln!(out, "  {:<11}{name} (--anchor)", "newest");
    }
    (out, exit)
}

fn text(file: &Path, (word, last): (&str, u64), statements: &[Statement], style: Style) -> String {
    let headline = match word {
        "proven" => format!(
            "PROVEN up to record {last}: nothing was changed, taken out or put in, and the key \
             signed it"
        ),
        "intact" => "INTACT, but not everything is proven".to_owned(),
        _ => "BROKEN".to_owned(),
    };
    let mut out = format!("{}: {}\n", file.display(), style.verdict(word != "broken", &headline));
    for (class, title) in
        [(Class::Broken, "wrong"), (Class::Holds, "proven"), (Class::Open, "not proven")]
    {
        let of_class = statements.iter().filter(|s| s.class == class);
        for (at, statement) in of_class.enumerate() {
            let title = if at == 0 { title } else { "" };
            let _infallible = writeln!(out, "  {title:<11}{}", statement.text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_reject_files_that_are_no_key() {
        let good = "# mine\n36452777209ac762b4c805bbdf2b1b1ca9b66348312b402bd3661d50078e1acb\n";
        assert!(parse_key(good).is_ok());
        let zeros = "0".repeat(64);
        let weak = format!("01{}", "0".repeat(62));
        for text in ["", "# only\n", "3645", &good.replace('c', "g"), &zeros, &weak] {
            assert!(parse_key(text).is_err(), "{text}");
        }
        let twice = good.repeat(2);
        assert!(parse_key(&twice).is_err());
    }

    #[test]
    fn every_fault_names_its_record() {
        let faults = [
            Fault::Container(9),
            Fault::Record,
            Fault::Lane,
            Fault::Link { after: 0 },
            Fault::Link { after: 4 },
            Fault::Missing,
            Fault::Order,
            Fault::Checkpoint(2),
            Fault::Root(2),
            Fault::Signature(2),
            Fault::Dropped,
            Fault::End,
        ];
        for fault in faults {
            let text = describe(Wrong { seq: 4711, fault });
            assert!(text.to_lowercase().contains("record 4711"), "{text}");
        }
    }
}
