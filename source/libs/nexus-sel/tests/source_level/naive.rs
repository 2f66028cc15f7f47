//! The meaning of a policy, told from its documents: nothing is expanded, numbered or merged.
//! A question walks every file from the top.
use std::collections::BTreeMap;

use nexus_sel::bounds::MAX_BUCKETS;
use nexus_sel::{Facts, Reason};

use super::world::{BUNDLES, ENDS, FACTS, File, Item, Never, SERVICES, capabilities};

/// A rule: one capability word of one element of one list.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) deny: bool,
    subject: &'a str,
    word: String,
    item: &'a Item,
    /// Which one it is, for its buckets.
    key: usize,
}

pub(crate) struct Naive<'a> {
    files: &'a [File],
    pub(crate) rules: Vec<Rule<'a>>,
    /// When each spent token comes back, by subject and rule.
    spent: BTreeMap<(u64, usize), Vec<u64>>,
}

/// `*` stands for any run of characters.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| glob(rest, &name[skip..])),
        Some((one, rest)) => name.first() == Some(one) && glob(rest, &name[1..]),
    }
}

/// One word against the name of a service, or against the class.
fn is_member(word: &str, name: Option<&str>, everybody: bool) -> bool {
    match name {
        Some(name) => glob(word.as_bytes(), name.as_bytes()),
        None => word == "bundle" || (word == "*" && everybody),
    }
}

/// A capability word against a name: itself, or all that begins as it does.
fn covers(word: &str, capability: &str) -> bool {
    match word.strip_suffix('*') {
        Some(family) => capability.starts_with(family),
        None => word == capability,
    }
}

impl<'a> Naive<'a> {
    pub(crate) fn new(files: &'a [File]) -> Self {
        let mut rules = Vec::new();
        for section in files.iter().flat_map(|file| &file.sections) {
            for (subject, items) in &section.lists {
                for item in items {
                    for stem in &item.capability {
                        let whole = |target: &&str| format!("{stem}.{target}");
                        let words = match &item.target[..] {
                            [] => vec![(*stem).to_owned()],
                            targets => targets.iter().map(whole).collect(),
                        };
                        for word in words {
                            let key = rules.len();
                            rules.push(Rule { deny: section.deny, subject, word, item, key });
                        }
                    }
                }
            }
        }
        Self { files, rules, spent: BTreeMap::new() }
    }

    /// Does a subject word speak about this name (`None`: a bundle)?
    fn speaks(&self, word: &str, name: Option<&str>, everybody: bool) -> bool {
        let mut groups = self.files.iter().flat_map(|file| &file.groups);
        match groups.find(|(group, _)| group == word) {
            Some((_, members)) => members.iter().any(|member| is_member(member, name, everybody)),
            None => is_member(word, name, everybody),
        }
    }

