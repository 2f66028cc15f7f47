//! `nx policy fmt`: one layout for recipe files. Comments stay, meaning stays, order stays.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nexus_sel::authoring::{comment_start, is_recipe};
use serde_json::json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, RawString, Table, Value};

use super::{
    FAULTY, OK,
    side::{Failure, Place},
};

/// No line gets longer by formatting.
const WIDTH: usize = 100;
/// In front of every line of a list.
const INDENT: &str = "  ";

/// Lay out recipe files the one way; comments and order stay
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy fmt
  nx policy fmt --check             for a build server
  nx policy fmt recipes/policy/draft.toml

Exit status: 0 done or nothing to do
             1 a file is not TOML, or --check found one to lay out
             2 wrong usage")]
pub(super) struct FmtArgs {
    /// Write nothing, tell which files would change
    #[arg(long)]
    check: bool,
    /// Files or policy directories; without any, the policy directory with its tests
    files: Vec<PathBuf>,
}

pub(super) fn run(place: Place<'_>, json: bool, args: &FmtArgs) -> Result<u8, Failure> {
    let policy = super::locate(place.root, place.dir);
    let named = if args.files.is_empty() { vec![policy] } else { args.files.clone() };
    let mut files = Vec::new();
    for path in named {
        match path.is_dir() {
            true => files.extend(recipes(&path).map_err(Failure::Usage)?),
            false if path.exists() => files.push(path),
            false => return Err(Failure::Usage(format!("{}: no such file", path.display()))),
        }
    }
    let (mut changed, mut failed) = (Vec::new(), false);
    for path in files {
        match lay_out(&path, args.check) {
            Ok(true) => changed.push(path.display().to_string()),
            Ok(false) => {}
            Err(error) => {
                // The others are laid out all the same.
                eprintln!("error: {}: {}", path.display(), error.trim_end());
                failed = true;
            }
        }
    }
    if json {
        println!("{}", json!({ "changed": changed, "written": !args.check }));
    } else {
        let what = if args.check { "would change" } else { "formatted" };
        changed.iter().for_each(|path| println!("{what} {path}"));
    }
    Ok(if failed || (args.check && !changed.is_empty()) { FAULTY } else { OK })
}

/// True if the file was, or would be, laid out anew.
fn lay_out(path: &Path, check: bool) -> Result<bool, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let formatted = format(&text)?;
    let changes = formatted != text;
    if changes && !check {
        fs::write(path, formatted).map_err(|error| error.to_string())?;
    }
    Ok(changes)
}

/// Every recipe of a policy directory, by name.
fn recipes(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for dir in [dir.to_owned(), dir.join("tests")] {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        found.extend(paths.filter(|path| is_recipe(path)));
    }
    found.sort();
    if found.is_empty() { Err(format!("{}: no recipe file", dir.display())) } else { Ok(found) }
}

/// The text in the one layout.
pub(super) fn format(text: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let trailing = comments(raw(Some(document.trailing())));
    table(document.as_table_mut());
    let mut lines = trailing;
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let tail = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    document.set_trailing(tail);
    let laid_out = document.to_string();
    let laid_out = format!("{}\n", laid_out.trim_start_matches('\n').trim_end());
    let same = |a: &str, b: &str| toml::from_str::<toml::Table>(a).ok() == toml::from_str(b).ok();
    if !same(text, &laid_out) || remarks(text) != remarks(&laid_out) {
        return Err("this layout would lose something; the file stays as it is".to_owned());
    }
    Ok(laid_out)
}

/// Every comment, in any order: what must survive.
fn remarks(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| Some(line.get(comment_start(line)?..)?.trim().to_owned()))
        .collect();
    found.sort();
    found
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or("")
}

/// The lines of what stands between two things: comments without indentation, and at most one
/// empty line in a row.
fn comments(text: &str) -> Vec<String> {
    let mut found: Vec<&str> = text.split('\n').map(str::trim).collect();
    // Behind the last line break there is only the indentation of what follows.
    if found.last().is_some_and(|last| last.is_empty()) {
        found.pop();
    }
    found.dedup_by(|one, other| one.is_empty() && other.is_empty());
    found.into_iter().map(str::to_owned).collect()
}

