//! Signatures over checkpoints of the audit trail.
//!
//! The journal makes checkpoints; the key store signs their digest with the checkpoint key, which
//! signs nothing else. What is hashed into the preimage (purpose *checkpoint*, boot counter and
//! caller inside) is 48 bytes: `NXKCKPTB`, number, digest. As it stands in a file, 128 bytes:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKCKPT1` |
//! | 8 | 8 | number of the checkpoint |
//! | 16 | 32 | its digest, `nexus_audit::Checkpoint::digest` |
//! | 48 | 4 | generation of the checkpoint key |
//! | 52 | 4 | boot counter |
//! | 56 | 8 | caller: the journal's identity, as the kernel stamped it |
//! | 64 | 64 | signature |

use crate::{
    Error, Generation, Preimage, PublicKey, Purpose, PurposeKey, Signature, SigningKey,
    layout::{In, Out},
    verify,
};

pub(crate) const MAGIC: [u8; 8] = *b"NXKCKPT1";
const BODY_MAGIC: [u8; 8] = *b"NXKCKPTB";

/// A checkpoint's number and digest with the signature over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Number of the checkpoint.
    pub number: u64,
    /// Its digest.
    pub digest: [u8; 32],
    /// Generation of the checkpoint key.
    pub generation: Generation,
    /// Boot counter.
    pub boot: u32,
    /// The journal.
    pub caller: u64,
    /// Of the checkpoint key.
    pub signature: Signature,
}

impl Seal {
    /// Encoded bytes.
    pub const BYTES: usize = 128;

    /// Signs with the checkpoint key.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn sign(
        key: &SigningKey,
        (number, digest): (u64, [u8; 32]),
        (caller, boot): (u64, u32),
        development: bool,
    ) -> Result<Seal, Error> {
        let generation = key.generation();
        let mut seal = Seal { number, digest, generation, boot, caller, signature: [0; 64] };
        seal.signature = key.sign(&seal.preimage()?.by_development_key(development))?;
        Ok(seal)
    }

    fn preimage(&self) -> Result<Preimage, Error> {
        let body: [u8; 48] =
            Out::new().put(&BODY_MAGIC).u64(self.number).put(&self.digest).finish();
        Preimage::of(Purpose::Checkpoint, self.generation, self.caller, self.boot, &body)
    }

    /// Whether the certified checkpoint key signed this.
    ///
    /// # Errors
    /// As [`PurposeKey::verify`].
    pub fn verify(&self, key: &PurposeKey) -> Result<(), Error> {
        key.verify(&self.preimage()?, &self.signature)
    }

    /// Whether this key signed this, for a verifier that was given the key itself and holds no
    /// certificate: then nothing tells what the key may do, or whether it was revoked.
    ///
    /// # Errors
    /// [`Error::BadSignature`], and [`Error::WrongPurpose`] as [`Preimage::of`].
    pub fn verify_by(&self, key: &PublicKey, development: bool) -> Result<(), Error> {
        let preimage = self.preimage()?.by_development_key(development);
        verify(key, &preimage, &self.signature)
    }

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let out = Out::new().put(&MAGIC).u64(self.number).put(&self.digest);
        let out = out.u32(self.generation.0).u32(self.boot).u64(self.caller);
        out.put(&self.signature).finish()
    }

    /// Inverse of [`Seal::encode`].
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Seal, Error> {
        let mut input = In::new(bytes, Self::BYTES, MAGIC)?;
        Ok(Seal {
            number: input.u64()?,
            digest: input.array()?,
            generation: Generation(input.u32()?),
            boot: input.u32()?,
            caller: input.u64()?,
            signature: input.array()?,
        })
    }
}
