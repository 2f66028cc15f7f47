//! The journal: the existing `LO` frames of versions 1 and 2, and two new operations.
//!
//! Deviations: an entry carries at most [`ENTRY_DATA_MAX`] bytes of text, so that everything
//! stored can be read back in one frame; statuses 7 and 8 are new; operations 4 to 9 read the
//! audit.

use crate::{
    Bytes, Zero,
    audit::{ChainPage, Page, Record},
    split,
    status::status_set,
};

/// Longest scope of an entry, in bytes.
pub const SCOPE_MAX: usize = 64;
/// Longest message of an entry, in bytes.
pub const MESSAGE_MAX: usize = 256;
/// Longest fields of an entry, in bytes.
pub const FIELDS_MAX: usize = 512;
/// Bytes before the texts in a stored entry.
const STORED_HEAD: usize = 30;
/// Bytes before the first entry in a version 2 query reply.
const QUERY_HEAD: usize = 31;
/// Longest scope, message and fields together: what a query reply has room for.
pub const ENTRY_DATA_MAX: usize = crate::FRAME_MAX - QUERY_HEAD - STORED_HEAD;

codes! {
    /// Outcome of a journal request.
    Status {
        /// Done.
        Ok = 0 "ok",
        /// The frame does not decode.
        Malformed = 1 "malformed",
        /// No such version or operation.
        Unsupported = 2 "unsupported",
        /// A text is beyond its bound.
        TooLarge = 3 "too-large",
        /// A field has no meaning.
        InvalidArgs = 4 "invalid-args",
        /// The sender's share of the journal is used up.
        OverLimit = 5 "over-limit",
        /// The sender writes too fast.
        RateLimited = 6 "rate-limited",
        /// Policy says no.
        Denied = 7 "denied",
        /// Policy could not be asked.
        Unavailable = 8 "unavailable",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, TooLarge);

codes! {
    /// How much an entry matters.
    Level {
        /// Something failed.
        Error = 0 "error",
        /// Something is wrong.
        Warn = 1 "warn",
        /// Worth knowing.
        Info = 2 "info",
        /// For developers.
        Debug = 3 "debug",
        /// For developers, in detail.
        Trace = 4 "trace",
    }
}
code_field!(Level, zero Error);

protocol! {
    /// Appends to and reads the journal; reads the audit.
    ///
    /// QUERY and STATS need `log.read`, everything that reads the audit needs `audit.read`.
    "log" magic b"LO" max 512 shortest 4;
    nonce u64 in versions { 1: false, 2: true };
    reply bit 0x80 order StatusNonce status Status;
    Op<'a> => Reply<'a> over 'a;

    /// Stores an entry under the kernel-stamped sender.
    1 in [1, 2] Append { entry: Entry<'a> } => always { record_id: u64, dropped: u64 };
    /// Entries with a time of at least `since_ns`, oldest first. Entry times strictly increase,
    /// so the last time plus one continues without gap or repetition.
    2 in [1, 2] Query { since_ns: u64, max_count: u16 }
    => always { total: u64, dropped: u64, entries: Entries<'a> };
    /// How full the journal is.
    3 in [1, 2] Stats {} => always {
        total: u64, dropped: u64,
        cap_records: u32, cap_bytes: u32, used_records: u32, used_bytes: u32
    };
    /// Audit records from `since_seq` on that match; 0 in a filter matches anything. `next_seq`
    /// continues where this page ends.
    4 in [2] AuditQuery {
        since_seq: u64, subject: u64, op: u8, decision: u8, request_nonce: u32, max: u8
    } => ok { next_seq: u64, page: Page<'a> };
    /// What became of the audit records produced by policyd and every other enforcer, and by the
    /// kernel.
    5 in [2] AuditStats {} => ok {
        produced: u64, stored: u64, lost: u64, evicted: u64, retained: u64,
        kernel_produced: u64, kernel_stored: u64, kernel_lost: u64
    };
    /// Audit records from `since_seq` up to and with `until_seq`, written from `since_ns` up to
    /// and with `until_ns`, that match; an upper bound of 0 is none, 0 in a filter and an empty
    /// capability match anything, one that ends in `*` matches what begins so. `next_seq` is the
    /// reader's cursor. `overtaken` is 1 if records between `since_seq` (unless 0) and this page
    /// that could have matched were dropped.
    6 in [2] AuditSearch {
        since_seq: u64, until_seq: u64, since_ns: u64, until_ns: u64, subject: u64, enforcer: u64,
        op: u8, decision: u8, request_nonce: u32, max: u8, capability: Bytes<'a, 48>
    } => ok { next_seq: u64, overtaken: u8, page: Page<'a> };
    /// The checkpoint with this number; 0 is the newest, made now if there are newer records.
    7 in [2] AuditCheckpoint { number: u64 } => ok { checkpoint: Bytes<'a, 296> };
    /// All audit records from `since_seq` on with their place in the chains: what an export is
    /// made of. `overtaken` as for a search.
    8 in [2] AuditChain { since_seq: u64, max: u8 }
    => ok { next_seq: u64, overtaken: u8, page: ChainPage<'a> };
    /// Accounts of one lane into the journal, in the manifest's order: who produces, and what
    /// became of it. Beyond the last one the producer is 0.
    9 in [2] AuditSource { index: u8 }
    => ok { producer: u64, produced: u64, stored: u64, lost: u64 };
}

/// What a client appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    level: Level,
    texts: Texts<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Texts<'a> {
    scope: &'a [u8],
    message: &'a [u8],
    fields: &'a [u8],
}

impl<'a> Texts<'a> {
    /// The bounds, in one place.
    fn new(scope: &'a [u8], message: &'a [u8], fields: &'a [u8]) -> Result<Self, Flaw> {
        let total = scope.len().saturating_add(message.len()).saturating_add(fields.len());
        let bounded = scope.len() <= SCOPE_MAX
            && message.len() <= MESSAGE_MAX
            && fields.len() <= FIELDS_MAX
            && total <= ENTRY_DATA_MAX;
        if bounded { Ok(Texts { scope, message, fields }) } else { Err(Flaw::TooLarge) }
    }

    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (scope_len, rest) = u8::take(input)?;
        let (message_len, rest) = u16::take(rest)?;
        let (fields_len, rest) = u16::take(rest)?;
        let (scope, rest) = split(rest, scope_len as usize, SCOPE_MAX)?;
        let (message, rest) = split(rest, message_len as usize, MESSAGE_MAX)?;
        let (fields, rest) = split(rest, fields_len as usize, FIELDS_MAX)?;
        Ok((Texts::new(scope, message, fields)?, rest))
    }

    fn put(&self, out: &mut Out<'_>) {
        out.array([self.scope.len() as u8]);
        out.array((self.message.len() as u16).to_le_bytes());
        out.array((self.fields.len() as u16).to_le_bytes());
        out.bytes(self.scope);
        out.bytes(self.message);
        out.bytes(self.fields);
    }
}

impl<'a> Entry<'a> {
    /// `None` when a text is beyond its bound.
    #[must_use]
    pub fn new(level: Level, scope: &'a [u8], message: &'a [u8], fields: &'a [u8]) -> Option<Self> {
        Some(Entry { level, texts: Texts::new(scope, message, fields).ok()? })
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Which part of the sender.
    #[must_use]
    pub const fn scope(&self) -> &'a [u8] {
        self.texts.scope
    }

    /// What happened.
    #[must_use]
    pub const fn message(&self) -> &'a [u8] {
        self.texts.message
    }

    /// Details as `key=value` pairs.
    #[must_use]
    pub const fn fields(&self) -> &'a [u8] {
        self.texts.fields
    }
}

impl<'a> Field<'a> for Entry<'a> {
    const KIND: &'static str =
        "entry (level u8, scope_len u8, message_len u16, fields_len u16, scope, message, fields)";
    const MIN: usize = 6;
    const MAX: usize = 6 + ENTRY_DATA_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (level, rest) = Level::take(input)?;
        let (texts, rest) = Texts::take(rest)?;
        Ok((Entry { level, texts }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        self.level.put(out);
        self.texts.put(out);
    }
}

/// An entry as the journal stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Grows by one per entry stored.
    pub record_id: u64,
    /// Nanoseconds since boot; strictly increasing.
    pub time_ns: u64,
    /// Kernel-stamped sender.
    pub service: u64,
    /// What was appended.
    pub entry: Entry<'a>,
}

impl<'a> Stored<'a> {
    /// Encoded bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        let Texts { scope, message, fields } = self.entry.texts;
        STORED_HEAD
            .saturating_add(scope.len())
            .saturating_add(message.len())
            .saturating_add(fields.len())
    }

    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (record_id, rest) = u64::take(input)?;
        let (time_ns, rest) = u64::take(rest)?;
        let (level, rest) = Level::take(rest)?;
        let (service, rest) = u64::take(rest)?;
        let (texts, rest) = Texts::take(rest)?;
        Ok((Stored { record_id, time_ns, service, entry: Entry { level, texts } }, rest))
    }

    fn put(&self, out: &mut Out<'_>) {
        self.record_id.put(out);
        self.time_ns.put(out);
        self.entry.level.put(out);
        self.service.put(out);
        self.entry.texts.put(out);
    }
}

