mod preempted;
mod restarted;

use std::collections::VecDeque;

use nexus_audit::Signature;
use nexus_service::{
    lane::{Full, Producer},
    permit::{Authorizer, Evidence, authorize},
};
use nexus_wire::{
    Status,
    audit::{SealReply, SealRequest},
};

use super::*;
use crate::{sealing::SealLanes, words::death};

/// Words of a lane for 16 records.
const LANE_WORDS: usize = 16 + 16 * 16;

struct Outside {
    now_ns: u64,
    events: VecDeque<KernelEvent>,
    /// Times the signer was woken.
    woken: u32,
}

impl Authorizer for Outside {
    fn decide(&mut self, _: ServiceId, _: &str) -> Result<Evidence, Status> {
        Ok(Evidence { nonce: 0, seq: 0 })
    }
}

impl Env for Outside {
    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }
    fn wake_signer(&mut self) {
        self.woken += 1;
    }
    fn kernel_events(&mut self, take: &mut dyn FnMut(&KernelEvent)) -> usize {
        let count = self.events.len().min(KernelEvent::PER_FRAME);
        self.events.drain(..count).for_each(|event| take(&event));
        count
    }
}

fn outside() -> Outside {
    Outside { now_ns: 0, events: VecDeque::new(), woken: 0 }
}

fn words(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

/// Small, so that every store can be tried.
const SLOTS: usize = 64;
type Small<'v> = Collector<'v, SLOTS>;

/// An enforcer with a lane of its own.
const KEYS: ServiceId = ServiceId(4);

struct Machine {
    kept: Vec<AtomicU64>,
    lane: Vec<AtomicU64>,
    /// The lane of another enforcer.
    keys: Vec<AtomicU64>,
}

impl Machine {
    fn new() -> Machine {
        Machine { kept: words(520 + SLOTS * 22), lane: words(LANE_WORDS), keys: words(LANE_WORDS) }
    }
    fn copy(&self) -> Machine {
        let copy = |words: &[AtomicU64]| {
            words
                .iter()
                .map(|w| AtomicU64::new(w.load(core::sync::atomic::Ordering::Relaxed)))
                .collect()
        };
        Machine { kept: copy(&self.kept), lane: copy(&self.lane), keys: copy(&self.keys) }
    }
    fn producer(&self) -> Producer<&[AtomicU64]> {
        Producer::attach(&self.lane[..]).unwrap()
    }
    fn collector(&self) -> Small<'_> {
        let mut lanes = Lanes::default();
        lanes[0] = Some(Lane { producer: ids::POLICYD, words: &self.lane });
        lanes[2] = Some(Lane { producer: KEYS, words: &self.keys });
        Small::attach(&self.kept, &lanes, Sealing::default()).unwrap().0
    }
}

fn decision(subject: u64, target: u64) -> Words {
    Record { subject, target, ..Record::new(Op::CheckCap, Decision::Deny, Reason::Default) }
        .to_words()
}

fn event(seq: u64, kind: EventKind, [arg0, arg1]: [u64; 2]) -> KernelEvent {
    let (service, detail) = (ServiceId(900), FaultCause::Load as u8);
    KernelEvent { seq, time_ns: 7, kind, detail, service, incarnation: 5, arg0, arg1 }
}

fn ledger(collector: &Small<'_>) -> Ledger {
    *collector.journal.ledger()
}

fn all(collector: &Small<'_>) -> Vec<Record> {
    collector.journal.from(0).collect()
}

#[test]
fn losses_become_records_and_the_sum_is_exact() {
    let machine = Machine::new();
    let (mut producer, mut collector) = (machine.producer(), machine.collector());
    let pushed = (0..40).filter(|n| producer.push(&decision(20, *n)).is_ok()).count();
    assert_eq!(pushed, 16);
    collector.drain(&mut outside());
    assert_eq!(producer.push(&decision(21, 99)), Ok(40));
    collector.drain(&mut outside());
    let lane = ledger(&collector).lanes[0];
    assert_eq!((lane.stored, lane.lost), (17, 24));
    assert_eq!(producer.produced(), lane.stored + lane.lost);
    let records = all(&collector);
    let lost: Vec<&Record> = records.iter().filter(|record| record.op == Op::Lost).collect();
    assert_eq!(lost.len(), 1, "said once");
    assert_eq!((lost[0].target, lost[0].args), (24, [16, 39]));
    assert_eq!(lost[0].enforcer, ids::POLICYD.0);
    assert_eq!(records.last().unwrap().target, 99, "after the note about what came before");
}

