//! A policy with every name resolved: what the blob says, as plain data.
use std::collections::BTreeMap;

use crate::bounds::MAX_CHAIN;
use crate::decision::{AuditMode, Effect};
use crate::limits::LimitSpec;
use crate::policy::Sensitivity;

/// A registered capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilitySpec {
    /// Its name.
    pub name: String,
    /// What audit guarantees.
    pub audit: AuditMode,
    /// How much harm it can do.
    pub sensitivity: Sensitivity,
}

/// When a rule is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Facts that must hold.
    pub all: u64,
    /// Facts that must not hold.
    pub none: u64,
    /// Seconds since 1970 at which it ends.
    pub until: Option<u64>,
    /// Rate, per subject and rule.
    pub limit: Option<LimitSpec>,
}

impl Condition {
    /// True if the rule is always in force.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// A rule over resolved subjects (row numbers) and capabilities (positions by name).
#[derive(Clone, Debug)]
pub struct Rule {
    /// Allow or deny.
    pub effect: Effect,
    /// Rows it speaks about.
    pub rows: Vec<u32>,
    /// Capabilities it speaks about.
    pub caps: Vec<u32>,
    /// When.
    pub when: Condition,
}

/// A conditional rule within one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Allow or deny.
    pub effect: Effect,
    /// Its number.
    pub rule: u32,
    /// Facts that must hold.
    pub all: u64,
    /// Facts that must not hold.
    pub none: u64,
    /// Seconds since 1970 at which it ends.
    pub until: Option<u64>,
    /// Its bucket.
    pub limit: Option<u16>,
}

/// What the policy says about one subject and one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// One rule decides, always.
    Rule(Effect, u32),
    /// It depends: denials first.
    Chain(Vec<Link>),
}

impl Cell {
    /// The rules that can decide this cell.
    pub fn rules(&self) -> impl Iterator<Item = (Effect, u32)> + '_ {
        let (one, many) = match self {
            Self::Rule(effect, rule) => (Some((*effect, *rule)), &[][..]),
            Self::Chain(links) => (None, &links[..]),
        };
        one.into_iter().chain(many.iter().map(|link| (link.effect, link.rule)))
    }
}

/// A whole policy. Rows are the subjects in order, then the classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Version of the policy itself.
    pub version: u64,
    /// Names and ids, sorted by name.
    pub subjects: Vec<(String, u64)>,
    /// Id ranges, ascending and disjoint.
    pub classes: Vec<(u64, u64)>,
    /// Sorted by name.
    pub capabilities: Vec<CapabilitySpec>,
    /// Names and owners, sorted by name; the position is the bit.
    pub facts: Vec<(String, u64)>,
    /// Buckets.
    pub limits: Vec<LimitSpec>,
    /// How many rules were written.
    pub rules: u32,
    /// By row and capability.
    pub cells: BTreeMap<(u32, u32), Cell>,
}

/// A pair in which more conditional rules meet than [`MAX_CHAIN`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowded {
    /// Row.
    pub row: u32,
    /// Capability.
    pub cap: u32,
    /// The rule that was one too many.
    pub rule: u32,
}

