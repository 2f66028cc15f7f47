//! `nx policy check`: everything that can be said about a policy without running anything on it
//! but its own tests.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use nexus_sel::authoring::{Compiled, LINTS, Level, expect};

use super::{FAULTY, OK, describe::counted, render, style::Style};

/// All lints, for `--deny`.
const WARNINGS: &str = "warnings";

/// Parse, resolve, lint and run the tests; nothing is written
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy check                          errors stop a build, warnings do not
  nx policy check --deny warnings          for a build server
  nx policy check --dir drafts/policy --json

docs/policy-lints.md explains every lint.

Exit status: 0 no errors, 1 errors, 2 wrong usage")]
pub(super) struct CheckArgs {
    /// Make errors of these warnings
    #[arg(long, value_name = "LINT", value_parser = names(), hide_possible_values = true,
          long_help = lints())]
    deny: Vec<String>,
    /// The same as --deny warnings
    #[arg(long, hide = true)]
    deny_warnings: bool,
}

fn names() -> PossibleValuesParser {
    let names = LINTS.iter().map(|lint| lint.name);
    PossibleValuesParser::new(names.chain([WARNINGS]))
}

fn lints() -> String {
    let lines = LINTS.iter().map(|lint| format!("\n  {:22} {}", lint.name, lint.about));
    format!("Make errors of these warnings: `{WARNINGS}` for all, or{}", lines.collect::<String>())
}

pub(super) fn run(dir: &Path, json: bool, compiled: &Compiled, args: &CheckArgs) -> u8 {
    let mut compiled = compiled.clone();
    let tests = dir.join("tests");
    if tests.is_dir() {
        let report = expect::run_dir(&compiled, &tests);
        compiled.lint_tests(&report);
    }
    let all = args.deny_warnings || args.deny.iter().any(|name| name == WARNINGS);
    for item in &mut compiled.warnings.items {
        if all || args.deny.iter().any(|name| name == item.code) {
            item.level = Level::Error;
        }
    }
    let errors = compiled.warnings.count(Level::Error);
    if json {
        println!("{}", render::summary(&compiled));
    } else {
        let warnings = render::without_verdict(&compiled.warnings);
        eprint!("{}", Style::of_stderr().diagnostics(&warnings));
        println!("{}", render::summary_line(&compiled));
        let warnings = compiled.warnings.count(Level::Warning);
        if errors + warnings > 0 {
            println!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        }
    }
    if errors > 0 { FAULTY } else { OK }
}
