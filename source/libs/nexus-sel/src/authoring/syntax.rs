//! What is not TOML: one finding per file, at the place to change.
//!
//! The parser goes on after an error, and what it then says is guesswork: one forgotten `]` turns
//! the rest of the file into errors. Its first finding is the one that is true.
use std::ops::Range;

use toml::de::{DeTable, Error};

use crate::authoring::diagnostics::Diagnostic;
use crate::authoring::reader::Reader;

/// Reports keys that are written twice and the first fault of syntax. False if there is one: then
/// nothing of the document may be believed.
pub(crate) fn report(
    reader: &mut Reader<'_>,
    document: &DeTable<'_>,
    mut errors: Vec<Error>,
) -> bool {
    // At one place the string that does not end explains the list that does not.
    errors.sort_by_key(|error| {
        let start = error.span().map_or(0, |span| span.start);
        (start, !error.message().starts_with("invalid"))
    });
    for error in errors {
        let message = error.message().lines().next().unwrap_or("not TOML");
        let span = error.span().unwrap_or(0..0);
        if message.contains("duplicate key") {
            duplicate(reader, document, span);
        } else {
            fault(reader, message, span);
            return false;
        }
    }
    true
}

fn duplicate(reader: &mut Reader<'_>, document: &DeTable<'_>, span: Range<usize>) {
    let place = reader.place(span.clone());
    let key = reader.source.text.get(place.span.clone()).unwrap_or("").to_owned();
    let mut found = Diagnostic::error("duplicate-key", format!("`{key}` is written twice"));
    found = found.at(&place, "again here");
    let first = earlier(document, &key, span.start);
    if let Some(first) = first.or_else(|| header(&reader.source.text, &key, span.start)) {
        found = found.at(&reader.place(first), "first here");
    }
    let help = "nothing replaces anything here: merge the two into one";
    reader.out.push(found.help(help));
}

/// The last key of this name before `end`, anywhere in the document.
fn earlier(table: &DeTable<'_>, name: &str, end: usize) -> Option<Range<usize>> {
    let below = table
        .values()
        .filter_map(|value| value.get_ref().as_table().and_then(|table| earlier(table, name, end)));
    let here = table.keys().filter(|key| key.get_ref().as_ref() == name).map(toml::Spanned::span);
    here.chain(below).filter(|span| span.start < end).max_by_key(|span| span.start)
}

/// The last line `[name]` before `end`: of a table that is opened twice the parser keeps only the
/// second place.
fn header(text: &str, name: &str, end: usize) -> Option<Range<usize>> {
    let before = text.get(..end)?;
    let before = before.rfind('\n').map_or("", |at| before.get(..=at).unwrap_or(""));
    let mut start = 0_usize;
    let mut found = None;
    for line in before.split_inclusive('\n') {
        let inner = line.trim_start().strip_prefix('[').map(str::trim_start);
        let is_it = inner
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.trim_start().starts_with(']'));
        if is_it {
            let at = start.saturating_add(line.find(name).unwrap_or(0));
            found = Some(at..at.saturating_add(name.len()));
        }
        start = start.saturating_add(line.len());
    }
    found
}

fn fault(reader: &mut Reader<'_>, message: &str, span: Range<usize>) {
    let text = &reader.source.text;
    let (place, at) = (reader.place(span.clone()), span.start);
    if let Some((open, close)) = unclosed(text, at) {
        let opened = reader.place(open..open.saturating_add(1));
        let what = if close == ']' { "list" } else { "table" };
        let found = Diagnostic::error("syntax", format!("this {what} is not closed"));
        let found = found.at(&opened, "opened here").at(&place, "this is read as part of it");
        reader.out.push(found.help(format!("close it with `{close}`")));
        return;
    }
    let quote = [
        ("invalid basic string, expected `\"`", '"'),
        ("invalid literal string, expected `'`", '\''),
    ];
    if let Some((_, quote)) = quote.into_iter().find(|(start, _)| message.starts_with(start)) {
        let found = Diagnostic::error("syntax", "this string is not closed");
        let found = found.at(&place, format!("expected `{quote}`"));
        reader.out.push(found.help("a string ends on the line it begins on"));
        return;
    }
    let marked = text.get(span).unwrap_or("");
    if is_bare_name(marked) {
        // The parser thinks of `inf` and `true` first.
        let found = Diagnostic::error("syntax", "a string is written in quotes");
        reader.out.push(found.at(&place, "").help(format!("write `\"{marked}\"`")));
        return;
    }
    let comma = text.get(at..).is_some_and(|rest| rest.starts_with(','));
    let help = comma.then(|| "several values go into a list: `[\"a\", \"b\"]`".to_owned());
    reader.out.push(Diagnostic::error("syntax", message).at(&place, "").maybe_help(help));
}

