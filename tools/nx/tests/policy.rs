//! `nx policy` as people call it: every output against a golden file. `GOLDEN_BLESS=1` writes them.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A workspace of its own: the services of this tree, the policy of the fixture.
struct Workspace {
    root: PathBuf,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(path)
}

impl Workspace {
    fn new(name: &str) -> Workspace {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nx-policy").join(name);
        let _ = fs::remove_dir_all(&root);
        let policy = root.join("recipes/policy");
        fs::create_dir_all(&policy).expect("temporary directory");
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        for name in ["system.toml", "system.lock"] {
            fs::copy(recipes.join(name), root.join("recipes").join(name)).expect("recipes");
        }
        for name in ["base.toml", "capabilities.toml"] {
            fs::copy(here("fixture").join(name), policy.join(name)).expect("fixture");
        }
        fs::copy(here("fixture/audit.jsonl"), root.join("audit.jsonl")).expect("fixture");
        Workspace { root }
    }

    /// Changes a file of the policy.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join("recipes/policy").join(file);
        let text = fs::read_to_string(&path).expect("file of the policy");
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).expect("writable");
    }

    fn git(&self, args: &[&str]) {
        let identity =
            ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"];
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.root).args(identity).args(args);
        let done = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "policy"]);
    }

    fn nx(&self, args: &[&str]) -> Output {
        let mut nx = Command::new(env!("CARGO_BIN_EXE_nx"));
        nx.current_dir(&self.root).args(args).output().expect("nx runs")
    }

    /// Runs a command and compares status, output and errors with the golden file.
    fn golden(&self, name: &str, args: &[&str]) {
        let done = self.nx(args);
        let status = done.status.code().expect("ended by itself");
        let text = format!(
            "$ nx {}\n{}{}[exit {status}]\n",
            args.join(" "),
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        let text = without_commits(&text);
        let path = here("golden").join(format!("{name}.txt"));
        if std::env::var_os("GOLDEN_BLESS").is_some() {
            fs::write(&path, &text).expect("golden file");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}: GOLDEN_BLESS=1 writes it", path.display());
    }
}

