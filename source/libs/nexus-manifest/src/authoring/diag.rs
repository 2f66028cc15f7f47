//! Diagnostics: every fault of a recipe file in one run, each with its place and a hint.

use std::{cell::RefCell, fmt, ops::Range};

/// A recipe file and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path as people name it, relative to the workspace root.
    pub name: String,
    /// Contents.
    pub text: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// File, relative to the workspace root.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    excerpt: String,
    width: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent: String = (self.excerpt.chars().take(self.column.saturating_sub(1)))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "error: {}", self.message)?;
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        writeln!(f, "{gutter} | {indent}{}", "^".repeat(self.width))?;
        match &self.help {
            Some(help) => writeln!(f, "{gutter} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// Every fault found; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.0 {
            writeln!(f, "{one}")?;
        }
        let plural = if self.0.len() == 1 { "error" } else { "errors" };
        let file = self.0.first().map_or("", |d| d.file.as_str());
        write!(f, "{file}: {} {plural}", self.0.len())
    }
}

impl std::error::Error for Diagnostics {}

/// Collects the faults of one file.
pub(crate) struct Sink<'s> {
    source: &'s Source,
    found: RefCell<Vec<(usize, Diagnostic)>>,
}

impl<'s> Sink<'s> {
    pub(crate) fn new(source: &'s Source) -> Sink<'s> {
        Sink { source, found: RefCell::new(Vec::new()) }
    }

    pub(crate) fn error(&self, span: &Range<usize>, message: impl Into<String>) {
        self.push(span, message.into(), None);
    }

    pub(crate) fn help(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, message.into(), Some(help.into()));
    }

    /// `what` named `given` does not exist; the hint is the nearest known name, or all of them.
    pub(crate) fn unknown<'n>(
        &self,
        span: &Range<usize>,
        what: &str,
        given: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let help = match nearest(given, &known) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => format!("no {what} is defined"),
            None => format!("known: {}", known.join(", ")),
        };
        self.help(span, format!("unknown {what} `{given}`"), help);
    }

    fn push(&self, span: &Range<usize>, message: String, help: Option<String>) {
        let diagnostic = locate(self.source, span, message, help);
        let mut found = self.found.borrow_mut();
        if !found.iter().any(|(_, d)| *d == diagnostic) {
            found.push((span.start, diagnostic));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The faults in file order, or `value` if there are none.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(start, _)| *start);
        match value {
            Some(value) if found.is_empty() => Ok(value),
            _ => Err(Diagnostics(found.into_iter().map(|(_, d)| d).collect())),
        }
    }
}

fn locate(
    source: &Source,
    span: &Range<usize>,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    let start = span.start.min(source.text.len());
    let before = source.text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let rest = source.text.get(line_start..).unwrap_or_default();
    let excerpt = rest.lines().next().unwrap_or_default().to_owned();
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    let marked = source.text.get(start..span.end.max(start)).unwrap_or_default();
    let marked = marked.lines().next().unwrap_or_default().chars().count();
    Diagnostic {
        file: source.name.clone(),
        line: before.matches('\n').count().saturating_add(1),
        column: column.saturating_add(1),
        message,
        help,
        width: marked.max(1),
        excerpt,
    }
}

/// The known name closest to `given`, if it is close enough to be a slip.
#[must_use]
pub fn nearest<'n>(given: &str, known: &[&'n str]) -> Option<&'n str> {
    let allowed = given.chars().count().div_ceil(3).max(1);
    known
        .iter()
        .map(|name| (distance(given, name), *name))
        .filter(|(d, _)| *d <= allowed)
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (pair, cb) in row.windows(2).zip(&b) {
            let [diagonal, above] = pair else { continue };
            let replaced = diagonal.saturating_add(usize::from(ca != *cb));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_and_nothing_far() {
        let known = ["policyd", "logd", "nexus-init"];
        assert_eq!(nearest("policd", &known), Some("policyd"));
        assert_eq!(nearest("lgod", &known), Some("logd"));
        assert_eq!(nearest("keystored", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_fault_shows_its_line_and_a_caret() {
        let source = Source { name: "f.toml".into(), text: "a = 1\nbb = \"x\"\n".into() };
        let sink = Sink::new(&source);
        sink.help(&(11..14), "no", "try y");
        let text = sink.finish::<()>(None).unwrap_err().to_string();
        let want =
            "error: no\n --> f.toml:2:6\n  |\n2 | bb = \"x\"\n  |      ^^^\n  = help: try y\n";
        assert_eq!(text, format!("{want}\nf.toml: 1 error"));
    }
}
