//! `nx audit` as people use it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

mod fixture;

use std::{fs, path::Path, process::Command};

use fixture::{NASTY, by_hand, entries, export, key, nx, path, recorded, stdout, write};
use serde_json::Value;

/// Compares with a golden file; `NX_BLESS=1` writes it.
fn golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/golden").join(name);
    if std::env::var_os("NX_BLESS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, wanted, "{}: NX_BLESS=1 writes it", file.display());
}

/// What a command prints about the export written by hand, which becomes FILE in the text.
fn printed(words: &[&str], exit: i32) -> String {
    let file =
        write(&format!("{}.nxa", words.join("_").replace('/', "_")), &export(&by_hand(), false));
    let file = file.display().to_string();
    let words: Vec<&str> = words.iter().map(|w| if *w == "FILE" { &file } else { *w }).collect();
    let output = nx(&words);
    assert_eq!(output.status.code(), Some(exit), "{words:?}: {output:?}");
    stdout(&output).replace(&file, "FILE")
}

#[test]
fn query_prints_a_table() {
    golden("query.txt", &printed(&["query", "FILE"], 0));
    let denied = printed(&["query", "FILE", "--decision", "deny", "--cap", "*c*", "--json"], 0);
    golden("query-deny.jsonl", &denied);
    assert_eq!(printed(&["query", "FILE", "--subject", "controld-not", "--seq", "1"], 2), "");
    assert_eq!(printed(&["query", "FILE", "--seq", "900.."], 3), "");
}

#[test]
fn show_tells_it_in_words() {
    for seq in ["2", "4", "6", "8", "9", "11"] {
        golden(&format!("show-{seq}.txt"), &printed(&["show", seq, "FILE"], 0));
    }
    assert_eq!(printed(&["show", "99", "FILE"], 3), "");
}

#[test]
fn export_writes_what_others_read() {
    golden("export.cef", &printed(&["export", "FILE", "--format", "cef"], 0));
    golden(
        "export.ocsf",
        &printed(&["export", "FILE", "--format", "ocsf", "--boot-time", "1000"], 0),
    );
    let lines = printed(&["export", "FILE"], 0);
    assert!(lines.contains("\"object\":3"), "what an outcome was about");
    golden("export.jsonl", &lines);
    let again = write("again.jsonl", lines.as_bytes());
    let output = nx(&["export", &again.display().to_string()]);
    assert_eq!(stdout(&output), lines, "read back");
}

#[test]
fn test_reject_escapes_of_names() {
    for format in ["jsonl", "ocsf", "cef"] {
        let text = printed(&["export", "FILE", "--format", format], 0);
        assert_eq!(text.lines().count(), by_hand().len(), "{format}: a line each");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{format}");
    }
    let table = printed(&["query", "FILE"], 0);
    assert!(!table.contains(['\u{1b}', '\u{202e}']));
    let heads_and_summaries = 2;
    assert_eq!(table.lines().count(), by_hand().len() + heads_and_summaries);
    let json = printed(&["query", "FILE", "--json", "--seq", "11..14"], 0);
    let names = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let names: Vec<Value> = names.map(|value| value["capability"].clone()).collect();
    assert_eq!(names, NASTY);
}

#[test]
fn verify_says_what_is_proven() {
    golden("verify-unsigned.txt", &printed(&["verify", "FILE"], 3));
    let signed = write("signed.nxa", &export(&by_hand(), true)).display().to_string();
    let key = key().display().to_string();
    let with_key = nx(&["verify", &signed, "--key", &key]);
    assert_eq!(with_key.status.code(), Some(0));
    golden("verify-signed.txt", &stdout(&with_key).replace(&signed, "FILE"));
    let without = nx(&["verify", &signed]);
    assert_eq!(without.status.code(), Some(3));
    golden("verify-no-key.txt", &stdout(&without).replace(&signed, "FILE"));
    let other = "36452777209ac762b4c805bbdf2b1b1ca9b66348312b402bd3661d50078e1acb";
    let other = write("other.pub", other.as_bytes()).display().to_string();
    let forged = nx(&["verify", &signed, "--key", &other]);
    assert_eq!(forged.status.code(), Some(1));
    golden("verify-other-key.txt", &stdout(&forged).replace(&signed, "FILE"));
}

/// Exit status and first wrong record.
fn judged(name: &str, entries: &[Vec<u8>]) -> (Option<i32>, Option<u64>) {
    let file = write(name, &entries.concat()).display().to_string();
    let output = nx(&["verify", &file, "--json"]);
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    (output.status.code(), value["first_wrong"].as_u64())
}