#[test]
fn losses_at_the_end_are_counted_without_a_later_record() {
    let machine = Machine::new();
    let (mut producer, mut collector) = (machine.producer(), machine.collector());
    (0..20).for_each(|n| assert!(producer.push(&decision(1, n)).is_ok() || n > 15));
    collector.drain(&mut outside());
    assert_eq!(ledger(&collector).lanes[0].next(), 20);
    assert_eq!(ledger(&collector).lanes[0].lost, 4);
}

/// Written by logd about the audit itself.
fn is_own(record: &Record) -> bool {
    matches!(record.op, Op::Lost | Op::Health | Op::Dropped)
}

#[test]
fn death_at_every_store_of_a_drain_keeps_the_sum_and_repeats_nothing() {
    let before = Machine::new();
    let _formatted = before.collector();
    let mut producer = before.producer();
    (0..18).for_each(|n| assert!(producer.push(&decision(n % 3, n)).is_ok() || n > 15));
    for stores in 0.. {
        let machine = before.copy();
        let lived = death::after(stores, || machine.collector().drain(&mut outside()));
        // Died; more arrives; the successor takes over.
        let more = machine.producer().push(&decision(7, 100));
        let mut collector = machine.collector();
        collector.drain(&mut outside());
        let lane = ledger(&collector).lanes[0];
        assert_eq!(machine.producer().produced(), lane.stored + lane.lost, "{stores}");
        let mut seen: Vec<u64> =
            all(&collector).iter().filter(|r| !is_own(r)).map(|r| r.target).collect();
        seen.sort_unstable();
        let mut expected: Vec<u64> = (0..16).collect();
        expected.extend(more.is_ok().then_some(100));
        assert_eq!(seen, expected, "each once, after {stores} stores");
        if lived {
            assert!(stores > 500);
            return;
        }
    }
}

#[test]
fn a_producer_that_died_mid_record_leaves_one_counted_loss() {
    let machine = Machine::new();
    machine.producer().push(&decision(1, 0)).unwrap();
    // Its number was given out, its record never finished.
    machine.lane[2].fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    assert_eq!(machine.producer().push(&decision(1, 2)), Ok(2));
    let mut collector = machine.collector();
    collector.drain(&mut outside());
    let lane = ledger(&collector).lanes[0];
    assert_eq!((lane.stored, lane.lost), (2, 1));
}

#[test]
fn test_reject_garbage_in_the_lane() {
    let machine = Machine::new();
    let mut producer = machine.producer();
    let mut garbage = decision(1, 1);
    garbage[3] = u64::MAX;
    for words in [decision(1, 0), garbage, decision(1, 2)] {
        producer.push(&words).unwrap();
    }
    // A record that claims a number from the future.
    machine.lane[16].store(1 << 50, core::sync::atomic::Ordering::Relaxed);
    let mut collector = machine.collector();
    collector.drain(&mut outside());
    let lane = ledger(&collector).lanes[0];
    assert_eq!((lane.stored, lane.lost, lane.next()), (1, 2, 3));
}

#[test]
fn restarts_of_both_sides_keep_the_sum() {
    let machine = Machine::new();
    let mut x = 3u64;
    let mut ok = 0u64;
    for _ in 0..2000 {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut producer = machine.producer();
        for n in 0..(x >> 33) % 12 {
            ok += u64::from(!matches!(producer.push(&decision(x % 5, n)), Err(Full { .. })));
        }
        if x.is_multiple_of(3) {
            let mut collector = machine.collector();
            collector.drain(&mut outside());
            let lane = ledger(&collector).lanes[0];
            assert_eq!((producer.produced(), ok), (lane.next(), lane.stored));
        }
    }
    assert!(ledger(&machine.collector()).lanes[0].lost > 0);
}

