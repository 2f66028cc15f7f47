//! Reads audit records people saved: an exported trail, JSON lines of `nx audit export`, or the
//! text a console shows.

use std::{fs, io::Read as _, path::Path};

use nexus_wire::audit;
use serde_json::Value;

use super::{side::Failure, style::Progress};
use crate::audit_cli;

/// Begins the text form of a record, wherever in a console line it stands.
const TEXT: &str = "audit v1 ";

/// One decision that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) op: String,
    pub(super) decision: String,
    pub(super) reason: String,
    pub(super) subject: Who,
    pub(super) capability: String,
    pub(super) rule: u32,
    pub(super) seq: u64,
    pub(super) time_ns: u64,
    pub(super) boot: u64,
    /// Digest of the policy that decided, as far as the record gives it.
    pub(super) policy: Option<String>,
}

/// Whom a record is about: an id, or the name a tool has put in its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Id(u64),
    Name(String),
}

impl Default for Who {
    fn default() -> Self {
        Self::Id(0)
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// In the order of boots as they appear, and of sequence numbers.
    pub(super) records: Vec<Record>,
    /// Lines that are something else.
    pub(super) other: usize,
}

impl Record {
    /// Whether the policy gave the answer: not a malformed frame, a false identity, a kernel event.
    pub(super) fn is_policy_answer(&self) -> bool {
        let names = |list: &[audit::Reason]| list.iter().any(|reason| reason.name() == self.reason);
        let answered = names(&[
            audit::Reason::Policy,
            audit::Reason::Default,
            audit::Reason::Gate,
            audit::Reason::Limit,
            audit::Reason::Unknown,
        ]);
        let asked = [
            audit::Op::Check,
            audit::Op::Route,
            audit::Op::Exec,
            audit::Op::CheckCap,
            audit::Op::CheckCapDelegated,
        ];
        answered && !self.capability.is_empty() && asked.iter().any(|op| op.name() == self.op)
    }

    /// Whether the answer was an allow.
    pub(super) fn allowed(&self) -> bool {
        self.decision == audit::Decision::Allow.name()
    }

    /// Whether somebody was denied because no rule speaks for them.
    pub(super) fn lacks_a_rule(&self) -> bool {
        !self.allowed() && self.reason == audit::Reason::Default.name()
    }
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Log, Failure> {
    let name = path.display().to_string();
    let wrong = |error: std::io::Error| Failure::Usage(format!("{name}: {error}"));
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().read_to_end(&mut bytes).map_err(wrong)?;
    } else {
        bytes = fs::read(path).map_err(wrong)?;
    }
    if let Some(lines) = audit_cli::json_lines(&bytes) {
        bytes = lines.into_bytes();
    }
    // A console may hold any byte between the records; what is not text is not a record.
    let text = String::from_utf8_lossy(&bytes);
    let mut log = parse(&text).map_err(|why| Failure::Text(format!("{name}:{why}")))?;
    if log.records.is_empty() {
        let help = "expected an exported trail, JSON lines of `nx audit export`, or \
                    `audit v1 ...` text";
        return Err(Failure::Text(format!("{name}: no audit record in it; {help}")));
    }
    sort(&mut log.records);
    Ok(log)
}

fn sort(records: &mut [Record]) {
    let mut boots: Vec<u64> = Vec::new();
    for record in records.iter() {
        if boots.last() != Some(&record.boot) && !boots.contains(&record.boot) {
            boots.push(record.boot);
        }
    }
    let boot = |record: &Record| boots.iter().position(|boot| *boot == record.boot);
    records.sort_by_key(|record| (boot(record), record.seq));
}

/// Every record of a text; a line that begins like a record and is none is an error.
fn parse(text: &str) -> Result<Log, String> {
    let total = text.lines().count();
    let mut progress = Progress::new("reading", total);
    let mut log = Log::default();
    for (index, line) in text.lines().enumerate() {
        progress.at(index);
        let line = line.trim();
        let found = line_record(line).map_err(|why| format!("{}: {why}", index + 1))?;
        match found {
            Some(record) => log.records.push(record),
            None => log.other += usize::from(!line.is_empty()),
        }
    }
    Ok(log)
}

/// One line: a record, something else, or a damaged record.
pub(super) fn line_record(line: &str) -> Result<Option<Record>, String> {
    if line.starts_with('{') {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("bad JSON: {e}"))?;
        return if value.get("op").is_some() { from_json(&value).map(Some) } else { Ok(None) };
    }
    line.split_once(TEXT).map(|(_, rest)| from_text(rest)).transpose()
}

fn from_json(value: &Value) -> Result<Record, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |keys: &[&str]| {
        let given = keys.iter().find_map(|key| value.get(key)).filter(|value| !value.is_null());
        given.map_or(Ok(0), |value| {
            as_number(value).ok_or(format!("`{}`: not a number", keys.join("`/`")))
        })
    };
    let capability = ["cap", "capability"].iter().find_map(|key| value.get(key)?.as_str());
    let policy = ["policy", "digest"].iter().find_map(|key| value.get(key)?.as_str());
    let subject = value.get("subject").map_or(Ok(Who::default()), who)?;
    Record {
        op: text("op"),
        decision: text("decision"),
        reason: text("reason"),
        subject,
        capability: capability.unwrap_or_default().to_owned(),
        rule: u32::try_from(number(&["rule"])?).map_err(|_| "`rule`: out of range")?,
        seq: number(&["seq"])?,
        time_ns: number(&["time_ns"])?,
        boot: number(&["boot", "boot_id"])?,
        policy: policy.map(str::to_owned),
    }
    .checked()
}

