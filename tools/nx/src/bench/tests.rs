//! Parsing a report, holding it against a budget, blessing.
use super::budget::{Budget, Outcome, blessed, table};
use super::report::{Measurement, parse};
use super::*;

const LOG: &str = "[kernel] boot hart 0\r\n\
[30] BENCH-BEGIN\r\n\
[30] {\"name\": \"calibrate.empty\", \"instructions\": 1}\r\n\
[30] {\"name\": \"calibrate.nop10\", \"instructions\": 11}\r\n\
[2] policyd: ready\r\n\
[30] {\"name\":\"call.0\",\"instructions\":812},\r\n\
[30] {\"name\":\"null\",\"instructions\":140}\r\n\
[30] BENCH-END\r\n";

const BUDGET: &str = "# why\n\n[row.\"call.0\"]\ngate = 1000\ngoal = 500\nblessed = 812\nsel4 = \"347\"\n\n# trap\n[row.\"null\"]\ngate = 150\n";

fn m(name: &str, instructions: u64) -> Measurement {
    Measurement { name: name.to_owned(), instructions }
}

fn outcomes(rows: &[Measurement]) -> Vec<Outcome> {
    Budget::parse(BUDGET).unwrap().compare(rows).iter().map(|line| line.outcome).collect()
}

#[test]
fn test_parse_takes_rows_of_the_writer_only() {
    assert_eq!(parse(LOG), Ok(vec![m("call.0", 812), m("null", 140)]));
}

#[test]
fn test_reject_no_or_broken_block() {
    for log in [
        LOG.replace("BENCH-BEGIN", "BENCH"),
        LOG.replace("BENCH-END", "BENCH"),
        LOG.replace("[30] BENCH-END", "[31] BENCH-END"),
        LOG.replace("[30] BENCH-BEGIN", "BENCH-BEGIN"),
        format!("{LOG}{LOG}"),
    ] {
        assert_eq!(parse(&log), Err(BenchError::NoReport));
    }
}

#[test]
fn test_reject_calibration() {
    let off = LOG.replace("\"instructions\": 11", "\"instructions\": 12");
    let want = BenchError::NotCalibrated { name: "calibrate.nop10", want: 11, got: Some(12) };
    assert_eq!(parse(&off), Err(want));
    let without = LOG.replace("calibrate.empty", "other");
    let want = BenchError::NotCalibrated { name: "calibrate.empty", want: 1, got: None };
    assert_eq!(parse(&without), Err(want));
}

#[test]
fn test_reject_bad_and_double_rows() {
    for bad in ["{\"name\":\"x\"}", "{\"name\":\"x\",\"instructions\":-1}", "hello", "{"] {
        let log = LOG.replace("{\"name\":\"null\",\"instructions\":140}", bad);
        assert_eq!(parse(&log), Err(BenchError::BadRow(bad.to_owned())));
    }
    let twice = LOG.replace("\"null\"", "\"call.0\"");
    assert_eq!(parse(&twice), Err(BenchError::TwiceMeasured("call.0".to_owned())));
}

#[test]
fn test_compare_is_exact() {
    let call = |n| outcomes(&[m("call.0", n), m("null", 140)]);
    assert_eq!(call(812), [Outcome::Same, Outcome::New]);
    assert_eq!(call(811), [Outcome::Lower, Outcome::New]);
    assert_eq!(call(813), [Outcome::AboveBlessed, Outcome::New]);
    assert_eq!(call(1001), [Outcome::AboveGate, Outcome::New]);
}

#[test]
fn test_reject_rows_that_do_not_match_the_budget() {
    let got = outcomes(&[m("call.0", 812), m("extra", 1)]);
    assert_eq!(got, [Outcome::Same, Outcome::Unbudgeted, Outcome::Unmeasured]);
    assert!(got.iter().skip(1).all(|o| o.fails()));
    assert!(![Outcome::Same, Outcome::Lower, Outcome::New].iter().any(|o| o.fails()));
}

#[test]
fn test_bless_changes_only_blessed_lines() {
    let text = blessed(BUDGET, &[m("call.0", 700), m("null", 120)]);
    let want = BUDGET
        .replace("blessed = 812", "blessed = 700")
        .replace("gate = 150\n", "gate = 150\nblessed = 120\n");
    assert_eq!(text, want);
    let rows = [m("call.0", 700), m("null", 120)];
    let lines = Budget::parse(&text).unwrap().compare(&rows);
    assert!(lines.iter().all(|line| line.outcome == Outcome::Same));
}

