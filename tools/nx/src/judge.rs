//! The verdict on one boot: a pure function from the serial log and the marker ladder.
//!
//! Text is evidence, not the verdict: the guest's exit status decides, and a log that says
//! everything was fine cannot turn a failed run into a passed one.
use std::fmt;

#[cfg(test)]
mod tests;

/// Who the kernel says wrote a console line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel itself.
    Kernel,
    /// A process, by its assigned service id.
    Service(u64),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::Service(id) => write!(f, "{id}"),
        }
    }
}

/// One marker as `recipes/markers.toml` states it, its emitter resolved to an id.
#[derive(Debug, Clone)]
pub(crate) struct Marker {
    /// The whole console line after the origin stamp.
    pub(crate) text: String,
    /// The only writer that may print it.
    pub(crate) origin: Origin,
    /// Index into [`Ladder::phases`].
    pub(crate) phase: usize,
    /// How often a whole run prints it at least; one means exactly once.
    pub(crate) at_least: usize,
}

/// All markers of a run in the order of their phases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ladder {
    /// Phase names, first to last.
    pub(crate) phases: Vec<String>,
    /// Markers in file order.
    pub(crate) markers: Vec<Marker>,
    /// Texts of markers that belong to variants not booted now: known, but refused here.
    pub(crate) elsewhere: Vec<String>,
}

impl Ladder {
    /// The index of a phase, or `None` for a name that no marker uses.
    pub(crate) fn phase(&self, name: &str) -> Option<usize> {
        self.phases.iter().position(|p| p == name)
    }

    fn phase_name(&self, index: usize) -> &str {
        self.phases.get(index).map_or("?", String::as_str)
    }
}

/// Which part of the ladder a run must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every marker, each exactly as often as stated.
    All,
    /// Markers up to and including this phase; the run stops once they are seen.
    Phase(usize),
    /// The run stops at the first line with this text: nothing before the last marker seen
    /// may be missing.
    Text(String),
}

/// How the guest's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// QEMU exited by itself; the test finisher's code is its status.
    Exit(i32),
    /// QEMU died of a signal.
    Signal,
    /// The harness stopped it because its scope was complete.
    Stopped,
    /// The time limit ran out.
    TimedOut,
}

/// One thing that is wrong with a log. Line numbers start at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A required marker was not printed often enough.
    Missing {
        /// The marker's phase.
        phase: String,
        /// The marker's text.
        marker: String,
    },
    /// A marker was printed more often than stated.
    Duplicate {
        /// Where.
        line: usize,
        /// The marker's text.
        marker: String,
    },
    /// A marker came from somebody else; it does not count as seen.
    WrongEmitter {
        /// Where.
        line: usize,
        /// The marker's text.
        marker: String,
        /// Who may print it.
        want: Origin,
        /// Who did; `None` for a line without an origin stamp.
        got: Option<Origin>,
    },
    /// A line that looks like a marker and is in no list.
    Unknown {
        /// Where.
        line: usize,
        /// The line.
        text: String,
    },
    /// A marker of an earlier phase after one of a later phase.
    OutOfOrder {
        /// Where.
        line: usize,
        /// The marker's text.
        marker: String,
        /// Its phase.
        phase: String,
        /// The phase that had already begun.
        after: String,
    },
    /// A line that no good run prints: a failure report or a panic.
    Forbidden {
        /// Where.
        line: usize,
        /// The line.
        text: String,
    },
    /// The text that the run was to stop at never came.
    NeverReached {
        /// The text.
        text: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { phase, marker } => write!(f, "missing: '{marker}' (phase {phase})"),
            Self::Duplicate { line, marker } => write!(f, "line {line}: duplicate: '{marker}'"),
            Self::WrongEmitter { line, marker, want, got } => {
                let got = got.map_or_else(|| "no origin stamp".to_owned(), |o| format!("[{o}]"));
                write!(f, "line {line}: '{marker}' must come from [{want}], came from {got}")
            }
            Self::Unknown { line, text } => write!(f, "line {line}: unknown marker: '{text}'"),
            Self::OutOfOrder { line, marker, phase, after } => {
                write!(f, "line {line}: '{marker}' (phase {phase}) after phase {after} had begun")
            }
            Self::Forbidden { line, text } => write!(f, "line {line}: forbidden: '{text}'"),
            Self::NeverReached { text } => write!(f, "no line contains '{text}'"),
        }
    }
}

