//! Callers' own secrets and counters. Guards that a name only ever means the sender's own, and
//! that an older value is not taken for the newest.

use nexus_keys::{
    Counter, Generation, Header, Moment, PAYLOAD_MAX, Purpose, Purposes, RECORD_MAX, Slot, Usage,
};
use nexus_wire::{
    keys::{Status, VALUE_MAX as SECRET_MAX},
    state::{Change, Pair, VALUE_MAX},
};
use zeroize::Zeroize as _;

use crate::{
    env::{Env, StoreError},
    names::{self, Name},
    vault::{Floor, TAG, Vault, unwords, words},
};

/// Secrets of one sender.
pub const SLOTS_PER_OWNER: usize = 6;
/// Secrets of all senders: two of the sixty keys the state store has for this service each.
pub const SLOTS_MAX: usize = 12;
/// Counters of one sender.
pub const COUNTERS: usize = 4;
/// Senders with counters.
pub const COUNTER_OWNERS: usize = 8;

const FLOOR_BODY: usize = 8;
const COUNTERS_BODY: usize = 8 * COUNTERS;
const SALT: usize = 32;

fn slot(owner: u64, name: &[u8]) -> Slot<'_> {
    Slot { owner, name, purposes: Purposes::only(Purpose::Seal) }
}

fn header(counter: Counter) -> Header {
    let usage = Usage::unlimited(Purposes::only(Purpose::Seal), Moment::default());
    let development = crate::bringup::ENABLED;
    Header { development, generation: Generation::FIRST, counter, usage }
}

/// Bytes behind their tag, for records too small for a seal of their own.
fn tagged<const B: usize, const R: usize>(vault: &Vault, name: &[u8], body: &[u8; B]) -> [u8; R] {
    let mut record = [0; R];
    for (place, byte) in record.iter_mut().zip(body.iter().chain(&vault.tag(name, body))) {
        *place = *byte;
    }
    record
}

/// Where a secret is stored, and the floor of its counter.
struct Place {
    record: Name,
    floor: Name,
}

impl Place {
    fn of(vault: &Vault, owner: u64, name: &[u8]) -> Place {
        let short = vault.slot_name(owner, name);
        Place { record: Name::slot(owner, short), floor: Name::slot_floor(owner, short) }
    }

    /// The counter under which the record may not be; `None` if there is no such secret.
    fn counter<E: Env>(&self, env: &mut E, vault: &Vault) -> Result<Option<Counter>, Status> {
        let body = vault.tagged::<_, FLOOR_BODY>(env, self.floor.as_bytes())?;
        Ok(body.map(|body| Counter(u64::from_le_bytes(body))))
    }
}

fn count<E: Env>(env: &mut E, prefix: &[u8], limit: usize) -> Result<usize, StoreError> {
    let mut found = 0usize;
    env.store_list(prefix, limit, &mut |_| found = found.saturating_add(1))?;
    Ok(found)
}

/// How many secrets are kept, for the status.
pub(crate) fn kept<E: Env>(env: &mut E) -> Result<u16, Status> {
    Ok(count(env, names::SLOTS, SLOTS_MAX)? as u16)
}

/// Keeps a secret.
pub(crate) fn put<E: Env>(
    env: &mut E,
    vault: &mut Vault,
    owner: u64,
    (name, secret): (&[u8], &[u8]),
) -> Result<(), Status> {
    let place = Place::of(vault, owner, name);
    let before = place.counter(env, vault)?;
    if before.is_none() {
        let own = count(env, Name::slots_of(owner).as_bytes(), SLOTS_PER_OWNER)?;
        if own >= SLOTS_PER_OWNER || count(env, names::SLOTS, SLOTS_MAX)? >= SLOTS_MAX {
            return Err(Status::Full);
        }
    }
    let counter = before.unwrap_or_default().next().map_err(|_| Status::Limit)?;
    let mut salt = [0; SALT];
    env.entropy(&mut salt).map_err(|_| Status::NoEntropy)?;
    let mut record = [0; RECORD_MAX];
    let (slot, header) = (slot(owner, name), header(counter));
    let sealed = nexus_keys::seal(&vault.root, &slot, &header, &salt, secret, &mut record);
    let len = sealed.map_err(|_| Status::Internal)?;
    let body = counter.0.to_le_bytes();
    let floor: [u8; FLOOR_BODY + TAG] = tagged(vault, place.floor.as_bytes(), &body);
    let record = record.get(..len).unwrap_or_default();
    let record = Pair::new(place.record.as_bytes(), record).ok_or(Status::Internal)?;
    let floor = Pair::new(place.floor.as_bytes(), &floor).ok_or(Status::Internal)?;
    vault.write(env, &[Change::Put(record), Change::Put(floor)])
}

/// A secret, for as long as it takes to answer.
pub(crate) struct Secret {
    bytes: [u8; PAYLOAD_MAX],
    len: usize,
}