/// Digests hang on the compiled form and commits on the clock: neither is what is tested.
fn without_commits(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            word.push(c);
            continue;
        }
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let commit = out.ends_with('(') || (digits > 0 && digits < word.len());
        let long = word.len() >= 10 && commit && !out.ends_with("0x");
        out.push_str(if long { "<hash>" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

#[test]
fn help() {
    let workspace = Workspace::new("help");
    workspace.golden("help", &["policy", "--help"]);
    for command in [
        "check", "build", "explain", "test", "sign", "inspect", "diff", "replay", "draft",
        "matrix", "schema", "fmt",
    ] {
        workspace.golden(&format!("help-{command}"), &["policy", command, "--help"]);
        let text = fs::read_to_string(here("golden").join(format!("help-{command}.txt")));
        let text = text.expect("golden file");
        assert!(text.contains("\nExamples:\n"), "{command} teaches by an example");
        assert!(text.contains("Exit status: "), "{command} says how it ends");
    }
}

#[test]
fn diff_of_an_untouched_tree() {
    let workspace = Workspace::new("diff");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    workspace.golden("diff-unchanged", &["policy", "diff"]);
}

/// The directory of a commit is the same one, wherever a person stands and however they name it.
#[test]
fn diff_from_within_the_policy() {
    let workspace = Workspace::new("diff-within");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    let here = workspace.root.join("recipes/policy");
    let whole = here.display().to_string();
    for dir in [".", "../policy", &whole] {
        let mut nx = Command::new(env!("CARGO_BIN_EXE_nx"));
        let done = nx.current_dir(&here).args(["policy", "diff", "--dir", dir]).output();
        let done = done.expect("nx runs");
        assert!(done.status.success(), "{dir}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn diff_classifies() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "text-only",
            &[
                ("[groups]", "# a comment\n[groups]"),
                (
                    "logd = [\"policy.delegate\", \"fs.read\"]",
                    "logd = [\"fs.read\", \"policy.delegate\"]",
                ),
            ],
        ),
        ("narrower", &[("  \"audit.read\",\n", "")]),
        ("wider", &[("logd = [", "logd = [\"audit.read\", ")]),
        ("both", &[("  \"audit.read\",\n", ""), ("logd = [", "logd = [\"audit.read\", ")]),
        ("gate-opened", &[("unless = \"locked\"\n", "")]),
        (
            "gate-swapped",
            &[(
                "when = \"bring-up\"\nunless = \"locked\"",
                "when = \"locked\"\nunless = \"bring-up\"",
            )],
        ),
        ("limit-raised", &[("count = 2", "count = 5")]),
        (
            "limit-gone",
            &[(
                "{ capability = \"log.read\", limit = { count = 2, per = \"1s\" } }",
                "\"log.read\"",
            )],
        ),
        ("expiry-moved", &[("2027-01-01", "2026-06-01")]),
        ("deny-removed", &[("[deny]\nselftest-client = [\"fs.verify\"]", "")]),
        ("group-member-left", &[(", \"selftest-peer\"]", "]")]),
    ];
    let workspace = Workspace::new("classify");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    let path = workspace.root.join("recipes/policy/base.toml");
    let before = fs::read_to_string(&path).expect("file");
    for (name, edits) in cases {
        for (from, to) in *edits {
            workspace.edit("base.toml", from, to);
        }
        workspace.golden(&format!("diff-{name}"), &["policy", "diff", "HEAD"]);
        fs::write(&path, &before).expect("writable");
    }
    workspace.edit("capabilities.toml", "audit = \"required\"\n", "");
    workspace.golden("diff-audit-dropped", &["policy", "diff", "HEAD"]);
}

#[test]
fn diff_reads_what_it_is_given() {
    let workspace = Workspace::new("sides");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    workspace.edit("base.toml", "logd = [", "logd = [\"audit.read\", ");
    workspace.commit();
    let dir = workspace.root.join("recipes/policy");
    let status = |args: &[&str]| {
        let done = workspace.nx(&[&["policy", "diff"], args].concat());
        done.status.code().expect("ended by itself")
    };
    assert_eq!(status(&["HEAD~1..HEAD"]), 4);
    assert_eq!(status(&["HEAD..HEAD~1"]), 3);
    assert_eq!(status(&["HEAD~1...HEAD"]), 4);
    assert_eq!(status(&["HEAD~1.."]), 4);
    assert_eq!(status(&["HEAD~1", "recipes/policy"]), 4);
    assert_eq!(status(&["HEAD"]), 0);
    assert_eq!(status(&["recipes/policy/base.toml", "HEAD"]), 0);
    assert_eq!(status(&["HEAD~1..HEAD", "--subject", "logd"]), 4);
    assert_eq!(status(&["HEAD~1..HEAD", "--subject", "l*d"]), 4);
    assert_eq!(status(&["HEAD~1..HEAD", "--subject", "selftest-*"]), 0);
    assert_eq!(status(&["HEAD~1..HEAD", "--subject", "no*"]), 2);
    assert_eq!(status(&["HEAD~1..HEAD", "--subject", "selftest-peer"]), 0);
    let built = workspace.nx(&["policy", "build", "-o", "p.blob"]);
    assert!(built.status.success());
    assert_eq!(status(&["p.blob", "HEAD"]), 0, "a blob is a policy too");
    assert_eq!(status(&["HEAD~1", "p.blob"]), 4);
    workspace.golden("diff-no-such-revision", &["policy", "diff", "HEDA..HEAD"]);
    workspace.golden("diff-no-such-subject", &["policy", "diff", "HEAD", "--subject", "lgod"]);
    workspace.golden("diff-json", &["policy", "diff", "HEAD~1..HEAD", "--json"]);
    fs::write(dir.join("base.toml"), "schema = 2\n[allow]\nlogd = [\"fs.raed\"]\n")
        .expect("writable");
    workspace.golden("diff-faulty", &["policy", "diff"]);
    assert_eq!(status(&["HEAD~1..HEAD"]), 4, "the working tree is not asked");
}

#[test]
fn explain() {
    let workspace = Workspace::new("explain");
    for (name, args) in [
        ("allowed", &["selftest-client", "audit.read"][..]),
        ("denied-by-rule", &["selftest-client", "fs.verify"]),
        ("target", &["logd", "fs", "--target", "read"]),
        ("gate-closed", &["selftest-client", "proc.spawn"]),
        ("gate-open", &["selftest-client", "proc.spawn", "--fact", "bring-up"]),
        ("unknown-fact", &["selftest-client", "proc.spawn", "--fact", "bringup"]),
        ("not-permitted", &["selftest-peer", "log.read"]),
        ("gate-closed-by", &["20", "proc.spawn", "--fact", "bring-up", "--fact", "locked"]),
        ("limit", &["selftest-client", "log.read"]),
        ("limit-json", &["selftest-client", "log.read", "--json"]),
        ("no-time", &["selftest-client", "clock.set"]),
        ("in-time", &["selftest-client", "clock.set", "--at", "2026-12-31T23:59:59Z"]),
        ("expired", &["selftest-client", "clock.set", "--at", "1798761600"]),
        ("bad-time", &["selftest-client", "clock.set", "--at", "tomorrow"]),
        ("unknown-subject", &["selftest-clien", "fs.read"]),
        ("unknown-capability", &["selftest-client", "fs.raed"]),
        ("unknown-id", &["0x3e7", "fs.read"]),
        ("group", &["tests", "fs.read"]),
        ("glob", &["selftest-*", "fs.read"]),
        ("bundle", &["bundle", "fs.read"]),
        ("record-other-policy", &["--record", "audit.jsonl#1"]),
        ("record-rule", &["--record", "9"]),
        ("record-wrong-digest", &["--record", "0123abcd:9"]),
        ("record-short-digest", &["--record", "01:9"]),
        ("record-no-rule", &["--record", "99"]),
        ("record-nonsense", &["--record", "why?"]),
        (
            "record-text",
            &[
                "--record",
                "[2] audit v1 op=exec decision=deny subject=0x0000000000000014 \
              target=0x0000000000000000 reason=gate cap=proc.spawn enforcer=0x0000000000000001 \
              rule=7 seq=5 time_ns=3500000000 boot=0x0000000000000001",
            ],
        ),
        ("nothing", &[]),
    ] {
        let args = [&["policy", "explain"], args].concat();
        workspace.golden(&format!("explain-{name}"), &args);
    }
}

#[test]
fn explain_finds_the_policy_of_a_record_in_history() {
    let workspace = Workspace::new("history");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    let digest = digest(&workspace);
    workspace.edit("base.toml", "[allow]\n", "[allow]\nselftest-peer = [\"log.read\"]\n");
    workspace.commit();
    assert_ne!(digest, self::digest(&workspace));
    let asked = format!("{}:4", digest.get(..12).expect("a digest"));
    let done = workspace.nx(&["policy", "explain", "--record", &asked]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("tests fs.*"), "{text}");
}

/// Everything from a saved log alone: the number of the record is all that is typed.
#[test]
fn explain_a_kept_record() {
    let workspace = Workspace::new("kept");
    workspace.git(&["init", "-q"]);
    workspace.commit();
    let tag = digest(&workspace).get(..8).expect("a digest").to_owned();
    let record = |seq: u32, boot: u32, policy: &str| {
        format!(
            "{{\"seq\":{seq},\"boot\":\"{boot:#x}\",\"policy\":\"{policy}\",\"time_ns\":1500000000,\
             \"op\":\"check_cap\",\"decision\":\"allow\",\"reason\":\"policy\",\"subject\":\"0x14\",\
             \"target\":null,\"capability\":\"audit.read\",\"rule\":4}}\n"
        )
    };
    let log =
        [record(7, 1, &tag), record(8, 1, "00c0ffee"), record(9, 1, &tag), record(9, 2, &tag)];
    fs::write(workspace.root.join("log.jsonl"), log.concat()).expect("writable");
    // The rule has another number and another line by now.
    let grant = "[allow]\nselftest-peer = [\"log.read\"]\n";
    workspace.edit("base.toml", "[allow]\n", grant);
    workspace.commit();
    for (name, which) in [
        ("kept", "log.jsonl#7"),
        ("kept-boot", "log.jsonl#0x2:9"),
        ("kept-other-policy", "log.jsonl#8"),
        ("kept-several", "log.jsonl#9"),
        ("kept-none", "log.jsonl#12"),
        ("kept-nonsense", "log.jsonl#twelve"),
        ("kept-no-file", "lgo.jsonl#7"),
    ] {
        workspace.golden(&format!("explain-{name}"), &["policy", "explain", "--record", which]);
    }
    let json = ["policy", "explain", "--record", "log.jsonl#8", "--json"];
    workspace.golden("explain-kept-other-policy-json", &json);
}

fn digest(workspace: &Workspace) -> String {
    let done = workspace.nx(&["policy", "check", "--json"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let (_, rest) = text.split_once("\"digest\":\"").expect("a digest");
    rest.split('"').next().expect("its end").to_owned()
}

#[test]
fn replay() {
    let workspace = Workspace::new("replay");
    let draft = workspace.root.join("draft");
    fs::create_dir(&draft).expect("directory");
    for name in ["base.toml", "capabilities.toml"] {
        fs::copy(workspace.root.join("recipes/policy").join(name), draft.join(name)).expect("copy");
    }
    workspace.golden("replay-same", &["policy", "replay", "audit.jsonl"]);
    let path = draft.join("base.toml");
    let text = fs::read_to_string(&path).expect("file");
    let text = text.replace("  \"audit.read\",\n", "");
    fs::write(&path, &text).expect("writable");
    workspace.golden("replay-narrower", &["policy", "replay", "audit.jsonl", "--against", "draft"]);
    let text = text.replace("tests = [\"fs.*\"]", "tests = [\"fs.*\", \"log.read\"]");
    fs::write(&path, &text).expect("writable");
    workspace.golden("replay-wider", &["policy", "replay", "audit.jsonl", "--against", "draft"]);
    workspace.golden(
        "replay-json",
        &["policy", "replay", "audit.jsonl", "--against", "draft", "--json"],
    );
    let allowed = "audit v1 op=exec decision=allow subject=0x14 target=0x0 reason=policy \
        cap=proc.spawn rule=7 seq=1 time_ns=1 boot=0x1\n";
    fs::write(workspace.root.join("gated.txt"), allowed).expect("writable");
    workspace.golden("replay-depends", &["policy", "replay", "gated.txt"]);
    workspace.golden("replay-no-facts", &["policy", "replay", "gated.txt", "--no-facts"]);
    workspace.golden("replay-fact", &["policy", "replay", "gated.txt", "--fact", "bring-up"]);
    // Granted only where one fact holds and another is not missing: a set that no rule names.
    let text = text
        .replace("unless = \"locked\"\n", "")
        .replace("[groups]", "[gates.open]\nunless = \"locked\"\nmeaning = \"m\"\n[groups]")
        .replace("[deny]\nselftest-client = [", "[deny]\nselftest-client = [{ capability = \"proc.spawn\", when = \"open\" }, { capability = \"proc.spawn\", when = \"noon\" }, ")
        .replace("[facts.locked]", "[facts.noon]\nowner = \"logd\"\nmeaning = \"m\"\n[facts.locked]")
        .replace("[gates.open]", "[gates.noon]\nwhen = \"noon\"\nmeaning = \"m\"\n[gates.open]");
    fs::write(&path, text).expect("writable");
    let done = workspace.nx(&["policy", "replay", "gated.txt", "--against", "draft"]);
    assert_eq!(done.status.code(), Some(5), "{}", String::from_utf8_lossy(&done.stdout));
    let limited = "audit v1 op=check_cap decision=allow subject=0x14 target=0x0 reason=policy \
        cap=log.read rule=6 seq=SEQ time_ns=SEQ boot=0x1\n";
    let burst: String = (1..=3).map(|seq| limited.replace("SEQ", &seq.to_string())).collect();
    fs::write(workspace.root.join("limited.txt"), burst).expect("writable");
    workspace.golden("replay-limit", &["policy", "replay", "limited.txt"]);
    fs::write(workspace.root.join("empty.txt"), "no records\n").expect("writable");
    workspace.golden("replay-empty", &["policy", "replay", "empty.txt"]);
    fs::write(workspace.root.join("bad.jsonl"), "{\"op\":\n").expect("writable");
    workspace.golden("replay-bad", &["policy", "replay", "bad.jsonl"]);
    workspace.golden("replay-missing", &["policy", "replay", "nowhere.jsonl"]);
}

#[test]
fn draft_is_exactly_what_was_seen_and_stays_marked() {
    let workspace = Workspace::new("draft");
    workspace.golden("draft", &["policy", "draft", "audit.jsonl"]);
    workspace.golden("draft-json", &["policy", "draft", "audit.jsonl", "--json"]);
    let output = "recipes/policy/draft.toml";
    workspace.golden("draft-output", &["policy", "draft", "audit.jsonl", "-o", output]);
    let done = workspace.nx(&["policy", "check", "--deny-warnings"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("unreviewed-rule"), "{said}");
    assert!(said.contains("recipes/policy/draft.toml:10:"), "{said}");
    workspace.golden("draft-matrix", &["policy", "matrix", "--subject", "selftest-peer"]);
    let text = fs::read_to_string(workspace.root.join(output)).expect("the draft");
    fs::write(workspace.root.join(output), text.replace("nx:unreviewed", "reviewed"))
        .expect("writable");
    let done = workspace.nx(&["policy", "check", "--deny-warnings"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn matrix() {
    let workspace = Workspace::new("matrix");
    workspace.golden("matrix", &["policy", "matrix"]);
    workspace
        .golden("matrix-filtered", &["policy", "matrix", "--cap", "fs.*", "--subject", "*log*"]);
    workspace.golden("matrix-none", &["policy", "matrix", "--cap", "nothing.*"]);
    let json = ["policy", "matrix", "--cap", "proc.*", "--subject", "selftest-*", "--json"];
    workspace.golden("matrix-json", &json);
    let page = || workspace.nx(&["policy", "matrix", "--html", "-"]).stdout;
    let (once, again) = (page(), page());
    assert_eq!(once, again, "same policy, same bytes");
    let page = String::from_utf8_lossy(&once).into_owned();
    assert!(!page.contains("{{") && page.ends_with("</html>\n"), "the template is filled");
    assert!(page.contains("read &lt;all&gt; the &quot;audit&quot; records &amp; more"));
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page loads `{outside}`");
    }
    for cell in page.match_indices("href=\"#rule-") {
        let rest = page.get(cell.0 + "href=\"#".len()..).expect("in the page");
        let id = rest.split('"').next().expect("quoted");
        assert!(page.contains(&format!("id=\"{id}\"")), "{id} leads nowhere");
    }
}
