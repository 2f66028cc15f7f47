//! How a device's identity begins and how it passes from one key to the next.
//!
//! Genesis, 152 bytes. Signed by the first key; its public half is the device's id for ever:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKGENE1` |
//! | 8 | 4 | flags: bit 0, a development key |
//! | 12 | 4 | boot counter when made |
//! | 16 | 8 | nanoseconds when made |
//! | 24 | 32 | device id: public key of generation 0 |
//! | 56 | 32 | [`commitment`] to generation 1 |
//! | 88 | 64 | signature, purpose *rotate*, generation 0 |
//!
//! Certificate of generation n to n + 1, 304 bytes. Signed by the old key, which vouches, and by
//! the new one, which proves that somebody has it:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKROTA1` |
//! | 8 | 4 | generation replaced, n |
//! | 12 | 4 | generation that replaces it, n + 1 |
//! | 16 | 1 | reason: 1 scheduled, 2 compromise, 3 requested |
//! | 17 | 7 | zero |
//! | 24 | 24 | window in which the old key may still be used; it begins when this was made |
//! | 48 | 32 | device id |
//! | 80 | 32 | old key |
//! | 112 | 32 | new key |
//! | 144 | 32 | [`commitment`] to generation n + 2 |
//! | 176 | 64 | signature of the old key, purpose *rotate*, generation n |
//! | 240 | 64 | signature of the new key, purpose *rotate*, generation n + 1 |
//!
//! The commitment is made one rotation ahead: whoever steals the key in use cannot name a
//! successor of their own, because its digest was fixed before. Certificates are made by the key
//! store itself: the caller in their preimages is 0.

use crate::{
    Error, Generation, Moment, Preimage, PublicKey, Purpose, Signature, SigningKey, Window,
    layout::{In, Out},
    verify,
};

pub(crate) const GENESIS: [u8; 8] = *b"NXKGENE1";
pub(crate) const ROTATION: [u8; 8] = *b"NXKROTA1";
const DEVELOPMENT: u32 = 1;
const COMMITMENT: &str = "nexus-keys 2026-11 commitment to the next identity key v1";

/// The caller in preimages of the key store's own statements.
pub(crate) const OWN: u64 = 0;

/// Further boots a replaced key may at most be used in.
const OVERLAP_BOOTS_MAX: u32 = 64;
/// Time in each of them: a week.
const OVERLAP_NS_MAX: u64 = 7 * 24 * 3600 * 1_000_000_000;

/// What binds a coming key before it is shown.
#[must_use]
pub fn commitment(device: &PublicKey, generation: Generation, key: &PublicKey) -> [u8; 32] {
    let input: [u8; 68] =
        Out::new().put(device.bytes()).u32(generation.0).put(key.bytes()).finish();
    blake3::derive_key(COMMITMENT, &input)
}

/// The first statement of a device's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Whether the deterministic bring-up key is the identity.
    pub development: bool,
    /// When made.
    pub made: Moment,
    /// Public key of generation 0.
    pub device: PublicKey,
    /// [`commitment`] to generation 1.
    pub next: [u8; 32],
    /// Of the first key.
    pub signature: Signature,
}

impl Genesis {
    /// Encoded bytes.
    pub const BYTES: usize = 152;
    const BODY: usize = 88;

    /// Makes the statement with the first identity key and the public half of the one after.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn sign(
        first: &SigningKey,
        second: &PublicKey,
        made: Moment,
        development: bool,
    ) -> Result<Genesis, Error> {
        let device = first.public();
        let next = commitment(&device, Generation(1), second);
        let mut genesis = Genesis { development, made, device, next, signature: [0; 64] };
        genesis.signature = first.sign(&genesis.preimage()?)?;
        Ok(genesis)
    }

    fn body(&self) -> [u8; Self::BODY] {
        let flags = if self.development { DEVELOPMENT } else { 0 };
        let out = Out::new().put(&GENESIS).u32(flags).u32(self.made.boot).u64(self.made.ns);
        out.put(self.device.bytes()).put(&self.next).finish()
    }

    fn preimage(&self) -> Result<Preimage, Error> {
        let (purpose, first) = (Purpose::Rotate, Generation::FIRST);
        let preimage = Preimage::of(purpose, first, OWN, self.made.boot, &self.body())?;
        Ok(preimage.by_development_key(self.development))
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn verify(&self) -> Result<(), Error> {
        verify(&self.device, &self.preimage()?, &self.signature)
    }

    /// What a verifier may pin besides the device id: it fixes the first commitment too.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::hash(&self.body()).into()
    }

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        Out::new().put(&self.body()).put(&self.signature).finish()
    }

    /// Inverse of [`Genesis::encode`]; checks the key, not the signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] and the errors of [`PublicKey::enrol`].
    pub fn decode(bytes: &[u8]) -> Result<Genesis, Error> {
        let mut input = In::new(bytes, Self::BYTES, GENESIS)?;
        let flags = input.u32()?;
        if flags & !DEVELOPMENT != 0 {
            return Err(Error::Malformed);
        }
        Ok(Genesis {
            development: flags == DEVELOPMENT,
            made: Moment { boot: input.u32()?, ns: input.u64()? },
            device: PublicKey::enrol(&input.array()?)?,
            next: input.array()?,
            signature: input.array()?,
        })
    }
}

/// Why a key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Its time had come.
    Scheduled = 1,
    /// Somebody else may have it: no overlap, and every earlier overlap ends as well.
    Compromise = 2,
    /// An operator asked.
    Requested = 3,
}

