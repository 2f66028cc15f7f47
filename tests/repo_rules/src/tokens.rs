//! A small Rust tokenizer: enough to tell code from comments and strings, and to leave test
//! modules out. It reads what rustc accepts; on anything else it only has to terminate.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword; raw identifiers without their `r#`.
    Ident(String),
    /// A string literal's contents, escapes as written.
    Str(String),
    /// A byte string literal's contents, escapes as written.
    Bytes(String),
    /// A byte literal's contents, escapes as written.
    Byte(String),
    /// A character literal.
    Char,
    /// A lifetime or loop label.
    Lifetime,
    /// A number as written.
    Number(String),
    /// Any other character.
    Punct(char),
}

/// A token and the lines it stands on (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First line.
    pub line: usize,
    /// Last line; differs for strings over several lines.
    pub end: usize,
}

impl Token {
    /// The identifier, if it is one.
    #[must_use]
    pub fn ident(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    /// True for this punctuation character.
    #[must_use]
    pub fn is(&self, c: char) -> bool {
        self.kind == Kind::Punct(c)
    }
}

/// Splits source text into tokens; comments and white space are gone.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut scanner = Scanner { rest: text, line: 1 };
    let mut found = Vec::new();
    while scanner.skip_blank() {
        let line = scanner.line;
        if let Some(kind) = scanner.token() {
            found.push(Token { kind, line, end: scanner.line });
        }
    }
    found
}

struct Scanner<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Scanner<'t> {
    /// Takes `len` bytes, which end on a character boundary, and counts their lines.
    fn take(&mut self, len: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Skips white space and comments; false at the end.
    fn skip_blank(&mut self) -> bool {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.block_comment();
            } else {
                return !self.rest.is_empty();
            }
        }
    }

    fn block_comment(&mut self) {
        self.take(2);
        let mut depth = 1;
        while depth > 0 && !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else {
                self.take(self.first_len());
            }
        }
    }

    fn first_len(&self) -> usize {
        self.rest.chars().next().map_or(0, char::len_utf8)
    }

    fn token(&mut self) -> Option<Kind> {
        let first = self.rest.chars().next()?;
        if let Some(kind) = self.prefixed_literal() {
            return Some(kind);
        }
        Some(match first {
            '"' => Kind::Str(self.quoted('"')),
            '\'' => self.char_or_lifetime(),
            c if is_ident(c) && !c.is_ascii_digit() => Kind::Ident(self.word().to_owned()),
            c if c.is_ascii_digit() => Kind::Number(self.word().to_owned()),
            c => {
                self.take(c.len_utf8());
                Kind::Punct(c)
            }
        })
    }

    fn word(&mut self) -> &'t str {
        let len = self.rest.find(|c: char| !is_ident(c)).unwrap_or(self.rest.len());
        self.take(len)
    }

    /// Literals that start with letters: raw, byte and C strings, byte characters, `r#name`.
    fn prefixed_literal(&mut self) -> Option<Kind> {
        let letters = self.rest.find(|c| !matches!(c, 'b' | 'r' | 'c')).filter(|len| *len <= 2)?;
        let (prefix, after) = self.rest.split_at(letters);
        let hashes = after.len() - after.trim_start_matches('#').len();
        let opens = after.get(hashes..).is_some_and(|s| s.starts_with('"'));
        match prefix {
            "r" | "br" | "cr" if opens => {
                self.take(letters);
                let text = self.raw(hashes);
                Some(if prefix == "br" { Kind::Bytes(text) } else { Kind::Str(text) })
            }
            "b" | "c" if opens && hashes == 0 => {
                self.take(letters);
                let text = self.quoted('"');
                Some(if prefix == "b" { Kind::Bytes(text) } else { Kind::Str(text) })
            }
            "b" if after.starts_with('\'') => {
                self.take(letters);
                Some(Kind::Byte(self.quoted('\'')))
            }
            "r" if hashes == 1 => {
                self.take(2);
                Some(Kind::Ident(self.word().to_owned()))
            }
            _ => None,
        }
    }

    fn raw(&mut self, hashes: usize) -> String {
        self.take(hashes + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        let len = self.rest.find(&close).unwrap_or(self.rest.len());
        let text = self.take(len).to_owned();
        self.take(close.len());
        text
    }

    fn quoted(&mut self, quote: char) -> String {
        self.take(1);
        let mut text = String::new();
        while let Some(c) = self.rest.chars().next() {
            let piece = self.take(c.len_utf8());
            if c == quote {
                break;
            }
            text.push_str(piece);
            if c == '\\' {
                let escaped = self.first_len();
                text.push_str(self.take(escaped));
            }
        }
        text
    }

    /// `'a'` and `'\n'` are characters, `'a` and `'static` are not.
    fn char_or_lifetime(&mut self) -> Kind {
        let mut after = self.rest.chars().skip(1);
        let (first, second) = (after.next(), after.next());
        if first == Some('\\') || second == Some('\'') {
            self.quoted('\'');
            return Kind::Char;
        }
        self.take(1);
        self.word();
        Kind::Lifetime
    }
}

