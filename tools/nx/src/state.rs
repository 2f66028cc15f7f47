//! `nx state`: look at a state disk from outside.
//!
//! Exit status: 0 whole, 1 damaged or not the store asked for, 2 wrong usage or unreadable file,
//! 3 blank.

mod json;
mod text;

use std::path::PathBuf;

use clap::ValueHint;
use nexus_state::{Error, FileDevice, FramingKey, Mount, Quota, StoreId, inspect};

/// The store is whole.
const WHOLE: u8 = 0;
/// It is damaged, or another one, or an older one.
const BAD: u8 = 1;
/// The command or the file cannot be read.
const USAGE: u8 = 2;
/// Nothing was ever stored.
const BLANK: u8 = 3;

const CHECK_HELP: &str = "Examples:
  nx state check build/test/state.img
  nx state check build/test/state.img --json --values
  nx state check old.img --min-sequence 120

Every record's tag is checked and every value read back. The image is not changed.
Exit status: 0 whole, 1 damaged, foreign or older than --min-sequence, 2 usage, 3 blank.
docs/nexus-state.md tells what the findings mean.";

/// Look at a state disk from outside
#[derive(Debug, clap::Args)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Mount an image read-only, check all of it and list what it holds
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Disk image
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Print values too, in hexadecimal digits
    #[arg(long)]
    values: bool,
    /// Identity the store must have
    #[arg(long, value_name = "HEX", value_parser = id)]
    expect: Option<StoreId>,
    /// Sequence the store must have reached
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_sequence: u64,
    /// Framing key, if it is not the public one
    #[arg(long, value_name = "HEX", value_parser = key)]
    framing_key: Option<FramingKey>,
}

fn id(text: &str) -> Result<StoreId, String> {
    hex(text).ok_or_else(|| "an identity is 32 hexadecimal digits".to_owned())
}

fn key(text: &str) -> Result<FramingKey, String> {
    hex(text).map(FramingKey).ok_or_else(|| "a framing key is 64 hexadecimal digits".to_owned())
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Runs the command.
pub(crate) fn run(args: &StateArgs) -> u8 {
    let Command::Check(args) = &args.command;
    let device = match FileDevice::open(&args.image) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: {}: {error}", args.image.display());
            return USAGE;
        }
    };
    let how = Mount {
        key: args.framing_key.unwrap_or(FramingKey::PUBLIC),
        expect: args.expect,
        min_sequence: args.min_sequence,
        quota: Quota::UNBOUNDED,
    };
    let report = inspect::inspect(device, &how);
    if args.json {
        println!("{:#}", json::report(&args.image, &report, args.values));
    } else {
        print!("{}", text::report(&args.image, &report, args.values));
    }
    match report.store {
        Ok(_) => WHOLE,
        Err(Error::Blank) => BLANK,
        Err(_) => BAD,
    }
}

/// One word for a result, the same in every output.
fn verdict(error: Option<Error>) -> &'static str {
    match error {
        None => "whole",
        Some(Error::Blank) => "blank",
        Some(Error::NotOurs) => "not a store",
        Some(Error::Foreign) => "foreign",
        Some(Error::Damaged { .. }) => "damaged",
        Some(Error::Rollback { .. }) => "rollback",
        Some(Error::Version { .. }) => "later version",
        Some(Error::Truncated) => "truncated",
        Some(Error::TooSmall) => "too small",
        Some(Error::Io(_)) => "unreadable",
        Some(_) => "refused",
    }
}
