//! Lints: how bad each finding about a policy that builds is, and where one is meant to be so.
use std::collections::BTreeMap;

use crate::authoring::Compiled;
use crate::authoring::diagnostics::{Diagnostic, Level, Place, Source};
use crate::authoring::expect::Report;
use crate::authoring::reader::Word;
use crate::authoring::spelling::nearest;

/// What is done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintLevel {
    /// Nothing.
    Allow,
    /// It is reported.
    Warn,
    /// No policy is built.
    Deny,
}

impl LintLevel {
    /// The words of `[lints]`, in this order.
    pub const WORDS: [(&'static str, Self); 3] =
        [("allow", Self::Allow), ("warn", Self::Warn), ("deny", Self::Deny)];
}

/// A kind of finding about a policy that means something.
#[derive(Clone, Copy, Debug)]
pub struct Lint {
    /// Its name, in `[lints]`, in exceptions and in front of the message.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
}

const fn lint(name: &'static str, about: &'static str) -> Lint {
    Lint { name, about }
}

/// A rule that decides none of the expected decisions.
pub(crate) const UNTESTED: &str = "untested-rule";
const UNUSED_EXCEPTION: &str = "unused-exception";

/// Every lint, by name. Each warns unless `[lints]` says otherwise; `docs/policy-lints.md`
/// shows for each what it finds and what to do.
pub const LINTS: [Lint; 12] = [
    lint("broad-wildcard", "a wildcard grants a capability of high sensitivity"),
    lint("covered-rule", "a rule decides nothing, because another already says the same"),
    lint("dead-allow", "an allow decides nothing, because a deny covers all of it"),
    lint("duplicate-rule", "the same rule is written twice"),
    lint("idle-deny", "a deny of what nothing allows"),
    lint("look-alike-names", "two names that a reader can take for each other"),
    lint("unenforced-capability", "a grant of a reserved capability: nobody asks for it yet"),
    lint("unreviewed-rule", "a rule that `nx policy draft` wrote and nobody has looked at"),
    lint(UNTESTED, "no expected decision depends on the rule"),
    lint("unused-capability", "an enforced capability that no rule allows anybody"),
    lint("unused-definition", "a group, gate or fact that nothing refers to"),
    lint(UNUSED_EXCEPTION, "an exception where there is nothing to except"),
];

/// What opens an exception in a comment.
const OPENING: &str = "lint: allow(";

/// One name in one `# lint: allow(…)`.
#[derive(Clone, Debug)]
struct Exception {
    lint: String,
    place: Place,
    /// The line it is about.
    line: usize,
    used: bool,
}

/// The levels and exceptions of one policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lints {
    levels: BTreeMap<String, LintLevel>,
    exceptions: Vec<Exception>,
}

impl Lints {
    /// Reads the `[lints]` entries of all files and the comments of all sources.
    pub(crate) fn read<'d>(
        entries: impl Iterator<Item = &'d (Word, Word)>,
        sources: &[Source],
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut lints = Self::default();
        let mut places: BTreeMap<&str, &Place> = BTreeMap::new();
        for (name, level) in entries {
            let known = is_known(name, out);
            if let Some(first) = places.insert(&name.text, &name.place) {
                let message = format!("the level of `{}` is stated twice", name.text);
                let found = Diagnostic::error("duplicate-definition", message);
                out.push(found.at(&name.place, "again here").at(first, "first here"));
            }
            match LintLevel::WORDS.iter().find(|(word, _)| *word == level.text) {
                Some((_, level)) if known => {
                    lints.levels.insert(name.text.clone(), *level);
                }
                Some(_) => {}
                None => out.push(
                    Diagnostic::error("unknown-value", format!("`{}` is not a level", level.text))
                        .at(&level.place, "`allow`, `warn` or `deny`"),
                ),
            }
        }
        for (index, source) in sources.iter().enumerate() {
            lints.exceptions_of(index, source, out);
        }
        lints
    }

    fn exceptions_of(&mut self, index: usize, source: &Source, out: &mut Vec<Diagnostic>) {
        let mut above: Vec<Exception> = Vec::new();
        let mut start = 0_usize;
        for (number, line) in (1_usize..).zip(source.text.split('\n')) {
            let hash = comment_start(line);
            let code = line.get(..hash.unwrap_or(line.len())).unwrap_or("").trim();
            let mut here = Vec::new();
            if let Some(hash) = hash {
                let text = line.get(hash..).unwrap_or("");
                let at = start.saturating_add(hash);
                here = exceptions(index, at, text, number, out);
            }
            start = start.saturating_add(line.len()).saturating_add(1);
            if code.is_empty() && hash.is_some() {
                above.append(&mut here);
                continue;
            }
            // What stands in comment lines of its own is about the next line that says something.
            above.iter_mut().for_each(|exception| exception.line = number);
            self.exceptions.append(&mut above);
            self.exceptions.append(&mut here);
        }
        self.exceptions.append(&mut above);
    }

    /// Leaves out what is allowed, and makes errors of what is denied.
    pub(crate) fn settle(&mut self, found: Vec<Diagnostic>, sources: &[Source]) -> Vec<Diagnostic> {
        found.into_iter().filter_map(|item| self.judge(item, sources)).collect()
    }