/// The comment lines in front of a key or header.
fn before(text: &str, always_apart: bool) -> String {
    let mut lines = comments(text);
    if always_apart && lines.first().is_none_or(|first| !first.is_empty()) {
        lines.insert(0, String::new());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A comment on the line itself. Two spaces or more are left alone: they line comments up.
fn beside(text: &str) -> String {
    let comment = text.trim();
    let spaces = text.chars().take_while(|c| *c == ' ').count().max(2);
    if comment.is_empty() { String::new() } else { format!("{}{comment}", " ".repeat(spaces)) }
}

fn header(table: &mut Table) {
    let decor = table.decor_mut();
    let prefix = before(raw(decor.prefix()), true);
    let suffix = beside(raw(decor.suffix()));
    decor.set_prefix(prefix);
    decor.set_suffix(suffix);
}

fn table(of: &mut Table) {
    for (mut key, item) in of.iter_mut() {
        match item {
            Item::Value(value) => {
                let width = key.display_repr().chars().count();
                let decor = key.leaf_decor_mut();
                let prefix = before(raw(decor.prefix()), false);
                decor.set_prefix(prefix.clone());
                decor.set_suffix(" ");
                let suffix = beside(raw(value.decor().suffix()));
                // `key = ` and the comment are on the same line.
                let room = WIDTH.saturating_sub(width + 3);
                let bound = excepts(&prefix) || excepts(&suffix);
                let as_written = value.clone();
                layout(value, room);
                if bound && lines(value) != lines(&as_written) {
                    *value = as_written;
                }
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(suffix.clone());
            }
            Item::Table(inner) => {
                header(inner);
                table(inner);
            }
            Item::ArrayOfTables(list) => list.iter_mut().for_each(|inner| {
                header(inner);
                table(inner);
            }),
            Item::None => {}
        }
    }
}

/// True if a comment says something about the line it stands on, so that what stands on that
/// line may not leave it.
fn excepts(comment: &str) -> bool {
    comment.contains("lint: allow(")
}

fn lines(value: &Value) -> usize {
    value.to_string().trim().lines().count()
}

fn layout(value: &mut Value, room: usize) {
    match value {
        Value::Array(list) => array(list, room),
        Value::InlineTable(inline) => inline_table(inline),
        _ => {}
    }
}

/// One line, unless something in it asks for more.
fn inline_table(inline: &mut InlineTable) {
    if inline.to_string().contains('\n') {
        return;
    }
    inline.fmt();
    inline.iter_mut().for_each(|(_, value)| {
        layout(value, usize::MAX);
        value.decor_mut().set_prefix(" ");
    });
    let last = inline.len().saturating_sub(1);
    for (index, (_, value)) in inline.iter_mut().enumerate() {
        value.decor_mut().set_suffix(if index == last { " " } else { "" });
    }
}

/// What stands in front of each element, and behind the last.
fn gaps(list: &Array) -> Vec<Vec<String>> {
    let mut gaps = Vec::new();
    let mut carried = String::new();
    for value in list.iter() {
        let gap = format!("{carried}{}", raw(value.decor().prefix()));
        gaps.push(gap.split('\n').map(|line| line.trim().to_owned()).collect());
        raw(value.decor().suffix()).clone_into(&mut carried);
    }
    let gap = format!("{carried}{}", raw(Some(list.trailing())));
    gaps.push(gap.split('\n').map(|line| line.trim().to_owned()).collect());
    gaps
}

fn array(list: &mut Array, room: usize) {
    let gaps = gaps(list);
    let remarked = gaps.iter().flatten().any(|line| !line.is_empty());
    let spread = list.trailing_comma() && !list.is_empty();
    // Elements that share a line share the exception beside it.
    let shared = gaps.iter().take(list.len()).any(|gap| gap.len() == 1);
    if shared && gaps.iter().flatten().any(|line| excepts(line)) {
        return;
    }
    for value in list.iter_mut() {
        value.decor_mut().set_prefix("");
        value.decor_mut().set_suffix("");
        layout(value, usize::MAX);
    }
    let texts: Vec<String> = list.iter().map(|value| value.to_string()).collect();
    let width = texts.iter().map(|text| text.chars().count() + 2).sum::<usize>();
    if !remarked && (room == usize::MAX || (width <= room && !spread)) {
        list.iter_mut().skip(1).for_each(|value| value.decor_mut().set_prefix(" "));
        list.set_trailing_comma(false);
        list.set_trailing("");
        return;
    }
    // One element a line where the author asked for it, else as many as fit.
    let single = remarked || spread;
    let mut column = WIDTH;
    for ((index, value), text) in list.iter_mut().enumerate().zip(&texts) {
        let length = text.chars().count() + 2;
        let breaks = single || column + length > WIDTH;
        column = if breaks { INDENT.len() + length } else { column + length };
        let gap = gaps.get(index).map_or(&[][..], Vec::as_slice);
        let prefix = if breaks { between(gap, index > 0) + INDENT } else { " ".to_owned() };
        value.decor_mut().set_prefix(prefix);
    }
    let end = gaps.last().map_or(&[][..], Vec::as_slice);
    let end = between(end, !texts.is_empty());
    list.set_trailing_comma(single && !texts.is_empty());
    list.set_trailing(end);
}

/// Comments between two elements: the first line stays beside the element before it.
fn between(gap: &[String], behind: bool) -> String {
    let mut text = String::new();
    let mut rest = gap;
    if let (Some((first, more)), true) = (gap.split_first(), behind)
        && !first.is_empty()
    {
        text.push_str("  ");
        text.push_str(first);
        rest = more;
    }
    text.push('\n');
    for line in rest.iter().filter(|line| !line.is_empty()) {
        text.push_str(INDENT);
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(text: &str, expected: &str) {
        let once = format(text).unwrap_or_else(|error| error);
        assert_eq!(once, expected, "\n--- now ---\n{once}");
        assert_eq!(format(&once).as_deref(), Ok(expected), "laid out twice");
    }

    #[test]
    fn spaces_and_empty_lines() {
        becomes("\n\n# a\nx=1\n\n\n\ny   =   \"#\" # c\n", "# a\nx = 1\n\ny = \"#\"  # c\n");
        becomes("x = 1\n[a]\ny=2\n   [b] # b\n", "x = 1\n\n[a]\ny = 2\n\n[b]  # b\n");
        becomes("x = 1    # a\nyy = 2   # b\n", "x = 1    # a\nyy = 2   # b\n");
        becomes(
            "[a]\n  # one\n\n  # two\n  y = 2\n# end\n\n",
            "[a]\n# one\n\n# two\ny = 2\n# end\n",
        );
        becomes("[[n]]\na=1\n[[n]]\na=2", "[[n]]\na = 1\n\n[[n]]\na = 2\n");
    }

    #[test]
    fn lists() {
        becomes("a=[ \"x\",\"y\" ]", "a = [\"x\", \"y\"]\n");
        becomes("a=[ \"x\",\n\"y\" ]", "a = [\"x\", \"y\"]\n");
        becomes("a=[\"x\",\"y\",]", "a = [\n  \"x\",\n  \"y\",\n]\n");
        becomes("a=[]", "a = []\n");
        becomes(
            "a=[\"x\",   # one\n# two\n{b=1,c=[1,2]}   # three\n]  # four\n",
            "a = [\n  \"x\",  # one\n  # two\n  { b = 1, c = [1, 2] },  # three\n]  # four\n",
        );
        becomes("a=[ # zero\n1 ]", "a = [\n  # zero\n  1,\n]\n");
    }

    /// An exception is about a line: what it is about may not move to another.
    #[test]
    fn what_shares_a_line_with_an_exception_stays_there() {
        let long: String = (0..12).map(|i| format!("\"capability.{i:02}\", ")).collect();
        for text in [
            format!("a = [{long}] # lint: allow(x) why\n"),
            format!("# lint: allow(x) why\na = [{long}]\n"),
            "# lint: allow(x) why\na = [\"x\",\"y\",]\n".to_owned(),
            "a = [\n  \"x\", \"y\", # lint: allow(x) why\n  \"z\",\n]\n".to_owned(),
            "a = [ \"x\", # lint: allow(x) why\n \"z\" ]\n".to_owned(),
        ] {
            let with = |text: &str| {
                let line = text.lines().find(|line| line.contains("\"x\"") || line.contains("00"));
                (text.matches('\n').count(), line.map(|line| line.contains("\"y\"")))
            };
            let once = format(&text).unwrap_or_else(|error| error);
            assert_eq!(with(&once), with(&text), "{text}{once}");
            assert_eq!(format(&once).as_deref(), Ok(once.as_str()));
        }
        becomes(
            "a=[\n\"x\",  # lint: allow(x) why\n\"y\"]",
            "a = [\n  \"x\",  # lint: allow(x) why\n  \"y\",\n]\n",
        );
    }

    #[test]
    fn long_lists_are_filled() {
        let names: Vec<String> = (0..20).map(|i| format!("\"capability.{i:02}\"")).collect();
        let once = format(&format!("allow = [{}]\n", names.join(","))).unwrap_or_default();
        assert!(once.lines().all(|line| line.len() <= WIDTH) && once.lines().count() > 3, "{once}");
        assert_eq!(format(&once).as_deref(), Ok(once.as_str()).map(|text: &str| text));
    }

    #[test]
    fn test_reject_what_is_not_toml() {
        assert!(format("a = [").is_err() && format("a = 1\na = 2\n").is_err());
    }
}
