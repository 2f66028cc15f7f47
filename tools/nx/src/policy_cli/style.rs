//! Colours and progress: only where a person looks.

use std::{
    env,
    io::{IsTerminal, Write, stderr, stdout},
    time::{Duration, Instant},
};

/// Colours of standard output.
#[derive(Clone, Copy)]
pub(super) struct Style {
    colour: bool,
}

/// What a piece of text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Granted.
    Good,
    /// Denied by a rule, or wider than before.
    Bad,
    /// It depends.
    Careful,
    /// Beside the point.
    Dim,
    /// A heading.
    Strong,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub(super) fn of_stdout() -> Style {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Style { colour: wanted && stdout().is_terminal() }
    }

    /// The text in its colour.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Careful => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Says on stderr how far long work has come: nothing in the first second.
pub(super) struct Progress {
    what: &'static str,
    total: usize,
    next: Instant,
    shown: bool,
}

impl Progress {
    /// Work of `total` steps begins.
    pub(super) fn new(what: &'static str, total: usize) -> Progress {
        Progress { what, total, next: Instant::now() + Duration::from_secs(1), shown: false }
    }

    /// `done` steps are behind us.
    pub(super) fn at(&mut self, done: usize) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let terminal = stderr().is_terminal();
        let (start, end) = if terminal { ("\r", "") } else { ("", "\n") };
        let percent = done * 100 / self.total.max(1);
        let _ =
            write!(stderr(), "{start}{}: {done} of {} ({percent} %){end}", self.what, self.total);
        self.shown = terminal;
        self.next = now + Duration::from_millis(if terminal { 100 } else { 5_000 });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(stderr());
        }
    }
}
