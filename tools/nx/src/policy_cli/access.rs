//! What a policy answers about one pair in every situation its conditions can tell apart, and
//! how two such answers compare. All answers come from the evaluator.

use std::collections::{BTreeMap, BTreeSet};

use nexus_sel::{
    Facts, LimitId, LimitSpec, Limits, Policy,
    authoring::{Cell, Condition, Link},
};

use super::side::Side;

/// Facts that are told apart exhaustively: 4096 situations for each moment.
pub(super) const MAX_FACTS: usize = 12;

/// A side with its evaluator.
pub(super) struct View<'a> {
    pub(super) side: &'a Side,
    pub(super) policy: Policy<'a>,
}

/// One row and one capability.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    /// Name of the subject or class.
    pub(super) subject: &'a str,
    /// Name of the capability.
    pub(super) capability: &'a str,
}

/// What is granted in one situation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    Denied,
    /// At the rates of these buckets together.
    Limited(Vec<Drawn>),
    Unlimited,
}

/// A bucket as the rules have it: its rate, and the other capabilities that draw from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Drawn {
    burst: u32,
    refill_ns: u64,
    beside: Vec<String>,
}

/// How the second side differs from the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Somewhere it grants what the first does not.
    pub(super) gained: bool,
    /// Somewhere it refuses what the first does not.
    pub(super) lost: bool,
}

impl Change {
    /// Nothing.
    pub(super) const NONE: Self = Self { gained: false, lost: false };
    /// More than before.
    pub(super) const GAINED: Self = Self { gained: true, lost: false };
    /// Less than before.
    pub(super) const LOST: Self = Self { gained: false, lost: true };

    /// Both together.
    pub(super) const fn and(self, other: Self) -> Self {
        Self { gained: self.gained || other.gained, lost: self.lost || other.lost }
    }

    const fn is_complete(self) -> bool {
        self.gained && self.lost
    }
}

/// A situation: the facts that hold, by name, and the time.
struct World<'a> {
    facts: Vec<&'a str>,
    wall_s: u64,
}

/// Notes every bucket the evaluator asks for, and has none: what is asked is what is limited.
#[derive(Default)]
struct Asked(Vec<(LimitId, LimitSpec)>);

impl Limits for Asked {
    fn take(&mut self, limit: LimitId, spec: LimitSpec) -> bool {
        self.0.push((limit, spec));
        false
    }
}

impl<'a> View<'a> {
    /// Opens a side.
    pub(super) fn new(side: &'a Side) -> Result<Self, String> {
        Ok(Self { side, policy: side.policy()? })
    }

    /// The cell of a pair, if a rule speaks about it.
    pub(super) fn cell(&self, pair: Pair<'_>) -> Option<&'a Cell> {
        let (row, _) = self.side.row(pair.subject)?;
        let caps = &self.side.model.capabilities;
        let cap = caps.binary_search_by(|cap| cap.name.as_str().cmp(pair.capability)).ok()?;
        self.side.model.cells.get(&(u32::try_from(row).ok()?, u32::try_from(cap).ok()?))
    }

    /// An id that falls into the row, 0 (no service) if there is none.
    pub(super) fn id(&self, subject: &str) -> u64 {
        self.side.row(subject).map_or(0, |(_, id)| id)
    }

    /// The name of the row that an id falls into: a service, or a class.
    pub(super) fn row_name(&self, id: u64) -> Option<String> {
        let model = &self.side.model;
        let class = model.classes.iter().position(|(first, last)| (*first..=*last).contains(&id));
        let class = class.and_then(|at| self.side.rows.get(model.subjects.len() + at));
        let named = self.policy.subject_name(id).map(|name| name.to_string());
        named.or_else(|| class.map(|(name, _)| name.clone()))
    }

    /// Names behind the bits of a fact word.
    pub(super) fn fact_names(&self, bits: u64) -> Vec<&'a str> {
        let named = self.side.model.facts.iter().enumerate();
        named.filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, (name, _))| name.as_str()).collect()
    }

    fn grant(&self, pair: Pair<'_>, world: &World<'_>) -> Grant {
        let mask = |name: &&str| self.policy.fact(name.as_bytes()).map_or(0, |fact| fact.mask);
        let bits = world.facts.iter().map(mask).fold(0, |bits, mask| bits | mask);
        let facts = Facts { bits, wall_s: world.wall_s };
        let mut asked = Asked::default();
        let id = self.id(pair.subject);
        let decision = self.policy.decide_with(id, pair.capability.as_bytes(), facts, &mut asked);
        match (decision.is_allow(), asked.0) {
            (true, _) => Grant::Unlimited,
            (false, asked) if asked.is_empty() => Grant::Denied,
            (false, asked) => {
                let drawn = asked.into_iter().map(|(limit, spec)| self.drawn(pair, limit, spec));
                let mut drawn: Vec<Drawn> = drawn.collect();
                drawn.sort();
                Grant::Limited(drawn)
            }
        }
    }

    /// Capabilities that draw from a bucket of this pair too.
    pub(super) fn beside(&self, pair: Pair<'_>) -> BTreeSet<String> {
        let limits = links(self.cell(pair)).iter().filter_map(|link| link.limit.map(LimitId));
        let spec = |id| Some((id, self.policy.limit(id)?));
        let drawn = limits.filter_map(spec).map(|(id, spec)| self.drawn(pair, id, spec));
        drawn.flat_map(|bucket| bucket.beside).collect()
    }

    /// A bucket with the other capabilities of the row that share it.
    fn drawn(&self, pair: Pair<'_>, limit: LimitId, spec: LimitSpec) -> Drawn {
        let row = self.side.row(pair.subject).and_then(|(row, _)| u32::try_from(row).ok());
        let cells = row.map(|row| self.side.model.cells.range((row, 0)..=(row, u32::MAX)));
        let shares = |cell: &Cell| links(Some(cell)).iter().any(|link| link.limit == Some(limit.0));
        let caps = cells.into_iter().flatten().filter(|(_, cell)| shares(cell));
        let caps = caps.filter_map(|((_, cap), _)| self.side.model.capabilities.get(*cap as usize));
        let beside = caps.map(|cap| cap.name.clone()).filter(|name| name != pair.capability);
        Drawn { burst: spec.burst, refill_ns: spec.refill_ns, beside: beside.collect() }
    }
}

