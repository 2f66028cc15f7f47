//! Places where a rule is broken on purpose, each with its reason; unused ones fail.
use serde::Deserialize;

use crate::Violation;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    file: String,
    what: String,
    reason: String,
    #[serde(skip)]
    used: bool,
}

/// The `[[exception]]` list of exceptions.toml.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    #[serde(default)]
    exception: Vec<Entry>,
}

impl Exceptions {
    /// Reads the list.
    ///
    /// # Errors
    /// When the text does not parse.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|why| why.to_string())
    }

    /// True if `rule` may be broken by `what` in `file`; notes that the exception is in use.
    pub fn excuse(&mut self, rule: &str, file: &str, what: &str) -> bool {
        let mut fitting = self
            .exception
            .iter_mut()
            .filter(|e| e.rule == rule && e.file == file && e.what == what);
        fitting.next().is_some_and(|entry| {
            entry.used = true;
            true
        })
    }

    /// Exceptions of `rule` that excused nothing, or that give no reason.
    #[must_use]
    pub fn idle(&self, rule: &str) -> Vec<Violation> {
        let of_rule = self.exception.iter().filter(|e| e.rule == rule);
        let bad = of_rule.filter(|e| !e.used || e.reason.trim().is_empty());
        bad.map(|e| {
            let why = if e.used { "no reason" } else { "unused" };
            format!("exceptions.toml: {rule} {} in {}: {why}", e.what, e.file)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "[[exception]]\nrule = \"r\"\nfile = \"f\"\nwhat = \"w\"\nreason = \"why\"\n";

    #[test]
    fn test_only_the_stated_place_is_excused() {
        let mut list = Exceptions::parse(TEXT).unwrap();
        assert!(
            !list.excuse("r", "f", "x")
                && !list.excuse("r", "g", "w")
                && !list.excuse("s", "f", "w")
        );
        assert_eq!(list.idle("r").len(), 1, "unused so far");
        assert!(list.excuse("r", "f", "w"));
        assert_eq!(list.idle("r"), [""; 0]);
    }

    #[test]
    fn test_reject_exception_without_reason() {
        let mut list = Exceptions::parse(&TEXT.replace("why", " ")).unwrap();
        assert!(list.excuse("r", "f", "w"));
        assert_eq!(list.idle("r").len(), 1);
        assert!(Exceptions::parse("[[exception]]\nrule = \"r\"\n").is_err());
    }
}
