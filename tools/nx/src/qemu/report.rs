//! What a run leaves behind: a few lines for people, markers.json and junit.xml for tools.
use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::{Boot, Captured, symbols};
use crate::judge::{Ending, Fault, Ladder, MARKER_FAILURE, PASSED, Scope, Verdict};

/// Lines of the console shown after a failure.
const EXCERPT_LINES: usize = 40;

/// A finished run with its verdict.
pub(super) struct Run<'a> {
    pub(super) captured: &'a Captured,
    pub(super) ladder: &'a Ladder,
    pub(super) verdict: &'a Verdict,
    pub(super) scope: &'a Scope,
}

impl Run<'_> {
    fn code(&self) -> u8 {
        self.verdict.exit_code(self.captured.ending, self.scope)
    }

    fn seen(&self, marker: usize) -> Option<usize> {
        self.verdict.seen.iter().find(|seen| seen.marker == marker).map(|seen| seen.line)
    }

    fn phase(&self, marker: usize) -> &str {
        let phase = self.ladder.markers.get(marker).and_then(|m| self.ladder.phases.get(m.phase));
        phase.map_or("?", String::as_str)
    }

    fn text(&self, marker: usize) -> &str {
        self.ladder.markers.get(marker).map_or("?", |m| m.text.as_str())
    }

    /// The phase to look at first: that of the first missing marker, else the last one reached.
    fn failed_phase(&self) -> &str {
        let reached = self.verdict.seen.iter().map(|seen| seen.marker).max();
        let reached = reached.map_or("none", |marker| self.phase(marker));
        self.verdict.first_missing().map_or(reached, |(phase, _)| phase)
    }
}

/// The summary, as the last lines of output.
pub(super) fn print(run: &Run<'_>, boot: &Boot) {
    let folder = run.captured.folder.strip_prefix(&boot.root).unwrap_or(&run.captured.folder);
    let seconds = run.captured.elapsed.as_secs_f32();
    let required = run.verdict.required.len();
    let code = run.code();
    println!();
    if code == PASSED {
        println!("passed: {required} markers in {seconds:.1} s; {}", folder.display());
        return;
    }
    match run.verdict.first_missing() {
        Some((phase, marker)) => {
            println!("first_failed_phase={phase} missing_marker='{marker}'");
        }
        None => println!("first_failed_phase={} missing_marker=''", run.failed_phase()),
    }
    println!(
        "failed ({code}): {} after {seconds:.1} s; {}",
        how(run.captured.ending),
        folder.display()
    );
    for fault in &run.verdict.faults {
        println!("  {fault}");
    }
    println!("--- last {EXCERPT_LINES} lines of {}/serial.log", folder.display());
    let excerpt = last_lines(&run.captured.log).join("\n");
    println!("{excerpt}");
    let programs = symbols::load(&boot.image.with_file_name("elf"));
    for line in symbols::explain(&excerpt, &programs) {
        println!("symbol: {line}");
    }
    let stderr =
        fs::read_to_string(run.captured.folder.join("qemu-stderr.log")).unwrap_or_default();
    for line in last_lines(&stderr) {
        println!("qemu: {line}");
    }
}

fn last_lines(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(EXCERPT_LINES)).copied().collect()
}

fn how(ending: Ending) -> String {
    match ending {
        Ending::Exit(0) => "the guest ended well, its log did not".to_owned(),
        Ending::Exit(status) => format!("guest or QEMU exit status {status}"),
        Ending::Signal => "QEMU was ended by a signal".to_owned(),
        Ending::Stopped => "stopped by the harness".to_owned(),
        Ending::TimedOut => "time limit".to_owned(),
    }
}

/// Exit code 0 when two logs are the same; else shows the first line that differs.
pub(super) fn compare(earlier: &str, now: &str) -> u8 {
    match first_difference(earlier, now) {
        None => {
            println!("deterministic: the same {} console lines as before", now.lines().count());
            PASSED
        }
        Some((line, was, is)) => {
            println!("not deterministic: line {line} was '{was}', is '{is}'");
            MARKER_FAILURE
        }
    }
}

/// The selftest kills policyd until a check was in flight. Whether a given kill hits one depends
/// on tenths of microseconds, and those on when the host's disk answered before.
const KILLED: &str = "[1] init: policyd died: killed";
/// What comes of it: it died, was started again, read its policy, is ready.
const KILL_LINES: usize = 4;
/// How often it was started so far stands in the second of them.
const COUNTED: &str = "[1] init: restarted policyd (";

