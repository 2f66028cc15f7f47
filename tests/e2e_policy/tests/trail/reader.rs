//! Who reads the journal: one that keeps up and one that does not.

use std::collections::{BTreeMap, BTreeSet};

use nexus_audit::{Digest, link};
use nexus_wire::{
    Bytes,
    audit::{Chained, Op, Reason, Record},
    log,
};

use crate::world::{Fate, World};

/// Reads everything before it can be dropped, and holds it against the chains.
#[derive(Default)]
pub(crate) struct Witness {
    next: u64,
    records: Vec<Record>,
    by_time: BTreeMap<u64, Vec<Record>>,
    outcomes: BTreeMap<u64, Vec<Record>>,
    heads: BTreeMap<u8, Digest>,
}

impl Witness {
    /// Reads to the end; reading is recorded too, so the end is where a page is not full.
    pub(crate) fn catch_up(&mut self, world: &mut World) {
        loop {
            let op = log::Op::AuditChain { since_seq: self.next, max: 3 };
            let page = world.request(op, |reply| match reply {
                log::Reply::AuditChain { next_seq, page, .. } => {
                    (*next_seq, page.iter().collect::<Vec<_>>())
                }
                _ => panic!("not a page"),
            });
            // Denied for want of room for the record of it: draining makes room.
            let Some((next, page)) = page else {
                world.tick();
                continue;
            };
            page.iter().for_each(|chained| self.take(chained));
            self.next = next;
            if page.len() < 3 {
                return;
            }
        }
    }

    /// After anything else that drained the lanes: two drains could drop what was never read.
    pub(crate) fn catch_up_if_it_lives(&mut self, world: &mut World) {
        if world.logd.is_some() {
            self.catch_up(world);
        }
    }

    fn take(&mut self, chained: &Chained) {
        let record = Record::decode(&chained.bytes).expect("a record");
        assert_eq!(record.seq, self.len() + 1, "each number once, none left out");
        let head = self.heads.insert(chained.lane, link(&chained.before, &chained.bytes));
        assert!(head.is_none_or(|head| head == chained.before), "{}: a broken chain", record.seq);
        let by = if record.op.is_outcome() { &mut self.outcomes } else { &mut self.by_time };
        let key = if record.op.is_outcome() { record.args[1] } else { record.time_ns };
        let own = matches!(record.op, Op::Lost | Op::Dropped | Op::Health);
        if !own && !record.op.is_kernel() {
            by.entry(key).or_default().push(record);
        }
        self.records.push(record);
    }

    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Decisions of this time.
    pub(crate) fn at(&self, time_ns: u64) -> &[Record] {
        self.by_time.get(&time_ns).map_or(&[], Vec::as_slice)
    }

    /// Outcomes of this act.
    pub(crate) fn outcome(&self, id: u64) -> &[Record] {
        self.outcomes.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The journal's number of a decision, by its number in policyd's lane.
    pub(crate) fn number_of(&self, world: &World, decision: u64) -> u64 {
        match decision {
            0 => 0,
            seq => {
                let Fate::Stored(record) = &world.rest.fates[seq as usize] else {
                    panic!("allowed, and not recorded: {seq}")
                };
                self.at(record.time_ns)[0].seq
            }
        }
    }

    /// The numbers a producer lost, each told once.
    pub(crate) fn lost(&self, enforcer: u64, reason: Reason) -> BTreeSet<u64> {
        let mut all = BTreeSet::new();
        for record in self.records.iter().filter(|r| r.op == Op::Lost && r.enforcer == enforcer) {
            let [first, last] = record.args;
            assert_eq!((record.reason, record.target), (reason, last - first + 1));
            assert!((first..=last).all(|seq| all.insert(seq)), "told twice: {first} to {last}");
        }
        all
    }
}

/// Reads a page now and then, and is overtaken.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    next: u64,
    pub(crate) pages: u64,
    pub(crate) overtaken: u64,
}

impl Slow {
    pub(crate) fn page(&mut self, world: &mut World, witness: &Witness) {
        let op = log::Op::AuditSearch {
            since_seq: self.next,
            until_seq: 0,
            since_ns: 0,
            until_ns: 0,
            subject: 0,
            enforcer: 0,
            op: 0,
            decision: 0,
            request_nonce: 0,
            max: 3,
            capability: Bytes::new(b"").expect("empty"),
        };
        let page = world.request(op, |reply| match reply {
            log::Reply::AuditSearch { next_seq, overtaken, page } => {
                (*next_seq, *overtaken, page.iter().collect::<Vec<_>>())
            }
            _ => panic!("not a page"),
        });
        let Some((next, overtaken, page)) = page else { return };
        let first = page.first().map_or(next, |record| record.seq);
        assert!(first <= self.next.max(1) || overtaken == 1, "a silent gap before {first}");
        for record in &page {
            assert!(record.seq >= self.next, "the cursor went back");
            let seen = witness.records.get(record.seq as usize - 1);
            assert!(seen.is_none_or(|seen| seen == record), "two readers, two journals");
        }
        (self.next, self.pages) = (next.max(1), self.pages + 1);
        self.overtaken += u64::from(overtaken);
    }

    /// Dies, and begins anew somewhere.
    pub(crate) fn forget(&mut self, world: &mut World) {
        self.next = 1 + world.rest.chance(self.next + 1);
    }
}
