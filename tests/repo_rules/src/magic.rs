//! A protocol's magic is written in nexus-wire and nowhere else.
use crate::Violation;
use crate::tokens::{Kind, Token, tokens, without_tests};
use crate::tree::File;

/// The crate that owns every frame's bytes.
const WIRE: &str = "source/libs/nexus-wire/";

/// The magics that nexus-wire declares: `magic b"XX"`.
#[must_use]
pub fn declared(files: &[&File]) -> Vec<[u8; 2]> {
    let wire = files.iter().filter(|file| file.path.starts_with(WIRE));
    let mut found: Vec<[u8; 2]> = wire.flat_map(|file| magics(&tokens(&file.text))).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn magics(tokens: &[Token]) -> Vec<[u8; 2]> {
    let after = tokens.windows(2).filter_map(|pair| match pair {
        [word, literal] if word.ident() == Some("magic") => Some(&literal.kind),
        _ => None,
    });
    let bytes = after.filter_map(|kind| match kind {
        Kind::Bytes(text) => <[u8; 2]>::try_from(text.as_bytes()).ok(),
        _ => None,
    });
    bytes.collect()
}

/// Every literal outside nexus-wire and outside tests that spells a magic.
#[must_use]
pub fn check(files: &[&File], magics: &[[u8; 2]]) -> Vec<Violation> {
    let others = files.iter().filter(|file| !file.path.starts_with(WIRE) && !file.is_test());
    others.flat_map(|file| check_file(file, magics)).collect()
}

fn check_file(file: &File, magics: &[[u8; 2]]) -> Vec<Violation> {
    let tokens = without_tests(&tokens(&file.text));
    let literal = tokens.iter().filter(|t| starts_frame(t, magics)).map(|t| t.line);
    let pair =
        tokens.windows(3).filter(|w| is_pair(w, magics)).filter_map(|w| w.first().map(|t| t.line));
    literal
        .chain(pair)
        .map(|line| format!("{}:{line}: protocol magic outside nexus-wire", file.path))
        .collect()
}

/// `b"PO"`, or `b"PO\x01…"`: the magic alone or with a version behind it.
fn starts_frame(token: &Token, magics: &[[u8; 2]]) -> bool {
    let Kind::Bytes(text) = &token.kind else { return false };
    let magic = text.as_bytes().split_at_checked(2);
    magic.is_some_and(|(magic, rest)| {
        magics.iter().any(|m| m == magic) && (rest.is_empty() || rest.starts_with(b"\\x"))
    })
}

/// `b'P', b'O'` or `0x50, 0x4F`.
fn is_pair(window: &[Token], magics: &[[u8; 2]]) -> bool {
    match window {
        [a, comma, b] if comma.is(',') => match (byte(a), byte(b)) {
            (Some(a), Some(b)) => magics.contains(&[a, b]),
            _ => false,
        },
        _ => false,
    }
}

fn byte(token: &Token) -> Option<u8> {
    match &token.kind {
        Kind::Byte(text) => match text.as_bytes() {
            [byte] => Some(*byte),
            _ => None,
        },
        Kind::Number(text) => {
            let digits = text.strip_prefix("0x")?.trim_end_matches("_u8").trim_end_matches("u8");
            u8::from_str_radix(digits, 16).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE_FILE: &str = "source/libs/nexus-wire/src/policy.rs";
    const ELSEWHERE: &str = "source/services/x/src/lib.rs";

    fn found(path: &str, text: &str) -> usize {
        check(&[&File::new(path, text)], &[*b"PO"]).len()
    }

    #[test]
    fn test_magics_come_from_the_declarations() {
        let wire = File::new(
            WIRE_FILE,
            "protocol! { \"policy\" magic b\"PO\" max 512; } // magic b\"XX\"",
        );
        let other = File::new(ELSEWHERE, "magic b\"ZZ\"");
        assert_eq!(declared(&[&wire, &other]), [*b"PO"]);
    }

    #[test]
    fn test_reject_magic_elsewhere() {
        for text in [
            "const A: &[u8] = b\"PO\";",
            "f(b\"PO\\x01\\x04\");",
            "[b'P', b'O', 1]",
            "[0x50, 0x4f]",
            "[0x50u8, 0x4F_u8]",
        ] {
            assert_eq!(found(ELSEWHERE, text), 1, "{text}");
            assert_eq!(found(WIRE_FILE, text), 0);
        }
    }

    #[test]
    fn test_other_literals_are_fine() {
        for text in [
            "b\"POLICY\"",
            "\"PO\"",
            "// b\"PO\"",
            "[0x4f, 0x50]",
            "0x50",
            "#[cfg(test)] mod t { const A: &[u8] = b\"PO\"; }",
        ] {
            assert_eq!(found(ELSEWHERE, text), 0, "{text}");
        }
    }
}
