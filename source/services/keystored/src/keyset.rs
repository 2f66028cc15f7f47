//! The private keys of one generation, and the one sealed record they are stored in.

use nexus_keys::{
    Counter, Generation, Header, Moment, PAYLOAD_MAX, Purpose, Purposes, RECORD_MAX, SecretSeed,
    SigningKey, Slot, Usage, Window,
};
use nexus_wire::keys::Status;
use zeroize::Zeroize as _;

use crate::{bringup, env::Env, vault::Vault};

/// Identity, next identity, service, attestation, checkpoints.
const SEEDS: usize = 5;
const SEED_BYTES: usize = SEEDS * 32;
/// Behind the seeds: boot and time of making, most uses, most boots.
const PAYLOAD: usize = SEED_BYTES + 24;
/// In the record's header: whose it is. The same for a prepared and an active record, so that
/// activating one is moving its bytes.
const RECORD: Slot<'static> =
    Slot { owner: 0, name: b"keystored identity", purposes: Purposes::IDENTITY };

/// What was bound to the service key when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Most signatures; 0 is without bound.
    pub(crate) max_uses: u64,
    /// Most further boots; 0 is without bound.
    pub(crate) max_boots: u32,
}

/// One generation's keys.
pub(crate) struct KeySet {
    pub(crate) identity: SigningKey,
    /// The coming identity, committed to already.
    pub(crate) next: SecretSeed,
    pub(crate) service: SigningKey,
    pub(crate) attest: SigningKey,
    pub(crate) checkpoint: SigningKey,
    pub(crate) made: Moment,
    pub(crate) bounds: Bounds,
    /// Counter of its record.
    pub(crate) counter: Counter,
}

/// The sealed record of a generation that is to be.
pub(crate) struct Sealed {
    bytes: [u8; RECORD_MAX],
    len: usize,
}

impl Sealed {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a new generation is made of besides entropy.
pub(crate) struct Making<'s> {
    pub(crate) generation: Generation,
    pub(crate) counter: Counter,
    pub(crate) made: Moment,
    pub(crate) bounds: Bounds,
    /// The identity committed to before; `None` for the first generation.
    pub(crate) identity: Option<&'s SecretSeed>,
}

/// Erases itself.
struct Payload([u8; PAYLOAD_MAX]);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Draws the keys of a generation and seals them; nothing is stored and nothing is told.
pub(crate) fn draw<E: Env>(
    env: &mut E,
    vault: &Vault,
    making: &Making<'_>,
) -> Result<(KeySet, Sealed), Status> {
    let mut payload = Payload([0; PAYLOAD_MAX]);
    let mut salt = [0; 32];
    fill(env, making, &mut payload, &mut salt)?;
    let header = header(making);
    let mut sealed = Sealed { bytes: [0; RECORD_MAX], len: 0 };
    let body = payload.0.get(..PAYLOAD).ok_or(Status::Internal)?;
    let done = nexus_keys::seal(&vault.root, &RECORD, &header, &salt, body, &mut sealed.bytes);
    sealed.len = done.map_err(|_| Status::Internal)?;
    let keys = parse(&mut payload, &header).map_err(|_| Status::NoEntropy)?;
    // A source that repeats itself would make one key of several.
    let public =
        [&keys.identity, &keys.service, &keys.attest, &keys.checkpoint].map(|k| k.public());
    let repeats =
        public.iter().enumerate().any(|(at, key)| public.iter().take(at).any(|k| k == key));
    if repeats { Err(Status::NoEntropy) } else { Ok((keys, sealed)) }
}

