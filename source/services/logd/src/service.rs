//! The state machine: appends, pages and counts. Guards that reading asks policyd first and that
//! what a writer says about itself counts for nothing.

use core::sync::atomic::AtomicU64;

use nexus_abi::Sender;
use nexus_service::{
    Incoming, Outgoing, Service,
    permit::{Permit, authorize},
};
use nexus_system::ids;
use nexus_wire::{
    Bytes, FRAME_MAX, Status as Common,
    audit::{self, ChainPage, Chained, PAGE_MAX, Page, Reason, Record},
    log::{ENTRY_DATA_MAX, EntriesBuilder, Entry, Op, Refusal, Reply, Request, Status},
    supervise::SHUTDOWN_BIT,
};

use crate::{
    collector::{Collector, Lanes},
    entries::{self, Entries},
    env::{Env, ReadAudit, ReadLog},
    journal::Found,
    sealing::{SealLanes, Sealing},
    search::Filter,
};

/// How often the sources are drained when nobody rings: bounds how old an undelivered record can
/// get, at 20 wake-ups a second.
pub const TICK_NS: u64 = 50_000_000;

/// How long the last checkpoint's signature is waited for; half of what the supervisor waits.
pub const LAST_SEAL_NS: u64 = 500_000_000;

/// The memory logd works in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory<'v> {
    /// The journal; outlives logd.
    pub journal: Option<&'v [AtomicU64]>,
    /// The lanes from policyd and other enforcers; they outlive both ends.
    pub lanes: Lanes<'v>,
    /// The lanes to and from whoever signs checkpoints.
    pub seals: SealLanes<'v>,
    /// Ordinary entries, zeroed at start.
    pub entries: Option<&'v [AtomicU64]>,
}

/// The journal service. A part whose memory is missing answers `unavailable`.
pub struct Logd<'v> {
    audit: Option<Collector<'v>>,
    entries: Option<Entries<'v>>,
    next_tick_ns: u64,
    /// When to end whether or not the last checkpoint is signed; nothing is drained any more.
    end_by_ns: Option<u64>,
}

type Refused = Status;
type Frame = [u8; FRAME_MAX];

impl<'v> Logd<'v> {
    /// Attaches to whatever memory there is, and tells how the journal was found.
    pub fn attach(memory: &Memory<'v>) -> (Self, Option<Found>) {
        let attach = |kept| Collector::attach(kept, &memory.lanes, Sealing::attach(&memory.seals));
        let (audit, found) = match memory.journal.and_then(attach) {
            Some((collector, found)) => (Some(collector), Some(found)),
            None => (None, None),
        };
        let entries = memory.entries.and_then(Entries::new);
        (Logd { audit, entries, next_tick_ns: 0, end_by_ns: None }, found)
    }

    fn answer<E: Env>(
        &mut self,
        request: &Request<'_>,
        sender: Sender,
        reply: &mut Frame,
        env: &mut E,
    ) -> Result<usize, Refused> {
        match request.op {
            Op::Append { entry } => self.append(request, &entry, sender, (reply, env)),
            Op::Query { since_ns, max_count } => {
                let permit = allowed(authorize(env, sender, ReadLog))?;
                self.query(request, &permit, since_ns, (max_count, reply))
            }
            Op::Stats {} => {
                let permit = allowed(authorize(env, sender, ReadLog))?;
                self.stats(request, &permit, reply)
            }
            Op::AuditQuery { .. }
            | Op::AuditSearch { .. }
            | Op::AuditCheckpoint { .. }
            | Op::AuditSource { .. }
            | Op::AuditChain { .. } => self.read_audit(request, sender, (reply, env)),
            Op::AuditStats {} => {
                let permit = allowed(authorize(env, sender, ReadAudit))?;
                let audit = self.drained(env)?;
                Ok(audit_stats(audit, request, &permit, reply))
            }
        }
    }

