//! What `nx policy` prints, for people and as JSON.

use std::fmt::Write as _;

use nexus_sel::{
    AuditMode, Effect, Reason, Sensitivity,
    authoring::{
        Compiled, Diagnostic, Diagnostics, Explanation, Level, Role, RuleSource, expect::Report,
        suggest,
    },
};
use serde_json::{Value, json};

use super::{
    describe,
    style::{Style, Tone},
};

/// Diagnostics as a JSON object.
pub(super) fn diagnostics(found: &Diagnostics) -> Value {
    let items = found.items.iter().map(|item| diagnostic(found, item)).collect::<Vec<_>>();
    json!({
        "errors": found.count(Level::Error),
        "warnings": found.count(Level::Warning),
        "diagnostics": items,
    })
}

fn diagnostic(found: &Diagnostics, item: &Diagnostic) -> Value {
    let labels = item.labels.iter().map(|label| {
        let at = found.position(&label.place);
        let file = found.file(&label.place);
        json!({ "file": file, "line": at.line, "column": at.column, "text": label.text })
    });
    json!({
        "level": item.level.as_str(),
        "code": item.code,
        "message": item.message,
        "labels": labels.collect::<Vec<_>>(),
        "help": item.help,
    })
}

/// What a finished policy is, in one object.
pub(super) fn summary(compiled: &Compiled) -> Value {
    let mut value = diagnostics(&compiled.warnings);
    if let Some(object) = value.as_object_mut() {
        object.insert("version".into(), json!(compiled.model.version));
        object.insert("digest".into(), json!(digest(compiled)));
        object.insert("bytes".into(), json!(compiled.blob.len()));
        object.insert("rules".into(), json!(compiled.rules.len()));
        object.insert("subjects".into(), json!(compiled.model.subjects.len()));
        object.insert("capabilities".into(), json!(compiled.registry.len()));
    }
    value
}

/// The same for people.
pub(super) fn summary_line(compiled: &Compiled) -> String {
    format!(
        "policy version {}: {} rules, {} subjects, {} capabilities, {} bytes, digest {}",
        compiled.model.version,
        compiled.rules.len(),
        compiled.model.subjects.len(),
        compiled.registry.len(),
        compiled.blob.len(),
        digest(compiled)
    )
}

fn digest(compiled: &Compiled) -> String {
    let digest = compiled.policy().map(|policy| policy.digest()).unwrap_or_default();
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The side file of a blob: where each rule stands, tied to the blob by its digest.
pub(super) fn places(compiled: &Compiled) -> Value {
    let rules = compiled.rules.iter().map(rule).collect::<Vec<_>>();
    json!({ "digest": digest(compiled), "version": compiled.model.version, "rules": rules })
}

/// One rule with its place, as JSON.
pub(super) fn rule(rule: &RuleSource) -> Value {
    json!({
        "rule": rule.id.0,
        "effect": effect(rule.effect),
        "subject": rule.subject,
        "capability": rule.capability,
        "gates": rule.gates,
        "until": rule.when.until,
        "limit": rule.when.limit.map(|of| json!({ "count": of.burst, "refill_ns": of.refill_ns })),
        "file": rule.file,
        "line": rule.line,
        "column": rule.column,
    })
}

/// The word for an effect.
pub(super) const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Decided => "decided",
        Role::WouldGrant => "would grant",
        Role::Lost => "lost",
    }
}

/// One rule with its place, for people.
pub(super) fn place(rule: &RuleSource) -> String {
    let mut text = format!(
        "{}:{}:{}: {} {} {}",
        rule.file,
        rule.line,
        rule.column,
        effect(rule.effect),
        rule.subject,
        rule.capability
    );
    for gate in &rule.gates {
        let _ = write!(text, " when {gate}");
    }
    if let Some(until) = rule.when.until {
        let _ = write!(text, " until {}", describe::date(until));
    }
    if let Some(limit) = rule.when.limit {
        let _ = write!(text, " {}", describe::limit(limit));
    }
    text
}

/// The findings of a test run, without the sentence about a policy that was not built.
pub(super) fn without_verdict(found: &Diagnostics) -> String {
    let text = found.to_string();
    text.rsplit_once("\n\n").map_or(String::new(), |(findings, _)| format!("{findings}\n\n"))
}

