//! The evaluator against a naive reference: random policies through the whole compiler, and
//! every small world.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
use nexus_sel::authoring::{
    CapabilitySpec, Condition, Input, Model, Rule, SystemNames, compile, emit, reemit,
};
use nexus_sel::{
    AuditMode, Decision, Effect, Facts, NoLimits, Policy, Reason, RuleId, Sensitivity,
};
use proptest::prelude::*;

const SERVICES: [(&str, u64); 3] = [("alpha", 7), ("alter", 1 << 40), ("gamma", 3)];
const NAMES: [&str; 4] = ["a.x", "a.y", "b.x", "b.y.z"];
/// Facts are bits 0 and 1.
const GATES: [(u64, u64); 4] = [(0, 0), (1, 0), (2, 0), (2, 1)];

/// A rule as the reference sees it: patterns, not tables.
#[derive(Clone, Debug)]
struct Plain {
    effect: Effect,
    subject: &'static str,
    capability: &'static str,
    gate: usize,
}

// ---- the reference: the whole meaning of a policy --------------------------------------------

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name || (pattern == "pair" && (name == "alpha" || name == "gamma")),
    }
}

fn in_force(rule: &Plain, facts: Facts) -> bool {
    let (all, none) = GATES[rule.gate];
    facts.bits & all == all && facts.bits & none == 0
}

/// The reason, and the rules that may be named with it.
fn reference(
    rules: &[Plain],
    subject: u64,
    capability: &str,
    facts: Facts,
) -> (Reason, Vec<RuleId>) {
    let Some((name, _)) = SERVICES.iter().find(|(_, id)| *id == subject) else {
        return (Reason::UnknownSubject, vec![RuleId::NONE]);
    };
    if !NAMES.contains(&capability) {
        return (Reason::UnknownCapability, vec![RuleId::NONE]);
    }
    let spoken = |rule: &&(u32, &Plain)| {
        matches(rule.1.subject, name) && matches(rule.1.capability, capability)
    };
    let numbered: Vec<(u32, &Plain)> = (1..).zip(rules).collect();
    let pick = |effect: Effect, now: bool| -> Vec<RuleId> {
        let found = numbered.iter().filter(spoken).filter(|(_, rule)| rule.effect == effect);
        found.filter(|(_, r)| !now || in_force(r, facts)).map(|(id, _)| RuleId(*id)).collect()
    };
    let (denied, allowed, granted) =
        (pick(Effect::Deny, true), pick(Effect::Allow, true), pick(Effect::Allow, false));
    match (denied.is_empty(), allowed.is_empty(), granted.is_empty()) {
        (false, ..) => (Reason::DeniedByRule, denied),
        (true, false, _) => (Reason::Allowed, allowed),
        (true, true, false) => (Reason::GateClosed, granted),
        _ => (Reason::NotPermitted, vec![RuleId::NONE]),
    }
}

// ---- comparison ------------------------------------------------------------------------------

fn agree(
    policy: &Policy<'_>,
    rules: &[Plain],
    subject: u64,
    capability: &str,
    bits: u64,
) -> Decision {
    let facts = Facts { bits, ..Facts::NONE };
    let decision = policy.decide(subject, capability.as_bytes(), facts);
    let (reason, ids) = reference(rules, subject, capability, facts);
    assert_eq!(decision.reason(), reason, "{subject} {capability} {bits:b} {rules:?}");
    assert!(ids.contains(&decision.rule()), "{decision:?} not in {ids:?} {rules:?}");
    assert_eq!(decision.is_allow(), reason == Reason::Allowed);
    if let (Some(s), Some(c)) = (policy.subject(subject), policy.capability(capability.as_bytes()))
    {
        assert_eq!(policy.decide_interned(s, c, facts, &mut NoLimits), decision);
    }
    decision
}

fn agree_everywhere(policy: &Policy<'_>, rules: &[Plain]) {
    for subject in [7, 1 << 40, 3, 8] {
        for capability in NAMES.into_iter().chain(["a.z"]) {
            for bits in 0..4 {
                let _ = agree(policy, rules, subject, capability, bits);
            }
        }
    }
}

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::Allow), Just(Effect::Deny)]
}

