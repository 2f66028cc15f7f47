//! `nx policy schema`: JSON Schema of the recipe files, with the vocabulary of this tree, so that
//! any TOML editor completes names and marks wrong ones.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nexus_manifest::authoring::System;
use nexus_sel::authoring::{self, BUNDLE, Input, LINTS, LintLevel, REGISTRY, Registered};
use serde_json::{Map, Value, json};

use super::{
    OK,
    side::{Failure, Place},
};
use crate::policy;

/// Where schemas go, if nobody says where.
const FOLDER: &str = "build/schema";

/// Write JSON Schema for the recipe files, so that editors complete and check them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nx policy schema                  write all; .taplo.toml points editors at them
  nx policy schema rules | jq .     look at one

The schema knows the names of this tree: write it again when the registry changes.

Exit status: 0 written or printed, 1 registry or manifest has faults, 2 wrong usage")]
pub(super) struct SchemaArgs {
    /// The kind of file to print the schema of; without it, all are written
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// Where they are written; `.taplo.toml` points editors there
    #[arg(long, short, default_value = FOLDER)]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// `recipes/policy/*.toml`
    Rules,
    /// `recipes/policy/capabilities.toml`
    Capabilities,
    /// `recipes/policy/tests/*.toml`
    Tests,
}

impl Kind {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Rules, "policy-rules.json"),
        (Self::Capabilities, "policy-capabilities.json"),
        (Self::Tests, "policy-tests.json"),
    ];
}

pub(super) fn run(place: Place<'_>, json: bool, args: &SchemaArgs) -> Result<u8, Failure> {
    let system = System::load(place.root).map_err(|faults| Failure::Text(faults.to_string()))?;
    let words = Vocabulary::read(&super::locate(place.root, place.dir), &system)?;
    if let Some(kind) = args.kind {
        println!("{:#}", words.schema(kind));
        return Ok(OK);
    }
    let dir = super::target(place.root, &args.output, Path::new(FOLDER));
    let fault = |error: std::io::Error| Failure::Text(format!("{}: {error}", dir.display()));
    fs::create_dir_all(&dir).map_err(fault)?;
    let mut written = Vec::new();
    for (kind, name) in Kind::ALL {
        fs::write(dir.join(name), format!("{:#}\n", words.schema(kind))).map_err(fault)?;
        written.push(args.output.join(name).display().to_string());
    }
    if json {
        println!("{}", json!({ "written": written }));
    } else {
        written.iter().for_each(|path| println!("wrote {path}"));
    }
    Ok(OK)
}

/// Every name that may stand in a recipe.
struct Vocabulary {
    services: Vec<String>,
    subjects: Vec<String>,
    capabilities: Vec<Registered>,
    gates: BTreeSet<String>,
    facts: BTreeSet<String>,
}

impl Vocabulary {
    fn read(dir: &Path, system: &System) -> Result<Self, Failure> {
        let registry = dir.join(REGISTRY);
        let bytes = fs::read(&registry)
            .map_err(|error| Failure::Text(format!("{}: {error}", registry.display())))?;
        let registry = Input::new(registry.display().to_string(), bytes);
        // Alone: while a rule file is being edited it is broken, and that is when editors ask.
        let alone = vec![Input::new("rules", "[allow]\n")];
        let compiled = authoring::compile(registry, alone, &policy::names(system))
            .map_err(|faults| Failure::Faults(REGISTRY.to_owned(), faults))?;
        let services: Vec<String> =
            compiled.model.subjects.iter().map(|(name, _)| name.clone()).collect();
        let mut words = Self {
            subjects: services.iter().cloned().chain([BUNDLE.to_owned()]).collect(),
            services,
            capabilities: compiled.registry,
            gates: BTreeSet::new(),
            facts: BTreeSet::new(),
        };
        words.definitions(dir);
        Ok(words)
    }

    /// Groups, gates and facts of the rule files, as far as they can be read.
    fn definitions(&mut self, dir: &Path) {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut groups = BTreeSet::new();
        for path in entries.map(|entry| entry.path()) {
            let rules = path.extension().is_some_and(|end| end == "toml")
                && path.file_name().is_some_and(|name| name != REGISTRY);
            let text = if rules { fs::read_to_string(&path).ok() } else { None };
            let Some(file) = text.and_then(|text| toml::from_str::<toml::Table>(&text).ok()) else {
                continue;
            };
            let keys = |section: &str| -> Vec<String> {
                let table = file.get(section).and_then(toml::Value::as_table);
                table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
            };
            groups.extend(keys("groups"));
            self.gates.extend(keys("gates"));
            self.facts.extend(keys("facts"));
        }
        self.subjects.extend(groups);
    }

    fn schema(&self, kind: Kind) -> Value {
        let mut schema = match kind {
            Kind::Rules => self.rules(),
            Kind::Capabilities => self.registry(),
            Kind::Tests => self.tests(),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
            object.insert("definitions".into(), self.definition());
        }
        schema
    }

