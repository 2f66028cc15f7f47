//! The root secret, the floor under every counter, and callers' counters. Guards that what cannot
//! be read is never replaced by something new, and that numbers which only grow only grow.

use nexus_keys::SecretSeed;
use nexus_wire::{
    keys::Status,
    state::{Change, Pair, VALUE_MAX},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::{
    env::{Env, StoreError},
    names,
};

const ROOT_MAGIC: [u8; 8] = *b"NXKSROT1";
const ROOT_CHECK: &str = "keystored 2026-11 check of the root secret v1";
const MAC_KEY: &str = "keystored 2026-11 tags of floors and counters v1";
const NAME_KEY: &str = "keystored 2026-11 names of secrets in the store v1";
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Magic, secret, check.
const ROOT: usize = 8 + 32 + TAG;

/// The numbers below which nothing may fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    /// Boots of this store.
    pub(crate) boot: u32,
    /// Generations below this one are revoked.
    pub(crate) revoked: u32,
    /// Counter of the identity's record; 0 while there is none.
    pub(crate) identity: u64,
    /// Uses of the service key that are accounted for.
    pub(crate) uses: u64,
    /// All callers' counters together.
    pub(crate) counters: u64,
    /// The store's own sequence when this boot began.
    pub(crate) sequence: u64,
}

impl Floor {
    const BODY: usize = 40;
    pub(crate) const BYTES: usize = Self::BODY + TAG;

    fn body(&self) -> [u8; Self::BODY] {
        let Floor { boot, revoked, identity, uses, counters, sequence } = *self;
        let first = u64::from(boot) | (u64::from(revoked) << 32);
        words([first, identity, uses, counters, sequence])
    }

    fn read(body: &[u8; Self::BODY]) -> Floor {
        let [first, identity, uses, counters, sequence] = unwords(body);
        let (boot, revoked) = (first as u32, (first >> 32) as u32);
        Floor { boot, revoked, identity, uses, counters, sequence }
    }
}

/// Little-endian words as bytes.
pub(crate) fn words<const W: usize, const B: usize>(words: [u64; W]) -> [u8; B] {
    let mut out = [0; B];
    let (chunks, _) = out.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    out
}

/// Inverse of [`words`].
pub(crate) fn unwords<const W: usize>(bytes: &[u8]) -> [u64; W] {
    let mut out = [0; W];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in out.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    out
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Status {
        match error {
            StoreError::Unavailable => Status::Unavailable,
            StoreError::Damaged => Status::Damaged,
            StoreError::Rollback => Status::Rollback,
            StoreError::Full => Status::Full,
        }
    }
}

/// What everything else is built on.
pub(crate) struct Vault {
    pub(crate) root: SecretSeed,
    mac: SecretSeed,
    names: SecretSeed,
    pub(crate) floor: Floor,
    pub(crate) durable: bool,
    /// The store's sequence was found below what it had been.
    pub(crate) older: bool,
    /// A change may have been made or not: what is in memory may no longer be what is stored.
    pub(crate) in_doubt: bool,
}

fn derived(root: &SecretSeed, context: &str) -> Result<SecretSeed, Status> {
    let mut key = root.expose(|secret| blake3::derive_key(context, secret));
    SecretSeed::take(&mut key).map_err(|_| Status::Internal)
}

fn root_check(secret: &[u8; 32]) -> [u8; TAG] {
    first(&blake3::derive_key(ROOT_CHECK, secret))
}

fn first(digest: &[u8; 32]) -> [u8; TAG] {
    digest.first_chunk().copied().unwrap_or_default()
}

impl Vault {
    /// Reads what is stored, or begins: only if the store says that there is nothing at all, and
    /// nothing was there earlier in this boot.
    ///
    /// # Errors
    /// Why neither was possible.
    pub(crate) fn attach<E: Env>(env: &mut E) -> Result<Vault, Status> {
        let standing = env.store_standing()?;
        let kept = env.kept_boot();
        // The disk of this boot is gone: nothing that stands in for it may begin another device.
        if kept != 0 && !standing.durable {
            return Err(Status::Rollback);
        }
        let mut vault = match read_root(env)? {
            Some(root) => Vault::over(root, standing.durable)?,
            None if kept != 0 => return Err(Status::Rollback),
            None => return Vault::begin(env, standing.durable, standing.sequence),
        };
        vault.floor = vault.read_floor(env)?;
        vault.older = standing.sequence < vault.floor.sequence;
        if kept == 0 {
            let boot = vault.floor.boot.checked_add(1).ok_or(Status::Limit)?;
            let sequence = standing.sequence.max(vault.floor.sequence);
            vault.commit(env, Floor { boot, sequence, ..vault.floor }, &[])?;
            vault.keep(env);
        } else if kept != vault.floor.boot {
            return Err(Status::Rollback);
        }
        Ok(vault)
    }

    fn over(root: SecretSeed, durable: bool) -> Result<Vault, Status> {
        let (mac, names) = (derived(&root, MAC_KEY)?, derived(&root, NAME_KEY)?);
        let floor = Floor::default();
        Ok(Vault { root, mac, names, floor, durable, older: false, in_doubt: false })
    }

