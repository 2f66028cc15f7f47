//! From `recipes/policy/*.toml` to the blob (host only).
//!
//! `capabilities.toml` is the vocabulary; every other `*.toml` in the directory holds rules.
//! Files merge by union in the order of their names: nothing replaces anything, deny wins.
mod checks;
mod diagnostics;
mod document;
mod emit;
pub mod expect;
mod explain;
mod lints;
mod look_alike;
mod model;
mod perfect;
mod reader;
mod registry;
mod reopen;
mod resolve;
mod snippet;
mod spelling;
mod syntax;
mod unreviewed;

use std::path::Path;

pub use diagnostics::{Diagnostic, Diagnostics, Label, Level, Place, Position, Source};
pub use emit::{EmitError, emit, from_bytes, reemit, to_bytes};
pub use explain::{Explanation, Role, RuleSource};
pub use lints::{LINTS, Lint, LintLevel, comment_start};
pub use model::{CapabilitySpec, Cell, Condition, Crowded, Link, Model, Rule};
pub use reader::moment;
pub use registry::Registered;
pub use spelling::suggest;
pub use unreviewed::UNREVIEWED;

use crate::bounds::{FIRST_BUNDLE_ID, LAST_BUNDLE_ID, MAX_CHAIN, MAX_FILE_BYTES, MAX_FILES};
use crate::decision::Effect;
use document::Document;
use lints::Lints;
use reader::Reader;
use resolve::{Reach, Scope, Written};

/// The registry's file name.
pub const REGISTRY: &str = "capabilities.toml";

/// The subject that stands for every installed bundle.
pub const BUNDLE: &str = "bundle";

/// Names the policy may mention, taken from the boot manifest by the caller.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SystemNames {
    /// Every service: name and assigned id.
    pub services: Vec<(String, u64)>,
    /// Services that provide an endpoint: `route.<name>` exists for each.
    pub providers: Vec<String>,
    /// Subject classes: name and id range (installed bundles).
    pub classes: Vec<(String, u64, u64)>,
}

impl SystemNames {
    /// Services with ids, and those of them that answer calls.
    #[must_use]
    pub fn new(services: Vec<(String, u64)>, providers: Vec<String>) -> Self {
        Self { services, providers, classes: Vec::new() }
    }

    /// Adds the class `bundle`: whatever will be installed, known by its range of ids alone.
    #[must_use]
    pub fn with_bundles(mut self) -> Self {
        self.classes.push((BUNDLE.to_owned(), FIRST_BUNDLE_ID, LAST_BUNDLE_ID));
        self
    }
}

/// A recipe file as bytes.
#[derive(Clone, Debug)]
pub struct Input {
    /// Shown in diagnostics.
    pub name: String,
    /// The content, not yet trusted to be text.
    pub bytes: Vec<u8>,
}

impl Input {
    /// A file.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// A finished policy, with what people and tools want to know about it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The blob; a multiple of eight bytes.
    pub blob: Vec<u8>,
    /// The same, as the words [`crate::Policy::open`] takes.
    pub words: Vec<u64>,
    /// Warnings.
    pub warnings: Diagnostics,
    /// Where each rule stands; rule id 1 is the first.
    pub rules: Vec<RuleSource>,
    /// The registry, families expanded, sorted by name.
    pub registry: Vec<Registered>,
    /// The resolved policy.
    pub model: Model,
    /// Names of the model's classes, in its order.
    classes: Vec<String>,
    resolved: Vec<Rule>,
    places: Vec<Place>,
    lints: Lints,
}

/// Compiles the policy tree.
///
/// # Errors
/// Every error of every file, in one run.
pub fn compile_dir(policy_dir: &Path, system: &SystemNames) -> Result<Compiled, Diagnostics> {
    let mut found = Vec::new();
    let paths = rule_files(policy_dir).map_err(|error| {
        let message = format!("{} cannot be read: {error}", policy_dir.display());
        let help = format!("a policy is a directory of `{REGISTRY}` and rule files");
        let item = Diagnostic::error("missing-file", message).help(help);
        Diagnostics { sources: Vec::new(), items: vec![item] }
    })?;
    let registry = read_file(&policy_dir.join(REGISTRY), &mut found);
    let rules: Vec<Input> = paths.iter().filter_map(|path| read_file(path, &mut found)).collect();
    compile_with(registry, rules, system, found)
}

/// Compiles from memory; `rules` in merge order.
///
/// # Errors
/// Every error of every file, in one run.
pub fn compile(
    registry: Input,
    rules: Vec<Input>,
    system: &SystemNames,
) -> Result<Compiled, Diagnostics> {
    compile_with(Some(registry), rules, system, Vec::new())
}

/// Rule files in merge order: by name, the registry left out.
fn rule_files(dir: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut paths = toml_files(dir)?;
    paths.retain(|path| path.file_name().is_some_and(|name| name != REGISTRY));
    Ok(paths)
}

/// True for the name of a recipe. What is called so and cannot be read is an error: nobody may
/// lose a rule to a broken link. Only an editor's lock (`.#base.toml`, a link to nowhere) is none.
#[must_use]
pub fn is_recipe(path: &Path) -> bool {
    let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
    path.extension().is_some_and(|extension| extension == "toml") && !name.starts_with(b".#")
}

