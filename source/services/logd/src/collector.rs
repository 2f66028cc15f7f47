//! From the lanes and the kernel's ring into the journal. Guards that every number a source ever
//! gave out ends up stored or counted as lost, exactly once, over any death of either side, and
//! that an outcome stands under the enforcer whose lane it came through.

use core::sync::atomic::AtomicU64;

use nexus_abi::{EventKind, FaultCause, KernelEvent, ServiceId, syscall::SPECS};
use nexus_audit::{Checkpoint, Seal};
use nexus_service::{
    lane::{Consumer, State, Words},
    permit::Permit,
};
use nexus_system::{ids, slots::logd as slots};
use nexus_wire::{
    Capability,
    audit::{CapName, Chained, Decision, Flags, Op, Reason, Record},
};

use crate::{
    env::{Env, ReadAudit},
    health::{Change, Health},
    journal::{Found, Journal, records_in},
    ledger::{Ledger, SOURCES, Source, Stream},
    sealing::Sealing,
    search::Filter,
};

/// Records the journal holds: what its kept memory has room for.
pub const JOURNAL_RECORDS: usize = records_in(slots::KEPT_JOURNAL_BYTES);
/// Batches of kernel events taken in one go: more than the ring holds, so that a process that
/// provokes events as fast as they are read cannot keep logd here.
const EVENT_BATCHES: usize = 16;

/// The kernel as an enforcer and as a subject.
const KERNEL: ServiceId = ServiceId(0);

/// One lane into the journal.
#[derive(Clone, Copy, Debug)]
pub struct Lane<'v> {
    /// Who the manifest gave its other end to.
    pub producer: ServiceId,
    /// Its memory.
    pub words: &'v [AtomicU64],
}

/// Lanes into the journal, each at its index in the manifest's order: its accounts stand there.
pub type Lanes<'v> = [Option<Lane<'v>>; SOURCES];

/// A lane being drained.
struct Input<'v> {
    producer: ServiceId,
    lane: Consumer<&'v [AtomicU64]>,
}

/// The journal and where its records come from.
pub(crate) struct Collector<'v, const SLOTS: usize = JOURNAL_RECORDS> {
    journal: Journal<'v, SLOTS>,
    inputs: [Option<Input<'v>>; SOURCES],
    health: Health,
    sealing: Sealing<'v>,
}

impl<'v, const SLOTS: usize> Collector<'v, SLOTS> {
    /// Attaches to all; `None` if a memory is too small, or the authority has no lane.
    pub(crate) fn attach(
        kept: &'v [AtomicU64],
        lanes: &Lanes<'v>,
        sealing: Sealing<'v>,
    ) -> Option<(Self, Found)> {
        let mut inputs = [const { None }; SOURCES];
        for (place, lane) in inputs.iter_mut().zip(lanes) {
            if let Some(Lane { producer, words }) = *lane {
                *place = Some(Input { producer, lane: Consumer::attach(words).ok()? });
            }
        }
        let decides = |input: &Input<'_>| input.producer == ids::POLICYD;
        inputs.iter().flatten().find(|input| decides(input))?;
        let (journal, found) = Journal::attach(kept)?;
        let health = Health::new(journal.ledger(), found);
        Some((Collector { journal, inputs, health, sealing }, found))
    }

    /// Takes everything that is waiting. Afterwards, for all sources and as long as they rest,
    /// produced = stored + lost.
    pub(crate) fn drain<E: Env>(&mut self, env: &mut E) {
        let now_ns = env.now_ns();
        let quarters = self.drain_lanes(now_ns);
        self.drain_kernel(env);
        self.watch(quarters, now_ns, env);
        self.sealing.take(&mut self.journal, now_ns);
        self.journal.settle(now_ns);
        self.sealing.ask(&self.journal, now_ns, env);
    }

    /// All lanes; how full the fullest was found, in quarters. What became of a decision is
    /// looked at before the decisions and taken after them, so that each outcome finds the
    /// record it quotes.
    fn drain_lanes(&mut self, now_ns: u64) -> u64 {
        let (mut waiting, mut quarters) = ([0; SOURCES], 0);
        for (place, input) in waiting.iter_mut().zip(&self.inputs) {
            let Some(Input { lane, .. }) = input else { continue };
            *place = lane.waiting();
            let full = place.saturating_mul(4).checked_div(lane.capacity());
            quarters = full.unwrap_or(0).max(quarters);
        }
        for decides in [true, false] {
            for (index, waiting) in waiting.into_iter().enumerate() {
                let Some(place) = self.inputs.get_mut(index) else { continue };
                let Some(mut input) = place.take_if(|i| (i.producer == ids::POLICYD) == decides)
                else {
                    continue;
                };
                self.drain_lane(index as u8, &mut input, (waiting, now_ns));
                if let Some(place) = self.inputs.get_mut(index) {
                    *place = Some(input);
                }
            }
        }
        quarters
    }

