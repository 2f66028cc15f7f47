//! Typed reading of a parsed TOML table: every key is asked for by type, what nobody asked for
//! is an unknown key.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diag::Sink;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Bytes of the source it came from.
    pub span: Range<usize>,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Range<usize>) -> At<T> {
        At { value, span }
    }

    fn try_map<U>(self, sink: &Sink<'_>, f: impl Fn(T) -> Result<U, String>) -> Option<At<U>> {
        match f(self.value) {
            Ok(value) => Some(At::new(value, self.span)),
            Err(message) => {
                sink.error(&self.span, message);
                None
            }
        }
    }
}

/// One table being read.
pub(crate) struct Table<'t> {
    sink: &'t Sink<'t>,
    table: &'t DeTable<'t>,
    /// Where to point when a key is missing.
    pub(crate) span: Range<usize>,
    /// For messages, e.g. `[service.logd]`.
    what: String,
    asked: RefCell<Vec<&'static str>>,
}

type Value<'t> = &'t Spanned<DeValue<'t>>;

impl<'t> Table<'t> {
    pub(crate) fn new(
        sink: &'t Sink<'t>,
        table: &'t DeTable<'t>,
        span: Range<usize>,
        what: String,
    ) -> Self {
        Table { sink, table, span, what, asked: RefCell::default() }
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            if !asked.iter().any(|a| *a == key.get_ref().as_ref()) {
                let what = match self.what.as_str() {
                    "" => "table".to_owned(),
                    what => format!("key in {what}:"),
                };
                self.sink.unknown(&key.span(), &what, key.get_ref(), asked.iter().copied());
            }
        }
    }

    fn get(&self, key: &'static str) -> Option<Value<'t>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    fn wrong(&self, key: &str, value: Value<'_>, want: &str) {
        let message =
            format!("`{key}` must be {want}, not {}", article(value.get_ref().type_str()));
        self.sink.error(&value.span(), message);
    }

    /// Points at the table: `key` has to be there.
    pub(crate) fn require<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.table.contains_key(key) {
            self.sink.error(&self.span, format!("{} lacks `{key}`", self.what));
        }
        value
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(key, value, "a string");
        }
        text.map(|s| At::new(s.to_owned(), value.span()))
    }

    pub(crate) fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, value, "true or false");
        }
        flag.map(|b| At::new(b, value.span()))
    }

    /// A non-negative integer of at most `max`.
    pub(crate) fn number(&self, key: &'static str, max: u64) -> Option<At<u64>> {
        let value = self.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong(key, value, "an integer");
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        let number = u64::from_str_radix(&digits, integer.radix()).ok().filter(|n| *n <= max);
        if number.is_none() {
            self.sink.error(&value.span(), format!("`{key}` must be between 0 and {max}"));
        }
        number.map(|n| At::new(n, value.span()))
    }

    /// A size such as `"16K"`, a whole number of pages.
    pub(crate) fn size(&self, key: &'static str) -> Option<At<u64>> {
        self.string(key)?.try_map(self.sink, |s| super::units::size(&s))
    }

    /// A duration such as `"10s"`, in nanoseconds.
    pub(crate) fn duration(&self, key: &'static str) -> Option<At<u64>> {
        self.string(key)?.try_map(self.sink, |s| super::units::duration(&s))
    }

    /// An inclusive range of ids such as `"900..=931"`.
    pub(crate) fn range(&self, key: &'static str) -> Option<At<(u64, u64)>> {
        self.string(key)?.try_map(self.sink, |s| super::units::id_range(&s))
    }

    /// An array of strings; absent is empty.
    pub(crate) fn strings(&self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        self.string_array(key, value)
    }

    fn string_array(&self, key: &str, value: Value<'_>) -> Vec<At<String>> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, "an array of strings");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => out.push(At::new(text.to_owned(), item.span())),
                None => self.wrong(key, item, "an array of strings"),
            }
        }
        out
    }

    /// One string, or an array of strings.
    pub(crate) fn one_or_many(&self, key: &'static str) -> Option<(Vec<At<String>>, Range<usize>)> {
        let value = self.get(key)?;
        let items = match value.get_ref().as_str() {
            Some(text) => vec![At::new(format!("@{text}"), value.span())],
            None => self.string_array(key, value),
        };
        Some((items, value.span()))
    }

    /// A nested table with fixed keys.
    pub(crate) fn table(&self, key: &'static str) -> Option<Table<'t>> {
        let value = self.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, "a table");
            return None;
        };
        let key_span = self.table.get_key_value(key).map_or(value.span(), |(k, _)| k.span());
        let what = if self.what.is_empty() {
            format!("[{key}]")
        } else {
            format!("`{key}` of {}", self.what)
        };
        Some(Table::new(self.sink, table, key_span, what))
    }

    /// A table whose keys are names people choose, in file order.
    pub(crate) fn named(&self, key: &'static str) -> Vec<(At<String>, Value<'t>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, "a table");
            return Vec::new();
        };
        let mut out: Vec<_> = (table.iter())
            .map(|(k, v)| (At::new(k.get_ref().clone().into_owned(), k.span()), v))
            .collect();
        out.sort_by_key(|(k, _)| k.span.start);
        out
    }

    /// As [`Table::named`], where every value is a table itself.
    pub(crate) fn stanzas(&self, key: &'static str) -> Vec<(At<String>, Table<'t>)> {
        let mut out = Vec::new();
        for (name, value) in self.named(key) {
            let what = format!("[{key}.{}]", name.value);
            match value.get_ref().as_table() {
                Some(table) => {
                    let stanza = Table::new(self.sink, table, name.span.clone(), what);
                    out.push((name, stanza));
                }
                None => self.wrong(&what, value, "a table"),
            }
        }
        out
    }

    /// This table's keys are names people choose, every value is a size.
    pub(crate) fn own_sizes(&self) -> Vec<(At<String>, u64)> {
        let mut out = Vec::new();
        for (key, value) in self.table {
            let Some(text) = value.get_ref().as_str() else {
                self.wrong(key.get_ref(), value, "a size such as \"16K\"");
                continue;
            };
            match super::units::size(text) {
                Ok(bytes) => {
                    out.push((At::new(key.get_ref().clone().into_owned(), key.span()), bytes));
                }
                Err(message) => self.sink.error(&value.span(), message),
            }
        }
        out.sort_by_key(|(key, _)| key.span.start);
        out
    }

    /// This table's keys are names people choose, every value is a number.
    pub(crate) fn own_numbers(&self) -> Vec<(String, u64)> {
        let mut out: Vec<(usize, String, u64)> = Vec::new();
        for (key, value) in self.table {
            let number = value.get_ref().as_integer().and_then(|i| i.as_str().parse().ok());
            match number {
                Some(number) => out.push((key.span().start, key.get_ref().to_string(), number)),
                None => self.wrong(key.get_ref(), value, "a number"),
            }
        }
        out.sort();
        out.into_iter().map(|(_, name, number)| (name, number)).collect()
    }

    /// As [`Table::named`], where every value is an array of strings.
    pub(crate) fn lists(&self, key: &'static str) -> Vec<(At<String>, Vec<At<String>>)> {
        let mut out = Vec::new();
        for (name, value) in self.named(key) {
            let items = self.string_array(&name.value, value);
            out.push((name, items));
        }
        out
    }

    /// `[[key]]`: an array of tables.
    pub(crate) fn array_of_tables(&self, key: &'static str) -> Vec<Table<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, "an array of tables");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(t) => out.push(Table::new(self.sink, t, item.span(), format!("[[{key}]]"))),
                None => self.wrong(key, item, "a table"),
            }
        }
        out
    }
}

fn article(type_name: &str) -> String {
    let an = type_name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {type_name}", if an { "an" } else { "a" })
}
