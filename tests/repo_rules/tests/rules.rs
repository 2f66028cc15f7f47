//! The rules, applied to the tree this crate stands in.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read the tree has failed"
)]

use std::path::PathBuf;

use repo_rules::exceptions::Exceptions;
use repo_rules::tree::{self, File};
use repo_rules::{
    Violation, cfg_axis, deps, hosts, islands, magic, named_tests, names, os_crates, ratchet,
};

fn all() -> Vec<File> {
    let files = tree::files(&tree::root()).expect("git lists the tree");
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

fn read(path: &str) -> String {
    let path: PathBuf = tree::root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn exceptions() -> Exceptions {
    Exceptions::parse(&read("tests/repo_rules/exceptions.toml")).expect("list parses")
}

fn none(found: &[Violation]) {
    assert!(found.is_empty(), "{} broken:\n  {}", found.len(), found.join("\n  "));
}

#[test]
fn test_dependency_rules() {
    none(&deps::check(&deps::crates(&all()).expect("every Cargo.toml parses")));
}

#[test]
fn test_external_crates_of_the_image_are_listed() {
    let allowed =
        os_crates::allowed(&read("tests/repo_rules/os-crates.toml")).expect("list parses");
    let programs = deps::crates(&all()).expect("every Cargo.toml parses");
    let in_image = ["source/kernel/image", "source/init/", "source/services/", "source/apps/"];
    let programs = programs.iter().filter(|c| in_image.iter().any(|dir| c.dir.starts_with(dir)));
    let mut used = Vec::new();
    for program in programs {
        let externals = os_crates::of_program(&tree::root(), &program.name).expect("cargo answers");
        used.extend(externals.into_iter().map(|name| (program.name.clone(), name)));
    }
    none(&os_crates::check(&allowed, &used));
}

#[test]
fn test_unsafe_stands_in_the_islands_only() {
    none(&islands::check(&tree::rust(&all())));
}

#[test]
fn test_one_cfg_axis() {
    none(&cfg_axis::check(&tree::rust(&all())));
}

#[test]
fn test_services_are_named_by_the_manifest() {
    let files = all();
    let services = names::services(&read("recipes/system.toml")).expect("manifest parses");
    none(&names::check(&tree::rust(&files), &services, &mut exceptions()));
    none(&names::slot_numbers(&tree::rust(&files)));
}

#[test]
fn test_frames_are_spelled_in_nexus_wire_only() {
    let files = all();
    let magics = magic::declared(&tree::rust(&files));
    assert!(magics.len() >= 5, "nexus-wire declares {} protocols", magics.len());
    none(&magic::check(&tree::rust(&files), &magics, &mut exceptions()));
}

/// The table of negative tests names tests that exist, and leaves out no number.
#[test]
fn test_negative_tests_that_are_named_exist() {
    let (path, files) = ("docs/security/negative-tests.md", all());
    let document = read(path);
    let markers = read("recipes/markers.toml");
    none(&named_tests::check(path, &document, &tree::rust(&files), &markers));
    let wanted = [('K', 43), ('R', 12), ('S', 20)];
    let ids = wanted.iter().flat_map(|(c, last)| (1..=*last).map(move |n| format!("{c}{n:02}")));
    let absent = ids.filter(|id| !document.contains(&format!("\n| {id} |")));
    none(&absent.collect::<Vec<_>>());
}

#[test]
fn test_no_machine_paths_or_registries() {
    none(&hosts::check(&all().iter().collect::<Vec<_>>()));
}

/// `RATCHET_BLESS=1` lowers what has fallen; nothing is ever raised by machine.
#[test]
fn test_ratchet() {
    let figures = ratchet::measure(&tree::rust(&all()));
    let text = read("tests/ratchet.toml");
    if std::env::var_os("RATCHET_BLESS").is_some() {
        let lowered = ratchet::lowered(&text, &figures);
        std::fs::write(tree::root().join("tests/ratchet.toml"), lowered).expect("file is writable");
    }
    none(&ratchet::check(&ratchet::parse(&text).expect("file parses"), &figures));
}
