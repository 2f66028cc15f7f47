//! The audit journal in memory that outlives logd. Guards that what was stored stays stored over
//! a restart, that a half-written slot is never read as a record, that space is shared fairly,
//! and that every record is chained to the one before it of the same subject.
//!
//! Each holder of the fair order is a lane with a chain of its own: only the front of a lane ever
//! goes, so what is left of it still proves itself against a checkpoint.

use core::sync::atomic::AtomicU64;

use nexus_audit::{Checkpoint, Counts, Digest, LANES, genesis, link, root};
use nexus_wire::audit::{Chained, Decision, Op, Reason, Record, SealReply};

use crate::{
    fair::Fair,
    ledger::{Copies, Ledger, Source},
    seals::{Drops, Sealed, Seals},
    words::{Words, check, digest_words, words_digest},
};

/// Words of the header: magic, layout, room, two copies of the ledger, checkpoints, signatures.
const HEADER_WORDS: usize = 520;
/// Words of one slot: the record (its first word is its number in the journal), where it came
/// from and its lane, the chain value before it, a check over all of it.
const SLOT_WORDS: usize = CHECK_AT + 1;
/// Where the source is in a slot.
const SOURCE_AT: usize = Record::WORDS;
/// Where the chain value is in a slot.
const BEFORE_AT: usize = SOURCE_AT + 1;
/// Where the check is in a slot.
const CHECK_AT: usize = BEFORE_AT + 4;
/// Marks a journal of this layout ("NXJRNL03").
const MAGIC: u64 = u64::from_le_bytes(*b"NXJRNL03");
/// Where the two ledgers start.
const LEDGER_AT: usize = 16;
/// Where the checkpoints start.
const SEALS_AT: usize = 64;
/// Subjects that get a lane of their own: twice the processes the kernel can hold, since
/// records of ended bundles stay.
const HOLDERS: usize = LANES;
/// Which boot this is; 0 until a durable boot counter exists.
const BOOT_ID: u64 = 0;
/// New records after which a checkpoint is due.
const SEAL_RECORDS: u64 = 256;
/// Time after which a checkpoint is due if there is any new record.
const SEAL_NS: u64 = 5_000_000_000;

/// The capability under which keystored signs checkpoints for logd.
const SEALING: &[u8] = b"key.checkpoint";

const _: () = assert!(LEDGER_AT + Copies::WORDS <= SEALS_AT);
const _: () = assert!(SEALS_AT + Seals::WORDS <= HEADER_WORDS);

/// Records a journal of `bytes` bytes holds.
#[must_use]
pub(crate) const fn records_in(bytes: usize) -> usize {
    (bytes / 8).saturating_sub(HEADER_WORDS) / SLOT_WORDS
}

/// How a journal was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Untouched memory.
    Fresh,
    /// A journal of an earlier instance.
    Kept {
        /// Slots that were half-written or made no sense; they hold no record any more.
        damaged: u64,
    },
    /// Something else; it was wiped. What it held counts as lost.
    Foreign,
}

/// The journal over its memory, with the order of its records in process memory.
pub(crate) struct Journal<'v, const SLOTS: usize> {
    words: Words<'v>,
    copies: Copies<'v>,
    ledger: Ledger,
    order: Fair<SLOTS, HOLDERS>,
    /// Chain value after the newest record of each lane.
    heads: [Digest; HOLDERS],
    seals: Seals<'v>,
    drops: Drops<HOLDERS>,
    /// Version and digest (its head) of the policy the decisions were made by.
    policy: [u64; 2],
    /// Whether a record behind the newest checkpoint is about anything but signing one.
    news: bool,
}

/// What a slot holds.
enum Slot {
    Empty,
    Damaged,
    Holds(Held),
}

/// A valid slot.
struct Held {
    source: Source,
    lane: u8,
    before: Digest,
    record: Record,
}

impl<'v, const SLOTS: usize> Journal<'v, SLOTS> {
    /// Words needed.
    const WORDS: usize = HEADER_WORDS + SLOTS * SLOT_WORDS;
    /// Layout word: slot size and count, so that another build's journal is not misread.
    const LAYOUT: u64 = ((SLOT_WORDS as u64) << 32) | SLOTS as u64;

