//! A service's name is written in its own crate, in recipes, in tests and in documents; a slot
//! number nowhere, because slots are generated.
use serde::Deserialize;

use crate::Violation;
use crate::tokens::{Kind, Token, tokens, without_tests};
use crate::tree::File;

/// Names of the `[service.<name>]` stanzas of recipes/system.toml.
///
/// # Errors
/// When the text is no TOML or has no services.
pub fn services(system_toml: &str) -> Result<Vec<String>, String> {
    let table: toml::Table = toml::from_str(system_toml).map_err(|why| why.to_string())?;
    let services = table.get("service").and_then(toml::Value::as_table);
    let names = services.ok_or("no [service.*] in system.toml")?.keys().cloned().collect();
    Ok(names)
}

/// A place where a name may stand all the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The file.
    pub file: String,
    /// The name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The `[[exception]]` list of names.toml.
///
/// # Errors
/// When the text does not parse.
pub fn exceptions(names_toml: &str) -> Result<Vec<Exception>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Names {
        #[serde(default)]
        exception: Vec<Exception>,
    }
    toml::from_str(names_toml).map(|n: Names| n.exception).map_err(|why| why.to_string())
}

/// Every literal that equals a service's name where it may not stand, and every exception that
/// is no longer used.
#[must_use]
pub fn check(files: &[&File], services: &[String], exceptions: &[Exception]) -> Vec<Violation> {
    let mut used = vec![false; exceptions.len()];
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        for (line, name) in literals(file, services) {
            let excused = exceptions.iter().position(|e| e.file == file.path && e.name == name);
            match excused.and_then(|index| used.get_mut(index)) {
                Some(used) => *used = true,
                None => found.push(format!("{}:{line}: names the service {name}", file.path)),
            }
        }
    }
    let idle = exceptions.iter().zip(&used).filter(|(_, used)| !**used);
    found.extend(
        idle.map(|(e, _)| format!("names.toml: unused exception {} in {}", e.name, e.file)),
    );
    found.extend(
        exceptions
            .iter()
            .filter(|e| e.reason.trim().is_empty())
            .map(|e| format!("names.toml: {} in {} has no reason", e.name, e.file)),
    );
    found
}

fn literals(file: &File, services: &[String]) -> Vec<(usize, String)> {
    let own = file.crate_dir().rsplit('/').next().unwrap_or_default();
    let named = |token: &Token| match &token.kind {
        Kind::Str(text) | Kind::Bytes(text) if services.contains(text) && text != own => {
            Some((token.line, text.clone()))
        }
        _ => None,
    };
    without_tests(&tokens(&file.text)).iter().filter_map(named).collect()
}

/// Every `Handle::fixed(<number>)` outside the crate that defines it and outside tests.
#[must_use]
pub fn slot_numbers(files: &[&File]) -> Vec<Violation> {
    let others =
        files.iter().filter(|f| !f.is_test() && !f.path.starts_with("source/libs/nexus-abi/"));
    others.flat_map(|file| slot_numbers_of(file)).collect()
}

fn slot_numbers_of(file: &File) -> Vec<Violation> {
    let tokens = without_tests(&tokens(&file.text));
    let fixed = tokens.windows(3).filter(|window| match window {
        [name, paren, number] => {
            name.ident() == Some("fixed") && paren.is('(') && matches!(number.kind, Kind::Number(_))
        }
        _ => false,
    });
    fixed
        .filter_map(|window| window.first())
        .map(|token| {
            format!("{}:{}: a slot by number; use the generated constant", file.path, token.line)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str, exceptions: &[Exception]) -> Vec<Violation> {
        check(&[&File::new(path, text)], &["policyd".to_owned()], exceptions)
    }

    fn exception(reason: &str) -> Exception {
        Exception {
            file: "source/a/src/l.rs".into(),
            name: "policyd".into(),
            reason: reason.into(),
        }
    }

    #[test]
    fn test_services_come_from_the_manifest() {
        assert_eq!(
            services("[service.policyd]\nid = 2\n[service.logd]\nid = 3\n").unwrap(),
            ["logd", "policyd"]
        );
        assert!(services("[system]\n").is_err());
    }

    #[test]
    fn test_reject_name_outside_its_crate() {
        for text in ["connect(\"policyd\")", "x(b\"policyd\")", "r\"policyd\""] {
            assert_eq!(found("source/a/src/l.rs", text, &[]).len(), 1, "{text}");
        }
    }

    #[test]
    fn test_places_where_a_name_may_stand() {
        for path in
            ["source/services/policyd/src/main.rs", "tests/x/src/lib.rs", "source/a/tests/b.rs"]
        {
            assert_eq!(found(path, "f(\"policyd\")", &[]), [""; 0], "{path}");
        }
        for text in [
            "// \"policyd\"",
            "\"policyd: ready\"",
            "policyd",
            "#[cfg(test)] mod t { f(\"policyd\") }",
        ] {
            assert_eq!(found("source/a/src/l.rs", text, &[]), [""; 0], "{text}");
        }
    }

    #[test]
    fn test_exceptions_are_used_and_have_reasons() {
        assert_eq!(found("source/a/src/l.rs", "\"policyd\"", &[exception("why")]), [""; 0]);
        assert_eq!(found("source/b/src/l.rs", "\"policyd\"", &[exception("why")]).len(), 2);
        assert_eq!(found("source/a/src/l.rs", "\"policyd\"", &[exception(" ")]).len(), 1);
    }

    #[test]
    fn test_exceptions_parse() {
        let text =
            "[[exception]]\nfile = \"source/a/src/l.rs\"\nname = \"policyd\"\nreason = \"why\"\n";
        assert_eq!(exceptions(text).unwrap(), [exception("why")]);
        assert_eq!(exceptions("").unwrap(), []);
        assert!(exceptions("[[exception]]\nfile = \"a\"\n").is_err());
    }

    #[test]
    fn test_reject_slot_numbers() {
        let slots = |path: &str, text: &str| slot_numbers(&[&File::new(path, text)]).len();
        assert_eq!(slots("source/a/src/l.rs", "Handle::fixed(4)"), 1);
        assert_eq!(slots("source/a/src/l.rs", "Handle::fixed(SLOT_NOTIFY)"), 0);
        assert_eq!(slots("source/libs/nexus-abi/src/handle.rs", "Handle::fixed(4)"), 0);
        assert_eq!(slots("source/a/src/l.rs", "#[cfg(test)] fn f() { Handle::fixed(4); }"), 0);
    }
}
