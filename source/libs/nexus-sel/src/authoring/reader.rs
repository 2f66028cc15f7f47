//! Strict reading of TOML: every key known, every type right, every fault reported.
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};

use crate::authoring::diagnostics::{Diagnostic, Place, Source};
use crate::authoring::spelling::{check_name, nearest};
use crate::authoring::syntax;

/// A text of the author and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Place,
}

pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// One file being read.
pub(crate) struct Reader<'a> {
    pub(crate) index: usize,
    pub(crate) source: &'a Source,
    pub(crate) out: &'a mut Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// The document; an empty one if it is not TOML, which is reported.
    pub(crate) fn parse(&mut self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(&self.source.text);
        if syntax::report(self, document.get_ref(), errors) {
            document
        } else {
            Spanned::new(0..0, DeTable::new())
        }
    }

    /// A span without the quotes around a string.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let text = self.source.text.get(span.clone()).unwrap_or("");
        let quoted = text.len() >= 2
            && ["\"", "'"].iter().any(|q| text.starts_with(*q) && text.ends_with(*q));
        let long = text.starts_with("\"\"\"") || text.starts_with("'''");
        let span = if quoted && !long && text.len() > 2 {
            span.start.saturating_add(1)..span.end.saturating_sub(1)
        } else {
            span
        };
        Place { source: self.index, span }
    }

    pub(crate) fn key(&self, key: &Spanned<impl AsRef<str>>) -> Word {
        Word { text: key.get_ref().as_ref().to_owned(), place: self.place(key.span()) }
    }

    pub(crate) fn wrong_type(
        &mut self,
        value: &Value<'_>,
        what: &str,
        wanted: &str,
        example: &str,
    ) {
        let found = match value.get_ref().type_str() {
            "array" => "a list".to_owned(),
            "integer" => "an integer".to_owned(),
            other => format!("a {other}"),
        };
        let message = format!("{what} must be {wanted}, found {found}");
        let place = self.place(value.span());
        self.out.push(
            Diagnostic::error("wrong-type", message)
                .at(&place, format!("expected {wanted}"))
                .help(format!("for example `{example}`")),
        );
    }

    /// Reports every key of `table` that is not in `known`.
    pub(crate) fn only(&mut self, table: &DeTable<'_>, what: &str, known: &[&str]) {
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = self.place(key.span());
            let list = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{what} knows {list}"),
            };
            let found = Diagnostic::error("unknown-key", format!("{what} has no key `{name}`"));
            self.out.push(found.at(&place, "unknown key").help(help));
        }
    }

    pub(crate) fn table<'v, 'i>(
        &mut self,
        value: &'v Value<'i>,
        what: &str,
        example: &str,
    ) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, what, "a table", example);
        }
        table
    }

    /// A list whose elements the caller reads.
    pub(crate) fn list<'v, 'i>(
        &mut self,
        value: &'v Value<'i>,
        what: &str,
        example: &str,
    ) -> &'v [Value<'i>] {
        match value.get_ref() {
            DeValue::Array(array) => array,
            _ => {
                self.wrong_type(value, what, "a list", example);
                &[]
            }
        }
    }

    pub(crate) fn word(&mut self, value: &Value<'_>, what: &str, example: &str) -> Option<Word> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, what, "a string", example);
            return None;
        };
        Some(Word { text: text.to_owned(), place: self.place(value.span()) })
    }

    /// One string or a list of strings.
    pub(crate) fn words(&mut self, value: &Value<'_>, what: &str, example: &str) -> Vec<Word> {
        if value.get_ref().is_str() {
            return self.word(value, what, example).into_iter().collect();
        }
        let list = self.list(value, what, example);
        list.iter().filter_map(|item| self.word(item, what, example)).collect()
    }

    /// As [`Reader::words`], at least one; `why` says what an empty list would mean.
    pub(crate) fn some_words(
        &mut self,
        value: &Value<'_>,
        what: &str,
        example: &str,
        why: &str,
    ) -> Vec<Word> {
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            let place = self.place(value.span());
            let found = Diagnostic::error("empty-list", format!("{what} is empty"));
            self.out.push(found.at(&place, why));
        }
        self.words(value, what, example)
    }

    /// A text that is there for people: not empty.
    pub(crate) fn prose(&mut self, value: &Value<'_>, what: &str) -> Option<String> {
        let word = self.word(value, what, "\"one sentence\"")?;
        if word.text.trim().is_empty() {
            let found = Diagnostic::error("empty-text", format!("{what} is empty"));
            self.out.push(found.at(&word.place, "say it in one sentence"));
        }
        Some(word.text)
    }

    pub(crate) fn integer(&mut self, value: &Value<'_>, what: &str, example: &str) -> Option<u64> {
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_type(value, what, "an integer", example);
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix());
        let parsed = parsed.ok().filter(|n| *n >= 1);
        if parsed.is_none() {
            let place = self.place(value.span());
            let found = Diagnostic::error("out-of-range", format!("{what} is out of range"));
            self.out.push(found.at(&place, "from 1 to 2^64-1"));
        }
        parsed
    }

    /// Checks a name that is being defined or used literally.
    pub(crate) fn named(&mut self, word: &Word, what: &str) -> bool {
        match check_name(&word.text) {
            Ok(()) => true,
            Err(fault) => {
                let shown =
                    if word.text.is_empty() { String::new() } else { format!(" `{}`", word.text) };
                let message = format!("{what}{shown} is not a valid name");
                let found = Diagnostic::error("invalid-name", message);
                self.out.push(found.at(&word.place, fault.reason).maybe_help(fault.help));
                false
            }
        }
    }

    /// Required key of a table.
    pub(crate) fn required<'v, 'i>(
        &mut self,
        table: &'v DeTable<'i>,
        owner: &Word,
        key: &str,
    ) -> Option<&'v Value<'i>> {
        let value = table.get(key);
        if value.is_none() {
            let message = format!("`{}` has no `{key}`", owner.text);
            let found = Diagnostic::error("missing-key", message);
            self.out.push(found.at(&owner.place, format!("`{key}` is required")));
        }
        value
    }

    /// A moment with time zone, in seconds since 1970.
    pub(crate) fn moment(&mut self, value: &Value<'_>, what: &str) -> Option<u64> {
        const EXAMPLE: &str = "2030-01-31T12:00:00Z";
        let Some(datetime) = value.get_ref().as_datetime() else {
            self.wrong_type(value, what, "a date and time", EXAMPLE);
            return None;
        };
        let seconds = unix_seconds(datetime);
        if seconds.is_none() {
            let place = self.place(value.span());
            let found = Diagnostic::error("bad-time", format!("{what} is not a moment after 1970"));
            let help = format!("give date, time and zone, for example `{EXAMPLE}`");
            self.out.push(found.at(&place, "no date, no time, or no zone").help(help));
        }
        seconds
    }

    /// A length of time such as `250ms`, in nanoseconds.
    pub(crate) fn duration(&mut self, value: &Value<'_>, what: &str) -> Option<u64> {
        let word = self.word(value, what, "\"1s\"")?;
        let parsed = duration_ns(&word.text);
        if parsed.is_none() {
            let found = Diagnostic::error(
                "bad-duration",
                format!("`{}` is not a length of time", word.text),
            );
            let help = "a whole number and `ns`, `us`, `ms`, `s`, `min`, `h` or `d`";
            self.out.push(found.at(&word.place, "").help(help));
        }
        parsed
    }
}