/// A test run as JSON.
pub(super) fn report(report: &Report) -> Value {
    let mut value = diagnostics(&report.faults);
    if let Some(object) = value.as_object_mut() {
        object.insert("asked".into(), json!(report.asked));
        let untested = report.untested.iter().map(rule).collect::<Vec<_>>();
        object.insert("untested".into(), json!(untested));
    }
    value
}

/// What was asked.
pub(super) struct Question<'a> {
    pub(super) compiled: &'a Compiled,
    pub(super) subject: &'a str,
    pub(super) id: u64,
    pub(super) capability: &'a str,
}

impl Question<'_> {
    pub(super) fn json(&self, found: &Explanation) -> Value {
        let rules = found.rules.iter().map(|(source, part)| {
            let mut value = rule(source);
            if let Some(object) = value.as_object_mut() {
                object.insert("role".into(), json!(role(*part)));
            }
            value
        });
        json!({
            "subject": self.subject,
            "id": self.id,
            "capability": self.capability,
            "decision": effect(found.decision.effect()),
            "reason": found.decision.reason().as_str(),
            "rule": found.decision.rule().0,
            "audit": audit(found.decision.audit()),
            "rules": rules.collect::<Vec<_>>(),
            "digest": digest(self.compiled),
            "version": self.compiled.model.version,
        })
    }

    pub(super) fn text(&self, found: &Explanation, style: Style) -> String {
        let decision = &found.decision;
        let verdict = match decision.is_allow() {
            true => style.paint(Tone::Good, "ALLOW"),
            false => style.paint(Tone::Bad, "DENY"),
        };
        let who = if self.id == 0 { String::new() } else { format!(" (id {})", self.id) };
        let mut text = format!(
            "{verdict}  {}{who}  {}  because: {}\n",
            self.subject,
            self.capability,
            decision.reason().as_str()
        );
        for (source, part) in &found.rules {
            let tone = match (part, source.effect) {
                (Role::Lost, _) => Tone::Dim,
                (Role::WouldGrant, _) => Tone::Careful,
                (Role::Decided, Effect::Allow) => Tone::Good,
                (Role::Decided, Effect::Deny) => Tone::Bad,
            };
            let part = style.paint(tone, &format!("{:<11}", role(*part)));
            let _ = writeln!(text, "  rule {:<4} {part} {}", source.id.0, place(source));
        }
        match decision.reason() {
            Reason::UnknownSubject if self.id != 0 => {
                text.push_str("  no service of recipes/system.toml has this id\n");
            }
            Reason::UnknownSubject | Reason::UnknownCapability => {}
            _ if found.rules.is_empty() => {
                text.push_str("  no rule speaks about it: deny is the default\n");
            }
            _ => {}
        }
        text.push_str(&self.registered());
        text
    }

    /// What the registry says about the capability.
    fn registered(&self) -> String {
        let Some(known) = self.compiled.registry.iter().find(|cap| cap.name == self.capability)
        else {
            let names = self.compiled.registry.iter().map(|cap| cap.name.as_str());
            return unknown(self.capability, "capabilities.toml", names);
        };
        let level = level(known.sensitivity);
        let enforcer = match known.reserved {
            true => format!("reserved for {}", known.enforcer),
            false => format!("enforced by {}", known.enforcer),
        };
        format!(
            "  {}: {} ({enforcer}, sensitivity {level}, audit {})\n",
            known.name,
            known.meaning,
            audit(known.audit)
        )
    }
}

fn unknown<'a>(name: &str, place: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let hint = suggest(name, known).map_or(String::new(), |hint| format!("; {hint}"));
    format!("  `{name}` is not in {place}{hint}\n")
}

/// The word for a sensitivity.
pub(super) const fn level(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Low => "low",
        Sensitivity::Medium => "medium",
        Sensitivity::High => "high",
    }
}

/// The word for an audit mode.
pub(super) const fn audit(mode: AuditMode) -> &'static str {
    match mode {
        AuditMode::Normal => "normal",
        AuditMode::Required => "required",
    }
}