impl Secret {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.min(SECRET_MAX)).unwrap_or_default()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The owner's secret of this name.
pub(crate) fn get<E: Env>(
    env: &mut E,
    vault: &Vault,
    owner: u64,
    name: &[u8],
) -> Result<Secret, Status> {
    let place = Place::of(vault, owner, name);
    let mut value = [0; VALUE_MAX];
    let stored = env.store_get(place.record.as_bytes(), &mut value)?;
    let (len, floor) = match (stored, place.counter(env, vault)?) {
        (Some(len), Some(floor)) => (len, floor),
        (None, None) => return Err(Status::NotFound),
        // The two are written together: one without the other is somebody else's work.
        _ => return Err(Status::Rollback),
    };
    let record = value.get(..len).unwrap_or_default();
    let mut secret = Secret { bytes: [0; PAYLOAD_MAX], len: 0 };
    let slot = slot(owner, name);
    let opened = nexus_keys::open(&vault.root, &slot, floor, record, &mut secret.bytes);
    secret.len = opened
        .map_err(|error| match error {
            nexus_keys::Error::Rollback => Status::Rollback,
            _ => Status::Damaged,
        })?
        .len;
    Ok(secret)
}

/// Forgets the owner's secret of this name.
pub(crate) fn del<E: Env>(
    env: &mut E,
    vault: &mut Vault,
    owner: u64,
    name: &[u8],
) -> Result<(), Status> {
    let place = Place::of(vault, owner, name);
    let mut value = [0; VALUE_MAX];
    let stored = env.store_get(place.record.as_bytes(), &mut value)?;
    // What is damaged can be forgotten too: whoever owns the name is not stuck with it.
    if stored.is_none() && place.counter(env, vault) == Ok(None) {
        return Err(Status::NotFound);
    }
    vault.write(env, &[Change::Del(place.record.as_bytes()), Change::Del(place.floor.as_bytes())])
}

/// Callers' counters, all of them: few, and the sum of all is in the floor.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    owners: [(u64, [u64; COUNTERS]); COUNTER_OWNERS],
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

impl Counters {
    /// Reads them; one that went back, or is gone, shows in the sum.
    pub(crate) fn load<E: Env>(env: &mut E, vault: &Vault) -> Result<Counters, Status> {
        let mut counters = Counters::default();
        let (mut at, mut whole) = (0usize, true);
        let owners = &mut counters.owners;
        env.store_list(names::COUNTERS, COUNTER_OWNERS, &mut |name| {
            match (names::owner_of_counters(name), owners.get_mut(at)) {
                (Some(owner), Some(place)) if owner != 0 => place.0 = owner,
                _ => whole = false,
            }
            at = at.saturating_add(1);
        })?;
        for (owner, values) in counters.owners.iter_mut().filter(|(owner, _)| *owner != 0) {
            let name = Name::counters(*owner);
            let body = vault.tagged::<_, COUNTERS_BODY>(env, name.as_bytes())?;
            *values = unwords(&body.ok_or(Status::Damaged)?);
        }
        let total = sum(counters.owners.iter().flat_map(|(_, values)| values.iter().copied()));
        if !whole {
            Err(Status::Damaged)
        } else if total == vault.floor.counters {
            Ok(counters)
        } else {
            Err(Status::Rollback)
        }
    }

    /// What the owner's counter stands at.
    pub(crate) fn read(&self, owner: u64, counter: u8) -> Result<u64, Status> {
        let values = self.owners.iter().find(|(id, _)| *id == owner).map(|(_, values)| values);
        let value = values.unwrap_or(&[0; COUNTERS]).get(usize::from(counter));
        value.copied().ok_or(Status::NotFound)
    }

    /// Moves the owner's counter up by `by`, at least 1; stored before it is told.
    pub(crate) fn increment<E: Env>(
        &mut self,
        env: &mut E,
        vault: &mut Vault,
        owner: u64,
        (counter, by): (u8, u32),
    ) -> Result<u64, Status> {
        let value = self.read(owner, counter)?;
        let by = u64::from(by);
        let value = value.checked_add(by).filter(|_| by > 0).ok_or(Status::Limit)?;
        let mine = self.owners.iter().position(|(id, _)| *id == owner);
        let at = mine.or_else(|| self.owners.iter().position(|(id, _)| *id == 0));
        let (id, values) = at.and_then(|at| self.owners.get_mut(at)).ok_or(Status::Full)?;
        let mut next = *values;
        *next.get_mut(usize::from(counter)).ok_or(Status::NotFound)? = value;
        let total = vault.floor.counters.wrapping_add(by);
        let name = Name::counters(owner);
        let body: [u8; COUNTERS_BODY] = words(next);
        let record: [u8; COUNTERS_BODY + TAG] = tagged(vault, name.as_bytes(), &body);
        let pair = Pair::new(name.as_bytes(), &record).ok_or(Status::Internal)?;
        vault.commit(env, Floor { counters: total, ..vault.floor }, &[Change::Put(pair)])?;
        (*id, *values) = (owner, next);
        Ok(value)
    }
}
