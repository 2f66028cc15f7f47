//! A rule file as its author wrote it, with places, before any name is resolved.
use toml::de::{DeTable, DeValue};

use crate::authoring::diagnostics::{Diagnostic, Place};
use crate::authoring::reader::{Reader, Value, Word};
use crate::bounds::{MAX_BURST, MAX_RULES};
use crate::decision::Effect;
use crate::limits::LimitSpec;

/// One (subject, capability) entry of `[allow]` or `[deny]`: one rule.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) effect: Effect,
    pub(crate) subject: Word,
    pub(crate) capability: Word,
    pub(crate) when: Vec<Word>,
    pub(crate) until: Option<u64>,
    pub(crate) limit: Option<LimitSpec>,
}

/// A named set of services.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: Word,
    pub(crate) members: Vec<Word>,
}

/// Something that is so or not, and who says it.
#[derive(Clone, Debug)]
pub(crate) struct FactDef {
    pub(crate) name: Word,
    pub(crate) owner: Option<Word>,
}

/// A named condition over facts.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) name: Word,
    pub(crate) when: Vec<Word>,
    pub(crate) unless: Vec<Word>,
}

/// An assertion over the finished policy.
#[derive(Clone, Debug)]
pub(crate) struct Never {
    pub(crate) place: Place,
    pub(crate) capabilities: Vec<Word>,
    pub(crate) subjects: Vec<Word>,
    pub(crate) except: Vec<Word>,
    pub(crate) reason: String,
}

/// What one file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) version: Option<(u64, Place)>,
    pub(crate) groups: Vec<Group>,
    pub(crate) facts: Vec<FactDef>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) entries: Vec<Entry>,
    /// Every subject with an entry, also an empty one.
    pub(crate) subjects: Vec<Word>,
    pub(crate) nevers: Vec<Never>,
    /// Lints and the levels asked for.
    pub(crate) lints: Vec<(Word, Word)>,
}

const TOP: &[&str] =
    &["schema", "version", "groups", "facts", "gates", "allow", "deny", "never", "lints"];
const ENTRY: &[&str] = &["capability", "target", "when", "until", "limit"];
const NO_RULE: &str = "an empty list would be no rule";
const LIST: &str = "selftest-client = [\"ipc.core\"]";

/// Reads a rule file.
pub(crate) fn read(reader: &mut Reader<'_>) -> Document {
    let parsed = reader.parse();
    let top = parsed.get_ref();
    let mut document = Document::default();
    let full = schema(reader, top);
    reader.only(top, "a policy file", TOP);
    for (key, value) in top.iter() {
        let word = reader.key(key);
        if !full
            && !["allow", "schema"].contains(&word.text.as_str())
            && TOP.contains(&word.text.as_str())
        {
            needs_schema_2(reader, &word.place, &format!("`{}`", word.text));
        }
        match word.text.as_str() {
            "version" => {
                let number = reader.integer(value, "`version`", "version = 2");
                document.version = number.map(|number| (number, reader.place(value.span())));
            }
            "allow" => entries(reader, value, Effect::Allow, full, &mut document),
            "deny" => entries(reader, value, Effect::Deny, full, &mut document),
            "groups" => document.groups = groups(reader, value),
            "facts" => document.facts = facts(reader, value),
            "gates" => document.gates = gates(reader, value),
            "never" => document.nevers = nevers(reader, value),
            "lints" => document.lints = lints(reader, value),
            _ => {}
        }
    }
    // Tables are sorted by key; rules are numbered as they stand in the file.
    document.entries.sort_by_key(|entry| entry.capability.place.span.start);
    document
}

/// True for schema 2; without the key a file is schema 1: `[allow]` and plain names only.
fn schema(reader: &mut Reader<'_>, top: &DeTable<'_>) -> bool {
    let Some(value) = top.get("schema") else { return false };
    match reader.integer(value, "`schema`", "schema = 2") {
        Some(1) => false,
        Some(2) | None => true,
        Some(other) => {
            let place = reader.place(value.span());
            let found = Diagnostic::error("unknown-schema", format!("schema {other} is not known"));
            reader.out.push(found.at(&place, "1 or 2").help("write `schema = 2`"));
            true
        }
    }
}

fn needs_schema_2(reader: &mut Reader<'_>, place: &Place, what: &str) {
    let found = Diagnostic::error("needs-schema-2", format!("{what} needs schema 2"));
    reader.out.push(found.at(place, "").help("put `schema = 2` at the top of this file"));
}

fn entries(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    effect: Effect,
    full: bool,
    out: &mut Document,
) {
    let section = if effect == Effect::Allow { "`[allow]`" } else { "`[deny]`" };
    let Some(table) = reader.table(value, section, "[allow]") else { return };
    for (key, value) in table.iter() {
        let subject = reader.key(key);
        if value.get_ref().is_table() {
            quote_it(reader, &subject, value);
            continue;
        }
        if !full && subject.text.contains('*') {
            needs_schema_2(reader, &subject.place, "a glob");
        }
        let what = format!("the entry of `{}`", subject.text);
        for item in reader.list(value, &what, LIST) {
            entry(reader, (effect, &subject), item, full, &mut out.entries);
        }
        out.subjects.push(subject);
    }
}

