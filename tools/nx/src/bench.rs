//! `nx bench`: instruction counts from the bench image, held against their budget.
//!
//! Counts are exact under `-icount shift=0`, so there is no tolerance: on the pinned toolchain a
//! figure above its blessed value fails, and a lower one is blessed in the same commit.
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::judge::{Ending, GUEST_FAILURE, MARKER_FAILURE, PASSED, TIMED_OUT, USAGE};
use crate::qemu;

mod budget;
mod report;
#[cfg(test)]
mod tests;

use budget::Budget;
use report::Measurement;

/// Boot the bench image and hold its instruction counts against tests/bench/budget.toml
#[derive(Debug, clap::Args)]
#[command(after_help = qemu::EXIT_CODES)]
pub(crate) struct BenchArgs {
    /// Image to boot: build/<IMAGE>/nexus.img
    #[arg(long, default_value = "bench")]
    image: String,
    /// Write the measured figures as the new blessed values; the diff is the review
    #[arg(long)]
    bless: bool,
    /// Give up after this long (seconds, or with a suffix s or m)
    #[arg(long, default_value = "300s", value_parser = qemu::parse_duration)]
    timeout: Duration,
}

/// Why there is nothing to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BenchError {
    /// No `BENCH-BEGIN` … `BENCH-END` block, or more than one.
    NoReport,
    /// A line of the block is no measurement.
    BadRow(String),
    /// The same row twice.
    TwiceMeasured(String),
    /// A calibration row is missing or off: the counts mean nothing.
    NotCalibrated { name: &'static str, want: u64, got: Option<u64> },
    /// The budget file does not parse.
    BadBudget(String),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReport => {
                f.write_str("no single block between BENCH-BEGIN and BENCH-END from one process")
            }
            Self::BadRow(line) => write!(f, "not a measurement: {line}"),
            Self::TwiceMeasured(name) => write!(f, "measured twice: {name}"),
            Self::NotCalibrated { name, want, got: None } => {
                write!(f, "refused: calibration row {name} is missing, must be {want}")
            }
            Self::NotCalibrated { name, want, got: Some(got) } => {
                write!(
                    f,
                    "refused: {name} is {got}, must be {want}; counts without calibration are noise"
                )
            }
            Self::BadBudget(why) => write!(f, "tests/bench/budget.toml: {why}"),
        }
    }
}

/// Runs the command; the result is the process's exit code.
pub(crate) fn run(root: &Path, args: &BenchArgs) -> u8 {
    let image = qemu::image_path(root, &args.image);
    let boot = qemu::Boot {
        disk: qemu::disk::beside(&image),
        image,
        smp: 1,
        timeout: args.timeout,
        entropy: None,
        writes: None,
        root: root.to_owned(),
    };
    let outcome = match qemu::capture(&boot) {
        Ok(outcome) => outcome,
        Err(why) => {
            eprintln!("nx bench: {why}");
            return USAGE;
        }
    };
    match outcome.ending {
        Ending::Exit(0) => judge_report(root, args, &outcome.log),
        Ending::TimedOut => {
            eprintln!("nx bench: no end after {:?}", args.timeout);
            TIMED_OUT
        }
        ending => {
            eprintln!("nx bench: the guest failed ({ending:?}); see {}", outcome.folder.display());
            GUEST_FAILURE
        }
    }
}

fn judge_report(root: &Path, args: &BenchArgs, log: &str) -> u8 {
    let path = budget_path(root);
    let compared = report::parse(log).and_then(|rows| {
        let budget = Budget::load(&path)?;
        let rows = budget.with_differences(rows);
        Ok((budget, rows))
    });
    let (budget, rows) = match compared {
        Ok(pair) => pair,
        Err(why) => {
            eprintln!("nx bench: {why}");
            return MARKER_FAILURE;
        }
    };
    let pinned = on_pinned_toolchain(root);
    if args.bless && pinned {
        return bless(&path, &rows);
    }
    let lines = budget.compare(&rows);
    print!("{}", budget::table(&lines));
    let over = lines.iter().filter(|line| line.outcome.fails()).count();
    let within = lines.len() - over;
    if !pinned {
        println!("another toolchain than the pinned one built this: reported, not judged");
        return if args.bless { USAGE } else { PASSED };
    }
    println!("bench: {within} passed, {over} failed");
    if over == 0 { PASSED } else { MARKER_FAILURE }
}

fn bless(path: &Path, rows: &[Measurement]) -> u8 {
    let written = std::fs::read_to_string(path)
        .map(|text| budget::blessed(&text, rows))
        .and_then(|text| std::fs::write(path, text));
    match written {
        Ok(()) => {
            println!("blessed {} figures in {}; review the diff", rows.len(), path.display());
            PASSED
        }
        Err(why) => {
            eprintln!("nx bench: {}: {why}", path.display());
            USAGE
        }
    }
}

fn budget_path(root: &Path) -> PathBuf {
    root.join("tests/bench/budget.toml")
}

/// True when the compiler that answers here is the one `rust-toolchain.toml` pins.
fn on_pinned_toolchain(root: &Path) -> bool {
    let pin = std::fs::read_to_string(root.join("rust-toolchain.toml")).unwrap_or_default();
    let version = Command::new("rustc").current_dir(root).arg("--version").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    is_pinned(&pin, &version.unwrap_or_default())
}

fn is_pinned(toolchain_toml: &str, rustc_version: &str) -> bool {
    let channel = toolchain_toml
        .parse::<toml::Table>()
        .ok()
        .and_then(|t| t.get("toolchain")?.get("channel")?.as_str().map(str::to_owned));
    // Debian's compiler says `rustc 1.95.0 (…) (built from a source tarball)`: other code, maybe.
    let release = rustc_version.split(' ').nth(1);
    channel.as_deref() == release && release.is_some() && !rustc_version.contains("tarball")
}
