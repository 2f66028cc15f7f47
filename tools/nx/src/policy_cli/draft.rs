//! `nx policy draft`: rules from denials, exactly as wide as what was observed, for a person to
//! review. Every proposed rule has been compiled together with the policy it would join.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use nexus_sel::{
    Facts,
    authoring::{self, Input, REGISTRY, SystemNames, UNREVIEWED},
};
use serde_json::{Value, json};

use super::{
    access::{Change, View},
    describe::{self, counted},
    diff::difference,
    records::{self, Record, Who},
    replay,
    side::{self, Failure, Place, Side},
    style::Progress,
};

/// Writes rules for what was denied because no rule speaks about it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy draft trail.nxa
  nx policy draft console.log -o recipes/policy/draft.toml

AUDIT is an exported trail, JSON lines (`nx audit export`) or text with `audit v1 ...` lines;
`-` is standard input. One rule per observed (subject, capability), never a wildcard or a group. Denials
by a deny rule, by a closed gate or limit, or of unknown names become comments: a rule would not
or should not change them. So do rules that the policy's own `never` assertions refuse.

Each rule carries the mark `nx:unreviewed`; `nx policy check` warns about it until it is removed.

Exit status: 0 a draft was written (or nothing was denied)
             1 the policy or the log has faults
             2 wrong usage")]
pub(super) struct DraftArgs {
    /// The audit log
    audit: PathBuf,
    /// Write this new file instead of standard output, e.g. recipes/policy/draft.toml
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Denials of one pair.
struct Seen {
    name: String,
    capability: String,
    count: usize,
    first: (u64, u64),
    last: (u64, u64),
    /// Why no rule is proposed; `None`: one is.
    refused: Option<String>,
}

impl Seen {
    fn counts(&self) -> String {
        let time = |(ns, seq): (u64, u64)| format!("{} (seq {seq})", describe::since_boot(ns));
        match self.count {
            1 => format!("seen once, {}", time(self.first)),
            count => format!("seen {count} times, {} to {}", time(self.first), time(self.last)),
        }
    }
}

pub(super) fn run(place: Place<'_>, json: bool, args: &DraftArgs) -> Result<u8, Failure> {
    if let Some(path) = args.output.as_ref().filter(|path| path.exists()) {
        // Its rules are part of the policy by now: a new draft would leave them out.
        let help = "somebody may have reviewed it: name another file, or remove it first";
        return Err(Failure::Usage(format!("{} exists; {help}", path.display())));
    }
    let log = records::read(&args.audit)?;
    let current = side::load(place, &side::Spec::Working)?;
    let names = side::names(place.root)?;
    let base = Base { place, names: &names, current: &current };
    let mut seen = collect(&log.records, &current)?;
    let mut progress = Progress::new("compiling proposals", seen.len());
    for index in 0..seen.len() {
        progress.at(index);
        let Some(one) = seen.get(index..=index) else { break };
        if one.iter().any(|one| one.refused.is_some()) {
            continue;
        }
        let refused = base.with(&text(one, &args.audit)).err().map(|why| why.to_string());
        if let Some(entry) = seen.get_mut(index) {
            entry.refused = refused;
        }
    }
    drop(progress);
    let draft = text(&seen, &args.audit);
    if seen.iter().any(|one| one.refused.is_none()) {
        base.never_wider(&draft, &seen).map_err(Failure::Text)?;
    }
    if let Some(path) = &args.output {
        fs::write(path, &draft).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    }
    match (&args.output, json) {
        (_, true) => println!("{:#}", as_json(&seen, &draft)),
        (None, false) => print!("{draft}"),
        (Some(path), false) => {
            let rules = seen.iter().filter(|one| one.refused.is_none()).count();
            let (rules, pairs) = (counted(rules, "unreviewed rule"), counted(seen.len(), "pair"));
            println!("wrote {}: {rules} from {pairs}", path.display());
        }
    }
    Ok(super::OK)
}

/// The policy the draft would join.
struct Base<'a> {
    place: Place<'a>,
    names: &'a SystemNames,
    current: &'a Side,
}

impl Base<'_> {
    /// Compiles the policy with a draft; the first error, if there is one.
    fn with(&self, draft: &str) -> Result<authoring::Compiled, String> {
        let compiled = self.current.compiled.as_ref().ok_or("no sources")?;
        let mut sources = compiled.warnings.sources.iter();
        let registry = sources.next().ok_or("no registry")?;
        let input = |source: &authoring::Source| Input::new(&source.name, source.text.as_bytes());
        let draft = Input::new("draft", draft.as_bytes());
        let rules = sources.map(input).chain([draft]).collect();
        authoring::compile(input(registry), rules, self.names).map_err(|faults| {
            let first = faults.items.iter().find(|item| item.level == authoring::Level::Error);
            first.map_or_else(String::new, |item| item.message.clone())
        })
    }

    /// The promise of the tool, checked on the whole draft: it grants the observed pairs and
    /// nothing else.
    fn never_wider(&self, draft: &str, seen: &[Seen]) -> Result<(), String> {
        let joined = Side::from_compiled("draft".to_owned(), self.with(draft)?, self.names);
        let (old, new) = (View::new(self.current)?, View::new(&joined)?);
        let found = difference(&old, &new);
        let observed = |subject: &str, capability: &str| {
            let proposed = seen.iter().filter(|one| one.refused.is_none());
            proposed.into_iter().any(|one| one.name == subject && one.capability == capability)
        };
        let wider = found.entries.iter().find(|entry| {
            entry.change != Change::GAINED || !observed(entry.pair.subject, entry.pair.capability)
        });
        wider.map_or(Ok(()), |entry| {
            let (subject, capability) = (entry.pair.subject, entry.pair.capability);
            let dir = self.place.dir.display();
            Err(format!("{dir}: the draft would also change {subject} {capability}: not written"))
        })
    }
}