    /// Takes over what is in `memory`, treating it as hostile; `None` if it is too small.
    pub(crate) fn attach(memory: &'v [AtomicU64]) -> Option<(Self, Found)> {
        let words = Words(memory.get(..Self::WORDS)?);
        let copies = Copies::over(words.window(LEDGER_AT, Copies::WORDS));
        let seals = Seals::over(words.window(SEALS_AT, Seals::WORDS));
        let mut heads = [[0; 32]; HOLDERS];
        for (lane, head) in heads.iter_mut().enumerate() {
            *head = genesis(BOOT_ID, lane as u8);
        }
        let (ledger, order, drops) = (Ledger::START, Fair::nothing(), Drops::NONE);
        let mut journal = Journal {
            words,
            copies,
            ledger,
            order,
            heads,
            seals,
            drops,
            policy: [0; 2],
            news: false,
        };
        let known = words.get(0) == MAGIC && words.get(1) == Self::LAYOUT;
        let kept = journal.copies.load().filter(|_| known);
        let found = match kept {
            Some(ledger) => {
                journal.ledger = ledger;
                Found::Kept { damaged: journal.recover() }
            }
            None => journal.format(),
        };
        journal.seals.load(journal.ledger.next_seq);
        journal.news = journal.unsealed() > 0;
        journal.ledger.attached = journal.ledger.attached.saturating_add(1);
        journal.copies.save(&journal.ledger);
        Some((journal, found))
    }

    /// The counters.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records in the journal now.
    pub(crate) const fn retained(&self) -> u64 {
        self.order.len() as u64
    }

    /// Adds a record and accounts for its source in one step; the number it got. `None` if the
    /// source was accounted for already.
    pub(crate) fn put(&mut self, record: &Record, source: Source) -> Option<u64> {
        if !self.ledger.admits(source) {
            return None;
        }
        self.make_room(record.time_ns);
        let seq = self.ledger.next_seq;
        let claim = self.order.claim(record.subject)?;
        let record = Record { seq, ..*record };
        let lane = self.order.holder(record.subject);
        let place = self.heads.get_mut(lane)?;
        let before = core::mem::take(place);
        *place = link(&before, &record.encode());
        self.write(claim.slot, &Held { source, lane: lane as u8, before, record });
        self.ledger.account(source);
        self.copies.save(&self.ledger);
        self.learn(&record);
        self.news |= !is_about_sealing(&record);
        if self.unsealed() >= SEAL_RECORDS {
            self.seal(record.time_ns);
        }
        Some(seq)
    }

    /// What has to go for the next record is noted, and goes only behind a checkpoint.
    fn make_room(&mut self, now_ns: u64) {
        let Some((lane, slot)) = self.order.victim() else { return };
        let seq = self.slot(slot).get(0);
        if seq > self.seals.covered() {
            self.seal(now_ns);
        }
        let denied = self.read(slot).is_some_and(|held| held.record.decision == Decision::Deny);
        self.drops.note(lane, seq, denied);
    }

    /// Keeps which policy is in force.
    fn learn(&mut self, record: &Record) {
        if record.op == Op::PolicyLoad && record.decision == Decision::Allow {
            self.policy = record.args;
        }
    }

    /// Records behind the newest checkpoint.
    const fn unsealed(&self) -> u64 {
        self.ledger.entered().saturating_sub(self.seals.covered())
    }

    /// Makes a checkpoint if one is due by time, and then writes down what was dropped.
    pub(crate) fn settle(&mut self, now_ns: u64) {
        let old = now_ns.saturating_sub(self.seals.made_ns()) >= SEAL_NS;
        if old && self.news {
            self.seal(now_ns);
            self.report_drops(now_ns);
        }
    }

    /// One record for each lane that lost its front since the last time.
    fn report_drops(&mut self, now_ns: u64) {
        let mut owners = [0; HOLDERS];
        for (lane, subject, _) in self.order.held() {
            if let Some(owner) = owners.get_mut(lane) {
                *owner = subject;
            }
        }
        for (lane, subject) in owners.into_iter().enumerate() {
            let Some(drop) = self.drops.take(lane) else { continue };
            let record = Record {
                time_ns: now_ns,
                enforcer: nexus_system::ids::LOGD.0,
                subject,
                target: drop.count,
                nonce: u32::try_from(drop.denials).unwrap_or(u32::MAX),
                args: [drop.first, drop.last],
                ..Record::new(Op::Dropped, Decision::None, Reason::Quota)
            };
            let _number = self.put(&record, Source::Own);
        }
    }

