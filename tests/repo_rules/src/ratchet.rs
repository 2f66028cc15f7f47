//! Figures that may fall and not rise, kept in tests/ratchet.toml.
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::tokens::{Kind, Token, tokens, without_tests};
use crate::tree::File;
use crate::{Violation, cfg_axis, islands};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Today's figure; a higher one fails.
    pub at_most: usize,
    /// Where the design draws the line; `at_most` may never be above it.
    pub limit: Option<usize>,
    /// What is counted, and what set the limit.
    pub what: String,
}

/// What was counted, and where the worst of it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Name, as in the file.
    pub name: &'static str,
    /// The count.
    pub value: usize,
    /// For people.
    pub place: String,
}

/// Reads tests/ratchet.toml.
///
/// # Errors
/// When the text does not parse.
pub fn parse(text: &str) -> Result<BTreeMap<String, Line>, String> {
    toml::from_str(text).map_err(|why| why.to_string())
}

/// Figures above their line, lines above their limit, lines and figures without each other.
#[must_use]
pub fn check(lines: &BTreeMap<String, Line>, figures: &[Figure]) -> Vec<Violation> {
    let mut found = Vec::new();
    for figure in figures {
        match lines.get(figure.name) {
            None => found.push(format!("ratchet.toml has no line for {}", figure.name)),
            Some(line) if figure.value > line.at_most => found.push(format!(
                "{} is {}, may be {} ({}); worst: {}",
                figure.name, figure.value, line.at_most, line.what, figure.place
            )),
            Some(_) => {}
        }
    }
    for (name, line) in lines {
        if line.limit.is_some_and(|limit| line.at_most > limit) {
            found.push(format!("ratchet.toml: {name} is above its own limit"));
        }
        if !figures.iter().any(|figure| figure.name == name) {
            found.push(format!("ratchet.toml: nothing counts {name}"));
        }
    }
    found
}

/// Counts everything.
#[must_use]
pub fn measure(rust: &[&File]) -> Vec<Figure> {
    let (uses, files) = islands::count(rust);
    let count = |name, value| Figure { name, value, place: "the whole tree".to_owned() };
    vec![
        longest_file(rust),
        longest_function(rust),
        kernel_code_lines(rust),
        count("unsafe_uses", uses),
        count("unsafe_files", files),
        count("cfg_axis_uses", cfg_axis::count(rust)),
    ]
}

fn longest_file(rust: &[&File]) -> Figure {
    let lengths = rust.iter().map(|file| (file.text.lines().count(), file.path.clone()));
    let (value, place) = lengths.max().unwrap_or_default();
    Figure { name: "longest_file", value, place }
}

/// Outside tests: a test may be one long table.
fn longest_function(rust: &[&File]) -> Figure {
    let of_file = |file: &&&File| {
        let tokens = without_tests(&tokens(&file.text));
        functions(&tokens).max().map(|(len, line)| (len, format!("{}:{line}", file.path)))
    };
    let longest =
        rust.iter().filter(|file| !file.is_test()).filter_map(|file| of_file(&file)).max();
    let (value, place) = longest.unwrap_or_default();
    Figure { name: "longest_function", value, place }
}

/// (length in lines, first line) of every function with a body.
fn functions(tokens: &[Token]) -> impl Iterator<Item = (usize, usize)> {
    let starts = tokens.iter().enumerate().filter(|(_, t)| t.ident() == Some("fn"));
    starts.filter_map(|(at, start)| {
        let rest = tokens.get(at + 1..)?;
        // `fn(u8)` is a type.
        rest.first()?.ident()?;
        let end = body_end(rest)?;
        Some((end + 1 - start.line, start.line))
    })
}