/// Bytes of entries in one query reply.
const ENTRIES_MAX: usize = crate::FRAME_MAX - QUERY_HEAD;

/// The entries of one query reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Stored<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (stored, tail) = Stored::take(rest).ok()?;
            rest = tail;
            Some(stored)
        })
    }
}

impl<'a> Field<'a> for Entries<'a> {
    const KIND: &'static str = "entries (count u16, each: record_id u64, time_ns u64, level u8, \
        service u64, scope_len u8, message_len u16, fields_len u16, scope, message, fields)";
    const MIN: usize = 2;
    const MAX: usize = 2 + ENTRIES_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, bytes) = u16::take(input)?;
        let mut rest = bytes;
        for _ in 0..count {
            rest = Stored::take(rest)?.1;
        }
        let used = bytes.len().saturating_sub(rest.len());
        let (bytes, rest) = split(bytes, used, ENTRIES_MAX)?;
        Ok((Entries { count, bytes }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        self.count.put(out);
        out.bytes(self.bytes);
    }
}

impl Zero for Entries<'_> {
    const ZERO: Self = Entries { count: 0, bytes: &[] };
}

/// Collects entries for a query reply.
#[derive(Debug)]
pub struct EntriesBuilder<'b> {
    frame: &'b mut [u8; crate::FRAME_MAX],
    len: usize,
    count: u16,
}

impl<'b> EntriesBuilder<'b> {
    /// Starts empty, in scratch memory.
    #[must_use]
    pub const fn new(scratch: &'b mut [u8; crate::FRAME_MAX]) -> Self {
        EntriesBuilder { frame: scratch, len: 0, count: 0 }
    }

    /// Adds an entry; `false` when the reply has no more room for it.
    pub fn push(&mut self, stored: &Stored<'_>) -> bool {
        let end = self.len.saturating_add(stored.len_bytes());
        if end > ENTRIES_MAX {
            return false;
        }
        let mut out = Out::resume(self.frame, self.len);
        stored.put(&mut out);
        self.len = end;
        self.count = self.count.saturating_add(1);
        true
    }

    /// The reply field.
    #[must_use]
    pub fn finish(self) -> Entries<'b> {
        let frame: &'b [u8; crate::FRAME_MAX] = self.frame;
        Entries { count: self.count, bytes: frame.get(..self.len).unwrap_or_default() }
    }
}

/// Audit records that fit one reply.
pub const AUDIT_PAGE_MAX: usize = crate::audit::PAGE_MAX;

const _: () = assert!(AUDIT_PAGE_MAX * Record::BYTES < crate::FRAME_MAX);
