//! From the device's id to the key in use, one certificate at a time.
//!
//! What a verified chain proves: every key of it was named by the one before, was shown to be in
//! somebody's hands, and was committed to one step earlier; no generation is missing or there
//! twice. What it cannot prove is that it is whole: a chain with its newest certificates cut off
//! is a shorter valid chain. Whoever kept a newer quote, or asks for one with a nonce, sees that.

use crate::{
    Certificate, Error, Generation, Genesis, Moment, PublicKey, Reason, Window, commitment,
};

/// How many replaced generations a chain remembers; older ones are [`Error::Retired`].
pub const KEPT: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Old {
    generation: Generation,
    key: PublicKey,
    /// When it came into use.
    since: Moment,
    /// Until when it may still be used.
    overlap: Window,
    compromised: bool,
}

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Current,
    /// Replaced; may still be used in this window.
    Overlap(Window),
    /// Replaced because somebody else may have it, or older than a key that was.
    Compromised,
    /// Replaced so long ago that it is no longer remembered.
    Forgotten,
    /// Not there yet.
    Unknown,
}

/// A verified chain: who the device is and which of its keys count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    device: PublicKey,
    development: bool,
    genesis: [u8; 32],
    generation: Generation,
    key: PublicKey,
    since: Moment,
    next: [u8; 32],
    /// Newest first.
    old: [Option<Old>; KEPT],
    /// Generations up to this one are compromised, remembered or not.
    compromised: Option<Generation>,
}

impl Chain {
    /// Starts at a genesis whose signature holds.
    ///
    /// # Errors
    /// [`Error::BadSignature`]; [`Error::DevelopmentKey`] for the identity everybody knows without
    /// the flag that says so.
    pub fn start(genesis: &Genesis) -> Result<Chain, Error> {
        genesis.verify()?;
        if *genesis.device.bytes() == crate::DEVELOPMENT_DEVICE && !genesis.development {
            return Err(Error::DevelopmentKey);
        }
        Ok(Chain {
            device: genesis.device,
            development: genesis.development,
            genesis: genesis.digest(),
            generation: Generation::FIRST,
            key: genesis.device,
            since: genesis.made,
            next: genesis.next,
            old: [None; KEPT],
            compromised: None,
        })
    }

    /// Goes on to the next generation. An error leaves the chain as it was.
    ///
    /// # Errors
    /// [`Error::WrongDevice`], [`Error::WrongLink`] (skipped, repeated, another old key, a key
    /// that was there before), [`Error::BadSignature`], [`Error::NotYet`] (older than the
    /// certificate before), and [`Error::NotCommitted`], which only who has the old key can cause.
    pub fn extend(&mut self, certificate: &Certificate) -> Result<(), Error> {
        let rotation = &certificate.rotation;
        if rotation.device != self.device {
            return Err(Error::WrongDevice);
        }
        let follows = rotation.from == self.generation && rotation.to == self.generation.next()?;
        if !follows || rotation.old != self.key || self.had(&rotation.new) {
            return Err(Error::WrongLink);
        }
        certificate.verify(self.development)?;
        if rotation.overlap.from < self.since {
            return Err(Error::NotYet);
        }
        if commitment(&self.device, rotation.to, &rotation.new) != self.next {
            return Err(Error::NotCommitted);
        }
        self.replace(certificate);
        Ok(())
    }

    fn had(&self, key: &PublicKey) -> bool {
        let remembered = self.old.iter().flatten().any(|old| old.key == *key);
        *key == self.key || *key == self.device || remembered
    }

    fn replace(&mut self, certificate: &Certificate) {
        let rotation = &certificate.rotation;
        let compromised = rotation.reason == Reason::Compromise;
        self.old.rotate_right(1);
        if let Some(newest) = self.old.first_mut() {
            *newest = Some(Old {
                generation: self.generation,
                key: self.key,
                since: self.since,
                overlap: rotation.overlap,
                compromised,
            });
        }
        if compromised {
            self.compromised = Some(rotation.from);
            for old in self.old.iter_mut().flatten() {
                old.compromised = true;
            }
        }
        self.generation = rotation.to;
        self.key = rotation.new;
        self.since = rotation.overlap.from;
        self.next = rotation.next;
    }

    /// Device id.
    #[must_use]
    pub const fn device(&self) -> &PublicKey {
        &self.device
    }

    /// Whether the identity is the deterministic bring-up key.
    #[must_use]
    pub const fn development(&self) -> bool {
        self.development
    }

    /// Digest of the genesis, for who pins it.
    #[must_use]
    pub const fn genesis(&self) -> &[u8; 32] {
        &self.genesis
    }

    /// Generation in use.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Identity key in use.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When the key in use came into use.
    #[must_use]
    pub const fn since(&self) -> Moment {
        self.since
    }

    /// What the next key must hash to.
    #[must_use]
    pub const fn next(&self) -> &[u8; 32] {
        &self.next
    }

    /// What became of `generation`.
    #[must_use]
    pub fn standing(&self, generation: Generation) -> Standing {
        if generation == self.generation {
            return Standing::Current;
        }
        if generation > self.generation {
            return Standing::Unknown;
        }
        if self.compromised.is_some_and(|last| generation <= last) {
            return Standing::Compromised;
        }
        self.find(generation).map_or(Standing::Forgotten, |old| Standing::Overlap(old.overlap))
    }

    fn find(&self, generation: Generation) -> Option<&Old> {
        self.old.iter().flatten().find(|old| old.generation == generation)
    }

    fn replaced(&self, generation: Generation) -> Result<&Old, Error> {
        match self.standing(generation) {
            Standing::Compromised => Err(Error::Compromised),
            Standing::Unknown | Standing::Current => Err(Error::UnknownGeneration),
            Standing::Forgotten => Err(Error::Retired),
            Standing::Overlap(_) => self.find(generation).ok_or(Error::Retired),
        }
    }

    /// The key of `generation`, if it may be used at `now`: for the device itself, at each use.
    ///
    /// # Errors
    /// [`Error::UnknownGeneration`], [`Error::Compromised`], [`Error::Retired`],
    /// [`Error::NotYet`] if `now` lies before what the chain already saw.
    pub fn usable(&self, generation: Generation, now: Moment) -> Result<PublicKey, Error> {
        if now < self.since {
            return Err(Error::NotYet);
        }
        if generation == self.generation {
            return Ok(self.key);
        }
        let old = self.replaced(generation)?;
        match old.overlap.admits(now) {
            Ok(()) => Ok(old.key),
            Err(Error::Expired) => Err(Error::Retired),
            Err(error) => Err(error),
        }
    }

    /// The key of `generation`, if it could vouch for something at `then`: for who verifies what
    /// was said in the past. A key counts from when it came into use to the end of its overlap.
    ///
    /// # Errors
    /// As [`Chain::usable`].
    pub fn vouches(&self, generation: Generation, then: Moment) -> Result<PublicKey, Error> {
        if generation == self.generation {
            return if then < self.since { Err(Error::NotYet) } else { Ok(self.key) };
        }
        let old = self.replaced(generation)?;
        if then < old.since {
            return Err(Error::NotYet);
        }
        match old.overlap.admits(then) {
            Ok(()) | Err(Error::NotYet) => Ok(old.key),
            Err(_) => Err(Error::Retired),
        }
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
