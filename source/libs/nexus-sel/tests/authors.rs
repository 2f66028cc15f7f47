//! The mistakes of ../shared/reference/policy-engines.md §5 and their kin: what other engines
//! swallow is an error or a lint here, with a place in the author's file and a remedy.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
use nexus_sel::authoring::{Compiled, Diagnostics, Input, Level, SystemNames, compile, expect};
use nexus_sel::{Facts, Reason};

const REGISTRY: &str = "\
[\"fs.read\"]\nmeaning = \"m\"\nenforcer = \"init\"\n\
[\"fs.write\"]\nmeaning = \"m\"\nenforcer = \"init\"\n\
[\"key.use\"]\nmeaning = \"m\"\nenforcer = \"init\"\nsensitivity = \"high\"\n\
[\"bundle.install.*\"]\nexpand = [\"acme\", \"evil\"]\nmeaning = \"m\"\nenforcer = \"init\"\n";

/// Facts and gates, and a use of every capability, so that the lints are about the rest.
const BASE: &str = "schema = 2\n\
[facts]\nf = { owner = \"init\", meaning = \"m\" }\ng = { owner = \"init\", meaning = \"m\" }\n\
[gates]\nopen = { when = \"f\", meaning = \"m\" }\nboth = { when = [\"f\", \"g\"], meaning = \"m\" }\n\
shut = { unless = \"f\", meaning = \"m\" }\n\
[allow]\ninit = [\"fs.read\", \"fs.write\", \"key.use\", { capability = \"bundle.install\", target = \"acme\" },\n\
  { capability = \"bundle.install\", target = \"evil\", when = \"open\" }]\n\
[deny]\nlogd = [{ capability = \"key.use\", when = \"both\" }, { capability = \"key.use\", when = \"shut\" }]\n\
[lints]\nidle-deny = \"allow\"\n";

fn system() -> SystemNames {
    let services = [("init", 1), ("logd", 3), ("app-a", 20), ("app-b", 21)];
    SystemNames::new(services.map(|(name, id)| (name.to_owned(), id)).to_vec(), Vec::new())
        .with_bundles()
}

fn build(files: &[&str]) -> Result<Compiled, Diagnostics> {
    let files = files.iter().enumerate().map(|(i, text)| Input::new(format!("{i}.toml"), *text));
    compile(Input::new("capabilities.toml", REGISTRY), files.collect(), &system())
}

/// The findings, all with a place and a word about what to do.
#[track_caller]
fn findings(text: &str) -> Vec<(Level, &'static str)> {
    let found = match build(&[BASE, text]) {
        Ok(built) => built.warnings,
        Err(errors) => errors,
    };
    for item in &found.items {
        let label = item.labels.first().unwrap_or_else(|| panic!("no place: {text}\n{found}"));
        let remedy = item.help.len() + item.labels.iter().filter(|l| !l.text.is_empty()).count();
        // A syntax error says in its message what was expected.
        let remedy = remedy + usize::from(item.code == "syntax");
        assert!(label.place.source > 0 && remedy > 0, "{text}\n{found}");
    }
    found.items.iter().map(|item| (item.level, item.code)).collect()
}

const DENY: &str = "schema = 2\n[allow]\napp-a = [\"fs.*\"]\n";