/// `demo.testsvc = […]` is a nested table in TOML.
fn quote_it(reader: &mut Reader<'_>, subject: &Word, value: &Value<'_>) {
    let inner = value.get_ref().as_table().and_then(|table| table.keys().next().cloned());
    let inner = inner.map_or(String::new(), |key| format!(".{}", key.get_ref()));
    let message = format!("the entry of `{}` must be a list, found table", subject.text);
    reader.out.push(
        Diagnostic::error("wrong-type", message)
            .at(&subject.place, "expected a list of capabilities")
            .help(format!("a name with dots is quoted: `\"{}{inner}\" = […]`", subject.text)),
    );
}

fn entry(
    reader: &mut Reader<'_>,
    (effect, subject): (Effect, &Word),
    item: &Value<'_>,
    full: bool,
    out: &mut Vec<Entry>,
) {
    let plain = |capability| Entry {
        effect,
        subject: subject.clone(),
        capability,
        when: Vec::new(),
        until: None,
        limit: None,
    };
    if let Some(table) = item.get_ref().as_table() {
        let place = reader.place(item.span());
        if !full {
            needs_schema_2(reader, &place, "a rule with conditions");
        }
        conditional(reader, table, &place, plain, out);
    } else if let Some(capability) = reader.word(item, "a capability", "\"ipc.core\"") {
        if !full && capability.text.contains('*') {
            needs_schema_2(reader, &capability.place, "a wildcard");
        }
        out.push(plain(capability));
    }
}

fn conditional(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    place: &Place,
    plain: impl Fn(Word) -> Entry,
    out: &mut Vec<Entry>,
) {
    let owner = Word { text: "a rule".into(), place: place.clone() };
    reader.only(table, "a rule", ENTRY);
    let Some(capability) = reader.required(table, &owner, "capability") else { return };
    let mut capabilities =
        reader.some_words(capability, "`capability`", "capability = \"fs.read\"", NO_RULE);
    if let Some(value) = table.get("target") {
        let targets = reader.some_words(value, "`target`", "target = \"execd\"", NO_RULE);
        // Before they are written out: two lists multiply.
        let count = capabilities.len().saturating_mul(targets.len());
        if count > MAX_RULES.saturating_sub(out.len()) {
            let message = format!("{count} more rules, but MAX_RULES is {MAX_RULES}");
            let help = "a family stands for all of its targets: `target = \"*\"`";
            reader.out.push(Diagnostic::error("too-many", message).at(place, "").help(help));
            return;
        }
        capabilities = targeted(&capabilities, &targets);
    }
    let no_gate = "no gate at all would be no condition";
    let when = table.get("when");
    let when = when.map(|v| reader.some_words(v, "`when`", "when = \"bring-up\"", no_gate));
    let until = table.get("until").and_then(|v| reader.moment(v, "`until`"));
    let limit = table.get("limit").and_then(|v| limit(reader, v));
    for capability in capabilities {
        let mut entry = plain(capability);
        if entry.effect == Effect::Deny && limit.is_some() {
            let found = Diagnostic::error("limit-on-deny", "a deny cannot have a limit");
            let help = "limit the allow instead, or gate the deny with `when`";
            reader.out.push(found.at(&entry.capability.place, "limited here").help(help));
        }
        (entry.when, entry.until, entry.limit) = (when.clone().unwrap_or_default(), until, limit);
        out.push(entry);
    }
}

/// A capability about one target is a name of its own: `bundle.install` for `acme` is
/// `bundle.install.acme`.
fn targeted(capabilities: &[Word], targets: &[Word]) -> Vec<Word> {
    let pairs = capabilities.iter().flat_map(|cap| targets.iter().map(move |target| (cap, target)));
    let word = |(cap, target): (&Word, &Word)| Word {
        text: format!("{}.{}", cap.text, target.text),
        place: if targets.len() > 1 { target.place.clone() } else { cap.place.clone() },
    };
    pairs.map(word).collect()
}

