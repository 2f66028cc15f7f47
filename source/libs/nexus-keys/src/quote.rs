//! What runs here, said with a key, to somebody who brought a nonce.
//!
//! Body, 272 bytes; the signature over its preimage (purpose *attest*, the attestation key's
//! generation, the caller, the boot) follows it:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKQUOT1` |
//! | 8 | 1 | length of the nonce, 32..=64 |
//! | 9 | 1 | zero |
//! | 10 | 2 | [`Flags`] |
//! | 12 | 4 | generation of the attestation key |
//! | 16 | 4 | generation of the identity key |
//! | 20 | 4 | boot counter |
//! | 24 | 4 | how often the machine was resumed since |
//! | 28 | 4 | measured images |
//! | 32 | 64 | nonce, zero behind its length |
//! | 96 | 32 | device id |
//! | 128 | 16 | boot id, random per boot |
//! | 144 | 32 | digest over the measurements of every started image |
//! | 176 | 32 | digest of the policy in force |
//! | 208 | 8 | version of that policy |
//! | 216 | 8 | number of the newest sealed checkpoint of the audit |
//! | 224 | 32 | its digest |
//! | 256 | 8 | rollback floor: the store's own monotonic counter |
//! | 264 | 8 | who asked, as the kernel stamped it |
//! | 272 | 64 | signature |

use crate::{
    Chain, Error, Generation, Preimage, PublicKey, Purpose, PurposeKey, Signature, SigningKey,
    layout::{In, Out},
};

pub(crate) const MAGIC: [u8; 8] = *b"NXKQUOT1";

/// Shortest nonce.
pub const NONCE_MIN: usize = 32;
/// Longest nonce.
pub const NONCE_MAX: usize = 64;

/// What makes a quote fresh: bytes that only the asker knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    bytes: [u8; NONCE_MAX],
    len: u8,
}

impl Nonce {
    /// From 32 to 64 bytes.
    ///
    /// # Errors
    /// [`Error::BadNonce`] for another length, or zeros only.
    pub fn new(nonce: &[u8]) -> Result<Nonce, Error> {
        let mut bytes = [0; NONCE_MAX];
        let place = bytes.get_mut(..nonce.len()).ok_or(Error::BadNonce)?;
        place.copy_from_slice(nonce);
        let len = u8::try_from(nonce.len()).map_err(|_| Error::BadNonce)?;
        if nonce.len() < NONCE_MIN || bytes == [0; NONCE_MAX] {
            return Err(Error::BadNonce);
        }
        Ok(Nonce { bytes, len })
    }

    /// The bytes given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

macro_rules! flags {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal, $words:literal;)+) => {
        /// What the quote admits about itself. Inside the signed bytes.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Flags(u16);

        impl Flags {
            $($(#[doc = $doc])+ pub const $name: Flags = Flags(1 << $bit);)+

            /// Every flag with what it means.
            pub const ALL: &'static [(Flags, &'static str)] = &[$((Flags::$name, $words),)+];
        }
    };
}

flags! {
    /// The deterministic bring-up key signs: anybody can make such a quote.
    DEVELOPMENT_KEY = 0, "a development key signed: anybody can make such a quote";
    /// The keys were made without entropy that passed its health tests.
    ENTROPY_UNPROVEN = 1, "the keys were made without proven entropy";
    /// Keys and counters do not survive a power cut.
    STORAGE_VOLATILE = 2, "keys and counters do not survive a power cut";
    /// The build permits clearing the log.
    LOG_RESET_PERMITTED = 3, "this build permits clearing the log";
    /// Counters were found below what they had been: the disk is an older one.
    ROLLBACK_DETECTED = 4, "the disk was found to be older than what had been seen";
    /// No hardware guards the root secret: it lies on the disk.
    NO_HARDWARE_ROOT = 5, "no hardware guards the root secret: it lies on the disk";
    /// Not every started image was measured.
    MEASUREMENTS_INCOMPLETE = 6, "not every started image was measured";
    /// The audit head is missing.
    AUDIT_UNKNOWN = 7, "the head of the audit trail was not known";
    /// The policy in force is missing.
    POLICY_UNKNOWN = 8, "the policy in force was not known";
}

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// With these too.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The word.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Inverse of [`Flags::bits`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for a flag nobody knows: it might say that all this means nothing.
    pub fn from_bits(bits: u16) -> Result<Flags, Error> {
        let known = Self::ALL.iter().fold(0, |set, (flag, _)| set | flag.0);
        if bits & !known == 0 { Ok(Flags(bits)) } else { Err(Error::Malformed) }
    }
}

/// What a quote tells of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it admits about itself.
    pub flags: Flags,
    /// Boot counter.
    pub boot: u32,
    /// Resumes since.
    pub resumes: u32,
    /// Random per boot.
    pub boot_id: [u8; 16],
    /// Measured images.
    pub images: u32,
    /// Digest over their measurements.
    pub measurements: [u8; 32],
    /// Digest of the policy in force.
    pub policy: [u8; 32],
    /// Its version.
    pub policy_version: u64,
    /// Number of the newest sealed checkpoint of the audit, 0 if unknown.
    pub audit_size: u64,
    /// Its digest.
    pub audit_head: [u8; 32],
    /// The store's own monotonic counter.
    pub rollback_floor: u64,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteBody {
    /// The asker's nonce.
    pub nonce: Nonce,
    /// Who asked.
    pub caller: u64,
    /// Device id.
    pub device: PublicKey,
    /// Generation of the attestation key.
    pub generation: Generation,
    /// Generation of the identity key.
    pub identity: Generation,
    /// What it tells.
    pub evidence: Evidence,
}

