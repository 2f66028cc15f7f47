//! Key files: objects one behind the other, in binary or as hexadecimal text.

use std::{fs, path::Path};

use nexus_keys::{Certificate, Genesis, Object, Objects, PurposeCertificate, Quote, Seal};

use super::{hex, verdict::because};

/// Largest file read: thousands of certificates.
const FILE_MAX: u64 = 1 << 20;

/// What a file holds, in its order.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) objects: Vec<Object>,
}

impl Contents {
    pub(super) fn load(path: &Path) -> Result<Contents, String> {
        let at = |error: String| format!("{}: {error}", path.display());
        let size = fs::metadata(path).map_err(|error| at(error.to_string()))?.len();
        if size > FILE_MAX {
            return Err(at(format!("{size} bytes; a key file has at most {FILE_MAX}")));
        }
        let raw = fs::read(path).map_err(|error| at(error.to_string()))?;
        Contents::parse(&raw).map_err(at)
    }

    fn parse(raw: &[u8]) -> Result<Contents, String> {
        // Every object begins with these bytes; a text with its digits, or a comment.
        let binary = raw.starts_with(b"NXK");
        let bytes = if binary {
            raw.to_vec()
        } else {
            let text = std::str::from_utf8(raw).map_err(|_| "neither key objects nor text")?;
            hex::bytes(text)?
        };
        let mut objects = Objects::new(&bytes);
        let mut contents = Contents::default();
        loop {
            let at = bytes.len() - objects.rest().len();
            match objects.next() {
                Some(Ok(object)) => contents.objects.push(object),
                Some(Err(error)) => {
                    let number = contents.objects.len() + 1;
                    return Err(format!("object {number}, at byte {at}: {}", because(error)));
                }
                None if contents.objects.is_empty() => return Err("holds nothing".to_owned()),
                None => return Ok(contents),
            }
        }
    }

    /// The one genesis.
    pub(super) fn genesis(&self) -> Result<&Genesis, &'static str> {
        let mut all = self.objects.iter().filter_map(|object| match object {
            Object::Genesis(genesis) => Some(genesis),
            _ => None,
        });
        match (all.next(), all.next()) {
            (Some(genesis), None) => Ok(genesis),
            (None, _) => Err("it holds no genesis: nothing says where the identity begins"),
            _ => Err("it holds two geneses: which one is the device's?"),
        }
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.objects.iter().filter_map(|object| match object {
            Object::Certificate(certificate) => Some(certificate),
            _ => None,
        })
    }

    pub(super) fn purposes(&self) -> impl Iterator<Item = &PurposeCertificate> {
        self.objects.iter().filter_map(|object| match object {
            Object::Purpose(certificate) => Some(certificate),
            _ => None,
        })
    }

    /// The one quote.
    pub(super) fn quote(&self) -> Result<&Quote, &'static str> {
        let mut all = self.objects.iter().filter_map(|object| match object {
            Object::Quote(quote) => Some(quote),
            _ => None,
        });
        match (all.next(), all.next()) {
            (Some(quote), None) => Ok(quote),
            (None, _) => Err("it holds no quote"),
            _ => Err("it holds more than one quote: which one answers the nonce?"),
        }
    }

    pub(super) fn seals(&self) -> impl Iterator<Item = &Seal> {
        self.objects.iter().filter_map(|object| match object {
            Object::Seal(seal) => Some(seal),
            _ => None,
        })
    }
}