/// Every `*.toml` directly in a directory, by name.
fn toml_files(dir: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        paths.extend(Some(entry?.path()).filter(|path| is_recipe(path)));
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path, found: &mut Vec<Diagnostic>) -> Option<Input> {
    match std::fs::read(path) {
        Ok(bytes) => Some(Input::new(path.display().to_string(), bytes)),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            let help = if path.ends_with(REGISTRY) {
                format!("`{REGISTRY}` registers every capability that a rule may name: restore it")
            } else {
                "restore the file, or take it out of the directory".to_owned()
            };
            found.push(Diagnostic::error("missing-file", message).help(help));
            None
        }
    }
}

fn compile_with(
    registry: Option<Input>,
    rules: Vec<Input>,
    system: &SystemNames,
    mut found: Vec<Diagnostic>,
) -> Result<Compiled, Diagnostics> {
    check_system(system, &mut found);
    if rules.is_empty() {
        found.push(
            Diagnostic::error("missing-file", "there is no rule file").help("add `base.toml`"),
        );
    }
    if rules.len() > MAX_FILES {
        let message = format!("{} rule files, but MAX_FILES is {MAX_FILES}", rules.len());
        found.push(Diagnostic::error("too-many", message).help("put rules of a kind in one file"));
    }
    let no_registry = registry.is_none();
    let inputs = registry.into_iter().chain(rules);
    let sources: Vec<(Source, bool)> =
        inputs.enumerate().map(|(index, input)| decode(index, input, &mut found)).collect();
    let mut files = sources.iter().enumerate().filter(|(_, (_, readable))| *readable);
    let mut caps = Vec::new();
    let mut documents = Vec::new();
    for (index, (source, _)) in files.by_ref() {
        let mut reader = Reader { index, source, out: &mut found };
        if index == 0 && !no_registry {
            caps = registry::read(&mut reader, system);
        } else {
            documents.push(document::read(&mut reader));
        }
    }
    checks::rule_count(&documents, &mut found);
    // Half a vocabulary or half the rules would only produce follow-up noise.
    let unreadable = no_registry
        || sources.iter().any(|(_, readable)| !readable)
        || found.iter().any(|item| ["syntax", "too-many"].contains(&item.code));
    let mut built = build(&caps, &documents, system, found, unreadable);
    let sources: Vec<Source> = sources.into_iter().map(|(source, _)| source).collect();
    unreviewed::check(&sources, &mut built.found);
    let entries = documents.iter().flat_map(|document| &document.lints);
    let mut lints = Lints::read(entries, &sources, &mut built.found);
    if !built.found.iter().any(|item| item.level == Level::Error) {
        built.found = lints.settle(built.found, &sources);
        let idle = lints.settle(lints.idle(false), &sources);
        built.found.extend(idle);
    }
    finish(built, caps, sources, lints)
}

/// Text of a file; bytes that are not UTF-8 are an error with a place.
fn decode(index: usize, input: Input, found: &mut Vec<Diagnostic>) -> (Source, bool) {
    if input.bytes.len() > MAX_FILE_BYTES {
        let (name, len) = (&input.name, input.bytes.len());
        let message = format!("{name} has {len} bytes, but MAX_FILE_BYTES is {MAX_FILE_BYTES}");
        found.push(Diagnostic::error("too-large", message).help("split it: files merge"));
        return (Source::new(input.name, ""), false);
    }
    match String::from_utf8(input.bytes) {
        Ok(text) => (Source::new(input.name, text), true),
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(start).copied().unwrap_or(0);
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let span = start..start.saturating_add('\u{fffd}'.len_utf8());
            let place = Place { source: index, span };
            let message = format!("byte 0x{byte:02x} is not UTF-8");
            let bad = Diagnostic::error("bad-utf8", message).at(&place, "here");
            found.push(bad.help("save the file as UTF-8; nothing in it was read"));
            (Source::new(input.name, text), false)
        }
    }
}

/// The names handed in by the caller obey the same rules as everybody else's.
fn check_system(system: &SystemNames, found: &mut Vec<Diagnostic>) {
    let mut error = |message: String| found.push(Diagnostic::error("system-names", message));
    let mut names: Vec<&str> = system.services.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(system.classes.iter().map(|(name, ..)| name.as_str()));
    names.sort_unstable();
    let mut ids: Vec<u64> = system.services.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    for name in &names {
        if let Err(fault) = spelling::check_name(name) {
            error(format!("recipes/system.toml: `{name}` {}", fault.reason));
        }
    }
    for pair in names.windows(2).filter(|pair| pair.first() == pair.last()) {
        error(format!("recipes/system.toml: `{}` exists twice", pair.first().unwrap_or(&"")));
    }
    for pair in ids.windows(2).filter(|pair| pair.first() == pair.last()) {
        error(format!("recipes/system.toml: id {} is assigned twice", pair.first().unwrap_or(&0)));
    }
    if ids.first() == Some(&0) {
        error("recipes/system.toml: 0 is not a service id".to_owned());
    }
    for provider in &system.providers {
        if !system.services.iter().any(|(name, _)| name == provider) {
            error(format!("recipes/system.toml: provider `{provider}` is not a service"));
        }
    }
}