/// Mistakes in a deny: each would let through what its author meant to stop.
#[test]
fn test_reject_mistakes_in_a_deny() {
    for (code, deny) in [
        ("unknown-capability", "[deny]\napp-a = [\"fs.wirte\"]\n"),
        ("unknown-capability", "[deny]\napp-a = [\"fs_write\"]\n"),
        ("unknown-capability", "[deny]\napp-a = [\"write\"]\n"),
        ("invalid-name", "[deny]\napp-a = [\"Fs.Write\"]\n"),
        ("invalid-name", "[deny]\napp-a = [\"fs.wr\u{456}te\"]\n"),
        ("invalid-name", "[deny]\napp-a = [\"fs.write \"]\n"),
        ("invalid-name", "[deny]\napp-a = [\"fs.write\\u200b\"]\n"),
        ("invalid-name", "[deny]\n\"app-\u{430}\" = [\"fs.write\"]\n"),
        ("unknown-key", "[dney]\napp-a = [\"fs.write\"]\n"),
        ("unknown-key", "[denny]\napp-a = [\"fs.write\"]\n"),
        ("unknown-key", "[Deny]\napp-a = [\"fs.write\"]\n"),
        ("unknown-key", "[forbid]\napp-a = [\"fs.write\"]\n"),
        ("unknown-key", "[[deny.rules]]\n[pp]\n"),
        ("unknown-service", "[deny]\napp_a = [\"fs.write\"]\n"),
        ("unknown-service", "[deny]\napp = [\"fs.write\"]\n"),
        ("empty-wildcard", "[deny]\n\"ap-*\" = [\"fs.write\"]\n"),
        ("empty-wildcard", "[deny]\napp-a = [\"sf.*\"]\n"),
        ("bad-wildcard", "[deny]\napp-a = [\"fs.wr*\"]\n"),
        ("bad-wildcard", "[deny]\napp-a = [\"*.write\"]\n"),
        ("bad-wildcard", "[deny]\napp-a = [\"fs.**\"]\n"),
        ("invalid-name", "[deny]\n\"app-?\" = [\"fs.write\"]\n"),
        ("invalid-name", "[deny]\n\"app-[ab]\" = [\"fs.write\"]\n"),
        ("unknown-gate", "[deny]\napp-a = [{ capability = \"fs.write\", when = \"opne\" }]\n"),
        ("unknown-gate", "[deny]\napp-a = [{ capability = \"fs.write\", when = \"f\" }]\n"),
        ("unknown-key", "[deny]\napp-a = [{ capability = \"fs.write\", unless = \"open\" }]\n"),
        ("missing-key", "[deny]\napp-a = [{ capabilty = \"fs.write\" }]\n"),
        ("empty-list", "[deny]\napp-a = [{ capability = [] }]\n"),
        ("empty-list", "[deny]\napp-a = [{ capability = \"fs.write\", when = [] }]\n"),
        (
            "gate-never-true",
            "[deny]\napp-a = [{ capability = \"fs.write\", when = [\"open\", \"shut\"] }]\n",
        ),
        ("wrong-type", "[deny]\napp-a = \"fs.write\"\n"),
        ("wrong-type", "[deny]\napp-a = [[\"fs.write\"]]\n"),
        ("wrong-type", "[deny]\napp-a = true\n"),
        ("wrong-type", "deny = [\"fs.write\"]\n"),
        ("duplicate-key", "[deny]\napp-a = [\"fs.read\"]\napp-a = [\"fs.write\"]\n"),
        ("duplicate-key", "[deny]\napp-a = [\"fs.read\"]\n\"app-a\" = [\"fs.write\"]\n"),
        ("syntax", "[deny]\napp-a = [\"fs.write\"\n"),
        ("syntax", "[deny\napp-a = [\"fs.write\"]\n"),
        ("syntax", "[deny]\napp-a : [\"fs.write\"]\n"),
    ] {
        // Keys at the top stand in front of every header.
        let text = match deny.strip_prefix("deny = ") {
            Some(_) => format!("schema = 2\n{deny}"),
            None => format!("{DENY}{deny}"),
        };
        let found = findings(&text);
        assert!(found.contains(&(Level::Error, code)), "{deny}: {found:?}");
    }
}

/// Mistakes in what watches over the policy: an assertion, a gate, a group, a lint level.
#[test]
fn test_reject_mistakes_in_what_watches() {
    let never = |body: &str| format!("schema = 2\n[[never]]\nreason = \"r\"\n{body}\n");
    for (code, text) in [
        ("empty-list", never("capability = []")),
        ("empty-list", never("capability = \"key.use\"\nexcept = \"init\"\nsubject = []")),
        ("empty-list", never("capability = \"key.use\"\nexcept = []")),
        ("unknown-capability", never("capability = \"key.uses\"")),
        ("unknown-service", never("capability = \"key.use\"\nexcept = \"inti\"")),
        ("unknown-key", never("capability = \"key.use\"\nexcept = \"init\"\nsubjects = \"logd\"")),
        ("unknown-key", never("capability = \"key.use\"\nexcept = \"init\"\nunless = \"open\"")),
        ("wrong-type", "schema = 2\nnever = { capability = \"key.use\", reason = \"r\" }\n".into()),
        ("unknown-fact", "schema = 2\n[gates.x]\nwhen = \"ff\"\nmeaning = \"m\"\n".into()),
        ("unknown-fact", "schema = 2\n[gates.x]\nwhen = \"open\"\nmeaning = \"m\"\n".into()),
        ("unknown-key", "schema = 2\n[gates.x]\nwen = \"f\"\nmeaning = \"m\"\n".into()),
        (
            "gate-never-true",
            "schema = 2\n[gates.x]\nwhen = \"f\"\nunless = [\"g\", \"f\"]\nmeaning = \"m\"\n"
                .into(),
        ),
        ("unknown-service", "schema = 2\n[groups]\nall = [\"app-a\", \"ap-b\"]\n".into()),
        ("unknown-service", "schema = 2\n[groups]\nx = [\"app-a\"]\ny = [\"x\"]\n".into()),
        ("empty-wildcard", "schema = 2\n[groups]\nall = [\"ap-*\"]\n".into()),
        ("ambiguous-group", "schema = 2\n[groups]\nbundle = [\"app-a\"]\n".into()),
        ("invalid-name", "schema = 2\n[groups]\n\"app-*\" = [\"app-a\"]\n".into()),
        ("unknown-lint", "schema = 2\n[lints]\ndead_allow = \"deny\"\n".into()),
        ("unknown-value", "schema = 2\n[lints]\ndead-allow = \"error\"\n".into()),
        ("needs-schema-2", "[deny]\napp-a = [\"fs.write\"]\n".into()),
        ("needs-schema-2", "[allow]\n\"app-*\" = [\"fs.write\"]\n".into()),
        ("unknown-schema", "schema = 20\n".into()),
    ] {
        let found = findings(&text);
        assert!(found.contains(&(Level::Error, code)), "{text}: {found:?}");
    }
}