/// How far logd lags at an instant, it says between any other lines.
const LAGS: &str = "[3] logd: audit ";

/// The lines that two runs must share: all but what logd says of its lag, the direct repetition of a kill of policyd, and
/// the count of its restarts.
fn settled(log: &str) -> Vec<(usize, &str)> {
    let told = |line| if str::starts_with(line, COUNTED) { COUNTED } else { line };
    let lags = |line: &&str| line.starts_with(LAGS);
    let lines: Vec<&str> = log.lines().map(told).filter(|line| !lags(line)).collect();
    let mut settled: Vec<(usize, &str)> = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((line, after)) = rest.split_first() {
        let before = lines.len() - rest.len();
        let last = lines.get(before.saturating_sub(KILL_LINES)..before);
        match rest.split_at_checked(KILL_LINES) {
            Some((kill, beyond)) if *line == KILLED && last == Some(kill) => rest = beyond,
            _ => {
                settled.push((before + 1, line));
                rest = after;
            }
        }
    }
    settled
}

/// The first line that differs, as (number, before, now), apart from how often in a row policyd
/// was killed.
pub(super) fn first_difference<'a>(a: &'a str, b: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (a, b) = (settled(a), settled(b));
    let text = |line: Option<&(usize, &'a str)>| line.map_or("<end>", |(_, text)| *text);
    (0..a.len().max(b.len())).map(|n| (a.get(n), b.get(n))).find_map(|(was, is)| {
        let number = is.or(was).map_or(0, |(number, _)| *number);
        (text(was) != text(is)).then(|| (number, text(was), text(is)))
    })
}

/// Writes markers.json and junit.xml into the run's folder.
pub(super) fn write(run: &Run<'_>) -> Result<(), String> {
    let put = |name: &str, text: String| {
        let path = run.captured.folder.join(name);
        fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))
    };
    put("markers.json", format!("{:#}\n", markers_json(run)))?;
    put("junit.xml", junit(run))
}

pub(super) fn markers_json(run: &Run<'_>) -> Value {
    let markers: Vec<Value> = run
        .verdict
        .required
        .iter()
        .map(|&index| {
            json!({ "marker": run.text(index), "phase": run.phase(index), "line": run.seen(index) })
        })
        .collect();
    let faults: Vec<String> = run.verdict.faults.iter().map(ToString::to_string).collect();
    json!({
        "exit_code": run.code(),
        "ending": how(run.captured.ending),
        "seconds": run.captured.elapsed.as_secs_f64(),
        "markers": markers,
        "faults": faults,
    })
}

/// One test case per required marker, and one for the run as a whole.
pub(super) fn junit(run: &Run<'_>) -> String {
    let missing = |index: &&usize| run.seen(**index).is_none();
    let failures =
        run.verdict.required.iter().filter(missing).count() + usize::from(run.code() != PASSED);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"qemu\" tests=\"{}\" failures=\"{failures}\" time=\"{:.3}\">",
        run.verdict.required.len() + 1,
        run.captured.elapsed.as_secs_f64()
    );
    for &index in &run.verdict.required {
        let failure = run.seen(index).is_none().then(|| "missing".to_owned());
        case(&mut out, run.phase(index), run.text(index), failure);
    }
    let faults = run.verdict.faults.iter().filter(|fault| !matches!(fault, Fault::Missing { .. }));
    let faults: Vec<String> = faults.map(ToString::to_string).collect();
    let whole = (run.code() != PASSED)
        .then(|| format!("{}; {}", how(run.captured.ending), faults.join("; ")));
    case(&mut out, run.failed_phase(), "the run as a whole", whole);
    out.push_str("</testsuite>\n");
    out
}

fn case(out: &mut String, phase: &str, name: &str, failure: Option<String>) {
    let (phase, name) = (escaped(phase), escaped(name));
    let _ = match failure {
        None => writeln!(out, "  <testcase classname=\"{phase}\" name=\"{name}\"/>"),
        Some(why) => writeln!(
            out,
            "  <testcase classname=\"{phase}\" name=\"{name}\"><failure message=\"{}\"/></testcase>",
            escaped(&why)
        ),
    };
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
        out
    })
}
