//! `nx policy check|test|build|schema|fmt` and `nx completions` as a user runs them.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A policy directory of its own, removed with the value.
struct Tree(PathBuf);

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const REGISTRY: &str = "schema = 2\n\n[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"policyd\"\n\n\
    [\"log.read\"]\nmeaning = \"m\"\nenforcer = \"logd\"\nsensitivity = \"high\"\n";
const BASE: &str = "schema = 2\n\n[allow]\nlogd = [\"ipc.core\", \"log.read\"]\n";
const TESTS: &str = "[[expect]]\nsubject = \"logd\"\nallow = [\"ipc.core\", \"log.read\"]\n";

fn tree(name: &str, base: &str, tests: &str) -> Tree {
    let dir = std::env::temp_dir().join(format!("nx-policy-{}-{name}", std::process::id()));
    fs::create_dir_all(dir.join("tests")).expect("a directory");
    fs::write(dir.join("capabilities.toml"), REGISTRY).expect("a file");
    fs::write(dir.join("base.toml"), base).expect("a file");
    fs::write(dir.join("tests/base.toml"), tests).expect("a file");
    Tree(dir)
}

fn nx(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nx"));
    command.current_dir(root()).env_remove("NO_COLOR").args(args);
    command.output().expect("nx runs")
}

/// Exit status, standard output and standard error, with the directory cut out.
fn policy(tree: &Tree, args: &[&str]) -> (Option<i32>, String, String) {
    let dir = tree.0.display().to_string();
    let mut all = vec!["policy", "--dir", &dir];
    all.extend(args);
    let output = nx(&all);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir, "POLICY");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn check_reports_and_ends_as_documented() {
    let sound = tree("sound", BASE, TESTS);
    let (status, out, err) = policy(&sound, &["check", "--deny", "warnings"]);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("policy version 1: 2 rules, "), "{out}");

    let untested =
        tree("untested", BASE, "[[expect]]\nsubject = \"logd\"\nallow = [\"ipc.core\"]\n");
    let golden = "warning[untested-rule]: no test exercises `log.read` for `logd`\n \
        --> POLICY/base.toml:4:22\n  |\n4 | logd = [\"ipc.core\", \"log.read\"]\n  \
        |                      ^^^^^^^^ decides in no test\n  |\n  \
        = help: add a decision that it makes to `tests/`\n\n";
    let (status, out, err) = policy(&untested, &["check"]);
    assert_eq!((status, err.as_str()), (Some(0), golden), "{out}");
    assert!(out.ends_with("0 errors, 1 warning\n"), "{out}");
    for deny in [&["--deny", "untested-rule"][..], &["--deny", "warnings"], &["--deny-warnings"]] {
        let (status, _, err) = policy(&untested, &[&["check"], deny].concat());
        assert_eq!(status, Some(1), "{deny:?}");
        assert_eq!(err, golden.replace("warning[", "error["), "{deny:?}");
    }
    assert_eq!(policy(&untested, &["check", "--deny", "dead-allow"]).0, Some(0));
    let (status, _, err) = policy(&untested, &["check", "--deny", "dead-alow"]);
    assert_eq!(status, Some(2), "wrong usage");
    assert!(err.contains("dead-allow"), "{err}");

    let broken = tree("broken", &BASE.replace("log.read", "log.raed"), TESTS);
    let (status, out, err) = policy(&broken, &["check"]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(
        err.contains("POLICY/base.toml:4:22") && err.contains("did you mean `log.read`?"),
        "{err}"
    );
    let (status, out, _) = policy(&broken, &["check", "--json"]);
    let found = json(&out);
    assert_eq!(status, Some(1));
    assert_eq!(found["diagnostics"][0]["code"], "unknown-capability");
    assert_eq!(found["diagnostics"][0]["labels"][0]["line"], 4);
}