impl Reason {
    fn from_code(code: u8) -> Result<Reason, Error> {
        let all = [Reason::Scheduled, Reason::Compromise, Reason::Requested];
        all.into_iter().find(|reason| *reason as u8 == code).ok_or(Error::Malformed)
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Scheduled => "scheduled",
            Reason::Compromise => "compromise",
            Reason::Requested => "requested",
        }
    }
}

/// What a certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Generation replaced.
    pub from: Generation,
    /// The one after it.
    pub to: Generation,
    /// Why.
    pub reason: Reason,
    /// How long the old key may still be used; begins when the certificate was made.
    pub overlap: Window,
    /// Device id.
    pub device: PublicKey,
    /// Key replaced.
    pub old: PublicKey,
    /// Key that replaces it.
    pub new: PublicKey,
    /// [`commitment`] to the generation after the new one.
    pub next: [u8; 32],
}

impl Rotation {
    const BODY: usize = 176;

    fn body(&self) -> [u8; Self::BODY] {
        let out = Out::new().put(&ROTATION).u32(self.from.0).u32(self.to.0);
        let out = out.u8(self.reason as u8).put(&[0; 7]).put(&self.overlap.encode());
        let out = out.put(self.device.bytes()).put(self.old.bytes()).put(self.new.bytes());
        out.put(&self.next).finish()
    }

    fn preimage(&self, generation: Generation, development: bool) -> Result<Preimage, Error> {
        let boot = self.overlap.from.boot;
        let preimage = Preimage::of(Purpose::Rotate, generation, OWN, boot, &self.body())?;
        Ok(preimage.by_development_key(development))
    }

    /// What must hold whatever the chain says.
    fn check(&self) -> Result<(), Error> {
        if self.from.next()? != self.to {
            return Err(Error::WrongLink);
        }
        let overlap = &self.overlap;
        let bounded = overlap.boots <= OVERLAP_BOOTS_MAX && overlap.ns <= OVERLAP_NS_MAX;
        let allowed = self.reason != Reason::Compromise || overlap.is_none();
        if bounded && allowed { Ok(()) } else { Err(Error::Malformed) }
    }
}

/// A rotation that both keys signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What it says.
    pub rotation: Rotation,
    /// Of the old key.
    pub by_old: Signature,
    /// Of the new key.
    pub by_new: Signature,
}

impl Certificate {
    /// Encoded bytes.
    pub const BYTES: usize = 304;

    /// Makes the certificate from `old` to `new`; `next` is the public half of the key after that.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::WrongLink`] if `new` is not the generation after `old`,
    /// [`Error::Malformed`] for an overlap out of bounds, and those of [`SigningKey::sign`].
    pub fn sign(
        (device, development): (&PublicKey, bool),
        old: &SigningKey,
        new: &SigningKey,
        next: &PublicKey,
        (reason, overlap): (Reason, Window),
    ) -> Result<Certificate, Error> {
        let (from, to) = (old.generation(), new.generation());
        let rotation = Rotation {
            from,
            to,
            reason,
            overlap,
            device: *device,
            old: old.public(),
            new: new.public(),
            next: commitment(device, to.next()?, next),
        };
        rotation.check()?;
        let by_old = old.sign(&rotation.preimage(from, development)?)?;
        let by_new = new.sign(&rotation.preimage(to, development)?)?;
        Ok(Certificate { rotation, by_old, by_new })
    }

    /// The same words, signed by these keys whatever they say.
    #[cfg(test)]
    pub(crate) fn signed_anew(self, old: &SigningKey, new: &SigningKey) -> Certificate {
        let by = |key: &SigningKey| {
            let preimage = self.rotation.preimage(key.generation(), false).unwrap();
            key.sign(&preimage).unwrap()
        };
        Certificate { by_old: by(old), by_new: by(new), ..self }
    }

    /// Checks both signatures and what must hold within the certificate itself.
    ///
    /// # Errors
    /// [`Error::WrongLink`], [`Error::Malformed`], [`Error::BadSignature`].
    pub fn verify(&self, development: bool) -> Result<(), Error> {
        let rotation = &self.rotation;
        rotation.check()?;
        verify(&rotation.old, &rotation.preimage(rotation.from, development)?, &self.by_old)?;
        verify(&rotation.new, &rotation.preimage(rotation.to, development)?, &self.by_new)
    }

    /// Encodes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        Out::new().put(&self.rotation.body()).put(&self.by_old).put(&self.by_new).finish()
    }

    /// Inverse of [`Certificate::encode`]; checks keys and ranges, not signatures.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::WrongLink`] and the errors of [`PublicKey::enrol`].
    pub fn decode(bytes: &[u8]) -> Result<Certificate, Error> {
        let mut input = In::new(bytes, Self::BYTES, ROTATION)?;
        let (from, to) = (Generation(input.u32()?), Generation(input.u32()?));
        let reason = Reason::from_code(input.u8()?)?;
        input.zero::<7>()?;
        let rotation = Rotation {
            from,
            to,
            reason,
            overlap: Window::read(&mut input)?,
            device: PublicKey::enrol(&input.array()?)?,
            old: PublicKey::enrol(&input.array()?)?,
            new: PublicKey::enrol(&input.array()?)?,
            next: input.array()?,
        };
        rotation.check()?;
        Ok(Certificate { rotation, by_old: input.array()?, by_new: input.array()? })
    }
}
