//! Names of one vocabulary that a reader can take for each other.
use std::collections::BTreeMap;

use crate::authoring::diagnostics::{Diagnostic, Place};

/// A warning for every name that looks like an earlier one. A name without a place is not the
/// policy's to change.
pub(crate) fn check(what: &str, names: Vec<(&str, Option<&Place>)>, out: &mut Vec<Diagnostic>) {
    let mut alike: BTreeMap<String, Vec<(&str, Option<&Place>)>> = BTreeMap::new();
    for (name, place) in names {
        alike.entry(skeleton(name)).or_default().push((name, place));
    }
    for mut same in alike.into_values().filter(|same| same.len() > 1) {
        // The label goes to one that can be changed.
        same.sort_by_key(|(name, place)| (place.is_none(), *name));
        let [(name, Some(place)), others @ ..] = &same[..] else { continue };
        let other = |(other, _): &&(&str, Option<&Place>)| other != name;
        let Some((twin, at)) = others.iter().find(other) else { continue };
        let message = format!("{what} `{name}` looks like `{twin}`");
        let mut found = Diagnostic::warning("look-alike-names", message).at(place, "this one");
        if let Some(at) = at {
            found = found.at(at, "and this one");
        }
        out.push(found.help("rename one of the two, so that nobody grants the other"));
    }
}

/// What is left of a name for a quick eye: separators are alike, and so are `l`, `1` and `i`,
/// `o` and `0`, `rn` and `m`, `vv` and `w`.
fn skeleton(name: &str) -> String {
    let plain = name.chars().map(|c| match c {
        '.' | '_' => '-',
        '1' | 'i' => 'l',
        '0' => 'o',
        c => c,
    });
    plain.collect::<String>().replace("rn", "m").replace("vv", "w")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_eye_is_deceived_by_these_and_not_by_those() {
        for (one, other) in [
            ("fs.read", "fs-read"),
            ("state-users", "state_users"),
            ("logd", "1ogd"),
            ("bring-up", "brlng-up"),
            ("r00t", "root"),
            ("alarm", "alarrn"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        for (one, other) in [("fs.read", "fs.write"), ("app-a", "app-b"), ("fs.read", "fsread")] {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }
}
