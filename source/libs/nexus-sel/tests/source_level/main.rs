//! The whole compiler against a naive interpreter of the *documents*: groups, globs, the class
//! of bundles, families, targets, gates, limits, expiry and assertions over several files, in
//! the many ways they can be written. And what must hold for any two policies that differ in
//! order, in one deny more, or in one allow less.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
mod naive;
mod random;
mod world;

use naive::Naive;
use nexus_sel::authoring::{Compiled, Input, Role, SystemNames, compile};
use nexus_sel::{Bucket, Buckets, Facts, LimitId, LimitSpec, Limits, NoLimits, Reason, RuleId};
use random::Random;
use world::{BUNDLES, ENDS, FACTS, File, NAMES, PROVIDERS, SERVICES, capabilities};

/// Random policies per property.
const POLICIES: u64 = 400;

fn system() -> SystemNames {
    let services = SERVICES.map(|(name, id)| (name.to_owned(), id)).to_vec();
    SystemNames::new(services, PROVIDERS.map(str::to_owned).to_vec()).with_bundles()
}

fn registry() -> Input {
    let entry = |name: &str| format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n");
    let routes = "[\"route.*\"]\nexpand = \"providers\"\nmeaning = \"m\"\nenforcer = \"kernel\"\n";
    Input::new("capabilities.toml", NAMES.map(entry).concat() + routes)
}

fn texts(files: &[File], random: &mut Random) -> Vec<String> {
    files.iter().map(|file| world::toml(file, random)).collect()
}

fn build(texts: &[String]) -> Result<Compiled, Vec<&'static str>> {
    let inputs =
        texts.iter().enumerate().map(|(i, text)| Input::new(format!("{i}.toml"), text.as_str()));
    compile(registry(), inputs.collect(), &system())
        .map_err(|errors| errors.items.iter().map(|item| item.code).collect())
}

/// A policy that the interpreter holds to be sound, with its text.
fn sound(random: &mut Random) -> Option<(Vec<File>, Vec<String>, Compiled)> {
    let files = world::policy(random);
    if !Naive::new(&files).faults().is_empty() {
        return None;
    }
    let texts = texts(&files, random);
    let built =
        build(&texts).unwrap_or_else(|codes| panic!("{codes:?}\n{}", texts.join("\n---\n")));
    Some((files, texts, built))
}

/// Every bucket full.
struct Full;

impl Limits for Full {
    fn take(&mut self, _: LimitId, _: LimitSpec) -> bool {
        true
    }
}

fn subjects() -> Vec<u64> {
    let ids = SERVICES.iter().map(|(_, id)| *id);
    ids.chain([BUNDLES.0, BUNDLES.1, 1_023, 0]).collect()
}

fn names() -> Vec<String> {
    capabilities()
        .into_iter()
        .chain(["a.z", "b.y", "route.alpha", "a.*"].map(str::to_owned))
        .collect()
}

/// All facts, and every time that an end can tell from another.
fn situations() -> impl Iterator<Item = Facts> {
    let ends = ENDS.iter().flat_map(|(end, _)| [end - 1, *end]);
    let times: Vec<u64> = ends.chain([0, 1_700_000_000, u64::MAX]).collect();
    (0..1_u64 << FACTS.len())
        .flat_map(move |bits| times.clone().into_iter().map(move |wall_s| Facts { bits, wall_s }))
}

/// What is granted everywhere, with full and with empty buckets.
fn grants(built: &Compiled) -> Vec<(bool, bool)> {
    let policy = built.policy().unwrap();
    let mut found = Vec::new();
    for subject in subjects() {
        for name in names() {
            for facts in situations() {
                let full = policy.decide_with(subject, name.as_bytes(), facts, &mut Full);
                let empty = policy.decide_with(subject, name.as_bytes(), facts, &mut NoLimits);
                found.push((full.is_allow(), empty.is_allow()));
            }
        }
    }
    found
}

/// Random questions one after the other, at times that go on.
fn questions(random: &mut Random, count: usize) -> Vec<(u64, String, Facts, u64)> {
    let (subjects, names) = (subjects(), names());
    let often = ["b.x", "b.y.z", "b.y.q"];
    let situations: Vec<Facts> = situations().collect();
    let mut now = 0;
    (0..count)
        .map(|_| {
            now += [0, 0, 3, 20, 400][random.below(5)];
            let facts = situations[random.below(situations.len())];
            // Half of them where buckets meet.
            if random.below(2) == 0 {
                let subject = [7, 3, 1 << 40, BUNDLES.0][random.below(4)];
                return (subject, often[random.below(often.len())].to_owned(), facts, now);
            }
            let name = names[random.below(names.len())].clone();
            (subjects[random.below(subjects.len())], name, facts, now)
        })
        .collect()
}

fn answers(built: &Compiled, questions: &[(u64, String, Facts, u64)]) -> Vec<Reason> {
    let policy = built.policy().unwrap();
    let mut buckets = vec![Bucket::FULL; policy.limit_count()];
    let mut ask = |(subject, name, facts, now_ns): &(u64, String, Facts, u64)| {
        let mut limits = Buckets { buckets: &mut buckets, now_ns: *now_ns };
        policy.decide_with(*subject, name.as_bytes(), *facts, &mut limits).reason()
    };
    questions.iter().map(&mut ask).collect()
}

