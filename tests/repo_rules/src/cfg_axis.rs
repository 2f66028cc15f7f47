//! One configuration axis, seen only where a crate chooses its environment.
use crate::Violation;
use crate::tokens::{Kind, Token, tokens};
use crate::tree::File;

/// Crates that are the environment: the axis may stand anywhere in them.
const ENVIRONMENT: [&str; 2] = ["source/libs/nexus-abi/", "source/libs/nexus-rt/"];

/// Every use of `nexus_env` that is not in a crate attribute, in `main.rs`, in a build script or
/// on a `mod` line.
#[must_use]
pub fn check(files: &[&File]) -> Vec<Violation> {
    files.iter().filter(|file| !is_free(&file.path)).flat_map(|file| check_file(file)).collect()
}

fn is_free(path: &str) -> bool {
    let own = ENVIRONMENT.iter().any(|dir| path.starts_with(dir));
    own || path.ends_with("/main.rs") || path.ends_with("/build.rs")
}

fn check_file(file: &File) -> Vec<Violation> {
    let tokens = tokens(&file.text);
    let uses = tokens.iter().enumerate().filter(|(_, t)| is_axis(t));
    uses.filter(|(index, _)| !allowed(&tokens, *index))
        .map(|(_, t)| {
            format!("{}:{}: nexus_env outside a crate attribute or mod line", file.path, t.line)
        })
        .collect()
}

fn is_axis(token: &Token) -> bool {
    token.ident() == Some("nexus_env")
}

/// Looks back to the attribute's start and forward to the item behind it.
fn allowed(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default();
    let Some(hash) = before.iter().rposition(|t| t.is('#')) else { return false };
    let inner = tokens.get(hash + 1).is_some_and(|t| t.is('!'));
    inner || item_word(tokens.get(hash..).unwrap_or_default()) == Some("mod")
}

/// The word that says what item the attributes at the start belong to.
fn item_word(tokens: &[Token]) -> Option<&str> {
    let mut depth = 0_usize;
    tokens.iter().find_map(|token| {
        match token.kind {
            Kind::Punct('[' | '(') => depth += 1,
            Kind::Punct(']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        token.ident().filter(|word| depth == 0 && *word != "pub")
    })
}

/// How often the axis is used in the whole tree.
#[must_use]
pub fn count(files: &[&File]) -> usize {
    files.iter().map(|file| tokens(&file.text).iter().filter(|t| is_axis(t)).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&[&File::new(path, text)]).len()
    }

    const LIB: &str = "source/services/x/src/lib.rs";

    #[test]
    fn test_places_where_the_axis_may_stand() {
        assert_eq!(found(LIB, "#![cfg_attr(nexus_env = \"os\", no_std)]"), 0);
        assert_eq!(found(LIB, "#[cfg(nexus_env = \"os\")]\nmod env_os;"), 0);
        assert_eq!(
            found(LIB, "#[cfg(all(nexus_env = \"os\", target_os = \"none\"))] pub mod os;"),
            0
        );
        assert_eq!(
            found("source/services/x/src/main.rs", "#[cfg(nexus_env = \"os\")] fn f() {}"),
            0
        );
        assert_eq!(
            found("source/libs/nexus-rt/src/a.rs", "#[cfg(nexus_env = \"os\")] fn f() {}"),
            0
        );
        assert_eq!(
            found(LIB, "#[cfg(nexus_env = \"os\")] #[path = \"a.rs\"] pub(crate) mod os;"),
            0
        );
        assert_eq!(found(LIB, "// #[cfg(nexus_env = \"os\")] fn f() {}"), 0);
    }

    #[test]
    fn test_reject_the_axis_elsewhere() {
        for text in [
            "#[cfg(nexus_env = \"os\")] fn f() {}",
            "#[cfg(nexus_env = \"os\")] use a::b;",
            "fn f() { if cfg!(nexus_env = \"os\") {} }",
            "#[cfg(not(nexus_env = \"os\"))] impl X { }",
            "#[cfg(nexus_env = \"os\")] #[allow(x)] fn f() { mod y {} }",
            "#[cfg(nexus_env = \"os\")] pub(crate) fn mod_like() {}",
        ] {
            assert_eq!(found(LIB, text), 1, "{text}");
        }
    }

    #[test]
    fn test_count() {
        let file = File::new(LIB, "#[cfg(nexus_env = \"os\")] mod a; // nexus_env");
        assert_eq!(count(&[&file]), 1);
    }
}
