//! Talking to logd.

use nexus_abi::Sys;
use nexus_wire::{
    Bytes,
    audit::{ChainPage, Decision, Op as AuditOp, Page},
    log::{Entries, Entry, Op, Protocol, Reply, Status},
};

use crate::{
    CallError, Connection, Deadline,
    connection::{Spoken, body},
};

impl Spoken for Protocol {
    const VERSION: u8 = 2;
}

/// Why a journal call has no result.
pub type LogError = CallError<Status>;

/// Where an entry went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its id.
    pub record_id: u64,
    /// Entries dropped so far to make room.
    pub dropped: u64,
}

/// One page of entries, in the message frame.
#[derive(Clone, Copy, Debug)]
pub struct EntryPage<'s> {
    /// Entries ever stored.
    pub total: u64,
    /// Entries dropped so far.
    pub dropped: u64,
    /// The entries.
    pub entries: Entries<'s>,
}

/// How full the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Entries ever stored.
    pub total: u64,
    /// Entries dropped so far.
    pub dropped: u64,
    /// Most entries.
    pub cap_records: u32,
    /// Most bytes.
    pub cap_bytes: u32,
    /// Entries held.
    pub used_records: u32,
    /// Bytes held.
    pub used_bytes: u32,
}

/// Which audit records to read; the default matches all.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter {
    /// From this sequence number on.
    pub since_seq: u64,
    /// About this subject, unless 0.
    pub subject: u64,
    /// Of this operation.
    pub op: Option<AuditOp>,
    /// With this decision.
    pub decision: Option<Decision>,
    /// Of the request with this nonce, unless 0.
    pub nonce: u32,
}

/// Which audit records to look for; the default matches all, an upper bound of 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditSearch<'c> {
    /// Subject, operation, decision, nonce, and the cursor.
    pub filter: AuditFilter,
    /// Up to and with this number.
    pub until_seq: u64,
    /// Written from this time on.
    pub since_ns: u64,
    /// Written up to and with this time.
    pub until_ns: u64,
    /// Enforced by this service, unless 0.
    pub enforcer: u64,
    /// About this capability, or those that begin like it if it ends in `*`; unless empty.
    pub capability: &'c [u8],
}

/// One page of a search, in the message frame.
#[derive(Clone, Copy, Debug)]
pub struct AuditFound<'s> {
    /// The cursor: where the next page starts.
    pub next_seq: u64,
    /// Whether records were dropped between the cursor and this page.
    pub overtaken: bool,
    /// The records.
    pub records: Page<'s>,
}

/// One page of chained records, in the message frame.
#[derive(Clone, Copy, Debug)]
pub struct AuditChained<'s> {
    /// The cursor: where the next page starts.
    pub next_seq: u64,
    /// Whether records were dropped between the cursor and this page.
    pub overtaken: bool,
    /// The records.
    pub records: ChainPage<'s>,
}

/// One page of audit records, in the message frame.
#[derive(Clone, Copy, Debug)]
pub struct AuditPage<'s> {
    /// Where the next page starts.
    pub next_seq: u64,
    /// The records.
    pub records: Page<'s>,
}

/// What became of the audit records produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditStats {
    /// Records policyd and other enforcers produced; `stored + lost` when it is quiet.
    pub produced: u64,
    /// Records that reached logd.
    pub stored: u64,
    /// Records that found the lane full.
    pub lost: u64,
    /// Stored records that made room for newer ones.
    pub evicted: u64,
    /// Stored records still held.
    pub retained: u64,
    /// Events the kernel produced.
    pub kernel_produced: u64,
    /// Events that reached logd.
    pub kernel_stored: u64,
    /// Events the kernel's ring dropped.
    pub kernel_lost: u64,
}

/// What became of the records of one enforcer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSource {
    /// Whose lane it is.
    pub producer: u64,
    /// Records produced; `stored + lost` when it is quiet.
    pub produced: u64,
    /// Records that reached logd.
    pub stored: u64,
    /// Records that did not.
    pub lost: u64,
}

/// A connection to logd.
pub type Client = Connection<Protocol>;

impl Client {
    /// Stores an entry under the caller's kernel-stamped id.
    ///
    /// # Errors
    /// [`LogError`]; then nothing was stored, unless the transport failed.
    pub fn append<S: Sys>(
        &mut self,
        sys: &mut S,
        entry: Entry<'_>,
        deadline: Deadline,
    ) -> Result<Appended, LogError> {
        let reply = self.ask(sys, Op::Append { entry }, deadline)?;
        body!(reply, Reply::Append { record_id, dropped } => Appended { record_id, dropped })
    }

