//! What the policy language means, and everything it refuses, table-driven.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
use nexus_sel::authoring::{Compiled, Diagnostics, Input, Level, Role, SystemNames, compile};
use nexus_sel::{AuditMode, Bucket, Buckets, Facts, NoLimits, Reason, RuleId, Sensitivity};

const REGISTRY: &str = "schema = 2
[\"fs.read\"]
meaning = \"m\"
enforcer = \"init\"
[\"fs.write\"]
meaning = \"m\"
enforcer = \"init\"
sensitivity = \"medium\"
[\"fs.meta.read\"]
meaning = \"m\"
enforcer = \"kernel\"
[\"key.use\"]
meaning = \"m\"
enforcer = \"keystored\"
status = \"reserved\"
sensitivity = \"high\"
audit = \"required\"
[\"route.*\"]
expand = \"providers\"
meaning = \"m\"
enforcer = \"init\"
";

fn system() -> SystemNames {
    let services = [("init", 1), ("logd", 3), ("app-a", 20), ("app-b", 21), ("demo.testsvc", 22)];
    let services = services.map(|(name, id)| (name.to_owned(), id)).to_vec();
    let mut system = SystemNames::new(services, vec!["init".to_owned(), "logd".to_owned()]);
    system.classes.push(("bundle".to_owned(), 1024, 2047));
    system
}

fn build_with(registry: &str, files: &[&str]) -> Result<Compiled, Diagnostics> {
    let files = files.iter().enumerate().map(|(i, text)| Input::new(format!("{i}.toml"), *text));
    compile(Input::new("capabilities.toml", registry), files.collect(), &system())
}

fn build(files: &[&str]) -> Compiled {
    build_with(REGISTRY, files).unwrap_or_else(|errors| panic!("\n{errors}"))
}

fn ask(policy: &Compiled, subject: u64, capability: &str, facts: Facts) -> Reason {
    policy.policy().unwrap().decide(subject, capability.as_bytes(), facts).reason()
}

fn at(wall_s: u64) -> Facts {
    Facts { wall_s, ..Facts::NONE }
}

// ---- meaning ---------------------------------------------------------------------------------

#[test]
fn schema_1_stays_valid() {
    let policy =
        build(&["[allow]\napp-a = [\"fs.read\", \"route.logd\"]\n\"demo.testsvc\" = []\n"]);
    assert_eq!(ask(&policy, 20, "fs.read", Facts::NONE), Reason::Allowed);
    assert_eq!(ask(&policy, 20, "fs.write", Facts::NONE), Reason::NotPermitted);
    assert_eq!(ask(&policy, 22, "fs.read", Facts::NONE), Reason::NotPermitted);
    assert_eq!(policy.policy().unwrap().version(), 1);
}

#[test]
fn files_merge_by_union_and_deny_wins_from_any_file() {
    let policy = build(&[
        "schema = 2\n[deny]\napp-a = [\"fs.write\"]\n",
        "[allow]\napp-a = [\"fs.read\"]\n",
        "schema = 2\n[allow]\napp-a = [\"fs.meta.read\"]\n\"app-*\" = [\"fs.write\"]\n",
    ]);
    assert_eq!(ask(&policy, 20, "fs.read", Facts::NONE), Reason::Allowed);
    assert_eq!(ask(&policy, 20, "fs.meta.read", Facts::NONE), Reason::Allowed);
    assert_eq!(ask(&policy, 20, "fs.write", Facts::NONE), Reason::DeniedByRule);
    assert_eq!(ask(&policy, 21, "fs.write", Facts::NONE), Reason::Allowed);
    let lines: Vec<(String, usize)> =
        policy.rules.iter().map(|r| (r.file.clone(), r.line)).collect();
    let expected = [("0.toml", 3), ("1.toml", 2), ("2.toml", 3), ("2.toml", 4)];
    assert_eq!(lines, expected.map(|(file, line)| (file.to_owned(), line)));
}

#[test]
fn wildcards_groups_globs_and_classes_expand() {
    let policy = build(&["schema = 2\n[groups]\napps = [\"app-*\", \"bundle\"]\n\
        [allow]\napps = [\"fs.*\"]\n\"*\" = [\"route.logd\"]\n[deny]\nbundle = [\"fs.meta.*\"]\n"]);
    for (subject, capability, reason) in [
        (20, "fs.read", Reason::Allowed),
        (20, "fs.meta.read", Reason::Allowed),
        (22, "fs.read", Reason::NotPermitted),
        (22, "route.logd", Reason::Allowed),
        (1024, "fs.read", Reason::Allowed),
        (2047, "fs.meta.read", Reason::DeniedByRule),
        (2048, "fs.read", Reason::UnknownSubject),
        (1023, "fs.read", Reason::UnknownSubject),
        (1024, "route.logd", Reason::NotPermitted),
        (20, "fs.other", Reason::UnknownCapability),
        (20, "fs.*", Reason::UnknownCapability),
        (20, "fs.", Reason::UnknownCapability),
        (20, "FS.READ", Reason::UnknownCapability),
    ] {
        assert_eq!(
            ask(&policy, subject, capability, Facts::NONE),
            reason,
            "{subject} {capability}"
        );
    }
}

#[test]
fn gates_open_on_facts() {
    let policy = build(&["schema = 2\n[facts]\nnight = { owner = \"init\", meaning = \"m\" }\n\
        update = { owner = \"logd\", meaning = \"m\" }\n\
        [gates]\nup = { when = \"update\", unless = \"night\", meaning = \"m\" }\n\
        lights-out = { when = [\"night\"], meaning = \"m\" }\n\
        [allow]\napp-a = [{ capability = \"key.use\", when = \"up\" }, \"fs.read\"]\n\
        [deny]\napp-a = [{ capability = \"fs.read\", when = \"lights-out\" }]\n"]);
    let blob = policy.policy().unwrap();
    let (night, update) = (blob.fact(b"night").unwrap(), blob.fact(b"update").unwrap());
    assert_eq!((night.owner, update.owner, blob.fact(b"day")), (1, 3, None));
    for (bits, key, fs) in [
        (0, Reason::GateClosed, Reason::Allowed),
        (update.mask, Reason::Allowed, Reason::Allowed),
        (night.mask, Reason::GateClosed, Reason::DeniedByRule),
        (night.mask | update.mask, Reason::GateClosed, Reason::DeniedByRule),
        (!0 ^ update.mask ^ night.mask, Reason::GateClosed, Reason::Allowed),
    ] {
        let facts = Facts { bits, ..Facts::NONE };
        assert_eq!(ask(&policy, 20, "key.use", facts), key, "{bits:b}");
        assert_eq!(ask(&policy, 20, "fs.read", facts), fs, "{bits:b}");
    }
}

#[test]
fn grants_expire_and_denials_do_not_before_the_time_is_known() {
    let policy = build(&["schema = 2\n[allow]\n\
        app-a = [{ capability = \"fs.read\", until = 2027-01-01T00:00:00Z }, \"fs.write\"]\n\
        [deny]\napp-a = [{ capability = \"fs.write\", until = 2027-01-01T00:00:00Z }]\n"]);
    let end = 1_798_761_600;
    for (facts, read, write) in [
        (at(0), Reason::GateClosed, Reason::DeniedByRule),
        (at(end - 1), Reason::Allowed, Reason::DeniedByRule),
        (at(end), Reason::GateClosed, Reason::Allowed),
        (at(u64::MAX), Reason::GateClosed, Reason::Allowed),
    ] {
        assert_eq!(ask(&policy, 20, "fs.read", facts), read, "{facts:?}");
        assert_eq!(ask(&policy, 20, "fs.write", facts), write, "{facts:?}");
    }
}

#[test]
fn limits_are_per_subject_and_rule() {
    let policy = build(&["schema = 2\n[allow]\n\"app-*\" = \
        [{ capability = [\"fs.read\"], limit = { count = 2, per = \"1s\" } }, \
         { capability = \"fs.meta.*\", limit = { count = 1, per = \"1h\" } }]\n"]);
    let blob = policy.policy().unwrap();
    assert_eq!(blob.limit_count(), 4);
    let mut buckets = vec![Bucket::FULL; blob.limit_count()];
    let mut ask = |subject: u64, capability: &[u8], now_ns: u64| {
        let mut limits = Buckets { buckets: &mut buckets, now_ns };
        blob.decide_with(subject, capability, Facts::NONE, &mut limits).reason()
    };
    assert_eq!(ask(20, b"fs.read", 1), Reason::Allowed);
    assert_eq!(ask(20, b"fs.read", 1), Reason::Allowed);
    assert_eq!(ask(20, b"fs.read", 1), Reason::GateClosed);
    assert_eq!(ask(21, b"fs.read", 1), Reason::Allowed, "another subject's bucket");
    assert_eq!(ask(20, b"fs.meta.read", 1), Reason::Allowed, "another rule's bucket");
    assert_eq!(ask(20, b"fs.read", 500_000_001), Reason::Allowed, "half a second: one back");
    assert_eq!(ask(20, b"fs.read", 500_000_002), Reason::GateClosed);
    assert_eq!(
        blob.decide(21, b"fs.meta.read", Facts::NONE).reason(),
        Reason::GateClosed,
        "no buckets"
    );
}

#[test]
fn a_token_is_spent_only_where_nothing_else_grants() {
    let policy = build(&["schema = 2\n[facts]\nf = { owner = \"init\", meaning = \"m\" }\n\
        [gates]\ng = { when = \"f\", meaning = \"m\" }\n[allow]\n\
        app-a = [{ capability = \"fs.read\", limit = { count = 1, per = \"1s\" } }, \
                 { capability = \"fs.read\", when = \"g\" }]\n"]);
    let blob = policy.policy().unwrap();
    let mut buckets = [Bucket::FULL];
    let open = Facts { bits: blob.fact(b"f").unwrap().mask, ..Facts::NONE };
    let mut ask = |facts| {
        let mut limits = Buckets { buckets: &mut buckets, now_ns: 0 };
        blob.decide_with(20, b"fs.read", facts, &mut limits)
    };
    assert_eq!(ask(open).rule(), RuleId(2));
    assert_eq!(ask(open).rule(), RuleId(2));
    assert_eq!(ask(Facts::NONE).rule(), RuleId(1), "the bucket is still full");
    assert_eq!(ask(Facts::NONE).reason(), Reason::GateClosed);
}

#[test]
fn audit_mode_and_sensitivity_come_from_the_registry() {
    let policy = build(&["[allow]\napp-a = [\"fs.read\"]\n"]);
    let blob = policy.policy().unwrap();
    assert_eq!(blob.decide(20, b"key.use", Facts::NONE).audit(), AuditMode::Required);
    assert_eq!(blob.decide(999, b"key.use", Facts::NONE).audit(), AuditMode::Required);
    assert_eq!(blob.decide(20, b"fs.read", Facts::NONE).audit(), AuditMode::Normal);
    assert_eq!(blob.capability(b"key.use").unwrap().sensitivity(), Sensitivity::High);
    assert_eq!(blob.capability(b"fs.write").unwrap().sensitivity(), Sensitivity::Medium);
    let names: Vec<String> = blob.capabilities().map(|(name, _)| name.to_string()).collect();
    let expected = ["fs.meta.read", "fs.read", "fs.write", "key.use", "route.init", "route.logd"];
    assert_eq!(names, expected);
}

#[test]
fn explain_names_winner_and_losers() {
    let policy =
        build(&["schema = 2\n[allow]\napp-a = [\"fs.*\"]\n[deny]\n\"app-*\" = [\"fs.write\"]\n"]);
    let why = policy.explain(20, "fs.write", Facts::NONE, &mut NoLimits).unwrap();
    assert_eq!(why.decision.reason(), Reason::DeniedByRule);
    let roles: Vec<(usize, Role)> =
        why.rules.iter().map(|(rule, role)| (rule.line, *role)).collect();
    assert_eq!(roles, [(3, Role::Lost), (5, Role::Decided)]);
    let why = policy.explain(22, "fs.write", Facts::NONE, &mut NoLimits).unwrap();
    assert!(why.rules.is_empty());
}

#[test]
fn handles_of_another_policy_are_unknown() {
    let (old, new) =
        (build(&["[allow]\napp-a = [\"fs.read\"]\n"]), build(&["[allow]\napp-a = []\n"]));
    let (old, new) = (old.policy().unwrap(), new.policy().unwrap());
    let (subject, capability) = (old.subject(20).unwrap(), old.capability(b"fs.read").unwrap());
    let ask = |s, c| new.decide_interned(s, c, Facts::NONE, &mut NoLimits).reason();
    assert_eq!(ask(subject, capability), Reason::UnknownSubject);
    assert_eq!(ask(new.subject(20).unwrap(), capability), Reason::UnknownCapability);
    assert_eq!(
        ask(new.subject(20).unwrap(), new.capability(b"fs.read").unwrap()),
        Reason::NotPermitted
    );
}

// ---- refusals --------------------------------------------------------------------------------

/// The codes found, errors first, without repeats in a row.
fn codes(result: Result<Compiled, Diagnostics>, level: Level) -> Vec<&'static str> {
    let found = match result {
        Ok(compiled) => compiled.warnings,
        Err(errors) => errors,
    };
    println!("{found}");
    found.items.iter().filter(|item| item.level == level).map(|item| item.code).collect()
}

const GATED: &str = "schema = 2\n[facts]\nf = { owner = \"init\", meaning = \"m\" }\n\
    g = { owner = \"init\", meaning = \"m\" }\n\
    [gates]\nopen = { when = \"f\", meaning = \"m\" }\nshut = { unless = \"f\", when = \"g\", meaning = \"m\" }\n[allow]\n";

#[test]
fn test_reject_rule_files() {
    for (code, text) in [
        ("syntax", "[allow\napp-a = []\n"),
        ("syntax", "[allow]\napp-a = [\"fs.read\n"),
        ("duplicate-key", "[allow]\napp-a = []\napp-a = []\n"),
        ("duplicate-key", "[allow]\napp-a = []\n[allow]\napp-b = []\n"),
        ("unknown-key", "schema = 2\n[dney]\n"),
        ("unknown-key", "alow = []\n"),
        ("unknown-schema", "schema = 3\n"),
        ("out-of-range", "schema = 0\n"),
        ("wrong-type", "schema = \"2\"\n"),
        ("needs-schema-2", "[deny]\napp-a = [\"fs.read\"]\n"),
        ("needs-schema-2", "schema = 1\n[allow]\napp-a = [\"fs.*\"]\n"),
        ("needs-schema-2", "[allow]\napp-a = [{ capability = \"fs.read\" }]\n"),
        ("out-of-range", "schema = 2\nversion = 0\n"),
        ("out-of-range", "schema = 2\nversion = -1\n"),
        ("wrong-type", "allow = []\n"),
        ("wrong-type", "[allow]\napp-a = \"fs.read\"\n"),
        ("wrong-type", "[allow]\napp-a = [1]\n"),
        ("wrong-type", "[allow]\ndemo.testsvc = []\n"),
        ("unknown-service", "[allow]\nnobody = [\"fs.read\"]\n"),
        ("unknown-capability", "[allow]\napp-a = [\"fs.raed\"]\n"),
        ("unknown-capability", "[allow]\napp-a = [\"route.app-a\"]\n"),
        ("invalid-name", "[allow]\napp-a = [\"\"]\n"),
        ("invalid-name", "[allow]\n\"\" = [\"fs.read\"]\n"),
        ("invalid-name", "[allow]\napp-a = [\"fs.re\u{430}d\"]\n"),
        ("invalid-name", "[allow]\n\"\u{430}pp-a\" = []\n"),
        ("unknown-service", "[allow]\nnobody = []\n"),
        ("invalid-name", "[allow]\napp-a = [\"fs.re\\u0000ad\"]\n"),
        ("invalid-name", "[allow]\napp-a = [\"fs.read\\u202e\"]\n"),
        ("invalid-name", "[allow]\napp-a = [\"FS.read\"]\n"),
        (
            "invalid-name",
            "[allow]\napp-a = [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]\n",
        ),
        ("bad-wildcard", "schema = 2\n[allow]\napp-a = [\"fs*\"]\n"),
        ("bad-wildcard", "schema = 2\n[allow]\napp-a = [\"*.read\"]\n"),
        ("bad-wildcard", "schema = 2\n[allow]\napp-a = [\"fs.*.*\"]\n"),
        ("empty-wildcard", "schema = 2\n[allow]\napp-a = [\"net.*\"]\n"),
        ("empty-wildcard", "schema = 2\n[allow]\n\"net-*\" = [\"fs.read\"]\n"),
        ("invalid-name", "schema = 2\n[allow]\n\"N*\" = [\"fs.read\"]\n"),
        ("allow-everything", "schema = 2\n[allow]\napp-a = [\"*\"]\n"),
        (
            "allow-and-deny",
            "schema = 2\n[allow]\napp-a = [\"fs.read\"]\n[deny]\napp-a = [\"fs.read\"]\n",
        ),
        (
            "limit-on-deny",
            "schema = 2\n[deny]\napp-a = [{ capability = \"fs.read\", limit = { count = 1, per = \"1s\" } }]\n",
        ),
        ("missing-key", "schema = 2\n[allow]\napp-a = [{ when = \"x\" }]\n"),
        (
            "missing-key",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 1 } }]\n",
        ),
        (
            "unknown-key",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", wehn = \"x\" }]\n",
        ),
        (
            "unknown-gate",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = \"x\" }]\n",
        ),
        ("empty-list", "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = [] }]\n"),
        (
            "bad-time",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", until = 2027-01-01 }]\n",
        ),
        (
            "wrong-type",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", until = \"soon\" }]\n",
        ),
        (
            "bad-duration",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 1, per = \"1 fortnight\" } }]\n",
        ),
        (
            "out-of-range",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 0, per = \"1s\" } }]\n",
        ),
        (
            "out-of-range",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 1000001, per = \"1s\" } }]\n",
        ),
        ("ambiguous-group", "schema = 2\n[groups]\nlogd = [\"app-a\"]\n"),
        ("empty-list", "schema = 2\n[groups]\nnone = []\n"),
        ("unknown-service", "schema = 2\n[groups]\nsome = [\"ap-a\"]\n"),
        ("invalid-name", "schema = 2\n[groups]\n\"So me\" = [\"app-a\"]\n"),
        ("missing-key", "schema = 2\n[facts]\nf = { meaning = \"m\" }\n"),
        ("empty-text", "schema = 2\n[facts]\nf = { owner = \"init\", meaning = \" \" }\n"),
        ("unknown-service", "schema = 2\n[facts]\nf = { owner = \"inti\", meaning = \"m\" }\n"),
        ("unknown-fact", "schema = 2\n[gates]\ng = { when = \"f\", meaning = \"m\" }\n"),
        ("empty-gate", "schema = 2\n[gates]\ng = { meaning = \"m\" }\n"),
        (
            "gate-never-true",
            "schema = 2\n[facts]\nf = { owner = \"init\", meaning = \"m\" }\n[gates]\ng = { when = \"f\", unless = \"f\", meaning = \"m\" }\n",
        ),
        (
            "never-violated",
            "schema = 2\n[allow]\napp-a = [\"fs.*\"]\n[[never]]\ncapability = \"fs.write\"\nreason = \"r\"\n",
        ),
        (
            "unknown-capability",
            "schema = 2\n[[never]]\ncapability = \"fs.wirte\"\nreason = \"r\"\n",
        ),
        (
            "unknown-service",
            "schema = 2\n[[never]]\ncapability = \"fs.write\"\nexcept = [\"ini\"]\nreason = \"r\"\n",
        ),
        ("missing-key", "schema = 2\n[[never]]\ncapability = \"fs.write\"\n"),
    ] {
        let found = codes(build_with(REGISTRY, &[text]), Level::Error);
        assert!(found.contains(&code), "{text}\nwanted {code}, found {found:?}");
    }
}

#[test]
fn test_reject_gates_that_are_never_open_together() {
    let text =
        format!("{GATED}app-a = [{{ capability = \"fs.read\", when = [\"open\", \"shut\"] }}]\n");
    assert_eq!(codes(build_with(REGISTRY, &[&text]), Level::Error), ["gate-never-true"]);
}

#[test]
fn test_reject_conditional_never() {
    let text = format!(
        "{GATED}app-a = [{{ capability = \"fs.write\", when = \"open\" }}]\n\
         logd = [{{ capability = \"fs.read\", when = \"shut\" }}]\n\
         [[never]]\ncapability = \"fs.write\"\nexcept = \"init\"\nreason = \"r\"\n"
    );
    assert_eq!(codes(build_with(REGISTRY, &[&text]), Level::Error), ["never-violated"]);
}

#[test]
fn a_deny_satisfies_a_never() {
    let text = "schema = 2\n[allow]\napp-a = [\"fs.*\"]\n[deny]\napp-a = [\"fs.write\"]\n\
        [[never]]\ncapability = \"fs.write\"\nsubject = [\"app-*\"]\nreason = \"r\"\n";
    assert_eq!(ask(&build(&[text]), 20, "fs.write", Facts::NONE), Reason::DeniedByRule);
}

#[test]
fn test_reject_definitions_in_two_files() {
    let group = "schema = 2\n[groups]\nsome = [\"app-a\"]\n[allow]\nsome = [\"fs.read\"]\n";
    let again = "schema = 2\nversion = 3\n[groups]\nsome = [\"app-b\"]\n";
    assert_eq!(
        codes(build_with(REGISTRY, &[group, again]), Level::Error),
        ["duplicate-definition"]
    );
    let versions = codes(build_with(REGISTRY, &[again, "schema = 2\nversion = 4\n"]), Level::Error);
    assert_eq!(versions, ["duplicate-definition"]);
    let twice = codes(build_with(REGISTRY, &[GATED, GATED]), Level::Error);
    assert_eq!(twice.len(), 4, "two facts and two gates");
}

#[test]
fn test_reject_registries() {
    let base = "[allow]\napp-a = []\n";
    for (code, registry) in [
        ("unquoted-name", "[ipc.core]\nmeaning = \"m\"\nenforcer = \"init\"\n"),
        ("missing-key", "[\"ipc.core\"]\nenforcer = \"init\"\n"),
        ("missing-key", "[\"ipc.core\"]\nmeaning = \"m\"\n"),
        ("empty-text", "[\"ipc.core\"]\nmeaning = \"\"\nenforcer = \"init\"\n"),
        ("unknown-service", "[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"initt\"\n"),
        (
            "unknown-value",
            "[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"init\"\naudit = \"requird\"\n",
        ),
        (
            "unknown-value",
            "[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"init\"\nsensitivity = \"huge\"\n",
        ),
        (
            "unknown-key",
            "[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"init\"\nsensitivty = \"low\"\n",
        ),
        ("invalid-name", "[\"Ipc.core\"]\nmeaning = \"m\"\nenforcer = \"init\"\n"),
        ("bad-family", "[\"ipc.*\"]\nmeaning = \"m\"\nenforcer = \"init\"\n"),
        (
            "bad-family",
            "[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"init\"\nexpand = \"providers\"\n",
        ),
        (
            "unknown-value",
            "[\"ipc.*\"]\nmeaning = \"m\"\nenforcer = \"init\"\nexpand = \"people\"\n",
        ),
        ("unknown-schema", "schema = 1\n"),
        ("wrong-type", "ipc = 3\n"),
        (
            "duplicate-key",
            "[\"a.b\"]\nmeaning = \"m\"\nenforcer = \"init\"\n[\"a.b\"]\nmeaning = \"m\"\n",
        ),
        (
            "duplicate-capability",
            "[\"r.init\"]\nmeaning = \"m\"\nenforcer = \"init\"\n[\"r.*\"]\nexpand = \"providers\"\nmeaning = \"m\"\nenforcer = \"init\"\n",
        ),
    ] {
        let found = codes(build_with(registry, &[base]), Level::Error);
        assert!(found.contains(&code), "{registry}\nwanted {code}, found {found:?}");
    }
}

#[test]
fn test_reject_system_names() {
    let registry = || Input::new("capabilities.toml", "");
    let base = || vec![Input::new("base.toml", "[allow]\n")];
    let owned = |list: &[(&str, u64)]| list.iter().map(|(n, id)| ((*n).to_owned(), *id)).collect();
    for (services, providers) in [
        (owned(&[("a", 1), ("a", 2)]), vec![]),
        (owned(&[("a", 1), ("b", 1)]), vec![]),
        (owned(&[("a", 0)]), vec![]),
        (owned(&[("A", 1)]), vec![]),
        (owned(&[("a", 1)]), vec!["b".to_owned()]),
    ] {
        let system = SystemNames::new(services, providers);
        let found = codes(compile(registry(), base(), &system), Level::Error);
        assert_eq!(found, ["system-names"]);
    }
}

#[test]
fn test_reject_no_rule_file_at_all() {
    assert_eq!(codes(build_with(REGISTRY, &[]), Level::Error), ["missing-file"]);
}

// ---- warnings --------------------------------------------------------------------------------

#[test]
fn warnings() {
    for (code, text) in [
        ("duplicate-rule", "[allow]\napp-a = [\"fs.read\", \"fs.read\"]\n"),
        ("covered-rule", "schema = 2\n[allow]\n\"*\" = [\"fs.read\"]\napp-a = [\"fs.read\"]\n"),
        ("dead-allow", "schema = 2\n[allow]\napp-a = [\"fs.read\"]\n[deny]\n\"*\" = [\"fs.*\"]\n"),
        ("broad-wildcard", "schema = 2\n[allow]\napp-a = [\"key.*\"]\n"),
        ("unused-definition", "schema = 2\n[groups]\nsome = [\"app-a\"]\n"),
        ("unused-definition", GATED),
    ] {
        let found = codes(build_with(REGISTRY, &[text]), Level::Warning);
        assert!(found.contains(&code), "{text}\nwanted {code}, found {found:?}");
    }
}

/// A hole in a wildcard, an exception by gate, a limited grant beside a gated one: no noise.
#[test]
fn sound_policies_are_quiet() {
    let text = "schema = 2\n[lints]\nunenforced-capability = \"allow\"\nunused-capability = \"allow\"\n\
        [facts]\nf = { owner = \"init\", meaning = \"m\" }\n\
        [gates]\ng = { when = \"f\", meaning = \"m\" }\n[allow]\n\
        app-a = [\"fs.*\", \"key.use\"]\napp-b = [{ capability = \"key.use\", when = \"g\" }]\n\
        [deny]\napp-a = [\"fs.write\", { capability = \"key.use\", when = \"g\" }]\n";
    assert!(codes(build_with(REGISTRY, &[text]), Level::Warning).is_empty());
}

// ---- targets and bundles -----------------------------------------------------------------------

const PUBLISHERS: &str = "[\"bundle.install.*\"]\nexpand = [\"acme\", \"example.org\"]\n\
    meaning = \"m\"\nenforcer = \"init\"\n[\"route.*\"]\nexpand = \"providers\"\nmeaning = \"m\"\nenforcer = \"init\"\n";

#[test]
fn targets_are_part_of_the_name() {
    let text = "schema = 2\n[allow]\n\
        app-a = [{ capability = \"bundle.install\", target = \"acme\" }]\n\
        app-b = [{ capability = \"bundle.install\", target = [\"acme\", \"example.org\"] }]\n\
        logd = [{ capability = [\"bundle.install\", \"route\"], target = \"*\" }]\n";
    let policy = build_with(PUBLISHERS, &[text]).unwrap_or_else(|errors| panic!("\n{errors}"));
    for (subject, capability, reason) in [
        (20, "bundle.install.acme", Reason::Allowed),
        (20, "bundle.install.example.org", Reason::NotPermitted),
        (20, "bundle.install", Reason::UnknownCapability),
        (20, "bundle.install.evil", Reason::UnknownCapability),
        (21, "bundle.install.example.org", Reason::Allowed),
        (3, "bundle.install.acme", Reason::Allowed),
        (3, "route.init", Reason::Allowed),
    ] {
        assert_eq!(ask(&policy, subject, capability, Facts::NONE), reason, "{capability}");
    }
}

#[test]
fn test_reject_targets() {
    let rule = |body: &str| format!("schema = 2\n[allow]\napp-a = [{{ {body} }}]\n");
    for (code, body) in [
        ("unknown-capability", "capability = \"bundle.install\", target = \"amce\""),
        ("unknown-capability", "capability = \"bundle.install\""),
        ("empty-list", "capability = \"bundle.install\", target = []"),
        ("wrong-type", "capability = \"bundle.install\", target = 1"),
        ("empty-wildcard", "capability = \"route.init\", target = \"*\""),
    ] {
        let errors = build_with(PUBLISHERS, &[&rule(body)]).unwrap_err();
        assert_eq!(errors.items[0].code, code, "\n{errors}");
    }
    for (code, expand) in [
        ("empty-list", "[]"),
        ("invalid-name", "[\"Acme\"]"),
        ("wrong-type", "[1]"),
        ("duplicate-capability", "[\"acme\", \"acme\"]"),
    ] {
        let registry =
            format!("[\"x.*\"]\nexpand = {expand}\nmeaning = \"m\"\nenforcer = \"init\"\n");
        let errors = build_with(&registry, &["[allow]\n"]).unwrap_err();
        assert_eq!(errors.items[0].code, code, "\n{errors}");
    }
}

#[test]
fn bundles_are_one_class_behind_the_boot_services() {
    let services = vec![("init".to_owned(), 1_023)];
    let system = SystemNames::new(services, vec!["init".to_owned()]).with_bundles();
    let rules = Input::new("base.toml", "[allow]\nbundle = [\"fs.read\"]\n");
    let policy = compile(Input::new("capabilities.toml", REGISTRY), vec![rules], &system).unwrap();
    for (id, reason) in [
        (1_023, Reason::NotPermitted),
        (1_022, Reason::UnknownSubject),
        (1_024, Reason::Allowed),
        (u64::MAX - 1, Reason::Allowed),
        (u64::MAX, Reason::UnknownSubject),
    ] {
        assert_eq!(ask(&policy, id, "fs.read", Facts::NONE), reason, "{id}");
    }
}

// ---- packed names ------------------------------------------------------------------------------

#[test]
fn a_packed_name_decides_as_its_bytes_do() {
    let policy =
        build(&["schema = 2\n[allow]\napp-a = [\"fs.*\"]\n[deny]\napp-a = [\"fs.write\"]\n"]);
    let blob = policy.policy().unwrap();
    let long = "x".repeat(48);
    for name in
        ["fs.read", "fs.write", "fs.meta.read", "key.use", "no", "route.selftest-peer", &long]
    {
        for subject in [20, 21, 99] {
            let packed = nexus_sel::PackedName::new(name.as_bytes()).unwrap();
            let one = blob.decide(subject, name.as_bytes(), Facts::NONE);
            let two = blob.decide_packed(subject, &packed, Facts::NONE, &mut NoLimits);
            assert_eq!(one, two, "{subject} {name}");
        }
    }
    assert!(nexus_sel::PackedName::new(b"").is_none());
    assert!(nexus_sel::PackedName::new(&[b'a'; 49]).is_none());
}
