//! The state machine: whose key, whether he may, what the store says. Guards that the namespace
//! is the kernel-stamped sender and nothing a frame says, and that policyd is asked first.

use nexus_abi::Sender;
use nexus_service::{
    Incoming, Outgoing, Service,
    permit::{Permit, authorize},
};
use nexus_state::{Batch, BlockDevice, Durability, Error, Quota, Store, limits};
use nexus_wire::{
    FRAME_MAX, Status as Common,
    state::{
        self, Change, KeysBuilder, Listing, Op, Reply, Request, State, Status, Value, check_key,
        check_value,
    },
};

use crate::env::{Env, ReadState, WriteState};

/// What each service may hold.
pub const QUOTA: Quota = Quota { entries: 60, bytes: 24 * 1024 };
/// Services that may write: all of them at their quota are what the store has room for, so none
/// can take another's share. The policy's test counts them.
pub const WRITERS_MAX: usize = limits::ENTRIES_MAX / QUOTA.entries as usize;
/// Most keys of one page, whatever is asked for.
pub const LIST_MAX: u16 = 256;

type Refused = Status;
type Frame = [u8; FRAME_MAX];

// What a frame can carry is what the store takes.
const _: () = assert!(
    state::KEY_MAX == limits::KEY_MAX_BYTES
        && state::VALUE_MAX == limits::VALUE_MAX_BYTES
        && state::BATCH_MAX == limits::BATCH_MAX_OPS
);

/// The state service.
#[derive(Debug, Default)]
pub struct Statefsd {
    /// A failure was told.
    told: bool,
}

impl Statefsd {
    fn answer<'m, E: Env<'m>>(
        &mut self,
        request: &Request<'_>,
        sender: Sender,
        reply: &mut Frame,
        env: &mut E,
    ) -> Result<usize, Refused> {
        match request.op {
            Op::Get { .. } | Op::List { .. } | Op::ListAfter { .. } | Op::Status {} => {
                let permit = allowed(authorize(env, sender, ReadState))?;
                self.read(request, &permit, reply, env)
            }
            Op::Put { .. } | Op::Del { .. } | Op::Batch { .. } | Op::Sync {} => {
                let permit = allowed(authorize(env, sender, WriteState))?;
                let body = self.change(&request.op, &permit, env)?;
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
        }
    }

    fn read<'m, E: Env<'m>>(
        &mut self,
        request: &Request<'_>,
        permit: &Permit<ReadState>,
        reply: &mut Frame,
        env: &mut E,
    ) -> Result<usize, Refused> {
        let space = permit.subject().0;
        let store = match (env.store(), request.op) {
            (Err(state), Op::Status {}) => {
                return Ok(request.answer(Status::Ok, nothing(state)).encode(reply));
            }
            (found, _) => mounted(found)?,
        };
        match request.op {
            Op::Get { key } => {
                check_key(key.as_bytes())?;
                let mut bytes = [0; limits::VALUE_MAX_BYTES];
                match store.get(space, key.as_bytes(), &mut bytes) {
                    Ok(value) => {
                        let value = value.ok_or(Status::NotFound)?;
                        let value = Value::new(value).ok_or(Status::Integrity)?;
                        Ok(request.answer(Status::Ok, Reply::Get { value }).encode(reply))
                    }
                    Err(error) => Err(self.refusal(error, env)),
                }
            }
            Op::List { listing } => {
                let mut scratch = [0; FRAME_MAX];
                let keys = page(store, space, (&listing, &[]), &mut scratch).finish();
                Ok(request.answer(Status::Ok, Reply::List { keys }).encode(reply))
            }
            Op::ListAfter { after, listing } => {
                let mut scratch = [0; FRAME_MAX];
                let keys = page(store, space, (&listing, after.as_bytes()), &mut scratch).finish();
                Ok(request.answer(Status::Ok, Reply::ListAfter { keys }).encode(reply))
            }
            Op::Status {} => Ok(request.answer(Status::Ok, standing(store, space)).encode(reply)),
            _ => Err(Status::Unsupported),
        }
    }

    fn change<'m, E: Env<'m>>(
        &mut self,
        op: &Op<'_>,
        permit: &Permit<WriteState>,
        env: &mut E,
    ) -> Result<Reply<'static>, Refused> {
        let space = permit.subject().0;
        let store = mounted(env.store())?;
        let mut batch = Batch::new();
        let done = match op {
            Op::Sync {} => return synced(store).map(|()| Reply::Sync {}),
            Op::Put { pair } => {
                add(&mut batch, space, &Change::Put(*pair))?;
                Reply::Put {}
            }
            Op::Del { key } => {
                add(&mut batch, space, &Change::Del(key.as_bytes()))?;
                if !holds(store, space, key.as_bytes()) {
                    return Err(Status::NotFound);
                }
                Reply::Del {}
            }
            Op::Batch { batch: asked } => {
                asked.iter().try_for_each(|change| add(&mut batch, space, &change))?;
                if batch.is_empty() {
                    return Err(Status::Malformed);
                }
                Reply::Batch {}
            }
            _ => return Err(Status::Unsupported),
        };
        match store.commit(&batch) {
            Ok(sequence) => {
                env.acknowledged(sequence);
                Ok(done)
            }
            Err(error) => Err(self.refusal(error, env)),
        }
    }

