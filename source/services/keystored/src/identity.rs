//! The device's identity: its generations, how one follows another, and what became of each.
//!
//! A generation begins with its sealed record, which is stored in one piece before anything about
//! it is told. Everything public can be made again from it as long as it is active, so a cut
//! between the record and what is published about it costs nothing.

use nexus_keys::{
    Certificate, Chain, Counter, Generation, Genesis, Moment, PublicKey, Purpose,
    PurposeCertificate, PurposeKey, Standing,
};
use nexus_wire::{
    keys::{KeyState, Status},
    state::{Change, Pair, VALUE_MAX},
};

use crate::{
    bringup,
    env::Env,
    keyset::{self, Bounds, KeySet, Making},
    names::{self, Name},
    vault::{Floor, Vault},
};

/// Purposes with a key and a certificate of their own.
pub(crate) const CERTIFIED: [Purpose; 3] = [Purpose::Service, Purpose::Attest, Purpose::Checkpoint];
/// Most generations of one device: every one leaves a certificate in the store for ever.
pub const GENERATIONS_MAX: u32 = 12;
/// Most replaced generations that still verify: each keeps three certificates in the store.
pub(crate) const OVERLAPS_MAX: u32 = 2;

/// The device's identity.
pub(crate) struct Identity {
    pub(crate) chain: Chain,
    pub(crate) keys: KeySet,
    /// Signatures of the service key so far.
    pub(crate) used: u64,
    /// The key last looked up. Whether it counts is asked of the chain and the floor each time.
    pub(crate) admitted: Option<(Purpose, u32, PurposeKey)>,
}

fn secret_key_fault(error: nexus_keys::Error) -> Status {
    match error {
        nexus_keys::Error::Exhausted => Status::Limit,
        nexus_keys::Error::Malformed => Status::TooLarge,
        _ => Status::Internal,
    }
}

impl Identity {
    /// The stored identity, `None` only if there never was one. Finishes what a cut left undone.
    ///
    /// # Errors
    /// [`Status::Damaged`], [`Status::Rollback`], or that the store does not answer: in none of
    /// these cases may a new identity be made.
    pub(crate) fn load<E: Env>(env: &mut E, vault: &mut Vault) -> Result<Option<Identity>, Status> {
        let mut value = [0; VALUE_MAX];
        let Some(len) = env.store_get(names::IDENTITY, &mut value)? else {
            return if vault.floor.identity == 0 { Ok(None) } else { Err(Status::Rollback) };
        };
        let record = value.get(..len).unwrap_or_default();
        if vault.floor.identity == 0 {
            return Err(Status::Rollback);
        }
        let keys = keyset::open(vault, Counter(vault.floor.identity), record)?;
        let chain = load_chain(env, &keys)?;
        let used = vault.floor.uses;
        let mut identity = Identity { chain, keys, used, admitted: None };
        identity.finish(env, vault)?;
        identity.publish(env, vault)?;
        Ok(Some(identity))
    }

    /// Makes the first generation and stores it before anything about it is told.
    ///
    /// # Errors
    /// Then there is none, or the store is in doubt and will be read again.
    pub(crate) fn create<E: Env>(
        env: &mut E,
        vault: &mut Vault,
        bounds: Bounds,
    ) -> Result<Identity, Status> {
        let making = Making {
            generation: Generation::FIRST,
            counter: Counter(1),
            made: now(env, vault),
            bounds,
            identity: None,
        };
        let (keys, sealed) = keyset::draw(env, vault, &making)?;
        let genesis = genesis(&keys)?;
        let chain = Chain::start(&genesis).map_err(|_| Status::Internal)?;
        let pair = Pair::new(names::IDENTITY, sealed.as_bytes()).ok_or(Status::Internal)?;
        let floor = Floor { identity: 1, uses: 0, ..vault.floor };
        vault.commit(env, floor, &[Change::Put(pair)])?;
        let mut identity = Identity { chain, keys, used: 0, admitted: None };
        // A failure here is made good by the next start, or before the next rotation.
        let _made_good_later = identity.publish(env, vault);
        Ok(identity)
    }

    pub(crate) const fn active(&self) -> Generation {
        self.keys.generation()
    }

