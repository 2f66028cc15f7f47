//! What a terminal may get: colours only if it is one, and nothing a record could steer it with.

use std::io::{self, ErrorKind, IsTerminal, Write};

use nexus_wire::audit::Decision;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const OFF: &str = "\x1b[0m";

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// How output may look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    /// Colours where they are wanted.
    pub(super) fn of_stdout() -> Style {
        Style { colour: crate::colour::wanted(io::stdout().is_terminal()) }
    }

    #[cfg(test)]
    pub(super) const PLAIN: Style = Style { colour: false };

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("{code}{text}{OFF}") } else { text.to_owned() }
    }

    /// A decision, or text about one.
    pub(super) fn decision(self, decision: Decision, text: &str) -> String {
        match decision {
            Decision::Allow => self.paint(GREEN, text),
            Decision::Deny => self.paint(RED, text),
            Decision::None => self.paint(DIM, text),
        }
    }

    /// What is fine or is not.
    pub(super) fn verdict(self, good: bool, text: &str) -> String {
        self.paint(if good { GREEN } else { RED }, text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(DIM, text)
    }
}

/// A capability's name on a terminal: bare if harmless, else quoted and in ASCII, so that no
/// escape sequence, no line end and no look-alike letter reaches the reader.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
    if name.iter().all(|byte| plain(*byte)) {
        return text.into_owned();
    }
    format!("\"{}\"", text.escape_default())
}

/// A moment since boot, in seconds with all digits.
pub(super) fn seconds(time_ns: u64) -> String {
    format!("{}.{:09}", time_ns / SECOND_NS, time_ns % SECOND_NS)
}

/// Writes to standard output; a reader that left early is no error.
pub(super) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Says on a terminal how far long work is; elsewhere nothing.
pub(super) struct Progress {
    what: &'static str,
    total: usize,
    shown: bool,
}

/// Records between two words of progress.
const STEP: usize = 1 << 14;

impl Progress {
    pub(super) fn new(what: &'static str, total: usize) -> Progress {
        Progress { what, total, shown: io::stderr().is_terminal() && total > STEP }
    }

    pub(super) fn at(&self, done: usize) {
        if self.shown && done.is_multiple_of(STEP) {
            let percent = done.saturating_mul(100).checked_div(self.total).unwrap_or(100);
            eprint!("\r{} {percent:3} %", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_reject_names_that_steer_a_terminal() {
        assert_eq!(shown(b"ipc.core"), "ipc.core");
        assert_eq!(shown(b"a\x1b[2Jb"), "\"a\\u{1b}[2Jb\"");
        assert_eq!(shown("x\u{202e}y".as_bytes()), "\"x\\u{202e}y\"");
        assert_eq!(shown(b"a\nb \"c\""), "\"a\\nb \\\"c\\\"\"");
    }

    #[test]
    fn plain_style_adds_nothing() {
        assert_eq!(Style::PLAIN.decision(Decision::Deny, "deny"), "deny");
        assert_eq!(seconds(1_000_000_007), "1.000000007");
    }
}
