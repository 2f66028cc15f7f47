//! Every lint: what it finds, what it does not, how it is turned off, up and excepted.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
use nexus_sel::authoring::{
    Compiled, Diagnostics, Input, LINTS, Level, SystemNames, compile, expect,
};

const REGISTRY: &str = "schema = 2
[\"fs.read\"]
meaning = \"m\"
enforcer = \"init\"
[\"fs.write\"]
meaning = \"m\"
enforcer = \"init\"
[\"key.use\"]
meaning = \"m\"
enforcer = \"init\"
sensitivity = \"high\"
[\"later.do\"]
meaning = \"m\"
enforcer = \"nobody\"
status = \"reserved\"
[\"route.*\"]
expand = \"providers\"
meaning = \"m\"
enforcer = \"init\"
";

/// Keeps every enforced capability in use.
const BASE: &str =
    "schema = 2\n[allow]\ninit = [\"fs.read\", \"fs.write\", \"key.use\", \"route.init\"]\n";

fn system() -> SystemNames {
    let services = [("init", 1), ("logd", 3), ("app-a", 20), ("app-b", 21)];
    let services = services.map(|(name, id)| (name.to_owned(), id)).to_vec();
    SystemNames::new(services, vec!["init".to_owned(), "logd".to_owned()]).with_bundles()
}

fn build_files(files: &[&str]) -> Result<Compiled, Diagnostics> {
    let files = files.iter().enumerate().map(|(i, text)| Input::new(format!("{i}.toml"), *text));
    compile(Input::new("capabilities.toml", REGISTRY), files.collect(), &system())
}

fn found(text: &str) -> Vec<(Level, &'static str)> {
    let items = match build_files(&[BASE, text]) {
        Ok(built) => built.warnings.items,
        Err(errors) => errors.items,
    };
    items.iter().map(|item| (item.level, item.code)).collect()
}

/// One policy per lint that it, and nothing else, speaks about. The two that need more than
/// rule files have tests of their own.
const FINDINGS: [(&str, &str); 10] = [
    ("broad-wildcard", "schema = 2\n[allow]\napp-a = [\"key.*\"]\n"),
    ("covered-rule", "schema = 2\n[allow]\n\"app-*\" = [\"fs.read\"]\napp-a = [\"fs.read\"]\n"),
    ("dead-allow", "schema = 2\n[allow]\napp-a = [\"fs.read\"]\n[deny]\n\"app-*\" = [\"fs.*\"]\n"),
    ("duplicate-rule", "[allow]\napp-a = [\"fs.read\", \"fs.read\"]\n"),
    ("idle-deny", "schema = 2\n[deny]\napp-a = [\"fs.read\"]\n"),
    (
        "look-alike-names",
        "schema = 2\n[groups]\napp_a = [\"app-b\"]\n[allow]\napp_a = [\"fs.read\"]\n",
    ),
    ("unenforced-capability", "[allow]\napp-a = [\"later.do\"]\n"),
    ("unreviewed-rule", "[allow]\napp-a = [\"fs.read\"] # nx:unreviewed\n"),
    ("unused-definition", "schema = 2\n[groups]\nsome = [\"app-a\"]\n"),
    ("unused-exception", "[allow]\napp-a = [\"fs.read\"] # lint: allow(dead-allow) it is not\n"),
];

#[test]
fn every_lint_finds_what_it_is_for() {
    for (lint, text) in FINDINGS {
        assert_eq!(found(text), [(Level::Warning, lint)], "{text}");
    }
    let covered: Vec<&str> = FINDINGS.iter().map(|(lint, _)| *lint).collect();
    for lint in LINTS.iter().filter(|lint| !covered.contains(&lint.name)) {
        assert!(["unused-capability", "untested-rule"].contains(&lint.name), "{}", lint.name);
    }
}

#[test]
fn every_lint_can_be_allowed_and_denied_by_level() {
    for (lint, text) in FINDINGS {
        let with = |level: &str| {
            let text = text.strip_prefix("schema = 2\n").unwrap_or(text);
            found(&format!("schema = 2\n[lints]\n{lint} = \"{level}\"\n{text}"))
        };
        assert_eq!(with("allow"), [], "{lint}");
        assert_eq!(with("warn"), [(Level::Warning, lint)], "{lint}");
        assert_eq!(with("deny"), [(Level::Error, lint)], "{lint}");
    }
}

#[test]
fn every_lint_is_documented() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path.join("../../../docs/policy-lints.md")).unwrap();
    for lint in LINTS {
        let entry = format!("## {}\n\n", lint.name);
        let (_, rest) = text.split_once(&entry).unwrap_or_else(|| panic!("no `{}`", lint.name));
        let about = rest.split("\n\n").next().unwrap().to_lowercase().replace('\n', " ");
        assert!(about.starts_with(&lint.about.to_lowercase()), "{}: {about}", lint.name);
    }
    assert_eq!(
        text.matches("\n## ").count(),
        LINTS.len() + 2,
        "one chapter per lint, and two more"
    );
}

#[test]
fn a_capability_that_nobody_holds_is_unused_and_a_family_counts_as_one() {
    let unused = |text: &str| -> Vec<String> {
        let built = build_files(&[text]).unwrap();
        let items = built.warnings.items.iter().filter(|item| item.code == "unused-capability");
        items.map(|item| item.message.clone()).collect()
    };
    let expected = ["nobody is allowed `fs.write`", "nobody is allowed `key.use`"];
    assert_eq!(unused("[allow]\ninit = [\"fs.read\", \"route.logd\"]\n"), expected);
    let all =
        "schema = 2\n[allow]\ninit = [\"fs.*\", \"key.use\"]\n[deny]\ninit = [\"route.logd\"]\n";
    assert_eq!(unused(all), ["nobody is allowed `route.init`"]);
}

#[test]
fn a_rule_that_no_test_asks_about_is_untested() {
    let text = "schema = 2\n[allow]\napp-a = [\n  \"fs.read\",\n  # lint: allow(untested-rule) by hand\n  \"fs.write\",\n]\n";
    let lint = |files: &[&str], tests: &str| -> Vec<(Level, &'static str, String)> {
        let mut built = build_files(files).unwrap();
        let report = expect::run(&built, vec![Input::new("t.toml", tests)]);
        built.lint_tests(&report);
        built.warnings.items.into_iter().map(|item| (item.level, item.code, item.message)).collect()
    };
    let base = "[[expect]]\nsubject = \"init\"\nallow = [\"fs.read\", \"fs.write\", \"key.use\", \"route.init\"]\n";
    let both =
        format!("{base}[[expect]]\nsubject = \"app-a\"\nallow = [\"fs.read\", \"fs.write\"]\n");
    let one = format!("{base}[[expect]]\nsubject = \"app-a\"\nallow = [\"fs.read\"]\n");
    let message = |text: &str| text.to_owned();
    assert_eq!(lint(&[BASE, text], &one), []);
    let stale = "there is no `untested-rule` to allow here";
    let stale = (Level::Warning, "unused-exception", message(stale));
    assert_eq!(lint(&[BASE, text], &both), [stale]);
    let none =
        (Level::Warning, "untested-rule", message("no test exercises `fs.read` for `app-a`"));
    assert_eq!(lint(&[BASE, text], base), [none]);
    let denied = text.replace("[allow]", "[lints]\nuntested-rule = \"deny\"\n[allow]");
    assert_eq!(lint(&[BASE, &denied], base).first().unwrap().0, Level::Error);
}

#[test]
fn an_exception_stands_beside_or_right_above_its_line() {
    for text in [
        "[allow]\napp-a = [\"later.do\"] # lint: allow(unenforced-capability) soon\n",
        "[allow]\n# lint: allow(unenforced-capability): soon\n# more\napp-a = [\"later.do\"]\n",
        "[allow]\napp-a = [\n  # lint: allow(unenforced-capability) soon\r\n  \"later.do\",\n]\n",
        "schema = 2\n[allow]\napp-a = [\n  \"later.*\", #lint: allow(unenforced-capability, unenforced-capability) soon\n]\n",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    let far = "[allow]\n# lint: allow(unenforced-capability) soon\napp-b = [\"fs.read\"]\napp-a = [\"later.do\"]\n";
    let expected =
        [(Level::Warning, "unused-exception"), (Level::Warning, "unenforced-capability")];
    assert_eq!(found(far), expected);
    let string = "[allow]\napp-a = [\"later.do\"]\nlogd = []\n\"# lint: allow(x)\" = []\n";
    assert!(found(string).contains(&(Level::Error, "invalid-name")));
}

#[test]
fn test_reject_exceptions_and_levels() {
    for (code, text) in [
        ("unknown-lint", "[allow]\napp-a = [\"fs.read\"] # lint: allow(dead-alow) why\n"),
        ("unknown-lint", "[allow] # lint: allow() why\n"),
        ("bad-exception", "[allow] # lint: allow(dead-allow\n"),
        ("bad-exception", "[allow] # lint: allow(dead-allow)\n"),
        ("bad-exception", "[allow] # lint: allow(dead-allow) : - \r\n"),
        ("unknown-lint", "schema = 2\n[lints]\ndead-alow = \"warn\"\n"),
        ("unknown-value", "schema = 2\n[lints]\ndead-allow = \"forbid\"\n"),
        ("wrong-type", "schema = 2\n[lints]\ndead-allow = 1\n"),
        ("wrong-type", "schema = 2\nlints = []\n"),
        ("needs-schema-2", "[lints]\ndead-allow = \"warn\"\n"),
    ] {
        let found = found(text);
        assert!(found.contains(&(Level::Error, code)), "{text}: {found:?}");
    }
    let level = "schema = 2\n[lints]\ndead-allow = \"warn\"\n";
    let errors = build_files(&[BASE, level, level]).unwrap_err();
    assert_eq!(errors.items.first().unwrap().code, "duplicate-definition");
}