    /// Where a generation stands now.
    pub(crate) fn state(&self, vault: &Vault, generation: u32, now: Moment) -> KeyState {
        let generation = Generation(generation);
        if generation > self.active() {
            return KeyState::None;
        }
        if generation.0 < vault.floor.revoked {
            return KeyState::Revoked;
        }
        let crowded = self.active().0.saturating_sub(generation.0) > OVERLAPS_MAX;
        match self.chain.standing(generation) {
            Standing::Current => KeyState::Active,
            Standing::Compromised => KeyState::Revoked,
            Standing::Overlap(window) if !crowded && window.admits(now).is_ok() => {
                KeyState::Overlap
            }
            Standing::Overlap(_) | Standing::Forgotten => KeyState::Retired,
            Standing::Unknown => KeyState::None,
        }
    }

    /// The certificate of this generation's key for a purpose, made anew.
    fn certify(&self, vault: &Vault, purpose: Purpose) -> Result<PurposeCertificate, Status> {
        let key = self.keys.of(purpose).ok_or(Status::WrongPurpose)?;
        let floor = Generation(vault.floor.revoked.min(self.active().0));
        PurposeCertificate::sign(
            (self.chain.device(), bringup::ENABLED),
            &self.keys.identity,
            key,
            (0, floor),
            self.keys.usage(purpose),
        )
        .map_err(secret_key_fault)
    }

    /// Stores what is public about the active generation, if it is not there as it should be.
    pub(crate) fn publish<E: Env>(&mut self, env: &mut E, vault: &mut Vault) -> Result<(), Status> {
        if self.active() == Generation::FIRST {
            store(env, vault, names::GENESIS, &genesis(&self.keys)?.encode())?;
        }
        for purpose in CERTIFIED {
            let name = Name::purpose(self.active().0, purpose.code());
            let certificate = self.certify(vault, purpose)?.encode();
            store(env, vault, name.as_bytes(), &certificate)?;
        }
        Ok(())
    }

    /// What vouches for the identity of a generation, or for its key of a purpose.
    pub(crate) fn vouching<E: Env>(
        &self,
        env: &mut E,
        (purpose, generation): (Purpose, u32),
        out: &mut [u8; VALUE_MAX],
    ) -> Result<usize, Status> {
        if generation > self.active().0 {
            return Err(Status::KeyNotFound);
        }
        let name = Name::purpose(generation, purpose.code());
        let certificate = Name::certificate(generation);
        let name = match purpose {
            Purpose::Rotate | Purpose::Certify if generation == 0 => names::GENESIS,
            Purpose::Rotate | Purpose::Certify => certificate.as_bytes(),
            Purpose::Service | Purpose::Attest | Purpose::Checkpoint => name.as_bytes(),
            _ => return Err(Status::KeyNotFound),
        };
        env.store_get(name, out)?.ok_or(Status::KeyNotFound)
    }

    /// The key of a purpose and generation, with its certificate checked against the chain.
    pub(crate) fn purpose_key<E: Env>(
        &mut self,
        env: &mut E,
        vault: &Vault,
        (purpose, generation): (Purpose, u32),
    ) -> Result<PurposeKey, Status> {
        match &self.admitted {
            Some((known, of, key)) if (*known, *of) == (purpose, generation) => return Ok(*key),
            _ => {}
        }
        let certificate = if generation == self.active().0 {
            self.certify(vault, purpose)?
        } else {
            let mut value = [0; VALUE_MAX];
            let len = self.vouching(env, (purpose, generation), &mut value)?;
            let bytes = value.get(..len).unwrap_or_default();
            PurposeCertificate::decode(bytes).map_err(|_| Status::Damaged)?
        };
        let key = PurposeKey::admit(&certificate, &self.chain).map_err(|_| Status::Damaged)?;
        let named = key.certificate().generation == Generation(generation);
        let for_it = key.certificate().usage.purposes.has(purpose);
        if !named || !for_it {
            return Err(Status::Damaged);
        }
        self.admitted = Some((purpose, generation, key));
        Ok(key)
    }

    /// The public key of a generation: the identity's own, or one that it certified.
    pub(crate) fn public<E: Env>(
        &mut self,
        env: &mut E,
        vault: &Vault,
        (purpose, generation): (Purpose, u32),
    ) -> Result<PublicKey, Status> {
        if !matches!(purpose, Purpose::Rotate | Purpose::Certify) {
            return Ok(self.purpose_key(env, vault, (purpose, generation))?.certificate().key);
        }
        if Generation(generation) == self.active() {
            return Ok(*self.chain.key());
        }
        if generation == 0 {
            return Ok(*self.chain.device());
        }
        let mut value = [0; VALUE_MAX];
        let len = self.vouching(env, (purpose, generation), &mut value)?;
        let bytes = value.get(..len).unwrap_or_default();
        Certificate::decode(bytes).map(|c| c.rotation.new).map_err(|_| Status::Damaged)
    }