/// `{ count = 5, per = "1s" }`: a bucket of `count` that refills in `per`.
fn limit(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<LimitSpec> {
    const EXAMPLE: &str = "limit = { count = 5, per = \"1s\" }";
    let table = reader.table(value, "`limit`", EXAMPLE)?;
    let owner = Word { text: "limit".into(), place: reader.place(value.span()) };
    reader.only(table, "a limit", &["count", "per"]);
    let count = reader.required(table, &owner, "count");
    let count_at = count.map(|v| reader.place(v.span()));
    let count = count.and_then(|v| reader.integer(v, "`count`", EXAMPLE));
    let per = reader.required(table, &owner, "per");
    let per = per.and_then(|v| reader.duration(v, "`per`"));
    let (count, per, place) = (count?, per?, count_at?);
    let Some(burst) = u32::try_from(count).ok().filter(|count| *count <= MAX_BURST) else {
        let found = Diagnostic::error("out-of-range", format!("a limit of {count} is too high"));
        reader.out.push(found.at(&place, format!("MAX_BURST is {MAX_BURST}")));
        return None;
    };
    Some(LimitSpec { burst, refill_ns: per.div_ceil(count) })
}

fn groups(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Group> {
    const EXAMPLE: &str = "selftest = [\"selftest-client\", \"selftest-peer\"]";
    let Some(table) = reader.table(value, "`[groups]`", "[groups]") else { return Vec::new() };
    let mut groups = Vec::new();
    for (key, value) in table.iter() {
        let name = reader.key(key);
        reader.named(&name, "group");
        let why = "list the services it stands for";
        let members = reader.some_words(value, "the group", EXAMPLE, why);
        groups.push(Group { name, members });
    }
    groups
}

fn facts(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<FactDef> {
    const EXAMPLE: &str = "bring-up = { owner = \"nexus-init\", meaning = \"…\" }";
    let Some(table) = reader.table(value, "`[facts]`", "[facts]") else { return Vec::new() };
    let mut facts = Vec::new();
    for (key, value) in table.iter() {
        let name = reader.key(key);
        reader.named(&name, "fact");
        let Some(fields) = reader.table(value, "a fact", EXAMPLE) else { continue };
        reader.only(fields, "a fact", &["owner", "meaning"]);
        let owner = reader.required(fields, &name, "owner");
        let owner = owner.and_then(|v| reader.word(v, "`owner`", EXAMPLE));
        if let Some(meaning) = reader.required(fields, &name, "meaning") {
            reader.prose(meaning, "`meaning`");
        }
        facts.push(FactDef { name, owner });
    }
    facts
}

fn gates(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Gate> {
    const EXAMPLE: &str = "bring-up = { when = \"bring-up\", meaning = \"…\" }";
    let Some(table) = reader.table(value, "`[gates]`", "[gates]") else { return Vec::new() };
    let mut gates = Vec::new();
    for (key, value) in table.iter() {
        let name = reader.key(key);
        reader.named(&name, "gate");
        let Some(fields) = reader.table(value, "a gate", EXAMPLE) else { continue };
        reader.only(fields, "a gate", &["when", "unless", "meaning"]);
        let list = |reader: &mut Reader<'_>, key| {
            fields.get(key).map(|v| reader.words(v, "facts", EXAMPLE)).unwrap_or_default()
        };
        let (when, unless) = (list(reader, "when"), list(reader, "unless"));
        if when.is_empty() && unless.is_empty() {
            let found =
                Diagnostic::error("empty-gate", format!("gate `{}` has no condition", name.text));
            let help = "name the facts that open it: `when = […]`, `unless = […]`";
            reader.out.push(found.at(&name.place, "always open").help(help));
        }
        if let Some(meaning) = reader.required(fields, &name, "meaning") {
            reader.prose(meaning, "`meaning`");
        }
        gates.push(Gate { name, when, unless });
    }
    gates
}

fn nevers(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Never> {
    const EXAMPLE: &str = "[[never]]";
    let mut nevers = Vec::new();
    for item in reader.list(value, "`never`", EXAMPLE) {
        let DeValue::Table(table) = item.get_ref() else {
            reader.wrong_type(item, "`never`", "a table", EXAMPLE);
            continue;
        };
        let place = reader.place(item.span());
        let owner = Word { text: "never".into(), place: place.clone() };
        reader.only(table, "an assertion", &["capability", "subject", "except", "reason"]);
        let capability = reader.required(table, &owner, "capability");
        let capabilities = capability.map(|v| {
            let why = "an assertion about nothing always holds";
            reader.some_words(v, "`capability`", "\"crypto.sign\"", why)
        });
        let mut list = |key, what, why| {
            let value = table.get(key);
            value.map(|v| reader.some_words(v, what, "\"selftest-*\"", why)).unwrap_or_default()
        };
        let subjects = list("subject", "`subject`", "leave it out to mean everybody");
        let except = list("except", "`except`", "leave it out to except nobody");
        let reason = reader.required(table, &owner, "reason");
        let reason = reason.and_then(|v| reader.prose(v, "`reason`")).unwrap_or_default();
        let capabilities = capabilities.unwrap_or_default();
        nevers.push(Never { place, capabilities, subjects, except, reason });
    }
    nevers
}

fn lints(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<(Word, Word)> {
    const EXAMPLE: &str = "broad-wildcard = \"deny\"";
    let Some(table) = reader.table(value, "`[lints]`", "[lints]") else { return Vec::new() };
    let mut lints = Vec::new();
    for (key, value) in table.iter() {
        let name = reader.key(key);
        lints.extend(reader.word(value, "a level", EXAMPLE).map(|level| (name, level)));
    }
    lints
}
