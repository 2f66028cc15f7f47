//! The files of the tree, as git knows them.
use std::path::{Path, PathBuf};
use std::process::Command;

/// One text file.
#[derive(Debug, Clone)]
pub struct File {
    /// Path from the top of the tree, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// For tests of rules.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The directory of the crate it belongs to, by the layout `…/src/…`, `…/tests/…`,
    /// `…/benches/…`, `…/examples/…` or a file beside `Cargo.toml`.
    #[must_use]
    pub fn crate_dir(&self) -> &str {
        let inner = ["/src/", "/tests/", "/benches/", "/examples/"];
        let cut = inner.iter().filter_map(|dir| self.path.rfind(dir)).min();
        let cut = cut.or_else(|| self.path.rfind('/'));
        cut.and_then(|at| self.path.get(..at)).unwrap_or("")
    }

    /// True for a file that is only compiled into tests.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let dir = self.path.starts_with("tests/") || self.path.contains("/tests/");
        dir || name == "tests.rs" || name.ends_with("_tests.rs")
    }
}

/// The top of the tree this crate stands in.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every text file that is tracked or could be: what git would commit.
///
/// # Errors
/// When git cannot be asked.
pub fn files(root: &Path) -> Result<Vec<File>, String> {
    let listed = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|why| format!("git: {why}"))?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into_owned());
    }
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut paths: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    // Binary files and files deleted but not yet committed have nothing to say.
    let read = |path: &&str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: (*path).to_owned(), text })
    };
    Ok(paths.iter().filter_map(read).collect())
}

/// Only the Rust files.
#[must_use]
pub fn rust(files: &[File]) -> Vec<&File> {
    files.iter().filter(|file| file.path.ends_with(".rs")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_crate_dir() {
        let dir = |path: &str| File::new(path, "").crate_dir().to_owned();
        assert_eq!(dir("source/services/policyd/src/lib.rs"), "source/services/policyd");
        assert_eq!(dir("source/services/policyd/src/a/b.rs"), "source/services/policyd");
        assert_eq!(dir("source/services/policyd/tests/x.rs"), "source/services/policyd");
        assert_eq!(dir("tests/repo_rules/tests/rules.rs"), "tests/repo_rules");
        assert_eq!(dir("tests/repo_rules/src/lib.rs"), "tests/repo_rules");
        assert_eq!(dir("source/libs/x/build.rs"), "source/libs/x");
    }

    #[test]
    fn test_is_test() {
        for path in [
            "tests/a/src/lib.rs",
            "source/a/tests/b.rs",
            "source/a/src/b/tests.rs",
            "a/src/b_tests.rs",
        ] {
            assert!(File::new(path, "").is_test(), "{path}");
        }
        assert!(!File::new("source/a/src/attests.rs", "").is_test());
    }
}