impl Model {
    /// Fills the cells from `rules`, which are numbered from 1 in this order.
    ///
    /// # Errors
    /// Every pair where too many conditional rules meet.
    pub fn fill(&mut self, rules: &[Rule]) -> Result<(), Vec<Crowded>> {
        let mut buckets = BTreeMap::new();
        let mut crowded = Vec::new();
        self.rules = number(rules.len());
        for ((row, cap), found) in gather(rules) {
            let cell = combine(&found, rules, |rule, spec| {
                let next = buckets.len();
                *buckets.entry((row, rule)).or_insert_with(|| {
                    self.limits.push(spec);
                    u16::try_from(next).unwrap_or(u16::MAX)
                })
            });
            if let Cell::Chain(links) = &cell
                && let Some(extra) = links.get(MAX_CHAIN)
            {
                crowded.push(Crowded { row, cap, rule: extra.rule });
            }
            self.cells.insert((row, cap), cell);
        }
        if crowded.is_empty() { Ok(()) } else { Err(crowded) }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What rules say about one pair, as far as it can matter.
#[derive(Default)]
struct Spoken {
    /// Rule positions, in rule order and each once.
    rules: Vec<usize>,
    /// By effect: whether one holds always, and how many hold sometimes.
    always: [bool; 2],
    sometimes: [usize; 2],
}

impl Spoken {
    /// Adds a rule, unless it cannot change the outcome any more: what is under an unconditional
    /// one of its effect, or past what a pair can hold, is not kept.
    fn add(&mut self, index: usize, rule: &Rule) {
        let of = usize::from(rule.effect == Effect::Allow);
        let covered = self.always.first() == Some(&true) || self.always.get(of) == Some(&true);
        if covered || self.rules.last() == Some(&index) {
            return;
        }
        if rule.when.is_always() {
            self.always.get_mut(of).into_iter().for_each(|always| *always = true);
        } else if let Some(count) = self.sometimes.get_mut(of) {
            if *count > MAX_CHAIN {
                return;
            }
            *count = count.saturating_add(1);
        }
        self.rules.push(index);
    }
}

/// The rules about each pair.
fn gather(rules: &[Rule]) -> BTreeMap<(u32, u32), Vec<usize>> {
    let mut pairs: BTreeMap<(u32, u32), Spoken> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        for row in &rule.rows {
            for cap in &rule.caps {
                pairs.entry((*row, *cap)).or_default().add(index, rule);
            }
        }
    }
    pairs.into_iter().map(|(pair, spoken)| (pair, spoken.rules)).collect()
}

/// Precedence, settled once: an unconditional deny; else conditional denies before grants;
/// an unconditional grant makes conditional ones idle; limited grants come last, so that a
/// token is spent only where nothing else grants, the bucket of fewest capabilities first.
fn combine(
    found: &[usize],
    rules: &[Rule],
    mut bucket: impl FnMut(usize, LimitSpec) -> u16,
) -> Cell {
    let of = |effect: Effect| {
        found
            .iter()
            .filter_map(move |at| rules.get(*at).map(|rule| (*at, rule)))
            .filter(move |(_, rule)| rule.effect == effect)
    };
    let always = |effect| of(effect).find(|(_, rule)| rule.when.is_always());
    if let Some((at, _)) = always(Effect::Deny) {
        return Cell::Rule(Effect::Deny, id(at));
    }
    let mut grants: Vec<(usize, &Rule)> = match always(Effect::Allow) {
        Some(grant) if of(Effect::Deny).next().is_none() => {
            return Cell::Rule(Effect::Allow, id(grant.0));
        }
        Some(grant) => vec![grant],
        None => of(Effect::Allow).collect(),
    };
    grants.sort_by(|(one, first), (other, second)| {
        spending(first).cmp(&spending(second)).then(one.cmp(other))
    });
    let links = of(Effect::Deny).chain(grants).map(|(at, rule)| Link {
        effect: rule.effect,
        rule: id(at),
        all: rule.when.all,
        none: rule.when.none,
        until: rule.when.until,
        limit: rule.when.limit.map(|spec| bucket(at, spec)),
    });
    Cell::Chain(links.collect())
}

/// By what the rules say and not by where they stand: else moving a rule would change which
/// bucket is left for the other capabilities that share one.
fn spending(rule: &Rule) -> impl Ord + use<'_> {
    let when = &rule.when;
    let limit = when.limit.map(|limit| (limit.burst, limit.refill_ns));
    let share = limit.map(|_| (rule.caps.len(), &rule.caps));
    (limit.is_some(), share, limit, limit.map(|_| (when.all, when.none, when.until)))
}

/// Rules are numbered from 1; 0 is "no rule".
fn id(index: usize) -> u32 {
    number(index).saturating_add(1)
}