    /// Everything that shows records or what vouches for them.
    fn read_audit<E: Env>(
        &mut self,
        request: &Request<'_>,
        sender: Sender,
        (reply, env): (&mut Frame, &mut E),
    ) -> Result<usize, Refused> {
        let permit = allowed(authorize(env, sender, ReadAudit))?;
        let audit = self.drained(env)?;
        match &request.op {
            Op::AuditCheckpoint { number } => {
                let point = audit.checkpoint(&permit, *number, env.now_ns());
                let bytes = point.ok_or(Status::InvalidArgs)?.encode();
                let checkpoint = Bytes::new(&bytes).ok_or(Status::Unavailable)?;
                let body = Reply::AuditCheckpoint { checkpoint };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::AuditSource { index } => {
                let (producer, lane) = audit.source(&permit, *index);
                let (stored, lost) = (lane.stored, lane.lost);
                let body = Reply::AuditSource {
                    producer: producer.0,
                    produced: lane.next(),
                    stored,
                    lost,
                };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::AuditChain { since_seq, max } => {
                chain_page(audit, request, &permit, (*since_seq, *max), reply)
            }
            _ => audit_page(audit, request, &permit, reply),
        }
    }

    /// The audit, with everything in it that was waiting; once it is closed, as it was then.
    fn drained<E: Env>(&mut self, env: &mut E) -> Result<&mut Collector<'v>, Refused> {
        let audit = self.audit.as_mut().ok_or(Status::Unavailable)?;
        if self.end_by_ns.is_none() {
            audit.drain(env);
        }
        Ok(audit)
    }

    fn append<E: Env>(
        &mut self,
        request: &Request<'_>,
        entry: &Entry<'_>,
        sender: Sender,
        (reply, env): (&mut Frame, &mut E),
    ) -> Result<usize, Refused> {
        let entries = self.entries.as_mut().ok_or(Status::Unavailable)?;
        let record_id = entries.append(entry, sender.service.0, env.now_ns());
        let body = Reply::Append { record_id, dropped: entries.usage().dropped };
        Ok(request.answer(Status::Ok, body).encode(reply))
    }

    fn query(
        &self,
        request: &Request<'_>,
        _permit: &Permit<ReadLog>,
        since_ns: u64,
        (max_count, reply): (u16, &mut Frame),
    ) -> Result<usize, Refused> {
        let log = self.entries.as_ref().ok_or(Status::Unavailable)?;
        let mut scratch = [0; FRAME_MAX];
        let mut page = EntriesBuilder::new(&mut scratch);
        for read in log.since(since_ns).take(usize::from(max_count)) {
            if !read.stored().is_some_and(|stored| page.push(&stored)) {
                break;
            }
        }
        let usage = log.usage();
        let (total, dropped) = (usage.total, usage.dropped);
        let body = Reply::Query { total, dropped, entries: page.finish() };
        Ok(request.answer(Status::Ok, body).encode(reply))
    }

    fn stats(
        &self,
        request: &Request<'_>,
        _permit: &Permit<ReadLog>,
        reply: &mut Frame,
    ) -> Result<usize, Refused> {
        let usage = self.entries.as_ref().ok_or(Status::Unavailable)?.usage();
        let body = Reply::Stats {
            total: usage.total,
            dropped: usage.dropped,
            cap_records: entries::RECORDS as u32,
            cap_bytes: (entries::RECORDS * ENTRY_DATA_MAX) as u32,
            used_records: usage.records,
            used_bytes: usage.bytes,
        };
        Ok(request.answer(Status::Ok, body).encode(reply))
    }

    /// Drains; or, at the end, waits for the last signature and then ends.
    fn advance<E: Env>(&mut self, env: &mut E) {
        let Some(audit) = &mut self.audit else { return };
        match self.end_by_ns {
            None => audit.drain(env),
            Some(by_ns) => {
                let now_ns = env.now_ns();
                if let Some(last) = audit.closed(now_ns >= by_ns, now_ns) {
                    env.end(&last);
                }
            }
        }
    }

    /// A frame that is no request leaves a trace under the sender's stamped id, for which only
    /// the sender's own records can be evicted.
    fn note(&mut self, refusal: &Refusal, call: &Incoming<'_>, now_ns: u64) {
        let (op, reason) = match refusal.status {
            Status::Unsupported => (audit::Op::Unsupported, Reason::Unsupported),
            _ => (audit::Op::Malformed, Reason::Malformed),
        };
        let head = match call.frame {
            [_, _, version, op, ..] => u64::from(*version) | (u64::from(*op) << 8),
            _ => 0,
        };
        if let Some(audit) = self.audit.as_mut().filter(|_| self.end_by_ns.is_none()) {
            audit.note(&Record {
                time_ns: now_ns,
                enforcer: call.sender.service.0,
                subject: call.sender.service.0,
                target: ids::LOGD.0,
                args: [head, 0],
                ..Record::new(op, audit::Decision::Deny, reason)
            });
        }
    }
}

impl<E: Env> Service<E> for Logd<'_> {
    fn handle(&mut self, call: &Incoming<'_>, reply: &mut Frame, env: &mut E) -> Outgoing {
        let len = match Request::decode(call.frame) {
            Ok(request) => match self.answer(&request, call.sender, reply, env) {
                Ok(len) => len,
                Err(status) => request.respond(status).encode(reply),
            },
            Err(refusal) => {
                self.note(&refusal, call, env.now_ns());
                refusal.encode(reply)
            }
        };
        Outgoing::bytes(len)
    }

