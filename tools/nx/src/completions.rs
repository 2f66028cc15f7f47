//! `nx completions`: what a shell needs to complete commands, options and lints.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx completions bash > ~/.local/share/bash-completion/completions/nx
  nx completions zsh > ~/.zfunc/_nx                      where fpath has ~/.zfunc
  nx completions fish > ~/.config/fish/completions/nx.fish

They complete a command `nx`. If you call `cargo nx`, put this into the shell's start file:
  nx() { cargo nx \"$@\"; }                              fish: alias nx 'cargo nx'")]
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
