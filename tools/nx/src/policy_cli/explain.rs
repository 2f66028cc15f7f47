//! `nx policy explain SUBJECT CAPABILITY`: the evaluator's answer, the rules that speak about the
//! pair, and what would have to be so for another answer.

use nexus_sel::{
    Facts, LimitId, LimitSpec, Limits, Policy, Reason,
    authoring::{Compiled, Model, RuleSource, moment, suggest},
};

use super::{DENIED, OK, USAGE, describe, render, side::Failure, style::Style};

/// What is asked, and in which state of the world.
pub(super) struct Asked<'a> {
    pub(super) subject: &'a str,
    pub(super) capability: &'a str,
    pub(super) facts: &'a [String],
    pub(super) wall_s: u64,
}

/// Every bucket is full: what the rules say, not what was used up.
struct Full;

impl Limits for Full {
    fn take(&mut self, _: LimitId, _: LimitSpec) -> bool {
        true
    }
}

pub(super) fn run(json: bool, compiled: &Compiled, asked: &Asked<'_>) -> Result<u8, Failure> {
    let policy = compiled.policy().map_err(|error| Failure::Text(error.to_string()))?;
    let facts = facts(&policy, asked.facts, asked.wall_s)?;
    let id = id(compiled, asked.subject);
    let found = compiled.explain(id.unwrap_or(0), asked.capability, facts, &mut Full);
    let found = found.map_err(|error| Failure::Text(error.to_string()))?;
    let name = id.and_then(|id| policy.subject_name(id)).map(|name| name.to_string());
    let subject = name.as_deref().unwrap_or(asked.subject);
    let question =
        render::Question { compiled, subject, id: id.unwrap_or(0), capability: asked.capability };
    if json {
        println!("{}", question.json(&found));
    } else {
        let mut text = question.text(&found, Style::of_stdout());
        if id.is_none() {
            text.push_str(&no_service(compiled, asked.subject));
        }
        if found.decision.reason() == Reason::GateClosed {
            let rule = compiled.rules.iter().find(|rule| rule.id == found.decision.rule());
            text.push_str(&rule.map_or(String::new(), |rule| closed(compiled, rule, facts)));
        }
        print!("{text}");
    }
    let unknown = id.is_none() || found.decision.reason() == Reason::UnknownCapability;
    Ok(match found.decision.is_allow() {
        true => OK,
        false if unknown => USAGE,
        false => DENIED,
    })
}

/// The id of a service, of the first bundle for the class of all of them, or a number as typed.
fn id(compiled: &Compiled, subject: &str) -> Option<u64> {
    let number = || match subject.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => subject.parse().ok(),
    };
    compiled.subject_id(subject).or_else(number)
}

/// What a name may be that is none of a service.
fn no_service(compiled: &Compiled, name: &str) -> String {
    if let Some(members) = compiled.members(name) {
        let (first, all) = (members.first().copied().unwrap_or_default(), members.join(", "));
        return format!(
            "  `{name}` stands for {all}\n  help: ask about one of them: `nx policy explain \
             {first} …`, or see all: `nx policy matrix`\n"
        );
    }
    if name.contains('*') {
        return format!(
            "  `{name}` is a pattern; explain is about one service\n  \
             help: `nx policy matrix --subject '{name}'` shows all that match\n"
        );
    }
    let names = compiled.model.subjects.iter().map(|(name, _)| name.as_str());
    let hint = suggest(name, names.collect::<Vec<_>>());
    let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
    format!("  `{name}` is not in recipes/system.toml{hint}\n")
}

/// Why the condition of a rule does not hold, and how to ask as if it did.
fn closed(compiled: &Compiled, rule: &RuleSource, facts: Facts) -> String {
    let named = |bits: u64| {
        let known = compiled.model.facts.iter().enumerate();
        let names = known.filter(move |(bit, _)| bits >> bit & 1 == 1).map(|(_, (name, _))| name);
        names.map(String::as_str).collect::<Vec<_>>()
    };
    let (missing, against) =
        (named(rule.when.all & !facts.bits), named(rule.when.none & facts.bits));
    let mut text = String::new();
    for name in &missing {
        text.push_str(&format!("  closed: the fact `{name}` does not hold\n"));
    }
    for name in &against {
        text.push_str(&format!("  closed: the fact `{name}` holds\n"));
    }
    match rule.when.until {
        Some(_) if facts.wall_s == 0 => {
            text.push_str("  closed: it expires, and nobody said what time it is: give `--at`\n");
        }
        Some(until) if facts.wall_s >= until => {
            text.push_str(&format!("  closed: it expired at {}\n", describe::date(until)));
        }
        _ => {}
    }
    if !missing.is_empty() && against.is_empty() {
        let flags = missing.iter().map(|name| format!(" --fact {name}")).collect::<String>();
        text.push_str(&format!("  help: ask as if it held with{flags}\n"));
    }
    text
}

/// The state of the world somebody stated.
pub(super) fn facts(policy: &Policy<'_>, names: &[String], wall_s: u64) -> Result<Facts, Failure> {
    let mut facts = Facts { bits: 0, wall_s };
    for name in names {
        let fact = policy.fact(name.as_bytes()).ok_or_else(|| {
            let known = Model::from_policy(policy).facts;
            let names = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let hint = match suggest(name, names.clone()) {
                Some(hint) => format!("; {hint}"),
                None if names.is_empty() => "; this policy has none".to_owned(),
                None => format!("; there are {}", names.join(", ")),
            };
            Failure::Usage(format!("`{name}` is not a fact of `[facts]`{hint}"))
        })?;
        facts.bits |= fact.mask;
    }
    Ok(facts)
}

/// A moment as people write it: seconds since 1970, or date, time and zone.
pub(super) fn at(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().or_else(|| moment(text));
    seconds.ok_or_else(|| "give seconds since 1970, or 2027-01-31T12:00:00Z".to_owned())
}