fn is_bare_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "._-*".contains(c))
}

/// The bracket that is still open at `at`, on an earlier line, and what would close it; if what
/// stands at `at` begins something new: a key, a header, or the end of the file.
fn unclosed(text: &str, at: usize) -> Option<(usize, char)> {
    let before = text.get(..at)?;
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let (open, bracket) = open_brackets(before).pop()?;
    let line = text.get(line_start..)?.lines().next().unwrap_or("").trim();
    let ended = text.get(at..)?.trim().is_empty();
    // A table may have its keys on lines of their own; a list of capabilities has none.
    let new = line.starts_with('[') || (bracket == '[' && begins_with_key(line));
    let close = if bracket == '[' { ']' } else { '}' };
    (open < line_start && (ended || new)).then_some((open, close))
}

fn begins_with_key(line: &str) -> bool {
    let Some((key, _)) = line.split_once('=') else { return false };
    let key = key.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let quoted = |q: char| {
        key.strip_prefix(q).and_then(|k| k.strip_suffix(q)).is_some_and(|k| !k.contains(q))
    };
    !key.is_empty() && (key.chars().all(bare) || quoted('"') || quoted('\''))
}

/// Brackets of values that are open at the end of `text`, outermost first.
fn open_brackets(text: &str) -> Vec<(usize, char)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut offset = 0_usize;
    let mut long: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let header = open.is_empty() && long.is_none() && line.trim_start().starts_with('[');
        if !header {
            brackets_of_line(line, offset, &mut open, &mut long);
        }
        offset = offset.saturating_add(line.len());
    }
    open
}

fn brackets_of_line(
    line: &str,
    offset: usize,
    open: &mut Vec<(usize, char)>,
    long: &mut Option<&'static str>,
) {
    let mut at = 0_usize;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(quote) = *long {
            let Some(end) = rest.find(quote) else { return };
            (*long, at) = (None, at.saturating_add(end).saturating_add(3));
            continue;
        }
        if let Some(quote) = ["\"\"\"", "'''"].into_iter().find(|q| rest.starts_with(*q)) {
            (*long, at) = (Some(quote), at.saturating_add(3));
            continue;
        }
        let Some(c) = rest.chars().next() else { return };
        let mut step = c.len_utf8();
        match c {
            '#' => return,
            '"' | '\'' => step = string_len(rest, c),
            '[' | '{' => open.push((offset.saturating_add(at), c)),
            ']' | '}' => drop(open.pop()),
            _ => {}
        }
        at = at.saturating_add(step);
    }
}

/// Bytes of the string at the beginning of `text`, with its quotes; to the end if it has none.
fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_are_text() {
        for (text, open) in [
            ("a = [\"[\", '{', # [\n", vec![(4, '[')]),
            ("[allow]\n[[never]]\n", vec![]),
            ("a = [ { b = \"\\\"}\"", vec![(4, '['), (6, '{')]),
            ("a = \"\"\"[\n[\"\"\"\nb = [", vec![(18, '[')]),
            ("a = '\\' # ]\nb = [[]", vec![(16, '[')]),
        ] {
            assert_eq!(open_brackets(text), open, "{text:?}");
        }
    }

    #[test]
    fn keys_are_told_from_elements() {
        for line in ["a = [", "\"a b\" = 1", "a.b-c=1", "'x' = 2"] {
            assert!(begins_with_key(line), "{line}");
        }
        for line in ["\"a\", \"b = c\"", "{ a = 1 }", "]", "= 1", "\"a\"b\" = 1"] {
            assert!(!begins_with_key(line), "{line}");
        }
    }
}
