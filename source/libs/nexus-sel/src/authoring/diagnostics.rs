//! Findings with place and remedy, rendered the way rustc does.
use std::fmt;
use std::ops::Range;

use crate::authoring::snippet::{Snippet, visible};

/// A recipe file as read: the name shown to people, and its bytes as text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Shown in front of line and column.
    pub name: String,
    /// The content; replacement characters stand for bytes that were not UTF-8.
    pub text: String,
    /// Byte offset of every line.
    lines: Vec<usize>,
}

impl Source {
    /// A file as read.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text) = (name.into(), text.into());
        let breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let lines = core::iter::once(0).chain(breaks).collect();
        Self { name, text, lines }
    }

    /// Where a byte is; a line is one to its end, wherever it starts.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or("");
        Position { line, column: before.chars().count().saturating_add(1) }
    }

    fn line(&self, number: usize) -> &str {
        let start = number.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("")
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The policy is built; somebody should look.
    Warning,
    /// No policy is built.
    Error,
}

impl Level {
    /// The word in front of a finding.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A stretch of one source.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// Index into [`Diagnostics::sources`].
    pub source: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// Order of places: by file, then position.
    pub(crate) fn order(&self) -> (usize, usize) {
        (self.source, self.span.start)
    }
}

/// A place with what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// Written beside the carets.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// Stable name of the kind of finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where; the first is the place to change, the others explain.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn new(level: Level, code: &'static str, message: impl Into<String>) -> Self {
        Self { level, code, message: message.into(), labels: Vec::new(), help: Vec::new() }
    }

    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Error, code, message)
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, message)
    }

    pub(crate) fn at(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: place.clone(), text: text.into() });
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    pub(crate) fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help.extend(text);
        self
    }
}

/// Everything found in one run, with the sources it refers to.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The files read, in merge order.
    pub sources: Vec<Source>,
    /// The findings, by file and position.
    pub items: Vec<Diagnostic>,
}

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Diagnostics {
    /// True if there are errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.level == Level::Error)
    }

    /// How many findings of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.items.iter().filter(|item| item.level == level).count()
    }

    /// By file and position; findings without a place come first.
    pub(crate) fn sort(&mut self) {
        self.items.sort_by_key(|item| item.labels.first().map(|label| label.place.order()));
        self.items.dedup();
    }

    /// The name of a source.
    #[must_use]
    pub fn file(&self, place: &Place) -> &str {
        self.sources.get(place.source).map_or("?", |source| source.name.as_str())
    }

    /// Where a place begins.
    #[must_use]
    pub fn position(&self, place: &Place) -> Position {
        let none = Position { line: 1, column: 1 };
        self.sources.get(place.source).map_or(none, |source| source.position(place.span.start))
    }

    fn render(&self, item: &Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", item.level.as_str(), item.code, visible(&item.message))?;
        let lines = item.labels.iter().map(|label| self.position(&label.place).line);
        let width = lines.max().unwrap_or(1).to_string().len();
        let mut shown: Option<(usize, usize)> = None;
        for label in &item.labels {
            let at = self.position(&label.place);
            if shown.map(|(source, _)| source) != Some(label.place.source) {
                let arrow = if shown.is_none() { "-->" } else { ":::" };
                let file = self.file(&label.place);
                writeln!(f, "{:width$}{arrow} {file}:{}:{}", "", at.line, at.column)?;
                writeln!(f, "{:width$} |", "")?;
            } else if shown.is_some_and(|(_, line)| line != at.line) {
                writeln!(f, "{:width$} ::: line {}, column {}", "", at.line, at.column)?;
            }
            let snippet = self.snippet(label, at);
            if shown != Some((label.place.source, at.line)) || !snippet.whole {
                writeln!(f, "{:width$} | {}", at.line, snippet.text)?;
            }
            let mark = if shown.is_none() { "^" } else { "-" }.repeat(snippet.marked);
            let (before, text) = (snippet.before, visible(&label.text));
            let note = format!("{:width$} | {:before$}{mark} {text}", "", "");
            writeln!(f, "{}", note.trim_end())?;
            shown = Some((label.place.source, at.line));
        }
        if !item.labels.is_empty() && !item.help.is_empty() {
            writeln!(f, "{:width$} |", "")?;
        }
        for help in &item.help {
            writeln!(f, "{:width$} = help: {}", "", visible(help))?;
        }
        Ok(())
    }

    /// The line of a label, and the characters of it that the label is about.
    fn snippet(&self, label: &Label, at: Position) -> Snippet {
        let Some(source) = self.sources.get(label.place.source) else {
            return Snippet::new("", 0..0);
        };
        let marked = source.text.get(label.place.span.clone()).unwrap_or("");
        let length = marked.lines().next().map_or(0, |line| line.chars().count());
        let start = at.column.saturating_sub(1);
        Snippet::new(source.line(at.line), start..start.saturating_add(length))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            self.render(item, f)?;
            writeln!(f)?;
        }
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        match (errors, warnings) {
            (0, 0) => Ok(()),
            (0, w) => writeln!(f, "{}", counted(w, "warning")),
            (e, 0) => writeln!(f, "{}; no policy was built", counted(e, "error")),
            (e, w) => {
                let (e, w) = (counted(e, "error"), counted(w, "warning"));
                writeln!(f, "{e}, {w}; no policy was built")
            }
        }
    }
}

impl std::error::Error for Diagnostics {}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
