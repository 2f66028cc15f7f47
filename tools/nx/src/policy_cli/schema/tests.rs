//! The schema accepts the recipes that ship and marks the mistakes an editor should mark.
use nexus_build::workspace_root;

use super::*;

/// As much of JSON Schema as the generated ones use.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    let Some(rules) = schema.as_object() else { return true };
    rules.iter().all(|(rule, of)| match rule.as_str() {
        "$ref" => {
            let name = of.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            root["definitions"].get(name).is_some_and(|inner| fits(inner, root, value))
        }
        "anyOf" => of.as_array().is_some_and(|list| list.iter().any(|s| fits(s, root, value))),
        "enum" => of.as_array().is_some_and(|list| list.contains(value)),
        "const" => of == value,
        "type" => match of.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_u64(),
            _ => false,
        },
        "items" => value.as_array().is_none_or(|list| list.iter().all(|v| fits(of, root, v))),
        "minItems" => {
            value.as_array().is_none_or(|list| list.len() as u64 >= of.as_u64().unwrap_or(0))
        }
        "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
        "minimum" => value.as_u64().is_none_or(|n| n >= of.as_u64().unwrap_or(0)),
        // The two patterns in use: a star anywhere, and a length of time.
        "pattern" => value.as_str().is_none_or(|text| match of.as_str() {
            Some("\\*") => text.contains('*'),
            _ => {
                text.starts_with(|c: char| c.is_ascii_digit())
                    && text.ends_with(['s', 'n', 'h', 'd'])
            }
        }),
        "required" => value.as_object().is_none_or(|object| {
            let keys = of.as_array().into_iter().flatten().filter_map(Value::as_str);
            keys.into_iter().all(|key| object.contains_key(key))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            object.iter().all(|(key, value)| {
                let known = schema.get("properties").and_then(|p| p.get(key)).is_some();
                let pattern = schema.get("patternProperties").is_some() && key.contains('*');
                known || pattern || (*of != json!(false) && fits(of, root, value))
            })
        }),
        "properties" => value.as_object().is_none_or(|object| {
            let known = object.iter().filter_map(|(key, value)| Some((of.get(key)?, value)));
            known.into_iter().all(|(inner, value)| fits(inner, root, value))
        }),
        "patternProperties" => value.as_object().is_none_or(|object| {
            let stars = object.iter().filter(|(key, _)| key.contains('*'));
            stars.into_iter().all(|(_, value)| fits(&of["\\*"], root, value))
        }),
        "description" | "title" | "$schema" | "definitions" => true,
        other => panic!("the test does not know `{other}`"),
    })
}

fn words() -> Vocabulary {
    let root = workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_or_default();
    let system = System::load(&root).unwrap_or_else(|faults| panic!("{faults}"));
    let words = Vocabulary::read(&root.join(policy::POLICY_DIR), &system);
    words.unwrap_or_else(|_| panic!("the registry that ships is broken"))
}

fn document(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    serde_json::to_value(table).unwrap_or_default()
}

fn accepts(kind: Kind, text: &str) -> bool {
    let schema = words().schema(kind);
    fits(&schema, &schema, &document(text))
}

#[test]
fn the_recipes_that_ship_fit() {
    let root = workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_or_default();
    let dir = root.join(policy::POLICY_DIR);
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    assert!(accepts(Kind::Rules, &read("base.toml")));
    assert!(accepts(Kind::Capabilities, &read("capabilities.toml")));
    assert!(accepts(Kind::Tests, &read("tests/base.toml")));
}

#[test]
fn every_construct_of_the_language_fits() {
    for text in [
        "[allow]\nlogd = [\"ipc.core\"]\n",
        "schema = 2\nversion = 3\n[lints]\ndead-allow = \"deny\"\n",
        "[allow]\n\"*\" = [\"fs.*\"]\nbundle = [{ capability = \"route\", target = \"logd\" }]\n",
        "[allow]\nlogd = [{ capability = [\"fs.read\"], when = \"bring-up\", until = 2030-01-01T00:00:00Z, limit = { count = 2, per = \"1s\" } }]\n",
        "[[never]]\ncapability = \"fs.*\"\nexcept = [\"logd\", \"*-client\"]\nreason = \"r\"\n",
    ] {
        assert!(accepts(Kind::Rules, text), "{text}");
    }
    let family =
        "[\"bundle.install.*\"]\nexpand = [\"acme\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n";
    assert!(accepts(Kind::Capabilities, family));
}

#[test]
fn test_reject_mistakes_in_the_editor_already() {
    for text in [
        "[alow]\nlogd = [\"ipc.core\"]\n",
        "[allow]\nlodg = [\"ipc.core\"]\n",
        "[allow]\nlogd = \"ipc.core\"\n",
        "[allow]\nlogd = [\"ipc.cor\"]\n",
        "[allow]\nlogd = [\"sf.*\"]\n",
        "[allow]\n\"*\" = [\"sf.*\"]\n",
        "[deny]\nlogd = [{ capability = \"ipc.core\", wehn = \"bring-up\" }]\n",
        "[deny]\nlogd = [{ capability = \"ipc.core\", when = \"bringup\" }]\n",
        "[lints]\ndead-alow = \"deny\"\n",
        "[lints]\ndead-allow = \"forbid\"\n",
        "[[never]]\ncapability = \"fs.*\"\n",
        "schema = 3\n",
    ] {
        assert!(!accepts(Kind::Rules, text), "{text}");
    }
    for text in [
        "[\"a.b\"]\nmeaning = \"\"\nenforcer = \"logd\"\n",
        "[\"a.b\"]\nenforcer = \"logd\"\n",
        "[\"a.b\"]\nmeaning = \"m\"\nenforcer = \"logd\"\naudit = \"requird\"\n",
    ] {
        assert!(!accepts(Kind::Capabilities, text), "{text}");
    }
    assert!(!accepts(Kind::Tests, "[[expect]]\nsubject = \"logd\"\nreason = \"because\"\n"));
    assert!(!accepts(Kind::Tests, "[[expct]]\nsubject = \"logd\"\n"));
}
