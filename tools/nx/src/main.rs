//! The host CLI: build an image, boot and judge it, measure it, derive documents.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a host tool: sizes of files, and a wrong sum is a panic, not a hole"
)]

mod audit_cli;
mod bench;
mod colour;
mod completions;
mod gen_docs;
mod image;
mod judge;
mod key;
mod policy;
mod policy_cli;
mod powercut;
mod qemu;
mod state;

use std::{path::Path, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

/// Builds, boots, judges and documents the system.
#[derive(Parser)]
#[command(name = "nx", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the kernel and the services and pack the boot image of a kind
    Image(image::ImageArgs),
    /// Boot an image and judge its console
    Qemu(qemu::QemuArgs),
    /// Boot the bench image and hold its counts against the budget
    Bench(bench::BenchArgs),
    /// Cut a recorded boot's power everywhere: mount every remainder, boot on some
    Powercut(powercut::PowercutArgs),
    /// Write what is derived from the recipes: docs/generated, recipes/system.lock
    Gen(gen_docs::GenArgs),
    /// Read, select, explain, hand on and check the audit trail
    Audit(audit_cli::AuditArgs),
    /// End a running image in good order
    Stop(audit_cli::StopArgs),
    /// Give a running image its keys, unless it has some
    Provision(audit_cli::ProvisionArgs),
    /// Say what a quote, a chain of keys or a signed checkpoint proves
    Key(key::KeyArgs),
    /// Check, build, explain and test the policy
    Policy(policy_cli::PolicyArgs),
    /// Look at a state disk from outside
    State(state::StateArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Policy(_) | Command::Completions(_)) {
        // `nx policy matrix | head` ends without a word, as every other filter does.
        sigpipe::reset();
    }
    if let Command::Completions(args) = cli.command {
        return completions::run(&mut Cli::command(), &args);
    }
    // Whoever verifies has the answer of a device, and maybe no tree.
    if let Command::Key(args) = cli.command {
        return ExitCode::from(key::run(&args));
    }
    let root = std::env::current_dir()
        .map_err(|e| e.to_string())
        .and_then(|here| nexus_build::workspace_root(Path::new(&here)).map_err(|e| e.to_string()));
    let root = match root {
        Ok(root) => root,
        Err(error) => return report(&error),
    };
    match cli.command {
        Command::Image(args) => finish(image::run(&root, &args)),
        Command::Gen(args) => finish(gen_docs::run(&root, &args)),
        Command::Qemu(args) => ExitCode::from(qemu::run(&root, &args)),
        Command::Bench(args) => ExitCode::from(bench::run(&root, &args)),
        Command::Powercut(args) => ExitCode::from(powercut::run(&root, &args)),
        Command::Audit(args) => ExitCode::from(audit_cli::run(&root, &args)),
        Command::Provision(args) => ExitCode::from(audit_cli::provision(&root, &args)),
        Command::Stop(args) => ExitCode::from(audit_cli::stop(&root, &args)),
        Command::Policy(args) => ExitCode::from(policy_cli::run(&root, &args)),
        Command::State(args) => ExitCode::from(state::run(&args)),
        Command::Key(_) | Command::Completions(_) => ExitCode::SUCCESS,
    }
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn report(error: &str) -> ExitCode {
    let prefix = if error.starts_with("error") { "" } else { "error: " };
    eprintln!("{prefix}{}", error.trim_end());
    ExitCode::FAILURE
}
