//! What a document names as proof exists: every name in the last column of a table of tests is a
//! function in the tree or a marker of recipes/markers.toml.
use std::collections::BTreeSet;

use crate::Violation;
use crate::tree::File;

/// Names in back quotes in the last column of the rows that begin with a numbered test.
#[must_use]
pub fn named(document: &str) -> Vec<(usize, String)> {
    let rows = document.lines().zip(1..).filter_map(|(line, at)| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let id = cells.first()?;
        let numbered = id.len() == 3 && id.chars().skip(1).all(|c| c.is_ascii_digit());
        numbered.then(|| (at, (*cells.last().unwrap_or(&"")).to_owned()))
    });
    rows.flat_map(|(at, cell)| {
        let names: Vec<_> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names.into_iter().map(move |name| (at, name))
    })
    .collect()
}

/// Every name that is neither.
#[must_use]
pub fn check(path: &str, document: &str, rust: &[&File], markers: &str) -> Vec<Violation> {
    let functions: BTreeSet<&str> = rust
        .iter()
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.trim_start().strip_prefix("fn ")?.split(['(', '<']).next())
        .collect();
    let missing = |name: &str| {
        let marker = name.contains(' ') && markers.contains(&format!("\"{name}\""));
        !marker && !functions.contains(name)
    };
    let names = named(document).into_iter().filter(|(_, name)| missing(name));
    names.map(|(line, name)| format!("{path}:{line}: there is no `{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text `no_row`\n| K01 | what `not_here` | `a_test`; marker `A: is ok` |\n";

    #[test]
    fn names_of_the_last_column_are_looked_for() {
        let source = File::new("a.rs", "#[test]\nfn a_test() {}\n");
        let markers = "text = \"A: is ok\"";
        assert!(check("d.md", TABLE, &[&source], markers).is_empty());
        assert_eq!(check("d.md", TABLE, &[], markers), ["d.md:2: there is no `a_test`"]);
        assert_eq!(check("d.md", TABLE, &[&source], ""), ["d.md:2: there is no `A: is ok`"]);
    }
}
