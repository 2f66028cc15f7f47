//! Talking to statefsd.

use nexus_abi::Sys;
use nexus_wire::{
    Bytes, FRAME_MAX,
    state::{BatchBuilder, Change, Keys, Listing, Op, Pair, Protocol, Reply, State, Status},
};

use crate::{
    CallError, Connection, Deadline,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 2;
}

/// Why a state call has no result. After [`CallError::Ipc`] and [`CallError::Protocol`] a change
/// may have been made or not: ask for the key. So too after [`Status::Io`], when the store is
/// mounted again; after any other refusal it was not made.
pub type StateError = CallError<Status>;

/// What the store is good for, and the caller's share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is good for.
    pub state: State,
    /// How often the store was mounted, this time included; 0 without a store.
    pub boots: u64,
    /// Grows with every change anybody makes.
    pub sequence: u64,
    /// Bytes of the caller's share that are used.
    pub used: u32,
    /// The caller's share in bytes.
    pub quota: u32,
    /// Keys of the caller.
    pub keys: u32,
    /// Most keys of the caller.
    pub keys_max: u32,
    /// The store's id.
    pub store: [u64; 2],
}

impl Standing {
    /// Whether an OK to a change means that it outlives a power cut.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        matches!(self.state, State::Durable | State::WriteThrough)
    }
}

/// A connection to statefsd.
pub type Client = Connection<Protocol>;

impl Client {
    /// Sets the value of a key; durable when this returns.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put<S: Sys>(
        &mut self,
        sys: &mut S,
        key: &[u8],
        value: &[u8],
        deadline: Deadline,
    ) -> Result<(), StateError> {
        let pair = Pair::new(key, value).ok_or(CallError::Argument)?;
        self.ask(sys, Op::Put { pair }, deadline).map(|_| ())
    }

    /// The value of a key, in the message frame; `None` if the caller has no such key.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn get<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        key: &[u8],
        deadline: Deadline,
    ) -> Result<Option<&'s [u8]>, StateError> {
        let key = Bytes::new(key).ok_or(CallError::Argument)?;
        match self.ask(sys, Op::Get { key }, deadline) {
            Ok(Reply::Get { value }) => Ok(Some(value.as_bytes())),
            Ok(_) => Err(CallError::Protocol),
            Err(CallError::Refused(Status::NotFound)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a key; whether there was one. Durable when this returns.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn del<S: Sys>(
        &mut self,
        sys: &mut S,
        key: &[u8],
        deadline: Deadline,
    ) -> Result<bool, StateError> {
        let key = Bytes::new(key).ok_or(CallError::Argument)?;
        match self.ask(sys, Op::Del { key }, deadline) {
            Ok(_) => Ok(true),
            Err(CallError::Refused(Status::NotFound)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes all the changes, or none; durable when this returns. At most
    /// [`nexus_wire::state::BATCH_MAX`], each key once.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn batch<S: Sys>(
        &mut self,
        sys: &mut S,
        changes: &[Change<'_>],
        deadline: Deadline,
    ) -> Result<(), StateError> {
        let mut scratch = [0; FRAME_MAX];
        let mut batch = BatchBuilder::new(&mut scratch);
        if !changes.iter().all(|change| batch.push(change)) {
            return Err(CallError::Argument);
        }
        self.ask(sys, Op::Batch { batch: batch.finish() }, deadline).map(|_| ())
    }

    /// The caller's keys that begin with `prefix` and come behind `after`, in order: the first
    /// `limit` of them, or as many as fit; in the message frame. Empty arguments exclude nothing.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn list<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        (prefix, after): (&[u8], &[u8]),
        limit: u16,
        deadline: Deadline,
    ) -> Result<Keys<'s>, StateError> {
        let prefix = Bytes::new(prefix).ok_or(CallError::Argument)?;
        let after = Bytes::new(after).ok_or(CallError::Argument)?;
        let op = Op::ListAfter { after, listing: Listing { limit, prefix } };
        let reply = self.ask(sys, op, deadline)?;
        body!(reply, Reply::ListAfter { keys } => keys)
    }

    /// Whether everything acknowledged is durable: it is, unless this fails.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn sync<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<(), StateError> {
        self.ask(sys, Op::Sync {}, deadline).map(|_| ())
    }

    /// What the store is good for.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn status<S: Sys>(
        &mut self,
        sys: &mut S,
        deadline: Deadline,
    ) -> Result<Standing, StateError> {
        let reply = self.ask(sys, Op::Status {}, deadline)?;
        body!(reply, Reply::Status {
            state, boots, sequence, used, quota, keys, keys_max, store_low, store_high
        } => {
            let store = [store_low, store_high];
            Standing { state, boots, sequence, used, quota, keys, keys_max, store }
        })
    }
}