fn is_ident(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The tokens without items under `#[cfg(test)]` (or `cfg(all(test, …))`) and `#[test]`.
#[must_use]
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if let Some(len) = attribute_len(rest)
            && is_test_attribute(rest.get(..len).unwrap_or_default())
        {
            rest =
                rest.get(len + item_len(rest.get(len..).unwrap_or_default())..).unwrap_or_default();
            continue;
        }
        kept.push(first.clone());
        rest = rest.get(1..).unwrap_or_default();
    }
    kept
}

/// Length of the outer attribute that the tokens start with.
fn attribute_len(tokens: &[Token]) -> Option<usize> {
    let opens = tokens.first()?.is('#') && tokens.get(1)?.is('[');
    opens.then(|| 1 + group_len(tokens.get(1..).unwrap_or_default()))
}

fn is_test_attribute(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute.iter().filter_map(Token::ident).collect();
    matches!(words.as_slice(), ["test"] | ["cfg", "test"] | ["cfg", "all", "test", ..])
}

/// Length of the bracketed group that the tokens start with.
fn group_len(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Punct('(' | '[' | '{') => depth += 1,
            Kind::Punct(')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Length of the item that the tokens start with, further attributes included: up to its `;`,
/// or to the end of its block.
fn item_len(tokens: &[Token]) -> usize {
    let mut at = 0;
    while let Some(rest) = tokens.get(at..)
        && let Some(token) = rest.first()
    {
        match token.kind {
            Kind::Punct(';') => return at + 1,
            Kind::Punct('{') => return at + group_len(rest),
            Kind::Punct('(' | '[') => at += group_len(rest),
            _ => at += 1,
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idents(text: &str) -> Vec<String> {
        tokens(text).iter().filter_map(Token::ident).map(str::to_owned).collect()
    }

    #[test]
    fn test_comments_are_gone() {
        assert_eq!(
            idents("a // unsafe\nb /* unsafe /* unsafe */ unsafe */ c /// unsafe"),
            ["a", "b", "c"]
        );
        assert_eq!(idents("a /* never closed unsafe"), ["a"]);
    }

    #[test]
    fn test_strings_are_not_code() {
        for literal in [
            r#""unsafe""#,
            r##"r"unsafe""##,
            r###"r#"un"safe unsafe"#"###,
            r#"b"unsafe""#,
            r##"br#"unsafe"#"##,
            r#""\" unsafe""#,
            r#""\\""#,
            r#"c"unsafe""#,
            "'u'",
            r"'\''",
            "b'u'",
            r"b'\''",
        ] {
            assert_eq!(idents(&format!("a {literal} b")), ["a", "b"], "{literal}");
        }
        assert_eq!(idents("\"two\nlines\" unsafe"), ["unsafe"]);
    }

    #[test]
    fn test_quotes_that_open_no_string() {
        assert_eq!(
            idents("fn f<'a>(x: &'a u8) { 'unsafe_loop: loop {} }"),
            ["fn", "f", "x", "u8", "loop"]
        );
        assert_eq!(idents("'\"' unsafe '\"'"), ["unsafe"]);
        assert_eq!(idents("impl<'a> X<'_> {}"), ["impl", "X"]);
    }

    #[test]
    fn test_idents_that_look_like_prefixes() {
        assert_eq!(
            idents("r b br c bc crab r#unsafe b1 unsafe_code"),
            ["r", "b", "br", "c", "bc", "crab", "unsafe", "b1", "unsafe_code"]
        );
    }

    #[test]
    fn test_literal_contents_and_lines() {
        let found = tokens("\n\"a\\n\" b\"PO\\x01\" b'P' 0x50_u8 1..=2");
        let kinds: Vec<Kind> = found.iter().map(|t| t.kind.clone()).collect();
        let number = |n: &str| Kind::Number(n.to_owned());
        assert_eq!(
            kinds,
            [
                Kind::Str("a\\n".into()),
                Kind::Bytes("PO\\x01".into()),
                Kind::Byte("P".into()),
                number("0x50_u8"),
                number("1"),
                Kind::Punct('.'),
                Kind::Punct('.'),
                Kind::Punct('='),
                number("2"),
            ]
        );
        assert!(found.iter().all(|t| t.line == 2));
        assert_eq!(tokens("\"a\nb\"").first().map(|t| (t.line, t.end)), Some((1, 2)));
    }

    #[test]
    fn test_unfinished_input_terminates() {
        for text in ["\"", "r#\"", "'", "b'", "/*", "'\\", "\"\\", "r#", "é'é"] {
            let _ = tokens(text);
        }
    }

    #[test]
    fn test_tests_are_left_out() {
        let text = "fn a() {} #[cfg(test)] #[rustfmt::skip] mod t { fn b() { { } } } fn c() {}
            #[cfg(test)] use x::{y, z}; #[test] fn d([a, b]: [u8; 2]) {} #[cfg(not(test))] fn e() {}
            #[cfg(all(test, unix))] mod u; fn f() {}";
        let kept: Vec<Token> = without_tests(&tokens(text));
        let names: Vec<&str> =
            kept.iter().filter_map(Token::ident).filter(|n| n.len() == 1).collect();
        assert_eq!(names, ["a", "c", "e", "f"]);
    }
}