/// Last line of the body; `None` for a declaration that ends in `;`.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let (mut round, mut curly) = (0_usize, 0_usize);
    for token in tokens {
        match token.kind {
            Kind::Punct('(' | '[') => round += 1,
            Kind::Punct(')' | ']') => round = round.saturating_sub(1),
            Kind::Punct(';') if round == 0 && curly == 0 => return None,
            Kind::Punct('{') => curly += 1,
            Kind::Punct('}') => {
                curly = curly.saturating_sub(1);
                if curly == 0 && round == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

/// Lines with code on them in the kernel, tests left out.
fn kernel_code_lines(rust: &[&File]) -> Figure {
    let kernel = rust.iter().filter(|file| is_kernel(&file.path) && !file.is_test());
    let lines = kernel.map(|file| {
        let tokens = without_tests(&tokens(&file.text));
        tokens.iter().flat_map(|t| t.line..=t.end).collect::<BTreeSet<_>>().len()
    });
    Figure { name: "kernel_code_lines", value: lines.sum(), place: "source/kernel".to_owned() }
}

fn is_kernel(path: &str) -> bool {
    path.starts_with("source/kernel/") && path.contains("/src/")
}

/// The file's text with every `at_most` lowered to what is counted; none is ever raised.
#[must_use]
pub fn lowered(text: &str, figures: &[Figure]) -> String {
    let mut section = "";
    let mut out = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let old = line.strip_prefix("at_most = ").and_then(|n| n.parse::<usize>().ok());
        let now = figures.iter().find(|f| f.name == section).map(|f| f.value);
        match (old, now) {
            (Some(old), Some(now)) => out.push_str(&format!("at_most = {}\n", now.min(old))),
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &'static str, value: usize) -> Figure {
        Figure { name, value, place: String::new() }
    }

    const TEXT: &str = "# why\n[a]\nat_most = 10\nlimit = 20\nwhat = \"lines\"\n";

    #[test]
    fn test_within_passes() {
        assert_eq!(check(&parse(TEXT).unwrap(), &[figure("a", 10)]), [""; 0]);
    }

    #[test]
    fn test_reject_rise_and_mismatch() {
        let lines = parse(TEXT).unwrap();
        assert_eq!(check(&lines, &[figure("a", 11)]).len(), 1);
        assert_eq!(check(&lines, &[]).len(), 1);
        assert_eq!(check(&lines, &[figure("a", 1), figure("b", 1)]).len(), 1);
        let above = parse(&TEXT.replace("limit = 20", "limit = 9")).unwrap();
        assert_eq!(check(&above, &[figure("a", 1)]).len(), 1);
    }

    #[test]
    fn test_lowered_only_lowers() {
        assert_eq!(lowered(TEXT, &[figure("a", 7)]), TEXT.replace("10", "7"));
        assert_eq!(lowered(TEXT, &[figure("a", 12)]), TEXT);
        assert_eq!(lowered(TEXT, &[figure("b", 1)]), TEXT);
    }

    fn value(path: &str, text: &str, name: &str) -> usize {
        let file = File::new(path, text);
        measure(&[&file]).into_iter().find(|f| f.name == name).map_or(usize::MAX, |f| f.value)
    }

    #[test]
    fn test_function_length() {
        let text =
            "trait T { fn a(x: [u8; 2]); }\nfn b() {\n  let f: fn(u8) = |_| { \"}\n\" ; };\n}\n";
        assert_eq!(value("source/a/src/l.rs", text, "longest_function"), 4);
        let with_test = format!("{text}#[cfg(test)]\nmod t {{ fn c() {{\n\n\n\n\n\n\n}} }}");
        assert_eq!(value("source/a/src/l.rs", &with_test, "longest_function"), 4);
    }

    #[test]
    fn test_file_length_and_kernel_lines() {
        let text = "// comment\n\nfn a() {\n  b(); // c\n}\n#[cfg(test)]\nmod t {\n}\n";
        assert_eq!(value("source/kernel/core/src/l.rs", text, "longest_file"), 8);
        assert_eq!(value("source/kernel/core/src/l.rs", text, "kernel_code_lines"), 3);
        assert_eq!(value("source/kernel/core/tests/l.rs", text, "kernel_code_lines"), 0);
        assert_eq!(value("source/libs/a/src/l.rs", text, "kernel_code_lines"), 0);
    }

    #[test]
    fn test_unsafe_and_axis_counts() {
        let text = "#![cfg_attr(nexus_env = \"os\", no_std)] unsafe {}";
        assert_eq!(value("source/kernel/rv64/src/l.rs", text, "unsafe_uses"), 1);
        assert_eq!(value("source/kernel/rv64/src/l.rs", text, "unsafe_files"), 1);
        assert_eq!(value("source/kernel/rv64/src/l.rs", text, "cfg_axis_uses"), 1);
    }
}
