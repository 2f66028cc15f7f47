//! `unsafe` stands in five islands; every other crate root forbids it.
use crate::Violation;
use crate::tokens::{Token, tokens};
use crate::tree::File;

/// The islands: a crate's directory, or one file. Each is a place where the language cannot
/// express what the hardware does, and where every block carries its argument.
pub const ISLANDS: [&str; 5] = [
    "source/kernel/rv64/",
    "source/libs/nexus-rt/",
    "source/libs/nexus-abi/src/os.rs",
    "source/drivers/mmio/",
    "source/drivers/virtio/src/dma",
];

/// Roots that deny instead of forbidding, because one file of theirs is an island.
const DENYING: [&str; 2] = ["source/libs/nexus-abi/src/lib.rs", "source/drivers/virtio/src/lib.rs"];

/// True for a file of an island.
#[must_use]
pub fn is_island(path: &str) -> bool {
    ISLANDS.iter().any(|island| path.starts_with(island))
}

/// Every `unsafe` outside the islands, and every crate root outside them that allows it.
#[must_use]
pub fn check(files: &[&File]) -> Vec<Violation> {
    files.iter().filter(|file| !is_island(&file.path)).flat_map(|file| check_file(file)).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let tokens = tokens(&file.text);
    let keyword = |t: &&Token| t.ident() == Some("unsafe");
    let place = |line| format!("{}:{line}", file.path);
    let mut found: Vec<Violation> = tokens
        .iter()
        .filter(keyword)
        .map(|t| format!("{}: unsafe outside the islands", place(t.line)))
        .collect();
    if is_root(&file.path) && !states_level(&tokens, level(&file.path)) {
        found.push(format!(
            "{}: crate root without #![{}(unsafe_code)]",
            place(1),
            level(&file.path)
        ));
    }
    found
}

fn level(path: &str) -> &'static str {
    if DENYING.contains(&path) { "deny" } else { "forbid" }
}

fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

/// True if an inner attribute says exactly `#![<level>(unsafe_code)]`, unconditionally.
fn states_level(tokens: &[Token], level: &str) -> bool {
    tokens.windows(7).any(|window| match window {
        [hash, bang, open, word, paren, lint, close] => {
            hash.is('#')
                && bang.is('!')
                && open.is('[')
                && word.ident() == Some(level)
                && paren.is('(')
                && lint.ident() == Some("unsafe_code")
                && close.is(')')
        }
        _ => false,
    })
}

/// How many times `unsafe` stands in the islands, and in how many files.
#[must_use]
pub fn count(files: &[&File]) -> (usize, usize) {
    let per_file = files
        .iter()
        .filter(|file| is_island(&file.path))
        .map(|file| tokens(&file.text).iter().filter(|t| t.ident() == Some("unsafe")).count());
    per_file.filter(|count| *count > 0).fold((0, 0), |(sum, files), count| (sum + count, files + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&[&File::new(path, text)]).len()
    }

    const ROOT: &str = "source/services/x/src/lib.rs";
    const INNER: &str = "source/services/x/src/a.rs";

    #[test]
    fn test_reject_unsafe_outside_islands() {
        for text in
            ["unsafe { f() }", "unsafe fn f() {}", "unsafe impl X for Y {}", "#[unsafe(no_mangle)]"]
        {
            assert_eq!(found(INNER, text), 1, "{text}");
            assert_eq!(found("source/kernel/rv64/src/trap.rs", text), 0);
        }
        assert_eq!(found("source/kernel/image/src/x.rs", "unsafe {}"), 1);
        assert_eq!(found("source/libs/nexus-abi/src/ret.rs", "unsafe {}"), 1);
        assert_eq!(found("source/drivers/virtio/src/port.rs", "unsafe {}"), 1);
        assert_eq!(found("tools/nx/src/x.rs", "fn f() { unsafe {} }"), 1);
    }

    #[test]
    fn test_unsafe_in_comments_and_strings_is_fine() {
        assert_eq!(
            found(INNER, "// unsafe\n/* unsafe */ const A: &str = \"unsafe\"; let unsafe_x = 1;"),
            0
        );
    }

    #[test]
    fn test_reject_root_without_forbid() {
        assert_eq!(found(ROOT, "#![forbid(unsafe_code)] fn f() {}"), 0);
        for text in [
            "",
            "#![deny(unsafe_code)]",
            "// #![forbid(unsafe_code)]",
            "#[forbid(unsafe_code)] mod a;",
            "#![cfg_attr(test, forbid(unsafe_code))]",
            "const A: &str = \"#![forbid(unsafe_code)]\";",
        ] {
            assert_eq!(found(ROOT, text), 1, "{text}");
            assert_eq!(found("source/services/x/src/main.rs", text), 1, "{text}");
            assert_eq!(found(INNER, text), 0);
        }
    }

    #[test]
    fn test_abi_root_denies() {
        assert_eq!(found("source/libs/nexus-abi/src/lib.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(found("source/libs/nexus-abi/src/lib.rs", ""), 1);
    }

    #[test]
    fn test_count_counts_islands_only() {
        let island = File::new("source/drivers/mmio/src/lib.rs", "unsafe {} unsafe {} // unsafe");
        let other = File::new(INNER, "unsafe {}");
        assert_eq!(count(&[&island, &other]), (2, 1));
    }
}