/// A marker that was seen, from its rightful emitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Index into [`Ladder::markers`].
    pub(crate) marker: usize,
    /// Line number, from 1.
    pub(crate) line: usize,
}

/// What a log shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Everything that is wrong, in the order found; missing markers last.
    pub(crate) faults: Vec<Fault>,
    /// Every rightful marker line in log order.
    pub(crate) seen: Vec<Seen>,
    /// Indices of the markers that the scope required.
    pub(crate) required: Vec<usize>,
}

/// Exit code of a passed run.
pub(crate) const PASSED: u8 = 0;
/// Exit code when the log breaks the ladder although the guest was content.
pub(crate) const MARKER_FAILURE: u8 = 1;
/// Exit code for a command line that makes no sense (an unknown phase, no such image).
pub(crate) const USAGE: u8 = 2;
/// Exit code when the guest itself reported failure, or QEMU died.
pub(crate) const GUEST_FAILURE: u8 = 3;
/// Exit code when the time limit ran out.
pub(crate) const TIMED_OUT: u8 = 4;

impl Verdict {
    /// The first required marker that is missing, as (phase, text).
    pub(crate) fn first_missing(&self) -> Option<(&str, &str)> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Missing { phase, marker } => Some((phase.as_str(), marker.as_str())),
            _ => None,
        })
    }

    /// The exit code: the way the run ended first, then the log.
    ///
    /// A run that the harness stopped has no guest status, so only a scope short of the whole
    /// ladder may end that way.
    pub(crate) fn exit_code(&self, ending: Ending, scope: &Scope) -> u8 {
        match ending {
            Ending::TimedOut => TIMED_OUT,
            Ending::Signal => GUEST_FAILURE,
            Ending::Exit(status) if status != 0 => GUEST_FAILURE,
            Ending::Stopped if *scope == Scope::All => GUEST_FAILURE,
            Ending::Exit(_) | Ending::Stopped if self.faults.is_empty() => PASSED,
            Ending::Exit(_) | Ending::Stopped => MARKER_FAILURE,
        }
    }
}

/// Splits `[<origin>] text`; a line without a stamp has no origin.
pub(crate) fn split_origin(line: &str) -> (Option<Origin>, &str) {
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let Some((name, text)) = stamped else { return (None, line) };
    let decimal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    match name.parse() {
        Ok(id) if decimal => (Some(Origin::Service(id)), text),
        _ if name == "kernel" => (Some(Origin::Kernel), text),
        _ => (None, line),
    }
}

/// Reads a log line by line; the harness feeds it live to know when to stop.
#[derive(Debug)]
pub(crate) struct Judge<'l> {
    ladder: &'l Ladder,
    scope: Scope,
    counts: Vec<usize>,
    reached: Option<usize>,
    lines: usize,
    text_found: bool,
    verdict: Verdict,
}

impl<'l> Judge<'l> {
    /// Starts with an empty log.
    pub(crate) fn new(ladder: &'l Ladder, scope: Scope) -> Self {
        let counts = vec![0; ladder.markers.len()];
        let verdict = Verdict::default();
        Self { ladder, scope, counts, reached: None, lines: 0, text_found: false, verdict }
    }

    /// Takes one complete line; true once the scope is complete and the run may be stopped.
    pub(crate) fn line(&mut self, raw: &str) -> bool {
        self.lines += 1;
        let line = raw.trim_end_matches('\r');
        let (origin, text) = split_origin(line);
        match self.ladder.markers.iter().position(|m| m.text == text) {
            Some(index) => self.marker(index, origin),
            None => self.other(line, text),
        }
        self.complete(line)
    }

