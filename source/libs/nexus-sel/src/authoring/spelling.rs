//! What a name may look like, why one was refused, and what was probably meant.
use crate::authoring::snippet::is_hidden;
use crate::bounds::MAX_NAME_BYTES;
use crate::name::is_name_byte;

/// Why a text is not a name: the reason, and the remedy if there is an obvious one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NameFault {
    pub(crate) reason: String,
    pub(crate) help: Option<String>,
}

/// Checks the one spelling of names.
pub(crate) fn check_name(name: &str) -> Result<(), NameFault> {
    let fault = |reason: String, help: Option<String>| Err(NameFault { reason, help });
    if name.is_empty() {
        return fault("a name cannot be empty".into(), Some("take the entry away".into()));
    }
    if let Some(c) = name.chars().find(|c| is_hidden(*c)) {
        let code = u32::from(c);
        let reason = format!("contains the invisible character U+{code:04X}");
        return fault(reason, Some("type the name anew: it was pasted".into()));
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii()) {
        return look_alike(name, c);
    }
    if name.len() > MAX_NAME_BYTES {
        let found = name.len();
        let reason = format!("is {found} bytes long, MAX_NAME_BYTES is {MAX_NAME_BYTES}");
        return fault(reason, Some("a longer name does not fit the policy frames".into()));
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        let help = format!("names are case-sensitive and lower case: `{}`", name.to_lowercase());
        return fault("contains upper case letters".into(), Some(help));
    }
    if let Some(c) = name.bytes().find(|b| !is_name_byte(*b)) {
        let help = "names are made of a-z, 0-9, `.`, `_` and `-`".to_owned();
        return fault(format!("contains {:?}", char::from(c)), Some(help));
    }
    if name.split('.').any(str::is_empty) {
        let help = format!("write `{}`", join_parts(name));
        return fault("has an empty part between dots".into(), Some(help));
    }
    Ok(())
}

fn join_parts(name: &str) -> String {
    name.split('.').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

fn look_alike(name: &str, c: char) -> Result<(), NameFault> {
    let code = u32::from(c);
    let plain: String = name.chars().map(|c| ascii_twin(c).unwrap_or(c)).collect();
    Err(match ascii_twin(c) {
        Some(twin) => NameFault {
            reason: format!("contains U+{code:04X}, which only looks like `{twin}`"),
            help: Some(format!("type it as ASCII: `{plain}`")),
        },
        None => NameFault {
            reason: format!("contains the non-ASCII character U+{code:04X}"),
            help: Some("names are made of a-z, 0-9, `.`, `_` and `-`".into()),
        },
    })
}

/// The ASCII character that a foreign one imitates: Cyrillic, Greek, full width, dashes, dots.
fn ascii_twin(c: char) -> Option<char> {
    const TWINS: &[(char, char)] = &[
        ('а', 'a'),
        ('с', 'c'),
        ('ԁ', 'd'),
        ('е', 'e'),
        ('һ', 'h'),
        ('і', 'i'),
        ('ј', 'j'),
        ('ӏ', 'l'),
        ('о', 'o'),
        ('р', 'p'),
        ('ԛ', 'q'),
        ('ѕ', 's'),
        ('ԝ', 'w'),
        ('х', 'x'),
        ('у', 'y'),
        ('к', 'k'),
        ('т', 't'),
        ('п', 'n'),
        ('ѵ', 'v'),
        ('α', 'a'),
        ('ο', 'o'),
        ('ν', 'v'),
        ('ι', 'i'),
        ('ρ', 'p'),
        ('κ', 'k'),
        ('υ', 'u'),
        ('ı', 'i'),
        ('ɡ', 'g'),
        ('‐', '-'),
        ('‑', '-'),
        ('‒', '-'),
        ('–', '-'),
        ('—', '-'),
        ('−', '-'),
        ('․', '.'),
        ('。', '.'),
        ('·', '.'),
    ];
    if let '\u{ff01}'..='\u{ff5e}' = c {
        return u32::from(c).checked_sub(0xfee0).and_then(char::from_u32);
    }
    TWINS.iter().find(|(foreign, _)| *foreign == c).map(|(_, ascii)| *ascii)
}

/// The known name closest to `wanted`, if it is close enough to be a slip.
pub(crate) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wanted.chars().count() / 3).max(1);
    let scored = known.into_iter().map(|name| (strsim::damerau_levenshtein(wanted, name), name));
    let (_, best) = scored.filter(|(distance, _)| *distance <= allowed).min()?;
    Some(best)
}

/// "did you mean …?", falling back on names that share the part before the dot.
#[must_use]
pub fn suggest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(name) = nearest(wanted, known.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let family = wanted.split('.').next().unwrap_or(wanted);
    let kin = |name: &&str| name.split('.').next() == Some(family) && name.contains('.');
    let mut found: Vec<&str> = known.into_iter().filter(kin).collect();
    found.sort_unstable();
    let more = found.len().saturating_sub(4);
    found.truncate(4);
    let list = found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (found.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(format!("`{family}.` has {list}")),
        (false, more) => Some(format!("`{family}.` has {list} and {more} more")),
    }
}

/// Shell-like match: `*` stands for any run of characters.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at.saturating_add(part.len())..).unwrap_or("");
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_reject_names() {
        let cases = [
            ("", "a name cannot be empty"),
            ("crypto.\u{455}ign", "contains U+0455, which only looks like `s`"),
            ("ipc\u{200b}.core", "contains the invisible character U+200B"),
            ("ipc.core\n", "contains the invisible character U+000A"),
            ("ipc.\u{202e}core", "contains the invisible character U+202E"),
            ("ｆs.read", "contains U+FF46, which only looks like `f`"),
            ("fs.läsen", "contains the non-ASCII character U+00E4"),
            ("Ipc.Core", "contains upper case letters"),
            ("ipc core", "contains ' '"),
            ("ipc..core", "has an empty part between dots"),
            (".ipc", "has an empty part between dots"),
        ];
        for (name, reason) in cases {
            assert_eq!(check_name(name).unwrap_err().reason, reason, "{name:?}");
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        let fault = check_name(&long).unwrap_err();
        assert_eq!(fault.reason, "is 49 bytes long, MAX_NAME_BYTES is 48");
        assert_eq!(check_name(&long[1..]), Ok(()));
    }

    #[test]
    fn suggestions() {
        let known = ["crypto.sign", "crypto.verify", "fs.read", "fs.verify"];
        assert_eq!(suggest("crypto.sing", known).unwrap(), "did you mean `crypto.sign`?");
        assert_eq!(suggest("fs.delete", known).unwrap(), "`fs.` has `fs.read`, `fs.verify`");
        assert_eq!(suggest("zzz", known), None);
    }

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("bench-*", "bench-client", true),
            ("bench-*", "bench", false),
            ("*", "x", true),
            ("*-client", "bench-client", true),
            ("b*-c*t", "bench-client", true),
            ("ab*ba", "aba", false),
            ("a*b*c", "a-b-b-c", true),
            ("x", "x", true),
            ("x", "xy", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