    /// Makes every generation below `below` unusable for ever, and says so in the certificates.
    pub(crate) fn revoke<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        generation: u32,
    ) -> Result<(), Status> {
        if Generation(generation) >= self.active() {
            let active = Generation(generation) == self.active();
            return Err(if active { Status::WrongPurpose } else { Status::KeyNotFound });
        }
        let below = generation.checked_add(1).ok_or(Status::Limit)?;
        let revoked = vault.floor.revoked.max(below);
        vault.commit(env, Floor { revoked, ..vault.floor }, &[])?;
        self.admitted = None;
        self.publish(env, vault)
    }

    /// Accounts for one more signature of the service key, ahead of it: what a cut takes back is
    /// never a use.
    pub(crate) fn count_use<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        now: Moment,
    ) -> Result<(), Status> {
        const BLOCKS: u64 = 16;
        let usage = self.keys.usage(Purpose::Service);
        let admitted = usage.admit(Purpose::Service, now, self.used);
        let used = admitted.map_err(|error| match error {
            nexus_keys::Error::Expired | nexus_keys::Error::Exhausted => Status::KeyExhausted,
            _ => Status::Internal,
        })?;
        if usage.uses != u64::MAX && used > vault.floor.uses {
            let block = (usage.uses / BLOCKS).clamp(1, 64);
            let uses = used.saturating_add(block).saturating_sub(1).min(usage.uses);
            vault.commit(env, Floor { uses, ..vault.floor }, &[])?;
        }
        self.used = used;
        Ok(())
    }
}

/// The present moment of this device.
pub(crate) fn now<E: Env>(env: &mut E, vault: &Vault) -> Moment {
    Moment { boot: vault.floor.boot, ns: env.now_ns() }
}

/// The statement of the first generation about itself: the same bytes whenever it is made.
fn genesis(keys: &KeySet) -> Result<Genesis, Status> {
    let second = next_public(keys)?;
    Genesis::sign(&keys.identity, &second, keys.made, bringup::ENABLED).map_err(secret_key_fault)
}

/// The public half of the identity that is to follow.
pub(crate) fn next_public(keys: &KeySet) -> Result<PublicKey, Status> {
    let next = keys.generation().next().map_err(|_| Status::Limit)?;
    let purposes = nexus_keys::Purposes::IDENTITY;
    let key = nexus_keys::SigningKey::new(&keys.next, purposes, next);
    key.map(|key| key.public()).map_err(secret_key_fault)
}

/// Stores public bytes under a name unless they are there already.
fn store<E: Env>(env: &mut E, vault: &mut Vault, name: &[u8], bytes: &[u8]) -> Result<(), Status> {
    let mut value = [0; VALUE_MAX];
    let there = env.store_get(name, &mut value)?;
    if there.and_then(|len| value.get(..len)) == Some(bytes) {
        return Ok(());
    }
    let pair = Pair::new(name, bytes).ok_or(Status::Internal)?;
    vault.write(env, &[Change::Put(pair)])
}

/// Every certificate from the first generation to the one whose keys these are.
fn load_chain<E: Env>(env: &mut E, keys: &KeySet) -> Result<Chain, Status> {
    let genesis = if keys.generation() == Generation::FIRST {
        genesis(keys)?
    } else {
        let mut value = [0; VALUE_MAX];
        let len = env.store_get(names::GENESIS, &mut value)?.ok_or(Status::Damaged)?;
        Genesis::decode(value.get(..len).unwrap_or_default()).map_err(|_| Status::Damaged)?
    };
    let mut chain = Chain::start(&genesis).map_err(|_| Status::Damaged)?;
    for generation in 1..=keys.generation().0 {
        let certificate = load_certificate(env, generation)?.ok_or(Status::Damaged)?;
        chain.extend(&certificate).map_err(|_| Status::Damaged)?;
    }
    let ours = *chain.key() == keys.identity.public() && chain.development() == bringup::ENABLED;
    if ours { Ok(chain) } else { Err(Status::Damaged) }
}

/// The certificate by which a generation followed; `None` only if the store says there is none.
pub(crate) fn load_certificate<E: Env>(
    env: &mut E,
    generation: u32,
) -> Result<Option<Certificate>, Status> {
    let mut value = [0; VALUE_MAX];
    let name = Name::certificate(generation);
    let Some(len) = env.store_get(name.as_bytes(), &mut value)? else { return Ok(None) };
    let bytes = value.get(..len).unwrap_or_default();
    Certificate::decode(bytes).map(Some).map_err(|_| Status::Damaged)
}
