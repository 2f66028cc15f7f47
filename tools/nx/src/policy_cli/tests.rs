//! Explain and decide are one evaluator: proved for every question the real policy can be asked.

use nexus_build::workspace_root;
use nexus_sel::{AuditMode, Facts, NoLimits, Reason, RuleId, authoring::Role};

use super::*;

#[path = "../../../../source/libs/nexus-sel/tests/source_level/random.rs"]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests")]
mod random;
#[path = "../../../../source/libs/nexus-sel/tests/source_level/world.rs"]
#[allow(dead_code, clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests")]
mod world;

use access::{Change, View};
use authoring::{Input, SystemNames};
use random::Random;
use side::Side;

fn real() -> Compiled {
    let root = workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let system = System::load(&root).unwrap_or_else(|faults| panic!("{faults}"));
    let dir = root.join("recipes/policy");
    authoring::compile_dir(&dir, &policy::names(&system))
        .unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn explain_is_decide() {
    let compiled = real();
    let policy = compiled.policy().unwrap();
    let mut ids: Vec<u64> = compiled.model.subjects.iter().map(|(_, id)| *id).collect();
    ids.extend(compiled.model.classes.iter().flat_map(|(first, last)| [*first, *last]));
    ids.extend([0, 0xdead_beef]);
    let mut names: Vec<&str> = compiled.registry.iter().map(|cap| cap.name.as_str()).collect();
    names.extend(["", "no.such", "fs", "fs.*"]);
    let facts = compiled.model.facts.len();
    assert!(facts <= 10, "2^{facts} situations are too many to try: sample them");
    let mut asked = 0;
    for bits in 0..1_u64 << facts {
        for id in &ids {
            for name in &names {
                for wall_s in [0, 1_000_000_000, u64::MAX] {
                    let facts = Facts { bits, wall_s };
                    let decided = policy.decide_with(*id, name.as_bytes(), facts, &mut NoLimits);
                    let found = compiled.explain(*id, name, facts, &mut NoLimits).unwrap();
                    assert_eq!(found.decision, decided, "{id} {name} {facts:?}");
                    check_chain(&found, &decided);
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1_000, "{asked} questions");
}

/// The rule that decided is in the chain, alone in its role, and speaks as the answer says.
fn check_chain(found: &authoring::Explanation, decided: &nexus_sel::Decision) {
    let winners = found.rules.iter().filter(|(_, role)| *role != Role::Lost);
    let winners: Vec<_> = winners.collect();
    if decided.rule() == RuleId::NONE {
        assert!(winners.is_empty());
        return;
    }
    let [(rule, role)] = &winners[..] else { panic!("{found:?}") };
    assert_eq!(rule.id, decided.rule());
    let expected = match decided.reason() {
        Reason::GateClosed => Role::WouldGrant,
        _ => Role::Decided,
    };
    assert_eq!(*role, expected);
    let denies = decided.reason() == Reason::DeniedByRule;
    assert_eq!(rule.effect == nexus_sel::Effect::Deny, denies);
    assert!(rule.line > 0 && rule.file.ends_with(".toml"));
    assert!(decided.reason() != Reason::Allowed || decided.is_allow());
    let _: AuditMode = decided.audit();
}

#[test]
fn every_capability_and_pair_compares_equal_to_itself() {
    let root = workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let dir = PathBuf::from("recipes/policy");
    let place = Place { root: &root, dir: &dir };
    let Ok(side) = side::load(place, &side::Spec::Working) else { panic!("the policy builds") };
    let (one, other) = (access::View::new(&side).unwrap(), access::View::new(&side).unwrap());
    assert!(diff::difference(&one, &other).entries.is_empty());
}

// ---- random policies, as authors would write them --------------------------------------------

fn system() -> SystemNames {
    let services = world::SERVICES.map(|(name, id)| (name.to_owned(), id)).to_vec();
    SystemNames::new(services, world::PROVIDERS.map(str::to_owned).to_vec()).with_bundles()
}

fn side(texts: &[String]) -> Option<Side> {
    let entry = |name: &str| format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n");
    let routes = "[\"route.*\"]\nexpand = \"providers\"\nmeaning = \"m\"\nenforcer = \"kernel\"\n";
    let registry = Input::new("c", world::NAMES.map(entry).concat() + routes);
    let files = texts.iter().enumerate().map(|(i, text)| Input::new(i.to_string(), text.as_str()));
    let built = authoring::compile(registry, files.collect(), &system()).ok()?;
    Some(Side::from_compiled("x".to_owned(), built, &system()))
}

fn texts(files: &[world::File], random: &mut Random) -> Vec<String> {
    files.iter().map(|file| world::toml(file, random)).collect()
}

fn change(old: &Side, new: &Side) -> Change {
    diff::difference(&View::new(old).unwrap(), &View::new(new).unwrap()).change()
}

/// True if `new` allows something that `old` does not, in some situation, with full buckets or
/// with empty ones.
fn gains(old: &Side, new: &Side) -> bool {
    struct All(bool);
    impl nexus_sel::Limits for All {
        fn take(&mut self, _: nexus_sel::LimitId, _: nexus_sel::LimitSpec) -> bool {
            self.0
        }
    }
    let (old, new) = (old.policy().unwrap(), new.policy().unwrap());
    let times = world::ENDS.iter().flat_map(|(end, _)| [end - 1, *end]).chain([0]);
    let times: Vec<u64> = times.collect();
    let ids = world::SERVICES.iter().map(|(_, id)| *id).chain([world::BUNDLES.0]);
    ids.into_iter().any(|id| {
        world::capabilities().iter().any(|name| {
            (0..1_u64 << world::FACTS.len()).any(|bits| {
                times.iter().flat_map(|wall_s| [(*wall_s, true), (*wall_s, false)]).any(
                    |(wall_s, full)| {
                        let ask = |policy: &nexus_sel::Policy<'_>| {
                            let facts = Facts { bits, wall_s };
                            policy
                                .decide_with(id, name.as_bytes(), facts, &mut All(full))
                                .is_allow()
                        };
                        ask(&new) && !ask(&old)
                    },
                )
            })
        })
    })
}

#[test]
fn a_difference_is_what_is_gained_and_turns_around() {
    let (mut compared, mut changed) = (0, 0);
    for seed in 0..250 {
        let mut random = Random(seed);
        let files = world::policy(&mut random);
        let before = texts(&files, &mut random);
        let Some(old) = side(&before) else { continue };
        assert_eq!(change(&old, &old), Change::NONE);
        let moved = world::shuffled(&files, &mut random);
        let same = side(&texts(&moved, &mut random)).unwrap();
        assert_eq!(change(&old, &same), Change::NONE, "seed {seed}: only moved\n{before:?}");
        let mut edited = files.clone();
        for _ in 0..=random.below(3) {
            let deny = random.below(2) == 0;
            let (subject, item) = world::any_item(&mut random, deny);
            let at = random.below(edited.len());
            world::add(&mut edited[at], deny, &subject, item);
        }
        let after = texts(&edited, &mut random);
        let Some(new) = side(&after) else { continue };
        let shown =
            || format!("seed {seed}\n{}\n=====\n{}", before.join("---\n"), after.join("---\n"));
        let (there, back) = (change(&old, &new), change(&new, &old));
        assert_eq!((there.gained, there.lost), (back.lost, back.gained), "{}", shown());
        assert!(there.gained || !gains(&old, &new), "{}", shown());
        assert!(there.lost || !gains(&new, &old), "{}", shown());
        compared += 1;
        changed += usize::from(there != Change::NONE);
    }
    println!("{compared} compared, {changed} changed");
    assert!(compared > 80 && changed > 40);
}

/// The same rules with the same numbers: the layout of a file is not part of the policy.
#[test]
fn fmt_changes_no_policy() {
    for seed in 0..250 {
        let mut random = Random(seed);
        let files = world::policy(&mut random);
        let before = texts(&files, &mut random);
        let after: Vec<String> = before.iter().map(|text| fmt::format(text).unwrap()).collect();
        let digests = [&before, &after].map(|texts| side(texts).map(|side| side.digest()));
        assert_eq!(digests[0], digests[1], "seed {seed}\n{before:?}\n{after:?}");
        let again: Vec<String> = after.iter().map(|text| fmt::format(text).unwrap()).collect();
        assert_eq!(after, again, "seed {seed}");
    }
}

/// A bucket that two names share is half as wide as one for each of them.
#[test]
fn diff_sees_whether_a_bucket_is_shared() {
    let rules = |list: &str| {
        let text = format!("schema = 2\n[allow]\nalpha = [{list}]\n");
        side(&[text]).unwrap()
    };
    let limit = "limit = { count = 5, per = \"1s\" }";
    let shared = rules(&format!("{{ capability = \"b.y.*\", {limit} }}"));
    let apart = rules(&format!("{{ capability = [\"b.y.z\", \"b.y.q\"], {limit} }}"));
    assert_eq!(change(&shared, &apart), Change::GAINED);
    assert_eq!(change(&apart, &shared), Change::LOST);
    let view = View::new(&shared).unwrap();
    let pair = access::Pair { subject: "alpha", capability: "b.y.z" };
    let text = describe::pair(&view, pair);
    assert!(text.ends_with("one more every 200 ms (shared with b.y.q)"), "{text}");
}

/// Bundles have a row like services: records about them can depend on facts, and a policy with
/// rules for them compares equal to its own blob.
#[test]
fn bundles_are_found_by_their_ids() {
    let text = "schema = 2\n[allow]\nbundle = [\"a.x\"]\nalpha = [\"a.x\"]\n".to_owned();
    let side = side(&[text]).unwrap();
    let view = View::new(&side).unwrap();
    for (id, name) in [(7, Some("alpha")), (1_024, Some("bundle")), (1 << 50, Some("bundle"))] {
        assert_eq!(view.row_name(id).as_deref(), name, "{id}");
    }
    assert_eq!(view.row_name(8), None);
    let compiled = side.compiled.as_ref().unwrap();
    let path = std::env::temp_dir().join(format!("nx-bundles-{}.blob", std::process::id()));
    fs::write(&path, &compiled.blob).unwrap();
    let dir = PathBuf::from("recipes/policy");
    let place = Place { root: &std::env::temp_dir(), dir: &dir };
    let blob = side::load(place, &side::Spec::Path(path.clone()));
    fs::remove_file(&path).unwrap();
    let Ok(blob) = blob else { panic!("a blob is a policy too") };
    assert_eq!((change(&side, &blob), change(&blob, &side)), (Change::NONE, Change::NONE));
}