/// Conditional rules of a cell.
pub(super) fn links(cell: Option<&Cell>) -> &[Link] {
    match cell {
        Some(Cell::Chain(links)) => links,
        _ => &[],
    }
}

/// The condition of a conditional rule, with its rate instead of its bucket.
pub(super) fn condition(view: &View<'_>, link: &Link) -> Condition {
    let limit = link.limit.and_then(|id| view.policy.limit(LimitId(id)));
    Condition { all: link.all, none: link.none, until: link.until, limit }
}

/// How the answers about a pair differ.
pub(super) fn compare(old: &View<'_>, new: &View<'_>, pair: Pair<'_>) -> Change {
    let cells = (old.cell(pair), new.cell(pair));
    let mut names = BTreeSet::new();
    let mut times = BTreeSet::from([0]);
    for (view, cell) in [(old, cells.0), (new, cells.1)] {
        for link in links(cell) {
            names.extend(view.fact_names(link.all | link.none));
            times.extend(link.until.into_iter().flat_map(|until| [until.saturating_sub(1), until]));
        }
    }
    let names: Vec<&str> = names.into_iter().collect();
    if names.len() > MAX_FACTS {
        // Too many to try: any difference in what is written counts as both.
        let same = signature(old, pair, cells.0) == signature(new, pair, cells.1);
        return if same { Change::NONE } else { Change { gained: true, lost: true } };
    }
    let mut change = Change::NONE;
    for set in 0_u32..1 << names.len() {
        let facts = names.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        let facts: Vec<&str> = facts.map(|(_, name)| *name).collect();
        for wall_s in &times {
            let world = World { facts: facts.clone(), wall_s: *wall_s };
            change = change.and(step(&old.grant(pair, &world), &new.grant(pair, &world)));
            if change.is_complete() {
                return change;
            }
        }
    }
    change
}

/// Rules of a cell without their numbers.
fn signature(
    view: &View<'_>,
    pair: Pair<'_>,
    cell: Option<&Cell>,
) -> Vec<(u8, Vec<String>, String)> {
    let unconditional = match cell {
        Some(Cell::Rule(effect, _)) => vec![(*effect as u8, Vec::new(), String::new())],
        _ => Vec::new(),
    };
    let conditional = links(cell).iter().map(|link| {
        let condition = condition(view, link);
        let not = view.fact_names(link.none).into_iter().map(|name| format!("!{name}"));
        let facts = view.fact_names(link.all).into_iter().map(str::to_owned).chain(not);
        let beside = link.limit.map(LimitId).zip(condition.limit);
        let drawn = beside.map(|(id, spec)| view.drawn(pair, id, spec));
        let rest = format!("{:?} {drawn:?}", condition.until);
        (link.effect as u8, facts.collect(), rest)
    });
    unconditional.into_iter().chain(conditional).collect()
}

fn step(old: &Grant, new: &Grant) -> Change {
    match (old, new) {
        (old, new) if old == new => Change::NONE,
        (Grant::Denied, _) | (_, Grant::Unlimited) => Change::GAINED,
        (_, Grant::Denied) | (Grant::Unlimited, _) => Change::LOST,
        (Grant::Limited(old), Grant::Limited(new)) => {
            let rates = (rate(old), rate(new));
            let (old, new) = (beside(old), beside(new));
            // A bucket that serves fewer others has more for this one.
            let freed = old.difference(&new).next().is_some();
            let taken = new.difference(&old).next().is_some();
            let (old, new) = rates;
            let gained = new.0 > old.0 || new.1 > old.1 || freed;
            Change { gained, lost: old.0 > new.0 || old.1 > new.1 || taken }
        }
    }
}

/// Who shares a bucket, and how many of these buckets.
fn beside(buckets: &[Drawn]) -> BTreeSet<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in buckets.iter().flat_map(|bucket| &bucket.beside) {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().flat_map(|(name, count)| (0..count).map(move |nth| (name, nth))).collect()
}

/// Tokens at once, and tokens that come back in a long time.
fn rate(specs: &[Drawn]) -> (u64, u128) {
    /// A day in which no two different periods come out alike.
    const LONG_NS: u128 = 86_400_000_000_000_000_000_000_000;
    let back = |spec: &Drawn| LONG_NS.checked_div(u128::from(spec.refill_ns)).unwrap_or(0);
    (specs.iter().map(|spec| u64::from(spec.burst)).sum(), specs.iter().map(back).sum())
}
