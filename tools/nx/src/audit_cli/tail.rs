//! `nx audit tail`: records of a running image as they come.

use std::{
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueHint;
use nexus_wire::audit::{Decision, Record};

use crate::qemu::SOCKET;

use super::{
    NOTHING, OK,
    channel::{Channel, Hello, Trouble},
    filter::{self, Filter},
    json, names,
    style::{self, Style},
};

/// What controld itself asks for with every page.
const OWN_CAPABILITY: &[u8] = b"audit.read";
/// Between two attempts to reach an image.
const RETRY: Duration = Duration::from_millis(500);

pub(super) const HELP: &str = "Examples:
  nx audit tail
  nx audit tail --decision deny --subject selftest-client
  nx audit tail --last 1000 --count 100 --json

Runs beside `just start` until Ctrl-C, also over restarts of the image. With --count it ends by
itself once it has shown so many, with status 3 if the image went away before; if fewer match, it
waits for more.";

#[derive(Debug, clap::Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    filter: Filter,
    /// Start with so many of the newest records that match
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// End after this many records
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Between two looks when nothing is new: 1s, 200ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = filter::parse_time)]
    interval: u64,
    /// Also show the questions this command causes: one for every look
    #[arg(long)]
    own: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The image's control channel, if not build/run/control.sock
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

pub(super) fn run(root: &Path, args: &TailArgs) -> Result<u8, String> {
    let path = args.socket.clone().unwrap_or_else(|| root.join(SOCKET));
    let mut tail = Tail { args, style: Style::of_stdout(), shown: 0, next: None, uptime_ns: 0 };
    loop {
        match follow(&path, &mut tail, &mut io::stdout()) {
            Ok(()) => return Ok(OK),
            Err(Stop::ReaderLeft) => return Ok(OK),
            // The first image has to be there; afterwards one may come back.
            Err(Stop::Trouble(trouble)) if tail.next.is_none() || !trouble.may_pass() => {
                return Err(trouble.to_string());
            }
            Err(Stop::Trouble(trouble)) if args.count.is_some() => {
                eprintln!("note: {trouble}, after {} records", tail.shown);
                return Ok(NOTHING);
            }
            // Said once, when it went.
            Err(Stop::Trouble(Trouble::NoImage(_))) => {}
            Err(Stop::Trouble(trouble)) => {
                eprintln!("note: {trouble}; waiting for it (Ctrl-C ends)");
            }
        }
        std::thread::sleep(RETRY);
    }
}

/// Why following ended before it was done.
enum Stop {
    Trouble(Trouble),
    /// Nobody reads what is printed any more.
    ReaderLeft,
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::Trouble(trouble)
    }
}

/// How far it is.
struct Tail<'a> {
    args: &'a TailArgs,
    style: Style,
    shown: u64,
    /// Where the next page starts, once an image has been seen.
    next: Option<u64>,
    /// Of that image, when last asked.
    uptime_ns: u64,
}

/// One connection, to its end or until enough was shown.
fn follow(path: &Path, tail: &mut Tail<'_>, out: &mut dyn Write) -> Result<(), Stop> {
    let (mut channel, hello) = Channel::open(path)?;
    let (earlier, mut since) = tail.start(&mut channel, &hello)?;
    for record in &earlier {
        tail.show(record, out)?;
        if tail.done() {
            return Ok(());
        }
    }
    loop {
        let (page, next) = channel.page(since)?;
        if let Some(gone) = page.first().and_then(|first| first.seq.checked_sub(since))
            && gone > 0
        {
            eprintln!("note: {gone} records were dropped before they could be read");
        }
        for record in &page {
            if tail.wants(record, &hello) {
                tail.show(record, out)?;
            }
            if tail.done() {
                return Ok(());
            }
        }
        let waiting = page.last().is_some_and(|last| last.seq.saturating_add(1) < next);
        since = next.max(since);
        tail.next = Some(since);
        if !waiting {
            std::thread::sleep(Duration::from_nanos(tail.args.interval));
        }
    }
}

impl Tail<'_> {
    fn done(&self) -> bool {
        self.args.count.is_some_and(|count| self.shown >= count)
    }

    /// Where to begin with this image: where it was left, at its start if it is a new one, or
    /// with the newest records of the first one.
    fn start(
        &mut self,
        channel: &mut Channel,
        hello: &Hello,
    ) -> Result<(Vec<Record>, u64), Trouble> {
        let rebooted = hello.uptime_ns < self.uptime_ns;
        self.uptime_ns = hello.uptime_ns;
        let (earlier, since) = match self.next {
            Some(next) if !rebooted => {
                eprintln!("note: connected again");
                (Vec::new(), next)
            }
            Some(_) => {
                eprintln!("note: the image has restarted");
                (Vec::new(), 0)
            }
            None => {
                let head = channel.head()?;
                (self.look_back(channel, hello, head)?, head)
            }
        };
        self.next = Some(since);
        Ok((earlier, since))
    }

    /// The newest records before `head` that are wanted, oldest first. Looks through all that the
    /// journal holds if it must: most of it may be questions of earlier readers, and stopping at
    /// them would hide what they were about. The journal is bounded, and numbers of records that
    /// are gone cost nothing.
    fn look_back(
        &self,
        channel: &mut Channel,
        hello: &Hello,
        head: u64,
    ) -> Result<Vec<Record>, Trouble> {
        let (mut found, mut end, mut step) = (Vec::new(), head, self.args.last as u64);
        while found.len() < self.args.last && end > 0 {
            let first = end.saturating_sub(step);
            let mut older = Vec::new();
            let mut since = first;
            while since < end {
                let (page, next) = channel.page(since)?;
                older.extend(page.into_iter().filter(|r| r.seq < end && self.wants(r, hello)));
                since = next.max(since + 1);
            }
            older.append(&mut found);
            (found, end, step) = (older, first, step.saturating_mul(2));
        }
        Ok(found.split_off(found.len().saturating_sub(self.args.last)))
    }

    fn wants(&self, record: &Record, hello: &Hello) -> bool {
        let own = record.subject == hello.service
            && record.cap.as_bytes() == OWN_CAPABILITY
            && record.decision == Decision::Allow;
        (self.args.own || !own) && self.args.filter.takes(record)
    }

    /// Prints whole lines only, so that Ctrl-C never cuts one.
    fn show(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), Stop> {
        let line = if self.args.json { json::line(record) } else { line(record, self.style) };
        self.shown += 1;
        let written = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Stop::ReaderLeft,
            _ => Stop::Trouble(Trouble::Host(error)),
        })
    }
}

