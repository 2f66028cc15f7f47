//! A protocol's magic is written in nexus-wire and nowhere else.
use crate::Violation;
use crate::exceptions::Exceptions;
use crate::tokens::{Kind, Token, tokens, without_tests};
use crate::tree::File;

/// The crate that owns every frame's bytes.
const WIRE: &str = "source/libs/nexus-wire/";

/// Its name in exceptions.toml.
const RULE: &str = "magic";

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

/// Every literal outside nexus-wire and outside tests that spells a magic, and every exception
/// that is no longer used.
#[must_use]
pub fn check(files: &[&File], magics: &[[u8; 2]], exceptions: &mut Exceptions) -> Vec<Violation> {
    let others = files.iter().filter(|file| !file.path.starts_with(WIRE) && !file.is_test());
    let mut found = Vec::new();
    for file in others {
        for (line, magic) in spelled(file, magics) {
            let magic = String::from_utf8_lossy(&magic).into_owned();
            if !exceptions.excuse(RULE, &file.path, &magic) {
                found.push(format!("{}:{line}: magic {magic} outside nexus-wire", file.path));
            }
        }
    }
    found.extend(exceptions.idle(RULE));
    found
}

fn spelled(file: &File, magics: &[[u8; 2]]) -> Vec<(usize, [u8; 2])> {
    let tokens = without_tests(&tokens(&file.text));
    let literal = tokens.iter().filter_map(|t| Some((t.line, frame_start(t)?)));
    let pair = tokens.windows(3).filter_map(|w| Some((w.first()?.line, pair(w)?)));
    literal.chain(pair).filter(|(_, bytes)| magics.contains(bytes)).collect()
}

/// The first two bytes of `b"PO"`, or of `b"PO\x01…"`: alone or with a version behind them.
fn frame_start(token: &Token) -> Option<[u8; 2]> {
    let Kind::Bytes(text) = &token.kind else { return None };
    let (start, rest) = text.as_bytes().split_first_chunk()?;
    (rest.is_empty() || rest.starts_with(b"\\x")).then_some(*start)
}

/// `b'P', b'O'` or `0x50, 0x4F`.
fn pair(window: &[Token]) -> Option<[u8; 2]> {
    match window {
        [a, comma, b] if comma.is(',') => Some([byte(a)?, byte(b)?]),
        _ => None,
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
        check(&[&File::new(path, text)], &[*b"PO"], &mut Exceptions::default()).len()
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
    fn test_exceptions_excuse_one_magic_in_one_file() {
        let text =
            "[[exception]]\nrule = \"magic\"\nfile = \"a.rs\"\nwhat = \"PO\"\nreason = \"why\"\n";
        let excused = |path: &str| {
            let mut list = Exceptions::parse(text).unwrap();
            check(&[&File::new(path, "b\"PO\"")], &[*b"PO"], &mut list).len()
        };
        assert_eq!((excused("a.rs"), excused("b.rs")), (0, 2));
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
