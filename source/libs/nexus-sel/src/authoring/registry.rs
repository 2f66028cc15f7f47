//! `capabilities.toml`: the closed vocabulary.
use std::collections::HashMap;

use crate::authoring::diagnostics::{Diagnostic, Place};
use crate::authoring::reader::{Reader, Value, Word};
use crate::authoring::spelling::suggest;
use crate::bounds::MAX_CAPABILITIES;
use crate::decision::AuditMode;
use crate::policy::Sensitivity;

use super::SystemNames;

/// A registered capability with what people want to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// What holding it means.
    pub meaning: String,
    /// The service that asks before it acts, or `kernel`.
    pub enforcer: String,
    /// True while no running service enforces it: the name is kept stable, nothing more.
    pub reserved: bool,
    /// How much harm it can do.
    pub sensitivity: Sensitivity,
    /// What audit guarantees.
    pub audit: AuditMode,
    /// Where it is named: its own name, or its target in a list.
    pub place: Place,
    /// The entry that registers it; the members of a family share one.
    pub entry: Place,
}

const KEYS: &[&str] = &["meaning", "enforcer", "status", "sensitivity", "audit", "expand"];
const EXAMPLE: &str = "[\"fs.read\"]";

/// Reads the registry; `"route.*"` with `expand = "providers"` becomes one per provider.
pub(crate) fn read(reader: &mut Reader<'_>, system: &SystemNames) -> Vec<Registered> {
    let parsed = reader.parse();
    let mut found: Vec<Registered> = Vec::new();
    let mut places: HashMap<String, Place> = HashMap::new();
    for (key, value) in parsed.get_ref().iter() {
        let name = reader.key(key);
        if name.text == "schema" {
            schema(reader, value);
            continue;
        }
        for capability in capability(reader, &name, value, system) {
            if let Some(first) = places.get(&capability.name) {
                let message = format!("`{}` is registered twice", capability.name);
                let error = Diagnostic::error("duplicate-capability", message);
                reader.out.push(error.at(&capability.place, "again here").at(first, "first here"));
                continue;
            }
            places.insert(capability.name.clone(), capability.place.clone());
            found.push(capability);
        }
    }
    if let Some(extra) = found.get(MAX_CAPABILITIES) {
        let count = found.len();
        let message = format!("{count} capabilities, but MAX_CAPABILITIES is {MAX_CAPABILITIES}");
        let error = Diagnostic::error("too-many", message).at(&extra.place, "one too many");
        reader.out.push(error.help("a name is a right that somebody asks for: drop the others"));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn schema(reader: &mut Reader<'_>, value: &Value<'_>) {
    let number = reader.integer(value, "`schema`", "schema = 2");
    if number.is_some_and(|number| number != 2) {
        let place = reader.place(value.span());
        let error = Diagnostic::error("unknown-schema", "the registry is written in schema 2");
        reader.out.push(error.at(&place, "2"));
    }
}

fn capability(
    reader: &mut Reader<'_>,
    name: &Word,
    value: &Value<'_>,
    system: &SystemNames,
) -> Vec<Registered> {
    let Some(table) = reader.table(value, &format!("`{}`", name.text), EXAMPLE) else {
        return Vec::new();
    };
    if table.values().all(|v| v.get_ref().is_table()) && !table.is_empty() {
        let inner = table.keys().next().map_or(String::new(), |key| key.get_ref().to_string());
        let message = format!("`{}.{inner}` must be quoted", name.text);
        let error = Diagnostic::error("unquoted-name", message);
        let help = format!("write `[\"{}.{inner}\"]`", name.text);
        reader.out.push(error.at(&name.place, "TOML reads the dot as nesting").help(help));
        return Vec::new();
    }
    reader.only(table, "a capability", KEYS);
    let meaning = reader.required(table, name, "meaning");
    let meaning = meaning.and_then(|v| reader.prose(v, "`meaning`")).unwrap_or_default();
    let status = choice(reader, table.get("status"), "status", &["enforced", "reserved"]);
    let reserved = status == Some(1);
    let enforcer = reader.required(table, name, "enforcer");
    let enforcer = enforcer.and_then(|v| reader.word(v, "`enforcer`", "\"policyd\""));
    if let Some(word) = &enforcer {
        check_enforcer(reader, word, reserved, system);
    }
    let levels = ["low", "medium", "high"];
    let sensitivity = match choice(reader, table.get("sensitivity"), "sensitivity", &levels) {
        Some(2) => Sensitivity::High,
        Some(1) => Sensitivity::Medium,
        _ => Sensitivity::Low,
    };
    let audit = match choice(reader, table.get("audit"), "audit", &["normal", "required"]) {
        Some(1) => AuditMode::Required,
        _ => AuditMode::Normal,
    };
    let expand = table.get("expand");
    let make = |full: Word| Registered {
        name: full.text,
        meaning: meaning.clone(),
        enforcer: enforcer.as_ref().map_or(String::new(), |word| word.text.clone()),
        reserved,
        sensitivity,
        audit,
        place: full.place,
        entry: name.place.clone(),
    };
    names(reader, name, expand, system).into_iter().map(make).collect()
}

/// The name itself, or what a family stands for.
fn names(
    reader: &mut Reader<'_>,
    name: &Word,
    expand: Option<&Value<'_>>,
    system: &SystemNames,
) -> Vec<Word> {
    match (name.text.strip_suffix(".*"), expand) {
        (None, None) => {
            if reader.named(name, "capability") {
                vec![name.clone()]
            } else {
                Vec::new()
            }
        }
        (Some(family), Some(value)) => {
            let word = Word { text: family.to_owned(), place: name.place.clone() };
            reader.named(&word, "capability family");
            let mut valid = members(reader, family, name, value, system);
            valid.retain(|word| reader.named(word, "generated capability"));
            valid
        }
        (Some(_), None) => {
            let message = format!("`{}` is a family, but nothing fills it", name.text);
            let error = Diagnostic::error("bad-family", message);
            let help = "add `expand = \"providers\"` or a list of targets, or register each name";
            reader.out.push(error.at(&name.place, "the vocabulary is closed").help(help));
            Vec::new()
        }
        (None, Some(_)) => {
            let message = format!("`{}` has `expand` but is not a family", name.text);
            let error = Diagnostic::error("bad-family", message);
            let help = format!("write `[\"{}.*\"]`", name.text);
            reader.out.push(error.at(&name.place, "").help(help));
            Vec::new()
        }
    }
}

/// What `expand` makes of a family: one name per provider, or per target of a list.
fn members(
    reader: &mut Reader<'_>,
    family: &str,
    name: &Word,
    value: &Value<'_>,
    system: &SystemNames,
) -> Vec<Word> {
    let full = |target: &str| format!("{family}.{target}");
    if let Some(list) = value.get_ref().as_array() {
        let targets = reader.words(value, "`expand`", "expand = [\"acme\"]");
        if list.is_empty() {
            let error = Diagnostic::error("empty-list", "`expand` is empty");
            let place = reader.place(value.span());
            reader.out.push(error.at(&place, "list the targets, or write `\"providers\"`"));
        }
        let word = |target: Word| Word { text: full(&target.text), place: target.place };
        return targets.into_iter().map(word).collect();
    }
    choice(reader, Some(value), "expand", &["providers"]);
    let word = |provider: &String| Word { text: full(provider), place: name.place.clone() };
    system.providers.iter().map(word).collect()
}

fn check_enforcer(reader: &mut Reader<'_>, word: &Word, reserved: bool, system: &SystemNames) {
    if !reader.named(word, "enforcer") || reserved || word.text == "kernel" {
        return;
    }
    if system.services.iter().any(|(name, _)| *name == word.text) {
        return;
    }
    let names: Vec<&str> = system.services.iter().map(|(name, _)| name.as_str()).collect();
    let message = format!("enforcer `{}` is not a service", word.text);
    reader.out.push(
        Diagnostic::error("unknown-service", message)
            .at(&word.place, "not in recipes/system.toml")
            .maybe_help(suggest(&word.text, names))
            .help("if nothing enforces it yet, say so: `status = \"reserved\"`"),
    );
}

/// The position of a string among the allowed ones.
fn choice(
    reader: &mut Reader<'_>,
    value: Option<&Value<'_>>,
    key: &str,
    allowed: &[&str],
) -> Option<usize> {
    let word =
        reader.word(value?, &format!("`{key}`"), &format!("{key} = {:?}", allowed.first()?))?;
    let found = allowed.iter().position(|name| *name == word.text);
    if found.is_none() {
        let list = allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        let message = format!("`{key}` cannot be `{}`", word.text);
        let error = Diagnostic::error("unknown-value", message);
        let hint = suggest(&word.text, allowed.iter().copied());
        reader.out.push(error.at(&word.place, list).maybe_help(hint));
    }
    found
}
