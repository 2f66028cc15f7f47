//! Mistakes authors make: the message names the place and the remedy. The rendered text is
//! golden: `NEXUS_BLESS=1 cargo test -p nexus-sel --test mistakes` rewrites it, the diff is
//! the review.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
use std::path::{Path, PathBuf};

use nexus_sel::authoring::{Diagnostics, Input, SystemNames, compile, compile_dir};

/// A policy frozen for this test, so that editing the real one moves no line numbers here.
fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn system() -> SystemNames {
    let services = [
        ("nexus-init", 1),
        ("policyd", 2),
        ("logd", 3),
        ("selftest-client", 20),
        ("selftest-peer", 21),
        ("bench-client", 30),
        ("bench-server", 31),
    ];
    let providers = ["nexus-init", "policyd", "logd", "selftest-peer", "bench-server"];
    SystemNames::new(
        services.map(|(name, id)| (name.to_owned(), id)).to_vec(),
        providers.map(str::to_owned).to_vec(),
    )
}

fn try_bytes(base: Vec<u8>) -> Diagnostics {
    let registry = Input::new("recipes/policy/capabilities.toml", recipe("capabilities.toml"));
    match compile(registry, vec![Input::new("recipes/policy/base.toml", base)], &system()) {
        Ok(built) => panic!("was accepted:\n{}", built.warnings),
        Err(errors) => errors,
    }
}

/// The policy with one edit.
fn edited(from: &str, to: &str) -> Diagnostics {
    let base = recipe("base.toml");
    assert_eq!(base.matches(from).count(), 1, "`{from}` must occur once in base.toml");
    try_bytes(base.replace(from, to).into_bytes())
}

