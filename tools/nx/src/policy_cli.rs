//! `nx policy`: check, build, explain, test, compare and show what `recipes/policy/` says.
//!
//! Exit status: 0 fine (explain: allowed), 1 the policy has faults, 2 wrong usage,
//! 3 the decision explained is a deny; diff and replay have their own, see their help.

mod access;
mod blob;
mod check;
mod describe;
mod diff;
mod draft;
mod explain;
mod fmt;
mod git;
mod matrix;
mod record;
mod records;
mod render;
mod replay;
mod schema;
mod side;
mod style;

use std::{
    fs,
    path::{Path, PathBuf},
};

use describe::counted;
use nexus_manifest::authoring::System;
use nexus_sel::authoring::{self, Compiled, Diagnostics, Level, expect};
use side::{Failure, Place};

use crate::policy;

/// Everything is fine; the decision is an allow.
const OK: u8 = 0;
/// The policy, a test or the command has faults.
const FAULTY: u8 = 1;
/// The command names what is not there.
const USAGE: u8 = 2;
/// The decision is a deny.
const DENIED: u8 = 3;

/// The blob, if nobody says where.
const BLOB: &str = "build/policy.blob";

/// Check, build, explain, test, compare and show the policy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy check
  nx policy explain selftest-client crypto.sign
  nx policy diff HEAD~1..HEAD
  nx policy matrix --html

Exit status: 0 fine or allowed, 1 faults, 2 usage, 3 denied (explain); \
diff and replay: see their help. docs/policy.md explains the language.")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
    /// Policy directory
    #[arg(long, global = true, default_value = "recipes/policy")]
    dir: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Parse, resolve, lint and run the tests; nothing is written
    Check(check::CheckArgs),
    /// Compile to a blob, and write the places of its rules beside it
    #[command(after_help = "\
Examples:
  nx policy build
  nx policy build -o out/policy.blob && nx policy sign out/policy.blob

The blob is not signed: policyd refuses it until `nx policy sign` has. FILE.rules.json beside it
says where each rule stands.

Exit status: 0 written, 1 the policy has faults, 2 wrong usage")]
    Build {
        /// Where the blob goes
        #[arg(long, short, default_value = BLOB)]
        output: PathBuf,
    },
    /// Say what the evaluator decides, and which rules speak about it
    #[command(after_help = "\
Examples:
  nx policy explain selftest-client crypto.sign
  nx policy explain selftest-client route --target logd
  nx policy explain selftest-client device.key.reload --fact bring-up
  nx policy explain --record trail.nxa#17
  nx policy explain --record '[2] audit v1 op=check decision=deny ...'

Facts that are not given do not hold, and every limit has all its tokens.

A record names its policy by the beginning of its digest. The policy directory is looked at first,
then the newest 200 commits that changed it; a policy that is nowhere is an error, because its
rule numbers mean nothing elsewhere.

Exit status: 0 allowed (--record: explained)
             1 the policy has faults (--record: no such policy, or no such rule)
             2 wrong usage; no such service, capability or fact
             3 denied")]
    Explain {
        /// Service name, `bundle`, or id
        #[arg(required_unless_present = "record")]
        subject: Option<String>,
        /// Capability name
        #[arg(required_unless_present = "record")]
        capability: Option<String>,
        /// What the capability is used on: `route --target logd` is `route.logd`
        #[arg(long, value_name = "TARGET")]
        target: Option<String>,
        /// Explain from an audit record alone: FILE#SEQ of a saved log, `audit v1 ...` text, JSON,
        /// DIGEST:RULE or RULE
        #[arg(long, value_name = "RECORD", conflicts_with_all = ["subject", "capability", "target"])]
        record: Option<String>,
        /// A fact that holds; repeat for more
        #[arg(long = "fact", value_name = "FACT")]
        facts: Vec<String>,
        /// The time, for rules that expire: seconds since 1970 or 2027-01-31T12:00:00Z (unknown if
        /// not given)
        #[arg(long, value_name = "TIME", value_parser = explain::at, default_value = "0",
              hide_default_value = true)]
        at: u64,
    },
    /// Run the expected decisions in the directory's `tests/`
    #[command(after_help = "\
Examples:
  nx policy test
  nx policy test --json | jq .untested