#[test]
fn kernel_events_become_records_with_their_own_accounts() {
    let machine = Machine::new();
    let mut collector = machine.collector();
    let mut outside = outside();
    let faulted = event(2, EventKind::ProcessFaulted, [0x40, 0x1000]);
    outside.events.extend([event(0, EventKind::SyscallDenied, [10, 0]), faulted]);
    outside.events.extend((10..40).map(|seq| event(seq, EventKind::ProcessCreated, [901, 6])));
    collector.drain(&mut outside);
    let Ledger { kernel, lanes: [lane, ..], .. } = ledger(&collector);
    assert_eq!((kernel.stored, kernel.lost, kernel.next()), (32, 8, 40));
    assert_eq!(lane.next(), 0, "accounts do not mix");
    let records = all(&collector);
    let find = |op| records.iter().find(|record| record.op == op).unwrap();
    let denied = find(Op::KernelSyscallDenied);
    assert_eq!((denied.subject, denied.enforcer, denied.nonce), (900, 0, 5));
    assert_eq!((denied.args[0], denied.cap.as_bytes()), (10, &b"vm_map"[..]));
    assert_eq!((denied.decision, denied.reason), (Decision::Deny, Reason::Kernel));
    let faulted = find(Op::KernelProcessFaulted);
    assert_eq!((faulted.args, faulted.cap.as_bytes()), ([0x40, 0x1000], &b"load"[..]));
    assert_eq!(find(Op::KernelProcessCreated).target, 901);
    let lost = records.iter().filter(|record| record.op == Op::Lost && record.enforcer == 0);
    assert_eq!(lost.map(|record| record.target).collect::<Vec<_>>(), [1, 7]);
}

#[test]
fn every_kind_of_event_has_a_record() {
    for (seq, kind) in EventKind::ALL.iter().enumerate() {
        let record = from_kernel(&event(seq as u64, *kind, [u64::MAX, u64::MAX])).unwrap();
        assert!(record.op.is_kernel());
        assert_eq!(Record::from_words(&record.to_words()), Some(record));
    }
}

#[test]
fn pages_follow_each_other_through_every_filter() {
    let machine = Machine::new();
    let mut collector = machine.collector();
    for n in 0..10u64 {
        machine.producer().push(&decision(20 + n % 2, n)).unwrap();
    }
    collector.drain(&mut outside());
    let sender = nexus_abi::Sender { service: ServiceId(1), incarnation: 0, badge: 0 };
    let permit = authorize(&mut outside(), sender, ReadAudit).unwrap();
    let filter = Filter { subject: 21, op: Op::CheckCap.code(), decision: 2, ..Filter::default() };
    let (mut seen, mut next) = (Vec::new(), 0);
    loop {
        let mut page = [[0; Record::BYTES]; 3];
        let (filled, after) = collector.page(&permit, next, &filter, &mut page);
        seen.extend(page[..filled].iter().map(|bytes| Record::decode(bytes).unwrap().target));
        next = after;
        if filled < page.len() {
            break;
        }
    }
    assert_eq!(seen, [1, 3, 5, 7, 9]);
    assert_eq!(next, 11, "where new records will be");
    let nothing = Filter { subject: 99, ..filter };
    assert_eq!(collector.page(&permit, 0, &nothing, &mut [[0; 128]; 3]), (0, 11));
}

/// An outcome as an enforcer writes it, quoting a number of the authority's lane.
fn outcome(quoted: u64, enforcer: u64) -> Record {
    Record {
        subject: 20,
        target: 3,
        enforcer,
        args: [quoted, 9],
        ..Record::new(Op::KeyUse, Decision::Allow, Reason::Done)
    }
}

fn keys(machine: &Machine) -> Producer<&[AtomicU64]> {
    Producer::attach(&machine.keys[..]).unwrap()
}

#[test]
fn an_outcome_stands_under_its_lane_and_quotes_the_journal() {
    let machine = Machine::new();
    let (mut authority, mut enforcer) = (machine.producer(), keys(&machine));
    let mut collector = machine.collector();
    authority.push(&decision(21, 0)).unwrap();
    collector.note(&Record::new(Op::Malformed, Decision::Deny, Reason::Malformed));
    assert_eq!(authority.push(&decision(20, 7)), Ok(1));
    enforcer.push(&outcome(1, 0).to_words()).unwrap();
    enforcer.push(&outcome(99, 21).to_words()).unwrap();
    collector.drain(&mut outside());
    let records = all(&collector);
    let decided = records.iter().find(|record| record.target == 7).unwrap();
    let outcomes: Vec<&Record> = records.iter().filter(|record| record.op == Op::KeyUse).collect();
    assert_eq!(outcomes[0].args, [decided.seq, 9]);
    assert_eq!((outcomes[0].enforcer, outcomes[0].flags), (KEYS.0, Flags::NONE));
    assert!(decided.seq < outcomes[0].seq && decided.seq == 3, "its number here, not in the lane");
    assert_eq!(outcomes[1].args, [0, 9], "no such decision");
    assert_eq!((outcomes[1].enforcer, outcomes[1].flags), (KEYS.0, Flags::CLAIMED), "visible");
    let Ledger { lanes, own, .. } = ledger(&collector);
    assert_eq!((lanes[0].next(), lanes[2].next(), own), (2, 2, 1), "accounts do not mix");
}

