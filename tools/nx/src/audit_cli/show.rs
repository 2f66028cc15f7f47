//! One record in words: who asked whom, what was decided, by which rule, what was done since.

use std::{fmt::Write as _, path::Path};

use nexus_manifest::authoring::System;
use nexus_sel::authoring::{self, Compiled, RuleSource};
use nexus_wire::audit::{Decision, Flags, Op, Reason, Record};

use super::{json, names, style};
use style::Style;

/// Everything about `record`, with what `all` and the policy of the tree say about it.
pub(super) fn render(record: &Record, all: &[Record], root: &Path, style: Style) -> String {
    let title = format!("record {} of boot 0x{:08x}", record.seq, record.boot);
    let mut out = format!("{}\n\n", style.bold(&title));
    let sentence = sentence(record);
    let _infallible = writeln!(out, "  {}\n", style.decision(record.decision, &sentence));
    for (label, text) in facts(record) {
        let _infallible = writeln!(out, "  {label:<11}{text}");
    }
    for text in rule(record, root) {
        let _infallible = writeln!(out, "  {:<11}{text}", "rule");
    }
    out.push_str(&neighbours(record, all));
    let _infallible = writeln!(out, "\n  {}", style.dim(&record.to_string()));
    out
}

/// What happened, as one would tell it.
fn sentence(record: &Record) -> String {
    let who = names::who(record.subject);
    let target = json::target(record).map_or_else(|| "nobody".to_owned(), names::who);
    let cap = style::shown(record.cap.as_bytes());
    let verb = match record.decision {
        Decision::Allow => "was allowed",
        Decision::Deny => "was denied",
        Decision::None => "was not decided about",
    };
    match record.op {
        Op::Check => format!("{who} {verb} to speak at all"),
        Op::Route => format!("{who} {verb} a channel to {target}"),
        Op::Exec => format!("{who} {verb} to start image {}", record.args[0]),
        Op::CheckCap | Op::CheckCapDelegated => format!("{who} {verb} the capability {cap}"),
        Op::AbiProfile => format!("{who} {verb} an ABI profile"),
        Op::Malformed => format!("{who} sent a frame that is no request"),
        Op::Unsupported => format!("{who} asked in a version or for an operation nobody knows"),
        Op::PolicyLoad => loaded(record),
        Op::Lost => {
            let whose = names::who(record.enforcer);
            format!("{} records of {whose} were lost before the journal", record.target)
        }
        Op::Dropped => json::suppressed(record).unwrap_or_default(),
        Op::Health => match record.decision {
            Decision::Deny => degraded(record),
            _ => "the audit is well again".to_owned(),
        },
        op if op.is_outcome() => outcome(record, &who),
        Op::KernelSyscallDenied => format!("{who} made the system call {cap}, outside its mask"),
        Op::KernelCapDenied => format!("{who} used a handle without the right for it: {cap}"),
        Op::KernelCapDerived => format!("{who} handed a capability to {target}"),
        Op::KernelCapRevoked => format!("{who} revoked a capability"),
        Op::KernelProcessCreated => format!("{who} created the process {target}"),
        Op::KernelProcessExited => format!("{who} ended with code {}", record.args[0] as i64),
        Op::KernelProcessFaulted => format!("{who} was killed by a fault: {cap}"),
        Op::KernelFrameRefused => format!("{who} sent a frame of a size the kernel refuses"),
        // Operations younger than this command are told by their names.
        #[allow(unreachable_patterns, reason = "the set of operations grows elsewhere")]
        op => format!("{who} {verb}: {} {cap}", op.name()),
    }
}

/// Kinds of trouble of a health record that tell of a restart.
pub(super) const RESTARTED: u64 = 5;
/// As [`RESTARTED`], and nothing of before is left.
pub(super) const WIPED: u64 = 6;

/// What got worse about the audit itself; the numbers are in docs/logd.md.
fn degraded(record: &Record) -> String {
    let [trouble, by] = record.args;
    match trouble {
        1 => format!("the audit got worse: {by} records were lost before the journal"),
        2 => format!("the audit got worse: {by} kernel events were lost before the journal"),
        3 => format!("the audit got worse: {by} places of the journal were damaged"),
        4 => "the audit got worse: records wait too long".to_owned(),
        RESTARTED => {
            format!(
                "the journal was restarted, {by} times in this boot; it goes on with its records"
            )
        }
        WIPED => {
            "the journal was restarted, its records were not readable: it began anew".to_owned()
        }
        other => format!("the audit got worse: trouble {other}, {by}"),
    }
}

/// What became of something that was allowed, or that nobody had to allow.
fn outcome(record: &Record, who: &str) -> String {
    let reporter = names::who(record.enforcer);
    let what = match record.op {
        Op::KeyUse => "used a key",
        Op::KeyLifecycle => "made, rotated or revoked a key",
        Op::Secret => "touched a secret",
        Op::Attest => "attested the device's state",
        Op::Counter => "moved a counter",
        Op::State => "opened the durable state",
        Op::Entropy => "tested the entropy source",
        Op::Seal => "signed a checkpoint",
        Op::Shutdown => "ended the system",
        op => op.name(),
    };
    let how = match (record.decision, record.reason) {
        (Decision::Deny, reason) => format!("did not work: {}", reason.name()),
        _ => "was done".to_owned(),
    };
    format!("{reporter} {what} for {who}, number {}: it {how}", record.target)
}

