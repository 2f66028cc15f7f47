//! `nx qemu`: boot an image, show and keep its console, judge it by recipes/markers.toml.
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::judge::{Ending, Judge, Ladder, PASSED, Scope, USAGE};

pub(crate) mod disk;
mod folder;
mod ladder;
mod process;
mod report;
mod symbols;
#[cfg(test)]
mod tests;

use folder::RunFolder;

/// Where the control channel of an interactive run listens, below the top of the tree.
pub(crate) const SOCKET: &str = "build/run/control.sock";

/// The contract of the exit status, shown by `--help` of every command that boots.
pub(crate) const EXIT_CODES: &str = "\
Exit status:
  0  the guest said so, and every required marker came from its emitter, once, in order
  1  the log breaks the ladder (missing, duplicate, unknown, out of order, wrong emitter, a
     FAIL or panic line), a measurement is over budget, or two runs differ
  2  usage: unknown phase, no such image, unreadable recipes, no QEMU
  3  the guest reported failure through the test finisher, or QEMU died
  4  the time limit ran out";

/// Boot an image under QEMU and judge its console by recipes/markers.toml
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct QemuArgs {
    /// Image to boot: build/<IMAGE>/nexus.img
    #[arg(long, default_value = "test")]
    image: String,
    /// Require the ladder up to this phase only, and stop there
    #[arg(long)]
    phase: Option<String>,
    /// Stop at the first line that contains this text
    #[arg(long, conflicts_with = "phase")]
    until: Option<String>,
    /// Give up after this long (seconds, or with a suffix s or m)
    #[arg(long, default_value = "90s", value_parser = parse_duration)]
    timeout: Duration,
    /// Number of harts
    #[arg(long, default_value_t = 1)]
    smp: u32,
    /// Also require the markers of this variant
    #[arg(long)]
    variant: Option<String>,
    /// Fail unless the console log equals this earlier one
    #[arg(long, value_name = "LOG")]
    same_as: Option<PathBuf>,
    /// Boot once more on the disk of the last run, and require the markers of a second boot
    #[arg(long, conflicts_with_all = ["variant", "fresh", "interactive"])]
    again: bool,
    /// Begin an interactive run on a new disk; a judged one always does, unless --again
    #[arg(long)]
    fresh: bool,
    /// Feed the entropy device from this file instead of the host's generator
    #[arg(long, value_name = "FILE")]
    entropy: Option<String>,
    /// Give the terminal to the guest; nothing is judged (leave with Ctrl-A X)
    #[arg(long)]
    interactive: bool,
    /// Where the control channel of an interactive run listens
    #[arg(long, value_name = "PATH", default_value = SOCKET, requires = "interactive")]
    control: String,
}

/// One boot to make.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    /// Top of the tree; the run folder goes below its `build/runs`.
    pub(crate) root: PathBuf,
    /// The raw image.
    pub(crate) image: PathBuf,
    /// The disk.
    pub(crate) disk: PathBuf,
    /// Harts.
    pub(crate) smp: u32,
    /// Time limit on the host's clock.
    pub(crate) timeout: Duration,
    /// What the entropy device reads; the host's generator if there is no file.
    pub(crate) entropy: Option<String>,
    /// Where the disk's writes and flushes are recorded (dm-log-writes); an empty file to begin with.
    pub(crate) writes: Option<PathBuf>,
}

/// One boot made.
#[derive(Debug)]
pub(crate) struct Captured {
    /// How it ended.
    pub(crate) ending: Ending,
    /// The console, up to the line the run was stopped at.
    pub(crate) log: String,
    /// Where everything about the run is kept.
    pub(crate) folder: PathBuf,
    elapsed: Duration,
}

/// Where `nx image` puts the image of that name.
pub(crate) fn image_path(root: &Path, name: &str) -> PathBuf {
    root.join("build").join(name).join("nexus.img")
}

/// `90`, `90s` or `2m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    match seconds {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("'{text}' is no time limit (examples: 90, 90s, 2m)")),
    }
}

/// Boots on a new disk without judging: the run ends by the guest's word or by the time limit.
pub(crate) fn capture(boot: &Boot) -> Result<Captured, String> {
    check_image(&boot.image)?;
    disk::prepare(&boot.disk, true)?;
    boot_until(boot, true, &mut |_| false)
}