/// What builds and yet is not what its author thinks.
#[test]
fn doubtful_rules_are_linted() {
    for (code, text) in [
        ("duplicate-rule", "[allow]\napp-a = [\"fs.read\", \"fs.read\"]\n"),
        ("duplicate-rule", "[allow]\ninit = [\"fs.read\"]\n"),
        (
            "covered-rule",
            "schema = 2\n[allow]\napp-a = [\"fs.*\"]\n\"app-*\" = [\"fs.read\"]\napp-b = [\"fs.read\"]\n",
        ),
        (
            "dead-allow",
            "schema = 2\n[allow]\napp-a = [\"fs.read\"]\n[deny]\n\"app-*\" = [\"fs.*\"]\n",
        ),
        (
            "dead-allow",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = \"open\" }]\n[deny]\n\"*\" = [\"fs.*\"]\n",
        ),
        (
            "dead-allow",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = \"both\" }]\n[deny]\napp-a = [{ capability = \"fs.*\", when = \"open\" }]\n",
        ),
        (
            "dead-allow",
            "schema = 2\n[allow]\nlogd = [{ capability = \"key.use\", when = \"both\" }]\n",
        ),
        (
            "covered-rule",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = \"open\" }, { capability = \"fs.read\", when = \"both\" }]\n",
        ),
        (
            "covered-rule",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", until = 2027-01-01T00:00:00Z }, { capability = \"fs.read\", until = 2028-01-01T00:00:00Z }]\n",
        ),
        (
            "covered-rule",
            "schema = 2\n[allow]\napp-a = [{ capability = \"fs.read\", when = \"open\", limit = { count = 1, per = \"1s\" } }, { capability = \"fs.read\", when = \"open\" }]\n",
        ),
        ("broad-wildcard", "schema = 2\n[allow]\napp-a = [\"key.*\"]\n"),
        ("unused-definition", "schema = 2\n[groups]\nx = [\"app-a\"]\n"),
    ] {
        let found = findings(text);
        assert!(found.contains(&(Level::Warning, code)), "{text}: {found:?}");
    }
}

/// Rules that only look alike: each decides somewhere.
#[test]
fn rules_that_decide_somewhere_are_left_alone() {
    for text in [
        "[allow]\napp-a = [{ capability = \"fs.read\", when = \"open\" }, { capability = \"fs.read\", when = \"shut\" }]\n",
        "[allow]\napp-a = [{ capability = \"fs.read\", when = \"open\" }]\n[deny]\napp-a = [{ capability = \"fs.read\", when = \"both\" }]\n",
        "[allow]\napp-a = [{ capability = \"fs.read\", until = 2028-01-01T00:00:00Z }]\n[deny]\napp-a = [{ capability = \"fs.read\", until = 2027-01-01T00:00:00Z }]\n",
        "[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 1, per = \"1s\" } }, { capability = \"fs.read\", limit = { count = 2, per = \"1s\" } }]\n",
        "[allow]\napp-a = [{ capability = \"fs.read\", limit = { count = 1, per = \"1s\" } }, { capability = \"fs.read\", when = \"open\" }]\n",
        "[allow]\napp-a = [\"fs.*\"]\n[deny]\napp-a = [\"fs.write\"]\n",
    ] {
        assert_eq!(findings(&format!("schema = 2\n{text}")), [], "{text}");
    }
}

