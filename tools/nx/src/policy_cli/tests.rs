//! Explain and decide are one evaluator: proved for every question the real policy can be asked.

use nexus_build::workspace_root;
use nexus_sel::{AuditMode, Facts, NoLimits, Reason, RuleId, authoring::Role};

use super::*;

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