    fn definition(&self) -> Value {
        let names = self.capabilities.iter().map(|cap| cap.name.as_str());
        let names: Vec<&str> = names.collect();
        let families = names.iter().flat_map(|name| {
            name.match_indices('.').filter_map(|(at, _)| Some(format!("{}.*", name.get(..at)?)))
        });
        let families: BTreeSet<String> = families.collect();
        let about = self.capabilities.iter().map(|cap| {
            let state = if cap.reserved { "reserved for" } else { "enforced by" };
            let text = format!("{} ({state} {})", cap.meaning, cap.enforcer);
            json!({ "const": cap.name, "description": text })
        });
        let about: Vec<Value> = about.collect();
        let bases: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).collect();
        let targets: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(name.rsplit_once('.')?.1)).chain(["*"]).collect();
        json!({
            "capability": { "anyOf": about },
            "wildcard": { "enum": families },
            "capabilities": { "anyOf": [
                { "$ref": "#/definitions/capability" }, { "$ref": "#/definitions/wildcard" } ] },
            "base": { "enum": bases },
            "target": { "enum": targets },
            "service": { "enum": self.services },
            "subject": { "anyOf": [
                { "enum": self.subjects },
                { "type": "string", "pattern": "\\*" } ] },
            "gate": { "enum": self.gates },
            "fact": { "enum": self.facts },
            "text": { "type": "string", "minLength": 1 },
        })
    }

    fn rules(&self) -> Value {
        let lints = LINTS.iter().map(|lint| {
            let levels = LintLevel::WORDS.map(|(word, _)| word);
            (lint.name.to_owned(), json!({ "enum": levels, "description": lint.about }))
        });
        let when = json!({ "when": many("gate"), "until": { "description": "a date and time with zone" },
            "limit": object(&json!({ "count": { "type": "integer", "minimum": 1 },
                "per": { "type": "string", "pattern": "^[0-9]+(ns|us|ms|s|min|h|d)$" } }), &["count", "per"]) });
        let with = |more: Value| merged(&when, &more);
        let plain = object(&with(json!({ "capability": many("capabilities") })), &["capability"]);
        let aimed = with(json!({ "capability": many("base"), "target": many("target") }));
        let aimed = object(&aimed, &["capability", "target"]);
        let rule = json!({ "anyOf": [of("capabilities"), plain, aimed] });
        let list = json!({ "type": "array", "items": rule });
        let subjects = self.subjects.iter().map(|name| (name.clone(), list.clone()));
        let mut entries = closed(subjects.collect());
        if let Some(entries) = entries.as_object_mut() {
            entries.insert("patternProperties".into(), json!({ "\\*": list }));
        }
        let fact = object(
            &json!({ "owner": of("service"), "meaning": of("text") }),
            &["owner", "meaning"],
        );
        let gate = json!({ "when": many("fact"), "unless": many("fact"), "meaning": of("text") });
        let never = json!({ "capability": many("capabilities"), "subject": many("subject"),
            "except": many("subject"), "reason": of("text") });
        let top = json!({
            "schema": { "enum": [1, 2], "description": "2 for anything but a plain `[allow]`" },
            "version": { "type": "integer", "minimum": 1, "description": "of the policy; only grows" },
            "groups": { "type": "object", "additionalProperties": { "type": "array", "minItems": 1,
                "items": of("subject") } },
            "facts": { "type": "object", "additionalProperties": fact },
            "gates": { "type": "object", "additionalProperties": object(&gate, &["meaning"]) },
            "allow": entries,
            "deny": entries,
            "never": { "type": "array", "items": object(&never, &["capability", "reason"]) },
            "lints": closed(lints.collect()),
        });
        titled("Nexus policy rules", &top)
    }

    fn registry(&self) -> Value {
        let expand = json!({ "anyOf": [ { "const": "providers" },
            { "type": "array", "minItems": 1, "items": of("text") } ] });
        let enforcers = self.services.iter().map(String::as_str).chain(["kernel"]);
        let enforcers: Vec<&str> = enforcers.collect();
        let fields = json!({
            "meaning": of("text"),
            "enforcer": { "anyOf": [ { "enum": enforcers }, { "type": "string" } ] },
            "status": { "enum": ["enforced", "reserved"] },
            "sensitivity": { "enum": ["low", "medium", "high"] },
            "audit": { "enum": ["normal", "required"] },
            "expand": expand,
        });
        let capability = object(&fields, &["meaning", "enforcer"]);
        json!({
            "title": "Nexus capabilities",
            "type": "object",
            "properties": { "schema": { "const": 2 } },
            "additionalProperties": capability,
        })
    }

    fn tests(&self) -> Value {
        let reasons = nexus_sel::Reason::ALL.map(nexus_sel::Reason::as_str);
        let reasons: Vec<&str> = reasons.into_iter().filter(|word| *word != "allowed").collect();
        // A refusal of an unknown name is worth expecting, so any string may be asked about.
        let asked = json!({ "anyOf": [of("capability"), { "type": "string" }] });
        let asked = json!({ "anyOf": [asked, { "type": "array", "items": asked }] });
        let block = json!({
            "subject": { "anyOf": [of("subject"), { "type": "string" }] },
            "allow": asked, "deny": asked, "facts": many("fact"),
            "reason": { "enum": reasons }, "limits": { "enum": ["full", "spent"] },
            "at": { "description": "a date and time with zone: when the question is asked" },
        });
        let block = object(&block, &["subject"]);
        titled("Nexus policy tests", &json!({ "expect": { "type": "array", "items": block } }))
    }
}

fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// One, or a list of them.
fn many(name: &str) -> Value {
    json!({ "anyOf": [of(name), { "type": "array", "minItems": 1, "items": of(name) }] })
}

fn closed(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false,
        "required": required })
}

fn titled(title: &str, properties: &Value) -> Value {
    json!({ "title": title, "type": "object", "properties": properties,
        "additionalProperties": false })
}

fn merged(one: &Value, other: &Value) -> Value {
    let both = [one, other].into_iter().filter_map(Value::as_object);
    Value::Object(both.flatten().map(|(key, value)| (key.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests;
