//! Reads a model back from a checked blob.
use std::collections::BTreeMap;

use crate::authoring::model::{CapabilitySpec, Cell, Link, Model};
use crate::bounds::MAX_CHAIN;
use crate::decision::Effect;
use crate::layout::{
    BLOCK, CELL_CHAIN, CELL_DENY, FOREVER, Kind, LINK_DENY, LINK_LAST, LINK_LIMIT_SHIFT,
    LINK_LIMITED, NIBBLE, ROW_BASE_SHIFT, cell_value,
};
use crate::limits::LimitSpec;
use crate::policy::Policy;

impl Model {
    /// Everything an opened policy says.
    #[must_use]
    pub fn from_policy(policy: &Policy<'_>) -> Self {
        let capabilities = policy.capabilities().map(|(name, cap)| CapabilitySpec {
            name: name.to_string(),
            audit: cap.audit(),
            sensitivity: cap.sensitivity(),
        });
        let facts = policy.records().filter(|(header, _)| header.kind() == Some(Kind::Fact));
        let owners = policy.facts.iter().map(|[owner, _]| *owner);
        let limits = policy
            .limits
            .iter()
            .map(|[burst, refill_ns]| LimitSpec { burst: *burst as u32, refill_ns: *refill_ns });
        Self {
            version: policy.version(),
            subjects: policy.subjects().map(|(name, id)| (name.to_string(), id)).collect(),
            classes: policy.classes.iter().map(|[first, last, _]| (*first, *last)).collect(),
            capabilities: capabilities.collect(),
            facts: facts.zip(owners).map(|((_, name), owner)| (name.to_string(), owner)).collect(),
            limits: limits.collect(),
            rules: policy.rule_count(),
            cells: cells(policy),
        }
    }
}

fn cells(policy: &Policy<'_>) -> BTreeMap<(u32, u32), Cell> {
    let mut cells = BTreeMap::new();
    for (row, words) in policy.rows.chunks(policy.stride()).enumerate() {
        for (block, word) in words.iter().skip(1).enumerate() {
            for place in 0..BLOCK {
                let number = word.wrapping_shr(place.saturating_mul(NIBBLE) as u32) & 0xf;
                if number != 0 {
                    let cap = block.saturating_mul(BLOCK).saturating_add(place);
                    let at = (word >> ROW_BASE_SHIFT).saturating_add(number) as usize;
                    cells.insert((row as u32, cap as u32), cell(policy, at));
                }
            }
        }
    }
    cells
}

fn cell(policy: &Policy<'_>, at: usize) -> Cell {
    let word = policy.cells.get(at).copied().unwrap_or(CELL_DENY);
    let value = cell_value(word);
    if word & CELL_CHAIN == 0 {
        let effect = if word & CELL_DENY == 0 { Effect::Allow } else { Effect::Deny };
        return Cell::Rule(effect, value);
    }
    let mut links = Vec::new();
    for [head, all, none, until] in policy.chains.iter().skip(value as usize).take(MAX_CHAIN) {
        links.push(Link {
            effect: if head & LINK_DENY == 0 { Effect::Allow } else { Effect::Deny },
            rule: *head as u32,
            all: *all,
            none: *none,
            until: (*until != FOREVER).then_some(*until),
            limit: (head & LINK_LIMITED != 0).then_some((head >> LINK_LIMIT_SHIFT) as u16),
        });
        if head & LINK_LAST != 0 {
            break;
        }
    }
    Cell::Chain(links)
}
