//! `nx policy replay`: what a policy would have answered to what was really asked.

use std::{collections::BTreeMap, path::PathBuf};

use nexus_sel::{
    Bucket, Buckets, Effect, Facts, LimitId, LimitSpec, Limits, Policy, RuleId, authoring::Link,
};
use nexus_wire::audit;
use serde_json::{Value, json};

use super::{
    access::{MAX_FACTS, Pair, View, links},
    describe::{self, counted},
    diff::{NARROWER, UNCHANGED, WIDER},
    records::{self, Record, Who},
    render,
    side::{Failure, Place, Side, load, spec},
    style::{Progress, Style, Tone},
};

/// Nothing changes for certain, but facts decide about some answers.
const DEPENDS: u8 = 5;

/// Asks a policy again what an audit log says was asked
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy replay trail.nxa                          against the working tree
  nx policy replay console.log --against HEAD~1
  nx policy replay trail.jsonl --against drafts/policy --fact bring-up

AUDIT is an exported trail, JSON lines (`nx audit export`) or text with `audit v1 ...` lines, such
as a console transcript; `-` is standard input. Records that the policy did not answer (malformed
frames, false identities, kernel events) are counted and left out. Token buckets run on the times
of the records. Records do not say which facts held: unless --fact or --no-facts does, an answer
that depends on facts and could be the recorded one is listed apart, as \"depends\".

Exit status: 0 every answer stays the same
             1 the policy or the log has faults
             2 wrong usage
             3 some allows become denials, nothing else changes
             4 some denials become allows
             5 nothing changes for certain, but some answers depend on facts")]
pub(super) struct ReplayArgs {
    /// The audit log
    audit: PathBuf,
    /// The policy to ask: directory, rule file, blob or revision (default: the working tree)
    #[arg(long, value_name = "POLICY")]
    against: Option<String>,
    /// A fact that held all the time; repeat for more
    #[arg(long = "fact", value_name = "FACT")]
    facts: Vec<String>,
    /// No fact held
    #[arg(long, conflicts_with = "facts")]
    no_facts: bool,
    /// The time, for rules that expire: seconds since 1970 or 2027-01-31T12:00:00Z (unknown if
    /// not given)
    #[arg(long, value_name = "TIME", value_parser = super::explain::at, default_value = "0",
          hide_default_value = true)]
    at: u64,
}

/// How an answer differs from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Gained,
    Lost,
    Depends,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Gained, Self::Lost, Self::Depends];

    const fn word(self) -> &'static str {
        match self {
            Self::Gained => "deny -> allow",
            Self::Lost => "allow -> deny",
            Self::Depends => "depends on facts",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Depends => "depends",
        }
    }
}

/// Verdict, name of the subject, capability.
type Key = (Verdict, String, String);

/// All records with one subject, capability and verdict.
struct Group {
    count: usize,
    seqs: Vec<u64>,
    first_ns: u64,
    last_ns: u64,
    recorded: String,
    now: String,
    rule: RuleId,
}

/// Every bucket is full: what the policy may grant at best.
struct Full;

impl Limits for Full {
    fn take(&mut self, _: LimitId, _: LimitSpec) -> bool {
        true
    }
}

struct Replay<'a> {
    view: View<'a>,
    facts: Facts,
    /// Facts were stated, so nothing depends on them any more.
    stated: bool,
    buckets: Vec<Bucket>,
    boot: Option<u64>,
    digest: String,
}

pub(super) fn run(place: Place<'_>, json: bool, args: &ReplayArgs) -> Result<u8, Failure> {
    let log = records::read(&args.audit)?;
    let working = super::side::Spec::Working;
    let against = args.against.as_deref().map_or(Ok(working), |text| spec(place, text))?;
    let side = load(place, &against)?;
    let view = View::new(&side).map_err(Failure::Text)?;
    let facts = super::explain::facts(&view.policy, &args.facts, args.at)?;
    let stated = args.no_facts || !args.facts.is_empty();
    let buckets = vec![Bucket::FULL; view.policy.limit_count()];
    let mut replay = Replay { view, facts, stated, buckets, boot: None, digest: side.digest() };
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    let mut progress = Progress::new("replaying", log.records.len());
    let (mut asked, mut left_out) = (0_usize, 0_usize);
    for (done, record) in log.records.iter().enumerate() {
        progress.at(done);
        if !record.is_policy_answer() {
            left_out += 1;
            continue;
        }
        asked += 1;
        if let Some((verdict, now, rule)) = replay.ask(record) {
            let key = (verdict, replay.name(&record.subject), record.capability.clone());
            groups.entry(key).or_insert_with(|| Group::new(record, now, rule)).add(record);
        }
    }
    drop(progress);
    let counts = Counts { asked, left_out, other: log.other };
    if json {
        println!("{:#}", as_json(&side, &groups, &counts));
    } else {
        print!("{}", as_text(&side, &groups, &counts, Style::of_stdout()));
    }
    let has = |verdict| groups.keys().any(|(found, ..)| *found == verdict);
    Ok(match () {
        () if has(Verdict::Gained) => WIDER,
        () if has(Verdict::Lost) => NARROWER,
        () if has(Verdict::Depends) => DEPENDS,
        () => UNCHANGED,
    })
}

