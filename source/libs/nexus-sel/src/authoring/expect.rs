//! Expected decisions, written beside the policy: `recipes/policy/tests/*.toml`.
use std::collections::BTreeSet;
use std::path::Path;

use toml::de::DeTable;

use crate::authoring::diagnostics::{Diagnostic, Diagnostics, Source};
use crate::authoring::explain::RuleSource;
use crate::authoring::reader::{Reader, Word};
use crate::authoring::spelling::suggest;
use crate::authoring::{Compiled, Input, decode, read_file, toml_files};
use crate::decision::{Decision, Facts, Reason, RuleId};
use crate::limits::{LimitId, LimitSpec, Limits};
use crate::policy::Policy;

/// What a run of the expected decisions found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Decisions asked.
    pub asked: usize,
    /// Expectations that were not met, and faults of the test files.
    pub faults: Diagnostics,
    /// Rules that decided none of the expected decisions.
    pub untested: Vec<RuleSource>,
}

/// Runs every `*.toml` of a directory against a policy.
#[must_use]
pub fn run_dir(compiled: &Compiled, dir: &Path) -> Report {
    let mut faults = Vec::new();
    let paths = toml_files(dir).unwrap_or_else(|error| {
        let message = format!("{} cannot be read: {error}", dir.display());
        let help = "expected decisions stand there: `[[expect]]` with `subject`, `allow`, `deny`";
        faults.push(Diagnostic::error("missing-file", message).help(help));
        Vec::new()
    });
    let inputs = paths.iter().filter_map(|path| read_file(path, &mut faults)).collect();
    run_with(compiled, inputs, faults)
}

/// Runs test files from memory.
#[must_use]
pub fn run(compiled: &Compiled, inputs: Vec<Input>) -> Report {
    run_with(compiled, inputs, Vec::new())
}

fn run_with(compiled: &Compiled, inputs: Vec<Input>, mut faults: Vec<Diagnostic>) -> Report {
    let mut run = Run { compiled, hit: BTreeSet::new(), asked: 0 };
    let mut sources: Vec<Source> = Vec::new();
    for (index, input) in inputs.into_iter().enumerate() {
        let (source, readable) = decode(index, input, &mut faults);
        match compiled.policy() {
            Ok(policy) if readable => {
                let mut reader = Reader { index, source: &source, out: &mut faults };
                run.file(&policy, &mut reader);
            }
            Ok(_) => {}
            Err(error) => faults.push(Diagnostic::error("internal", error.to_string())),
        }
        sources.push(source);
    }
    let untested = compiled.rules.iter().filter(|rule| !run.hit.contains(&rule.id));
    let untested = untested.cloned().collect();
    let mut faults = Diagnostics { sources, items: faults };
    faults.sort();
    Report { asked: run.asked, faults, untested }
}

struct Run<'a> {
    compiled: &'a Compiled,
    hit: BTreeSet<RuleId>,
    asked: usize,
}

const KEYS: &[&str] = &["subject", "allow", "deny", "reason", "facts", "at", "limits"];

/// Every bucket alike: full, unless the file asks what is left when they are spent.
struct Alike {
    full: bool,
}

impl Limits for Alike {
    fn take(&mut self, _: LimitId, _: LimitSpec) -> bool {
        self.full
    }
}

