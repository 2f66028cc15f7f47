//! `nx policy explain --record`: what an audit record says, months later: which rule of which
//! policy decided, and where it stands.

use std::path::Path;

use nexus_sel::{Effect, Facts, NoLimits, authoring::RuleSource};
use nexus_wire::audit;
use serde_json::json;

use super::{
    describe, git,
    records::{self, Record},
    render, replay,
    side::{self, Failure, Place, Side, Spec},
    style::Progress,
};

/// Hexadecimal digits of a digest below which a match may be chance.
const MIN_DIGEST: usize = 8;
/// Commits searched for the policy with a digest.
const MAX_COMMITS: usize = 200;

/// What a record tells about its policy.
struct Wanted {
    record: Option<Record>,
    digest: Option<String>,
    rule: u32,
}

/// Where the rule was looked up.
enum Match {
    /// The record names the policy, and this is it.
    Exact,
    /// The record does not say which policy decided.
    Unsaid,
    /// The record names another policy, which none of so many commits has.
    Wrong(usize),
    /// The record names none, and the rule with its number is about something else.
    Elsewhere,
}

pub(super) fn run(place: Place<'_>, json: bool, text: &str) -> Result<u8, Failure> {
    let wanted = wanted(place.root, text)?;
    let (side, mut matched) = find(place, &wanted)?;
    if matches!(matched, Match::Unsaid) && !may_have_decided(&wanted, &side) {
        matched = Match::Elsewhere;
    }
    // Of another policy the number would name some other rule: better none.
    let wrong = matches!(matched, Match::Wrong(_) | Match::Elsewhere);
    let rule = side.rule(wanted.rule).filter(|_| !wrong);
    if json {
        println!("{:#}", as_json(&wanted, &side, &matched, rule));
    } else {
        print!("{}", as_text(&wanted, &side, &matched, rule));
        match matched {
            Match::Wrong(searched) => {
                return Err(Failure::Text(no_policy(place, &wanted, &side, searched)));
            }
            Match::Elsewhere => return Err(Failure::Text(elsewhere(&wanted, &side))),
            Match::Exact | Match::Unsaid => {}
        }
    }
    let found = wanted.rule == 0 || rule.is_some();
    Ok(if found && !wrong { super::OK } else { super::FAULTY })
}

/// False if the record was about a pair that the rule with its number does not speak about.
fn may_have_decided(wanted: &Wanted, side: &Side) -> bool {
    let (Some(record), Some(compiled)) = (&wanted.record, &side.compiled) else { return true };
    let (Ok(policy), Some(_)) = (side.policy(), side.rule(wanted.rule)) else { return true };
    let id = replay::id(&policy, &record.subject);
    let found = compiled.explain(id, &record.capability, Facts::NONE, &mut NoLimits);
    found.is_ok_and(|found| found.rules.iter().any(|(rule, _)| rule.id.0 == wanted.rule))
}

fn elsewhere(wanted: &Wanted, side: &Side) -> String {
    let rule = side.rule(wanted.rule).map(render::place).unwrap_or_default();
    format!(
        "rule {} of the {} is about something else ({rule}): another policy decided\n  = the \
         record does not name it: check out the tree the image was built from",
        wanted.rule, side.label
    )
}

/// A whole record, where one is kept, `DIGEST:RULE`, or a rule number alone.
fn wanted(root: &Path, text: &str) -> Result<Wanted, Failure> {
    if let Some(record) = records::line_record(text.trim()).map_err(Failure::Usage)? {
        return Ok(of_record(record));
    }
    if let Some((file, which)) = text.rsplit_once('#') {
        let path = super::locate(root, Path::new(file));
        if !path.is_file() {
            return Err(Failure::Usage(format!("{}: no such file", describe::printable(file))));
        }
        return kept(&path, which).map(of_record);
    }
    let (digest, rule) = match text.trim().rsplit_once(':') {
        Some((digest, rule)) => (Some(digest.to_ascii_lowercase()), rule),
        None => (None, text.trim()),
    };
    let shape = "give FILE#SEQ, an `audit v1 ...` or JSON record, DIGEST:RULE, or RULE";
    let nonsense = |_| Failure::Usage(format!("`{}`: {shape}", describe::printable(text)));
    let rule = rule.parse().map_err(nonsense)?;
    if let Some(digest) = &digest {
        let hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || digest.len() < MIN_DIGEST {
            let shape = format!("at least {MIN_DIGEST} digits of the policy's digest");
            return Err(Failure::Usage(format!("`{}`: {shape}", describe::printable(digest))));
        }
    }
    Ok(Wanted { record: None, digest, rule })
}

fn of_record(record: Record) -> Wanted {
    let (digest, rule) = (record.policy.clone(), record.rule);
    Wanted { record: Some(record), digest, rule }
}