    /// Entries from `since_ns` on, oldest first; continue with the last time plus one.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn query<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        since_ns: u64,
        max_count: u16,
        deadline: Deadline,
    ) -> Result<EntryPage<'s>, LogError> {
        let reply = self.ask(sys, Op::Query { since_ns, max_count }, deadline)?;
        body!(reply, Reply::Query { total, dropped, entries } => {
            EntryPage { total, dropped, entries }
        })
    }

    /// How full the journal is.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn stats<S: Sys>(&mut self, sys: &mut S, deadline: Deadline) -> Result<Stats, LogError> {
        let reply = self.ask(sys, Op::Stats {}, deadline)?;
        body!(reply, Reply::Stats {
            total, dropped, cap_records, cap_bytes, used_records, used_bytes
        } => {
            Stats { total, dropped, cap_records, cap_bytes, used_records, used_bytes }
        })
    }

    /// One page of at most `max` matching audit records; continue at `next_seq`.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_query<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        filter: &AuditFilter,
        max: u8,
        deadline: Deadline,
    ) -> Result<AuditPage<'s>, LogError> {
        let op = Op::AuditQuery {
            since_seq: filter.since_seq,
            subject: filter.subject,
            op: filter.op.map_or(0, AuditOp::code),
            decision: filter.decision.map_or(0, Decision::code),
            request_nonce: filter.nonce,
            max,
        };
        let reply = self.ask(sys, op, deadline)?;
        body!(reply, Reply::AuditQuery { next_seq, page } => AuditPage { next_seq, records: page })
    }

    /// One page of at most `max` audit records that match; continue at `next_seq`.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_search<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        search: &AuditSearch<'_>,
        max: u8,
        deadline: Deadline,
    ) -> Result<AuditFound<'s>, LogError> {
        let AuditSearch { filter, until_seq, since_ns, until_ns, enforcer, capability } = *search;
        let op = Op::AuditSearch {
            since_seq: filter.since_seq,
            until_seq,
            since_ns,
            until_ns,
            subject: filter.subject,
            enforcer,
            op: filter.op.map_or(0, AuditOp::code),
            decision: filter.decision.map_or(0, Decision::code),
            request_nonce: filter.nonce,
            max,
            capability: Bytes::new(capability).ok_or(CallError::Argument)?,
        };
        let reply = self.ask(sys, op, deadline)?;
        body!(reply, Reply::AuditSearch { next_seq, overtaken, page } => {
            AuditFound { next_seq, overtaken: overtaken != 0, records: page }
        })
    }

    /// The bytes of the checkpoint with this number; 0 is the newest, made now if there are
    /// newer records.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_checkpoint<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        number: u64,
        deadline: Deadline,
    ) -> Result<&'s [u8], LogError> {
        let reply = self.ask(sys, Op::AuditCheckpoint { number }, deadline)?;
        body!(reply, Reply::AuditCheckpoint { checkpoint } => checkpoint.as_bytes())
    }

    /// One page of at most `max` records with their places in the chains; continue at `next_seq`.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_chain<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        since_seq: u64,
        max: u8,
        deadline: Deadline,
    ) -> Result<AuditChained<'s>, LogError> {
        let reply = self.ask(sys, Op::AuditChain { since_seq, max }, deadline)?;
        body!(reply, Reply::AuditChain { next_seq, overtaken, page } => {
            AuditChained { next_seq, overtaken: overtaken != 0, records: page }
        })
    }

    /// Accounts of the `index`-th lane into the journal; `None` beyond the last.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_source<S: Sys>(
        &mut self,
        sys: &mut S,
        index: u8,
        deadline: Deadline,
    ) -> Result<Option<AuditSource>, LogError> {
        match self.ask(sys, Op::AuditSource { index }, deadline)? {
            Reply::AuditSource { producer: 0, .. } => Ok(None),
            Reply::AuditSource { producer, produced, stored, lost } => {
                Ok(Some(AuditSource { producer, produced, stored, lost }))
            }
            _ => Err(CallError::Protocol),
        }
    }

    /// What became of the audit records produced.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn audit_stats<S: Sys>(
        &mut self,
        sys: &mut S,
        deadline: Deadline,
    ) -> Result<AuditStats, LogError> {
        let reply = self.ask(sys, Op::AuditStats {}, deadline)?;
        body!(reply, Reply::AuditStats {
            produced, stored, lost, evicted, retained, kernel_produced, kernel_stored, kernel_lost
        } => {
            AuditStats {
                produced, stored, lost, evicted, retained, kernel_produced, kernel_stored,
                kernel_lost,
            }
        })
    }
}
