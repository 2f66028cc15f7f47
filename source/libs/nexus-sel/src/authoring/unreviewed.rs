//! Marks of rules that a tool proposed and nobody has looked at.
use crate::authoring::diagnostics::{Diagnostic, Place, Source};

/// The mark, in a comment beside the rule.
pub const UNREVIEWED: &str = "nx:unreviewed";

/// A warning for every mark that still stands.
pub(crate) fn check(sources: &[Source], out: &mut Vec<Diagnostic>) {
    for (index, source) in sources.iter().enumerate() {
        for (at, mark) in source.text.match_indices(UNREVIEWED) {
            let before = source.text.get(..at).unwrap_or("");
            let line = before.rsplit('\n').next().unwrap_or("");
            if !line.contains('#') {
                continue;
            }
            let place = Place { source: index, span: at..at.saturating_add(mark.len()) };
            let found = Diagnostic::warning("unreviewed-rule", "nobody has reviewed this rule");
            let found = found.at(&place, "written by `nx policy draft`");
            let help = "remove the rule, or this mark once you can say why the rule is needed";
            out.push(found.help(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_in_a_comment_only() {
        let text = "a = [\n  \"x.y\",  # nx:unreviewed: once\n]\nb = \"nx:unreviewed\"\n";
        let mut found = Vec::new();
        check(&[Source::new("base.toml", ""), Source::new("draft.toml", text)], &mut found);
        let [mark] = &found[..] else { panic!("{found:?}") };
        assert_eq!((mark.code, mark.labels[0].place.source), ("unreviewed-rule", 1));
    }
}
