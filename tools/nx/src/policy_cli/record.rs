//! `nx policy explain --record`: what an audit record says, months later: which rule of which
//! policy decided, and where it stands.

use nexus_sel::{Effect, authoring::RuleSource};
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
    /// The record names another policy, which is nowhere in the history.
    Wrong,
}

pub(super) fn run(place: Place<'_>, json: bool, text: &str) -> Result<u8, Failure> {
    let wanted = wanted(text).map_err(Failure::Usage)?;
    let (side, matched) = find(place, &wanted)?;
    let rule = side.rule(wanted.rule);
    if json {
        println!("{:#}", as_json(&wanted, &side, &matched, rule));
    } else {
        print!("{}", as_text(&wanted, &side, &matched, rule));
    }
    let found = wanted.rule == 0 || rule.is_some();
    Ok(if found && !matches!(matched, Match::Wrong) { super::OK } else { super::FAULTY })
}

/// A whole record, `DIGEST:RULE`, or a rule number alone.
fn wanted(text: &str) -> Result<Wanted, String> {
    if let Some(record) = records::line_record(text.trim())? {
        let (digest, rule) = (record.policy.clone(), record.rule);
        return Ok(Wanted { record: Some(record), digest, rule });
    }
    let (digest, rule) = match text.trim().rsplit_once(':') {
        Some((digest, rule)) => (Some(digest.to_ascii_lowercase()), rule),
        None => (None, text.trim()),
    };
    let shape = "give an `audit v1 ...` or JSON record, DIGEST:RULE, or RULE";
    let rule = rule.parse().map_err(|_| format!("`{}`: {shape}", describe::printable(text)))?;
    if let Some(digest) = &digest {
        let hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || digest.len() < MIN_DIGEST {
            return Err(format!("`{digest}`: at least {MIN_DIGEST} digits of the policy's digest"));
        }
    }
    Ok(Wanted { record: None, digest, rule })
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
    let dir = place.dir.to_string_lossy().into_owned();
    let paths = [dir.as_str(), nexus_manifest::authoring::SYSTEM];
    let commits = git::history(place.root, &paths).unwrap_or_default();
    let mut progress = Progress::new("searching history", commits.len().min(MAX_COMMITS));
    for (done, commit) in commits.into_iter().take(MAX_COMMITS).enumerate() {
        progress.at(done);
        let side = side::load(place, &Spec::Commit(commit.clone(), commit));
        if let Ok(side) = side
            && side.digest().starts_with(digest.as_str())
        {
            return Ok((side, Match::Exact));
        }
    }
    now.map(|side| (side, Match::Wrong))
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
            Match::Wrong => Some(false),
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
        (Match::Wrong, Some(wanted)) => format!(
            "  WRONG POLICY: the record is of {}, {} is {short}, and no commit that changed the \
             policy has that digest.\n  The rule below is what has that number here; it may be \
             another one. Check out the tree the image was built from.\n",
            describe::printable(wanted),
            side.label
        ),
        _ => format!(
            "  policy {short} ({}); the record does not say which policy decided, so the rule is \
             right only if this one was in force\n",
            side.label
        ),
    });
    text.push_str(&rule_text(wanted, side, rule));
    text
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
