//! A line of a recipe as a terminal shows it, and where in it a place is.
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// Columns of a line that are shown whole; of a longer one only what is around the mark.
const MAX_COLUMNS: usize = 160;
/// Columns shown in front of the mark of a long line.
const BEFORE: usize = 40;
/// Where a line goes on.
const MORE: &str = "…";

/// What is shown of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    /// The text, safe for a terminal.
    pub(crate) text: String,
    /// Columns in front of the mark.
    pub(crate) before: usize,
    /// Columns of the mark, at least one.
    pub(crate) marked: usize,
    /// True if all of the line is there.
    pub(crate) whole: bool,
}

impl Snippet {
    /// The line, or the part of it around the characters `mark`.
    pub(crate) fn new(line: &str, mark: Range<usize>) -> Self {
        let chars: Vec<char> = line.chars().collect();
        let width = |range: Range<usize>| {
            let part = chars.get(range.start..range.end.min(chars.len())).unwrap_or(&[]);
            part.iter().fold(0_usize, |sum, c| sum.saturating_add(columns(*c)))
        };
        let all = 0..chars.len();
        let shown =
            if width(all.clone()) <= MAX_COLUMNS { all } else { window(&chars, mark.start) };
        let marked = width(mark.start..mark.end.min(shown.end)).max(1);
        let lead = if shown.start > 0 { MORE } else { "" };
        let tail = if shown.end < chars.len() { MORE } else { "" };
        let part: String = chars.get(shown.clone()).unwrap_or(&[]).iter().collect();
        Self {
            text: format!("{lead}{}{tail}", visible(&part)),
            before: width(shown.start..mark.start).saturating_add(usize::from(shown.start > 0)),
            marked,
            whole: shown == (0..chars.len()),
        }
    }
}

/// The characters to show of a long line.
fn window(chars: &[char], mark: usize) -> Range<usize> {
    let fitting = |iter: &mut dyn Iterator<Item = &char>, room: usize| {
        let mut used = 0_usize;
        iter.take_while(|c| {
            used = used.saturating_add(columns(**c));
            used <= room
        })
        .count()
    };
    let mark = mark.min(chars.len());
    let left = chars.get(..mark).unwrap_or(&[]);
    let start = mark.saturating_sub(fitting(&mut left.iter().rev(), BEFORE));
    let rest = chars.get(start..).unwrap_or(&[]);
    start..start.saturating_add(fitting(&mut rest.iter(), MAX_COLUMNS))
}

/// Columns that a terminal gives a character, as [`visible`] writes it.
fn columns(c: char) -> usize {
    if c == '\t' || is_hidden(c) { 1 } else { c.width().unwrap_or(1) }
}

/// Text as it may go to a terminal: nothing that moves the cursor, hides or reorders.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Control, zero width, or bidirectional override.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_under_what_they_mark() {
        // Tabs and hidden characters take one column, wide ones two, combining ones none.
        for (line, mark, before, marked) in [
            ("ab = 1", 0..2, 0, 2),
            ("\t\tab", 2..4, 2, 2),
            ("日本 = é", 5..6, 7, 1),
            ("日本 = é", 0..2, 0, 4),
            ("e\u{301}x", 2..3, 1, 1),
            ("\u{200b}x", 1..2, 1, 1),
            ("ab", 2..3, 2, 1),
            ("", 0..0, 0, 1),
        ] {
            let found = Snippet::new(line, mark);
            assert_eq!((found.before, found.marked, found.whole), (before, marked, true), "{line}");
        }
    }

    #[test]
    fn a_line_at_the_bound_is_whole_and_a_longer_one_is_cut() {
        let line = "x".repeat(MAX_COLUMNS);
        assert!(Snippet::new(&line, 100..101).whole);
        let longer = format!("{line}y");
        let found = Snippet::new(&longer, 100..103);
        assert!(!found.whole);
        let cut = format!("…{}y", "x".repeat(MAX_COLUMNS - 60));
        assert_eq!((found.text, found.before, found.marked), (cut, BEFORE + 1, 3));
    }

    #[test]
    fn what_is_cut_away_does_not_move_the_mark() {
        let line = format!("{}HERE{}", "日".repeat(500), "z".repeat(500));
        let found = Snippet::new(&line, 500..504);
        let before: usize = found.text.split("HERE").next().unwrap().chars().map(columns).sum();
        assert_eq!((found.before, found.marked), (before, 4));
        assert!(found.text.starts_with("…日") && found.text.ends_with("z…"), "{}", found.text);
        // A mark that goes on behind the end is cut with the line.
        assert_eq!(Snippet::new(&line, 504..1_004).marked, MAX_COLUMNS - BEFORE);
    }
}
