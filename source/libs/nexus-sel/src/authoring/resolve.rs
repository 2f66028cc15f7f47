//! From names to numbers: every subject, capability, fact and gate a document mentions.
use std::collections::BTreeMap;

use crate::authoring::diagnostics::{Diagnostic, Place};
use crate::authoring::document::{Document, Entry, FactDef, Gate, Group};
use crate::authoring::model::{Condition, Rule};
use crate::authoring::reader::Word;
use crate::authoring::registry::Registered;
use crate::authoring::spelling::{check_name, glob, suggest};
use crate::bounds::MAX_DEFINITIONS;
use crate::decision::Effect;

use super::{SystemNames, look_alike};

/// A rule with the words it was written in.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) entry: Entry,
    pub(crate) rule: Rule,
}

/// Everything the author defined, and what has been used of it.
pub(crate) struct Scope<'a> {
    pub(crate) caps: &'a [Registered],
    /// Services, sorted; the position is the row. Classes follow.
    pub(crate) rows: &'a [String],
    services: usize,
    row_of: BTreeMap<&'a str, u32>,
    groups: BTreeMap<String, Definition<Members>>,
    gates: BTreeMap<String, Definition<(u64, u64)>>,
    /// Names, owner ids and uses, by bit.
    pub(crate) facts: Vec<(String, u64)>,
    fact_places: Vec<Definition<()>>,
    pub(crate) out: Vec<Diagnostic>,
}

/// What a subject word stands for.
#[derive(Clone, Default)]
struct Members {
    rows: Vec<u32>,
    /// Said by `*` alone.
    everybody: bool,
}

/// How far `*` reaches. A star grants to what the manifest names; what forbids leaves nobody
/// out, the classes of ids included.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// The services of the manifest.
    Services,
    /// Those, and every class.
    Everybody,
}