struct Counts {
    asked: usize,
    left_out: usize,
    other: usize,
}

impl Group {
    fn new(record: &Record, now: String, rule: RuleId) -> Group {
        let recorded = format!("{} ({})", record.decision, record.reason);
        let (first_ns, seqs) = (record.time_ns, Vec::new());
        Group { count: 0, seqs, first_ns, last_ns: first_ns, recorded, now, rule }
    }

    fn add(&mut self, record: &Record) {
        self.count += 1;
        self.seqs.push(record.seq);
        self.last_ns = record.time_ns;
    }
}

impl Replay<'_> {
    fn name(&self, who: &Who) -> String {
        name(&self.view.policy, who)
    }

    /// The answer now, if it is not the recorded one.
    fn ask(&mut self, record: &Record) -> Option<(Verdict, String, RuleId)> {
        if self.boot.replace(record.boot) != Some(record.boot) {
            self.buckets.fill(Bucket::FULL);
        }
        let id = id(&self.view.policy, &record.subject);
        let depends = self.depends(id, record);
        // What depends on facts is asked where it gives the recorded answer, so that the buckets
        // stay as they were.
        let facts = depends.unwrap_or(self.facts);
        let mut limits = Buckets { buckets: &mut self.buckets, now_ns: record.time_ns };
        let capability = record.capability.as_bytes();
        let decision = self.view.policy.decide_with(id, capability, facts, &mut limits);
        let now = decision.reason().as_str().to_owned();
        if depends.is_some() {
            return Some((
                Verdict::Depends,
                "either, as facts have it".to_owned(),
                decision.rule(),
            ));
        }
        if decision.is_allow() == record.allowed() {
            return None;
        }
        let verdict = if decision.is_allow() { Verdict::Gained } else { Verdict::Lost };
        Some((verdict, now, decision.rule()))
    }

    /// Facts under which the answer is the recorded one, if under others it would not be and
    /// nothing tells which held.
    fn depends(&self, id: u64, record: &Record) -> Option<Facts> {
        let policy = &self.view.policy;
        let is_this = |digest: &String| digest.len() >= 8 && self.digest.starts_with(digest);
        let same = record.policy.as_ref().is_some_and(is_this);
        let gate_was_closed = record.reason == audit::Reason::Gate.name();
        if self.stated || same {
            return None;
        }
        let subject = self.view.row_name(id)?;
        let pair = Pair { subject: &subject, capability: &record.capability };
        let links = links(self.view.cell(pair));
        let mentioned = links.iter().fold(0, |bits, link| bits | link.all | link.none);
        let situations = situations(links, mentioned).into_iter();
        let situations = situations.map(|bits| Facts { bits, ..self.facts });
        let allows = |facts: &Facts| {
            policy.decide_with(id, record.capability.as_bytes(), *facts, &mut Full).is_allow()
        };
        let (like, unlike): (Vec<Facts>, Vec<Facts>) =
            situations.partition(|facts| allows(facts) == record.allowed());
        let closed = gate_was_closed && !allows(&self.facts);
        if unlike.is_empty() || closed { None } else { like.first().copied() }
    }
}

/// Every set of the facts that rules mention. Of too many, what each rule needs, and all.
fn situations(links: &[Link], mentioned: u64) -> Vec<u64> {
    if mentioned.count_ones() as usize > MAX_FACTS {
        return links.iter().map(|link| link.all).chain([0, mentioned]).collect();
    }
    let mut sets = vec![0];
    for bit in (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| mentioned & bit != 0) {
        sets.extend(sets.clone().iter().map(|set| set | bit));
    }
    sets
}