fn duration_ns(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let scale = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale).filter(|ns| *ns > 0)
}

/// A moment with its zone, such as `2030-01-31T12:00:00Z`, as seconds since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<u64> {
    unix_seconds(&text.parse().ok()?)
}

/// Proleptic Gregorian days, counted from the first of March so that leap days come last.
fn unix_seconds(datetime: &Datetime) -> Option<u64> {
    let (date, time) = (datetime.date?, datetime.time?);
    let minutes = match datetime.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let shifted = (month.checked_add(9)?).checked_rem(12)?;
    let year = i64::from(date.year).checked_sub(i64::from(month <= 2))?;
    let leaps =
        year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let in_year = shifted.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    let days = year.checked_mul(365)?.checked_add(leaps)?.checked_add(in_year)?;
    let days = days.checked_sub(719_469)?;
    let clock = i64::from(time.hour).checked_mul(3_600)?;
    let clock = clock.checked_add(i64::from(time.minute).checked_mul(60)?)?;
    let clock = clock.checked_add(i64::from(time.second.unwrap_or(0)))?;
    let seconds = days.checked_mul(86_400)?.checked_add(clock)?;
    let seconds = seconds.checked_sub(minutes.checked_mul(60)?)?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |text: &str| unix_seconds(&text.parse().unwrap());
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(at("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(at("2026-11-22T05:11:16Z"), Some(1_795_324_276));
        assert_eq!(at("2026-11-22T06:11:16+01:00"), Some(1_795_324_276));
        assert_eq!(at("2027-01-01T00:00:00Z"), Some(1_798_761_600));
    }

    #[test]
    fn test_reject_moments_without_zone_or_before_1970() {
        let at = |text: &str| unix_seconds(&text.parse().unwrap());
        assert_eq!(at("2026-11-22T05:11:16"), None);
        assert_eq!(at("2026-11-22"), None);
        assert_eq!(at("1970-01-01T00:00:00Z"), None);
        assert_eq!(at("1969-12-31T23:59:59Z"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ns("250ms"), Some(250_000_000));
        assert_eq!(duration_ns("2h"), Some(7_200_000_000_000));
        for bad in ["", "s", "0s", "1", "1 s", "-1s", "1.5s", "1w", "99999999999d"] {
            assert_eq!(duration_ns(bad), None, "{bad}");
        }
    }
}
