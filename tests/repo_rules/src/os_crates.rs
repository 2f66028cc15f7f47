//! External crates in the image: one allow list, a reason for each.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Violation;

/// Where the compiled parts of the image run.
const OS_TARGET: &str = "riscv64imac-unknown-none-elf";

/// Crates that no reason can let in: they need an OS below them that is not there, or draw
/// entropy or locks from it.
const NEVER: [&str; 4] = ["getrandom", "parking_lot", "libc", "std_detect"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    reason: String,
}

/// The allow list: crate name to reason.
///
/// # Errors
/// When the text does not parse.
pub fn allowed(os_crates_toml: &str) -> Result<BTreeMap<String, String>, String> {
    let entries: BTreeMap<String, Entry> =
        toml::from_str(os_crates_toml).map_err(|why| why.to_string())?;
    Ok(entries.into_iter().map(|(name, entry)| (name, entry.reason)).collect())
}

/// Every external crate that is not on the list, must never be, or is on it without need.
/// `used` holds (program, external crate).
#[must_use]
pub fn check(allowed: &BTreeMap<String, String>, used: &[(String, String)]) -> Vec<Violation> {
    let unlisted = used.iter().filter(|(_, name)| !allowed.contains_key(name));
    let mut found: Vec<Violation> =
        unlisted.map(|(by, name)| format!("{by} pulls in {name}, not in os-crates.toml")).collect();
    let never = NEVER.iter().filter(|name| allowed.contains_key(**name));
    found.extend(never.map(|name| format!("os-crates.toml: {name} may never be allowed")));
    for (name, reason) in allowed {
        if reason.trim().is_empty() {
            found.push(format!("os-crates.toml: {name} has no reason"));
        }
        if !used.iter().any(|(_, user)| user == name) {
            found.push(format!("os-crates.toml: {name} is in no image"));
        }
    }
    found
}

/// What `cargo tree --prefix none --format {p}` lists, without the tree's own crates: those
/// have a path behind their version.
#[must_use]
pub fn externals(cargo_tree: &str) -> Vec<String> {
    let names = cargo_tree.lines().filter(|line| !line.contains(" (/") && !line.trim().is_empty());
    let mut names: Vec<String> =
        names.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The external crates that one program of the image is built from, as cargo resolves them for
/// the image. Procedural macros run on the host and are left out.
///
/// # Errors
/// When cargo cannot say.
pub fn of_program(root: &Path, package: &str) -> Result<Vec<String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["tree", "--locked", "--offline", "--target", OS_TARGET, "-p", package])
        .args(["-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .output()
        .map_err(|why| format!("cargo tree: {why}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo tree -p {package}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(externals(&String::from_utf8_lossy(&output.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    fn used(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn test_list_and_use_agree() {
        assert_eq!(check(&list(&[("blake3", "digest")]), &used(&[("policyd", "blake3")])), [""; 0]);
    }

    #[test]
    fn test_reject_unlisted_unneeded_and_unreasoned() {
        assert_eq!(check(&list(&[]), &used(&[("policyd", "blake3")])).len(), 1);
        assert_eq!(check(&list(&[("blake3", "digest")]), &[]).len(), 1);
        assert_eq!(check(&list(&[("blake3", "")]), &used(&[("policyd", "blake3")])).len(), 1);
    }

    #[test]
    fn test_reject_crates_that_never_fit() {
        for name in NEVER {
            let found = check(&list(&[(name, "please")]), &used(&[("policyd", name)]));
            assert_eq!(found, [format!("os-crates.toml: {name} may never be allowed")]);
        }
    }

    #[test]
    fn test_externals_reads_cargo_tree() {
        let text = "policyd v0.1.0 (/a/policyd)\nblake3 v1.8.7\narrayref v0.3.9\n\
            nexus-abi v0.1.0 (/a/abi) (*)\nblake3 v1.8.7 (*)\n\n";
        assert_eq!(externals(text), ["arrayref", "blake3"]);
    }

    #[test]
    fn test_allow_list_parses() {
        assert_eq!(
            allowed("[blake3]\nreason = \"digest\"\n").unwrap(),
            list(&[("blake3", "digest")])
        );
        assert!(allowed("[blake3]\nwhy = \"digest\"\n").is_err());
    }
}