fn plain() -> impl Strategy<Value = Plain> {
    let subject = proptest::sample::select(&["alpha", "alter", "gamma", "pair", "al*", "*"][..]);
    let capability =
        proptest::sample::select(&["a.x", "a.y", "b.x", "b.y.z", "a.*", "b.*", "b.y.*"][..]);
    (effects(), subject, capability, 0..GATES.len())
        .prop_map(|(effect, subject, capability, gate)| Plain { effect, subject, capability, gate })
}

/// The compiler refuses a literal allow under an unconditional deny of the same words.
fn conflict(a: &Plain, b: &Plain) -> bool {
    let deny = if a.effect == Effect::Deny { a } else { b };
    a.subject == b.subject && a.capability == b.capability && a.effect != b.effect && deny.gate == 0
}

fn toml(rules: &[Plain]) -> String {
    let mut text = String::from(
        "schema = 2\n[facts]\nf0 = { owner = \"alpha\", meaning = \"m\" }\n\
         f1 = { owner = \"gamma\", meaning = \"m\" }\n\
         [gates]\ng1 = { when = \"f0\", meaning = \"m\" }\ng2 = { when = \"f1\", meaning = \"m\" }\n\
         g3 = { when = \"f1\", unless = \"f0\", meaning = \"m\" }\n\
         [groups]\npair = [\"alpha\", \"gamma\"]\n",
    );
    for (effect, section) in [(Effect::Allow, "allow"), (Effect::Deny, "deny")] {
        text += &format!("[{section}]\n");
        for subject in ["alpha", "alter", "gamma", "pair", "al*", "*"] {
            text += &format!("\"{subject}\" = [");
            for rule in rules.iter().filter(|r| r.effect == effect && r.subject == subject) {
                text += &match rule.gate {
                    0 => format!("\"{}\", ", rule.capability),
                    g => format!("{{ capability = \"{}\", when = \"g{g}\" }}, ", rule.capability),
                };
            }
            text += "]\n";
        }
    }
    text
}

/// Rules in the order in which `toml` writes them, which is how they are numbered.
fn as_written(rules: &[Plain]) -> Vec<Plain> {
    let mut ordered = Vec::new();
    for effect in [Effect::Allow, Effect::Deny] {
        for subject in ["alpha", "alter", "gamma", "pair", "al*", "*"] {
            ordered.extend(
                rules.iter().filter(|r| r.effect == effect && r.subject == subject).cloned(),
            );
        }
    }
    ordered
}

fn registry() -> Input {
    let entry = |name: &str| format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n");
    Input::new("capabilities.toml", NAMES.map(entry).concat())
}