/// One entry per denied pair, in order of name and capability.
fn collect(records: &[Record], current: &Side) -> Result<Vec<Seen>, Failure> {
    let view = View::new(current).map_err(Failure::Text)?;
    let mut found: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for record in records.iter().filter(|r| r.is_policy_answer() && !r.allowed()) {
        let name = replay::name(&view.policy, &record.subject);
        let at = (record.time_ns, record.seq);
        let capability = record.capability.clone();
        let entry = found.entry((name.clone(), capability.clone())).or_insert_with(|| {
            let refused = refusal(&view, record);
            Seen { name, capability, count: 0, first: at, last: at, refused }
        });
        entry.count += 1;
        entry.last = at;
    }
    Ok(found.into_values().collect())
}

/// Why a denial is no reason for a rule.
fn refusal(view: &View<'_>, record: &Record) -> Option<String> {
    let id = replay::id(&view.policy, &record.subject);
    let decision = view.policy.decide(id, record.capability.as_bytes(), Facts::NONE);
    let named = view.policy.subject_name(id).is_some();
    let place = || view.side.rule(decision.rule().0);
    let at = || place().map_or(String::new(), |rule| format!(" at {}:{}", rule.file, rule.line));
    if !named && !matches!(&record.subject, Who::Id(id) if view.policy.subject(*id).is_some()) {
        return Some("no such service in recipes/system.toml".to_owned());
    }
    match decision.reason() {
        nexus_sel::Reason::UnknownCapability => Some(format!("not registered in {REGISTRY}")),
        nexus_sel::Reason::Allowed => Some(format!("the policy allows it now{}", at())),
        nexus_sel::Reason::DeniedByRule => Some(format!("a deny rule stands against it{}", at())),
        nexus_sel::Reason::GateClosed => {
            Some(format!("a rule exists{}; its gate was closed or its limit spent", at()))
        }
        nexus_sel::Reason::UnknownSubject => Some("no such subject".to_owned()),
        nexus_sel::Reason::NotPermitted if !named => {
            Some("the subject is known only as a member of a class: grant the class".to_owned())
        }
        nexus_sel::Reason::NotPermitted if !record.lacks_a_rule() => {
            Some(format!("it was denied for another reason: {}", record.reason))
        }
        nexus_sel::Reason::NotPermitted => None,
    }
}

/// The rule file.
fn text(seen: &[Seen], audit: &Path) -> String {
    let denials: usize = seen.iter().map(|one| one.count).sum();
    let mut text = format!(
        "# Written by `nx policy draft {}`: {} of {}. NOBODY HAS REVIEWED IT.\n\
         # Each rule allows one service one capability that it was seen to ask for. A denial can be\n\
         # the policy at work: keep a rule only if you can say why the service needs it, then remove\n\
         # its mark. `nx policy check` warns while a mark stands.\n\nschema = 2\n",
        describe::printable(&audit.display().to_string()),
        counted(denials, "denial"),
        counted(seen.len(), "pair"),
    );
    let mut proposed: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for one in seen.iter().filter(|one| one.refused.is_none()) {
        proposed.entry(&one.name).or_default().push(one);
    }
    if !proposed.is_empty() {
        text.push_str("\n[allow]\n");
    }
    for (name, rules) in proposed {
        let _ = writeln!(text, "{name} = [");
        for rule in rules {
            let _ = writeln!(text, "  \"{}\",  # {UNREVIEWED}: {}", rule.capability, rule.counts());
        }
        text.push_str("]\n");
    }
    let refused: Vec<&Seen> = seen.iter().filter(|one| one.refused.is_some()).collect();
    if !refused.is_empty() {
        text.push_str("\n# No rule is proposed for:\n");
    }
    for one in refused {
        let why = one.refused.as_deref().unwrap_or_default();
        let (name, capability) = (&one.name, describe::printable(&one.capability));
        let _ = writeln!(
            text,
            "#   {name}  {capability}: {}; {}",
            describe::printable(why),
            one.counts()
        );
    }
    text
}

fn as_json(seen: &[Seen], draft: &str) -> Value {
    let pairs = seen.iter().map(|one| {
        json!({
            "subject": one.name,
            "capability": one.capability,
            "count": one.count,
            "first_ns": one.first.0,
            "first_seq": one.first.1,
            "last_ns": one.last.0,
            "last_seq": one.last.1,
            "proposed": one.refused.is_none(),
            "refused": one.refused,
        })
    });
    json!({ "pairs": pairs.collect::<Vec<_>>(), "draft": draft })
}