#[test]
fn compiled_policies_mean_what_their_documents_say() {
    let (mut built_count, mut refused, mut asked) = (0, 0, 0);
    for seed in 0..POLICIES {
        let mut random = Random(seed);
        let files = world::policy(&mut random);
        let texts = texts(&files, &mut random);
        let mut naive = Naive::new(&files);
        let expected = naive.faults();
        let shown = || format!("seed {seed}\n{}", texts.join("\n---\n"));
        let built = match (build(&texts), expected.is_empty()) {
            (Ok(built), true) => built,
            (Err(codes), false) => {
                assert!(
                    codes.iter().any(|code| expected.contains(code)),
                    "{codes:?} {expected:?} {}",
                    shown()
                );
                refused += 1;
                continue;
            }
            (Ok(_), false) => panic!("accepted in spite of {expected:?} {}", shown()),
            (Err(codes), true) => panic!("refused for {codes:?} {}", shown()),
        };
        built_count += 1;
        assert_eq!(built.rules.len(), naive.rules.len(), "{}", shown());
        let policy = built.policy().unwrap();
        for (subject, name, facts, _) in questions(&mut random, 400) {
            let decided = policy.decide(subject, name.as_bytes(), facts).reason();
            let (reason, _) = naive.decide(subject, &name, facts, None);
            assert_eq!(decided, reason, "{subject} {name} {facts:?} {}", shown());
            asked += 1;
        }
        let mut buckets = vec![Bucket::FULL; policy.limit_count()];
        for (subject, name, facts, now_ns) in questions(&mut random, 400) {
            let mut before = buckets.clone();
            let mut limits = Buckets { buckets: &mut buckets, now_ns };
            let decided = policy.decide_with(subject, name.as_bytes(), facts, &mut limits);
            let (reason, count) = naive.decide(subject, &name, facts, Some(now_ns));
            assert_eq!(
                decided.reason(),
                reason,
                "{subject} {name} {facts:?} at {now_ns} {}",
                shown()
            );
            let mut limits = Buckets { buckets: &mut before, now_ns };
            let why = built.explain(subject, &name, facts, &mut limits).unwrap();
            assert_eq!(why.decision, decided, "{}", shown());
            assert_eq!(before, buckets, "an explanation spends what the decision does");
            assert_eq!(why.rules.len(), count, "{subject} {name} {}", shown());
            let winners: Vec<RuleId> = why
                .rules
                .iter()
                .filter(|(_, role)| *role != Role::Lost)
                .map(|(rule, _)| rule.id)
                .collect();
            let winner = Some(decided.rule()).filter(|rule| *rule != RuleId::NONE);
            assert_eq!(winners, winner.into_iter().collect::<Vec<_>>(), "{}", shown());
            asked += 1;
        }
    }
    println!("{built_count} built, {refused} refused, {asked} questions");
    assert!(built_count > POLICIES / 2 && refused > POLICIES / 20);
}

#[test]
fn order_changes_nothing() {
    for seed in 0..POLICIES / 2 {
        let mut random = Random(1_000_000 + seed);
        let Some((files, texts_before, built)) = sound(&mut random) else { continue };
        let texts_after = texts(&world::shuffled(&files, &mut random), &mut random);
        let shown = || {
            format!(
                "seed {seed}\n{}\n=====\n{}",
                texts_before.join("\n---\n"),
                texts_after.join("\n---\n")
            )
        };
        let other = build(&texts_after).unwrap_or_else(|codes| panic!("{codes:?} {}", shown()));
        assert!(grants(&built) == grants(&other), "{}", shown());
        let questions = questions(&mut random, 600);
        assert_eq!(answers(&built, &questions), answers(&other, &questions), "{}", shown());
        let digest = |built: &Compiled| built.policy().unwrap().digest();
        assert!(digest(&built) == digest(&build(&texts_before).unwrap()), "same input, same bytes");
    }
}

#[test]
fn one_deny_more_or_one_allow_less_never_widens() {
    let (mut denied, mut removed) = (0, 0);
    for seed in 0..POLICIES / 2 {
        let mut random = Random(2_000_000 + seed);
        let Some((files, before, built)) = sound(&mut random) else { continue };
        let wide = grants(&built);
        let mut narrower = |files: &[File], count: &mut u64| {
            let after = texts(files, &mut random);
            let Ok(other) = build(&after) else { return };
            let pairs = wide.iter().zip(grants(&other));
            let sound = pairs.into_iter().all(|(old, new)| old.0 >= new.0 && old.1 >= new.1);
            assert!(
                sound,
                "seed {seed}\n{}\n=====\n{}",
                before.join("\n---\n"),
                after.join("\n---\n")
            );
            *count += 1;
        };
        let mut chance = Random(seed);
        let mut more = files.clone();
        let (subject, item) = world::any_item(&mut chance, true);
        let at = chance.below(more.len());
        world::add(&mut more[at], true, &subject, item);
        narrower(&more, &mut denied);
        let mut less = files.clone();
        let lists = less.iter_mut().flat_map(|file| &mut file.sections).filter(|s| !s.deny);
        let mut lists: Vec<_> = lists.flat_map(|section| &mut section.lists).collect();
        if lists.is_empty() {
            continue;
        }
        let at = chance.below(lists.len());
        let items = &mut lists[at].1;
        let at = chance.below(items.len());
        let _ = items.remove(at);
        narrower(&less, &mut removed);
    }
    println!("{denied} with a deny more, {removed} with an allow less");
    assert!(denied > POLICIES / 4 && removed > POLICIES / 4);
}