#[test]
fn test_reject_tampering_at_every_record() {
    let whole = entries(&export(&by_hand(), false));
    assert_eq!(judged("t.nxa", &whole).0, Some(3));
    let is_record = |entry: &&[u8]| entry.len() == 8 + 32 + 128;
    let records: Vec<usize> =
        (0..whole.len()).filter(|at| is_record(&whole[*at].as_slice())).collect();
    assert_eq!(records.len(), by_hand().len());
    for (seq, at) in (1..).zip(records.iter().copied()) {
        let changed = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut entries = whole.clone();
            change(&mut entries);
            judged("t.nxa", &entries)
        };
        assert_eq!(changed(&|all| all[at][60] ^= 1), (Some(1), Some(seq)), "flip in {seq}");
        assert_eq!(changed(&|all| drop(all.remove(at))).0, Some(1), "{seq} taken out");
        let twice = changed(&|all| all.insert(at, all[at].clone()));
        assert_eq!(twice, (Some(1), Some(seq + 1)), "{seq} twice");
        assert_eq!(changed(&|all| all.truncate(at)).0, Some(1), "cut before {seq}");
        if records.contains(&(at + 1)) {
            assert_eq!(changed(&|all| all.swap(at, at + 1)), (Some(1), Some(seq)), "swap {seq}");
        }
    }
    let end = whole.len() - 1;
    assert_eq!(judged("t.nxa", &whole[..end]).0, Some(1), "no end");
}

#[test]
fn test_reject_what_is_no_export() {
    for (name, bytes) in [("empty", &b""[..]), ("text", b"hello"), ("binary", &[0xff; 64])] {
        let file = write(name, bytes).display().to_string();
        for words in [["query", &file], ["verify", &file]] {
            let output = nx(&words);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("neither"), "{output:?}");
        }
    }
    assert_eq!(nx(&["query", "no/such/file"]).status.code(), Some(1));
}

#[test]
fn what_the_daemons_record_is_proven_and_its_rules_are_found() {
    let file = write("recorded.nxa", &recorded()).display().to_string();
    let verdict = nx(&["verify", &file, "--json"]);
    let value: Value = serde_json::from_str(&stdout(&verdict)).unwrap();
    assert_eq!(verdict.status.code(), Some(3), "unsigned: {value}");
    assert_eq!((&value["verdict"], &value["signatures"]), (&"intact".into(), &"unsigned".into()));
    assert_eq!(value["proven_to"], value["last_seq"]);

    let lines = stdout(&nx(&["query", &file, "--subject", "selftest-client", "--json"]));
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records: Vec<Value> = records.collect();
    for name in NASTY {
        assert!(records.iter().any(|record| record["capability"] == name), "{name}");
    }
    let ruled = |record: &&Value| record["capability"] == "ipc.core" && !record["rule"].is_null();
    let ruled = records.iter().find(ruled).unwrap();
    let text = stdout(&nx(&["show", &ruled["seq"].to_string(), &file]));
    assert!(text.contains(".toml:"), "{text}");
    let mut explain = Command::new(env!("CARGO_BIN_EXE_nx"));
    explain.args(["policy", "explain", "--json", "--record", &ruled.to_string()]);
    let explained: Value = serde_json::from_str(&stdout(&explain.output().unwrap())).unwrap();
    assert_eq!(explained["matches"], true, "a record alone names its policy: {explained}");

    let page = path("recorded.html");
    let output = nx(&["report", &file, "--html", &page.display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(page).unwrap();
    assert!(!page.contains("</script><img"), "names stay data");
}

/// From what a daemon recorded, as logd exported it, to the line of the policy that decided.
#[test]
fn a_recorded_decision_leads_to_its_rule() {
    let file = write("explained.nxa", &recorded()).display().to_string();
    let found = nx(&["query", &file, "--op", "route", "--decision", "allow", "--json"]);
    let line = stdout(&found).lines().next().expect("an allowed route").to_owned();
    let (_, seq) = line.split_once("\"seq\":").expect("a number");
    let seq = seq.split(',').next().expect("its end");
    let explain = |place: &str| {
        let mut nx = Command::new(env!("CARGO_BIN_EXE_nx"));
        nx.args(["policy", "explain", "--record", place]).output().expect("nx runs")
    };
    let done = explain(&format!("{file}#{seq}"));
    let text = stdout(&done);
    assert_eq!(done.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.starts_with("ALLOW  ") && text.contains(": working tree\n"), "{text}");
    assert!(text.contains(" granted  recipes/policy/base.toml:"), "{text}");

    // The export written by hand names a policy that never was.
    let file = write("foreign.nxa", &export(&by_hand(), false)).display().to_string();
    let done = explain(&format!("{file}#1"));
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{error}");
    assert!(error.contains("no policy with digest 12345678"), "{error}");
}