    /// The first start of a store: root and floor come to be together.
    fn begin<E: Env>(env: &mut E, durable: bool, sequence: u64) -> Result<Vault, Status> {
        let mut any = false;
        env.store_list(b"", 1, &mut |_| any = true)?;
        if any {
            return Err(Status::Damaged);
        }
        let mut secret = [0; 32];
        env.seed(&mut secret).map_err(|_| Status::NoEntropy)?;
        let root = SecretSeed::take(&mut secret).map_err(|_| Status::NoEntropy)?;
        let mut record = root.expose(root_record);
        let mut vault = Vault::over(root, durable)?;
        let stored = match Pair::new(names::ROOT, &record) {
            Some(pair) => {
                let floor = Floor { boot: 1, sequence, ..Floor::default() };
                vault.commit(env, floor, &[Change::Put(pair)])
            }
            None => Err(Status::Internal),
        };
        record.zeroize();
        nexus_keys::scrub_stack();
        stored?;
        vault.keep(env);
        Ok(vault)
    }

    fn keep<E: Env>(&self, env: &mut E) {
        if self.durable {
            env.keep_boot(self.floor.boot);
        }
    }

    fn read_floor<E: Env>(&self, env: &mut E) -> Result<Floor, Status> {
        let body = self.tagged::<_, { Floor::BODY }>(env, names::FLOOR)?;
        Ok(Floor::read(&body.ok_or(Status::Damaged)?))
    }

    /// The body of a tagged record; `None` only if the store says there is none.
    pub(crate) fn tagged<E: Env, const B: usize>(
        &self,
        env: &mut E,
        name: &[u8],
    ) -> Result<Option<[u8; B]>, Status> {
        let mut value = [0; VALUE_MAX];
        let Some(len) = env.store_get(name, &mut value)? else { return Ok(None) };
        let record = value.get(..len).unwrap_or_default();
        let (body, tag) = record.split_first_chunk::<B>().ok_or(Status::Damaged)?;
        let same = self.tag(name, body).ct_eq(tag);
        if bool::from(same) { Ok(Some(*body)) } else { Err(Status::Damaged) }
    }

    /// The tag that belongs behind `body` under this name.
    pub(crate) fn tag(&self, name: &[u8], body: &[u8]) -> [u8; TAG] {
        let digest = self.mac.expose(|key| {
            let mut hasher = blake3::Hasher::new_keyed(key);
            hasher.update(&[name.len() as u8]).update(name).update(body).finalize()
        });
        first(digest.as_bytes())
    }

    /// What a caller's name for a secret is called in the store.
    pub(crate) fn slot_name(&self, owner: u64, name: &[u8]) -> [u8; 8] {
        let digest = self.names.expose(|key| {
            let mut hasher = blake3::Hasher::new_keyed(key);
            hasher.update(&owner.to_le_bytes()).update(name).finalize()
        });
        digest.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// Makes the changes and the new floor, all or none.
    ///
    /// # Errors
    /// Then the floor in memory is the one before; see [`Vault::in_doubt`].
    pub(crate) fn commit<E: Env>(
        &mut self,
        env: &mut E,
        floor: Floor,
        changes: &[Change<'_>],
    ) -> Result<(), Status> {
        const MORE: usize = 3;
        let body = floor.body();
        let mut record = [0; Floor::BYTES];
        let (front, back) = record.split_at_mut(Floor::BODY);
        front.copy_from_slice(&body);
        back.copy_from_slice(&self.tag(names::FLOOR, &body));
        let pair = Pair::new(names::FLOOR, &record).ok_or(Status::Internal)?;
        let mut all = [Change::Put(pair); MORE + 1];
        let places = all.get_mut(1..=changes.len()).ok_or(Status::Internal)?;
        places.copy_from_slice(changes);
        self.write(env, all.get(..=changes.len()).unwrap_or_default())?;
        self.floor = floor;
        Ok(())
    }

    /// Makes changes that leave the floor as it is.
    ///
    /// # Errors
    /// As [`Vault::commit`].
    pub(crate) fn write<E: Env>(
        &mut self,
        env: &mut E,
        changes: &[Change<'_>],
    ) -> Result<(), Status> {
        env.store_commit(changes).map_err(|error| {
            self.in_doubt |= error == StoreError::Unavailable;
            Status::from(error)
        })
    }
}

fn root_record(secret: &[u8; 32]) -> [u8; ROOT] {
    let mut record = [0; ROOT];
    let (magic, rest) = record.split_at_mut(ROOT_MAGIC.len());
    let (middle, check) = rest.split_at_mut(secret.len());
    magic.copy_from_slice(&ROOT_MAGIC);
    middle.copy_from_slice(secret);
    check.copy_from_slice(&root_check(secret));
    record
}

/// The root secret; `None` only if the store says there is none.
fn read_root<E: Env>(env: &mut E) -> Result<Option<SecretSeed>, Status> {
    let mut value = [0; VALUE_MAX];
    let Some(len) = env.store_get(names::ROOT, &mut value)? else { return Ok(None) };
    let root = parse_root(value.get(..len).unwrap_or_default());
    value.zeroize();
    root.map(Some)
}

fn parse_root(record: &[u8]) -> Result<SecretSeed, Status> {
    let (magic, rest) = record.split_first_chunk::<8>().ok_or(Status::Damaged)?;
    let (secret, check) = rest.split_first_chunk::<32>().ok_or(Status::Damaged)?;
    if *magic != ROOT_MAGIC || !bool::from(root_check(secret).ct_eq(check)) {
        return Err(Status::Damaged);
    }
    let mut secret = *secret;
    SecretSeed::take(&mut secret).map_err(|_| Status::Damaged)
}
