//! Colours and progress: only where a person looks.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    time::{Duration, Instant},
};

use crate::colour;

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
    #[cfg(test)]
    pub(super) const PLAIN: Style = Style { colour: false };

    /// Colours where they are wanted.
    pub(super) fn of_stdout() -> Style {
        Style::of(stdout().is_terminal())
    }

    /// The same for what goes to standard error.
    pub(super) fn of_stderr() -> Style {
        Style::of(stderr().is_terminal())
    }

    fn of(terminal: bool) -> Style {
        Style { colour: colour::wanted(terminal) }
    }

    /// Rendered diagnostics in their colours: what it is, where it is, what helps.
    pub(super) fn diagnostics(self, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        text.split_inclusive('\n').map(|line| self.diagnostic_line(line)).collect()
    }

    fn diagnostic_line(self, line: &str) -> String {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        for (word, tone) in [("error", Tone::Bad), ("warning", Tone::Careful)] {
            if let (true, Some((head, message))) = (body.starts_with(word), body.split_once(": ")) {
                let message = self.paint(Tone::Strong, message);
                return format!("{}: {message}{end}", self.paint(tone, head));
            }
        }
        let trimmed = body.trim_start();
        if let Some(mark) = ["-->", ":::"].into_iter().find(|mark| trimmed.starts_with(mark)) {
            let rest = trimmed.get(mark.len()..).unwrap_or_default();
            let left = body.get(..body.len() - trimmed.len()).unwrap_or_default();
            return format!("{left}{}{rest}{end}", self.paint(Tone::Dim, mark));
        }
        let Some(at) = body.find(['|', '=']).filter(|at| {
            let before = body.get(..*at).unwrap_or_default();
            before.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit())
        }) else {
            return line.to_owned();
        };
        let rest = body.get(at + 1..).unwrap_or_default();
        let marked = rest.trim_start();
        if body.get(at..=at) == Some("|") && marked.starts_with(['^', '-']) {
            let tone = if marked.starts_with('^') { Tone::Bad } else { Tone::Dim };
            let bar = self.paint(Tone::Dim, body.get(..=at).unwrap_or_default());
            return format!("{bar}{}{end}", self.paint(tone, rest));
        }
        if let Some(help) = rest.strip_prefix(" help: ") {
            let left = body.get(..=at).unwrap_or_default();
            return format!("{left} {}: {help}{end}", self.paint(Tone::Good, "help"));
        }
        format!("{}{rest}{end}", self.paint(Tone::Dim, body.get(..=at).unwrap_or_default()))
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

/// Says on stderr how far long work has come: nothing in the first second, nothing in a file.
pub(super) struct Progress {
    terminal: bool,
    what: &'static str,
    total: usize,
    next: Instant,
    shown: bool,
}

impl Progress {
    /// Work of `total` steps begins.
    pub(super) fn new(what: &'static str, total: usize) -> Progress {
        let next = Instant::now() + Duration::from_secs(1);
        Progress { terminal: stderr().is_terminal(), what, total, next, shown: false }
    }

    /// `done` steps are behind us.
    pub(super) fn at(&mut self, done: usize) {
        let now = Instant::now();
        if !self.terminal || now < self.next {
            return;
        }
        let percent = done * 100 / self.total.max(1);
        let _ = write!(stderr(), "\r{}: {done} of {} ({percent} %)", self.what, self.total);
        self.shown = true;
        self.next = now + Duration::from_millis(100);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(stderr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "error[x]: no\n --> f.toml:4:2\n  |\n4 | a = 1\n  | ^ here\n  = help: b\n";

    /// The text without its colours.
    fn plain(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |out, part| out + part.split_once('m').map_or("", |(_, rest)| rest))
    }

    #[test]
    fn colours_change_no_letter() {
        let coloured = Style { colour: true }.diagnostics(TEXT);
        assert_eq!(plain(&coloured), TEXT);
        assert!(coloured.starts_with("\x1b[31merror[x]\x1b[0m: \x1b[1mno\x1b[0m\n"), "{coloured}");
        assert!(coloured.contains("\x1b[31m ^ here\x1b[0m"), "{coloured}");
        assert_eq!(Style { colour: false }.diagnostics(TEXT), TEXT);
    }

    #[test]
    fn test_reject_progress_and_colours_where_nobody_looks() {
        // Tests run without a terminal, or with their output captured.
        let mut progress = Progress { terminal: false, ..Progress::new("work", 10) };
        progress.next = Instant::now();
        progress.at(5);
        assert!(!progress.shown);
    }
}