    fn marker(&mut self, index: usize, got: Option<Origin>) {
        let ladder = self.ladder;
        let Some(marker) = ladder.markers.get(index) else { return };
        let (line, text) = (self.lines, marker.text.clone());
        if got != Some(marker.origin) {
            self.fault(Fault::WrongEmitter { line, marker: text, want: marker.origin, got });
            return;
        }
        self.verdict.seen.push(Seen { marker: index, line });
        let Some(count) = self.counts.get_mut(index) else { return };
        *count += 1;
        let count = *count;
        if count > 1 && marker.at_least == 1 {
            self.fault(Fault::Duplicate { line, marker: text });
        } else if count == 1 {
            self.advance(marker.phase, text);
        }
    }

    /// Phases only go forward; a repeat of an earlier marker (a restart) moves nothing.
    fn advance(&mut self, phase: usize, marker: String) {
        match self.reached {
            Some(reached) if reached > phase => {
                let after = self.ladder.phase_name(reached).to_owned();
                let phase = self.ladder.phase_name(phase).to_owned();
                self.fault(Fault::OutOfOrder { line: self.lines, marker, phase, after });
            }
            _ => self.reached = Some(phase),
        }
    }

    fn other(&mut self, line: &str, text: &str) {
        let looks_like_one = text.starts_with("SELFTEST:") || text.starts_with("KSELFTEST:");
        if is_forbidden(line) {
            self.fault(Fault::Forbidden { line: self.lines, text: line.to_owned() });
        } else if looks_like_one || self.ladder.elsewhere.iter().any(|t| t == text) {
            self.fault(Fault::Unknown { line: self.lines, text: line.to_owned() });
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.verdict.faults.push(fault);
    }

    fn complete(&mut self, line: &str) -> bool {
        match &self.scope {
            Scope::All => false,
            Scope::Phase(_) => self.missing().next().is_none(),
            Scope::Text(text) => {
                self.text_found |= line.contains(text.as_str());
                self.text_found
            }
        }
    }

    /// Required markers and how often each must have been seen.
    fn required(&self) -> impl Iterator<Item = (usize, &Marker, usize)> {
        let last_seen = self.verdict.seen.iter().map(|s| s.marker).max();
        self.ladder.markers.iter().enumerate().filter_map(move |(index, marker)| match self.scope {
            Scope::All => Some((index, marker, marker.at_least)),
            Scope::Phase(phase) => (marker.phase <= phase).then_some((index, marker, 1)),
            Scope::Text(_) => (Some(index) <= last_seen).then_some((index, marker, 1)),
        })
    }

    fn missing(&self) -> impl Iterator<Item = &Marker> {
        self.required()
            .filter(|(index, _, least)| self.counts.get(*index).is_none_or(|seen| seen < least))
            .map(|(_, marker, _)| marker)
    }

    /// Ends the log.
    pub(crate) fn finish(mut self) -> Verdict {
        let missing: Vec<Fault> = self
            .missing()
            .map(|m| Fault::Missing {
                phase: self.ladder.phase_name(m.phase).to_owned(),
                marker: m.text.clone(),
            })
            .collect();
        self.verdict.required = self.required().map(|(index, ..)| index).collect();
        self.verdict.faults.extend(missing);
        if let Scope::Text(text) = &self.scope
            && !self.text_found
        {
            self.verdict.faults.push(Fault::NeverReached { text: text.clone() });
        }
        self.verdict
    }
}

/// Words that no good run prints, wherever they come from.
fn is_forbidden(line: &str) -> bool {
    line.contains(" FAIL") || line.contains("panic")
}

/// The verdict on a whole log. A last line without its newline was cut off and is not judged.
#[cfg_attr(not(test), expect(dead_code, reason = "the harness feeds lines as they come"))]
pub(crate) fn judge(log: &str, ladder: &Ladder, scope: Scope) -> Verdict {
    let mut judge = Judge::new(ladder, scope);
    for line in log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        if judge.line(line) {
            break;
        }
    }
    judge.finish()
}
