//! From one generation to the next in four durable steps, each of which may be the last before a
//! power cut.
//!
//! | step | stored in one piece | cut behind it |
//! |---|---|---|
//! | prepare | the next generation's sealed record, beside the active one | dropped at the next start |
//! | certify | the certificate that both identities signed | the next start activates |
//! | activate | the record moves over the active one, the floor rises | done; the rest is made again |
//! | retire | certificates of generations whose overlap is over are removed | the next start removes |
//!
//! The old generation's private keys are gone with the third step: nothing needs them any more,
//! the overlap is for verifying. At each use the window in the certificate decides, whether
//! anything was removed or not.

use nexus_keys::{Certificate, Counter, Error, Generation, Moment, Reason, Window};
use nexus_wire::{
    keys::{KeyState, Rotation, Status},
    state::{Change, Pair, VALUE_MAX},
};

use crate::{
    bringup,
    env::Env,
    identity::{CERTIFIED, GENERATIONS_MAX, Identity, load_certificate, next_public, now},
    keyset::{self, KeySet, Making, Sealed},
    names::{self, Name},
    vault::{Floor, Vault},
};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) reason: Rotation,
    pub(crate) overlap_boots: u32,
    pub(crate) overlap_ns: u64,
}

impl Wanted {
    fn terms(&self, from: Moment) -> (Reason, Window) {
        let overlap = Window { from, boots: self.overlap_boots, ns: self.overlap_ns };
        match self.reason {
            Rotation::Scheduled => (Reason::Scheduled, overlap),
            Rotation::Compromise => (Reason::Compromise, Window::none(from)),
        }
    }
}

impl Identity {
    /// Replaces the active generation by the next.
    ///
    /// # Errors
    /// Then the active one is the one before, or the store is in doubt and will be read again.
    pub(crate) fn rotate<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        wanted: &Wanted,
    ) -> Result<(), Status> {
        self.publish(env, vault)?;
        let next = self.active().next().map_err(|_| Status::Limit)?;
        if next.0 >= GENERATIONS_MAX {
            return Err(Status::Limit);
        }
        let made = now(env, vault);
        let (keys, sealed) = self.prepare(env, vault, (next, made))?;
        let certificate = self.certificate(&keys, wanted.terms(made))?;
        let pair = Pair::new(names::PREPARED, sealed.as_bytes()).ok_or(Status::Internal)?;
        vault.write(env, &[Change::Put(pair)])?;
        let (name, bytes) = (Name::certificate(next.0), certificate.encode());
        let pair = Pair::new(name.as_bytes(), &bytes).ok_or(Status::Internal)?;
        vault.write(env, &[Change::Put(pair)])?;
        self.activate(env, vault, (keys, &certificate), sealed.as_bytes())?;
        // What is left to do changes nothing about which keys count.
        let _made_good_later = self.publish(env, vault);
        let _made_good_later = self.retire(env, vault);
        Ok(())
    }

    fn prepare<E: Env>(
        &self,
        env: &mut E,
        vault: &Vault,
        (generation, made): (Generation, Moment),
    ) -> Result<(KeySet, Sealed), Status> {
        let making = Making {
            generation,
            counter: Counter(vault.floor.identity).next().map_err(|_| Status::Limit)?,
            made,
            bounds: self.keys.bounds,
            identity: Some(&self.keys.next),
        };
        keyset::draw(env, vault, &making)
    }

    /// Signed by both, and verified as any verifier would before it is stored.
    fn certificate(
        &self,
        keys: &KeySet,
        (reason, overlap): (Reason, Window),
    ) -> Result<Certificate, Status> {
        let device = (self.chain.device(), bringup::ENABLED);
        let after = next_public(keys)?;
        let (old, new) = (&self.keys.identity, &keys.identity);
        let certificate = Certificate::sign(device, old, new, &after, (reason, overlap));
        let certificate = certificate.map_err(|error| match error {
            Error::Malformed => Status::TooLarge,
            Error::Exhausted => Status::Limit,
            _ => Status::Internal,
        })?;
        let mut chain = self.chain;
        chain.extend(&certificate).map_err(|_| Status::Internal)?;
        Ok(certificate)
    }

    /// The step that counts: one commit moves the record and raises the floor.
    fn activate<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        (keys, certificate): (KeySet, &Certificate),
        record: &[u8],
    ) -> Result<(), Status> {
        let mut chain = self.chain;
        chain.extend(certificate).map_err(|_| Status::Damaged)?;
        let pair = Pair::new(names::IDENTITY, record).ok_or(Status::Internal)?;
        let floor = Floor { identity: keys.counter.0, uses: 0, ..vault.floor };
        vault.commit(env, floor, &[Change::Put(pair), Change::Del(names::PREPARED)])?;
        *self = Identity { chain, keys, used: 0, admitted: None };
        Ok(())
    }

    /// Finishes or drops a rotation that a cut interrupted, and what retiring left.
    pub(crate) fn finish<E: Env>(&mut self, env: &mut E, vault: &mut Vault) -> Result<(), Status> {
        let mut value = [0; VALUE_MAX];
        if let Some(len) = env.store_get(names::PREPARED, &mut value)? {
            let next = self.active().next().map_err(|_| Status::Limit)?;
            match load_certificate(env, next.0)? {
                None => vault.write(env, &[Change::Del(names::PREPARED)])?,
                Some(certificate) => {
                    let record = value.get(..len).unwrap_or_default();
                    let counter = Counter(vault.floor.identity).next();
                    let counter = counter.map_err(|_| Status::Limit)?;
                    let keys = keyset::open(vault, counter, record)?;
                    if keys.identity.public() != certificate.rotation.new {
                        return Err(Status::Damaged);
                    }
                    self.activate(env, vault, (keys, &certificate), record)?;
                }
            }
        }
        self.retire(env, vault)
    }

    /// Removes what vouched for the purpose keys of generations that no longer count.
    fn retire<E: Env>(&self, env: &mut E, vault: &mut Vault) -> Result<(), Status> {
        let now = now(env, vault);
        for generation in 0..self.active().0 {
            if self.state(vault, generation, now) == KeyState::Overlap {
                continue;
            }
            let names = CERTIFIED.map(|purpose| Name::purpose(generation, purpose.code()));
            let mut value = [0; VALUE_MAX];
            if let Some(first) = names.first()
                && env.store_get(first.as_bytes(), &mut value)?.is_some()
            {
                let changes = names.each_ref().map(|name| Change::Del(name.as_bytes()));
                vault.write(env, &changes)?;
            }
        }
        Ok(())
    }
}