/// An expectation that fails is an error of `check`, with its place in the test file.
#[test]
fn test_reject_a_policy_that_its_tests_refuse() {
    let wrong = "[[expect]]\nsubject = \"logd\"\nallow = [\"ipc.core\", \"log.raed\"]\n\
        deny = [\"log.read\"]\n";
    let tree = tree("refused", BASE, wrong);
    for command in ["check", "test"] {
        let (status, _, err) = policy(&tree, &[command]);
        assert_eq!(status, Some(1), "{command}: {err}");
        for text in [
            "POLICY/tests/base.toml:3:23",
            "did you mean `log.read`?",
            "POLICY/tests/base.toml:4:10",
            "expected not-permitted, decided allowed",
            "rule 2 decided, at POLICY/base.toml:4:22",
        ] {
            assert!(err.contains(text), "{command}: {text} in\n{err}");
        }
    }
    let (status, out, _) = policy(&tree, &["check", "--json"]);
    let found = json(&out);
    assert_eq!((status, found["errors"].as_u64()), (Some(1), Some(2)));
    assert_eq!(found["diagnostics"][1]["labels"][0]["file"], "POLICY/tests/base.toml");
}

/// What is not there is wrong usage, in one sentence.
#[test]
fn test_reject_what_is_not_there() {
    for (args, says) in [
        (&["check", "--dir", "no/such"][..], "no/such: no such directory"),
        (&["test", "--dir", "no/such"], "no/such: no such directory"),
        (&["inspect", "no.blob"], "no.blob: no such file"),
        (&["sign", "no.blob"], "no.blob: no such file"),
        (&["replay", "no.jsonl"], "no.jsonl: No such file"),
        (&["explain", "lgod", "ipc.core"], ""),
    ] {
        let output = nx(&[&["policy"], args].concat());
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {err}");
        assert!(err.contains(says) && err.lines().count() <= 1, "{args:?}: {err}");
    }
    let output = nx(&["policy", "inspect", "README.md"]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("nor a compiled policy"), "{err}");
}

/// A file that is named is written where the person stands, and a draft never over another.
#[test]
fn output_goes_where_it_was_asked_for() {
    let tree = tree("output", BASE, TESTS);
    let here = tree.0.join("deep");
    fs::create_dir_all(&here).expect("a directory");
    let recipes = tree.0.join("recipes");
    fs::create_dir_all(&recipes).expect("a directory");
    for name in ["system.toml", "system.lock"] {
        fs::copy(root().join("recipes").join(name), recipes.join(name)).expect("recipes");
    }
    let audit = root().join("tools/nx/tests/policy/fixture/audit.jsonl").display().to_string();
    let run = |args: &[&str]| {
        let all = [&["policy", "--dir", ".."], args].concat();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nx"));
        let output = command.current_dir(&here).args(all).output().expect("nx runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for (args, file) in [
        (&["build", "-o", "p/x.blob"][..], "p/x.blob"),
        (&["sign", "p/x.blob", "-o", "signed.blob", "--key", "seed"], "signed.blob"),
        (&["matrix", "--html", "m.html"], "m.html"),
        (&["schema", "-o", "s"], "s/policy-rules.json"),
        (&["draft", &audit, "-o", "d.toml"], "d.toml"),
    ] {
        fs::write(here.join("seed"), "ab".repeat(32)).expect("a file");
        let (status, out, err) = run(args);
        assert_eq!(status, Some(0), "{args:?}: {err}");
        assert!(here.join(file).exists() && out.contains(file), "{args:?}: {out}");
    }
    let before = fs::read(here.join("d.toml")).expect("the draft");
    let (status, _, err) = run(&["draft", &audit, "-o", "d.toml"]);
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("d.toml exists"), "{err}");
    assert_eq!(fs::read(here.join("d.toml")).expect("the draft"), before);
}

