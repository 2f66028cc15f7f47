//! The trail as one HTML page that needs nothing else: no network, no other file.

use std::{collections::BTreeMap, path::Path};

use nexus_wire::audit::{Decision, Op, Reason, Record};
use serde::Serialize;

use super::{filter::Filter, json, names, style::Progress, trail::Trail};

const TEMPLATE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/page.css");
const SCRIPT: &str = include_str!("report/page.js");

/// What goes into a page.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) trail: &'a Trail,
    pub(super) filter: &'a Filter,
}

/// A record as the script reads it: numbers are places in the lists beside.
type Row<'a> = (
    u64,
    usize,
    u64,
    u8,
    u8,
    u8,
    (usize, usize, Option<usize>),
    Option<&'a str>,
    Option<u32>,
    Option<u64>,
);

#[derive(Serialize)]
struct Data<'a> {
    ops: BTreeMap<u8, &'static str>,
    decisions: BTreeMap<u8, &'static str>,
    reasons: BTreeMap<u8, &'static str>,
    who: Vec<String>,
    boots: Vec<String>,
    rows: Vec<Row<'a>>,
}

/// Things in the order they were first seen.
#[derive(Default)]
struct Index {
    place: BTreeMap<u64, usize>,
    all: Vec<u64>,
}

impl Index {
    fn of(&mut self, value: u64) -> usize {
        *self.place.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() - 1
        })
    }
}

impl Source<'_> {
    /// The page.
    pub(super) fn page(&self) -> String {
        let records = self.trail.records.iter().filter(|record| self.filter.takes(record));
        let records: Vec<&Record> = records.collect();
        let data = json::for_html(&json::text(&data(&records)));
        // A page's scripts run by a nonce that its content cannot hold: it depends on all of it.
        let nonce = blake3::hash(data.as_bytes()).to_hex();
        let file = self.file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
        let left_out = self.trail.records.len() - records.len();
        fill(TEMPLATE, |key| match key {
            "nonce" => nonce.to_string(),
            "style" => STYLE.to_owned(),
            "script" => SCRIPT.to_owned(),
            "data" => data.clone(),
            "file" => escape(&file),
            "count" => records.len().to_string(),
            "left-out" if left_out > 0 => format!(" ({left_out} left out by filters)"),
            "proof" => self.proof(),
            _ => String::new(),
        })
    }

    /// What holds and what does not, as list items.
    fn proof(&self) -> String {
        let items =
            self.trail.statements().into_iter().map(|said| {
                format!("<li class=\"{}\">{}</li>", said.class.name(), escape(&said.text))
            });
        items.collect::<Vec<_>>().join("\n")
    }
}

fn data<'a>(records: &[&'a Record]) -> Data<'a> {
    let progress = Progress::new("report", records.len());
    let (mut who, mut boots) = (Index::default(), Index::default());
    let mut rows = Vec::with_capacity(records.len());
    for (done, record) in records.iter().enumerate() {
        progress.at(done);
        rows.push((
            record.seq,
            boots.of(record.boot.into()),
            record.time_ns / 1000,
            record.op.code(),
            record.decision.code(),
            record.reason.code(),
            (
                who.of(record.subject),
                who.of(record.enforcer),
                json::target(record).map(|id| who.of(id)),
            ),
            json::capability(record),
            json::rule(record),
            json::gone(record),
        ));
    }
    let list = |names: &[(u8, &'static str)]| names.iter().copied().collect();
    Data {
        ops: list(Op::NAMES),
        decisions: list(Decision::NAMES),
        reasons: list(Reason::NAMES),
        who: who.all.into_iter().map(names::who).collect(),
        boots: boots.all.iter().map(|boot| format!("0x{boot:08x}")).collect(),
        rows,
    }
}

/// Puts a text in the place of each `{{key}}`, in one pass: what is put in is not searched.
fn fill(template: &str, text: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((key, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&text(key));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Text as HTML text or attribute.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use nexus_wire::{Capability, audit::CapName};

    use super::*;

    fn page(file: &str, name: &str) -> String {
        let record = Record {
            cap: CapName::new(Capability::new(name).unwrap()),
            ..Record::new(Op::CheckCap, Decision::Deny, Reason::Unknown)
        };
        let trail = Trail { records: vec![record], report: None };
        Source { file: Path::new(file), trail: &trail, filter: &Filter::default() }.page()
    }

    #[test]
    fn test_reject_markup_made_of_a_name() {
        let plain = page("f", "a");
        let tags = |page: &str| (page.matches('<').count(), page.matches("script").count());
        for name in ["</script><script>", "<img src=x onerror=1>", "<!--<script", "{{style}}", "&"]
        {
            let page = page("f", name);
            let mentions = name.matches("script").count();
            assert_eq!(tags(&page), (tags(&plain).0, tags(&plain).1 + mentions), "{name}");
        }
        assert!(page("<b>{{data}}", "a").contains("&lt;b&gt;{{data}}"));
    }

    #[test]
    fn nothing_is_fetched() {
        let page = page("f", "a");
        for word in ["http:", "https:", "src=", "href=", "url(", "@import", "fetch("] {
            let namespaces = "http://www.w3.org/2000/svg";
            assert!(!page.replace(namespaces, "").contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}