fn system() -> SystemNames {
    SystemNames::new(SERVICES.map(|(name, id)| (name.to_owned(), id)).to_vec(), Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_policy_means_what_the_reference_says(
        wanted in proptest::collection::vec(plain(), 0..14),
    ) {
        let mut rules: Vec<Plain> = Vec::new();
        for rule in wanted {
            let chain = rules.iter().filter(|r| r.gate != 0).count();
            if !rules.iter().any(|r| conflict(r, &rule)) && (rule.gate == 0 || chain < 7) {
                rules.push(rule);
            }
        }
        let rules = as_written(&rules);
        let text = toml(&rules);
        let compiled = compile(registry(), vec![Input::new("base.toml", text)], &system());
        let compiled = compiled.unwrap_or_else(|errors| panic!("{errors}"));
        let policy = compiled.policy().unwrap();
        agree_everywhere(&policy, &rules);
        prop_assert_eq!(&reemit(&policy).unwrap(), &compiled.words);
        for (name, id) in SERVICES {
            let why = compiled.explain(id, "a.x", Facts::NONE, &mut NoLimits).unwrap();
            prop_assert_eq!(why.decision, policy.decide(id, b"a.x", Facts::NONE), "{}", name);
        }
    }

    #[test]
    fn any_question_gets_an_answer(id: u64, name in proptest::collection::vec(any::<u8>(), 0..64), bits: u64) {
        let rules = [Plain { effect: Effect::Allow, subject: "*", capability: "a.*", gate: 1 }];
        let words = emit(&world(&rules)).unwrap();
        let policy = Policy::open(&words).unwrap();
        let decision = policy.decide(id, &name, Facts { bits, wall_s: bits });
        prop_assert!(!decision.is_allow() || (name.starts_with(b"a.") && name.len() == 3));
    }
}

// ---- every small world -----------------------------------------------------------------------

fn world(rules: &[Plain]) -> Model {
    let capabilities = NAMES.iter().map(|name| CapabilitySpec {
        name: (*name).to_owned(),
        audit: AuditMode::Normal,
        sensitivity: Sensitivity::Low,
    });
    let mut model = Model {
        version: 1,
        subjects: SERVICES.map(|(name, id)| (name.to_owned(), id)).to_vec(),
        capabilities: capabilities.collect(),
        facts: vec![("f0".to_owned(), 7), ("f1".to_owned(), 3)],
        ..Model::default()
    };
    let resolved: Vec<Rule> = rules.iter().map(resolve).collect();
    model.fill(&resolved).unwrap();
    model
}

fn resolve(rule: &Plain) -> Rule {
    let (all, none) = GATES[rule.gate];
    let hits = |pattern: &str, names: &[&str]| -> Vec<u32> {
        (0..).zip(names).filter(|(_, name)| matches(pattern, name)).map(|(at, _)| at).collect()
    };
    Rule {
        effect: rule.effect,
        rows: hits(rule.subject, &SERVICES.map(|(name, _)| name)),
        caps: hits(rule.capability, &NAMES),
        when: Condition { all, none, ..Condition::default() },
    }
}

fn check(rules: &[Plain]) {
    let words = emit(&world(rules)).unwrap();
    let policy = Policy::open(&words).unwrap();
    agree_everywhere(&policy, rules);
    assert_eq!(reemit(&policy).unwrap(), words);
}

/// Every policy of at most two rules over 3 services (and all), 4 names (and 2 families),
/// both effects, no gate or one of 2: 10 585 worlds, 80 questions each.
#[test]
fn every_world_of_two_rules() {
    let mut forms = Vec::new();
    for subject in ["alpha", "alter", "gamma", "*"] {
        for capability in ["a.x", "a.y", "b.x", "b.y.z", "a.*", "b.*"] {
            for effect in [Effect::Allow, Effect::Deny] {
                for gate in 0..3 {
                    forms.push(Plain { effect, subject, capability, gate });
                }
            }
        }
    }
    check(&[]);
    for (at, first) in forms.iter().enumerate() {
        check(std::slice::from_ref(first));
        for second in &forms[at..] {
            check(&[first.clone(), second.clone()]);
        }
    }
}

/// Every set of rules that can meet in one pair: 2 effects, 3 gates, exact or family.
#[test]
fn every_set_of_rules_on_one_pair() {
    let mut forms = Vec::new();
    for capability in ["a.x", "a.*"] {
        for effect in [Effect::Allow, Effect::Deny] {
            for gate in 0..3 {
                forms.push(Plain { effect, subject: "alter", capability, gate });
            }
        }
    }
    for set in 0..1 << forms.len() {
        let chosen = forms.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        let chosen: Vec<Plain> = chosen.map(|(_, form)| form.clone()).collect();
        if chosen.iter().filter(|rule| rule.gate != 0).count() <= 8 {
            check(&chosen);
        }
    }
}

/// Every pattern of pairs that have a rule at all, allows and denies mixed.
#[test]
fn every_presence_pattern() {
    for pattern in 0..1_u32 << 12 {
        let mut rules = Vec::new();
        for bit in (0..12).filter(|bit| pattern >> bit & 1 == 1) {
            let effect = if bit % 3 == 0 { Effect::Deny } else { Effect::Allow };
            let (subject, capability) = (SERVICES[bit % 3].0, NAMES[bit / 3]);
            rules.push(Plain { effect, subject, capability, gate: 0 });
        }
        check(&rules);
    }
}