struct Definition<T> {
    place: Place,
    value: T,
    used: bool,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        caps: &'a [Registered],
        rows: &'a [String],
        services: usize,
        system: &SystemNames,
        documents: &[Document],
    ) -> Self {
        let row_of = rows.iter().enumerate().map(|(row, name)| (name.as_str(), row as u32));
        let mut scope = Self {
            caps,
            rows,
            services,
            row_of: row_of.collect(),
            groups: BTreeMap::new(),
            gates: BTreeMap::new(),
            facts: Vec::new(),
            fact_places: Vec::new(),
            out: Vec::new(),
        };
        scope.define_facts(documents.iter().flat_map(|d| &d.facts), system);
        documents.iter().flat_map(|d| &d.gates).for_each(|gate| scope.define_gate(gate));
        documents.iter().flat_map(|d| &d.groups).for_each(|group| scope.define_group(group));
        scope.check_count("groups", scope.groups.len());
        scope.check_count("gates", scope.gates.len());
        scope
    }

    fn check_count(&mut self, what: &str, found: usize) {
        if found > MAX_DEFINITIONS {
            let message = format!("{found} {what}, but MAX_DEFINITIONS is {MAX_DEFINITIONS}");
            self.out.push(Diagnostic::error("too-many", message));
        }
    }

    fn twice(&mut self, what: &str, name: &Word, first: &Place) {
        let message = format!("{what} `{}` is defined twice", name.text);
        let found = Diagnostic::error("duplicate-definition", message);
        let help = "definitions do not merge or replace each other: keep one";
        let found = found.at(&name.place, "again here").at(first, "first here").help(help);
        self.out.push(found);
    }

    fn define_facts<'d>(&mut self, defs: impl Iterator<Item = &'d FactDef>, system: &SystemNames) {
        let mut sorted: BTreeMap<&str, &FactDef> = BTreeMap::new();
        for def in defs {
            match sorted.get(def.name.text.as_str()) {
                Some(first) => self.twice("fact", &def.name, &first.name.place.clone()),
                None => {
                    sorted.insert(&def.name.text, def);
                }
            }
        }
        for (name, def) in sorted {
            let Some(owner) = &def.owner else { continue };
            let id = system.services.iter().find(|(service, _)| *service == owner.text);
            if id.is_none() {
                let message = format!("owner `{}` of fact `{name}` is not a service", owner.text);
                let names: Vec<&str> = system.services.iter().map(|(n, _)| n.as_str()).collect();
                let found = Diagnostic::error("unknown-service", message)
                    .at(&owner.place, "not in recipes/system.toml")
                    .maybe_help(suggest(&owner.text, names));
                self.out.push(found);
            }
            self.facts.push((name.to_owned(), id.map_or(0, |(_, id)| *id)));
            let place = def.name.place.clone();
            self.fact_places.push(Definition { place, value: (), used: false });
        }
    }

    fn define_gate(&mut self, gate: &Gate) {
        if let Some(first) = self.gates.get(&gate.name.text).map(|g| g.place.clone()) {
            return self.twice("gate", &gate.name, &first);
        }
        let all = gate.when.iter().fold(0, |bits, word| bits | self.fact(word));
        let none = gate.unless.iter().fold(0, |bits, word| bits | self.fact(word));
        if all & none != 0 {
            let message = format!("gate `{}` can never open", gate.name.text);
            let found = Diagnostic::error("gate-never-true", message)
                .at(&gate.name.place, "the same fact in `when` and in `unless`");
            self.out.push(found);
        }
        let place = gate.name.place.clone();
        let value = (all, none);
        self.gates.insert(gate.name.text.clone(), Definition { place, value, used: false });
    }

    /// The bit of a fact, 0 with an error if it does not exist.
    fn fact(&mut self, word: &Word) -> u64 {
        let Some(bit) = self.facts.iter().position(|(name, _)| *name == word.text) else {
            let names: Vec<&str> = self.facts.iter().map(|(name, _)| name.as_str()).collect();
            let found = Diagnostic::error("unknown-fact", format!("`{}` is not a fact", word.text))
                .at(&word.place, "not in `[facts]`")
                .maybe_help(suggest(&word.text, names));
            self.out.push(found);
            return 0;
        };
        if let Some(definition) = self.fact_places.get_mut(bit) {
            definition.used = true;
        }
        1_u64.checked_shl(bit as u32).unwrap_or(0)
    }

    fn define_group(&mut self, group: &Group) {
        let name = &group.name;
        if self.row_of.contains_key(name.text.as_str()) {
            let message = format!("group `{}` has the name of a service", name.text);
            let found = Diagnostic::error("ambiguous-group", message)
                .at(&name.place, "a rule could not say which it means")
                .help("give the group another name");
            self.out.push(found);
            return;
        }
        if let Some(first) = self.groups.get(&name.text).map(|g| g.place.clone()) {
            return self.twice("group", name, &first);
        }
        // Members are services, classes and globs: groups do not nest, so nothing can cycle.
        let everybody = group.members.iter().any(|word| word.text == "*");
        let rows = group.members.iter().filter_map(|word| self.member(word)).flatten();
        let mut rows: Vec<u32> = rows.collect();
        rows.sort_unstable();
        rows.dedup();
        let value = Members { rows, everybody };
        let place = name.place.clone();
        self.groups.insert(name.text.clone(), Definition { place, value, used: false });
    }

    fn member(&mut self, word: &Word) -> Option<Vec<u32>> {
        if word.text.contains('*') {
            return self.glob(word);
        }
        if let Some(row) = self.row_of.get(word.text.as_str()) {
            return Some(vec![*row]);
        }
        self.unknown_subject(word)
    }

    /// The rows a subject stands for.
    pub(crate) fn subject(&mut self, word: &Word, reach: Reach) -> Option<Vec<u32>> {
        let members = match self.groups.get_mut(&word.text) {
            Some(group) => {
                group.used = true;
                group.value.clone()
            }
            None => Members { rows: self.member(word)?, everybody: word.text == "*" },
        };
        if members.everybody && reach == Reach::Everybody {
            return Some((0..self.rows.len() as u32).collect());
        }
        Some(members.rows)
    }

    fn unknown_subject(&mut self, word: &Word) -> Option<Vec<u32>> {
        if let Some(found) = invalid("subject", word) {
            self.out.push(found);
            return None;
        }
        let names =
            self.rows.iter().map(String::as_str).chain(self.groups.keys().map(String::as_str));
        let names: Vec<&str> = names.collect();
        let help = if self.groups.contains_key(&word.text) {
            "groups do not nest: list the services".to_owned()
        } else {
            suggest(&word.text, names).unwrap_or_else(|| {
                "a service is declared in recipes/system.toml first, a group in `[groups]`".into()
            })
        };
        let found =
            Diagnostic::error("unknown-service", format!("`{}` is not a service", word.text))
                .at(&word.place, "not in recipes/system.toml, nor a group")
                .help(help);
        self.out.push(found);
        None
    }

    fn glob(&mut self, word: &Word) -> Option<Vec<u32>> {
        if let Some(found) = invalid("subject", &without_stars(word)) {
            self.out.push(found);
            return None;
        }
        let services = self.rows.iter().take(self.services).enumerate();
        let hits = services.filter(|(_, name)| glob(&word.text, name)).map(|(row, _)| row as u32);
        let hits: Vec<u32> = hits.collect();
        if hits.is_empty() {
            let found =
                Diagnostic::error("empty-wildcard", format!("`{}` matches no service", word.text))
                    .at(&word.place, "matches nothing in recipes/system.toml")
                    .help("services are matched by their whole name: `selftest-*`");
            self.out.push(found);
            return None;
        }
        Some(hits)
    }

    /// The capabilities a word stands for.
    pub(crate) fn capability(&mut self, word: &Word) -> Option<Vec<u32>> {
        if word.text == "*" {
            return Some((0..self.caps.len() as u32).collect());
        }
        if !word.text.contains('*') {
            return match self.caps.binary_search_by(|cap| cap.name.as_str().cmp(&word.text)) {
                Ok(index) => Some(vec![index as u32]),
                Err(_) => self.unknown_capability(word),
            };
        }
        let family = word.text.strip_suffix('*').unwrap_or("");
        if !family.ends_with('.') || family.contains('*') {
            let message = format!("`{}` is not a wildcard", word.text);
            let found = Diagnostic::error("bad-wildcard", message)
                .at(&word.place, "`*` stands for everything after a dot, at the end")
                .help("write a whole part of the name: `fs.*`");
            self.out.push(found);
            return None;
        }
        let start = self.caps.partition_point(|cap| cap.name.as_str() < family);
        let run = self.caps.iter().skip(start).take_while(|cap| cap.name.starts_with(family));
        let end = start.saturating_add(run.count());
        if start == end {
            self.empty_wildcard(word);
            return None;
        }
        Some((start as u32..end as u32).collect())
    }

    fn empty_wildcard(&mut self, word: &Word) {
        let stem = word.text.trim_end_matches(".*");
        let mut families: Vec<&str> =
            self.caps.iter().filter_map(|cap| Some(cap.name.rsplit_once('.')?.0)).collect();
        families.dedup();
        let near = crate::authoring::spelling::nearest(stem, families);
        let help = near.map(|near| format!("did you mean `{near}.*`?"));
        let found = invalid("wildcard", &without_stars(word)).unwrap_or_else(|| {
            Diagnostic::error("empty-wildcard", format!("`{}` matches no capability", word.text))
                .at(&word.place, "matches nothing in capabilities.toml")
                .maybe_help(help)
        });
        self.out.push(found);
    }

    fn unknown_capability(&mut self, word: &Word) -> Option<Vec<u32>> {
        let found = invalid("capability", word).unwrap_or_else(|| {
            let names: Vec<&str> = self.caps.iter().map(|cap| cap.name.as_str()).collect();
            let message = format!("`{}` is not a registered capability", word.text);
            Diagnostic::error("unknown-capability", message)
                .at(&word.place, "not in capabilities.toml")
                .help(suggest(&word.text, names).unwrap_or_else(|| {
                    "a new capability is registered there first, with its enforcer".to_owned()
                }))
        });
        self.out.push(found);
        None
    }

    fn gate(&mut self, word: &Word) -> Option<(u64, u64)> {
        if let Some(gate) = self.gates.get_mut(&word.text) {
            gate.used = true;
            return Some(gate.value);
        }
        let names: Vec<&str> = self.gates.keys().map(String::as_str).collect();
        let found =
            Diagnostic::error("unknown-gate", format!("`{}` is not a gate", word.text))
                .at(&word.place, "not in `[gates]`")
                .help(suggest(&word.text, names).unwrap_or_else(|| {
                    "define it there: a name, its facts, its meaning".to_owned()
                }));
        self.out.push(found);
        None
    }

    /// A whole rule; everything wrong with it is reported.
    pub(crate) fn rule(&mut self, entry: &Entry) -> Option<Written> {
        let reach = if entry.effect == Effect::Deny { Reach::Everybody } else { Reach::Services };
        let rows = self.subject(&entry.subject, reach);
        let caps = self.capability(&entry.capability);
        if caps.is_some() && entry.capability.text == "*" && entry.effect == Effect::Allow {
            let found = Diagnostic::error("allow-everything", "an allow cannot be for everything")
                .at(&entry.capability.place, "grants every capability there will ever be")
                .help("name the capabilities, or whole families: `fs.*`");
            self.out.push(found);
        }
        let mut when = Condition { until: entry.until, limit: entry.limit, ..Condition::default() };
        let mut complete = true;
        for word in &entry.when {
            match self.gate(word) {
                Some((all, none)) => (when.all, when.none) = (when.all | all, when.none | none),
                None => complete = false,
            }
        }
        if when.all & when.none != 0 {
            let found = Diagnostic::error("gate-never-true", "these gates are never open together")
                .at(&entry.capability.place, "one needs a fact that another excludes");
            self.out.push(found);
        }
        let rule = Rule { effect: entry.effect, rows: rows?, caps: caps?, when };
        complete.then(|| Written { entry: entry.clone(), rule })
    }

    /// Definitions that nothing refers to, and names that look like others.
    pub(crate) fn report_definitions(&mut self) {
        let groups = self.groups.iter().map(|(name, d)| ("group", name, &d.place, d.used));
        let gates = self.gates.iter().map(|(name, d)| ("gate", name, &d.place, d.used));
        let facts = self.facts.iter().zip(&self.fact_places);
        let facts = facts.map(|((name, _), d)| ("fact", name, &d.place, d.used));
        let unused = groups.clone().chain(gates.clone()).chain(facts.clone());
        let mut found = Vec::new();
        for (what, name, place, _) in unused.filter(|(.., used)| !used) {
            let message = format!("{what} `{name}` is not used");
            let unused = Diagnostic::warning("unused-definition", message);
            found.push(unused.at(place, "nothing refers to it").help("use it, or remove it"));
        }
        let caps = self.caps.iter().map(|cap| (cap.name.as_str(), Some(&cap.place)));
        look_alike::check("capability", caps.collect(), &mut found);
        let rows = self.rows.iter().map(|row| (row.as_str(), None));
        let groups = groups.map(|(_, name, place, _)| (name.as_str(), Some(place)));
        look_alike::check("subject", groups.chain(rows).collect(), &mut found);
        let gates = gates.map(|(_, name, place, _)| (name.as_str(), Some(place)));
        look_alike::check("gate", gates.collect(), &mut found);
        let facts = facts.map(|(_, name, place, _)| (name.as_str(), Some(place)));
        look_alike::check("fact", facts.collect(), &mut found);
        self.out.append(&mut found);
    }
}

fn invalid(what: &str, word: &Word) -> Option<Diagnostic> {
    let fault = check_name(&word.text).err()?;
    let shown = if word.text.is_empty() { String::new() } else { format!(" `{}`", word.text) };
    let message = format!("{what}{shown} is not a valid name");
    let found = Diagnostic::error("invalid-name", message);
    Some(found.at(&word.place, fault.reason).maybe_help(fault.help))
}

/// A pattern as a name, to check its other characters.
fn without_stars(word: &Word) -> Word {
    Word { text: word.text.replace('*', "x"), place: word.place.clone() }
}
