//! No machine's paths and no package registry's address in what is committed.
use crate::Violation;
use crate::tree::File;

/// First directories that exist on one machine and not on the next.
const MACHINE_DIRS: [&str; 3] = ["work", "root", "home"];
/// Words of a registry's or mirror's address.
const REGISTRY_WORDS: [&str; 4] = ["registry", "mirror", "simple/", "/debian"];

/// Every line with a machine path or a registry address. Lock files name their registry by
/// design.
#[must_use]
pub fn check(files: &[&File]) -> Vec<Violation> {
    let checked = files.iter().filter(|file| !file.path.ends_with("Cargo.lock"));
    checked.flat_map(|file| check_file(file)).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let what = if has_machine_path(line) {
                "machine path"
            } else if has_registry(line) {
                "registry address"
            } else {
                return None;
            };
            Some(format!("{}:{}: {what}", file.path, index + 1))
        })
        .collect()
}

/// A path into one of the [`MACHINE_DIRS`] at the start of a word.
fn has_machine_path(line: &str) -> bool {
    MACHINE_DIRS.iter().any(|dir| {
        let path = format!("/{dir}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line.get(..at).and_then(|s| s.chars().next_back());
            let after = line.get(at + path.len()..).and_then(|s| s.chars().next());
            before.is_none_or(|c| " \t\"'`=(:".contains(c))
                && after.is_some_and(|c| c.is_ascii_lowercase())
        })
    })
}

fn has_registry(line: &str) -> bool {
    ["http://", "https://"].iter().flat_map(|scheme| line.split(scheme).skip(1)).any(|rest| {
        let address = rest.split([' ', ')', '"']).next().unwrap_or_default();
        REGISTRY_WORDS.iter().any(|word| address.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        check(&[&File::new("a.md", text)]).len()
    }

    /// Written in pieces, so that the rule does not find its own tests.
    fn path(dir: &str, rest: &str) -> String {
        format!("/{dir}/{rest}")
    }

    #[test]
    fn test_reject_machine_paths() {
        for dir in MACHINE_DIRS {
            for before in ["", "a ", "\"", "x=", "("] {
                assert_eq!(found(&format!("{before}{}", path(dir, "main"))), 1);
            }
        }
    }

    #[test]
    fn test_other_paths_are_fine() {
        for text in ["a/home/x", "/homes/x", "/home", "$HOME/.cargo", "/usr/share/qemu"] {
            assert_eq!(found(text), 0, "{text}");
        }
    }

    #[test]
    fn test_reject_registries() {
        for word in REGISTRY_WORDS {
            assert_eq!(found(&format!("see https:{}x/{word}y", "//")), 1, "{word}");
        }
        assert_eq!(found(&format!("https:{}a.b/c and a registry", "//")), 0);
        assert_eq!(check(&[&File::new("Cargo.lock", &format!("https:{}registry", "//"))]).len(), 0);
    }
}