    /// The newest checkpoint, made now if there are newer records; or an older one by its number.
    pub(crate) fn checkpoint(&mut self, number: u64, now_ns: u64) -> Option<Checkpoint> {
        if number == 0 && (self.unsealed() > 0 || self.seals.newest().is_none()) {
            self.seal(now_ns);
        }
        if number == 0 { self.seals.newest() } else { self.seals.numbered(number) }
    }

    #[inline(never)]
    fn seal(&mut self, now_ns: u64) {
        let lanes =
            self.order.held().filter_map(|(lane, ..)| Some((lane as u8, *self.heads.get(lane)?)));
        let (ledger, last) = (&self.ledger, self.seals.newest());
        let first = self.order.iter().next().map_or(0, |slot| self.slot(slot).get(0));
        let [policy_version, policy] = self.policy;
        let point = Checkpoint {
            number: last.map_or(0, |last| last.number).saturating_add(1),
            boot_id: BOOT_ID,
            time_ns: now_ns,
            first_seq: first,
            last_seq: ledger.entered(),
            counts: Counts {
                stored: ledger.all_lanes().stored,
                lost: ledger.all_lanes().lost,
                kernel_stored: ledger.kernel.stored,
                kernel_lost: ledger.kernel.lost,
                own: ledger.own,
                evicted: ledger.entered().saturating_sub(self.retained()),
            },
            lanes: self.order.held().count() as u64,
            policy_version,
            policy: words_digest([policy, 0, 0, 0]),
            root: root(lanes),
            previous: last.map_or([0; 32], |last| last.digest()),
            ..Checkpoint::default()
        };
        self.seals.save(&point, now_ns);
        self.news = false;
    }

    /// The newest checkpoint, if there is one.
    pub(crate) const fn newest_checkpoint(&self) -> Option<Checkpoint> {
        self.seals.newest()
    }

    /// Puts a signature to its checkpoint.
    pub(crate) fn sign(&mut self, reply: &SealReply) -> Sealed {
        self.seals.sign(reply)
    }

    /// The number of the record that came from there, while it is held.
    pub(crate) fn number_of(&self, source: Source) -> Option<u64> {
        let slots = (0..SLOTS).map(|slot| self.slot(slot));
        let mut of = slots.filter(|slot| source.is_of(slot.get(SOURCE_AT)));
        of.next().map(|slot| slot.get(0)).filter(|number| *number > 0)
    }

    /// Whether records from `since` on that `subject` (0: anybody) could have had are gone.
    pub(crate) fn overtaken(&self, since: u64, subject: u64) -> bool {
        since > 0 && {
            let only = (subject != 0).then(|| self.order.holder(subject));
            self.drops.reach(only) >= since
        }
    }

