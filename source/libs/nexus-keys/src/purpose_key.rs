//! Certificates of the identity key over the keys that do the daily work.
//!
//! 200 bytes:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKPURP1` |
//! | 8 | 4 | generation of the identity key that certifies |
//! | 12 | 4 | generation of the certified key, within its purpose and owner |
//! | 16 | 8 | owner: the service it signs for, 0 for the key store itself |
//! | 24 | 4 | floor: generations of this purpose and owner below it are revoked |
//! | 28 | 4 | zero |
//! | 32 | 40 | [`Usage`]; its window begins when this was made |
//! | 72 | 32 | device id |
//! | 104 | 32 | certified key |
//! | 136 | 64 | signature of the identity key, purpose *certify* |
//!
//! Revoking is replacing: the next certificate raises the floor. A verifier that holds the newest
//! certificate refuses every signature of a generation below it.

use crate::{
    Chain, Error, Generation, Preimage, PublicKey, Purpose, Signature, SigningKey, Usage,
    certificate::OWN,
    layout::{In, Out},
    verify,
};

pub(crate) const MAGIC: [u8; 8] = *b"NXKPURP1";

/// The identity key's word for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeCertificate {
    /// Generation of the identity key.
    pub issuer: Generation,
    /// Generation of the certified key.
    pub generation: Generation,
    /// The service it signs for, 0 for the key store.
    pub owner: u64,
    /// Generations below are revoked.
    pub floor: Generation,
    /// What the key may do.
    pub usage: Usage,
    /// Device id.
    pub device: PublicKey,
    /// Certified key.
    pub key: PublicKey,
    /// Of the identity key.
    pub signature: Signature,
}

impl PurposeCertificate {
    /// Encoded bytes.
    pub const BYTES: usize = 200;
    const BODY: usize = 136;

    /// Certifies `key` with the identity key.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`] for the purposes of an identity key or ones that do not sign,
    /// [`Error::Malformed`] for a floor above the key's own generation, and those of
    /// [`SigningKey::sign`].
    pub fn sign(
        (device, development): (&PublicKey, bool),
        identity: &SigningKey,
        key: &SigningKey,
        (owner, floor): (u64, Generation),
        usage: Usage,
    ) -> Result<PurposeCertificate, Error> {
        if usage.purposes != key.purposes() {
            return Err(Error::WrongPurpose);
        }
        let mut certificate = PurposeCertificate {
            issuer: identity.generation(),
            generation: key.generation(),
            owner,
            floor,
            usage,
            device: *device,
            key: key.public(),
            signature: [0; 64],
        };
        certificate.check()?;
        certificate.signature = identity.sign(&certificate.preimage(development)?)?;
        Ok(certificate)
    }

    /// The same words, signed by this key whatever they say.
    #[cfg(test)]
    pub(crate) fn signed_anew(mut self, identity: &SigningKey) -> PurposeCertificate {
        self.signature = identity.sign(&self.preimage(false).unwrap()).unwrap();
        self
    }

    fn check(&self) -> Result<(), Error> {
        let purposes = self.usage.purposes;
        if purposes.is_identity() || !purposes.iter().all(Purpose::signs) {
            return Err(Error::WrongPurpose);
        }
        if self.floor > self.generation { Err(Error::Malformed) } else { Ok(()) }
    }

    fn body(&self) -> [u8; Self::BODY] {
        let out = Out::new().put(&MAGIC).u32(self.issuer.0).u32(self.generation.0);
        let out = out.u64(self.owner).u32(self.floor.0).u32(0).put(&self.usage.encode());
        out.put(self.device.bytes()).put(self.key.bytes()).finish()
    }

    fn preimage(&self, development: bool) -> Result<Preimage, Error> {
        let boot = self.usage.window.from.boot;
        let preimage = Preimage::of(Purpose::Certify, self.issuer, OWN, boot, &self.body())?;
        Ok(preimage.by_development_key(development))
    }

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        Out::new().put(&self.body()).put(&self.signature).finish()
    }

    /// Inverse of [`PurposeCertificate::encode`]; checks keys and ranges, not the signature.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::MixedPurposes`], [`Error::WrongPurpose`] and the errors of
    /// [`PublicKey::enrol`].
    pub fn decode(bytes: &[u8]) -> Result<PurposeCertificate, Error> {
        let mut input = In::new(bytes, Self::BYTES, MAGIC)?;
        let (issuer, generation) = (Generation(input.u32()?), Generation(input.u32()?));
        let (owner, floor) = (input.u64()?, Generation(input.u32()?));
        input.zero::<4>()?;
        let certificate = PurposeCertificate {
            issuer,
            generation,
            owner,
            floor,
            usage: Usage::read(&mut input)?,
            device: PublicKey::enrol(&input.array()?)?,
            key: PublicKey::enrol(&input.array()?)?,
            signature: input.array()?,
        };
        certificate.check()?;
        Ok(certificate)
    }
}

/// A key whose certificate was verified against a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeKey {
    certificate: PurposeCertificate,
    development: bool,
}

impl PurposeKey {
    /// Verifies `certificate` with the identity key that `chain` has for its issuer.
    ///
    /// # Errors
    /// [`Error::WrongDevice`], those of [`Chain::vouches`], [`Error::BadSignature`].
    pub fn admit(certificate: &PurposeCertificate, chain: &Chain) -> Result<PurposeKey, Error> {
        certificate.check()?;
        if certificate.device != *chain.device() {
            return Err(Error::WrongDevice);
        }
        let made = certificate.usage.window.from;
        let identity = chain.vouches(certificate.issuer, made)?;
        let preimage = certificate.preimage(chain.development())?;
        verify(&identity, &preimage, &certificate.signature)?;
        Ok(PurposeKey { certificate: *certificate, development: chain.development() })
    }

    /// What was certified.
    #[must_use]
    pub const fn certificate(&self) -> &PurposeCertificate {
        &self.certificate
    }

    /// Whether `signature` is this key's over `preimage`, made for a purpose, in a boot and by
    /// the generation it was certified for.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`], [`Error::UnknownGeneration`], [`Error::Retired`] for a generation
    /// below the floor, [`Error::NotYet`], [`Error::Expired`], [`Error::BadSignature`].
    pub fn verify(&self, preimage: &Preimage, signature: &Signature) -> Result<(), Error> {
        let certificate = &self.certificate;
        if !certificate.usage.purposes.has(preimage.purpose) {
            return Err(Error::WrongPurpose);
        }
        if preimage.generation < certificate.floor {
            return Err(Error::Retired);
        }
        if preimage.generation != certificate.generation {
            return Err(Error::UnknownGeneration);
        }
        certificate.usage.window.admits_boot(preimage.boot)?;
        let preimage = preimage.by_development_key(self.development);
        verify(&certificate.key, &preimage, signature)
    }
}
