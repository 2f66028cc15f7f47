//! Which records are meant: the same options for every command that selects.

use std::ops::RangeInclusive;

use clap::builder::PossibleValuesParser;
use nexus_wire::audit::{Decision, Op, Reason, Record};

use super::names;

/// Stands for every operation of the kernel.
const KERNEL_OPS: &str = "kernel.*";

/// Every option narrows; within one option any value will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filter {
    /// Whom the decision is about: service name, `kernel`, or id (20, 0x14); repeatable
    #[arg(long, short, value_name = "NAME|ID", value_parser = names::parse)]
    subject: Vec<u64>,
    /// Who asked, as stamped by the kernel; `kernel` for its own records; repeatable
    #[arg(long, short, value_name = "NAME|ID", value_parser = names::parse)]
    enforcer: Vec<u64>,
    /// Whom the subject wanted to reach; repeatable
    #[arg(long, short, value_name = "NAME|ID", value_parser = names::parse)]
    target: Vec<u64>,
    /// Capability; `*` stands for any text: 'route.*'; repeatable
    #[arg(long = "cap", short, value_name = "GLOB")]
    capability: Vec<String>,
    /// Decision; repeatable
    #[arg(long, short, value_parser = PossibleValuesParser::new(values(Decision::NAMES)))]
    decision: Vec<String>,
    /// Operation; repeatable
    #[arg(long = "op", visible_alias = "kind", value_name = "OP", value_parser = ops())]
    op: Vec<String>,
    /// Reason; repeatable
    #[arg(long, short, value_parser = PossibleValuesParser::new(values(Reason::NAMES)))]
    reason: Vec<String>,
    /// The rule that decided, as `nx policy` numbers it; repeatable
    #[arg(long, value_name = "RULE")]
    rule: Vec<u32>,
    /// Sequence numbers, both ends included: 7, 7..20, 7.., ..20
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    seq: Option<RangeInclusive<u64>>,
    /// Not before this time since boot: 1.5s, 200ms, 3m, 1h, or nanoseconds
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<u64>,
    /// Not after this time since boot
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<u64>,
    /// Boot id
    #[arg(long, value_name = "ID", value_parser = parse_number)]
    boot: Option<u64>,
}

fn values(names: &'static [(u8, &'static str)]) -> impl Iterator<Item = &'static str> {
    names.iter().map(|(_, name)| *name)
}

fn ops() -> PossibleValuesParser {
    PossibleValuesParser::new(values(Op::NAMES).chain([KERNEL_OPS]))
}

impl Filter {
    /// Whether every record is meant.
    pub(super) fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether the record is meant.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let op = |name: &String| {
            *name == record.op.name() || (name == KERNEL_OPS && record.op.is_kernel())
        };
        any(&self.subject, |id| *id == record.subject)
            && any(&self.enforcer, |id| *id == record.enforcer)
            && any(&self.target, |id| *id == record.target)
            && any(&self.capability, |glob| matches(glob.as_bytes(), record.cap.as_bytes()))
            && any(&self.decision, |name| *name == record.decision.name())
            && any(&self.op, op)
            && any(&self.reason, |name| *name == record.reason.name())
            && any(&self.rule, |rule| *rule == record.rule)
            && self.seq.as_ref().is_none_or(|range| range.contains(&record.seq))
            && self.since.is_none_or(|since| record.time_ns >= since)
            && self.until.is_none_or(|until| record.time_ns <= until)
            && self.boot.is_none_or(|boot| u64::from(record.boot) == boot)
    }
}

fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

/// `*` stands for any bytes. Linear space, no recursion: on a mismatch the last star takes one
/// more byte.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pos, mut retry) = (0, 0, None);
    while pos < text.len() {
        match glob.get(at) {
            Some(b'*') => {
                retry = Some((at, pos));
                at += 1;
            }
            Some(byte) if text.get(pos) == Some(byte) => (at, pos) = (at + 1, pos + 1),
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (at, pos) = (star + 1, from + 1);
            }
        }
    }
    glob.iter().skip(at).all(|byte| *byte == b'*')
}