/// Boots without a word on the disk as it is, until every marker up to `phase` was seen; and what
/// was wrong.
pub(crate) fn boot_to_phase(
    boot: &Boot,
    top: &Path,
    phase: &str,
) -> Result<(Captured, Vec<String>), String> {
    let ladder = ladder::load(top, None)?;
    let phase = ladder.phase(phase).ok_or_else(|| format!("no phase '{phase}'"))?;
    let scope = Scope::Phase(phase);
    let mut judge = Judge::new(&ladder, scope.clone());
    let captured = boot_until(boot, false, &mut |line| judge.line(line))?;
    let verdict = judge.finish();
    let mut faults: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
    if verdict.exit_code(captured.ending, &scope) != PASSED && faults.is_empty() {
        faults.push(format!("ended by {:?}", captured.ending));
    }
    Ok((captured, faults))
}

/// Runs the command; the result is the process's exit code.
pub(crate) fn run(root: &Path, args: &QemuArgs) -> u8 {
    let image = image_path(root, &args.image);
    let boot = Boot {
        root: root.to_owned(),
        disk: disk::beside(&image),
        image,
        smp: args.smp,
        timeout: args.timeout,
        entropy: args.entropy.clone(),
        writes: None,
    };
    let done = if args.interactive { interactive(&boot, args) } else { judged(&boot, args) };
    done.unwrap_or_else(|why| {
        eprintln!("nx qemu: {why}");
        USAGE
    })
}

fn interactive(boot: &Boot, args: &QemuArgs) -> Result<u8, String> {
    check_image(&boot.image)?;
    disk::prepare(&boot.disk, args.fresh)?;
    let control = args.control.as_str();
    let folder = RunFolder::create(&boot.root)?;
    if let Some(place) = boot.root.join(control).parent() {
        std::fs::create_dir_all(place).map_err(|why| format!("{}: {why}", place.display()))?;
    }
    let command = process::interactive_command(boot, &folder.serial(), control);
    folder.write_command(&command)?;
    println!("Leave with Ctrl-A X.  Log: {}", folder.serial().display());
    println!("Audit, live: cargo nx audit tail");
    process::foreground(command)
}

fn judged(boot: &Boot, args: &QemuArgs) -> Result<u8, String> {
    let again = args.again.then_some(ladder::AGAIN);
    let ladder = ladder::load(&boot.root, again.or(args.variant.as_deref()))?;
    let scope = scope(&ladder, args)?;
    check_image(&boot.image)?;
    if args.again && !boot.disk.is_file() {
        return Err(format!("no disk {} of an earlier run", boot.disk.display()));
    }
    disk::prepare(&boot.disk, !args.again)?;
    let earlier = args.same_as.as_deref().map(read_log).transpose()?;
    let mut judge = Judge::new(&ladder, scope.clone());
    let captured = boot_until(boot, true, &mut |line| judge.line(line))?;
    let run = report::Run {
        captured: &captured,
        ladder: &ladder,
        verdict: &judge.finish(),
        scope: &scope,
    };
    report::write(&run)?;
    report::print(&run, boot);
    let code = run.verdict.exit_code(captured.ending, &scope);
    match earlier {
        Some(earlier) if code == PASSED => Ok(report::compare(&earlier, &captured.log)),
        _ => Ok(code),
    }
}

fn scope(ladder: &Ladder, args: &QemuArgs) -> Result<Scope, String> {
    match (&args.phase, &args.until) {
        (Some(name), _) => ladder
            .phase(name)
            .map(Scope::Phase)
            .ok_or_else(|| format!("unknown phase '{name}'; phases: {}", ladder.phases.join(", "))),
        (None, Some(text)) => Ok(Scope::Text(text.clone())),
        (None, None) => Ok(Scope::All),
    }
}

fn boot_until(
    boot: &Boot,
    show: bool,
    on_line: &mut dyn FnMut(&str) -> bool,
) -> Result<Captured, String> {
    check_image(&boot.image)?;
    let folder = RunFolder::create(&boot.root)?;
    let command = process::command(boot);
    folder.write_command(&command)?;
    let limits = process::Limits { timeout: boot.timeout, show };
    let watched = process::watch(command, &folder, limits, on_line)?;
    Ok(Captured {
        ending: watched.ending,
        log: watched.log,
        elapsed: watched.elapsed,
        folder: folder.path().to_owned(),
    })
}

fn check_image(image: &Path) -> Result<(), String> {
    if image.is_file() {
        return Ok(());
    }
    Err(format!("no image {}; build it with `nx image`", image.display()))
}

fn read_log(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
