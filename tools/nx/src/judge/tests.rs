//! Each way a log can be wrong, and the ways it can be right.
use super::*;

fn marker(text: &str, origin: Origin, phase: usize) -> Marker {
    Marker { text: text.to_owned(), origin, phase, at_least: 1 }
}

/// Two phases of three, one repeated marker: enough to break every rule.
fn ladder() -> Ladder {
    Ladder {
        phases: ["bring-up", "policy", "end"].map(str::to_owned).to_vec(),
        markers: vec![
            marker("KSELFTEST: guard ok", Origin::Kernel, 0),
            Marker { at_least: 2, ..marker("policyd: ready", Origin::Service(2), 0) },
            marker("SELFTEST: allow ok", Origin::Service(20), 1),
            marker("SELFTEST: deny ok", Origin::Service(20), 1),
            marker("SELFTEST: end", Origin::Service(20), 2),
        ],
        elsewhere: vec!["KSELFTEST: boot hart ok".to_owned()],
    }
}

const GOOD: &str = "OpenSBI v1.1\r\n\
[kernel] boot hart 0\r\n\
[kernel] KSELFTEST: guard ok\r\n\
[2] policyd: ready\r\n\
[20] SELFTEST: allow ok\r\n\
[20] SELFTEST: deny ok\r\n\
[2] policyd: ready\r\n\
[20] SELFTEST: end\r\n";

fn faults(log: &str) -> Vec<Fault> {
    judge(log, &ladder(), Scope::All).faults
}

fn missing(phase: &str, marker: &str) -> Fault {
    Fault::Missing { phase: phase.to_owned(), marker: marker.to_owned() }
}

#[test]
fn test_good_log_passes() {
    let verdict = judge(GOOD, &ladder(), Scope::All);
    assert_eq!(verdict.faults, []);
    assert_eq!(verdict.required.len(), 5);
    assert_eq!(verdict.seen.len(), 6);
    assert_eq!(verdict.exit_code(Ending::Exit(0), &Scope::All), PASSED);
}

#[test]
fn test_reject_missing_marker_and_name_the_first() {
    let log = GOOD.replace("[20] SELFTEST: allow ok\r\n", "").replace("[20] SELFTEST: end", "");
    let verdict = judge(&log, &ladder(), Scope::All);
    assert_eq!(verdict.first_missing(), Some(("policy", "SELFTEST: allow ok")));
    assert_eq!(
        verdict.faults,
        [missing("policy", "SELFTEST: allow ok"), missing("end", "SELFTEST: end")]
    );
    assert_eq!(verdict.exit_code(Ending::Exit(0), &Scope::All), MARKER_FAILURE);
}

#[test]
fn test_reject_empty_log() {
    assert_eq!(faults("").len(), 5);
}

#[test]
fn test_reject_duplicate() {
    let log = GOOD.replace("SELFTEST: deny ok", "SELFTEST: deny ok\n[20] SELFTEST: deny ok");
    assert_eq!(faults(&log), [Fault::Duplicate { line: 7, marker: "SELFTEST: deny ok".into() }]);
}

#[test]
fn a_marker_that_repeats_may_come_more_often_than_stated() {
    let log = GOOD.replace("[20] SELFTEST: end", "[2] policyd: ready\n[20] SELFTEST: end");
    assert_eq!(faults(&log), []);
}

#[test]
fn test_reject_repeated_marker_less_often_than_stated() {
    let log = GOOD.replacen("[2] policyd: ready\r\n", "", 1);
    // The only one left comes in phase `policy`: late for its phase and once too few.
    assert!(faults(&log).contains(&missing("bring-up", "policyd: ready")));
}

#[test]
fn test_reject_wrong_emitter_and_do_not_count_it() {
    let log = GOOD.replace("[20] SELFTEST: allow ok", "[21] SELFTEST: allow ok");
    let wrong = Fault::WrongEmitter {
        line: 5,
        marker: "SELFTEST: allow ok".into(),
        want: Origin::Service(20),
        got: Some(Origin::Service(21)),
    };
    assert_eq!(faults(&log), [wrong, missing("policy", "SELFTEST: allow ok")]);
}

#[test]
fn test_reject_kernel_marker_from_a_process_and_the_reverse() {
    for (from, to) in [("[kernel] KSELF", "[20] KSELF"), ("[2] policyd", "[kernel] policyd")] {
        let found = faults(&GOOD.replace(from, to));
        assert!(matches!(found.first(), Some(Fault::WrongEmitter { .. })), "{found:?}");
    }
}

#[test]
fn test_reject_marker_without_origin_stamp() {
    for stamp in ["", "[020x] ", "[+20] ", "[ 20] ", "[20]"] {
        let log = GOOD.replace("[20] SELFTEST: end", &format!("{stamp}SELFTEST: end"));
        assert!(faults(&log).contains(&missing("end", "SELFTEST: end")), "{stamp:?}");
    }
}

#[test]
fn test_reject_unknown_marker() {
    for text in ["[20] SELFTEST: shiny ok", "[kernel] KSELFTEST: x", "SELFTEST: unstamped"] {
        let log = format!("{GOOD}{text}\n");
        assert_eq!(faults(&log), [Fault::Unknown { line: 9, text: text.to_owned() }]);
    }
}