/// One record on one line; columns line up for the names of this tree.
fn line(record: &Record, style: Style) -> String {
    let decision = format!("{:<5}", record.decision.name());
    let mut line = format!(
        "{} {:>6} {} {:<20} {}",
        style.dim(&format!("{:>14}", style::seconds(record.time_ns))),
        record.seq,
        style.decision(record.decision, &decision),
        record.op.name(),
        style.bold(&names::who(record.subject)),
    );
    if let Some(target) = json::target(record) {
        line += &format!(" -> {}", names::who(target));
    }
    if let Some(number) = json::object(record) {
        line += &format!(" #{number}");
    }
    if !record.cap.as_bytes().is_empty() {
        line += &format!(" {}", style::shown(record.cap.as_bytes()));
    }
    line += &format!(" {}", style.dim(&format!("({})", record.reason.name())));
    if let Some(said) = json::suppressed(record) {
        line += &format!(" {said}");
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{
        super::channel::tests::{Place, image, record},
        *,
    };

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        tail: TailArgs,
    }

    fn args(line: &str) -> TailArgs {
        Args::parse_from(std::iter::once("tail").chain(line.split_whitespace())).tail
    }

    fn tail(args: &TailArgs) -> Tail<'_> {
        Tail { args, style: Style::PLAIN, shown: 0, next: None, uptime_ns: 0 }
    }

    #[test]
    fn starts_with_the_newest_that_match_and_ends_after_enough() {
        let place = Place::new("back");
        let all = (0..50).map(|seq| record(seq, 20)).collect();
        let image = image(&place.socket(), all, &[(usize::MAX, 1)]);
        let args = args("--last 5 --count 4");
        let (mut tail, mut out) = (tail(&args), Vec::new());
        assert!(follow(&place.socket(), &mut tail, &mut out).is_ok());
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("    45 allow route") && lines[0].contains("(policy)"));
        assert!(!text.contains('\x1b'));
        image.join().unwrap();
    }

    #[test]
    fn finds_the_newest_that_match_behind_any_number_of_own_questions() {
        use nexus_wire::{Capability, audit::CapName};
        let place = Place::new("own");
        let cap = CapName::new(Capability::new("audit.read").unwrap());
        let own = (9..1000).map(|seq| Record { cap, ..record(seq, 11) });
        let all = (5..9).map(|seq| record(seq, 20)).chain(own).collect();
        let image = image(&place.socket(), all, &[(usize::MAX, 1)]);
        let args = args("--last 3 --count 3");
        let (mut tail, mut out) = (tail(&args), Vec::new());
        assert!(follow(&place.socket(), &mut tail, &mut out).is_ok());
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().next().unwrap().contains("     6 allow route"), "{text}");
        image.join().unwrap();
    }

    #[test]
    fn goes_on_where_it_was_after_a_break_and_anew_after_a_reboot() {
        let place = Place::new("break");
        let all = (0..9).map(|seq| record(seq, 20)).collect();
        // Hello, head; then hello and three pages; then an image that booted later.
        let image = image(&place.socket(), all, &[(3, 100), (4, 200), (usize::MAX, 50)]);
        let args = args("--last 0 --count 12 --json --interval 1ms");
        let (mut tail, mut out) = (tail(&args), Vec::new());
        tail.next = Some(0);
        for _ in 0..2 {
            let stop = follow(&place.socket(), &mut tail, &mut out).err();
            assert!(matches!(stop, Some(Stop::Trouble(Trouble::Gone))));
        }
        assert!(follow(&place.socket(), &mut tail, &mut out).is_ok());
        let text = String::from_utf8(out).unwrap();
        let seq =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].clone();
        let seqs: Vec<u64> = text.lines().map(|line| seq(line).as_u64().unwrap()).collect();
        assert_eq!(seqs, [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2]);
        image.join().unwrap();
    }

    #[test]
    fn own_questions_are_hidden_unless_asked_for_and_never_when_denied() {
        use nexus_wire::{Capability, audit::CapName};
        let hello = Hello { service: 11, uptime_ns: 0 };
        let cap = CapName::new(Capability::new("audit.read").unwrap());
        let own = Record { cap, ..record(1, 11) };
        let denied = Record { decision: Decision::Deny, ..own };
        let (plain, with_own) = (args(""), args("--own"));
        assert!(!tail(&plain).wants(&own, &hello));
        assert!(tail(&plain).wants(&denied, &hello));
        assert!(tail(&plain).wants(&Record { subject: 20, ..own }, &hello));
        assert!(tail(&with_own).wants(&own, &hello));
    }
}