#[test]
fn test_and_build_speak_json_too() {
    let wrong = tree("wrong", BASE, &TESTS.replace("allow", "deny"));
    let (status, _, err) = policy(&wrong, &["test"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("expected not-permitted, decided allowed"), "{err}");
    let sound = tree("build", BASE, TESTS);
    let (status, out, _) = policy(&sound, &["test", "--json"]);
    assert_eq!((status, json(&out)["asked"].as_u64()), (Some(0), Some(2)));
    let blob = sound.0.join("out.blob");
    let (status, out, err) =
        policy(&sound, &["build", "--json", "-o", &blob.display().to_string()]);
    assert_eq!(status, Some(0), "{err}");
    let bytes = fs::read(&blob).expect("the blob").len();
    assert_eq!(json(&out)["bytes"].as_u64(), Some(bytes as u64));
    assert!(blob.with_extension("rules.json").exists());
}

#[test]
fn fmt_lays_out_checks_and_keeps_comments() {
    let ugly = "schema=2 # two\n[allow]\n# who\nlogd=[ \"ipc.core\",\"log.read\" ]\n";
    let tree = tree("fmt", ugly, TESTS);
    let (status, out, _) = policy(&tree, &["fmt", "--check"]);
    assert_eq!((status, out.as_str()), (Some(1), "would change POLICY/base.toml\n"));
    assert_eq!(fs::read_to_string(tree.0.join("base.toml")).expect("a file"), ugly);
    let (status, out, _) = policy(&tree, &["fmt", "--json"]);
    assert_eq!((status, json(&out)["written"].as_bool()), (Some(0), Some(true)));
    let text = fs::read_to_string(tree.0.join("base.toml")).expect("a file");
    let pretty = "schema = 2  # two\n\n[allow]\n# who\nlogd = [\"ipc.core\", \"log.read\"]\n";
    assert_eq!(text, pretty);
    assert_eq!(policy(&tree, &["fmt", "--check"]).0, Some(0));
    fs::write(tree.0.join("base.toml"), "[allow\n").expect("a file");
    fs::write(tree.0.join("more.toml"), ugly).expect("a file");
    fs::write(tree.0.join("tests/base.toml"), "expect\n").expect("a file");
    let (status, out, err) = policy(&tree, &["fmt"]);
    assert_eq!((status, out.as_str()), (Some(1), "formatted POLICY/more.toml\n"));
    for file in ["POLICY/base.toml", "POLICY/tests/base.toml"] {
        assert!(err.contains(&format!("error: {file}: ")), "every broken file is named: {err}");
    }
    assert_eq!(policy(&tree, &["fmt", "no/such.toml"]).0, Some(2));
    assert_eq!(policy(&tree, &["fmt", &tree.0.display().to_string()]).0, Some(1));
}

/// What people copy from is laid out as the tool lays it out.
#[test]
fn the_recipes_of_this_tree_are_laid_out() {
    for dir in ["recipes/policy", "recipes/policy-reload-test", "tools/nx/tests/policy/fixture"] {
        let output = nx(&["policy", "fmt", "--check", dir]);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((output.status.code(), out.as_str()), (Some(0), ""), "`nx policy fmt {dir}`");
    }
}

#[test]
fn schema_is_written_while_the_rules_are_broken() {
    let tree = tree("schema", "[allow\n", TESTS);
    let (status, out, err) = policy(&tree, &["schema", "rules"]);
    assert_eq!(status, Some(0), "{err}");
    let names = &json(&out)["definitions"]["capability"]["anyOf"];
    assert_eq!(names[0]["const"], "ipc.core");
    let (status, out, _) =
        policy(&tree, &["schema", "--json", "-o", &tree.0.display().to_string()]);
    assert_eq!((status, json(&out)["written"].as_array().map(Vec::len)), (Some(0), Some(3)));
}

/// What docs/policy.md shows of the language is accepted with the registry of this tree.
#[test]
fn the_language_in_the_documentation_builds() {
    let page = fs::read_to_string(root().join("docs/policy.md")).expect("the page");
    let (_, rest) = page.split_once("## The language").expect("a section");
    let (_, rest) = rest.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let tree = tree("documented", example, TESTS);
    fs::remove_dir_all(tree.0.join("tests")).expect("no tests of it");
    let registry = root().join("recipes/policy/capabilities.toml");
    fs::copy(registry, tree.0.join("capabilities.toml")).expect("the registry");
    let (status, out, err) = policy(&tree, &["check"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.starts_with("policy version 3: 11 rules, "), "{out}");
}

/// `build` signs nothing, and says so; what nobody signed is refused as policyd refuses it.
#[test]
fn test_reject_a_built_policy_until_it_is_signed() {
    let tree = tree("unsigned", BASE, TESTS);
    let blob = tree.0.join("out.blob").display().to_string();
    let (status, out, err) = policy(&tree, &["build", "-o", &blob]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("unsigned"), "{out}");
    let inspect = || policy(&tree, &["inspect", &blob, "--json"]);
    let (status, out, _) = inspect();
    assert_eq!((status, json(&out)["signature"].as_str()), (Some(1), Some("unsigned")));
    let (status, out, _) = policy(&tree, &["inspect", &blob]);
    assert_eq!(status, Some(1));
    assert!(out.contains("policyd refuses this blob"), "{out}");
    let (status, out, _) = policy(&tree, &["sign", &blob, "--json"]);
    assert_eq!((status, json(&out)["signed"].as_str()), (Some(0), Some("POLICY/out.blob")));
    let (status, out, err) = policy(&tree, &["sign", &blob]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("INSECURE") && err.contains("INSECURE"), "{out}{err}");
    let (status, out, _) = inspect();
    let trusted = Some("trusted-insecure");
    assert_eq!((status, json(&out)["signature"].as_str()), (Some(0), trusted));
}

#[test]
fn completions_know_the_commands() {
    for (shell, sign) in [
        ("bash", "complete -F _nx"),
        ("zsh", "#compdef nx"),
        ("fish", "complete -c nx "),
        ("elvish", "set edit:completion:arg-completer[nx]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = nx(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains(sign), "{shell}");
        for word in ["policy", "explain", "schema"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(nx(&["completions", "cmd"]).status.code(), Some(2));
}

/// The script as bash uses it: what is offered behind the words typed so far.
#[test]
fn bash_completes_commands_and_options() {
    let offered = |typed: &str| {
        let script = format!(
            "source <(\"$0\" completions bash)\nCOMP_WORDS=(nx {typed})\n\
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _nx nx \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             echo \"${{COMPREPLY[@]}}\"\n"
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &script, env!("CARGO_BIN_EXE_nx")])
            .output()
            .expect("bash runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(offered("pol"), "policy");
    assert_eq!(offered("policy exp"), "explain");
    assert_eq!(offered("policy matrix --ht"), "--html");
}

#[test]
fn every_command_has_help_that_names_its_exit_status_or_inherits_it() {
    let output = nx(&["policy", "--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(help.contains("Exit status"), "{help}");
    for command in ["check", "build", "explain", "test", "schema", "fmt"] {
        assert!(help.contains(&format!("\n  {command}")), "{command} in\n{help}");
        assert!(nx(&["policy", command, "--help"]).status.success(), "{command}");
    }
}

/// A reader that goes away ends the output, not with a panic.
#[test]
fn test_reject_panic_on_a_broken_pipe() {
    for args in [&["policy", "schema", "rules"][..], &["completions", "bash"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nx"))
            .current_dir(root())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nx runs");
        drop(child.stdout.take());
        let mut err = String::new();
        let pipe = child.stderr.as_mut().expect("a pipe");
        pipe.read_to_string(&mut err).expect("text");
        child.wait().expect("an end");
        assert_eq!(err, "", "{args:?}");
    }
}
