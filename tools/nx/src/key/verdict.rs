//! What was found, in sentences: nothing is claimed that was not checked.

use std::{
    env,
    fmt::Write as _,
    io::{self, ErrorKind, IsTerminal, Write as _},
};

use nexus_keys::Error;
use serde_json::{Map, Value, json};

/// What kind of thing a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Disproved.
    Wrong,
    /// Proven.
    Proven,
    /// The device says so itself, and it weakens what it says.
    Admits,
    /// Not proven, and this verdict hangs on it.
    Missing,
    /// Not proven, and no signature could.
    Beyond,
}

impl Class {
    /// In the order in which one wants to know, with title and name in JSON.
    const ALL: [(Class, &'static str, &'static str); 5] = [
        (Class::Wrong, "wrong", "wrong"),
        (Class::Proven, "proven", "proven"),
        (Class::Admits, "admits", "admits"),
        (Class::Missing, "not proven", "missing"),
        (Class::Beyond, "cannot tell", "beyond"),
    ];
}

/// The verdict about a file.
#[derive(Debug)]
pub(super) struct Verdict {
    file: String,
    /// What is proven if nothing is wrong and nothing is missing, in a few words.
    about: &'static str,
    statements: Vec<(Class, String)>,
    facts: Vec<(&'static str, String)>,
}

impl Verdict {
    pub(super) fn new(file: &std::path::Path, about: &'static str) -> Verdict {
        let file = file.display().to_string();
        Verdict { file, about, statements: Vec::new(), facts: Vec::new() }
    }

    pub(super) fn say(&mut self, class: Class, text: impl Into<String>) {
        self.statements.push((class, text.into()));
    }

    /// Something the file says; shown once it is known who says it.
    pub(super) fn fact(&mut self, name: &'static str, value: impl Into<String>) {
        self.facts.push((name, value.into()));
    }

    /// Nothing more can be said.
    pub(super) fn wrong(mut self, text: impl Into<String>) -> Verdict {
        self.say(Class::Wrong, text);
        self.facts.clear();
        self
    }

    fn has(&self, class: Class) -> bool {
        self.statements.iter().any(|(of, _)| *of == class)
    }

    pub(super) fn exit(&self) -> u8 {
        match () {
            () if self.has(Class::Wrong) => 1,
            () if self.has(Class::Missing) || self.has(Class::Admits) => 3,
            () => 0,
        }
    }

    fn word(&self) -> &'static str {
        match self.exit() {
            0 => "proven",
            1 => "wrong",
            _ => "unproven",
        }
    }

    pub(super) fn json(&self) -> String {
        let statements = Class::ALL.iter().flat_map(|(class, _, name)| {
            let of_class = self.statements.iter().filter(move |(of, _)| of == class);
            of_class.map(move |(_, text)| json!({"class": name, "text": text}))
        });
        let facts: Map<String, Value> =
            self.facts.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
        let all = json!({
            "file": self.file,
            "verdict": self.word(),
            "exit": self.exit(),
            "statements": statements.collect::<Vec<_>>(),
            "says": facts,
        });
        format!("{all:#}\n")
    }

    pub(super) fn text(&self) -> String {
        let headline = match self.exit() {
            0 => format!("PROVEN: {}", self.about),
            1 => "WRONG".to_owned(),
            _ => "NOTHING WRONG, but not proven".to_owned(),
        };
        let mut out = format!("{}: {}\n", self.file, painted(self.exit(), &headline));
        for (class, title, _) in Class::ALL {
            let of_class = self.statements.iter().filter(|(of, _)| *of == class);
            for (at, (_, text)) in of_class.enumerate() {
                let title = if at == 0 { title } else { "" };
                let _infallible = writeln!(out, "  {title:<12}{text}");
            }
        }
        for (at, (name, value)) in self.facts.iter().enumerate() {
            let title = if at == 0 { "says" } else { "" };
            let _infallible = writeln!(out, "  {title:<12}{name:<16}{value}");
        }
        out
    }
}

fn painted(exit: u8, text: &str) -> String {
    let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if !wanted || !io::stdout().is_terminal() {
        return text.to_owned();
    }
    let colour = match exit {
        0 => "\x1b[32m",
        1 => "\x1b[31m",
        _ => "\x1b[33m",
    };
    format!("{colour}{text}\x1b[0m")
}

/// Writes to standard output; a reader that left early is no error.
pub(super) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// An error of the library in words.
pub(super) fn because(error: Error) -> &'static str {
    match error {
        Error::Malformed => "its bytes mean nothing: wrong length, number or reserved byte",
        Error::BadNonce => "its nonce is not of 32 to 64 bytes, or all zero",
        Error::BadSeed => "a seed of zeros",
        Error::NonCanonicalKey => "a public key in it is no canonical encoding of a point",
        Error::WeakKey => "a public key in it is of small order: with it any signature verifies",
        Error::MixedKey => "a public key in it has a part of small order",
        Error::BadSignature => "the signature does not verify: something was altered or forged",
        Error::WrongPurpose => "the key was not certified for this purpose",
        Error::MixedPurposes => "it gives one key purposes that may not mix",
        Error::Fault => "a fault while signing",
        Error::Exhausted => "there is no generation after the last",
        Error::NotYet => "it is from before its key came into use",
        Error::Expired => "it is from after its key's time",
        Error::WrongLink => {
            "it does not follow: a generation is missing, repeated, or another key's"
        }
        Error::NotCommitted => {
            "the new key is not the one committed to before: WHOEVER MADE THIS HAS THE OLD KEY"
        }
        Error::Compromised => "its key was replaced because somebody else may have it",
        Error::Retired => "its key was replaced and its overlap is over",
        Error::UnknownGeneration => "the chain has no such generation, or the certificate another",
        Error::Unsealed => "the record does not open",
        Error::Rollback => "it is older than what was there before",
        Error::TooLong => "it is too long",
        Error::WrongNonce => "genuine, but over another nonce: an old answer, or somebody else's",
        Error::WrongDevice => "it is of another device",
        Error::DevelopmentKey => {
            "a development key signed it: anybody can do that; --allow-dev accepts it"
        }
        Error::Inconsistent => {
            "it does not fit the chain: certificates are missing, or it hides a development key"
        }
        _ => "it was refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_statement_is_the_verdict() {
        let mut verdict = Verdict::new(std::path::Path::new("F"), "all of it");
        verdict.say(Class::Proven, "good");
        verdict.say(Class::Beyond, "who knows");
        assert_eq!((verdict.exit(), verdict.word()), (0, "proven"));
        verdict.say(Class::Admits, "a flaw");
        assert_eq!((verdict.exit(), verdict.word()), (3, "unproven"));
        verdict.fact("boot", "3");
        let verdict = verdict.wrong("no");
        assert_eq!((verdict.exit(), verdict.word()), (1, "wrong"));
        assert!(!verdict.text().contains("boot"), "nobody says that");
    }
}