#[test]
fn test_bless_inserts_between_rows_and_keeps_comments_in_place() {
    let text = "[row.\"a\"]\ngate = 9\n\n# about b\n[row.\"b\"]\ngate = 9\n";
    let want = "[row.\"a\"]\ngate = 9\nblessed = 1\n\n# about b\n[row.\"b\"]\ngate = 9\n";
    assert_eq!(blessed(text, &[m("a", 1)]), want);
}

#[test]
fn test_bless_adds_a_new_row() {
    let text = blessed(BUDGET, &[m("revoke", 5)]);
    assert!(text.starts_with(BUDGET));
    assert!(text.ends_with("\n[row.\"revoke\"]\nblessed = 5\n"));
}

#[test]
fn test_row_without_gate_is_held_by_its_blessed_value() {
    let budget = Budget::parse("[row.\"map\"]\nblessed = 10\n").unwrap();
    let outcome = |n| budget.compare(&[m("map", n)]).first().map(|line| line.outcome);
    assert_eq!(outcome(10), Some(Outcome::Same));
    assert_eq!(outcome(11), Some(Outcome::AboveBlessed));
}

#[test]
fn test_table_shows_anchor_and_outcome() {
    let lines = Budget::parse(BUDGET).unwrap().compare(&[m("call.0", 900), m("null", 1)]);
    let table = table(&lines);
    assert!(table.contains("347"), "{table}");
    assert!(table.contains("FAIL: above its blessed value"), "{table}");
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn test_budget_in_the_tree_parses() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bench/budget.toml");
    assert!(Budget::load(&path).is_ok());
}

#[test]
fn test_reject_budget_with_unknown_key() {
    assert!(Budget::parse("[row.\"a\"]\ngate = 1\nblest = 1\n").is_err());
    assert!(Budget::parse("[row.\"a\"]\ngate = -1\n").is_err());
}

#[test]
fn test_pinned_toolchain() {
    let pin = "[toolchain]\nchannel = \"1.95.0\"\n";
    assert!(is_pinned(pin, "rustc 1.95.0 (59807616e 2026-04-14)\n"));
    assert!(!is_pinned(pin, "rustc 1.96.0 (x 2026-05-01)\n"));
    assert!(!is_pinned(pin, "rustc 1.95.0 (x) (built from a source tarball)"));
    assert!(!is_pinned(pin, "") && !is_pinned("", "") && !is_pinned("", "rustc 1.95.0 (x)"));
}

#[test]
fn differences_are_judged_like_measured_rows() {
    let text = "[row.over]\ngate = 500\ndifference = [\"call.0\", \"null\"]\n";
    let budget = Budget::parse(text).unwrap();
    let over = |rows: &[Measurement]| {
        let lines = budget.compare(&budget.with_differences(rows.to_vec()));
        lines.into_iter().find(|line| line.name == "over").map(|l| (l.measured, l.outcome))
    };
    let at = |call| over(&[m("call.0", call), m("null", 140)]);
    assert_eq!(at(640), Some((Some(500), Outcome::New)));
    assert_eq!(at(641), Some((Some(501), Outcome::AboveGate)));
    assert_eq!(at(139), Some((None, Outcome::Unmeasured)), "the wrong way round");
    assert_eq!(over(&[m("call.0", 640)]), Some((None, Outcome::Unmeasured)));
}

#[test]
fn test_reject_rows_that_vary_above_their_gate_and_without_one() {
    let budget =
        |gate: &str| Budget::parse(&format!("[row.\"a\"]\nvaries = true\n{gate}")).unwrap();
    let rows = |instructions| vec![m("a", instructions)];
    let fails = |gate, n| budget(gate).compare(&rows(n)).iter().any(|line| line.outcome.fails());
    assert!(!fails("gate = 10", 10) && !fails("gate = 10", 3));
    assert!(fails("gate = 10", 11) && fails("", 1));
    let text = "[row.\"a\"]\ngate = 10\nvaries = true\n";
    assert_eq!(blessed(text, &rows(3)), text, "nothing is blessed");
}