/// What the middle of the compiler hands to the end of it.
#[derive(Default)]
struct Built {
    found: Vec<Diagnostic>,
    written: Vec<Written>,
    model: Model,
    classes: Vec<String>,
}

fn build(
    caps: &[Registered],
    documents: &[Document],
    system: &SystemNames,
    mut found: Vec<Diagnostic>,
    unreadable: bool,
) -> Built {
    let mut services = system.services.clone();
    services.sort();
    let mut classes = system.classes.clone();
    classes.sort_by_key(|(_, first, _)| *first);
    let mut rows: Vec<String> = services.iter().map(|(name, _)| name.clone()).collect();
    rows.extend(classes.iter().map(|(name, ..)| name.clone()));
    let version = version(documents, &mut found);
    if unreadable {
        return Built { found, ..Built::default() };
    }
    let mut scope = Scope::new(caps, &rows, services.len(), system, documents);
    let entries = documents.iter().flat_map(|document| &document.entries);
    documents.iter().flat_map(|document| &document.subjects).for_each(|word| {
        let _ = scope.subject(word, Reach::Services);
    });
    let mut lost_deny = false;
    let mut written = Vec::new();
    for entry in entries {
        match scope.rule(entry) {
            Some(rule) => written.push(rule),
            None => lost_deny |= entry.effect == Effect::Deny,
        }
    }
    checks::conflicts(&written, &mut scope.out);
    let specs = caps.iter().map(|cap| CapabilitySpec {
        name: cap.name.clone(),
        audit: cap.audit,
        sensitivity: cap.sensitivity,
    });
    let mut model = Model {
        version,
        subjects: services,
        classes: classes.iter().map(|(_, first, last)| (*first, *last)).collect(),
        capabilities: specs.collect(),
        facts: scope.facts.clone(),
        ..Model::default()
    };
    let rules: Vec<Rule> = written.iter().map(|written| written.rule.clone()).collect();
    if let Err(crowded) = model.fill(&rules) {
        let found = crowded.iter().filter_map(|pair| crowd(pair, &written, &scope));
        let found: Vec<Diagnostic> = found.collect();
        scope.out.extend(found);
    }
    checks::buckets(&written, &model, &mut scope.out);
    let nevers: Vec<_> = documents.iter().flat_map(|document| &document.nevers).collect();
    checks::assertions(&nevers, &written, &model, &mut scope, !lost_deny);
    found.append(&mut scope.out);
    if !found.iter().any(|item| item.level == Level::Error) {
        // Lints are about a policy that builds; beside errors they would be follow-up noise.
        scope.report_definitions();
        found.append(&mut scope.out);
        checks::lints(&written, &model, &scope, &mut found);
    }
    let classes = classes.into_iter().map(|(name, ..)| name).collect();
    Built { found, written, model, classes }
}

/// One file may state the policy version; without it the version is 1.
fn version(documents: &[Document], found: &mut Vec<Diagnostic>) -> u64 {
    let mut stated = documents.iter().filter_map(|document| document.version.as_ref());
    let Some((version, first)) = stated.next() else { return 1 };
    for (_, place) in stated {
        let error = Diagnostic::error("duplicate-definition", "the policy version is stated twice");
        found.push(error.at(place, "again here").at(first, "first here").help("keep one"));
    }
    *version
}

fn crowd(pair: &Crowded, written: &[Written], scope: &Scope<'_>) -> Option<Diagnostic> {
    let rule = written.get(pair.rule.checked_sub(1)? as usize)?;
    let subject = scope.rows.get(pair.row as usize)?;
    let cap = &scope.caps.get(pair.cap as usize)?.name;
    let message = format!("too many conditional rules for `{subject}` and `{cap}`");
    let found = Diagnostic::error("too-many", message);
    let found = found.at(&rule.entry.capability.place, format!("MAX_CHAIN is {MAX_CHAIN}"));
    Some(found.help("put conditions that belong together into one gate"))
}

fn finish(
    built: Built,
    registry: Vec<Registered>,
    sources: Vec<Source>,
    lints: Lints,
) -> Result<Compiled, Diagnostics> {
    let Built { found, written, model, classes } = built;
    let mut warnings = Diagnostics { sources, items: found };
    warnings.sort();
    if warnings.has_errors() {
        return Err(warnings);
    }
    let words = match emit(&model) {
        Ok(words) => words,
        Err(error) => {
            let code =
                if matches!(error, EmitError::TooMany { .. }) { "too-many" } else { "internal" };
            warnings.items.insert(0, Diagnostic::error(code, error.to_string()));
            return Err(warnings);
        }
    };
    let rules = explain::sources(&written, &warnings);
    let places = written.iter().map(|written| written.entry.capability.place.clone()).collect();
    let resolved = written.into_iter().map(|written| written.rule).collect();
    let blob = to_bytes(&words);
    Ok(Compiled { blob, words, warnings, rules, registry, model, classes, resolved, places, lints })
}