#[test]
fn test_reject_records_that_are_not_the_producers_to_write() {
    let machine = Machine::new();
    let mut collector = machine.collector();
    let forbidden =
        [Op::Check, Op::Lost, Op::Health, Op::KernelCapDenied, Op::Dropped, Op::Shutdown];
    for op in forbidden {
        let forged = Record { subject: 20, ..Record::new(op, Decision::Allow, Reason::Policy) };
        keys(&machine).push(&forged.to_words()).unwrap();
    }
    for op in [Op::KeyUse, Op::Lost, Op::KernelCapDenied] {
        let forged = Record::new(op, Decision::Allow, Reason::Policy);
        machine.producer().push(&forged.to_words()).unwrap();
    }
    collector.drain(&mut outside());
    let (lanes, records) = (ledger(&collector).lanes, all(&collector));
    assert_eq!((lanes[2].stored, lanes[2].lost), (0, 6));
    assert_eq!((lanes[0].stored, lanes[0].lost), (0, 3));
    let told = |producer: ServiceId| {
        let of = |r: &&Record| r.op == Op::Lost && r.enforcer == producer.0;
        records.iter().filter(of).filter(|r| r.reason == Reason::Identity && r.target == 1).count()
    };
    assert_eq!((told(KEYS), told(ids::POLICYD)), (6, 3), "each attempt is visible");
}

#[test]
fn death_at_every_store_keeps_the_accounts_of_every_lane() {
    let before = Machine::new();
    let _formatted = before.collector();
    (0..3).for_each(|n| assert!(before.producer().push(&decision(20, n)).is_ok()));
    let pushed = (0..20).filter(|n| keys(&before).push(&outcome(n % 3, 0).to_words()).is_ok());
    assert_eq!(pushed.count(), 16);
    for stores in 0.. {
        let machine = before.copy();
        let lived = death::after(stores, || machine.collector().drain(&mut outside()));
        let mut collector = machine.collector();
        collector.drain(&mut outside());
        let lanes = ledger(&collector).lanes;
        assert_eq!((lanes[0].stored, lanes[0].lost), (3, 0), "{stores}");
        assert_eq!((lanes[2].stored, lanes[2].lost), (16, 4), "{stores}");
        let outcomes = all(&collector).iter().filter(|r| r.op == Op::KeyUse).count();
        assert_eq!(outcomes, 16, "each once, after {stores} stores");
        if lived {
            return;
        }
    }
}

/// The other ends of the lanes for signatures.
struct Signer<'m> {
    requests: Consumer<&'m [AtomicU64]>,
    seals: Producer<&'m [AtomicU64]>,
}

fn signing<'m>(machine: &'m Machine, lanes: &'m [Vec<AtomicU64>; 2]) -> (Small<'m>, Signer<'m>) {
    let [out, back] = lanes;
    let mut inputs = Lanes::default();
    inputs[0] = Some(Lane { producer: ids::POLICYD, words: &machine.lane });
    let ends = SealLanes { checkpoints: Some(out), seals: Some((KEYS, back)) };
    let collector = Small::attach(&machine.kept, &inputs, Sealing::attach(&ends)).unwrap().0;
    let requests = Consumer::attach(&out[..]).unwrap();
    (collector, Signer { requests, seals: Producer::attach(&back[..]).unwrap() })
}

fn reply(number: u64) -> SealReply {
    SealReply { number, generation: 2, boot: 5, signature: [number as u8; 64] }
}

