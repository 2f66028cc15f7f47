//! What is wrong with rules that resolve: conflicts, duplicates, rules that decide nothing,
//! broken assertions.
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::authoring::diagnostics::Diagnostic;
use crate::authoring::document::{Document, Never};
use crate::authoring::model::{Cell, Link, Model};
use crate::authoring::registry::Registered;
use crate::authoring::resolve::{Reach, Scope, Written};
use crate::bounds::{MAX_BUCKETS, MAX_RULES};
use crate::decision::Effect;
use crate::policy::Sensitivity;

/// More rules than can be numbered; said before they are expanded.
pub(crate) fn rule_count(documents: &[Document], out: &mut Vec<Diagnostic>) {
    let mut entries = documents.iter().flat_map(|document| &document.entries);
    let Some(extra) = entries.nth(MAX_RULES) else { return };
    let count = entries.count().saturating_add(MAX_RULES).saturating_add(1);
    let message = format!("{count} rules, but MAX_RULES is {MAX_RULES}");
    let found = Diagnostic::error("too-many", message);
    let found = found.at(&extra.capability.place, "one too many");
    out.push(found.help("families and groups say many rules in one"));
}

/// More token buckets than policyd keeps: the ones beyond would always be empty.
pub(crate) fn buckets(rules: &[Written], model: &Model, out: &mut Vec<Diagnostic>) {
    let count = model.limits.len();
    let beyond = |link: &&Link| link.limit.is_some_and(|at| usize::from(at) >= MAX_BUCKETS);
    let chains = model.cells.values().filter_map(|cell| match cell {
        Cell::Chain(links) => links.iter().find(beyond),
        Cell::Rule(..) => None,
    });
    let rule = chains.map(|link| link.rule).min();
    let rule = rule.and_then(|id| rules.get(id.checked_sub(1)? as usize));
    let Some(rule) = rule.filter(|_| count > MAX_BUCKETS) else { return };
    let message = format!("{count} limits, but MAX_BUCKETS is {MAX_BUCKETS}");
    let found = Diagnostic::error("too-many", message);
    let found = found.at(&rule.entry.capability.place, "each of its subjects takes one");
    out.push(found.help("limit fewer subjects; the names of a family share one limit"));
}

/// The same subject and the same capability, written twice.
pub(crate) fn conflicts(rules: &[Written], out: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<(&str, &str), Vec<&Written>> = BTreeMap::new();
    for rule in rules {
        let key = (rule.entry.subject.text.as_str(), rule.entry.capability.text.as_str());
        let earlier = seen.entry(key).or_default();
        for other in earlier.iter() {
            if let Some(found) = conflict(other, rule) {
                out.push(found);
                break;
            }
        }
        earlier.push(rule);
    }
}

fn conflict(first: &Written, second: &Written) -> Option<Diagnostic> {
    let (subject, capability) = (&second.entry.subject.text, &second.entry.capability);
    let other = &first.entry.capability.place;
    if first.entry.effect == second.entry.effect {
        let same = first.rule.when == second.rule.when;
        let message = format!("`{subject}` already has this rule for `{}`", capability.text);
        return same.then(|| {
            Diagnostic::warning("duplicate-rule", message)
                .at(&capability.place, "again here")
                .at(other, "first here")
        });
    }
    // An allow with a conditional deny is an exception; with an unconditional one it is dead.
    let deny = if first.entry.effect == Effect::Deny { first } else { second };
    let word =
        |rule: &Written| if rule.entry.effect == Effect::Deny { "denied" } else { "allowed" };
    deny.rule.when.is_always().then(|| {
        let message = format!("`{}` is both allowed and denied to `{subject}`", capability.text);
        Diagnostic::error("allow-and-deny", message)
            .at(&capability.place, format!("{} here", word(second)))
            .at(other, format!("{} here", word(first)))
            .help("deny always wins: remove one of the two")
    })
}

/// Rules that win nowhere, and wildcards that hand out more than their author may know.
pub(crate) fn lints(
    rules: &[Written],
    model: &Model,
    scope: &Scope<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let winners: BTreeSet<u32> = model.cells.values().flat_map(deciders).collect();
    let allows = rules.iter().filter(|rule| rule.rule.effect == Effect::Allow);
    let granted: HashSet<(u32, u32)> = allows.flat_map(pairs).collect();
    let reported: BTreeSet<_> =
        out.iter().filter_map(|d| Some(d.labels.first()?.place.order())).collect();
    for (id, rule) in (1_u32..).zip(rules) {
        let place = &rule.entry.capability.place;
        if !winners.contains(&id) && !reported.contains(&place.order()) {
            out.extend(idle(id, rules, model));
        } else if rule.entry.effect == Effect::Deny
            && !reported.contains(&place.order())
            && !pairs(rule).any(|pair| granted.contains(&pair))
        {
            out.push(needless(rule));
        }
        if rule.entry.effect == Effect::Allow {
            out.extend(broad(rule, scope.caps));
            out.extend(unenforced(rule, scope.caps));
        }
    }
    unused(rules, scope.caps, out);
}

