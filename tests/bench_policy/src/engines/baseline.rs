//! What anybody would write first.
use std::collections::HashMap;

use crate::engine::Engine;
use crate::workload::{Pattern, Question, World};

/// A question as it arrives.
type Asked = (u64, &'static str);

fn asked(question: &Question) -> Asked {
    (question.subject, question.name.clone().leak())
}

/// Every granted pair, denials subtracted.
fn granted(world: &World) -> Vec<(u64, String)> {
    let mut pairs = Vec::new();
    for service in &world.services {
        let denied = world.listed(service, true);
        for name in world.listed(service, false) {
            if !denied.contains(&name) {
                pairs.push((service.id, world.names[name].clone()));
            }
        }
    }
    pairs
}

/// No engine, an empty body: what the loop itself costs.
pub struct Nothing;

impl Engine for Nothing {
    type Source = ();
    type Query = Asked;

    fn source(_: &World) {}

    fn load((): &()) -> Self {
        Self
    }

    fn query(&self, question: &Question) -> Asked {
        asked(question)
    }

    #[inline]
    fn decide(&mut self, _: &Asked) -> bool {
        false
    }
}

/// `std::collections::HashMap` from (id, name).
pub struct Hash(HashMap<Asked, ()>);

impl Engine for Hash {
    type Source = Vec<(u64, String)>;
    type Query = Asked;

    fn source(world: &World) -> Self::Source {
        granted(world)
    }

    fn load(source: &Self::Source) -> Self {
        Self(source.iter().map(|(id, name)| ((*id, &*name.clone().leak()), ())).collect())
    }

    fn query(&self, question: &Question) -> Asked {
        asked(question)
    }

    #[inline]
    fn decide(&mut self, query: &Asked) -> bool {
        self.0.contains_key(query)
    }
}

/// Sorted pairs and binary search.
pub struct Sorted(Vec<Asked>);

impl Engine for Sorted {
    type Source = Vec<(u64, String)>;
    type Query = Asked;

    fn source(world: &World) -> Self::Source {
        granted(world)
    }

    fn load(source: &Self::Source) -> Self {
        let mut pairs: Vec<Asked> =
            source.iter().map(|(id, name)| (*id, &*name.clone().leak())).collect();
        pairs.sort_unstable();
        Self(pairs)
    }

    fn query(&self, question: &Question) -> Asked {
        asked(question)
    }

    #[inline]
    fn decide(&mut self, query: &Asked) -> bool {
        self.0.binary_search(query).is_ok()
    }
}

/// Every rule in a row, as written; all are walked, because a deny may stand last.
pub struct Linear {
    rules: Vec<Row>,
    names: Vec<String>,
}

struct Row {
    id: u64,
    deny: bool,
    family: bool,
    text: String,
}

impl Engine for Linear {
    type Source = (Vec<(u64, bool, bool, String)>, Vec<String>);
    type Query = Asked;

    fn source(world: &World) -> Self::Source {
        let mut rules = Vec::new();
        for service in &world.services {
            for rule in &service.rules {
                let family = matches!(rule.pattern, Pattern::Family(_));
                let text = world.text(rule.pattern).trim_end_matches('*').to_owned();
                rules.push((service.id, rule.deny, family, text));
            }
        }
        (rules, world.names.clone())
    }

    fn load((rules, names): &Self::Source) -> Self {
        let row = |(id, deny, family, text): &(u64, bool, bool, String)| Row {
            id: *id,
            deny: *deny,
            family: *family,
            text: text.clone(),
        };
        let mut names = names.clone();
        names.sort_unstable();
        Self { rules: rules.iter().map(row).collect(), names }
    }

    fn query(&self, question: &Question) -> Asked {
        asked(question)
    }

    #[inline]
    fn decide(&mut self, (subject, name): &Asked) -> bool {
        let mut allowed = false;
        for rule in self.rules.iter().filter(|rule| rule.id == *subject) {
            let spoken =
                if rule.family { name.starts_with(&rule.text) } else { *name == rule.text };
            if spoken && rule.deny {
                return false;
            }
            allowed |= spoken;
        }
        // The vocabulary is closed: `fs.*` does not grant a name nobody knows.
        allowed && self.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}
