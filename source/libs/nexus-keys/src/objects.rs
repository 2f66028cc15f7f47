//! Files of keys: objects one behind the other, each known by its first eight bytes.

use crate::{
    Certificate, Error, Genesis, PurposeCertificate, Quote, Seal, certificate, checkpoint,
    purpose_key, quote,
};

/// Anything a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The beginning of an identity.
    Genesis(Genesis),
    /// From one identity key to the next.
    Certificate(Certificate),
    /// A key for a purpose.
    Purpose(PurposeCertificate),
    /// What runs there.
    Quote(Quote),
    /// A signed checkpoint.
    Seal(Seal),
}

/// The objects of `bytes`, decoded, not verified. Stops after the first error.
#[derive(Clone, Debug)]
pub struct Objects<'b>(&'b [u8]);

impl<'b> Objects<'b> {
    /// Over the whole of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Objects<'b> {
        Objects(bytes)
    }

    /// Bytes not read yet; none after an error.
    #[must_use]
    pub const fn rest(&self) -> &'b [u8] {
        self.0
    }

    fn read(&self) -> Result<(Object, &'b [u8]), Error> {
        let magic = self.0.first_chunk::<8>().ok_or(Error::Malformed)?;
        let len = match *magic {
            certificate::GENESIS => Genesis::BYTES,
            certificate::ROTATION => Certificate::BYTES,
            purpose_key::MAGIC => PurposeCertificate::BYTES,
            quote::MAGIC => Quote::BYTES,
            checkpoint::MAGIC => Seal::BYTES,
            _ => return Err(Error::Malformed),
        };
        let (object, rest) = self.0.split_at_checked(len).ok_or(Error::Malformed)?;
        let object = match *magic {
            certificate::GENESIS => Object::Genesis(Genesis::decode(object)?),
            certificate::ROTATION => Object::Certificate(Certificate::decode(object)?),
            purpose_key::MAGIC => Object::Purpose(PurposeCertificate::decode(object)?),
            quote::MAGIC => Object::Quote(Quote::decode(object)?),
            _ => Object::Seal(Seal::decode(object)?),
        };
        Ok((object, rest))
    }
}

impl Iterator for Objects<'_> {
    type Item = Result<Object, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        match self.read() {
            Ok((object, rest)) => {
                self.0 = rest;
                Some(Ok(object))
            }
            Err(error) => {
                self.0 = &[];
                Some(Err(error))
            }
        }
    }
}
