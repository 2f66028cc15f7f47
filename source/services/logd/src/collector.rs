//! From the lane and the kernel's ring into the journal. Guards that every number either source
//! ever gave out ends up stored or counted as lost, exactly once, over any death of either side.

use core::sync::atomic::AtomicU64;

use nexus_abi::{EventKind, FaultCause, KernelEvent, ServiceId, syscall::SPECS};
use nexus_audit::Checkpoint;
use nexus_service::{
    lane::{Consumer, State, Words},
    permit::Permit,
};
use nexus_system::{ids, slots::logd as slots};
use nexus_wire::{
    Capability,
    audit::{CapName, Chained, Decision, Op, Reason, Record},
};

use crate::{
    env::{Env, ReadAudit},
    health::{Change, Health},
    journal::{Found, Journal, records_in},
    ledger::{Ledger, Source},
    search::Filter,
};

/// Records the journal holds: what its kept memory has room for.
pub const JOURNAL_RECORDS: usize = records_in(slots::KEPT_JOURNAL_BYTES);
/// Batches of kernel events taken in one go: more than the ring holds, so that a process that
/// provokes events as fast as they are read cannot keep logd here.
const EVENT_BATCHES: usize = 16;

/// The kernel as an enforcer and as a subject.
const KERNEL: ServiceId = ServiceId(0);

/// The journal and where its records come from.
pub(crate) struct Collector<'v, const SLOTS: usize = JOURNAL_RECORDS> {
    journal: Journal<'v, SLOTS>,
    lane: Consumer<&'v [AtomicU64]>,
    health: Health,
}

impl<'v, const SLOTS: usize> Collector<'v, SLOTS> {
    /// Attaches to both; `None` if either memory is too small.
    pub(crate) fn attach(kept: &'v [AtomicU64], lane: &'v [AtomicU64]) -> Option<(Self, Found)> {
        let lane = Consumer::attach(lane).ok()?;
        let (journal, found) = Journal::attach(kept)?;
        let health = Health::new(journal.ledger());
        Some((Collector { journal, lane, health }, found))
    }

    /// Takes everything that is waiting. Afterwards, for both sources and as long as they rest,
    /// produced = stored + lost.
    pub(crate) fn drain<E: Env>(&mut self, env: &mut E) {
        let quarters = self.lane.waiting().saturating_mul(4).checked_div(self.lane.capacity());
        let now_ns = env.now_ns();
        self.drain_lane(now_ns);
        self.drain_kernel(env);
        self.watch(quarters.unwrap_or(0), now_ns, env);
        self.journal.settle(now_ns);
    }

    /// Says so when the audit got worse or well again: in the journal, on the console, and to
    /// policyd through the lane's header.
    fn watch<E: Env>(&mut self, quarters: u64, now_ns: u64, env: &mut E) {
        if let Some(change) = self.health.look(self.journal.ledger(), quarters, now_ns) {
            let (decision, args) = match change {
                Change::Degraded(trouble, by) => (Decision::Deny, [trouble as u64, by]),
                Change::Well => (Decision::Allow, [0, 0]),
            };
            self.note(&Record {
                time_ns: now_ns,
                enforcer: ids::LOGD.0,
                subject: ids::LOGD.0,
                args,
                ..Record::new(Op::Health, decision, Reason::Degraded)
            });
            env.health(self.health.is_degraded());
        }
        self.lane.tell(if self.health.is_degraded() { State::Degraded } else { State::Well });
    }

    /// Records that something was sent to logd that is no request.
    pub(crate) fn note(&mut self, record: &Record) {
        let _number = self.journal.put(record, Source::Own);
    }

    /// The counters and the number of records held.
    pub(crate) const fn stats(&self, _permit: &Permit<ReadAudit>) -> (&Ledger, u64) {
        (self.journal.ledger(), self.journal.retained())
    }

    /// Fills `page` with matching records from number `since` on; how many, and where to go on.
    pub(crate) fn page(
        &self,
        _permit: &Permit<ReadAudit>,
        since: u64,
        filter: &Filter<'_>,
        page: &mut [[u8; Record::BYTES]],
    ) -> (usize, u64) {
        let mut filled = 0usize;
        let mut next = self.journal.ledger().next_seq;
        let mut records = self.journal.from(since).filter(|record| filter.matches(record));
        for (place, record) in page.iter_mut().zip(&mut records) {
            *place = record.encode();
            filled = filled.saturating_add(1);
        }
        if let Some(more) = records.next() {
            next = more.seq;
        }
        (filled, next)
    }

    /// Fills `page` with chained records from number `since` on; how many, and where to go on.
    pub(crate) fn chain(
        &self,
        _permit: &Permit<ReadAudit>,
        since: u64,
        page: &mut [[u8; Chained::BYTES]],
    ) -> (usize, u64) {
        let mut filled = 0usize;
        let mut records = self.journal.chained(since);
        for (place, (_, chained)) in page.iter_mut().zip(&mut records) {
            *place = chained.encode();
            filled = filled.saturating_add(1);
        }
        (filled, records.next().map_or(self.journal.ledger().next_seq, |(seq, _)| seq))
    }