impl QuoteBody {
    /// Encoded bytes.
    pub const BYTES: usize = 272;

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let e = &self.evidence;
        let out = Out::new().put(&MAGIC).u8(self.nonce.len).u8(0).u16(e.flags.bits());
        let out = out.u32(self.generation.0).u32(self.identity.0).u32(e.boot).u32(e.resumes);
        let out = out.u32(e.images).put(&self.nonce.bytes).put(self.device.bytes());
        let out = out.put(&e.boot_id).put(&e.measurements).put(&e.policy).u64(e.policy_version);
        let out = out.u64(e.audit_size).put(&e.audit_head).u64(e.rollback_floor);
        out.u64(self.caller).finish()
    }

    /// Inverse of [`QuoteBody::encode`].
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::BadNonce`] and the errors of [`PublicKey::enrol`].
    pub fn decode(bytes: &[u8]) -> Result<QuoteBody, Error> {
        let mut input = In::new(bytes, Self::BYTES, MAGIC)?;
        let nonce_len = input.u8()?;
        input.zero::<1>()?;
        let flags = Flags::from_bits(input.u16()?)?;
        let (generation, identity) = (Generation(input.u32()?), Generation(input.u32()?));
        let (boot, resumes, images) = (input.u32()?, input.u32()?, input.u32()?);
        let nonce = read_nonce(&input.array()?, nonce_len)?;
        let device = PublicKey::enrol(&input.array()?)?;
        let evidence = Evidence {
            flags,
            boot,
            resumes,
            images,
            boot_id: input.array()?,
            measurements: input.array()?,
            policy: input.array()?,
            policy_version: input.u64()?,
            audit_size: input.u64()?,
            audit_head: input.array()?,
            rollback_floor: input.u64()?,
        };
        Ok(QuoteBody { nonce, caller: input.u64()?, device, generation, identity, evidence })
    }

    fn preimage(&self) -> Result<Preimage, Error> {
        let boot = self.evidence.boot;
        let body = self.encode();
        let preimage = Preimage::of(Purpose::Attest, self.generation, self.caller, boot, &body)?;
        Ok(preimage.by_development_key(self.evidence.flags.has(Flags::DEVELOPMENT_KEY)))
    }
}

/// The nonce of `len` bytes, if zeros follow it.
fn read_nonce(padded: &[u8; NONCE_MAX], len: u8) -> Result<Nonce, Error> {
    let nonce = Nonce::new(padded.get(..usize::from(len)).ok_or(Error::BadNonce)?)?;
    if nonce.bytes == *padded { Ok(nonce) } else { Err(Error::Malformed) }
}

/// What the verifier asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The nonce it sent.
    pub nonce: Nonce,
    /// Whether a development key will do.
    pub allow_development: bool,
}

/// A signed quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What is signed.
    pub body: QuoteBody,
    /// Of the attestation key.
    pub signature: Signature,
}

impl Quote {
    /// Encoded bytes.
    pub const BYTES: usize = 336;

    /// Signs `body` with the attestation key.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn sign(key: &SigningKey, body: QuoteBody) -> Result<Quote, Error> {
        let signature = key.sign(&body.preimage()?)?;
        Ok(Quote { body, signature })
    }

    /// Whether this device said this, now, with a key that counts. The signature comes before
    /// what was asked for: [`Error::WrongNonce`] means a genuine quote over another nonce.
    ///
    /// # Errors
    /// [`Error::WrongDevice`]; [`Error::Inconsistent`] if quote, chain and the issuer of the
    /// attestation key's certificate do not all name one identity generation (a device certifies
    /// its keys anew when it rotates, and answers with the chain it has), or disagree on
    /// development; those of [`PurposeKey::verify`];
    /// [`Error::WrongNonce`]; [`Error::DevelopmentKey`].
    pub fn verify(&self, chain: &Chain, key: &PurposeKey, wanted: &Wanted) -> Result<(), Error> {
        let body = &self.body;
        if body.device != *chain.device() || body.device != key.certificate().device {
            return Err(Error::WrongDevice);
        }
        let development = body.evidence.flags.has(Flags::DEVELOPMENT_KEY);
        let known = body.identity == chain.generation();
        let certified = key.certificate().issuer == body.identity;
        if development != chain.development() || !known || !certified {
            return Err(Error::Inconsistent);
        }
        key.verify(&body.preimage()?, &self.signature)?;
        if body.nonce != wanted.nonce {
            return Err(Error::WrongNonce);
        }
        if development && !wanted.allow_development {
            return Err(Error::DevelopmentKey);
        }
        Ok(())
    }

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        Out::new().put(&self.body.encode()).put(&self.signature).finish()
    }

    /// Inverse of [`Quote::encode`]; checks nothing but the form.
    ///
    /// # Errors
    /// As [`QuoteBody::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Quote, Error> {
        let (body, signature) = bytes.split_last_chunk().ok_or(Error::Malformed)?;
        Ok(Quote { body: QuoteBody::decode(body)?, signature: *signature })
    }
}

#[cfg(test)]
#[path = "quote_tests.rs"]
mod tests;
