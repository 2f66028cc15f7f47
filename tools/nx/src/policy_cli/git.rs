//! Reads revisions out of git's object store; the user's working tree is never touched.

use std::{path::Path, process::Command};

/// What git prints, or why it did not.
pub(super) fn run(root: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output();
    let output = output.map_err(|e| format!("git: {e}; revisions need git in the PATH"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or("failed").trim_start_matches("fatal: ").to_owned();
    Err(format!("git {}: {line}", args.first().unwrap_or(&"")))
}

fn text(root: &Path, args: &[&str]) -> Result<String, String> {
    run(root, args).map(|out| String::from_utf8_lossy(&out).trim_end().to_owned())
}

/// The commit a revision names, if it names one.
pub(super) fn commit(root: &Path, revision: &str) -> Option<String> {
    if revision.starts_with('-') {
        return None;
    }
    let wanted = format!("{revision}^{{commit}}");
    text(root, &["rev-parse", "--verify", "--quiet", &wanted]).ok().filter(|id| !id.is_empty())
}

/// Where two lines of history parted.
pub(super) fn merge_base(root: &Path, one: &str, other: &str) -> Result<String, String> {
    text(root, &["merge-base", one, other])
}

/// The files directly in a directory of a commit, by name. Paths are relative to `root`.
pub(super) fn files(root: &Path, commit: &str, dir: &str) -> Result<Vec<String>, String> {
    let dir = format!("{}/", dir.trim_end_matches('/'));
    let listed = text(root, &["ls-tree", "--name-only", "-z", commit, "--", &dir])?;
    let mut files: Vec<String> =
        listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    files.sort();
    Ok(files)
}

/// One file of a commit.
pub(super) fn file(root: &Path, commit: &str, path: &str) -> Result<Vec<u8>, String> {
    run(root, &["show", &format!("{commit}:./{path}")])
        .map_err(|_| format!("{path} does not exist in commit {}", short(commit)))
}

/// Commits that changed one of the paths, newest first.
pub(super) fn history(root: &Path, paths: &[&str]) -> Result<Vec<String>, String> {
    let mut args = vec!["log", "--format=%H", "--"];
    args.extend(paths);
    text(root, &args).map(|out| out.lines().map(str::to_owned).collect())
}

/// Enough of a commit id to find it again.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