#[test]
fn test_reject_marker_with_trailing_text() {
    let found = faults(&GOOD.replace("SELFTEST: end", "SELFTEST: end?"));
    assert_eq!(
        found,
        [
            Fault::Unknown { line: 8, text: "[20] SELFTEST: end?".into() },
            missing("end", "SELFTEST: end")
        ]
    );
}

#[test]
fn test_reject_marker_of_another_variant() {
    let log = format!("{GOOD}[kernel] KSELFTEST: boot hart ok\n");
    assert!(matches!(faults(&log).as_slice(), [Fault::Unknown { line: 9, .. }]));
}

#[test]
fn test_marker_text_inside_another_line_is_not_one() {
    let log = GOOD.replace("[20] SELFTEST: end", "[3] I read: SELFTEST: end");
    assert_eq!(faults(&log), [missing("end", "SELFTEST: end")]);
}

#[test]
fn test_reject_phase_order() {
    let log = GOOD
        .replace("[20] SELFTEST: allow ok\r\n", "")
        .replace("SELFTEST: end", "SELFTEST: end\n[20] SELFTEST: allow ok");
    let late = Fault::OutOfOrder {
        line: 8,
        marker: "SELFTEST: allow ok".into(),
        phase: "policy".into(),
        after: "end".into(),
    };
    assert_eq!(faults(&log), [late]);
}

#[test]
fn test_order_within_a_phase_is_free() {
    let log = GOOD
        .replace("allow ok", "swap ok")
        .replace("deny ok", "allow ok")
        .replace("swap ok", "deny ok");
    assert_eq!(faults(&log), []);
}

#[test]
fn test_reject_fail_and_panic_anywhere() {
    for text in ["[20] SELFTEST: allow FAIL", "[3] x FAIL: y", "[2] panic: a.rs:1", "panicked at"] {
        let log = format!("{GOOD}{text}\n");
        assert_eq!(faults(&log), [Fault::Forbidden { line: 9, text: text.to_owned() }]);
    }
}

#[test]
fn test_guest_status_beats_a_perfect_log() {
    let verdict = judge(GOOD, &ladder(), Scope::All);
    let code = |ending| verdict.exit_code(ending, &Scope::All);
    assert_eq!(code(Ending::Exit(1)), GUEST_FAILURE);
    assert_eq!(code(Ending::Exit(7)), GUEST_FAILURE);
    assert_eq!(code(Ending::Signal), GUEST_FAILURE);
    assert_eq!(code(Ending::TimedOut), TIMED_OUT);
    assert_eq!(code(Ending::Stopped), GUEST_FAILURE, "a whole run ends by the guest's own word");
}

#[test]
fn test_exit_codes_are_distinct() {
    let mut codes = [PASSED, MARKER_FAILURE, USAGE, GUEST_FAILURE, TIMED_OUT].to_vec();
    codes.dedup();
    assert_eq!(codes, [0, 1, 2, 3, 4]);
}

#[test]
fn test_phase_scope_stops_and_ignores_what_follows() {
    let scope = Scope::Phase(1);
    let log = GOOD.replace("SELFTEST: end", "SELFTEST: end FAIL");
    let verdict = judge(&log, &ladder(), scope.clone());
    assert_eq!(verdict.faults, []);
    assert_eq!(verdict.required, [0, 1, 2, 3]);
    assert_eq!(verdict.seen.last(), Some(&Seen { marker: 3, line: 6 }));
    assert_eq!(verdict.exit_code(Ending::Stopped, &scope), PASSED);
}

#[test]
fn test_phase_scope_rejects_missing_marker_of_an_earlier_phase() {
    let log = GOOD.replace("[kernel] KSELFTEST: guard ok\r\n", "");
    let verdict = judge(&log, &ladder(), Scope::Phase(1));
    assert_eq!(verdict.first_missing(), Some(("bring-up", "KSELFTEST: guard ok")));
}

#[test]
fn test_text_scope_stops_and_requires_no_gap() {
    let scope = || Scope::Text("deny ok".to_owned());
    assert_eq!(judge(GOOD, &ladder(), scope()).faults, []);
    let gap = GOOD.replace("[20] SELFTEST: allow ok\r\n", "");
    assert_eq!(judge(&gap, &ladder(), scope()).faults, [missing("policy", "SELFTEST: allow ok")]);
}

#[test]
fn test_text_scope_rejects_text_that_never_comes() {
    let verdict = judge(GOOD, &ladder(), Scope::Text("tomorrow".to_owned()));
    assert!(verdict.faults.contains(&Fault::NeverReached { text: "tomorrow".into() }));
}

#[test]
fn test_cut_off_last_line_is_not_judged() {
    assert_eq!(faults(&format!("{GOOD}[20] SELFTEST: hal")), []);
}

#[test]
fn test_unknown_phase_has_no_index() {
    assert_eq!(ladder().phase("policy"), Some(1));
    assert_eq!(ladder().phase("polici"), None);
}

#[test]
fn test_faults_read_well() {
    let log = GOOD.replace("[20] SELFTEST: allow ok", "[21] SELFTEST: allow ok");
    let text: Vec<String> = faults(&log).iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "line 5: 'SELFTEST: allow ok' must come from [20], came from [21]",
            "missing: 'SELFTEST: allow ok' (phase policy)"
        ]
    );
}
