//! `nx policy matrix`: who may do what, as a table and as a page.

mod html;
mod text;

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
};

use nexus_sel::{
    AuditMode, Effect, Sensitivity,
    authoring::{Cell, RuleSource},
};
use serde_json::{Value, json};
use terminal_size::terminal_size;

use super::{
    access::{Pair, View},
    describe, render,
    side::{Failure, Place, load, spec},
    style::Style,
};

/// The page, if nobody says where.
const PAGE: &str = "build/policy-matrix.html";
/// Cells of a page: a browser sorts and filters this many without stutter.
const MAX_PAGE_CELLS: usize = 250_000;

/// Shows who may do what
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy matrix
  nx policy matrix --html                      write build/policy-matrix.html
  nx policy matrix --cap 'key.*' --subject '*' --all
  nx policy matrix --of HEAD~1 --json

The page of --html is one file that loads nothing: sort and filter it, and follow any cell to the
rule behind it. Same policy, same bytes.

Exit status: 0 shown or written, 1 the policy has faults, 2 wrong usage")]
pub(super) struct MatrixArgs {
    /// Write one self-contained HTML page, build/policy-matrix.html unless named; `-` is
    /// standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = PAGE)]
    html: Option<PathBuf>,
    /// The policy: directory, rule file, blob or revision (default: the working tree)
    #[arg(long, value_name = "POLICY")]
    of: Option<String>,
    /// Only subjects that match; `*` stands for any text; repeat for more
    #[arg(long, value_name = "GLOB")]
    subject: Vec<String>,
    /// Only capabilities that match; `*` stands for any text; repeat for more
    #[arg(long = "capability", visible_alias = "cap", value_name = "GLOB")]
    capability: Vec<String>,
    /// In the table, also capabilities and subjects without any rule
    #[arg(long)]
    all: bool,
}

/// What a cell comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Allowed,
    Gated,
    Denied,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Gated => "gated",
            Self::Denied => "denied",
        }
    }
}

/// A pair that rules speak about.
struct Entry {
    state: State,
    text: String,
    rules: Vec<u32>,
}

/// A row.
struct Capability {
    name: String,
    meaning: String,
    enforcer: String,
    reserved: bool,
    sensitivity: Sensitivity,
    audit: AuditMode,
    /// By position of the subject.
    cells: BTreeMap<usize, Entry>,
}

impl Capability {
    fn is_sensitive(&self) -> bool {
        self.sensitivity == Sensitivity::High
    }

    fn holders(&self) -> usize {
        self.cells.values().filter(|entry| entry.state != State::Denied).count()
    }
}

/// A rule and the line it stands on.
struct Rule {
    source: RuleSource,
    line: String,
}

/// The whole picture.
struct Matrix {
    label: String,
    digest: String,
    version: u64,
    /// Names and ids.
    subjects: Vec<(String, u64)>,
    capabilities: Vec<Capability>,
    rules: Vec<Rule>,
}

pub(super) fn run(place: Place<'_>, json: bool, args: &MatrixArgs) -> Result<u8, Failure> {
    let wanted = args.of.as_deref();
    let wanted = wanted.map_or(Ok(super::side::Spec::Working), |text| spec(place, text))?;
    let side = load(place, &wanted)?;
    let view = View::new(&side).map_err(Failure::Text)?;
    let mut matrix = gather(&view, args);
    if matrix.subjects.is_empty() || matrix.capabilities.is_empty() {
        return Err(Failure::Usage("no subject or no capability matches the filters".to_owned()));
    }
    if let Some(path) = &args.html {
        let cells = matrix.subjects.len() * matrix.capabilities.len();
        if cells > MAX_PAGE_CELLS {
            let help = "narrow it with --subject or --capability";
            let text = format!("{cells} cells, but a page holds {MAX_PAGE_CELLS}; {help}");
            return Err(Failure::Usage(text));
        }
        let page = html::page(&matrix);
        if path.as_os_str() == "-" {
            print!("{page}");
            return Ok(super::OK);
        }
        write(place, path, &page)?;
        if !json {
            println!("wrote {}", path.display());
            return Ok(super::OK);
        }
    }
    if json {
        println!("{:#}", as_json(&matrix));
    } else {
        if !args.all {
            matrix.leave_out_the_empty();
        }
        let columns = terminal_size().map(|(width, _)| usize::from(width.0));
        let columns = columns.filter(|_| stdout().is_terminal());
        print!("{}", text::table(&matrix, Style::of_stdout(), columns));
    }
    Ok(super::OK)
}

fn write(place: Place<'_>, path: &Path, page: &str) -> Result<(), Failure> {
    let fault = |e: std::io::Error| Failure::Usage(format!("{}: {e}", path.display()));
    if path != Path::new(PAGE) {
        return fs::write(path, page).map_err(fault);
    }
    let whole = place.root.join(path);
    fs::create_dir_all(whole.parent().unwrap_or(place.root)).map_err(fault)?;
    fs::write(whole, page).map_err(fault)
}