impl Run<'_> {
    fn file(&mut self, policy: &Policy<'_>, reader: &mut Reader<'_>) {
        let parsed = reader.parse();
        let top = parsed.get_ref();
        reader.only(top, "a test file", &["expect"]);
        let Some(list) = top.get("expect") else { return };
        for item in reader.list(list, "`expect`", "[[expect]]") {
            if let Some(table) = reader.table(item, "`expect`", "[[expect]]") {
                let place = reader.place(item.span());
                let owner = Word { text: "expect".into(), place };
                self.block(policy, reader, table, &owner);
            }
        }
    }

    fn block(
        &mut self,
        policy: &Policy<'_>,
        reader: &mut Reader<'_>,
        table: &DeTable<'_>,
        owner: &Word,
    ) {
        let before = reader.out.len();
        reader.only(table, "`expect`", KEYS);
        let subject = reader.required(table, owner, "subject");
        let subject = subject.and_then(|v| reader.word(v, "`subject`", "\"logd\""));
        let Some(subject) = subject else { return };
        let words = |reader: &mut Reader<'_>, key| {
            let value = table.get(key);
            value.map(|v| reader.words(v, "a list", "[\"ipc.core\"]")).unwrap_or_default()
        };
        let mut facts = Facts::NONE;
        for word in words(reader, "facts") {
            match policy.fact(word.text.as_bytes()) {
                Some(fact) => facts.bits |= fact.mask,
                None => {
                    let message = format!("`{}` is not a fact", word.text);
                    let fault = Diagnostic::error("unknown-fact", message);
                    reader.out.push(fault.at(&word.place, "not in `[facts]`"));
                }
            }
        }
        if let Some(value) = table.get("at") {
            let Some(now) = reader.moment(value, "`at`") else { return };
            facts.wall_s = now;
        }
        let one_of = |reader: &mut Reader<'_>, key: &str, known: &[&str]| {
            let word = table
                .get(key)
                .map(|v| reader.word(v, &format!("`{key}`"), known.first().unwrap_or(&"")))?;
            let found = word.map(|word| (known.iter().position(|name| *name == word.text), word));
            if let Some((None, word)) = &found {
                let message = format!("`{key}` cannot be `{}`", word.text);
                let fault = Diagnostic::error("unknown-value", message);
                reader.out.push(fault.at(&word.place, known.join(", ")));
            }
            Some(found.and_then(|(at, _)| at))
        };
        let full = match one_of(reader, "limits", &["full", "spent"]) {
            None | Some(Some(0)) => true,
            Some(Some(_)) => false,
            Some(None) => return,
        };
        // An expected refusal is one: `allowed` is not among its reasons.
        let refusals = Reason::ALL.get(1..).unwrap_or_default();
        let words_of: Vec<&str> = refusals.iter().map(|reason| reason.as_str()).collect();
        let denied = match one_of(reader, "reason", &words_of) {
            None => Reason::NotPermitted,
            Some(Some(at)) => refusals.get(at).copied().unwrap_or(Reason::NotPermitted),
            Some(None) => return,
        };
        let id = self.compiled.subject_id(&subject.text).unwrap_or(0);
        let mut limits = Alike { full };
        let asks = table.get("allow").or(table.get("deny")).is_some();
        if !asks && reader.out.len() == before {
            let fault = Diagnostic::error("missing-key", "nothing is expected");
            let help = "list capabilities in `allow`, in `deny`, or in both";
            reader.out.push(fault.at(&subject.place, "neither `allow` nor `deny`").help(help));
        }
        for (key, expected) in [("allow", Reason::Allowed), ("deny", denied)] {
            for word in words(reader, key) {
                let decision = policy.decide_with(id, word.text.as_bytes(), facts, &mut limits);
                self.asked = self.asked.saturating_add(1);
                self.hit.insert(decision.rule());
                if decision.reason() != expected {
                    let fault = self.unmet(&subject, &word, expected, &decision);
                    reader.out.push(fault);
                }
            }
        }
    }

    fn unmet(&self, subject: &Word, word: &Word, expected: Reason, found: &Decision) -> Diagnostic {
        let message = format!(
            "`{}` and `{}`: expected {}, decided {}",
            subject.text,
            word.text,
            expected.as_str(),
            found.reason().as_str()
        );
        let fault = Diagnostic::error("expectation-failed", message);
        let fault = fault.at(&word.place, format!("expected {}", expected.as_str()));
        let caps = || self.compiled.registry.iter().map(|cap| cap.name.as_str());
        let services = || self.compiled.model.subjects.iter().map(|(name, _)| name.as_str());
        let fault = match found.reason() {
            Reason::UnknownCapability => fault.maybe_help(suggest(&word.text, caps())),
            Reason::UnknownSubject => fault.maybe_help(suggest(&subject.text, services())),
            _ => fault,
        };
        let rule = self.compiled.rules.iter().find(|rule| rule.id == found.rule());
        fault.maybe_help(rule.map(|rule| {
            format!("rule {} decided, at {}:{}:{}", rule.id.0, rule.file, rule.line, rule.column)
        }))
    }
}
