//! `nx key`: what a quote, a chain of certificates or a signed checkpoint proves, and what not.
//!
//! Exit status: 0 proven, 1 wrong or unreadable, 2 wrong usage, 3 nothing wrong, but not proven.

mod chain;
mod checkpoint;
mod file;
mod hex;
mod quote;
mod show;
mod verdict;

use std::path::PathBuf;

use clap::ValueHint;
use nexus_keys::{Nonce, PublicKey};

use self::verdict::Verdict;

/// The source or the command has faults.
const FAULTY: u8 = 1;

/// Say what a quote, a chain of keys or a signed checkpoint proves
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "A key file holds what a device handed out, one object behind the other: the \
genesis of its
identity, certificates from key to key, certificates of keys for a purpose, quotes, signed
checkpoints. Binary, or hexadecimal text with # comments. docs/keys.md has the layouts.

Exit status: 0 proven, 1 wrong or unreadable, 2 usage, 3 nothing wrong, but not all of it proven.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Did this device say this, now, in answer to my nonce?
    #[command(after_help = QUOTE_HELP)]
    VerifyQuote(QuoteArgs),
    /// Which key is the device's identity now, and how did it get there?
    #[command(after_help = CHAIN_HELP)]
    VerifyChain(ChainArgs),
    /// Did this device's key store sign this checkpoint of the audit trail?
    #[command(after_help = CHECKPOINT_HELP)]
    VerifyCheckpoint(CheckpointArgs),
    /// List what a file holds, without believing any of it
    Show(ShowArgs),
}

const QUOTE_HELP: &str = "Example, with a nonce nobody could know before:
  N=$(head -c 32 /dev/urandom | xxd -p -c 64)
  (hand N to the device, keep its answer in answer.keys)
  nx key verify-quote answer.keys --device device.pub --nonce $N

Checks, in this order: the identity from --device through every certificate to the key in use,
the certificate of the attestation key, the signature, the nonce. Then says what the device
admits about itself, and under `cannot tell` what no quote could.

Exit status:
  0  this device signed this in answer to the nonce, and admits nothing worse than having no
     hardware under its keys
  1  wrong: forged, altered, of another device, over another nonce, by a revoked key
  3  genuine and fresh, but it admits something (see `admits`), or a development key signed it
     and --allow-dev was given";

const CHAIN_HELP: &str = "Example:
  nx key verify-chain device.keys --device device.pub --at-least 3

Every certificate must be signed by the old key and by the new one, follow the one before without
a gap, and name the key that the one before had committed to.

Exit status: 0 the chain leads from --device to the key shown; 1 it does not; 3 it agrees with
itself, but without --device anybody could have made all of it.";

const CHECKPOINT_HELP: &str = "Example:
  nx key verify-checkpoint device.keys --device device.pub --trail trail.nxa

A signature is over a checkpoint's number and digest. With --trail the signatures that the export
carries are checked too, and each signed checkpoint of the file must be in it. `nx audit verify`
then proves the records before it.

Exit status: 0 signed, and the trail holds that checkpoint; 1 wrong; 3 signed, but no --trail or
--digest says over what.";

/// Who the device is.
#[derive(Debug, clap::Args)]
struct Pins {
    /// The device's first public key, as you got it when it was provisioned: 64 hexadecimal
    /// digits, or a file with them
    #[arg(long, value_name = "KEY", value_parser = hex::public_key)]
    device: Option<PublicKey>,
    /// Digest of its genesis as well: fixes the second key too
    #[arg(long, value_name = "HEX", value_parser = hex::digest)]
    genesis: Option<[u8; 32]>,
    /// Print one JSON object instead of sentences
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct QuoteArgs {
    /// What the device answered
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    pins: Pins,
    /// The nonce you sent, 32 to 64 bytes in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = hex::nonce)]
    nonce: Nonce,
    /// Accept the key of a development build, whose seed everybody knows
    #[arg(long)]
    allow_dev: bool,
    /// The policy that should be in force, as `nx policy build` prints it
    #[arg(long, value_name = "HEX", value_parser = hex::digest)]
    policy: Option<[u8; 32]>,
    /// The digest over all started images that you expect
    #[arg(long, value_name = "HEX", value_parser = hex::digest)]
    measurements: Option<[u8; 32]>,
    /// An older answer of the same device: its counters must not have gone back since
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    kept: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ChainArgs {
    /// Genesis and certificates
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    pins: Pins,
    /// The generation the chain must reach: a shorter one was cut
    #[arg(long, value_name = "N")]
    at_least: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct CheckpointArgs {
    /// Genesis and certificates, and signed checkpoints if the trail does not carry them
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    pins: Pins,
    /// Export of the audit trail that should hold the checkpoint
    #[arg(long, value_name = "TRAIL", value_hint = ValueHint::FilePath)]
    trail: Option<PathBuf>,
    /// The checkpoint's digest, if you have it from elsewhere
    #[arg(long, value_name = "HEX", value_parser = hex::digest)]
    digest: Option<[u8; 32]>,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Any key file
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &KeyArgs) -> u8 {
    let done = match &args.command {
        Command::VerifyQuote(args) => told(quote::verify(args), args.pins.json),
        Command::VerifyChain(args) => told(chain::verify(args), args.pins.json),
        Command::VerifyCheckpoint(args) => told(checkpoint::verify(args), args.pins.json),
        Command::Show(args) => show::run(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", error.trim_end());
        FAULTY
    })
}

fn told(verdict: Result<Verdict, String>, json: bool) -> Result<u8, String> {
    let verdict = verdict?;
    verdict::print(&if json { verdict.json() } else { verdict.text() })?;
    Ok(verdict.exit())
}