    /// Records from number `since` on, oldest first, with their place in the chains.
    pub(crate) fn chained(&self, since: u64) -> impl Iterator<Item = (u64, Chained)> + '_ {
        self.held_from(since).map(|held| {
            let Held { lane, before, record, .. } = held;
            (record.seq, Chained { lane, before, bytes: record.encode() })
        })
    }

    /// Records from number `since` on, oldest first, each with its journal number as `seq`.
    pub(crate) fn from(&self, since: u64) -> impl Iterator<Item = Record> + '_ {
        self.held_from(since).map(|held| held.record)
    }

    fn held_from(&self, since: u64) -> impl Iterator<Item = Held> + '_ {
        let slots = self.order.iter().filter(move |slot| self.slot(*slot).get(0) >= since);
        slots.filter_map(|slot| self.read(slot))
    }

    fn slot(&self, slot: usize) -> Words<'v> {
        let at = slot.saturating_mul(SLOT_WORDS).saturating_add(HEADER_WORDS);
        self.words.window(at, SLOT_WORDS)
    }

    /// INVARIANT: the slot's number is 0 from the first changed word to the last, so a death in
    /// between leaves a slot without number, which is no record.
    fn write(&self, slot: usize, held: &Held) {
        let place = self.slot(slot);
        let words = held.record.to_words();
        let [seq, body @ ..] = &words;
        let source = held.source.with_chain(held.lane);
        let before = digest_words(&held.before);
        place.retract(0);
        place.fill(1, body);
        place.set(SOURCE_AT, source);
        place.fill(BEFORE_AT, &before);
        place.set(CHECK_AT, sum(source, &words, &before));
        place.publish(0, *seq);
    }

    fn read(&self, slot: usize) -> Option<Held> {
        match self.inspect(slot) {
            Slot::Holds(held) => Some(held),
            Slot::Empty | Slot::Damaged => None,
        }
    }

    fn inspect(&self, slot: usize) -> Slot {
        let place = self.slot(slot);
        let words = place.array::<{ Record::WORDS }>(0);
        let (word, before) = (place.get(SOURCE_AT), place.array::<4>(BEFORE_AT));
        let [seq, ..] = words;
        if seq == 0 && word == 0 {
            return Slot::Empty;
        }
        let lane = Source::chain(word);
        let sound = seq != 0 && usize::from(lane) < HOLDERS;
        let good = sound && place.get(CHECK_AT) == sum(word, &words, &before);
        match (good, Source::from_word(word), Record::from_words(&words)) {
            (true, Some(source), Some(record)) => {
                Slot::Holds(Held { source, lane, before: words_digest(before), record })
            }
            _ => Slot::Damaged,
        }
    }

    /// Wipes everything; the magic comes last so that a death in between wipes again.
    fn format(&mut self) -> Found {
        let fresh = (0..self.words.len()).all(|at| self.words.get(at) == 0);
        self.words.retract(0);
        for at in 0..self.words.len() {
            self.words.set(at, 0);
        }
        self.ledger = Ledger::START;
        self.copies.save(&self.ledger);
        self.words.set(1, Self::LAYOUT);
        self.words.publish(0, MAGIC);
        self.order = Fair::empty();
        if fresh { Found::Fresh } else { Found::Foreign }
    }

    /// Rebuilds the order from the slots; how many were damaged.
    fn recover(&mut self) -> u64 {
        let mut slots = [0u16; SLOTS];
        let mut held = 0usize;
        let mut damaged = 0u64;
        for slot in 0..SLOTS {
            match self.inspect(slot) {
                Slot::Empty => self.order.release(slot),
                Slot::Damaged => damaged = damaged.saturating_add(self.wipe(slot)),
                Slot::Holds(..) => {
                    if let (Some(place), Ok(index)) = (slots.get_mut(held), u16::try_from(slot)) {
                        *place = index;
                        held = held.saturating_add(1);
                    }
                }
            }
        }
        let held = slots.get_mut(..held).unwrap_or_default();
        held.sort_unstable_by_key(|slot| self.slot(*slot as usize).get(0));
        for slot in held {
            damaged = damaged.saturating_add(self.readmit(*slot as usize));
        }
        self.ledger.damaged = self.ledger.damaged.saturating_add(damaged);
        damaged
    }

    /// Takes a valid slot back in. A number seen already or from the future is no record of ours;
    /// the number next in line is one whose ledger entry the predecessor did not live to write.
    fn readmit(&mut self, slot: usize) -> u64 {
        let Slot::Holds(held) = self.inspect(slot) else { return self.wipe(slot) };
        let Held { source, lane, before, record } = held;
        let last = self.order.newest().map_or(0, |newest| self.slot(newest).get(0));
        let unwritten = record.seq == self.ledger.next_seq && self.ledger.admits(source);
        if record.seq <= last || (record.seq >= self.ledger.next_seq && !unwritten) {
            return self.wipe(slot);
        }
        if unwritten {
            self.ledger.account(source);
        }
        let lane = usize::from(lane);
        let fresh = self.order.held().all(|(held, ..)| held != lane);
        self.order.adopt_into(slot, record.subject, lane);
        if let Some(head) = self.heads.get_mut(lane) {
            if fresh && before != *head {
                self.drops.assume(lane, record.seq.saturating_sub(1));
            }
            *head = link(&before, &record.encode());
        }
        self.learn(&record);
        0
    }

    /// Empties a damaged slot; counts one.
    fn wipe(&mut self, slot: usize) -> u64 {
        let place = self.slot(slot);
        for at in 0..SLOT_WORDS {
            place.set(at, 0);
        }
        self.order.release(slot);
        1
    }
}

/// Signing a checkpoint leaves records itself; if they called for the next checkpoint, an idle
/// system would never come to rest.
fn is_about_sealing(record: &Record) -> bool {
    record.op == Op::Seal || record.cap.as_bytes() == SEALING
}

fn sum(source: u64, words: &[u64; Record::WORDS], before: &[u64; 4]) -> u64 {
    check(words.iter().chain(before).copied().chain([source]))
}

#[cfg(test)]
mod tests;
