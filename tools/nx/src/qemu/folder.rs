//! build/runs/<n>/: everything about one boot, the newest linked as `latest`.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders kept; older ones go. About one session's worth of boots.
const KEPT: u64 = 40;

/// One run's folder.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the next one; `latest` points at it from now on.
    pub(super) fn create(root: &Path) -> Result<Self, String> {
        let runs = root.join("build").join("runs");
        fs::create_dir_all(&runs).map_err(|why| format!("{}: {why}", runs.display()))?;
        let mut number = numbers(&runs).max().unwrap_or(0) + 1;
        // Two harnesses may start at once: whoever makes the folder owns the number.
        let path = loop {
            let path = runs.join(number.to_string());
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(why) => return Err(format!("{}: {why}", path.display())),
            }
        };
        for old in numbers(&runs).filter(|n| n + KEPT <= number) {
            let _ = fs::remove_dir_all(runs.join(old.to_string()));
        }
        let link = runs.join("latest");
        let _ = fs::remove_file(&link);
        let _ = std::os::unix::fs::symlink(number.to_string(), &link);
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The console log's place.
    pub(super) fn serial(&self) -> PathBuf {
        self.path.join("serial.log")
    }

    pub(super) fn serial_file(&self) -> Result<File, String> {
        self.open("serial.log")
    }

    pub(super) fn stderr(&self) -> Result<File, String> {
        self.open("qemu-stderr.log")
    }

    /// The exact command line, to run again by hand.
    pub(super) fn write_command(&self, command: &Command) -> Result<(), String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        let path = self.path.join("command.sh");
        fs::write(&path, words.join(" ") + "\n").map_err(|why| format!("{}: {why}", path.display()))
    }

    fn open(&self, name: &str) -> Result<File, String> {
        let path = self.path.join(name);
        File::create(&path).map_err(|why| format!("{}: {why}", path.display()))
    }
}

fn numbers(runs: &Path) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
