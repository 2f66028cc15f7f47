//! A record as JSON: the lossless text form. Ids are hexadecimal strings, because readers of
//! JSON may keep 53 bits only; the fields and their order are stable.

use nexus_wire::audit::{Flags, Op, PolicyTag, Record};
use serde::Serialize;

use super::names;

#[derive(Serialize)]
struct Who {
    id: String,
    name: Option<&'static str>,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    boot: String,
    policy: Option<String>,
    time_ns: u64,
    op: &'static str,
    decision: &'static str,
    reason: &'static str,
    subject: Who,
    target: Option<Who>,
    enforcer: Who,
    capability: Option<&'a str>,
    rule: Option<u32>,
    nonce: Option<String>,
    flags: Vec<&'static str>,
    args: [String; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<u64>,
}

fn who(id: u64) -> Who {
    Who { id: names::hex(id), name: names::of(id) }
}

/// The capability as text; names are UTF-8 by construction.
pub(super) fn capability(record: &Record) -> Option<&str> {
    std::str::from_utf8(record.cap.as_bytes()).ok().filter(|name| !name.is_empty())
}

/// What the journal dropped of a subject, as one would tell it; `None` for other records.
pub(super) fn suppressed(record: &Record) -> Option<String> {
    let (count, denials, [first, last]) = (record.target, u64::from(record.nonce), record.args);
    let what = match denials {
        _ if record.op != Op::Dropped => return None,
        denials if denials == count => "similar denials suppressed".to_owned(),
        0 => "similar records suppressed".to_owned(),
        denials => format!("similar records suppressed, {} of them denials", grouped(denials)),
    };
    let (who, count) = (names::who(record.subject), grouped(count));
    Some(format!("subject {who}: {count} {what}, first {first}, last {last}"))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// How many records it says are gone: some records count in their target.
pub(super) fn gone(record: &Record) -> Option<u64> {
    matches!(record.op, Op::Lost | Op::Dropped).then_some(record.target)
}

/// Whom the record's target names, if it names anybody.
pub(super) fn target(record: &Record) -> Option<u64> {
    let named = gone(record).is_none() && object(record).is_none();
    (record.target != 0 && named).then_some(record.target)
}

/// The number of the key, counter or checkpoint an outcome is about.
pub(super) fn object(record: &Record) -> Option<u64> {
    let numbered = record.op.is_outcome() && record.op != Op::Secret && record.target != 0;
    numbered.then_some(record.target)
}

/// The rule that decided; a policy_load counts rules there.
pub(super) fn rule(record: &Record) -> Option<u32> {
    let decided = record.rule != 0 && record.op != Op::PolicyLoad;
    decided.then_some(record.rule)
}

/// The policy that was in force, as the beginning of its digest.
pub(super) fn policy(record: &Record) -> Option<String> {
    (record.policy != 0).then(|| PolicyTag(record.policy).to_string())
}

/// Names of flags.
pub(super) const FLAGS: [(Flags, &str); 5] = [
    (Flags::NONCE, "nonce"),
    (Flags::DELEGATED, "delegated"),
    (Flags::CONTROL, "control"),
    (Flags::REQUIRED, "required"),
    (Flags::CLAIMED, "claimed"),
];

/// Names of the flags that are set.
pub(super) fn flags(record: &Record) -> Vec<&'static str> {
    FLAGS.into_iter().filter(|(flag, _)| record.flags.has(*flag)).map(|(_, name)| name).collect()
}

/// The record on one line, ASCII, without line end.
pub(super) fn line(record: &Record) -> String {
    // Kernel records keep a process's incarnation there, without the flag.
    let has_nonce = record.flags.has(Flags::NONCE) || record.nonce != 0;
    let nonce = has_nonce.then(|| format!("0x{:08x}", record.nonce));
    let line = Line {
        seq: record.seq,
        boot: format!("0x{:08x}", record.boot),
        policy: policy(record),
        time_ns: record.time_ns,
        op: record.op.name(),
        decision: record.decision.name(),
        reason: record.reason.name(),
        subject: who(record.subject),
        target: target(record).map(who),
        enforcer: who(record.enforcer),
        capability: capability(record),
        rule: (record.rule != 0).then_some(record.rule),
        nonce,
        flags: flags(record),
        args: record.args.map(|arg| format!("{arg:#x}")),
        gone: gone(record),
        object: object(record),
    };
    text(&line)
}

/// Any value as ASCII JSON. Writing plain data into memory cannot fail.
pub(super) fn text<T: Serialize>(value: &T) -> String {
    ascii(&serde_json::to_string(value).unwrap_or_default())
}

/// The same JSON without a character that a terminal or a page could act on: beyond printable
/// ASCII, JSON has characters only inside strings, and there `\u` means the same.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if (' '..='~').contains(&c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// JSON that can stand inside a `<script>` element: nothing in it ends or opens a tag.
pub(super) fn for_html(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use nexus_wire::{
        Capability,
        audit::{CapName, Decision, Reason},
    };
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_name_survives() {
        for name in ["a\"b", "x\u{1b}[2J", "</script><b>", "|=\\", "\u{202e}\u{1f600}", "\n\u{7f}"]
        {
            let record = Record {
                cap: CapName::new(Capability::new(name).unwrap()),
                ..Record::new(Op::CheckCap, Decision::Deny, Reason::Unknown)
            };
            let text = line(&record);
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
            for text in [text.clone(), for_html(&text)] {
                let value: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["capability"], name);
            }
            assert!(!for_html(&text).contains(['<', '>', '&']));
        }
    }

    #[test]
    fn test_fields_and_their_order_are_stable() {
        let record = Record {
            seq: 7,
            subject: 20,
            enforcer: 1,
            target: 3,
            rule: 5,
            policy: 0x7856_3412,
            cap: CapName::new(Capability::new("route.logd").unwrap()),
            ..Record::new(Op::Route, Decision::Allow, Reason::Policy)
        };
        let expected = concat!(
            r#"{"seq":7,"boot":"0x00000000","policy":"12345678","time_ns":0,"op":"route","decision":"allow","#,
            r#""reason":"policy","subject":{"id":"0x14","name":"selftest-client"},"#,
            r#""target":{"id":"0x03","name":"logd"},"enforcer":{"id":"0x01","name":"nexus-init"},"#,
            r#""capability":"route.logd","rule":5,"nonce":null,"flags":[],"args":["0x0","0x0"]}"#
        );
        assert_eq!(line(&record), expected);
    }

    #[test]
    fn records_that_count_have_no_target() {
        let lost = Record { target: 12, ..Record::new(Op::Lost, Decision::None, Reason::Overflow) };
        let value: Value = serde_json::from_str(&line(&lost)).unwrap();
        assert_eq!((&value["gone"], &value["target"]), (&Value::from(12), &Value::Null));
    }
}