    fn judge(&mut self, mut item: Diagnostic, sources: &[Source]) -> Option<Diagnostic> {
        if item.level == Level::Error || !LINTS.iter().any(|lint| lint.name == item.code) {
            return Some(item);
        }
        if let Some(label) = item.labels.first() {
            let source = label.place.source;
            let line = sources.get(source).map(|text| text.position(label.place.span.start).line);
            let mut excepted = false;
            for exception in &mut self.exceptions {
                let same = exception.place.source == source && Some(exception.line) == line;
                if same && exception.lint == item.code {
                    (exception.used, excepted) = (true, true);
                }
            }
            if excepted {
                return None;
            }
        }
        match self.levels.get(item.code) {
            Some(LintLevel::Allow) => None,
            Some(LintLevel::Deny) => {
                item.level = Level::Error;
                item.help.push(format!("`{}` is denied by `[lints]`", item.code));
                Some(item)
            }
            _ => Some(item),
        }
    }

    /// Exceptions that excepted nothing. Those for the lint about tests are known only when
    /// the tests have run.
    pub(crate) fn idle(&self, tested: bool) -> Vec<Diagnostic> {
        let idle = self.exceptions.iter().filter(|exception| !exception.used);
        let idle = idle.filter(|exception| (exception.lint == UNTESTED) == tested);
        let found = idle.map(|exception| {
            let message = format!("there is no `{}` to allow here", exception.lint);
            Diagnostic::warning(UNUSED_EXCEPTION, message)
                .at(&exception.place, format!("about line {}", exception.line))
                .help("an exception stands on the line it is about, or in comments right above it")
        });
        found.collect()
    }
}

fn is_known(name: &Word, out: &mut Vec<Diagnostic>) -> bool {
    let known = LINTS.iter().any(|lint| lint.name == name.text);
    if !known {
        let names: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
        let help = match nearest(&name.text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the lints are {}", names.join(", ")),
        };
        let found = Diagnostic::error("unknown-lint", format!("`{}` is not a lint", name.text));
        out.push(found.at(&name.place, "not a lint").help(help));
    }
    known
}

/// The exceptions in one comment that starts at byte `at` of its source.
fn exceptions(
    source: usize,
    at: usize,
    text: &str,
    line: usize,
    out: &mut Vec<Diagnostic>,
) -> Vec<Exception> {
    let place = |start: usize, len: usize| {
        let start = at.saturating_add(start);
        Place { source, span: start..start.saturating_add(len) }
    };
    let body = text.trim_start_matches('#').trim_start();
    let Some(rest) = body.strip_prefix(OPENING) else { return Vec::new() };
    let opened = text.len().saturating_sub(rest.len());
    let Some((names, reason)) = rest.split_once(')') else {
        let found = Diagnostic::error("bad-exception", "the exception is not closed");
        let help = "write `# lint: allow(name) and the reason`";
        out.push(found.at(&place(0, text.trim_end().len()), "`)` is missing").help(help));
        return Vec::new();
    };
    if reason.trim_matches([' ', ':', '-', '\r']).is_empty() {
        let found = Diagnostic::error("bad-exception", "the exception has no reason");
        let help = "say behind the parenthesis why it is meant to be so";
        out.push(found.at(&place(0, text.trim_end().len()), "for whom comes after").help(help));
    }
    let mut found = Vec::new();
    let mut offset = opened;
    for part in names.split(',') {
        let blank = part.len().saturating_sub(part.trim_start().len());
        let text = part.trim().to_owned();
        let word = Word { place: place(offset.saturating_add(blank), text.len()), text };
        offset = offset.saturating_add(part.len()).saturating_add(1);
        if is_known(&word, out) {
            found.push(Exception { lint: word.text, place: word.place, line, used: false });
        }
    }
    found
}

/// Where the comment of a line begins: a `#` outside strings.
#[must_use]
pub fn comment_start(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' => return Some(at),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    None
}

impl Compiled {
    /// Adds what a run of the expected decisions shows about the rules to the warnings; where
    /// `[lints]` denies it, to the errors.
    pub fn lint_tests(&mut self, report: &Report) {
        let untested = report.untested.iter().filter_map(|rule| {
            let place = self.places.get((rule.id.0 as usize).checked_sub(1)?)?;
            let message = format!("no test exercises `{}` for `{}`", rule.capability, rule.subject);
            let found = Diagnostic::warning(UNTESTED, message).at(place, "decides in no test");
            Some(found.help("add a decision that it makes to `tests/`"))
        });
        let untested: Vec<Diagnostic> = untested.collect();
        let untested = self.lints.settle(untested, &self.warnings.sources);
        let idle = self.lints.settle(self.lints.idle(true), &self.warnings.sources);
        self.warnings.items.extend(untested.into_iter().chain(idle));
        let files = self.warnings.sources.len();
        self.warnings.sources.extend(report.faults.sources.iter().cloned());
        self.warnings.items.extend(report.faults.items.iter().cloned().map(|mut fault| {
            for label in &mut fault.labels {
                label.place.source = label.place.source.saturating_add(files);
            }
            fault
        }));
        self.warnings.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_strings() {
        for (line, at) in [
            ("# x", Some(0)),
            ("a = 1 # x", Some(6)),
            ("a = \"#\" # x", Some(8)),
            ("a = \"\\\"#\"", None),
            ("a = '\\' # x", Some(8)),
            ("a = \"b\"", None),
        ] {
            assert_eq!(comment_start(line), at, "{line}");
        }
    }

    #[test]
    fn lints_are_sorted_and_said_in_a_sentence() {
        assert!(LINTS.is_sorted_by_key(|lint| lint.name));
        assert!(LINTS.iter().all(|lint| lint.about.len() > 20));
    }
}