    fn about(&self, name: Option<&str>, capability: &str) -> Vec<&Rule<'a>> {
        let about = |rule: &&Rule<'_>| {
            covers(&rule.word, capability) && self.speaks(rule.subject, name, rule.deny)
        };
        self.rules.iter().filter(about).collect()
    }

    fn is_open(&self, gate: &str, facts: Facts) -> bool {
        let holds = |fact: &&str| {
            let bit = FACTS.iter().position(|name| name == fact).unwrap();
            facts.bits >> bit & 1 == 1
        };
        let mut gates = self.files.iter().flat_map(|file| &file.gates);
        let (_, when, unless) = gates.find(|(name, ..)| name == gate).unwrap();
        when.iter().all(holds) && !unless.iter().any(holds)
    }

    fn in_force(&self, rule: &Rule<'_>, facts: Facts) -> bool {
        let until = rule.item.end.map(|end| ENDS[end].0);
        let lasts = match (until, facts.wall_s) {
            (None, _) => true,
            (Some(_), 0) => rule.deny,
            (Some(until), now) => now < until,
        };
        lasts && rule.item.when.iter().all(|gate| self.is_open(gate, facts))
    }

    fn is_always(rule: &Rule<'_>) -> bool {
        rule.item.when.is_empty() && rule.item.end.is_none() && rule.item.limit.is_none()
    }

    /// How many of the registered names a rule is about, and which.
    fn share(rule: &Rule<'_>) -> (usize, Vec<String>) {
        let mut names: Vec<String> =
            capabilities().into_iter().filter(|name| covers(&rule.word, name)).collect();
        names.sort();
        (names.len(), names)
    }

    /// The answer, and how many rules speak about the question. Tokens are taken at `now_ns`.
    pub(crate) fn decide(
        &mut self,
        id: u64,
        capability: &str,
        facts: Facts,
        now_ns: Option<u64>,
    ) -> (Reason, usize) {
        let service = SERVICES.iter().find(|(_, other)| *other == id);
        let bundle = (BUNDLES.0..=BUNDLES.1).contains(&id);
        if service.is_none() && !bundle {
            return (Reason::UnknownSubject, 0);
        }
        if !capabilities().iter().any(|name| name == capability) {
            return (Reason::UnknownCapability, 0);
        }
        let about = self.about(service.map(|(name, _)| *name), capability);
        let count = about.len();
        let now: Vec<&&Rule<'_>> = about.iter().filter(|rule| self.in_force(rule, facts)).collect();
        if now.iter().any(|rule| rule.deny) {
            return (Reason::DeniedByRule, count);
        }
        if now.iter().any(|rule| rule.item.limit.is_none()) {
            return (Reason::Allowed, count);
        }
        let mut limited: Vec<(_, usize, (u64, u64))> = Vec::new();
        for rule in &now {
            let (tokens, per) = rule.item.limit.unwrap();
            let spec = (tokens, per.div_ceil(tokens));
            limited.push(((Self::share(rule), spec, self.order(rule)), rule.key, spec));
        }
        let granted = about.iter().any(|rule| !rule.deny);
        limited.sort();
        // All bundles are one subject, and share what it has.
        let who = if service.is_some() { id } else { BUNDLES.0 };
        let taken = now_ns.is_some_and(|now| {
            limited.into_iter().any(|(_, key, spec)| self.take((who, key), spec, now))
        });
        let reason = match (taken, granted) {
            (true, _) => Reason::Allowed,
            (false, true) => Reason::GateClosed,
            (false, false) => Reason::NotPermitted,
        };
        (reason, count)
    }

    /// Facts and end of a rule as numbers: what is left to tell two rules apart.
    fn order(&self, rule: &Rule<'_>) -> (u64, u64, Option<u64>) {
        let gates = self.files.iter().flat_map(|file| &file.gates);
        let (mut all, mut none) = (0, 0);
        for (_, when, unless) in gates.filter(|(name, ..)| rule.item.when.contains(name)) {
            let mask = |facts: &[&str]| -> u64 {
                let bit = |fact: &&str| 1 << FACTS.iter().position(|name| name == fact).unwrap();
                facts.iter().map(bit).fold(0, |bits, bit: u64| bits | bit)
            };
            all |= mask(when);
            none |= mask(unless);
        }
        (all, none, rule.item.end.map(|end| ENDS[end].0))
    }

    /// A token comes back one period after the one before it, or after it was taken.
    fn take(&mut self, bucket: (u64, usize), (tokens, period): (u64, u64), now: u64) -> bool {
        let returns = self.spent.entry(bucket).or_default();
        returns.retain(|at| *at > now);
        if returns.len() as u64 >= tokens {
            return false;
        }
        let after = returns.last().copied().unwrap_or(now);
        returns.push(after + period);
        true
    }

    /// What the compiler has to refuse this policy for; empty: it has to build.
    pub(crate) fn faults(&self) -> Vec<&'static str> {
        let mut faults = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let (all, none, _) = self.order(rule);
            if all & none != 0 {
                faults.push("gate-never-true");
            }
            for other in &self.rules[..at] {
                let same = rule.subject == other.subject && rule.word == other.word;
                let deny = if rule.deny { rule } else { other };
                if same && rule.deny != other.deny && Self::is_always(deny) {
                    faults.push("allow-and-deny");
                }
            }
        }
        let mut buckets = std::collections::BTreeSet::new();
        let names: Vec<Option<&str>> =
            SERVICES.iter().map(|(name, _)| Some(*name)).chain([None]).collect();
        for name in names {
            for capability in capabilities() {
                let about = self.about(name, &capability);
                if about.iter().any(|rule| rule.deny && Self::is_always(rule)) {
                    continue;
                }
                let (denies, allows): (Vec<&Rule<'_>>, Vec<&Rule<'_>>) =
                    about.into_iter().partition(|rule| rule.deny);
                let always = allows.iter().any(|rule| Self::is_always(rule));
                if !always {
                    let limited = allows.iter().filter(|rule| rule.item.limit.is_some());
                    buckets.extend(limited.map(|rule| (name, rule.key)));
                }
                if denies.len() + if always { 1 } else { allows.len() } > 8 {
                    faults.push("too-many");
                }
                let nevers = self.files.iter().flat_map(|file| &file.nevers);
                if !allows.is_empty()
                    && nevers.into_iter().any(|n| self.forbids(n, name, &capability))
                {
                    faults.push("never-violated");
                }
            }
        }
        if buckets.len() > MAX_BUCKETS {
            faults.push("too-many");
        }
        faults
    }

    fn forbids(&self, never: &Never, name: Option<&str>, capability: &str) -> bool {
        let any = |list: &[String], everybody| list.iter().any(|w| self.speaks(w, name, everybody));
        never.capability.iter().any(|word| covers(word, capability))
            && (never.subject.is_empty() || any(&never.subject, true))
            && !any(&never.except, false)
    }
}
