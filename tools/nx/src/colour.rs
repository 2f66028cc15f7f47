//! Whether output is coloured, by the conventions that terminals and build servers share.

use std::{env, ffi::OsString};

/// Colours on a terminal that can show them. `NO_COLOR` ends them everywhere, `CLICOLOR_FORCE`
/// brings them into a pipe, `CLICOLOR=0` and `TERM=dumb` take them from a terminal.
pub(crate) fn wanted(terminal: bool) -> bool {
    decide(terminal, |name| env::var_os(name))
}

fn decide(terminal: bool, var: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| var(name).is_some_and(|value| !value.is_empty());
    let is = |name, wanted: &str| var(name).is_some_and(|value| value == wanted);
    if set("NO_COLOR") {
        return false;
    }
    if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        return true;
    }
    terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides_about_colours() {
        for (vars, terminal, pipe) in [
            (&[][..], true, false),
            (&[("NO_COLOR", "1")], false, false),
            (&[("NO_COLOR", "")], true, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
            (&[("CLICOLOR", "0")], false, false),
            (&[("TERM", "dumb")], false, false),
            (&[("TERM", "xterm")], true, false),
        ] {
            let var = |name: &str| {
                vars.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| OsString::from(value))
            };
            assert_eq!((decide(true, var), decide(false, var)), (terminal, pipe), "{vars:?}");
        }
    }
}
