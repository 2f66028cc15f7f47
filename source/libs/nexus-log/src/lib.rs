//! Bounded structured log lines: a level, a scope, a message and `key=value` fields, to logd, to
//! the console, or to a test.
//!
//! A line never waits for ever and never fails its writer: what a sink cannot take is counted.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt::{self, Write as _};

use nexus_abi::Sys;
use nexus_ipc::{Deadline, log::Client};
pub use nexus_wire::log::Level;
use nexus_wire::{
    FRAME_MAX,
    log::{ENTRY_DATA_MAX, Entry, MESSAGE_MAX, SCOPE_MAX},
    text::TextWriter,
};

/// Longest fields a line keeps: with the longest scope and message they fill an entry.
pub const FIELDS_MAX: usize = ENTRY_DATA_MAX - SCOPE_MAX - MESSAGE_MAX;

/// Where lines go.
pub trait Sink {
    /// Takes a line; `false` if it is lost.
    fn take(&mut self, entry: Entry<'_>) -> bool;
}

/// Writes lines of one scope, up to a level.
#[derive(Debug)]
pub struct Logger<K> {
    sink: K,
    scope: &'static str,
    level: Level,
    lost: u64,
}

impl<K: Sink> Logger<K> {
    /// Everything up to `level` goes to `sink`. A scope beyond its bound is cut.
    #[must_use]
    pub fn new(sink: K, scope: &'static str, level: Level) -> Self {
        let end = scope.floor_char_boundary(SCOPE_MAX);
        Logger { sink, scope: scope.get(..end).unwrap_or_default(), level, lost: 0 }
    }

    /// Writes a line. Text beyond its bound is cut.
    pub fn line(&mut self, level: Level, message: fmt::Arguments<'_>) {
        self.fields(level, message, &[]);
    }

    /// Writes a line with fields; fields that do not fit are left out whole.
    pub fn fields(
        &mut self,
        level: Level,
        message: fmt::Arguments<'_>,
        fields: &[(&str, &dyn fmt::Display)],
    ) {
        if level.code() > self.level.code() {
            return;
        }
        let (mut text, mut pairs) = ([0; MESSAGE_MAX], [0; FIELDS_MAX]);
        let mut out = TextWriter::new(&mut text);
        // Formatting stops at the first failing Display; the line says what it has by then.
        let _partial = out.write_fmt(message);
        let message = out.into_str();
        let pairs = join(fields, &mut pairs);
        let entry = Entry::new(level, self.scope.as_bytes(), message.as_bytes(), pairs);
        let taken = entry.is_some_and(|entry| self.sink.take(entry));
        if !taken {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Lines the sink did not take.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The sink.
    pub const fn sink(&mut self) -> &mut K {
        &mut self.sink
    }
}

/// `key=value` pairs with a space between them.
fn join<'b>(fields: &[(&str, &dyn fmt::Display)], buf: &'b mut [u8]) -> &'b [u8] {
    let mut len = 0usize;
    for (key, value) in fields {
        let Some(rest) = buf.get_mut(len..) else { break };
        let mut out = TextWriter::new(rest);
        let space = if len == 0 { "" } else { " " };
        let whole = write!(out, "{space}{key}={value}").is_ok() && !out.is_cut();
        let added = out.into_str().len();
        if !whole {
            break;
        }
        len = len.saturating_add(added);
    }
    buf.get(..len).unwrap_or_default()
}

/// Sends lines to logd.
#[derive(Debug)]
pub struct ToLogd<'c, S> {
    /// The kernel.
    pub sys: &'c mut S,
    /// The connection to logd.
    pub client: &'c mut Client,
    /// How long a line may wait for logd.
    pub wait_ns: u64,
}

impl<S: Sys> Sink for ToLogd<'_, S> {
    fn take(&mut self, entry: Entry<'_>) -> bool {
        let deadline = Deadline::after_ns(self.sys, self.wait_ns);
        self.client.append(self.sys, entry, deadline).is_ok()
    }
}

/// Prints lines on the console, one per line: `level scope: message fields`.
#[derive(Debug)]
pub struct ToConsole<'c, S> {
    /// The kernel.
    pub sys: &'c mut S,
}

impl<S: Sys> Sink for ToConsole<'_, S> {
    fn take(&mut self, entry: Entry<'_>) -> bool {
        let mut buf = [0; FRAME_MAX];
        let mut out = TextWriter::new(&mut buf);
        let written = writeln!(out, "{} {}", entry.level().name(), Plain(&entry)).is_ok();
        let whole = written && !out.is_cut();
        self.sys.console(out.into_str());
        if !whole {
            self.sys.console("\n");
        }
        whole
    }
}

/// An entry on one line: control characters become `?`, so that no text can fake a line.
struct Plain<'a>(&'a Entry<'a>);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plain(entry) = self;
        let parts = [(entry.scope(), ": "), (entry.message(), " "), (entry.fields(), "")];
        for (bytes, after) in parts {
            for ch in core::str::from_utf8(bytes).unwrap_or("?").chars() {
                f.write_char(if ch.is_control() { '?' } else { ch })?;
            }
            f.write_str(after)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps lines; refuses beyond `room`.
    struct ToVec {
        lines: Vec<(Level, String, String, String)>,
        room: usize,
    }

    impl Sink for ToVec {
        fn take(&mut self, entry: Entry<'_>) -> bool {
            if self.lines.len() == self.room {
                return false;
            }
            let text = |bytes| String::from_utf8(Vec::from(bytes)).unwrap();
            let (scope, message) = (text(entry.scope()), text(entry.message()));
            self.lines.push((entry.level(), scope, message, text(entry.fields())));
            true
        }
    }

    fn logger(room: usize) -> Logger<ToVec> {
        Logger::new(ToVec { lines: Vec::new(), room }, "unit", Level::Info)
    }

    #[test]
    fn a_line_has_its_parts() {
        let mut log = logger(9);
        log.fields(Level::Warn, format_args!("slow {}", 3), &[("ms", &12), ("who", &"me")]);
        log.line(Level::Debug, format_args!("not at this level"));
        let expected = (Level::Warn, "unit".into(), "slow 3".into(), String::from("ms=12 who=me"));
        assert_eq!(log.sink().lines, [expected]);
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_full_sink_is_counted_and_harmless() {
        let mut log = logger(1);
        log.line(Level::Info, format_args!("first"));
        log.line(Level::Info, format_args!("second"));
        assert_eq!((log.sink().lines.len(), log.lost()), (1, 1));
    }

    #[test]
    fn every_bound_holds_together() {
        let long = "x".repeat(2000);
        let name: &'static str = Box::leak("s".repeat(SCOPE_MAX + 1).into_boxed_str());
        let sink = ToVec { lines: Vec::new(), room: 9 };
        let mut log = Logger::new(sink, name, Level::Info);
        let value = "v".repeat(FIELDS_MAX - 2);
        log.fields(Level::Info, format_args!("{long}"), &[("k", &value), ("l", &1)]);
        let (_, scope, message, fields) = &log.sink().lines[0];
        assert_eq!(
            (scope.len(), message.len(), fields.len()),
            (SCOPE_MAX, MESSAGE_MAX, FIELDS_MAX)
        );
    }

    #[test]
    fn text_cannot_fake_a_second_line() {
        let entry = Entry::new(Level::Info, b"a", b"x\nSELFTEST: end", b"").unwrap();
        assert_eq!(Plain(&entry).to_string(), "a: x?SELFTEST: end ");
    }
}
