//! A record as one line of ArcSight's Common Event Format, version 0.

use nexus_wire::audit::{Decision, Op, Record};

use super::{json, names};

/// Records end up as CEF under these names; changing one breaks people's rules.
const VENDOR: &str = "Nexus";
const PRODUCT: &str = "nexus-audit";
const FORMAT: &str = "1";

/// The line, without line end.
pub(super) fn line(record: &Record) -> String {
    let cap = json::capability(record).unwrap_or_default();
    let name = match cap {
        "" => format!("{} {}", record.op.name(), record.decision.name()),
        cap => format!("{} {} {cap}", record.op.name(), record.decision.name()),
    };
    let head = ["CEF:0", VENDOR, PRODUCT, FORMAT, record.op.name(), &name].map(header);
    let [version, head @ ..] = head;
    let fields = extension(record).into_iter().map(|(key, text)| format!("{key}={}", value(&text)));
    let fields = fields.collect::<Vec<_>>().join(" ");
    format!("{version}|{}|{}|{fields}", head.join("|"), severity(record))
}

/// 0 to 10, as the format has it.
fn severity(record: &Record) -> u8 {
    match (record.op, record.decision) {
        (Op::Lost | Op::KernelProcessFaulted, _) => 8,
        (_, Decision::Deny) => 5,
        (Op::Malformed | Op::KernelSyscallDenied | Op::KernelCapDenied, _) => 5,
        _ => 1,
    }
}

fn extension(record: &Record) -> Vec<(&'static str, String)> {
    let mut out = vec![
        ("externalId", format!("{:08x}-{}", record.boot, record.seq)),
        ("act", record.decision.name().to_owned()),
        ("reason", record.reason.name().to_owned()),
        ("suid", names::hex(record.subject)),
    ];
    let mut add = |key, text: String| out.push((key, text));
    if let Some(name) = names::of(record.subject) {
        add("suser", name.to_owned());
    }
    if let Some(target) = json::target(record) {
        add("duid", names::hex(target));
        names::of(target).into_iter().for_each(|name| add("duser", name.to_owned()));
    }
    let mut labelled = |key, label, name: &str, text: String| {
        add(key, text);
        add(label, name.to_owned());
    };
    labelled("cn1", "cn1Label", "seq", record.seq.to_string());
    labelled("cn2", "cn2Label", "timeSinceBootNs", record.time_ns.to_string());
    if let Some(rule) = json::rule(record) {
        labelled("cn3", "cn3Label", "rule", rule.to_string());
    }
    if let Some(cap) = json::capability(record) {
        labelled("cs1", "cs1Label", "capability", cap.to_owned());
    }
    labelled("cs2", "cs2Label", "enforcer", names::who(record.enforcer));
    labelled("cs3", "cs3Label", "boot", format!("0x{:08x}", record.boot));
    let flags = json::flags(record);
    if !flags.is_empty() {
        labelled("cs4", "cs4Label", "flags", flags.join(","));
    }
    if record.args != [0; 2] {
        let [a0, a1] = record.args;
        labelled("cs5", "cs5Label", "args", format!("{a0:#x},{a1:#x}"));
    }
    if let Some(policy) = json::policy(record) {
        labelled("cs6", "cs6Label", "policy", policy);
    }
    if let Some(number) = json::object(record) {
        labelled("flexNumber1", "flexNumber1Label", "object", number.to_string());
    }
    if let Some(count) = json::gone(record) {
        add("cnt", count.to_string());
    }
    out
}

/// A header field: backslash and bar escaped, and on one line.
fn header(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// A value: backslash, equals sign and line ends escaped.
fn value(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push_str(&visible(c.encode_utf8(&mut [0; 4])).replace('\\', "\\\\")),
        }
    }
    out
}

/// What the format has no escape for is spelled out: control and formatting characters.
fn visible(text: &str) -> String {
    let spelled = text.chars().map(|c| match c {
        // A quote or backslash is visible as it is.
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    });
    spelled.collect()
}

#[cfg(test)]
mod tests {
    use nexus_wire::{
        Capability,
        audit::{CapName, Reason},
    };

    use super::*;

    fn named(name: &str) -> Record {
        Record {
            seq: 9,
            time_ns: 1_000,
            subject: 20,
            enforcer: 3,
            cap: CapName::new(Capability::new(name).unwrap()),
            ..Record::new(Op::CheckCap, Decision::Deny, Reason::Default)
        }
    }

    /// A reader by the book: seven bars that are not escaped, then keys.
    fn parse(line: &str) -> (Vec<String>, Vec<(String, String)>) {
        let (mut head, mut field) = (Vec::new(), String::new());
        let mut chars = line.chars();
        while head.len() < 7 {
            match chars.next().unwrap() {
                '\\' => field.push(chars.next().unwrap()),
                '|' => head.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        let (mut keys, mut text) = (Vec::<(String, String)>::new(), String::new());
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    c => c,
                }),
                '=' => {
                    let (before, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                    if let Some((_, value)) = keys.last_mut() {
                        before.clone_into(value);
                    }
                    keys.push((key.to_owned(), String::new()));
                    text = String::new();
                }
                c => text.push(c),
            }
        }
        if let Some((_, value)) = keys.last_mut() {
            *value = text;
        }
        (head, keys)
    }

    #[test]
    fn test_line_is_stable() {
        let expected = concat!(
            "CEF:0|Nexus|nexus-audit|1|check_cap|check_cap deny ipc.core|5|",
            "externalId=00000000-9 act=deny reason=default suid=0x14 ",
            "suser=selftest-client cn1=9 cn1Label=seq cn2=1000 cn2Label=timeSinceBootNs ",
            "cs1=ipc.core cs1Label=capability cs2=logd (0x03) cs2Label=enforcer ",
            "cs3=0x00000000 cs3Label=boot"
        );
        assert_eq!(line(&named("ipc.core")), expected);
    }

    #[test]
    fn test_reject_fields_made_of_a_name() {
        for name in ["a|b", "a=b act=allow", "a\\", "\\|", "x\nCEF:0|", "q\"'", "a\r\nb", "\\="] {
            let line = line(&named(name));
            assert!(!line.contains(['\n', '\r']), "{line}");
            let (head, keys) = parse(&line);
            assert_eq!(head[4], "check_cap");
            assert_eq!(head[6], "5");
            let acts: Vec<_> = keys.iter().filter(|(key, _)| key == "act").collect();
            assert_eq!(acts.len(), 1, "{line}");
            let cap = keys.iter().find(|(key, _)| key == "cs1").unwrap();
            assert_eq!(cap.1, name);
        }
    }

    #[test]
    fn characters_without_an_escape_are_spelled_out() {
        let line = line(&named("\u{1b}[2J\u{202e}"));
        assert!(line.contains("cs1=\\\\u{1b}[2J\\\\u{202e} cs1Label"), "{line}");
    }
}