An expected decision, in tests/NAME.toml:
  [[expect]]
  subject = \"selftest-client\"
  allow = [\"ipc.core\"]
  deny = [\"fs.verify\"]

Exit status: 0 all decided as expected, 1 some were not or the policy has faults, 2 wrong usage")]
    Test,
    #[command(flatten)]
    Blob(blob::BlobCommand),
    /// Compare two policies by what they permit, not by their text
    Diff(diff::DiffArgs),
    /// Ask a policy again what an audit log says was asked
    Replay(replay::ReplayArgs),
    /// Write rules for denials, to be reviewed
    Draft(draft::DraftArgs),
    /// Show who may do what: a table, or a page
    Matrix(matrix::MatrixArgs),
    Schema(schema::SchemaArgs),
    Fmt(fmt::FmtArgs),
}

pub(crate) fn run(root: &Path, args: &PolicyArgs) -> u8 {
    let place = Place { root, dir: &args.dir };
    let done = match &args.command {
        Command::Diff(of) => diff::run(place, args.json, of),
        Command::Replay(of) => replay::run(place, args.json, of),
        Command::Draft(of) => draft::run(place, args.json, of),
        Command::Matrix(of) => matrix::run(place, args.json, of),
        Command::Schema(of) => schema::run(place, args.json, of),
        Command::Fmt(of) => fmt::run(place, args.json, of),
        Command::Blob(of) => blob::run(root, args.json, of),
        Command::Explain { record: Some(text), .. } => record::run(place, args.json, text),
        _ => on_tree(root, args),
    };
    done.unwrap_or_else(|failure| failed(args.json, failure))
}

/// Says why, and how that ends.
fn failed(json: bool, failure: Failure) -> u8 {
    let (text, status) = match failure {
        Failure::Faults(label, faults) => {
            show_faults(json, &faults);
            (format!("{label}: the policy does not build"), FAULTY)
        }
        Failure::Text(text) => (text, FAULTY),
        Failure::Usage(text) => (text, USAGE),
    };
    let prefix = if text.starts_with("error") { "" } else { "error: " };
    eprintln!("{prefix}{}", text.trim_end());
    status
}

/// Commands about the policy directory itself.
fn on_tree(root: &Path, args: &PolicyArgs) -> Result<u8, Failure> {
    let dir = locate(root, &args.dir);
    if !dir.is_dir() {
        let help = "a policy is a directory of `capabilities.toml` and rule files";
        return Err(Failure::Usage(format!("{}: no such directory; {help}", args.dir.display())));
    }
    let system = System::load(root).map_err(|faults| Failure::Text(faults.to_string()))?;
    match authoring::compile_dir(&dir, &policy::names(&system)) {
        Ok(compiled) => command(root, args, &compiled),
        Err(faults) => {
            show_faults(args.json, &faults);
            Ok(FAULTY)
        }
    }
}

fn command(root: &Path, args: &PolicyArgs, compiled: &Compiled) -> Result<u8, Failure> {
    match &args.command {
        Command::Check(of) => Ok(check::run(&locate(root, &args.dir), args.json, compiled, of)),
        Command::Build { output } => build(root, args, compiled, output).map_err(Failure::Text),
        Command::Explain { subject, capability, target, facts, at, .. } => {
            let subject = subject.as_deref().unwrap_or_default();
            let capability = capability.as_deref().unwrap_or_default();
            let whole = target.as_ref().map(|target| format!("{capability}.{target}"));
            let capability = whole.as_deref().unwrap_or(capability);
            let asked = explain::Asked { subject, capability, facts, wall_s: *at };
            explain::run(args.json, compiled, &asked)
        }
        Command::Test => Ok(test(args, root, compiled)),
        Command::Diff(_) | Command::Replay(_) | Command::Draft(_) | Command::Matrix(_) => Ok(OK),
        Command::Blob(_) | Command::Schema(_) | Command::Fmt(_) => Ok(OK),
    }
}

/// A path as people typed it if it exists from here, else under the workspace root.
fn locate(root: &Path, path: &Path) -> PathBuf {
    if path.exists() { path.to_owned() } else { root.join(path) }
}

fn show_faults(json: bool, faults: &Diagnostics) {
    if json {
        println!("{}", render::diagnostics(faults));
    } else {
        eprint!("{}", style::Style::of_stderr().diagnostics(&faults.to_string()));
    }
}

fn build(root: &Path, args: &PolicyArgs, compiled: &Compiled, output: &Path) -> Result<u8, String> {
    let blob = target(root, output, Path::new(BLOB));
    let places = blob.with_extension("rules.json");
    let write = |path: &Path, bytes: &[u8]| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(path, bytes)).map_err(|e| format!("{}: {e}", path.display()))
    };
    write(&blob, &compiled.blob)?;
    write(&places, format!("{:#}\n", render::places(compiled)).as_bytes())?;
    if args.json {
        println!("{}", render::summary(compiled));
    } else {
        let warnings = compiled.warnings.to_string();
        eprint!("{}", style::Style::of_stderr().diagnostics(&warnings));
        println!("{}", render::summary_line(compiled));
        println!("wrote {} (unsigned: `nx policy sign` signs it)", output.display());
        println!("wrote {}", output.with_extension("rules.json").display());
    }
    Ok(OK)
}

/// Where to write: what a person named counts from here, what nobody named from the workspace.
fn target(root: &Path, named: &Path, default: &Path) -> PathBuf {
    if named == default { root.join(named) } else { named.to_owned() }
}

fn test(args: &PolicyArgs, root: &Path, compiled: &Compiled) -> u8 {
    let report = expect::run_dir(compiled, &locate(root, &args.dir).join("tests"));
    let failed = report.faults.has_errors();
    if args.json {
        println!("{}", render::report(&report));
    } else {
        let faults = render::without_verdict(&report.faults);
        eprint!("{}", style::Style::of_stderr().diagnostics(&faults));
        for rule in &report.untested {
            println!("untested: {}", render::place(rule));
        }
        let (asked, faults) = (report.asked, report.faults.count(Level::Error));
        let (rules, untested) = (compiled.rules.len(), report.untested.len());
        let (asked, faults) = (counted(asked, "decision"), counted(faults, "fault"));
        println!("{asked}, {faults}, {untested} of {rules} rules untested");
    }
    if failed { FAULTY } else { OK }
}

#[cfg(test)]
mod tests;