    fn notified(&mut self, bits: u64, env: &mut E) {
        if bits & SHUTDOWN_BIT != 0 && self.end_by_ns.is_none() {
            if let Some(audit) = &mut self.audit {
                audit.close(env);
            }
            self.end_by_ns = Some(env.now_ns().saturating_add(LAST_SEAL_NS));
        }
        self.advance(env);
    }

    fn next_tick_ns(&self) -> u64 {
        if self.audit.is_some() { self.next_tick_ns } else { u64::MAX }
    }

    fn tick(&mut self, env: &mut E) {
        self.advance(env);
        self.next_tick_ns = env.now_ns().saturating_add(TICK_NS);
    }
}

/// A denial is policyd's word; anything else means that nobody could be asked.
fn allowed<P>(outcome: Result<P, Common>) -> Result<P, Refused> {
    outcome.map_err(|status| match status {
        Common::Denied => Status::Denied,
        _ => Status::Unavailable,
    })
}

/// What a query asks for, in either form; and its cursor, and how many records.
fn wanted<'f>(request: &Request<'f>) -> Option<(Filter<'f>, u64, u8)> {
    Some(match request.op {
        Op::AuditQuery { since_seq, subject, op, decision, request_nonce, max } => {
            let filter =
                Filter { subject, op, decision, nonce: request_nonce, ..Filter::default() };
            (filter, since_seq, max)
        }
        Op::AuditSearch {
            since_seq,
            until_seq,
            since_ns,
            until_ns,
            subject,
            enforcer,
            op,
            decision,
            request_nonce: nonce,
            max,
            capability,
        } => {
            let capability = capability.as_bytes();
            let filter = Filter {
                until_seq,
                since_ns,
                until_ns,
                subject,
                enforcer,
                op,
                decision,
                nonce,
                capability,
            };
            (filter, since_seq, max)
        }
        _ => return None,
    })
}

fn audit_page(
    audit: &Collector<'_>,
    request: &Request<'_>,
    permit: &Permit<ReadAudit>,
    reply: &mut Frame,
) -> Result<usize, Refused> {
    let (filter, since, max) = wanted(request).ok_or(Status::Unsupported)?;
    let mut bytes = [[0; Record::BYTES]; PAGE_MAX];
    let places = bytes.get_mut(..usize::from(max).min(PAGE_MAX)).unwrap_or_default();
    let (filled, next_seq) = audit.page(permit, since, &filter, places);
    let page = bytes.get(..filled).and_then(Page::new).ok_or(Status::Unavailable)?;
    let overtaken = u8::from(audit.overtaken(since, filter.subject));
    let body = match request.op {
        Op::AuditSearch { .. } => Reply::AuditSearch { next_seq, overtaken, page },
        _ => Reply::AuditQuery { next_seq, page },
    };
    Ok(request.answer(Status::Ok, body).encode(reply))
}

fn chain_page(
    audit: &Collector<'_>,
    request: &Request<'_>,
    permit: &Permit<ReadAudit>,
    (since, max): (u64, u8),
    reply: &mut Frame,
) -> Result<usize, Refused> {
    let mut bytes = [[0; Chained::BYTES]; PAGE_MAX];
    let places = bytes.get_mut(..usize::from(max).min(PAGE_MAX)).unwrap_or_default();
    let (filled, next_seq) = audit.chain(permit, since, places);
    let page = bytes.get(..filled).and_then(ChainPage::new).ok_or(Status::Unavailable)?;
    let overtaken = u8::from(audit.overtaken(since, 0));
    let body = Reply::AuditChain { next_seq, overtaken, page };
    Ok(request.answer(Status::Ok, body).encode(reply))
}

fn audit_stats(
    audit: &Collector<'_>,
    request: &Request<'_>,
    permit: &Permit<ReadAudit>,
    reply: &mut Frame,
) -> usize {
    let (ledger, retained) = audit.stats(permit);
    let lanes = ledger.all_lanes();
    let body = Reply::AuditStats {
        produced: lanes.next(),
        stored: lanes.stored,
        lost: lanes.lost,
        evicted: ledger.entered().saturating_sub(retained),
        retained,
        kernel_produced: ledger.kernel.next(),
        kernel_stored: ledger.kernel.stored,
        kernel_lost: ledger.kernel.lost,
    };
    request.answer(Status::Ok, body).encode(reply)
}
