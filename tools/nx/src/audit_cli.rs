//! `nx audit`: read, select, explain, hand on and check the audit trail.
//!
//! Exit status: 0 fine, 1 a fault (unreadable file, broken chain), 2 wrong usage,
//! 3 nothing found, or nothing wrong but not everything proven (verify).

mod absent;
mod anchor;
mod cef;
mod channel;
mod export;
mod filter;
mod json;
mod jsonl;
mod names;
mod native;
mod ocsf;
mod report;
mod show;
mod style;
mod table;
mod tail;
mod trail;
mod verify;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueHint;
use nexus_wire::audit::Record;

use self::{filter::Filter, style::Style, trail::Trail, verify::Key};

/// Everything is fine.
const OK: u8 = 0;
/// The source or the command has faults.
const FAULTY: u8 = 1;
/// Nothing matches.
const NOTHING: u8 = 3;
/// Nothing is wrong, and not everything is proven.
const UNPROVEN: u8 = 3;

/// Read, select, explain, hand on and check the audit trail
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 fine, 1 faults, 2 usage, 3 nothing found (query, show) \
    or not everything proven (verify). docs/audit.md tells how to read the trail.")]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show records of a running image as they come
    #[command(after_help = tail::HELP)]
    Tail(tail::TailArgs),
    /// List the records that match
    #[command(after_help = QUERY_HELP)]
    Query(QueryArgs),
    /// Tell all about one record: who asked, what was decided, by which rule
    Show(ShowArgs),
    /// Write records in a format other programs read
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// Say what a file proves, what it does not, and which record is the first wrong one
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Write one HTML page: timeline, top denials, subjects, filters
    Report(ReportArgs),
}

const QUERY_HELP: &str = "Examples:
  nx audit query trail.nxa --decision deny
  nx audit query trail.nxa --subject selftest-client --cap 'route.*' --since 1.5s
  nx audit query trail.nxa --op 'kernel.*' --seq 100..200 --json
  nx audit query --socket build/run/control.sock --last 50

Every option narrows; an option given twice takes either value.";

const EXPORT_HELP: &str = "Examples:
  nx audit export trail.nxa --format jsonl -o trail.jsonl
  nx audit export trail.nxa --format cef --decision deny
  nx audit export trail.nxa --format ocsf --boot-time $(date +%s)
  nx audit export --socket build/run/control.sock --format native -o trail.nxa

Records carry time since boot; --boot-time makes OCSF's `time` a date.";

const VERIFY_HELP: &str = "Checks every chain, every checkpoint and its signature, every number.

Exit status:
  0  proven: nothing changed, taken out or put in, and every record is behind a checkpoint
     that the key signed
  1  broken, or no export: the first wrong record is named
  3  intact, but not all of it proven: unsigned checkpoints, no key given, or records behind
     the last checkpoint

A key file holds one line of 64 hexadecimal digits; lines with # are comments. A rotated key
signs from then on: give the old one too.

--anchor names a checkpoint somebody saw earlier (each verification tells its newest): a file
that ends before it, or has another one in its place, is not the trail that was seen.";

/// Where the records are read from.
#[derive(Debug, clap::Args)]
struct Source {
    /// Exported trail
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "socket")]
    file: Option<PathBuf>,
    /// Read a running image instead, through its control channel
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    socket: Option<PathBuf>,
}

impl Source {
    /// What it is called.
    fn path(&self) -> &Path {
        self.file.as_deref().or(self.socket.as_deref()).unwrap_or(Path::new(""))
    }

    fn read(&self, key: &Key) -> Result<Trail, String> {
        match &self.socket {
            Some(socket) => trail::live(socket),
            None => trail::load(self.path(), key),
        }
    }
}