fn gather(view: &View<'_>, args: &MatrixArgs) -> Matrix {
    let side = view.side;
    let fits = |globs: &[String], name: &str| {
        globs.is_empty() || globs.iter().any(|glob| matches(glob.as_bytes(), name.as_bytes()))
    };
    let rows = side.rows.iter().filter(|(name, _)| fits(&args.subject, name));
    let subjects: Vec<(String, u64)> = rows.cloned().collect();
    let names = side.model.capabilities.iter().filter(|cap| fits(&args.capability, &cap.name));
    let registry = side.compiled.as_ref().map(|compiled| compiled.registry.as_slice());
    let capabilities = names.map(|cap| {
        let known = registry.and_then(|all| all.iter().find(|known| known.name == cap.name));
        let cells = subjects.iter().enumerate().filter_map(|(at, (subject, _))| {
            let pair = Pair { subject, capability: &cap.name };
            Some((at, entry(view, view.cell(pair)?)))
        });
        Capability {
            name: cap.name.clone(),
            meaning: known.map_or_else(String::new, |known| known.meaning.clone()),
            enforcer: known.map_or_else(String::new, |known| known.enforcer.clone()),
            reserved: known.is_some_and(|known| known.reserved),
            sensitivity: cap.sensitivity,
            audit: cap.audit,
            cells: cells.collect(),
        }
    });
    let capabilities: Vec<Capability> = capabilities.collect();
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in side.compiled.iter().flat_map(|compiled| &compiled.warnings.sources) {
        lines.insert(&source.name, source.text.lines().collect());
    }
    let rule = |source: &RuleSource| {
        let file = lines.get(source.file.as_str());
        let line = file.and_then(|lines| lines.get(source.line.checked_sub(1)?));
        Rule { source: source.clone(), line: line.map_or("", |line| line.trim()).to_owned() }
    };
    Matrix {
        label: side.label.clone(),
        digest: side.digest(),
        version: side.model.version,
        subjects,
        capabilities,
        rules: side.rules.iter().map(rule).collect(),
    }
}

fn entry(view: &View<'_>, cell: &Cell) -> Entry {
    let grants = cell.rules().any(|(effect, _)| effect == Effect::Allow);
    let state = match (cell, grants) {
        (Cell::Rule(..), true) => State::Allowed,
        (Cell::Chain(_), true) => State::Gated,
        (_, false) => State::Denied,
    };
    let rules = cell.rules().map(|(_, rule)| rule).collect();
    Entry { state, text: describe::cell(view, cell), rules }
}

/// `*` stands for any bytes.
pub(super) fn matches(glob: &[u8], text: &[u8]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => {
            (0..=text.len()).any(|at| matches(rest, text.get(at..).unwrap_or(&[])))
        }
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(b, t)| b == byte && matches(rest, t))
        }
    }
}

impl Matrix {
    /// Keeps only what some rule speaks about.
    fn leave_out_the_empty(&mut self) {
        self.capabilities.retain(|cap| !cap.cells.is_empty());
        let used = |at: &usize| self.capabilities.iter().any(|cap| cap.cells.contains_key(at));
        let kept: Vec<usize> = (0..self.subjects.len()).filter(used).collect();
        let old = std::mem::take(&mut self.subjects).into_iter().enumerate();
        self.subjects =
            old.filter(|(at, _)| kept.contains(at)).map(|(_, subject)| subject).collect();
        for cap in &mut self.capabilities {
            let cells = std::mem::take(&mut cap.cells).into_iter();
            cap.cells = cells
                .filter_map(|(at, entry)| Some((kept.binary_search(&at).ok()?, entry)))
                .collect();
        }
    }
}

fn as_json(matrix: &Matrix) -> Value {
    let capability = |cap: &Capability| {
        json!({
            "name": cap.name,
            "meaning": cap.meaning,
            "enforcer": cap.enforcer,
            "reserved": cap.reserved,
            "sensitivity": render::level(cap.sensitivity),
            "audit": render::audit(cap.audit),
        })
    };
    let cells = matrix.capabilities.iter().flat_map(|cap| {
        cap.cells.iter().filter_map(|(at, entry)| {
            Some(json!({
                "subject": matrix.subjects.get(*at)?.0,
                "capability": cap.name,
                "state": entry.state.word(),
                "text": entry.text,
                "rules": entry.rules,
            }))
        })
    });
    let subject = |(name, id): &(String, u64)| json!({ "name": name, "id": id });
    let rules = matrix.rules.iter().map(|rule| render::rule(&rule.source));
    json!({
        "policy": matrix.label,
        "digest": matrix.digest,
        "version": matrix.version,
        "subjects": matrix.subjects.iter().map(subject).collect::<Vec<_>>(),
        "capabilities": matrix.capabilities.iter().map(capability).collect::<Vec<_>>(),
        "cells": cells.collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