/// The record with a number in a saved log: `SEQ`, or `BOOT:SEQ` where there are several.
fn kept(file: &Path, which: &str) -> Result<Record, Failure> {
    let name = file.display();
    let number = |text: &str| {
        let wrong = || format!("`{}`: give FILE#SEQ or FILE#BOOT:SEQ", describe::printable(which));
        records::parse_number(text).ok_or_else(|| Failure::Usage(wrong()))
    };
    let (boot, seq) = match which.split_once(':') {
        Some((boot, seq)) => (Some(number(boot)?), number(seq)?),
        None => (None, number(which)?),
    };
    let mut found = records::read(file)?.records;
    let (first, last) = (found.first().map_or(0, |r| r.seq), found.last().map_or(0, |r| r.seq));
    found.retain(|record| record.seq == seq && boot.is_none_or(|boot| record.boot == boot));
    if found.len() > 1 {
        let places = found.iter().map(|record| format!("#{:#x}:{seq}", record.boot));
        let places = places.collect::<Vec<_>>().join(" or ");
        return Err(Failure::Usage(format!("{name}: several records {seq}; say {places}")));
    }
    let none = || format!("{name}: no record {which}; it holds {first} to {last}");
    found.pop().ok_or_else(|| Failure::Usage(none()))
}

/// The policy that decided: the working tree, else the newest commit with the digest.
fn find(place: Place<'_>, wanted: &Wanted) -> Result<(Side, Match), Failure> {
    let now = side::load(place, &Spec::Working);
    let Some(digest) = &wanted.digest else { return now.map(|side| (side, Match::Unsaid)) };
    if let Ok(side) = now.as_ref()
        && side.digest().starts_with(digest.as_str())
    {
        return now.map(|side| (side, Match::Exact));
    }
    let dir = place.in_tree().to_string_lossy().into_owned();
    let paths = [dir.as_str(), nexus_manifest::authoring::SYSTEM];
    let mut commits = git::history(place.root, &paths).unwrap_or_default();
    commits.truncate(MAX_COMMITS);
    let searched = commits.len();
    let mut progress = Progress::new("searching history", searched);
    for (done, commit) in commits.into_iter().enumerate() {
        progress.at(done);
        let side = side::load(place, &Spec::Commit(commit.clone(), commit));
        if let Ok(side) = side
            && side.digest().starts_with(digest.as_str())
        {
            return Ok((side, Match::Exact));
        }
    }
    now.map(|side| (side, Match::Wrong(searched)))
}

fn as_json(
    wanted: &Wanted,
    side: &Side,
    matched: &Match,
    rule: Option<&RuleSource>,
) -> serde_json::Value {
    json!({
        "rule": wanted.rule,
        "wanted_digest": wanted.digest,
        "policy": side.label,
        "digest": side.digest(),
        "matches": match matched {
            Match::Exact => Some(true),
            Match::Wrong(_) | Match::Elsewhere => Some(false),
            Match::Unsaid => None,
        },
        "source": rule.map(render::rule),
    })
}

fn as_text(wanted: &Wanted, side: &Side, matched: &Match, rule: Option<&RuleSource>) -> String {
    let mut text = String::new();
    if let (Some(record), Ok(policy)) = (&wanted.record, side.policy()) {
        let subject = replay::name(&policy, &record.subject);
        let capability = describe::printable(&record.capability);
        text.push_str(&format!(
            "{}  {subject}  {capability}  because: {}  ({}, seq {}, {} after boot)\n",
            record.decision.to_uppercase(),
            record.reason,
            record.op,
            record.seq,
            describe::since_boot(record.time_ns)
        ));
    }
    let digest = side.digest();
    let short = digest.get(..16).unwrap_or(&digest);
    text.push_str(&match (matched, &wanted.digest) {
        (Match::Exact, _) => format!("  policy {short}: {}\n", side.label),
        (Match::Wrong(_) | Match::Elsewhere, _) => return text,
        _ => format!(
            "  policy {short} ({}); the record does not say which policy decided, so the rule is \
             right only if this one was in force\n",
            side.label
        ),
    });
    text.push_str(&rule_text(wanted, side, rule));
    text
}

/// Why a rule number cannot be explained.
fn no_policy(place: Place<'_>, wanted: &Wanted, side: &Side, searched: usize) -> String {
    let digest = side.digest();
    let (dir, label) = (place.dir.display(), &side.label);
    let history = match searched {
        0 => "there is no git history to search".to_owned(),
        MAX_COMMITS => format!("none of the newest {MAX_COMMITS} commits of {dir} has it"),
        _ => format!("none of the {searched} commits that changed {dir} has it"),
    };
    format!(
        "no policy with digest {}: the {label} is {}, and {history}\n  = rule {} of another \
         policy is another rule: check out the tree the image was built from",
        describe::printable(wanted.digest.as_deref().unwrap_or_default()),
        digest.get(..16).unwrap_or(&digest),
        wanted.rule,
    )
}

fn rule_text(wanted: &Wanted, side: &Side, rule: Option<&RuleSource>) -> String {
    let unasked = wanted.record.as_ref().is_some_and(|record| !record.is_policy_answer());
    match (wanted.rule, rule) {
        (0, _) if unasked => "  no rule was asked: the request was refused before\n".to_owned(),
        (0, _) => "  no rule spoke about it: deny is the default\n".to_owned(),
        (id, None) => format!("  there is no rule {id}: it has {} rules\n", side.model.rules),
        (id, Some(rule)) => {
            let gate = audit::Reason::Gate.name();
            let role = match (&wanted.record, rule.effect) {
                (Some(record), _) if record.reason == gate => "would grant",
                (_, Effect::Allow) => "granted",
                (_, Effect::Deny) => "denied",
            };
            let mut text = format!("  rule {id:<4} {role}  {}\n", render::place(rule));
            if let Some(line) = side.line(&rule.file, rule.line) {
                text.push_str(&format!("      {} | {}\n", rule.line, line.trim_end()));
            }
            text
        }
    }
}