    /// Whether a reader at `since` missed records that could have been about `subject` (0: any).
    pub(crate) fn overtaken(&self, since: u64, subject: u64) -> bool {
        self.journal.overtaken(since, subject)
    }

    /// A checkpoint by its number; 0 is the newest, made now if there are newer records.
    pub(crate) fn checkpoint(
        &mut self,
        _permit: &Permit<ReadAudit>,
        number: u64,
        now_ns: u64,
    ) -> Option<Checkpoint> {
        self.journal.checkpoint(number, now_ns)
    }

    fn drain_lane(&mut self, now_ns: u64) {
        // INVARIANT: read before the records. Each number below it was given out before, so its
        // record is in the lane now, or never will be.
        let produced = self.lane.counters().produced;
        // A producer that writes as fast as this reads must not keep logd here for ever.
        for _ in 0..self.lane.waiting().saturating_mul(2).max(1) {
            let Some(words) = self.lane.peek() else {
                self.lose_lane(produced, now_ns);
                return;
            };
            self.take(&words, now_ns);
            // Only now: if logd dies before this, its successor sees the record again and knows
            // by its number that it is in the journal.
            self.lane.release();
        }
    }

    /// Stores one record of the lane. What does not decode, or claims a number that was never
    /// given out, is not stored, so its place shows as a loss.
    fn take(&mut self, words: &Words, now_ns: u64) {
        let [seq, ..] = *words;
        if seq >= self.lane.counters().produced {
            return;
        }
        if let Some(record) = Record::from_words(words) {
            self.lose_lane(seq, now_ns);
            let _number = self.journal.put(&record, Source::Lane(seq));
        }
    }

    fn drain_kernel<E: Env>(&mut self, env: &mut E) {
        let now_ns = env.now_ns();
        for _ in 0..EVENT_BATCHES {
            let journal = &mut self.journal;
            if env.kernel_events(&mut |event| take_event(journal, event, now_ns)) == 0 {
                return;
            }
        }
    }

    fn lose_lane(&mut self, before: u64, now_ns: u64) {
        let lane = self.journal.ledger().lane;
        if lane.gap_before(before) > 0 {
            let record = lost(ids::POLICYD, lane.next(), before, now_ns);
            let _number = self.journal.put(&record, Source::LaneGap(before));
        }
    }
}

fn take_event<const N: usize>(journal: &mut Journal<'_, N>, event: &KernelEvent, now_ns: u64) {
    let kernel = journal.ledger().kernel;
    if kernel.gap_before(event.seq) > 0 {
        let record = lost(KERNEL, kernel.next(), event.seq, now_ns);
        let _number = journal.put(&record, Source::KernelGap(event.seq));
    }
    if let Some(record) = from_kernel(event) {
        let _number = journal.put(&record, Source::Kernel(event.seq));
    }
}

/// The numbers `first..before` of a source never arrived.
fn lost(source: ServiceId, first: u64, before: u64, now_ns: u64) -> Record {
    Record {
        time_ns: now_ns,
        enforcer: source.0,
        subject: source.0,
        target: before.saturating_sub(first),
        args: [first, before.saturating_sub(1)],
        ..Record::new(Op::Lost, Decision::None, Reason::Overflow)
    }
}

/// A kernel event as a record: the kernel enforced, the process is the subject, its incarnation
/// stands where requests have their nonce, and what it was refused or died of is named.
fn from_kernel(event: &KernelEvent) -> Option<Record> {
    let op = Op::from_kernel(event.kind)?;
    let (decision, target, name) = match event.kind {
        EventKind::SyscallDenied => (Decision::Deny, 0, syscall_name(event.arg0)),
        EventKind::CapDenied => (Decision::Deny, 0, syscall_name(event.arg1)),
        EventKind::FrameRefused => (Decision::Deny, 0, ""),
        EventKind::CapDerived | EventKind::ProcessCreated => (Decision::None, event.arg0, ""),
        EventKind::ProcessFaulted => (Decision::None, 0, cause_name(event.detail)),
        EventKind::CapRevoked | EventKind::ProcessExited => (Decision::None, 0, ""),
    };
    Some(Record {
        time_ns: event.time_ns,
        nonce: event.incarnation,
        enforcer: KERNEL.0,
        subject: event.service.0,
        target,
        cap: Capability::new(name).map_or(CapName::NONE, CapName::new),
        args: [event.arg0, event.arg1],
        ..Record::new(op, decision, Reason::Kernel)
    })
}

fn syscall_name(number: u64) -> &'static str {
    let spec = usize::try_from(number).ok().and_then(|number| SPECS.get(number));
    spec.map_or("", |spec| spec.name)
}

fn cause_name(detail: u8) -> &'static str {
    FaultCause::from_code(detail).map_or("", FaultCause::name)
}

#[cfg(test)]
mod tests;
