//! Records back from their JSON form.

use nexus_wire::{
    Capability,
    audit::{CapName, Decision, Flags, Op, Reason, Record},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Who {
    id: String,
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    boot: String,
    policy: Option<String>,
    time_ns: u64,
    op: String,
    decision: String,
    reason: String,
    subject: Who,
    target: Option<Who>,
    enforcer: Who,
    capability: Option<String>,
    rule: Option<u32>,
    nonce: Option<String>,
    flags: Vec<String>,
    args: [String; 2],
    gone: Option<u64>,
    object: Option<u64>,
}

/// Every line's record.
///
/// # Errors
/// Names the first line that is no record.
pub(super) fn read(text: &str) -> Result<Vec<Record>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(at, line)| {
        let line: Line = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", at + 1))?;
        record(&line).ok_or_else(|| format!("line {}: not a record of this version", at + 1))
    });
    records.collect()
}

fn record(line: &Line) -> Option<Record> {
    let nonce = line.nonce.as_deref().map(hex).map_or(Some(None), |n| n.map(Some))?;
    let cap = line.capability.as_deref().map(Capability::new);
    let target = match (&line.target, line.gone) {
        (Some(target), None) => hex(&target.id)?,
        (None, gone) => gone.or(line.object).unwrap_or(0),
        _ => return None,
    };
    let [a0, a1] = &line.args;
    Some(Record {
        seq: line.seq,
        boot: u32::try_from(hex(&line.boot)?).ok()?,
        policy: line.policy.as_deref().map_or(Some(0), policy)?,
        time_ns: line.time_ns,
        flags: flags(&line.flags)?,
        nonce: u32::try_from(nonce.unwrap_or(0)).ok()?,
        enforcer: hex(&line.enforcer.id)?,
        subject: hex(&line.subject.id)?,
        target,
        rule: line.rule.unwrap_or(0),
        cap: cap.map_or(Some(CapName::NONE), |cap| cap.map(CapName::new))?,
        args: [hex(a0)?, hex(a1)?],
        ..Record::new(
            Op::from_code(code(Op::NAMES, &line.op)?)?,
            Decision::from_code(code(Decision::NAMES, &line.decision)?)?,
            Reason::from_code(code(Reason::NAMES, &line.reason)?)?,
        )
    })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The eight digits a digest begins with.
fn policy(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()?;
    Some(number.swap_bytes())
}

fn code(names: &[(u8, &str)], name: &str) -> Option<u8> {
    names.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
}

fn flags(names: &[String]) -> Option<Flags> {
    names.iter().try_fold(Flags::NONE, |all, name| {
        let flag = super::json::FLAGS.iter().find(|(_, known)| known == name)?.0;
        Some(all.or(flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_cli::json;

    #[test]
    fn json_loses_nothing() {
        for op in Op::ALL {
            let record = Record {
                seq: u64::MAX,
                boot: u32::MAX,
                policy: 0x7856_3412,
                time_ns: u64::MAX,
                flags: Flags::NONCE.or(Flags::CONTROL).or(Flags::REQUIRED),
                nonce: 7,
                enforcer: u64::MAX,
                subject: 20,
                target: 9,
                rule: 5,
                cap: CapName::new(Capability::new("a\"\u{2028}\n|").unwrap()),
                args: [u64::MAX, 1],
                ..Record::new(*op, Decision::Deny, Reason::Limit)
            };
            assert_eq!(read(&json::line(&record)), Ok(vec![record]), "{}", op.name());
            let incarnation = Record { flags: Flags::NONE, ..record };
            assert_eq!(read(&json::line(&incarnation)), Ok(vec![incarnation]), "{}", op.name());
        }
    }

    #[test]
    fn test_reject_lines_that_are_no_record() {
        let record = Record::new(Op::Check, Decision::Deny, Reason::Default);
        let good = json::line(&record);
        for (what, with) in [
            ("\"check\"", "\"chek\""),
            ("\"deny\"", "\"no\""),
            ("\"0x00\"", "\"zero\""),
            ("[]", "[\"x\"]"),
            ("\"seq\":0", "\"seq\":-1"),
        ] {
            let bad = good.replacen(what, with, 1);
            assert_ne!(bad, good);
            let error = read(&format!("{good}\n{bad}\n")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{error}");
        }
    }
}
