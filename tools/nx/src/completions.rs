//! `nx completions`: what a shell needs to complete commands, options and lints.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For example: nx completions bash > ~/.local/share/bash-completion/completions/nx"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(command: &mut clap::Command, args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "nx", &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
