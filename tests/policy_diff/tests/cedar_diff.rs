//! nexus-sel against Cedar on random policies: the whole way from TOML to the decision on one
//! side, the same rules as Cedar policies on the other. Not only the answer has to agree: the
//! rule nexus-sel names must be one of those Cedar determined its answer by.
use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use fuzz_entries::Mutator as Random;
use nexus_sel::authoring::{Input, SystemNames, compile};
use nexus_sel::{Effect, Facts, Policy, Reason};

/// Random policies; each answers every question of its world.
const POLICIES: u64 = 400;
const SERVICES: [(&str, u64); 4] = [("alpha", 7), ("alter", 1 << 40), ("beta", 9), ("gamma", 3)];
const NAMES: [&str; 6] = ["a.x", "a.y", "a.a-name-longer-than-16", "b.x", "b.y.z", "b.y.q"];
const SUBJECTS: [&str; 7] = ["alpha", "alter", "beta", "gamma", "pair", "al*", "*"];
const CAPABILITIES: [&str; 9] =
    ["a.x", "a.y", "a.a-name-longer-than-16", "b.x", "b.y.z", "b.y.q", "a.*", "b.*", "b.y.*"];
/// Gate names of the policy text with the condition they stand for.
const GATES: [(&str, &str); 4] =
    [("", ""), ("g1", "context.f0"), ("g2", "context.f1"), ("g3", "context.f1 && !context.f0")];
/// 2027-01-01 and 2030-01-01, in seconds since 1970 and as the policy text has them.
const ENDS: [(u64, &str); 2] =
    [(1_798_761_600, "2027-01-01T00:00:00Z"), (1_893_456_000, "2030-01-01T00:00:00Z")];
/// Unknown, before, between, after, and exactly at an end.
const TIMES: [u64; 5] = [0, 1_700_000_000, 1_850_000_000, 2_000_000_000, 1_798_761_600];

#[derive(Clone, Copy, PartialEq)]
struct Rule {
    deny: bool,
    subject: &'static str,
    capability: &'static str,
    gate: usize,
    end: Option<usize>,
}

impl Rule {
    fn random(random: &mut Random) -> Self {
        let gate = if random.below(2) == 0 { 0 } else { random.below(GATES.len()) };
        Self {
            deny: random.below(3) == 0,
            subject: SUBJECTS[random.below(SUBJECTS.len())],
            capability: CAPABILITIES[random.below(CAPABILITIES.len())],
            gate,
            end: (random.below(4) == 0).then(|| random.below(ENDS.len())),
        }
    }

    fn is_plain(&self) -> bool {
        self.gate == 0 && self.end.is_none()
    }

    fn toml(&self) -> String {
        if self.is_plain() {
            return format!("\"{}\", ", self.capability);
        }
        let mut text = format!("{{ capability = \"{}\"", self.capability);
        if self.gate != 0 {
            text += &format!(", when = \"{}\"", GATES[self.gate].0);
        }
        if let Some(end) = self.end {
            text += &format!(", until = {}", ENDS[end].1);
        }
        text + " }, "
    }

    /// The same rule as a Cedar policy.
    fn cedar(&self, id: usize) -> String {
        let principal = match self.subject {
            "pair" => "principal in Group::\"pair\"".to_owned(),
            "*" => "principal is Service".to_owned(),
            name if name.ends_with('*') => "principal is Service".to_owned(),
            name => format!("principal == Service::\"{name}\""),
        };
        let mut when = Vec::new();
        if self.subject == "al*" {
            when.push("principal.name like \"al*\"".to_owned());
        }
        let resource = match self.capability.strip_suffix('*') {
            Some(_) => {
                when.push(format!("resource.name like \"{}\"", self.capability));
                "resource".to_owned()
            }
            None => format!("resource == Capability::\"{}\"", self.capability),
        };
        if self.gate != 0 {
            when.push(format!("({})", GATES[self.gate].1));
        }
        if let Some(end) = self.end {
            // While nobody knows the time, what expires grants nothing and still denies.
            let end = ENDS[end].0;
            when.push(if self.deny {
                format!("(context.now == 0 || context.now < {end})")
            } else {
                format!("(context.now != 0 && context.now < {end})")
            });
        }
        // The closed world: unknown services and names are not spoken about.
        when.push("principal.known && resource.known".to_owned());
        let effect = if self.deny { "forbid" } else { "permit" };
        let when = when.join(" && ");
        format!("@id(\"{id}\") {effect}({principal}, action, {resource}) when {{ {when} }};\n")
    }
}

/// Rules in the order in which they are numbered: as `toml` writes them.
fn policy(random: &mut Random) -> Vec<Rule> {
    let mut wanted: Vec<Rule> = Vec::new();
    for _ in 0..random.below(16) {
        let rule = Rule::random(random);
        // The compiler refuses the same words allowed and denied, and long chains.
        let words = |r: &Rule| r.subject == rule.subject && r.capability == rule.capability;
        let clash = wanted.iter().any(words);
        let conditional = wanted.iter().filter(|r| !r.is_plain()).count();
        if !clash && (rule.is_plain() || conditional < 7) {
            wanted.push(rule);
        }
    }
    let key = |r: &Rule| (r.deny, SUBJECTS.iter().position(|s| *s == r.subject));
    wanted.sort_by_key(key);
    wanted
}