/// Enforced capabilities that no rule allows anybody; a family counts as one.
fn unused(rules: &[Written], caps: &[Registered], out: &mut Vec<Diagnostic>) {
    let allows = rules.iter().filter(|rule| rule.rule.effect == Effect::Allow);
    let used: BTreeSet<u32> = allows.flat_map(|rule| rule.rule.caps.iter().copied()).collect();
    let mut idle: BTreeMap<(usize, usize), Option<&Registered>> = BTreeMap::new();
    for (index, cap) in (0_u32..).zip(caps) {
        let entry = idle.entry(cap.entry.order()).or_insert(Some(cap));
        if cap.reserved || used.contains(&index) {
            *entry = None;
        }
    }
    for cap in idle.into_values().flatten() {
        let message = format!("nobody is allowed `{}`", cap.name);
        let found = Diagnostic::warning("unused-capability", message);
        let help = "allow it to somebody, or say `status = \"reserved\"`";
        out.push(found.at(&cap.entry, format!("{} asks for it in vain", cap.enforcer)).help(help));
    }
}

/// Grants of names that no running service enforces: they mean nothing yet, and something one
/// day without anybody looking.
fn unenforced(rule: &Written, caps: &[Registered]) -> Option<Diagnostic> {
    let covered = rule.rule.caps.iter().filter_map(|cap| caps.get(*cap as usize));
    let reserved: Vec<&Registered> = covered.filter(|cap| cap.reserved).collect();
    let first = reserved.first()?;
    let names: Vec<&str> = reserved.iter().map(|cap| cap.name.as_str()).collect();
    let capability = &rule.entry.capability;
    let message = format!("`{}` is granted, but nobody enforces it yet", capability.text);
    let label = format!("{} reserved for `{}`", names.join(", "), first.enforcer);
    let found = Diagnostic::warning("unenforced-capability", message).at(&capability.place, label);
    Some(found.help("grant it when its enforcer exists"))
}

/// Every subject and capability that a rule speaks about.
fn pairs(rule: &Written) -> impl Iterator<Item = (u32, u32)> + '_ {
    let caps = &rule.rule.caps;
    rule.rule.rows.iter().flat_map(move |row| caps.iter().map(move |cap| (*row, *cap)))
}

/// The rules of a cell that decide it in some situation.
fn deciders(cell: &Cell) -> Vec<u32> {
    match cell {
        Cell::Rule(_, rule) => vec![*rule],
        Cell::Chain(links) => {
            let alive = (0..links.len()).filter(|at| master(links, *at).is_none());
            alive.filter_map(|at| links.get(at)).map(|link| link.rule).collect()
        }
    }
}

/// The link that decides whenever the one at `at` would: an earlier one, or a wider one of the
/// same effect.
fn master(links: &[Link], at: usize) -> Option<&Link> {
    let link = links.get(at)?;
    let above = |(index, other): &(usize, &Link)| {
        let earlier = *index < at;
        let wider = other.effect == link.effect && !covers(link, other);
        *index != at && covers(other, link) && (earlier || wider)
    };
    links.iter().enumerate().find(above).map(|(_, other)| other)
}

/// True if `wide` is in force whenever `narrow` is, and cannot run out of tokens.
fn covers(wide: &Link, narrow: &Link) -> bool {
    let lasts = match (wide.until, narrow.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow <= wide,
    };
    let facts = wide.all & !narrow.all == 0 && wide.none & !narrow.none == 0;
    lasts && facts && wide.limit.is_none()
}

/// The rule that decides instead of `id` in this cell.
fn winner(cell: &Cell, id: u32) -> Option<(Effect, u32)> {
    let Cell::Chain(links) = cell else { return cell.rules().next() };
    let found = match links.iter().position(|link| link.rule == id) {
        Some(at) => master(links, at),
        // Left out of the chain beside a grant without conditions.
        None => links.last(),
    };
    found.map(|link| (link.effect, link.rule))
}