/// A name, a number, or an object with both.
fn who(value: &Value) -> Result<Who, String> {
    let inner = value.get("id").unwrap_or(value);
    let number = as_number(inner).map(Who::Id);
    let name = || inner.as_str().filter(|name| !name.is_empty()).map(|n| Who::Name(n.to_owned()));
    number.or_else(name).ok_or_else(|| "`subject`: neither an id nor a name".to_owned())
}

fn as_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| parse_number(value.as_str()?))
}

/// Decimal, or hexadecimal with `0x`.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |d| u64::from_str_radix(d, 16).ok())
}

fn from_text(rest: &str) -> Result<Record, String> {
    let mut record = Record::default();
    for (key, value) in rest.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        let number = || parse_number(value).ok_or_else(|| format!("`{key}={value}`: not a number"));
        match key {
            "op" => record.op = value.to_owned(),
            "decision" => record.decision = value.to_owned(),
            "reason" => record.reason = value.to_owned(),
            "cap" => record.capability = value.to_owned(),
            "subject" => record.subject = Who::Id(number()?),
            "rule" => record.rule = u32::try_from(number()?).map_err(|e| e.to_string())?,
            "seq" => record.seq = number()?,
            "time_ns" => record.time_ns = number()?,
            "boot" => record.boot = number()?,
            "policy" | "digest" => record.policy = Some(value.to_owned()),
            _ => {}
        }
    }
    record.checked()
}

impl Record {
    /// Operations and reasons that no record has are a damaged line, not an unknown dialect.
    fn checked(self) -> Result<Record, String> {
        let known =
            |names: &[(u8, &str)], name: &str| names.iter().any(|(_, known)| *known == name);
        for (key, names, found) in [
            ("op", audit::Op::NAMES, &self.op),
            ("decision", audit::Decision::NAMES, &self.decision),
            ("reason", audit::Reason::NAMES, &self.reason),
        ] {
            if !known(names, found) {
                let found = super::describe::printable(found);
                return Err(format!("`{key}` is `{found}`, which no audit record has"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT_LINE: &str = "[3] audit v1 op=check_cap decision=deny subject=0x0000000000000014 \
        target=0x0000000000000000 reason=default cap=crypto.sign enforcer=0x0000000000000014 \
        rule=0 nonce=0x00000001 required seq=7 time_ns=1500 boot=0x000000000000002a";

    #[test]
    fn both_forms_say_the_same() {
        let text = line_record(TEXT_LINE).unwrap().unwrap();
        assert_eq!((text.seq, text.time_ns, text.boot), (7, 1500, 42));
        assert!(text.lacks_a_rule() && text.is_policy_answer());
        for json in [
            r#"{"op":"check_cap","decision":"deny","reason":"default","enforcer":20,"subject":20,
                "target":0,"cap":"crypto.sign","rule":0,"nonce":1,"seq":7,"time_ns":1500,"boot":42}"#,
            r#"{"seq":7,"boot":"0x2a","time_ns":1500,"op":"check_cap","decision":"deny",
                "reason":"default","subject":{"id":"0x14","name":"x"},"target":null,
                "capability":"crypto.sign","rule":null,"nonce":null,"flags":[],"args":["0x0","0x0"]}"#,
        ] {
            assert_eq!(line_record(&json.replace('\n', " ")).unwrap().unwrap(), text);
        }
    }

    #[test]
    fn records_of_the_wire_are_understood() {
        for reason in audit::Reason::ALL {
            let wire = audit::Record::new(audit::Op::CheckCap, audit::Decision::Deny, *reason);
            let mut buffer = [0; audit::TEXT_MAX];
            let read = line_record(wire.text(&mut buffer)).unwrap().unwrap();
            assert_eq!(read.reason, reason.name());
        }
    }

    #[test]
    fn other_lines_are_counted_and_records_sorted() {
        let second = TEXT_LINE.replace("seq=7", "seq=3");
        let log = parse(&format!("boot\n\n{TEXT_LINE}\n{second}\n{{\"head\":1}}\n")).unwrap();
        assert_eq!((log.records.len(), log.other), (2, 2));
        let mut records = log.records;
        sort(&mut records);
        assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [3, 7]);
    }

    #[test]
    fn test_reject_damaged_records() {
        for line in [
            "{\"op\":",
            "{\"op\":\"chek\"}",
            "audit v1 op=check decision=maybe reason=policy",
            "audit v1 op=check decision=deny reason=policy seq=x",
            "{\"op\":\"check\",\"decision\":\"deny\",\"reason\":\"policy\",\"subject\":[]}",
            "{\"op\":\"check\",\"decision\":\"deny\",\"reason\":\"policy\",\"rule\":4294967296}",
        ] {
            let found = parse(&format!("\n{line}\n")).unwrap_err();
            assert!(found.starts_with("2: "), "{found}");
        }
    }
}