fn toml(rules: &[Rule]) -> String {
    let mut text = String::from(
        "schema = 2\n[facts]\nf0 = { owner = \"alpha\", meaning = \"m\" }\n\
         f1 = { owner = \"gamma\", meaning = \"m\" }\n\
         [gates]\ng1 = { when = \"f0\", meaning = \"m\" }\ng2 = { when = \"f1\", meaning = \"m\" }\n\
         g3 = { when = \"f1\", unless = \"f0\", meaning = \"m\" }\n\
         [groups]\npair = [\"alpha\", \"gamma\"]\n",
    );
    for (deny, section) in [(false, "allow"), (true, "deny")] {
        text += &format!("[{section}]\n");
        for subject in SUBJECTS {
            let own = rules.iter().filter(|r| r.deny == deny && r.subject == subject);
            let list: String = own.map(Rule::toml).collect();
            text += &format!("\"{subject}\" = [{list}]\n");
        }
    }
    text
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).unwrap();
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn entity(kind: &str, name: &str, parents: HashSet<EntityUid>) -> Entity {
    let attributes = HashMap::from([
        ("name".to_owned(), RestrictedExpression::new_string(name.to_owned())),
        ("known".to_owned(), RestrictedExpression::new_bool(true)),
    ]);
    Entity::new(uid(kind, name), attributes, parents).unwrap()
}

fn entities() -> Entities {
    let service = |(name, _): (&str, u64)| {
        let member = matches!(name, "alpha" | "gamma");
        let groups = member.then(|| uid("Group", "pair"));
        entity("Service", name, groups.into_iter().collect())
    };
    let services = SERVICES.into_iter().map(service);
    let names = NAMES.into_iter().map(|name| entity("Capability", name, HashSet::new()));
    Entities::from_entities(services.chain(names), None).unwrap()
}

struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

impl Cedar {
    fn new(rules: &[Rule]) -> Self {
        let text: String = (1..).zip(rules).map(|(id, rule)| rule.cedar(id)).collect();
        let policies = PolicySet::from_str(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        Self { authorizer: Authorizer::new(), policies, entities: entities() }
    }

    /// The answer and the rules that determined it.
    fn ask(&self, service: &str, name: &str, facts: Facts) -> (bool, BTreeSet<u32>) {
        let context = [
            ("f0", RestrictedExpression::new_bool(facts.bits & 1 != 0)),
            ("f1", RestrictedExpression::new_bool(facts.bits & 2 != 0)),
            ("now", RestrictedExpression::new_long(facts.wall_s as i64)),
        ];
        let context = Context::from_pairs(context.map(|(k, v)| (k.to_owned(), v))).unwrap();
        let (who, what) = (uid("Service", service), uid("Capability", name));
        let request = Request::new(who, uid("Action", "use"), what, context, None).unwrap();
        let answer = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        let number = |id| self.policies.annotation(id, "id")?.parse().ok();
        let rules = answer.diagnostics().reason().filter_map(number).collect();
        (answer.decision() == Decision::Allow, rules)
    }
}

#[derive(Default)]
struct Seen {
    asked: usize,
    allowed: usize,
    denied_by_rule: usize,
    gate_closed: usize,
}

fn compare(policy: &Policy<'_>, cedar: &Cedar, rules: &[Rule], seen: &mut Seen) {
    for (service, id) in SERVICES.into_iter().chain([("stranger", 8)]) {
        for name in NAMES.into_iter().chain(["a.z", "b.y"]) {
            for bits in 0..4 {
                for wall_s in TIMES {
                    let facts = Facts { bits, wall_s };
                    let ours = policy.decide(id, name.as_bytes(), facts);
                    let (allowed, because) = cedar.ask(service, name, facts);
                    let text = || format!("{service} {name} {facts:?}\n{}", toml(rules));
                    assert_eq!(ours.effect() == Effect::Allow, allowed, "{ours:?} {}", text());
                    let named = because.contains(&ours.rule().0);
                    let agreed = match ours.reason() {
                        Reason::Allowed | Reason::DeniedByRule => named,
                        // Nothing was in force on Cedar's side either.
                        _ => because.is_empty(),
                    };
                    assert!(agreed, "{ours:?}, Cedar: {because:?} {}", text());
                    seen.asked += 1;
                    seen.allowed += usize::from(allowed);
                    seen.denied_by_rule += usize::from(ours.reason() == Reason::DeniedByRule);
                    seen.gate_closed += usize::from(ours.reason() == Reason::GateClosed);
                }
            }
        }
    }
}

#[test]
fn nexus_sel_and_cedar_agree() {
    let entry = |name: &str| format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n");
    let registry: String = NAMES.map(entry).concat();
    let services = SERVICES.map(|(name, id)| (name.to_owned(), id)).to_vec();
    let system = SystemNames::new(services, Vec::new());
    let mut seen = Seen::default();
    for seed in 0..POLICIES {
        let rules = policy(&mut Random::new(seed));
        let text = toml(&rules);
        let registry = Input::new("capabilities.toml", registry.clone());
        let compiled = compile(registry, vec![Input::new("base.toml", text)], &system)
            .unwrap_or_else(|errors| panic!("policy {seed}:\n{errors}"));
        let policy = Policy::open(&compiled.words).expect("what the compiler wrote");
        compare(&policy, &Cedar::new(&rules), &rules, &mut seen);
    }
    let Seen { asked, allowed, denied_by_rule, gate_closed } = seen;
    println!(
        "{POLICIES} policies, {asked} questions: {allowed} allowed, {denied_by_rule} denied by \
         rule, {gate_closed} behind a closed gate"
    );
    // A test that only compares defaults would prove nothing.
    assert!(allowed > asked / 20 && denied_by_rule > asked / 20 && gate_closed > asked / 200);
}