#[derive(Debug, clap::Args)]
struct QueryArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    filter: Filter,
    /// At most this many, the last ones
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Sequence number
    seq: u64,
    #[command(flatten)]
    source: Source,
    /// Boot id, if the trail spans several boots
    #[arg(long, value_name = "ID", value_parser = filter::parse_number)]
    boot: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    source: Source,
    /// What to write
    #[arg(long, short, value_enum, default_value = "jsonl")]
    format: export::Format,
    /// Where to; standard output if not given
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// When the boot was, in seconds since 1970, for OCSF
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    boot_time: u64,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// Exported trail
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The device's checkpoint key, as a file or 64 hexadecimal digits; several after rotations
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    key: Vec<PathBuf>,
    /// A checkpoint seen earlier, NUMBER or NUMBER:DIGEST: the file must reach it
    #[arg(long, value_name = "CHECKPOINT", value_parser = anchor::parse)]
    anchor: Option<anchor::Anchor>,
    /// Print one JSON object instead of sentences
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    #[command(flatten)]
    source: Source,
    /// The page
    #[arg(long, value_name = "PAGE", value_hint = ValueHint::FilePath)]
    html: PathBuf,
    /// The device's checkpoint key, for what the page says is proven
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    key: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
}

/// End a running image in good order: its journal makes a last checkpoint first
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The image's control channel, if not build/run/control.sock
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

pub(crate) fn stop(root: &Path, args: &StopArgs) -> u8 {
    let path = args.socket.clone().unwrap_or_else(|| root.join(crate::qemu::SOCKET));
    let stopped = channel::Channel::open(&path).and_then(|(mut channel, _)| channel.stop());
    match stopped {
        Ok(()) => OK,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            FAULTY
        }
    }
}

/// Make the device's keys, unless it has some, and write down the one that signs checkpoints
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file is what `nx audit verify --key` takes. The image's policy decides \
    who may have keys made; they stay on its disk."
)]
pub(crate) struct ProvisionArgs {
    /// Where to write the key, if not to the output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// The image's control channel, if not build/run/control.sock
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

pub(crate) fn provision(root: &Path, args: &ProvisionArgs) -> u8 {
    let path = args.socket.clone().unwrap_or_else(|| root.join(crate::qemu::SOCKET));
    let done = channel::Channel::open(&path).and_then(|(mut channel, _)| {
        let made = channel.provision()?;
        channel.checkpoint_key().map(|key| (made, key))
    });
    let written = done.map_err(|trouble| trouble.to_string()).and_then(|(made, key)| {
        eprintln!("note: {}", if made { "keys made" } else { "it has keys" });
        let text = key_file(&key);
        match &args.output {
            Some(file) => fs::write(file, text).map_err(|e| format!("{}: {e}", file.display())),
            None => style::print(&text),
        }
    });
    match written {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("error: {error}");
            FAULTY
        }
    }
}

/// A key as `verify --key` reads it.
fn key_file((generation, public): &(u32, [u8; 32])) -> String {
    let digits: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("# signs checkpoints, generation {generation}\n{digits}\n")
}

pub(crate) fn run(root: &Path, args: &AuditArgs) -> u8 {
    let done = match &args.command {
        Command::Tail(args) => tail::run(root, args),
        Command::Query(args) => query(args),
        Command::Show(args) => show(root, args),
        Command::Export(args) => write_export(args),
        Command::Verify(args) => check(args),
        Command::Report(args) => write_report(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", error.trim_end());
        FAULTY
    })
}

/// The records of an exported trail as JSON lines; `None` if the bytes are none.
pub(crate) fn json_lines(bytes: &[u8]) -> Option<String> {
    let records = trail::exported(bytes)?;
    Some(export::render(&records, export::Format::Jsonl, 0))
}

/// The trail; what is doubtful about it is said where results are not.
fn load(source: &Source) -> Result<Trail, String> {
    let trail = source.read(&Key::default())?;
    if let Some(doubt) = trail.doubt() {
        eprintln!("note: {}: {doubt}", source.path().display());
    }
    Ok(trail)
}