    /// The status; the first failure is also told to whoever watches the machine.
    fn refusal<'m, E: Env<'m>>(&mut self, error: Error, env: &mut E) -> Refused {
        let grave = matches!(error, Error::Io(_) | Error::Poisoned | Error::Damaged { .. });
        if grave && !self.told {
            self.told = true;
            env.failed(error);
        }
        status(error)
    }
}

impl<'m, E: Env<'m>> Service<E> for Statefsd {
    // Sealed secrets pass, and the key store's root secret.
    const WIPES: bool = true;

    fn handle(&mut self, call: &Incoming<'_>, reply: &mut Frame, env: &mut E) -> Outgoing {
        let len = match Request::decode(call.frame) {
            Ok(request) => match self.answer(&request, call.sender, reply, env) {
                Ok(len) => len,
                Err(status) => request.respond(status).encode(reply),
            },
            Err(refusal) => refusal.encode(reply),
        };
        Outgoing::bytes(len)
    }
}

fn mounted<T>(store: Result<T, State>) -> Result<T, Refused> {
    store.map_err(|state| match state {
        State::Refused => Status::Integrity,
        _ => Status::Unavailable,
    })
}

/// Adds a change to the sender's own part.
fn add<'f>(batch: &mut Batch<'f>, space: u64, change: &Change<'f>) -> Result<(), Refused> {
    check_key(change.key())?;
    let added = match change {
        Change::Put(pair) => {
            check_value(pair.value())?;
            batch.put(space, pair.key(), pair.value())
        }
        Change::Del(key) => batch.delete(space, key),
    };
    added.map_err(status)
}

/// Of all keys that begin with `key`, the key itself is the first.
fn holds<D: BlockDevice>(store: &Store<'_, D>, space: u64, key: &[u8]) -> bool {
    store.list(space, key, &[]).next().is_some_and(|entry| entry.key.as_bytes() == key)
}

/// What was acknowledged is durable; what can still be said is whether there is more to come.
fn synced<D: BlockDevice>(store: &Store<'_, D>) -> Result<(), Refused> {
    let found = store.status();
    match (found.poisoned, found.durability) {
        (true, _) => Err(Status::Io),
        (false, Durability::ReadOnly) => Err(Status::ReadOnly),
        (false, _) => Ok(()),
    }
}

fn page<'b, D: BlockDevice>(
    store: &Store<'_, D>,
    space: u64,
    (listing, after): (&Listing<'_>, &[u8]),
    scratch: &'b mut Frame,
) -> KeysBuilder<'b> {
    let mut keys = KeysBuilder::new(scratch);
    let most = usize::from(listing.limit.clamp(1, LIST_MAX));
    for entry in store.list(space, listing.prefix.as_bytes(), after).take(most) {
        if !keys.push(entry.key.as_bytes()) {
            break;
        }
    }
    keys
}

fn standing<D: BlockDevice>(store: &Store<'_, D>, space: u64) -> Reply<'static> {
    let found = store.status();
    let (usage, quota) = store.usage(space);
    let state = match (found.poisoned, found.durability) {
        (true, _) => State::Poisoned,
        (false, Durability::Flush) => State::Durable,
        (false, Durability::WriteThrough) => State::WriteThrough,
        (false, Durability::ReadOnly) => State::ReadOnly,
        (false, Durability::Volatile) => State::Volatile,
    };
    let (low, high) = found.id.split_at(8);
    let half = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    Reply::Status {
        state,
        boots: found.boots.into(),
        sequence: found.sequence,
        used: usage.bytes,
        quota: quota.bytes,
        keys: usage.entries,
        keys_max: quota.entries,
        store_low: half(low),
        store_high: half(high),
    }
}

/// The standing without a store.
const fn nothing(state: State) -> Reply<'static> {
    Reply::Status {
        state,
        boots: 0,
        sequence: 0,
        used: 0,
        quota: 0,
        keys: 0,
        keys_max: 0,
        store_low: 0,
        store_high: 0,
    }
}

/// A denial is policyd's word; anything else means that nobody could be asked.
fn allowed<P>(outcome: Result<P, Common>) -> Result<P, Refused> {
    outcome.map_err(|status| match status {
        Common::Denied => Status::Denied,
        _ => Status::Unavailable,
    })
}

/// What the store says, in the words of the protocol.
const fn status(error: Error) -> Status {
    use nexus_state::KeyFault;
    match error {
        Error::Key(KeyFault::TooLong) => Status::KeyTooLong,
        Error::Key(_) => Status::InvalidKey,
        Error::ValueTooLong => Status::ValueTooLarge,
        Error::BatchFull | Error::BatchRepeats => Status::BatchLimit,
        Error::Quota => Status::Quota,
        Error::Full | Error::Exhausted => Status::Full,
        Error::ReadOnly => Status::ReadOnly,
        Error::Io(_) | Error::Poisoned => Status::Io,
        Error::Rollback { .. } => Status::Rollback,
        Error::Damaged { .. } | Error::Foreign => Status::Integrity,
        _ => Status::Unavailable,
    }
}
