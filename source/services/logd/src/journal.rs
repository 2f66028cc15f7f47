//! The audit journal in memory that outlives logd. Guards that what was stored stays stored over
//! a restart, that a half-written slot is never read as a record, and that space is shared fairly.

use core::sync::atomic::AtomicU64;

use nexus_wire::audit::Record;

use crate::{
    fair::Fair,
    ledger::{Copies, Ledger, Source},
    words::{Words, check},
};

/// Words of the header: magic, layout, room, two copies of the ledger.
const HEADER_WORDS: usize = 64;
/// Words of one slot: the record (its first word is its number in the journal), where it came
/// from, a check over both.
const SLOT_WORDS: usize = Record::WORDS + 2;
/// Where the source is in a slot.
const SOURCE_AT: usize = Record::WORDS;
/// Where the check is in a slot.
const CHECK_AT: usize = Record::WORDS + 1;
/// Marks a journal of this layout ("NXJRNL01").
const MAGIC: u64 = u64::from_le_bytes(*b"NXJRNL01");
/// Where the two ledgers start.
const LEDGER_AT: usize = 16;
/// Subjects that get an order of their own: twice the processes the kernel can hold, since
/// records of ended bundles stay.
const HOLDERS: usize = 64;

const _: () = assert!(LEDGER_AT + Copies::WORDS <= HEADER_WORDS);

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
}

/// What a slot holds.
enum Slot {
    Empty,
    Damaged,
    Holds(Source, Record),
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
        let order = Fair::nothing();
        let mut journal = Journal { words, copies, ledger: Ledger::START, order };
        let known = words.get(0) == MAGIC && words.get(1) == Self::LAYOUT;
        let kept = journal.copies.load().filter(|_| known);
        let found = match kept {
            Some(ledger) => {
                journal.ledger = ledger;
                Found::Kept { damaged: journal.recover() }
            }
            None => journal.format(),
        };
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
        let seq = self.ledger.next_seq;
        let claim = self.order.claim(record.subject)?;
        self.write(claim.slot, seq, source, record);
        self.ledger.account(source);
        self.copies.save(&self.ledger);
        Some(seq)
    }

    /// Records from number `since` on, oldest first, each with its journal number as `seq`.
    pub(crate) fn from(&self, since: u64) -> impl Iterator<Item = Record> + '_ {
        let slots = self.order.iter();
        slots
            .filter(move |slot| self.slot(*slot).get(0) >= since)
            .filter_map(|slot| self.read(slot))
    }

    fn slot(&self, slot: usize) -> Words<'v> {
        let at = slot.saturating_mul(SLOT_WORDS).saturating_add(HEADER_WORDS);
        self.words.window(at, SLOT_WORDS)
    }

    /// INVARIANT: the slot's number is 0 from the first changed word to the last, so a death in
    /// between leaves a slot without number, which is no record.
    fn write(&self, slot: usize, seq: u64, source: Source, record: &Record) {
        let place = self.slot(slot);
        let words = Record { seq, ..*record }.to_words();
        let source = source.to_word();
        let [_, body @ ..] = &words;
        place.retract(0);
        place.fill(1, body);
        place.set(SOURCE_AT, source);
        place.set(CHECK_AT, sum(source, &words));
        place.publish(0, seq);
    }

    fn read(&self, slot: usize) -> Option<Record> {
        match self.inspect(slot) {
            Slot::Holds(_, record) => Some(record),
            Slot::Empty | Slot::Damaged => None,
        }
    }

    fn inspect(&self, slot: usize) -> Slot {
        let place = self.slot(slot);
        let words = place.array::<{ Record::WORDS }>(0);
        let source = place.get(SOURCE_AT);
        let [seq, ..] = words;
        if seq == 0 && source == 0 {
            return Slot::Empty;
        }
        let good = seq != 0 && place.get(CHECK_AT) == sum(source, &words);
        match (good, Source::from_word(source), Record::from_words(&words)) {
            (true, Some(source), Some(record)) => Slot::Holds(source, record),
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
        let Slot::Holds(source, record) = self.inspect(slot) else { return self.wipe(slot) };
        let last = self.order.newest().map_or(0, |newest| self.slot(newest).get(0));
        let unwritten = record.seq == self.ledger.next_seq && self.ledger.admits(source);
        if record.seq <= last || (record.seq >= self.ledger.next_seq && !unwritten) {
            return self.wipe(slot);
        }
        if unwritten {
            self.ledger.account(source);
        }
        self.order.adopt(slot, record.subject);
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

fn sum(source: u64, words: &[u64; Record::WORDS]) -> u64 {
    check(words.iter().copied().chain([source]))
}

#[cfg(test)]
mod tests;
