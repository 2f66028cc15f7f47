//! What the keys are used for. Nothing here signs bytes that somebody sent: every signature is
//! over a structure made here, which names purpose, caller, generation and boot.

use nexus_keys::{Evidence, Flags, Generation, Nonce, Preimage, Purpose, Quote, QuoteBody, Seal};
use nexus_service::permit::Permit;
use nexus_wire::keys::{KeyState, Status};

use crate::{
    bringup,
    env::{self, Env},
    identity::{Identity, now},
    vault::Vault,
};

/// A signature and what a verifier needs to know about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed {
    pub(crate) generation: u32,
    pub(crate) boot: u32,
    pub(crate) signature: [u8; 64],
}

/// What a signature is claimed to be.
pub(crate) struct Claim<'m> {
    pub(crate) purpose: u16,
    pub(crate) caller: u64,
    pub(crate) generation: u32,
    pub(crate) boot: u32,
    pub(crate) signature: [u8; 64],
    pub(crate) message: &'m [u8],
}

/// The purpose a number stands for, if a key can have it.
pub(crate) fn purpose(code: u16) -> Result<Purpose, Status> {
    Purpose::from_code(code).map_err(|_| Status::WrongPurpose)
}

/// The newest checkpoint of the audit that was signed here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AuditHead {
    pub(crate) number: u64,
    pub(crate) digest: [u8; 32],
}

impl AuditHead {
    /// Whether this may be signed behind it: one history, forward. The same one again is no other.
    pub(crate) fn admits(&self, (number, digest): (u64, [u8; 32])) -> bool {
        number > self.number || (number, digest) == (self.number, self.digest)
    }
}

impl Identity {
    /// Signs a message for the subject of the permit.
    pub(crate) fn sign<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        permit: &Permit<env::Sign>,
        message: &[u8],
    ) -> Result<Signed, Status> {
        let moment = now(env, vault);
        self.count_use(env, vault, moment)?;
        let (generation, caller) = (self.active(), permit.subject().0);
        let preimage = Preimage::of(Purpose::Service, generation, caller, moment.boot, message)
            .map_err(|_| Status::Internal)?
            .by_development_key(bringup::ENABLED);
        let signature = self.keys.service.sign(&preimage).map_err(|_| Status::Internal)?;
        Ok(Signed { generation: generation.0, boot: moment.boot, signature })
    }

    /// Whether a signature is what it is claimed to be, by a key that is good now.
    pub(crate) fn verify<E: Env>(
        &mut self,
        env: &mut E,
        vault: &Vault,
        claim: &Claim<'_>,
    ) -> Result<(bool, KeyState), Status> {
        let purpose = purpose(claim.purpose)?;
        if !matches!(purpose, Purpose::Service | Purpose::Attest | Purpose::Checkpoint) {
            return Err(Status::WrongPurpose);
        }
        let moment = now(env, vault);
        let state = self.state(vault, claim.generation, moment);
        match state {
            KeyState::Active | KeyState::Overlap => {}
            KeyState::Retired => return Err(Status::KeyRetired),
            KeyState::Revoked => return Err(Status::KeyRevoked),
            KeyState::None | KeyState::Prepared => return Err(Status::KeyNotFound),
        }
        let key = self.purpose_key(env, vault, (purpose, claim.generation))?;
        let (generation, boot) = (Generation(claim.generation), claim.boot);
        let preimage = Preimage::of(purpose, generation, claim.caller, boot, claim.message)
            .map_err(|_| Status::WrongPurpose)?;
        Ok((key.verify(&preimage, &claim.signature).is_ok(), state))
    }

    /// A quote over the challenge, about this boot.
    pub(crate) fn attest<E: Env>(
        &self,
        env: &mut E,
        vault: &Vault,
        permit: &Permit<env::Attest>,
        (challenge, head): (&[u8], Option<AuditHead>),
    ) -> Result<Quote, Status> {
        let nonce = Nonce::new(challenge).map_err(|_| Status::Malformed)?;
        let body = QuoteBody {
            nonce,
            caller: permit.subject().0,
            device: *self.chain.device(),
            generation: self.active(),
            identity: self.active(),
            evidence: evidence(env, vault, head),
        };
        Quote::sign(&self.keys.attest, body).map_err(|_| Status::Internal)
    }

    /// Signs a checkpoint of the audit for the journal.
    pub(crate) fn seal(
        &self,
        vault: &Vault,
        permit: &Permit<env::SealCheckpoint>,
        checkpoint: (u64, [u8; 32]),
    ) -> Result<Seal, Status> {
        let who = (permit.subject().0, vault.floor.boot);
        Seal::sign(&self.keys.checkpoint, checkpoint, who, bringup::ENABLED)
            .map_err(|_| Status::Internal)
    }
}

/// What is known about this boot; what is not known is admitted in the flags.
fn evidence<E: Env>(env: &mut E, vault: &Vault, head: Option<AuditHead>) -> Evidence {
    let (measured, boot_id) = (env.measured(), env.boot_id());
    let admit = |admitted: bool, flag: Flags| if admitted { flag } else { Flags::NONE };
    let flags = Flags::NO_HARDWARE_ROOT
        .with(admit(bringup::ENABLED, Flags::DEVELOPMENT_KEY))
        .with(admit(bringup::ENABLED || boot_id == [0; 16], Flags::ENTROPY_UNPROVEN))
        .with(admit(!vault.durable, Flags::STORAGE_VOLATILE))
        .with(admit(vault.older, Flags::ROLLBACK_DETECTED))
        .with(admit(!measured.is_some_and(|m| m.complete), Flags::MEASUREMENTS_INCOMPLETE))
        .with(admit(measured.is_none(), Flags::POLICY_UNKNOWN))
        .with(admit(head.is_none(), Flags::AUDIT_UNKNOWN));
    let head = head.unwrap_or_default();
    Evidence {
        flags,
        boot: vault.floor.boot,
        resumes: 0,
        boot_id,
        images: measured.map_or(0, |m| m.images),
        measurements: measured.map_or([0; 32], |m| m.digest),
        policy: measured.map_or([0; 32], |m| m.policy),
        // The policy is the one the system started with; a later one is in the audit.
        policy_version: 0,
        audit_size: head.number,
        audit_head: head.digest,
        rollback_floor: vault.floor.identity.max(u64::from(vault.floor.boot)),
    }
}
