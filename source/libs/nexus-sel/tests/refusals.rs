//! No refusal without a test: every code and every error that the sources can give stands in a
//! test of this crate.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
use std::collections::BTreeSet;
use std::path::Path;

/// Given where the compiler broke its own promise; nothing an author writes leads there.
const UNREACHABLE: [&str; 1] = ["internal"];

fn text_of(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "rs"));
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// What stands in the tests, this file left out, and beside the code.
fn tests() -> String {
    let own = text_of("tests").replace(include_str!("refusals.rs"), "");
    own + &text_of("src/authoring").split("mod tests {").skip(1).collect::<String>()
}

#[test]
fn every_diagnostic_code_is_tested() {
    let sources = text_of("src/authoring");
    let codes: BTreeSet<&str> = sources
        .split("error(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .filter(|code| !UNREACHABLE.contains(code))
        .collect();
    assert!(codes.len() > 35, "{codes:?}");
    let tests = tests();
    let missing: Vec<&&str> =
        codes.iter().filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(missing.is_empty(), "no test refuses for {missing:?}");
}

#[test]
fn every_blob_error_is_tested() {
    let source = text_of("src");
    let (_, body) = source.split_once("pub enum BlobError {").unwrap();
    let variants = body.split('}').next().unwrap().lines().map(str::trim);
    let variants: Vec<&str> =
        variants.filter(|l| !l.starts_with("//")).filter_map(|l| l.strip_suffix(',')).collect();
    assert_eq!(variants.len(), 15, "{variants:?}");
    let tests = tests();
    for variant in variants {
        assert!(tests.contains(&format!("BlobError::{variant}")), "{variant}");
    }
}