#[test]
fn a_checkpoint_is_sent_to_be_signed_and_kept_with_its_signature() {
    let (machine, lanes) = (Machine::new(), [words(LANE_WORDS), words(LANE_WORDS)]);
    let (mut collector, mut signer) = signing(&machine, &lanes);
    let mut env = outside();
    env.now_ns = 6_000_000_000;
    machine.producer().push(&decision(20, 1)).unwrap();
    collector.drain(&mut env);
    let request = SealRequest::from_words(&signer.requests.pop().unwrap()).unwrap();
    let point = collector.journal.newest_checkpoint().unwrap();
    assert_eq!((request.number, request.digest, env.woken), (1, point.digest(), 1));
    collector.drain(&mut env);
    assert_eq!(signer.requests.pop(), None, "asked once");
    signer.seals.push(&reply(1).to_words()).unwrap();
    signer.seals.push(&SealReply { generation: 3, ..reply(1) }.to_words()).unwrap();
    collector.drain(&mut env);
    let signed = Seal::Ed25519(Signature { generation: 2, boot: 5, bytes: [1; 64] });
    assert_eq!(collector.journal.newest_checkpoint().unwrap().seal, signed, "the first counts");
    let (collector, _) = signing(&machine, &lanes);
    let kept = collector.journal.newest_checkpoint().unwrap();
    assert_eq!((kept.seal, kept.digest()), (signed, point.digest()), "over a restart");
}

#[test]
fn a_checkpoint_that_stays_unsigned_is_asked_for_again_and_by_a_new_instance() {
    let (machine, lanes) = (Machine::new(), [words(LANE_WORDS), words(LANE_WORDS)]);
    let (mut collector, mut signer) = signing(&machine, &lanes);
    let mut env = outside();
    env.now_ns = 6_000_000_000;
    machine.producer().push(&decision(20, 1)).unwrap();
    collector.drain(&mut env);
    assert!(signer.requests.pop().is_some());
    env.now_ns += 5_000_000_000;
    collector.drain(&mut env);
    assert!(signer.requests.pop().is_some(), "again");
    let (mut collector, mut signer) = signing(&machine, &lanes);
    collector.drain(&mut env);
    assert!(signer.requests.pop().is_some(), "a new instance does not know");
}

#[test]
fn signing_alone_never_calls_for_the_next_checkpoint() {
    let (machine, lanes) = (Machine::new(), [words(LANE_WORDS), words(LANE_WORDS)]);
    let (mut collector, _) = signing(&machine, &lanes);
    let mut env = outside();
    for round in 1..20u64 {
        env.now_ns += 6_000_000_000;
        let cap = CapName::new(Capability::new("key.checkpoint").unwrap());
        let about = Record::new(Op::CheckCapDelegated, Decision::Allow, Reason::Policy);
        machine.producer().push(&Record { cap, ..about }.to_words()).unwrap();
        collector.drain(&mut env);
        assert!(collector.journal.newest_checkpoint().is_none(), "{round}");
    }
    machine.producer().push(&decision(20, 1)).unwrap();
    collector.drain(&mut env);
    assert_eq!(collector.journal.newest_checkpoint().unwrap().number, 1);
}

#[test]
fn test_reject_seals_of_checkpoints_that_never_were() {
    let (machine, lanes) = (Machine::new(), [words(LANE_WORDS), words(LANE_WORDS)]);
    let (mut collector, mut signer) = signing(&machine, &lanes);
    let mut garbage = reply(1).to_words();
    garbage[15] = 1;
    for words in [reply(7).to_words(), garbage] {
        signer.seals.push(&words).unwrap();
    }
    collector.drain(&mut outside());
    let records = all(&collector);
    let told = records.iter().filter(|r| r.op == Op::Seal && r.decision == Decision::Deny);
    assert_eq!(told.map(|r| (r.enforcer, r.target)).collect::<Vec<_>>(), [(4, 7), (4, 0)]);
}

#[test]
fn the_last_checkpoint_covers_everything_and_waits_for_its_seal_or_its_time() {
    let (machine, lanes) = (Machine::new(), [words(LANE_WORDS), words(LANE_WORDS)]);
    let (mut collector, mut signer) = signing(&machine, &lanes);
    let mut env = outside();
    machine.producer().push(&decision(20, 1)).unwrap();
    collector.close(&mut env);
    let records = all(&collector);
    assert_eq!(records.last().unwrap().op, Op::Shutdown, "the last word");
    assert_eq!(collector.closed(false, 1), None, "not signed yet");
    let late = collector.closed(true, 1).unwrap();
    assert_eq!((late.last_seq, late.seal), (records.last().unwrap().seq, Seal::Unsigned));
    let request = SealRequest::from_words(&signer.requests.pop().unwrap()).unwrap();
    signer.seals.push(&reply(request.number).to_words()).unwrap();
    assert_ne!(collector.closed(false, 1).unwrap().seal, Seal::Unsigned);
    let alone = Machine::new();
    let mut collector = alone.collector();
    collector.close(&mut env);
    assert!(collector.closed(false, 1).is_some(), "nobody signs, so nobody is waited for");
}
