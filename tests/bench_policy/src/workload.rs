//! The generated policies and the questions put to them; the same for every engine.
//!
//! 256 capability names in 32 families; per service 6 to 10 exact allows and two exact
//! denies; every second service may use a whole family but for one denied name in it, every
//! fourth is denied a family. Half of the questions are to be allowed.
use std::collections::{HashMap, HashSet};

/// Questions per policy: a power of two.
pub const QUESTIONS: usize = 16_384;
const FAMILIES: [&str; 32] = [
    "audit", "block", "bundle", "bus", "clock", "config", "console", "crypto", "device", "display",
    "dma", "event", "fs", "gpio", "identity", "input", "ipc", "irq", "keystore", "log", "memory",
    "net", "policy", "power", "proc", "random", "route", "sensor", "service", "storage", "trace",
    "update",
];
const VERBS: [&str; 8] =
    ["read", "write", "open", "delete", "admin", "watch", "delegate", "configure"];

/// What a rule speaks about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// One capability, by position.
    Name(usize),
    /// `family.*`.
    Family(usize),
}

/// One rule of one service.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Denies instead of allowing.
    pub deny: bool,
    /// What it is about.
    pub pattern: Pattern,
}

/// A service and its rules in the order written.
pub struct Service {
    /// As it arrives with a question.
    pub id: u64,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A policy.
pub struct World {
    /// The vocabulary; capability `n` belongs to family `n / 8`.
    pub names: Vec<String>,
    /// The services.
    pub services: Vec<Service>,
    by_id: HashMap<u64, usize>,
}

/// One question with the right answer.
#[derive(Clone)]
pub struct Question {
    /// Who.
    pub subject: u64,
    /// What, as bytes from a message.
    pub name: String,
    /// What the reference function says.
    pub allowed: bool,
}

/// SplitMix64: small, seeded, the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// The next word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Below `end`, which is small: the bias does not show.
    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }
}

impl Pattern {
    /// True if it speaks about this capability.
    pub fn covers(self, capability: usize) -> bool {
        match self {
            Self::Name(name) => name == capability,
            Self::Family(family) => capability / VERBS.len() == family,
        }
    }
}

impl World {
    /// A policy for `services` services.
    pub fn generate(services: usize, seed: u64) -> Self {
        let mut random = Random(seed ^ services as u64);
        let of = |family: &'static str| VERBS.iter().map(move |verb| format!("{family}.{verb}"));
        let names: Vec<String> = FAMILIES.into_iter().flat_map(of).collect();
        let mut ids = HashSet::new();
        let mut made = Vec::new();
        while made.len() < services {
            let id = random.word();
            if id != 0 && ids.insert(id) {
                made.push(Service { id, rules: rules(&mut random, names.len()) });
            }
        }
        let by_id = made.iter().enumerate().map(|(at, service)| (service.id, at)).collect();
        Self { names, services: made, by_id }
    }

    /// The same policy over names of 48 bytes.
    pub fn with_long_names(&self) -> Self {
        let names = self.names.iter().map(|name| Self::long_name(name)).collect();
        let service = |s: &Service| Service { id: s.id, rules: s.rules.clone() };
        let services = self.services.iter().map(service).collect();
        Self { names, services, by_id: self.by_id.clone() }
    }

    /// A name, filled up to 48 bytes; names that differ stay different.
    pub fn long_name(name: &str) -> String {
        format!("{name:-<48}")
    }

    /// How many rules it has.
    pub fn rule_count(&self) -> usize {
        self.services.iter().map(|service| service.rules.len()).sum()
    }

    /// The text of a pattern.
    pub fn text(&self, pattern: Pattern) -> String {
        match pattern {
            Pattern::Name(name) => self.names[name].clone(),
            Pattern::Family(family) => format!("{}.*", FAMILIES[family]),
        }
    }

    /// Capabilities of a service with an allowing (or denying) rule, families written out.
    pub fn listed(&self, service: &Service, deny: bool) -> Vec<usize> {
        let spoken = |name: &usize| {
            service.rules.iter().any(|rule| rule.deny == deny && rule.pattern.covers(*name))
        };
        (0..self.names.len()).filter(spoken).collect()
    }

    /// The meaning of a policy: the name is known, some rule allows it, none denies it.
    pub fn reference(&self, subject: u64, name: &str) -> bool {
        let Some(at) = self.by_id.get(&subject) else { return false };
        let Some(name) = self.names.iter().position(|known| known == name) else { return false };
        let rules = &self.services[*at].rules;
        let spoken = |deny| rules.iter().any(|rule| rule.deny == deny && rule.pattern.covers(name));
        spoken(false) && !spoken(true)
    }

    /// Seeded questions, half of them to be allowed, in random order.
    pub fn questions(&self, count: usize, seed: u64) -> Vec<Question> {
        let mut random = Random(seed);
        let mut made = Vec::with_capacity(count);
        let mut wanted = [count / 2, count - count / 2];
        while made.len() < count {
            let allow = random.below(2) == 1;
            if wanted[usize::from(allow)] == 0 {
                continue;
            }
            let (subject, name) =
                if allow { self.granted(&mut random) } else { self.refused(&mut random) };
            let allowed = self.reference(subject, &name);
            if allowed == allow {
                wanted[usize::from(allow)] -= 1;
                made.push(Question { subject, name, allowed });
            }
        }
        made
    }

    fn granted(&self, random: &mut Random) -> (u64, String) {
        let service = &self.services[random.below(self.services.len())];
        let allowed = self.listed(service, false);
        (service.id, self.names[allowed[random.below(allowed.len())]].clone())
    }

    fn refused(&self, random: &mut Random) -> (u64, String) {
        let service = &self.services[random.below(self.services.len())];
        let any = self.names[random.below(self.names.len())].clone();
        match random.below(10) {
            0 => (random.word(), any),
            1 => (service.id, format!("{}x", any)),
            2 | 3 => {
                let denied = self.listed(service, true);
                (service.id, self.names[denied[random.below(denied.len())]].clone())
            }
            _ => (service.id, any),
        }
    }
}

fn rules(random: &mut Random, names: usize) -> Vec<Rule> {
    let mut used = HashSet::new();
    let mut fresh = |random: &mut Random| loop {
        let name = random.below(names);
        if used.insert(name) {
            return name;
        }
    };
    let mut rules = Vec::new();
    for _ in 0..6 + random.below(5) {
        rules.push(Rule { deny: false, pattern: Pattern::Name(fresh(random)) });
    }
    rules.push(Rule { deny: true, pattern: Pattern::Name(fresh(random)) });
    let mut second = fresh(random);
    if random.below(2) == 0 {
        let family = random.below(FAMILIES.len());
        rules.push(Rule { deny: false, pattern: Pattern::Family(family) });
        second = family * VERBS.len() + random.below(VERBS.len());
    }
    rules.push(Rule { deny: true, pattern: Pattern::Name(second) });
    if random.below(4) == 0 {
        let pattern = Pattern::Family(random.below(FAMILIES.len()));
        rules.push(Rule { deny: true, pattern });
    }
    rules
}
