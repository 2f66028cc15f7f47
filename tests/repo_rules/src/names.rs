//! A service's name is written in its own crate, in recipes, in tests and in documents; a slot
//! number nowhere, because slots are generated.
use crate::Violation;
use crate::exceptions::Exceptions;
use crate::tokens::{Kind, Token, tokens, without_tests};
use crate::tree::File;

/// Its name in exceptions.toml.
const RULE: &str = "service-name";

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

/// Every literal that equals a service's name where it may not stand, and every exception that
/// is no longer used.
#[must_use]
pub fn check(files: &[&File], services: &[String], exceptions: &mut Exceptions) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        for (line, name) in literals(file, services) {
            if !exceptions.excuse(RULE, &file.path, &name) {
                found.push(format!("{}:{line}: names the service {name}", file.path));
            }
        }
    }
    found.extend(exceptions.idle(RULE));
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

    fn found(path: &str, text: &str, list: &str) -> Vec<Violation> {
        let mut exceptions = Exceptions::parse(list).unwrap();
        check(&[&File::new(path, text)], &["policyd".to_owned()], &mut exceptions)
    }

    const EXCEPTION: &str = "[[exception]]\nrule = \"service-name\"\nfile = \"source/a/src/l.rs\"\nwhat = \"policyd\"\nreason = \"why\"\n";

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
            assert_eq!(found("source/a/src/l.rs", text, "").len(), 1, "{text}");
        }
    }

    #[test]
    fn test_places_where_a_name_may_stand() {
        for path in
            ["source/services/policyd/src/main.rs", "tests/x/src/lib.rs", "source/a/tests/b.rs"]
        {
            assert_eq!(found(path, "f(\"policyd\")", ""), [""; 0], "{path}");
        }
        for text in [
            "// \"policyd\"",
            "\"policyd: ready\"",
            "policyd",
            "#[cfg(test)] mod t { f(\"policyd\") }",
        ] {
            assert_eq!(found("source/a/src/l.rs", text, ""), [""; 0], "{text}");
        }
    }

    #[test]
    fn test_exceptions_excuse_and_must_be_used() {
        assert_eq!(found("source/a/src/l.rs", "\"policyd\"", EXCEPTION), [""; 0]);
        assert_eq!(found("source/b/src/l.rs", "\"policyd\"", EXCEPTION).len(), 2);
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