/// The id of a subject; 0, which nobody has, for a name the policy does not know.
pub(super) fn id(policy: &Policy<'_>, who: &Who) -> u64 {
    match who {
        Who::Id(id) => *id,
        Who::Name(name) => policy.subject_id(name.as_bytes()).unwrap_or(0),
    }
}

/// The name of a subject, or its id where the policy has no name for it.
pub(super) fn name(policy: &Policy<'_>, who: &Who) -> String {
    match who {
        Who::Name(name) => describe::printable(name),
        Who::Id(id) => {
            policy.subject_name(*id).map_or_else(|| format!("{id:#x}"), |name| name.to_string())
        }
    }
}

fn as_json(side: &Side, groups: &BTreeMap<Key, Group>, counts: &Counts) -> Value {
    let changes = groups.iter().map(|((verdict, subject, capability), group)| {
        json!({
            "change": verdict.key(),
            "subject": subject,
            "capability": capability,
            "recorded": group.recorded,
            "now": group.now,
            "rule": side.rule(group.rule.0).map(render::rule),
            "count": group.count,
            "first_ns": group.first_ns,
            "last_ns": group.last_ns,
            "seqs": group.seqs,
        })
    });
    json!({
        "policy": side.label,
        "digest": side.digest(),
        "asked": counts.asked,
        "left_out": counts.left_out,
        "other_lines": counts.other,
        "changes": changes.collect::<Vec<_>>(),
    })
}

fn as_text(side: &Side, groups: &BTreeMap<Key, Group>, counts: &Counts, style: Style) -> String {
    let mut text = String::new();
    let mut totals = Vec::new();
    for verdict in Verdict::ALL {
        let found = groups.iter().filter(|((of, ..), _)| *of == verdict);
        let found: Vec<(&Key, &Group)> = found.collect();
        totals.push(found.iter().map(|(_, group)| group.count).sum::<usize>());
        if found.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n", style.paint(Tone::Strong, verdict.word())));
        for ((_, subject, capability), group) in found {
            let who = format!("{subject}  {}", describe::printable(capability));
            text.push_str(&line(side, verdict, &who, group, style));
        }
        text.push('\n');
    }
    let [gained, lost, depends] = totals[..] else { return text };
    let Counts { asked, left_out, other } = counts;
    text.push_str(&format!(
        "{} held against {}: {gained} turned into allow, {lost} turned into deny, {depends} \
         dependent on facts\n",
        counted(*asked, "recorded answer"),
        side.label
    ));
    if left_out + other > 0 {
        text.push_str(&format!(
            "left out: {} that no policy answered, {} without a record\n",
            counted(*left_out, "record"),
            counted(*other, "line")
        ));
    }
    text
}

fn line(side: &Side, verdict: Verdict, who: &str, group: &Group, style: Style) -> String {
    let tone = match verdict {
        Verdict::Gained => Tone::Bad,
        Verdict::Lost => Tone::Good,
        Verdict::Depends => Tone::Careful,
    };
    let who = style.paint(tone, who);
    let (first, last) = (describe::since_boot(group.first_ns), describe::since_boot(group.last_ns));
    let seen = match group.count {
        1 => format!("once, at {first}"),
        count => format!("{count} times, {first} to {last}"),
    };
    let by = side.rule(group.rule.0).map_or(String::new(), |rule| {
        let verb = if rule.effect == Effect::Allow { "grants" } else { "denies" };
        format!("\n      {verb}  {}", render::place(rule))
    });
    format!("  {who}  {seen}\n      was {}, now {}{by}\n", group.recorded, group.now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An allow under one fact, unless another is missing or a third holds: it is granted in a
    /// situation that no rule describes alone.
    #[test]
    fn every_set_of_mentioned_facts_is_tried() {
        let link =
            |all, none| Link { effect: Effect::Deny, rule: 1, all, none, until: None, limit: None };
        let links = [link(0, 2), link(4, 0), link(1, 0)];
        let mut found = situations(&links, 7);
        found.sort_unstable();
        assert_eq!(found, (0..8).collect::<Vec<u64>>());
        let many = situations(&links, u64::MAX);
        assert_eq!(many, [0, 4, 1, 0, u64::MAX]);
    }
}