fn golden(name: &str, errors: &Diagnostics) {
    let text = errors.to_string();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("NEXUS_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "\n--- now ---\n{text}--- {} ---\n{expected}", path.display());
}

#[test]
fn test_reject_01_typo_in_capability() {
    golden("01-typo-in-capability", &edited("\"service.restart\",\n", "\"service.restrat\",\n"));
}

#[test]
fn test_reject_02_unknown_service() {
    golden("02-unknown-service", &edited("logd = [\"ipc.core\"", "lodg = [\"ipc.core\""));
}

#[test]
fn test_reject_03_duplicate_key() {
    let again = "[deny]\nselftest-client = [\"fs.read\"]\n";
    golden("03-duplicate-key", &edited("[deny]\n", again));
}

#[test]
fn test_reject_04_allow_and_deny() {
    let both = "[deny]\nlogd = [\"policy.delegate\"]\n";
    golden("04-allow-and-deny", &edited("[deny]\n", both));
}

#[test]
fn test_reject_05_bad_gate() {
    let from = "\"device.keygen\", when = \"bring-up\"";
    golden("05-bad-gate", &edited(from, "\"device.keygen\", when = \"bringup\""));
}

#[test]
fn test_reject_06_wrong_type() {
    let from = "nexus-init = [\"ipc.core\", \"policy.delegate\", \"proc.spawn\"]";
    golden("06-wrong-type", &edited(from, "nexus-init = \"ipc.core\""));
}

#[test]
fn test_reject_07_bad_wildcard() {
    golden("07-bad-wildcard", &edited("\"fs.*\", ", "\"f*.read\", \"sf.*\","));
}

#[test]
fn test_reject_08_missing_file() {
    // The one message that needs a real directory; its name is cut out of the golden text.
    let dir = std::env::temp_dir().join(format!("nexus-sel-missing-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("base.toml"), recipe("base.toml")).unwrap();
    let mut errors = compile_dir(&dir, &system()).unwrap_err();
    std::fs::remove_dir_all(&dir).unwrap();
    let shown = dir.display().to_string();
    for item in &mut errors.items {
        item.message = item.message.replace(&shown, "recipes/policy");
    }
    golden("08-missing-file", &errors);
}

#[test]
fn test_reject_09_never_violated() {
    let from = "selftest = [\"ipc.core\", \"route.policyd\", \"route.logd\"]";
    let to = "selftest = [\"ipc.core\", \"route.policyd\", \"route.logd\", \"policy.delegate\"]";
    golden("09-never-violated", &edited(from, to));
}

#[test]
fn test_reject_10_bad_utf8() {
    let mut base = recipe("base.toml").into_bytes();
    let at = base.windows(7).position(|w| w == b"logd = ").unwrap();
    base[at + 1] = 0xff;
    golden("10-bad-utf8", &try_bytes(base));
}

#[test]
fn many_mistakes_in_one_run() {
    let base = "schema = 2\nalow = 1\n\
[groups]\nlogd = [\"policyd\"]\n\n[allow]\n\
Logd = [\"ipc.core\", \"ipc.cоre\", \"\"]\n\
demo.testsvc = [\"ipc.core\"]\n\
policyd = [\"*\", 7, { capability = \"fs.read\", wen = \"x\" }]\n\
\"no*\" = [\"route.nobody\"]\n";
    golden("many-mistakes", &try_bytes(base.as_bytes().to_vec()));
}

/// The mistake an editor makes most often: one finding, where the bracket is missing.
#[test]
fn test_reject_a_list_that_is_not_closed() {
    let from = "\"policy.delegate\", \"proc.spawn\"]";
    golden("11-list-not-closed", &edited(from, "\"policy.delegate\", \"proc.spawn\""));
    let last = format!("{}\n[groups]\nmore = [\n  \"logd\",\n", "schema = 2\n");
    let errors = try_bytes(last.into_bytes());
    assert_eq!(errors.items.len(), 1, "{errors}");
    assert!(errors.to_string().contains("base.toml:4:8"), "{errors}");
}

#[test]
fn test_reject_what_is_not_toml_with_one_finding_a_file() {
    for (base, message, help) in [
        ("[allow]\nlogd = [\"ipc.core\n", "this string is not closed", "ends on the line"),
        ("[allow]\nlogd = ['ipc.core\n", "this string is not closed", "ends on the line"),
        ("[allow]\nlogd = [ipc.core]\n", "in quotes", "write `\"ipc.core\"`"),
        ("[allow]\nlogd = \"ipc.core\", \"x\"\n", "newline", "several values go into a list"),
        ("[allow]\nlogd = [\"ipc.core\" \"x\"]\nno such = 7\n", "missing comma", ""),
        ("[allow]\nlogd = [{ capability = \"x\"\n[deny]\n", "this table is not closed", "`}`"),
    ] {
        let errors = try_bytes(base.into());
        let text = errors.to_string();
        assert_eq!(errors.items.len(), 1, "{text}");
        assert!(text.starts_with("error[syntax]: "), "{text}");
        assert!(text.contains(message) && text.contains(help), "{text}");
    }
}

/// Names in one file that another file, the broken one, may define are not judged.
#[test]
fn test_reject_syntax_before_meaning() {
    let registry = Input::new("recipes/policy/capabilities.toml", recipe("capabilities.toml"));
    let rules = [("a.toml", "[groups\n"), ("b.toml", "[allow]\nteam = [\"ipc.core\"]\n")];
    let rules = rules.map(|(name, text)| Input::new(name, text)).to_vec();
    let errors = compile(registry, rules, &system()).unwrap_err();
    let codes: Vec<&str> = errors.items.iter().map(|item| item.code).collect();
    assert_eq!(codes, ["syntax"], "{errors}");
}

#[test]
fn test_reject_a_table_that_is_opened_twice() {
    let errors = try_bytes(b"schema = 2\n[ allow ]\n[deny]\n[allow]\n".to_vec());
    let places: Vec<_> = errors.items[0].labels.iter().map(|l| errors.position(&l.place)).collect();
    let lines: Vec<usize> = places.iter().map(|at| at.line).collect();
    assert_eq!(lines, [4, 2], "{errors}");
}

#[test]
fn test_reject_a_directory_that_is_not_there_in_one_sentence() {
    let errors = compile_dir(Path::new("no/such/directory"), &system()).unwrap_err();
    assert_eq!(errors.items.len(), 1, "{errors}");
    assert!(errors.to_string().starts_with("error[missing-file]: no/such/directory"), "{errors}");
}

/// A rule file that cannot be read is never left out in silence; an editor's lock is no file.
#[test]
fn test_reject_a_rule_file_that_leads_nowhere() {
    let dir = std::env::temp_dir().join(format!("nexus-sel-nowhere-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("base.toml"), recipe("base.toml")).unwrap();
    std::fs::write(dir.join("capabilities.toml"), recipe("capabilities.toml")).unwrap();
    let link = |name| std::os::unix::fs::symlink("no/such/place", dir.join(name)).unwrap();
    link(".#base.toml");
    let with_lock = compile_dir(&dir, &system());
    link("deny.toml");
    std::fs::create_dir(dir.join("folder.toml")).unwrap();
    let errors = compile_dir(&dir, &system()).unwrap_err();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(with_lock.is_ok());
    let messages: Vec<&str> = errors.items.iter().map(|item| item.message.as_str()).collect();
    assert!(messages.len() == 2, "{errors}");
    assert!(messages[0].contains("deny.toml cannot be read"), "{errors}");
    assert!(messages[1].contains("folder.toml cannot be read"), "{errors}");
}
