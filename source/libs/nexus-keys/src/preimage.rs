//! What every key signs: 64 bytes that no caller chooses.
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKSIGN1` |
//! | 8 | 2 | purpose, one bit |
//! | 10 | 1 | algorithm: 1, Ed25519 |
//! | 11 | 1 | flags: bit 0, a development key signs |
//! | 12 | 4 | generation of the key |
//! | 16 | 8 | caller: the identity the kernel stamped on whoever asked |
//! | 24 | 4 | boot counter |
//! | 28 | 4 | length of the message |
//! | 32 | 32 | BLAKE3 of the message |
//!
//! The message itself is never signed as it is. A message that looks like a preimage is hashed
//! like any other, and the signature over it is of the purpose of the key, for the caller that
//! asked.

use crate::{
    Error, Generation, Purpose,
    layout::{In, Out},
};

const MAGIC: [u8; 8] = *b"NXKSIGN1";
const ED25519: u8 = 1;
/// A development key signs.
const DEVELOPMENT: u8 = 1;

/// The fixed structure under every signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preimage {
    /// What the signature is for.
    pub purpose: Purpose,
    /// Whether the deterministic bring-up key signs: such a signature says nothing.
    pub development: bool,
    /// Which key.
    pub generation: Generation,
    /// Who asked, as the kernel stamped it.
    pub caller: u64,
    /// In which boot.
    pub boot: u32,
    /// Length of the message.
    pub message_len: u32,
    /// BLAKE3 of the message.
    pub digest: [u8; 32],
}

impl Preimage {
    /// Encoded bytes.
    pub const BYTES: usize = 64;

    /// Over `message`. The purpose must be one that signs.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`] for sealing and deriving, [`Error::TooLong`] from 4 GiB on.
    pub fn of(
        purpose: Purpose,
        generation: Generation,
        caller: u64,
        boot: u32,
        message: &[u8],
    ) -> Result<Preimage, Error> {
        if !purpose.signs() {
            return Err(Error::WrongPurpose);
        }
        let message_len = u32::try_from(message.len()).map_err(|_| Error::TooLong)?;
        let digest = blake3::hash(message).into();
        let development = false;
        Ok(Preimage { purpose, development, generation, caller, boot, message_len, digest })
    }

    /// The same, signed by a development key or not.
    #[must_use]
    pub fn by_development_key(self, development: bool) -> Preimage {
        Preimage { development, ..self }
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let flags = if self.development { DEVELOPMENT } else { 0 };
        let out = Out::new().put(&MAGIC).u16(self.purpose.code()).u8(ED25519).u8(flags);
        let out = out.u32(self.generation.0).u64(self.caller).u32(self.boot);
        out.u32(self.message_len).put(&self.digest).finish()
    }

    /// Inverse of [`Preimage::encode`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything `encode` cannot make.
    pub fn decode(bytes: &[u8]) -> Result<Preimage, Error> {
        let mut input = In::new(bytes, Self::BYTES, MAGIC)?;
        let purpose = Purpose::from_code(input.u16()?)?;
        let (algorithm, flags) = (input.u8()?, input.u8()?);
        if algorithm != ED25519 || flags & !DEVELOPMENT != 0 || !purpose.signs() {
            return Err(Error::Malformed);
        }
        Ok(Preimage {
            purpose,
            development: flags == DEVELOPMENT,
            generation: Generation(input.u32()?),
            caller: input.u64()?,
            boot: input.u32()?,
            message_len: input.u32()?,
            digest: input.array()?,
        })
    }
}