    /// Says so when the audit got worse or well again: in the journal, on the console, and to
    /// policyd through the lane's header.
    fn watch<E: Env>(&mut self, quarters: u64, now_ns: u64, env: &mut E) {
        let begun = self.health.begin(now_ns);
        let change = self.health.look(self.journal.ledger(), quarters, now_ns);
        for change in [begun, change].into_iter().flatten() {
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
        let state = if self.health.is_degraded() { State::Degraded } else { State::Well };
        self.inputs.iter().flatten().for_each(|input| input.lane.tell(state));
    }

    /// Records that something was sent to logd that is no request.
    pub(crate) fn note(&mut self, record: &Record) {
        let _number = self.journal.put(record, Source::Own);
    }

    /// The system is about to end: writes that down, makes the last checkpoint and asks for its
    /// signature.
    pub(crate) fn close<E: Env>(&mut self, env: &mut E) {
        self.drain(env);
        let now_ns = env.now_ns();
        self.lose_unfinished(now_ns);
        self.note(&Record {
            time_ns: now_ns,
            enforcer: ids::LOGD.0,
            subject: ids::NEXUS_INIT.0,
            ..Record::new(Op::Shutdown, Decision::None, Reason::Done)
        });
        let _newest = self.journal.checkpoint(0, now_ns);
        self.sealing.ask(&self.journal, now_ns, env);
    }

    /// Nothing is drained any more, so a record that is still being written never comes.
    fn lose_unfinished(&mut self, now_ns: u64) {
        for index in 0..SOURCES {
            let Some(input) = self.inputs.get_mut(index).and_then(Option::as_mut) else { continue };
            let (from, counters) = ((index as u8, input.producer), input.lane.counters());
            if input.lane.peek().is_none() {
                self.lose(from, counters.produced, (Reason::Overflow, now_ns));
            }
        }
    }

    /// The last checkpoint, once it is signed or nobody signs; `late` takes it as it is.
    pub(crate) fn closed(&mut self, late: bool, now_ns: u64) -> Option<Checkpoint> {
        self.sealing.take(&mut self.journal, now_ns);
        let settled = |c: &Checkpoint| late || c.seal != Seal::Unsigned || !self.sealing.is_wired();
        self.journal.newest_checkpoint().filter(settled)
    }

    /// Accounts of one lane, and who fills it; producer 0 if there is none.
    pub(crate) fn source(&self, _permit: &Permit<ReadAudit>, index: u8) -> (ServiceId, Stream) {
        let input = self.inputs.get(usize::from(index)).and_then(Option::as_ref);
        (input.map_or(KERNEL, |input| input.producer), self.journal.ledger().lane(index))
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

    fn drain_lane(&mut self, index: u8, input: &mut Input<'v>, (waiting, now_ns): (u64, u64)) {
        // INVARIANT: read before the records. Each number below it has its record in the lane now,
        // or never will have. A producer that this daemon preempted in the middle of a record keeps
        // that one number open: it is settled at a later drain.
        let decided = input.lane.decided();
        // A producer that writes as fast as this reads must not keep logd here for ever.
        let decides = input.producer == ids::POLICYD;
        for _ in 0..if decides { waiting.saturating_mul(2) } else { waiting } {
            let Some(words) = input.lane.peek() else { break };
            let [seq, ..] = words;
            if seq < input.lane.counters().produced {
                self.take((index, input.producer), &words, now_ns);
            }
            // Only now: if logd dies before this, its successor sees the record again and knows
            // by its number that it is in the journal.
            input.lane.release();
        }
        if input.lane.peek().is_none() {
            self.lose((index, input.producer), decided, (Reason::Overflow, now_ns));
        }
    }

    /// Stores one record of a lane. What does not decode, or is not this producer's to say, is
    /// not stored but counted as lost, with the reason.
    fn take(&mut self, from: (u8, ServiceId), words: &Words, now_ns: u64) {
        let ([seq, ..], (index, producer)) = (*words, from);
        self.lose(from, seq, (Reason::Overflow, now_ns));
        let stamped = match Record::from_words(words) {
            Some(record) if producer == ids::POLICYD => of_authority(record),
            Some(record) => self.of_enforcer(record, producer),
            None => Err(Reason::Malformed),
        };
        match stamped {
            Ok(record) => {
                let _number = self.journal.put(&record, Source::Lane(index, seq));
            }
            Err(reason) => self.lose(from, seq.saturating_add(1), (reason, now_ns)),
        }
    }

    /// An outcome under its lane's producer, quoting the journal's number of its decision.
    fn of_enforcer(&self, record: Record, producer: ServiceId) -> Result<Record, Reason> {
        if !record.op.is_outcome() || record.op == Op::Shutdown {
            return Err(Reason::Identity);
        }
        let [quoted, detail] = record.args;
        let number = if quoted == 0 { None } else { self.decision(quoted) };
        let claimed = record.enforcer != 0 && record.enforcer != producer.0;
        let flags = if claimed { record.flags.or(Flags::CLAIMED) } else { record.flags };
        let args = [number.unwrap_or(0), detail];
        Ok(Record { enforcer: producer.0, flags, args, ..record })
    }

    /// The journal's number of the record that had this number in the authority's lane.
    fn decision(&self, quoted: u64) -> Option<u64> {
        let decides =
            |i: &Option<Input<'_>>| i.as_ref().is_some_and(|i| i.producer == ids::POLICYD);
        let index = self.inputs.iter().position(decides)?;
        self.journal.number_of(Source::Lane(index as u8, quoted))
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

    /// Counts every unseen number of a lane before this one as lost.
    fn lose(&mut self, from: (u8, ServiceId), before: u64, (reason, now_ns): (Reason, u64)) {
        let (index, producer) = from;
        let lane = self.journal.ledger().lane(index);
        if lane.gap_before(before) > 0 {
            let record = Record { reason, ..lost(producer, lane.next(), before, now_ns) };
            let _number = self.journal.put(&record, Source::LaneGap(index, before));
        }
    }
}

/// The authority names who asked it; it has no outcomes, and does not speak for the journal or
/// the kernel.
fn of_authority(record: Record) -> Result<Record, Reason> {
    let own = matches!(record.op, Op::Lost | Op::Dropped | Op::Health);
    let foreign = own || record.op.is_outcome() || record.op.is_kernel();
    if foreign { Err(Reason::Identity) } else { Ok(record) }
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
