//! Which conditional rule covers which: the table behind `covered-rule`.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
use nexus_sel::authoring::{Input, SystemNames, compile};

fn codes(text: &str) -> Vec<&'static str> {
    let registry = ["fs.read", "fs.write"]
        .map(|name| format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"init\"\n"));
    let services = [("init", 1), ("app-a", 20), ("app-b", 21)];
    let services = services.map(|(name, id)| (name.to_owned(), id)).to_vec();
    let system = SystemNames::new(services, Vec::new()).with_bundles();
    let registry = Input::new("capabilities.toml", registry.concat());
    let items = match compile(registry, vec![Input::new("base.toml", text)], &system) {
        Ok(built) => built.warnings.items,
        Err(errors) => errors.items,
    };
    items.iter().map(|item| item.code).collect()
}

#[test]
fn a_rule_covers_another_only_if_it_holds_whenever_that_does() {
    let facts: String =
        ["a", "b"].map(|f| format!("[facts.{f}]\nowner = \"init\"\nmeaning = \"m\"\n")).concat();
    let gates = "[gates]\na = { when = \"a\", meaning = \"m\" }\nb = { when = \"b\", meaning = \"m\" }\n\
        ab = { when = [\"a\", \"b\"], meaning = \"m\" }\nnot-a = { unless = \"a\", meaning = \"m\" }\n\
        not-ab = { unless = [\"a\", \"b\"], meaning = \"m\" }\n";
    let limit = "limit = { count = 1, per = \"1s\" }";
    let (early, late) = ("until = 2030-01-01T00:00:00Z", "until = 2031-01-01T00:00:00Z");
    // Whether the narrow one is idle behind the wide one, and also before it.
    for (wide, narrow, behind, before) in [
        ("when = \"a\"", "when = \"a\"", true, false),
        ("when = \"a\"", "when = \"ab\"", true, true),
        ("when = \"a\"", "when = [\"a\", \"b\"]", true, true),
        ("when = \"ab\"", "when = \"a\"", false, false),
        ("when = [\"a\", \"ab\"]", "when = \"ab\"", true, false),
        ("when = \"b\"", "when = \"a\"", false, false),
        ("when = \"a\"", "when = \"not-a\"", false, false),
        ("when = \"not-a\"", "when = \"a\"", false, false),
        ("when = \"not-a\"", "when = \"not-a\"", true, false),
        ("when = \"not-a\"", "when = \"not-ab\"", true, true),
        ("when = \"not-ab\"", "when = \"not-a\"", false, false),
        (late, early, true, true),
        (early, early, true, false),
        (early, late, false, false),
        ("when = \"a\"", early, false, false),
        (early, "when = \"a\"", false, false),
        ("when = \"a\"", limit, false, false),
        (limit, "when = \"a\"", false, false),
        (limit, limit, false, false),
    ] {
        let rule = |subject: &str, when: &str| {
            format!("\"{subject}\" = [{{ capability = \"fs.read\", {when} }}]\n")
        };
        let (wide, narrow) = (rule("app-*", wide), rule("app-a", narrow));
        let orders = [(format!("{wide}{narrow}"), behind), (format!("{narrow}{wide}"), before)];
        for (rules, covered) in orders {
            let text = format!("schema = 2\n{facts}{gates}[allow]\ninit = [\"fs.write\"]\n{rules}");
            let found = codes(&text).contains(&"covered-rule");
            assert_eq!(found, covered, "{rules}");
        }
    }
}