pub(super) fn parse_number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    let number = digits.map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
    number.map_err(|error| error.to_string())
}

fn parse_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str, open: u64| match text {
        "" => Ok(open),
        text => parse_number(text),
    };
    let Some((first, last)) = text.split_once("..") else {
        return parse_number(text).map(|only| only..=only);
    };
    let last = last.strip_prefix('=').unwrap_or(last);
    let range = number(first, 0)?..=number(last, u64::MAX)?;
    if range.is_empty() { Err("ends before it starts".to_owned()) } else { Ok(range) }
}

/// Units and their nanoseconds; longer spellings first, because `s` ends all of them.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A moment or a length of time, in nanoseconds.
pub(super) fn parse_time(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, *ns)));
    let (number, ns) = unit.unwrap_or((text, 1));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let wrong = || format!("`{text}` is no time like 1.5s, 200ms, 3m, 1h or 1500000");
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let scale = 10_u64.pow(part.len() as u32);
    let part: u64 = part.parse().map_err(|_| wrong())?;
    let part = u128::from(part) * u128::from(ns) / u128::from(scale);
    let total = u128::from(whole) * u128::from(ns) + part;
    u64::try_from(total).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nexus_wire::{Capability, audit::CapName};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(words: &[&str]) -> Filter {
        Line::try_parse_from([&["nx"], words].concat()).unwrap().filter
    }

    fn record() -> Record {
        Record {
            seq: 10,
            time_ns: 1_500_000_000,
            subject: 20,
            enforcer: 3,
            rule: 4,
            cap: CapName::new(Capability::new("route.logd").unwrap()),
            ..Record::new(Op::Route, Decision::Deny, Reason::Default)
        }
    }

    #[test]
    fn each_option_narrows() {
        let takes: [&[&str]; 10] = [
            &[],
            &["--subject", "selftest-client", "--enforcer", "logd"],
            &["--subject", "kernel", "--subject", "0x14"],
            &["--cap", "route.*"],
            &["--decision", "deny", "--reason", "default"],
            &["--op", "route"],
            &["--seq", "10"],
            &["--seq", "..10", "--since", "1.5s", "--until", "1500ms"],
            &["--rule", "4"],
            &["--boot", "0x0"],
        ];
        for words in takes {
            assert!(filter(words).takes(&record()), "{words:?}");
        }
        let leaves: [&[&str]; 9] = [
            &["--subject", "logd"],
            &["--subject", "selftest-client", "--enforcer", "kernel"],
            &["--cap", "route"],
            &["--decision", "allow"],
            &["--op", "kernel.*"],
            &["--seq", "11.."],
            &["--since", "1.6s"],
            &["--boot", "1"],
            &["--target", "logd"],
        ];
        for words in leaves {
            assert!(!filter(words).takes(&record()), "{words:?}");
        }
    }

    #[test]
    fn test_reject_what_cannot_match() {
        for words in [
            ["--op", "reboot"],
            ["--decision", "maybe"],
            ["--seq", "9..3"],
            ["--since", "soon"],
            ["--since", "1.2.3s"],
            ["--since", "99999999999h"],
            ["--subject", "nobody"],
        ] {
            assert!(Line::try_parse_from([&["nx"], &words[..]].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn globs() {
        for (glob, text) in [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c*", "abcd"), ("", "")] {
            assert!(matches(glob.as_bytes(), text.as_bytes()), "{glob} {text}");
        }
        for (glob, text) in [("a", ""), ("a*d", "abc"), ("", "a"), ("*.*.*", "a.b"), ("A", "a")] {
            assert!(!matches(glob.as_bytes(), text.as_bytes()), "{glob} {text}");
        }
        let many = "*a".repeat(24);
        assert!(!matches(many.as_bytes(), &[b'a'; 23]), "ends, and soon");
    }
}