/// `*` grants to what the manifest names, and forbids to everybody.
#[test]
fn a_star_that_forbids_leaves_no_bundle_out() {
    let ask = |text: &str, id: u64| {
        let built = build(&[BASE, text]).unwrap_or_else(|errors| panic!("{errors}"));
        built.policy().unwrap().decide(id, b"fs.read", Facts::NONE).reason()
    };
    let rules = "[allow]\nbundle = [\"fs.read\"]\n\"app-*\" = [\"fs.read\"]\n";
    let groups = "schema = 2\n[groups]\nall = [\"*\"]\nboth = [\"app-a\", \"bundle\"]\n";
    for deny in ["\"*\"", "all", "both"] {
        let text = format!("{groups}{rules}[deny]\n{deny} = [\"fs.*\"]\n");
        assert_eq!(ask(&text, 2_000), Reason::DeniedByRule, "{deny}");
        assert_eq!(ask(&text, 20), Reason::DeniedByRule, "{deny}");
    }
    for allow in ["\"*\"", "all"] {
        let text = format!("{groups}[allow]\n{allow} = [\"fs.read\"]\nboth = [\"fs.write\"]\n");
        assert_eq!(ask(&text, 2_000), Reason::NotPermitted, "{allow}");
        assert_eq!(ask(&text, 21), Reason::Allowed, "{allow}");
    }
    for (subject, except, broken) in [
        ("", "", true),
        ("subject = \"*\"\n", "", true),
        ("subject = \"all\"\n", "", true),
        ("subject = \"app-*\"\n", "", false),
        ("", ", \"*\"", true),
        ("", ", \"bundle\"", false),
    ] {
        let text = format!(
            "{groups}[allow]\nbundle = [\"fs.write\"]\nboth = [\"fs.read\"]\n\
             [[never]]\n{subject}capability = \"fs.write\"\nexcept = [\"init\"{except}]\nreason = \"r\"\n"
        );
        let codes: Vec<_> = findings(&text).into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes.contains(&"never-violated"), broken, "{subject} {except}: {codes:?}");
    }
}

#[test]
fn names_that_look_alike_are_linted() {
    for text in [
        "schema = 2\n[groups]\napp_a = [\"app-a\"]\n[allow]\napp_a = [\"fs.read\"]\n",
        "schema = 2\n[groups]\ninlt = [\"app-a\"]\n[allow]\ninlt = [\"fs.read\"]\n",
        "schema = 2\n[gates]\n0pen = { when = \"f\", meaning = \"m\" }\n\
         [allow]\napp-a = [{ capability = \"fs.read\", when = \"0pen\" }]\n",
    ] {
        assert_eq!(findings(text), [(Level::Warning, "look-alike-names")], "{text}");
    }
}

const CONDITIONS: &str = "schema = 2\n[allow]\nbundle = [\"fs.write\"]\napp-a = [\
    { capability = \"fs.read\", until = 2027-01-01T00:00:00Z }, \
    { capability = \"key.use\", limit = { count = 1, per = \"1s\" } }]\n";

fn expectations(text: &str) -> (Vec<&'static str>, usize) {
    let built = build(&[BASE, CONDITIONS]).unwrap_or_else(|errors| panic!("{errors}"));
    let report = expect::run(&built, vec![Input::new("t.toml", text)]);
    let own = report.untested.iter().filter(|rule| rule.file == "1.toml").count();
    (report.faults.items.iter().map(|item| item.code).collect(), own)
}

/// Rules for bundles, rules that end and rules with a limit can be tested like all others.
#[test]
fn every_kind_of_rule_can_be_expected() {
    let early = "[[expect]]\nsubject = \"app-a\"\nat = 2026-12-31T23:59:59Z\nallow = \"fs.read\"\n";
    let late = "[[expect]]\nsubject = \"app-a\"\nat = 2027-01-01T00:00:00Z\ndeny = \"fs.read\"\n\
        reason = \"gate-closed\"\n";
    let spent = "[[expect]]\nsubject = \"app-a\"\nlimits = \"spent\"\ndeny = \"key.use\"\n\
        reason = \"gate-closed\"\n";
    let bundle = "[[expect]]\nsubject = \"bundle\"\nallow = \"fs.write\"\ndeny = \"fs.read\"\n";
    assert_eq!(expectations(&[early, late, spent, bundle].concat()), (vec![], 0));
    for wrong in [
        early.replace("allow", "deny"),
        late.replace("2027", "2026"),
        spent.replace("spent", "full"),
        bundle.replace("write", "read"),
    ] {
        assert!(expectations(&wrong).0.contains(&"expectation-failed"), "{wrong}");
    }
}

#[test]
fn test_reject_expectations_that_expect_nothing() {
    for (code, text) in [
        ("missing-key", "[[expect]]\nsubject = \"app-a\"\n"),
        ("missing-key", "[[expect]]\nsubject = \"app-a\"\nreason = \"denied-by-rule\"\n"),
        (
            "unknown-value",
            "[[expect]]\nsubject = \"app-a\"\nreason = \"allowed\"\ndeny = \"fs.write\"\n",
        ),
        (
            "unknown-value",
            "[[expect]]\nsubject = \"app-a\"\nlimits = \"empty\"\ndeny = \"fs.write\"\n",
        ),
        ("bad-time", "[[expect]]\nsubject = \"app-a\"\nat = 2027-01-01\ndeny = \"fs.write\"\n"),
        ("wrong-type", "[[expect]]\nsubject = \"app-a\"\nat = 5\ndeny = \"fs.write\"\n"),
    ] {
        assert_eq!(expectations(text).0, [code], "{text}");
    }
}