/// Fresh seeds, in one request; the identity is the one committed to, if there is one.
fn fill<E: Env>(
    env: &mut E,
    making: &Making<'_>,
    payload: &mut Payload,
    salt: &mut [u8; 32],
) -> Result<(), Status> {
    let seeds = payload.0.get_mut(..SEED_BYTES).ok_or(Status::Internal)?;
    if bringup::ENABLED {
        nexus_keys::development_seeds(making.generation, seeds);
    } else {
        env.seed(seeds).map_err(|_| Status::NoEntropy)?;
    }
    env.seed(salt).map_err(|_| Status::NoEntropy)?;
    if let (Some(seed), Some(first)) = (making.identity, seeds.first_chunk_mut::<32>()) {
        seed.expose(|bytes| *first = *bytes);
    }
    let mut behind = [0; 24];
    let boots = u64::from(making.made.boot) | (u64::from(making.bounds.max_boots) << 32);
    let numbers = [boots, making.made.ns, making.bounds.max_uses];
    behind.copy_from_slice(&crate::vault::words::<3, 24>(numbers));
    let place = payload.0.get_mut(SEED_BYTES..PAYLOAD).ok_or(Status::Internal)?;
    place.copy_from_slice(&behind);
    Ok(())
}

fn header(making: &Making<'_>) -> Header {
    Header {
        development: bringup::ENABLED,
        generation: making.generation,
        counter: making.counter,
        usage: Usage::unlimited(Purposes::IDENTITY, making.made),
    }
}

/// Opens a stored record whose counter is at least `floor`.
pub(crate) fn open(vault: &Vault, floor: Counter, record: &[u8]) -> Result<KeySet, Status> {
    let mut payload = Payload([0; PAYLOAD_MAX]);
    let opened = nexus_keys::open(&vault.root, &RECORD, floor, record, &mut payload.0);
    let opened = opened.map_err(|error| match error {
        nexus_keys::Error::Rollback => Status::Rollback,
        _ => Status::Damaged,
    })?;
    // A development identity is none of a real build, and the other way round.
    if opened.len != PAYLOAD || opened.header.development != bringup::ENABLED {
        return Err(Status::Damaged);
    }
    parse(&mut payload, &opened.header)
}

fn parse(payload: &mut Payload, header: &Header) -> Result<KeySet, Status> {
    let body = payload.0.get_mut(..PAYLOAD).ok_or(Status::Damaged)?;
    let (seeds, behind) = body.split_at_mut(SEED_BYTES);
    let [boots, ns, max_uses] = crate::vault::unwords(behind);
    let bounds = Bounds { max_uses, max_boots: (boots >> 32) as u32 };
    let (seeds, _) = seeds.as_chunks_mut::<32>();
    let [identity, next, service, attest, checkpoint] = seeds else {
        return Err(Status::Damaged);
    };
    let generation = header.generation;
    Ok(KeySet {
        identity: key(identity, Purposes::IDENTITY, generation)?,
        next: SecretSeed::take(next).map_err(|_| Status::Damaged)?,
        service: key(service, Purposes::only(Purpose::Service), generation)?,
        attest: key(attest, Purposes::only(Purpose::Attest), generation)?,
        checkpoint: key(checkpoint, Purposes::only(Purpose::Checkpoint), generation)?,
        made: Moment { boot: boots as u32, ns },
        bounds,
        counter: header.counter,
    })
}

fn key(
    seed: &mut [u8; 32],
    purposes: Purposes,
    generation: Generation,
) -> Result<SigningKey, Status> {
    let seed = SecretSeed::take(seed).map_err(|_| Status::Damaged)?;
    SigningKey::new(&seed, purposes, generation).map_err(|_| Status::Damaged)
}

impl KeySet {
    pub(crate) const fn generation(&self) -> Generation {
        self.identity.generation()
    }

    /// The key of a purpose that has one of its own.
    pub(crate) fn of(&self, purpose: Purpose) -> Option<&SigningKey> {
        match purpose {
            Purpose::Service => Some(&self.service),
            Purpose::Attest => Some(&self.attest),
            Purpose::Checkpoint => Some(&self.checkpoint),
            _ => None,
        }
    }

    /// What a key may do: fixed when it was made.
    pub(crate) fn usage(&self, purpose: Purpose) -> Usage {
        let mut usage = Usage::unlimited(Purposes::only(purpose), self.made);
        let Bounds { max_uses, max_boots } = self.bounds;
        if purpose == Purpose::Service {
            if max_uses > 0 {
                usage.uses = max_uses;
            }
            if max_boots > 0 {
                usage.window = Window { boots: max_boots, ..usage.window };
            }
        }
        usage
    }
}