/// A deny of what nobody allows.
fn needless(rule: &Written) -> Diagnostic {
    let (subject, capability) = (&rule.entry.subject.text, &rule.entry.capability);
    let message = format!("nothing allows `{}` to `{subject}`", capability.text);
    Diagnostic::warning("idle-deny", message)
        .at(&capability.place, "forbids what is refused anyway")
        .help("deny is the default; so that nobody ever grants it, say `[[never]]`")
}

fn idle(id: u32, rules: &[Written], model: &Model) -> Option<Diagnostic> {
    let rule = rules.get(id.checked_sub(1)? as usize)?;
    let at = (*rule.rule.rows.first()?, *rule.rule.caps.first()?);
    let (effect, winner) = winner(model.cells.get(&at)?, id)?;
    let winner = rules.get(winner.checked_sub(1)? as usize)?;
    let dead = effect == Effect::Deny && rule.entry.effect == Effect::Allow;
    let (code, what) =
        if dead { ("dead-allow", "denied") } else { ("covered-rule", "already decided") };
    let (subject, capability) = (&rule.entry.subject.text, &rule.entry.capability);
    let message = format!("this rule for `{subject}` and `{}` decides nothing", capability.text);
    let found = Diagnostic::warning(code, message);
    Some(
        found
            .at(&capability.place, "idle")
            .at(&winner.entry.capability.place, format!("{what} here")),
    )
}

fn broad(rule: &Written, caps: &[Registered]) -> Option<Diagnostic> {
    let covered = rule.rule.caps.iter().filter_map(|cap| caps.get(*cap as usize));
    let high: Vec<&str> = covered
        .filter(|cap| cap.sensitivity == Sensitivity::High)
        .map(|cap| cap.name.as_str())
        .collect();
    let capability = &rule.entry.capability;
    if !capability.text.contains('*') {
        return None;
    }
    let message = format!("`{}` grants sensitive capabilities", capability.text);
    (!high.is_empty()).then(|| {
        Diagnostic::warning("broad-wildcard", message)
            .at(&capability.place, format!("covers {}", high.join(", ")))
            .help("name sensitive capabilities one by one")
    })
}

/// Assertions over the finished cells: what may be allowed, under whatever condition.
pub(crate) fn assertions(
    nevers: &[&Never],
    rules: &[Written],
    model: &Model,
    scope: &mut Scope<'_>,
    judge: bool,
) {
    for never in nevers {
        let caps: Vec<Option<Vec<u32>>> =
            never.capabilities.iter().map(|word| scope.capability(word)).collect();
        let subjects: Vec<Option<Vec<u32>>> =
            never.subjects.iter().map(|word| scope.subject(word, Reach::Everybody)).collect();
        let except: Vec<Option<Vec<u32>>> =
            never.except.iter().map(|word| scope.subject(word, Reach::Services)).collect();
        let complete =
            [&caps, &subjects, &except].iter().all(|list| list.iter().all(Option::is_some));
        if !complete || !judge {
            continue;
        }
        let set = |list: Vec<Option<Vec<u32>>>| -> BTreeSet<u32> {
            list.into_iter().flatten().flatten().collect()
        };
        let (caps, except) = (set(caps), set(except));
        let everybody = subjects.is_empty();
        let subjects = set(subjects);
        let mut broken: BTreeMap<u32, (u32, u32, usize)> = BTreeMap::new();
        for ((row, cap), cell) in &model.cells {
            let asked = (everybody || subjects.contains(row)) && !except.contains(row);
            if !asked || !caps.contains(cap) {
                continue;
            }
            let grant = cell.rules().find(|(effect, _)| *effect == Effect::Allow);
            if let Some((_, rule)) = grant {
                let entry = broken.entry(rule).or_insert((*row, *cap, 0));
                entry.2 = entry.2.saturating_add(1);
            }
        }
        for (rule, (row, cap, count)) in broken {
            let Some(rule) = rule.checked_sub(1).and_then(|at| rules.get(at as usize)) else {
                continue;
            };
            let subject = scope.rows.get(row as usize).map_or("?", String::as_str);
            let name = scope.caps.get(cap as usize).map_or("?", |cap| cap.name.as_str());
            let more = match count {
                0 | 1 => String::new(),
                pairs => format!(" (the rule grants {pairs} such pairs)"),
            };
            let message = format!("`{subject}` must never have `{name}`{more}");
            let found = Diagnostic::error("never-violated", message)
                .at(&rule.entry.capability.place, "granted here")
                .at(&never.place, "forbidden here")
                .help(format!("the reason given: {}", never.reason))
                .help("take the grant away, or name the subject in `except`");
            scope.out.push(found);
        }
    }
}