fn loaded(record: &Record) -> String {
    match record.decision {
        Decision::Allow => {
            let (version, rules) = (record.args[0], record.rule);
            format!("the authority started with policy version {version}, {rules} rules")
        }
        _ => "the authority started without a valid policy: it denies everything".to_owned(),
    }
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let mut out = vec![
        ("when", format!("{} s after boot", style::seconds(record.time_ns))),
        ("operation", record.op.name().to_owned()),
        ("decision", format!("{}, because {}", record.decision.name(), because(record.reason))),
        ("subject", names::who(record.subject)),
        ("asked by", asked_by(record)),
    ];
    if let Some(target) = json::target(record) {
        out.push(("target", names::who(target)));
    }
    if !record.cap.as_bytes().is_empty() {
        out.push(("capability", style::shown(record.cap.as_bytes())));
    }
    if record.flags.has(Flags::NONCE) {
        out.push(("nonce", format!("0x{:08x}, chosen by the sender", record.nonce)));
    }
    if record.op.is_kernel() && record.nonce != 0 {
        out.push(("instance", format!("{}, counted by the kernel", record.nonce)));
    }
    if record.flags.has(Flags::CONTROL) {
        out.push(("channel", "the supervisor's private one".to_owned()));
    }
    if record.flags.has(Flags::REQUIRED) {
        let text = "required: without room for this record the answer would have been deny";
        out.push(("audit", text.to_owned()));
    }
    if record.op.is_outcome() {
        let said = match record.args[0] {
            0 => "none that is held".to_owned(),
            number => format!("record {number}"),
        };
        out.push(("allowed by", said));
    }
    if record.flags.has(Flags::CLAIMED) {
        out.push(("claimed", "to be another enforcer; the one named is the lane's".to_owned()));
    }
    if record.args != [0; 2] {
        let [a0, a1] = record.args;
        out.push(("arguments", format!("{a0:#x}, {a1:#x}")));
    }
    if record.reason == Reason::Identity && record.args[1] != 0 {
        out.push(("claimed", format!("to speak for {}", names::who(record.args[1]))));
    }
    out
}

fn asked_by(record: &Record) -> String {
    let who = names::who(record.enforcer);
    match () {
        () if record.op.is_kernel() => format!("nobody: {who} reports it"),
        () if record.flags.has(Flags::DELEGATED) => format!("{who}, on the subject's behalf"),
        () if record.enforcer == record.subject => "the subject itself".to_owned(),
        () => who,
    }
}

const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Policy => "a rule says so",
        Reason::Identity => "the sender spoke for somebody else without the right to",
        Reason::Malformed => "the frame did not decode",
        Reason::Unsupported => "its version or operation is unknown",
        Reason::Default => "no rule grants it",
        Reason::Gate => "the granting rule's condition did not hold",
        Reason::NoPolicy => "there is no valid policy",
        Reason::AuditUnavailable => "it had to be recorded and could not be",
        Reason::Unknown => "the subject, target or capability is not known",
        Reason::Limit => "a limit is used up",
        Reason::Kernel => "the kernel reports it",
        Reason::Overflow => "a buffer was full",
        #[allow(unreachable_patterns, reason = "the set of reasons grows elsewhere")]
        reason => reason.name(),
    }
}

/// The rule that decided, if the tree's policy is the one the record names.
fn rule(record: &Record, root: &Path) -> Vec<String> {
    let Some(id) = json::rule(record) else { return Vec::new() };
    let Some(policy) = json::policy(record) else {
        return vec![format!("{id}, of a policy the record does not name")];
    };
    let number = format!("{id}, of policy {policy}");
    let Ok(compiled) = compile(root) else {
        return vec![format!("{number} (the policy of this tree does not compile)")];
    };
    let ours = compiled.policy().map(|policy| policy.tag());
    if ours.ok() != Some(record.policy) {
        return vec![format!("{number}, not the policy of this tree")];
    }
    let Some(source) = compiled.rules.iter().find(|rule| rule.id.0 == id) else {
        return vec![format!("{number}, which has no such rule here")];
    };
    vec![number, written(source)]
}

fn written(rule: &RuleSource) -> String {
    let effect = match rule.effect {
        nexus_sel::Effect::Allow => "allow",
        nexus_sel::Effect::Deny => "deny",
    };
    let RuleSource { file, line, subject, capability, gates, .. } = rule;
    let when = gates.iter().map(|gate| format!(" when {gate}")).collect::<String>();
    format!("{file}:{line}: {effect} {subject} {capability}{when}")
}

fn compile(root: &Path) -> Result<Compiled, String> {
    let system = System::load(root).map_err(|faults| faults.to_string())?;
    let dir = root.join(crate::policy::POLICY_DIR);
    authoring::compile_dir(&dir, &crate::policy::names(&system)).map_err(|e| e.to_string())
}

/// The same request elsewhere in the trail, and what comes right before and after.
fn neighbours(record: &Record, all: &[Record]) -> String {
    let same = |other: &&Record| {
        (other.op, other.subject, other.cap, other.target, other.decision)
            == (record.op, record.subject, record.cap, record.target, record.decision)
    };
    let count = all.iter().filter(same).count();
    let others = match count {
        0 | 1 => "the only one of its kind here".to_owned(),
        count => {
            let first = all.iter().find(same).map_or(0, |other| other.seq);
            format!("one of {count} alike, the first is {first}")
        }
    };
    format!("  {:<11}{others}\n", "alike")
}