fn select(source: &Source, filter: &Filter) -> Result<Vec<Record>, String> {
    let mut records = load(source)?.records;
    records.retain(|record| filter.takes(record));
    Ok(records)
}

fn query(args: &QueryArgs) -> Result<u8, String> {
    let records = select(&args.source, &args.filter)?;
    let skip = args.last.map_or(0, |last| records.len().saturating_sub(last));
    let records = records.get(skip..).unwrap_or_default();
    if args.json {
        style::print(&export::render(records, export::Format::Jsonl, 0))?;
    } else if records.is_empty() {
        eprintln!("no record matches");
    } else {
        style::print(&table::render(records, Style::of_stdout()))?;
    }
    Ok(if records.is_empty() { NOTHING } else { OK })
}

fn show(root: &Path, args: &ShowArgs) -> Result<u8, String> {
    let all = load(&args.source)?.records;
    let meant = |record: &&Record| {
        record.seq == args.seq && args.boot.is_none_or(|boot| u64::from(record.boot) == boot)
    };
    let found: Vec<&Record> = all.iter().filter(meant).collect();
    match found.as_slice() {
        [] => {
            let (first, last) = (all.first().map(|r| r.seq), all.last().map(|r| r.seq));
            let range = first.zip(last).map_or_else(String::new, |(first, last)| {
                format!("; there are {} records from {first} to {last}", all.len())
            });
            eprintln!("no record {}{range}", args.seq);
            Ok(NOTHING)
        }
        [record] => {
            style::print(&show::render(record, &all, root, Style::of_stdout()))?;
            Ok(OK)
        }
        several => {
            let boots = several.iter().map(|record| format!("{:#x}", record.boot));
            let boots = boots.collect::<Vec<_>>().join(", ");
            Err(format!("{} is in several boots: choose with --boot {boots}", args.seq))
        }
    }
}

fn write_export(args: &ExportArgs) -> Result<u8, String> {
    if args.format == export::Format::Native {
        return write_native(args);
    }
    let records = select(&args.source, &args.filter)?;
    let text = export::render(&records, args.format, args.boot_time);
    match &args.output {
        None => style::print(&text)?,
        Some(path) => {
            write(path, &text)?;
            eprintln!("wrote {} records to {}", records.len(), path.display());
        }
    }
    Ok(OK)
}

/// Whole or not at all: what a filter leaves out would break the chains.
fn write_native(args: &ExportArgs) -> Result<u8, String> {
    let (Some(socket), Some(path)) = (&args.source.socket, &args.output) else {
        return Err("a native export is made from a running image (--socket) to a file (-o)".into());
    };
    if !args.filter.is_empty() {
        return Err("a native export has every record: filters would break its chains".into());
    }
    let (file, records) = native::export(socket)?;
    fs::write(path, file).map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {records} records with their chains to {}", path.display());
    Ok(OK)
}

fn check(args: &VerifyArgs) -> Result<u8, String> {
    let trail = trail::load(&args.file, &Key::load(&args.key)?)?;
    let Some(report) = &trail.report else {
        let file = args.file.display();
        return Err(format!("{file}: JSON lines carry no chain; verify the export they are from"));
    };
    let style = Style::of_stdout();
    let anchored = args.anchor.as_ref().map(|anchor| anchor.check(&args.file)).transpose()?;
    let checked = verify::Checked { report, records: &trail.records, anchored };
    let (text, exit) = verify::render(&args.file, &checked, args.json, style);
    style::print(&text)?;
    Ok(exit)
}

fn write_report(args: &ReportArgs) -> Result<u8, String> {
    let trail = args.source.read(&Key::load(&args.key)?)?;
    let page =
        report::Source { file: args.source.path(), trail: &trail, filter: &args.filter }.page();
    write(&args.html, &page)?;
    println!("wrote {}", args.html.display());
    Ok(OK)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
