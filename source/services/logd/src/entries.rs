//! Ordinary log entries, apart from the audit. Guards that a chatty writer evicts only itself
//! and that the writer's id is the one the kernel stamped.

use core::sync::atomic::AtomicU64;

use nexus_wire::log::{ENTRY_DATA_MAX, Entry, Level, Stored};

use crate::{fair::Fair, words::Words};

/// Entries kept; what fits 128 KiB.
pub const RECORDS: usize = 256;
/// Words of an entry's texts.
const DATA_WORDS: usize = ENTRY_DATA_MAX.div_ceil(8);
/// Bytes of an entry's texts, in whole words.
const DATA_BYTES: usize = DATA_WORDS * 8;
/// Where the texts start: after id, time, writer and lengths.
const DATA_AT: usize = 4;
/// Words of one slot.
const SLOT_WORDS: usize = 64;
/// Bytes of memory the entries need.
pub const BYTES: usize = RECORDS * SLOT_WORDS * 8;
/// Writers with an order of their own: every process the kernel can hold.
const HOLDERS: usize = 32;

const _: () = assert!(DATA_AT + DATA_WORDS <= SLOT_WORDS);

/// An entry read back.
pub(crate) struct Read {
    head: [u64; DATA_AT],
    data: [u8; DATA_BYTES],
}

impl Read {
    /// The entry; `None` only if the memory was tampered with.
    pub(crate) fn stored(&self) -> Option<Stored<'_>> {
        let [record_id, time_ns, service, lens] = self.head;
        let [level, scope, m0, m1, f0, f1, _, _] = lens.to_le_bytes();
        let (scope, rest) = self.data.split_at_checked(usize::from(scope))?;
        let (message, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([m0, m1])))?;
        let fields = rest.get(..usize::from(u16::from_le_bytes([f0, f1])))?;
        let entry = Entry::new(Level::from_code(level)?, scope, message, fields)?;
        Some(Stored { record_id, time_ns, service, entry })
    }

    /// Bytes of its texts.
    fn used(&self) -> u32 {
        self.stored().map_or(0, |stored| texts(&stored.entry))
    }
}

fn texts(entry: &Entry<'_>) -> u32 {
    let len = entry.scope().len().saturating_add(entry.message().len());
    len.saturating_add(entry.fields().len()) as u32
}

/// How full the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Records ever stored by this instance.
    pub(crate) total: u64,
    /// Of these, evicted.
    pub(crate) dropped: u64,
    /// Records now.
    pub(crate) records: u32,
    /// Bytes of data now.
    pub(crate) bytes: u32,
}

/// The log.
pub(crate) struct Entries<'v> {
    words: Words<'v>,
    order: Fair<RECORDS, HOLDERS>,
    last_ns: u64,
    usage: Usage,
}

impl<'v> Entries<'v> {
    /// An empty log over zeroed memory; `None` if it is too small.
    pub(crate) fn new(memory: &'v [AtomicU64]) -> Option<Self> {
        let words = Words(memory.get(..RECORDS * SLOT_WORDS)?);
        let usage = Usage { total: 0, dropped: 0, records: 0, bytes: 0 };
        Some(Entries { words, order: Fair::empty(), last_ns: 0, usage })
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// Stores an entry of `service`; its number.
    pub(crate) fn append(&mut self, entry: &Entry<'_>, service: u64, now_ns: u64) -> u64 {
        let Some(claim) = self.order.claim(service) else { return 0 };
        if claim.evicted {
            self.forget(claim.slot);
        }
        // Strictly growing, so that a reader can page by time.
        self.last_ns = self.last_ns.saturating_add(1).max(now_ns);
        self.usage.total = self.usage.total.saturating_add(1);
        self.usage.records = self.usage.records.saturating_add(1);
        self.usage.bytes = self.usage.bytes.saturating_add(texts(entry));
        self.write(claim.slot, [self.usage.total, self.last_ns, service], entry);
        self.usage.total
    }

    /// Entries written at or after `since_ns`, oldest first.
    pub(crate) fn since(&self, since_ns: u64) -> impl Iterator<Item = Read> + '_ {
        let late = move |slot: &usize| self.slot(*slot).get(1) >= since_ns;
        self.order.iter().filter(late).map(|slot| self.read(slot))
    }

    fn slot(&self, slot: usize) -> Words<'v> {
        self.words.window(slot.saturating_mul(SLOT_WORDS), SLOT_WORDS)
    }

    fn forget(&mut self, slot: usize) {
        let bytes = self.read(slot).used();
        self.usage.dropped = self.usage.dropped.saturating_add(1);
        self.usage.records = self.usage.records.saturating_sub(1);
        self.usage.bytes = self.usage.bytes.saturating_sub(bytes);
    }

    fn write(&self, slot: usize, [id, time_ns, service]: [u64; 3], entry: &Entry<'_>) {
        let (scope, message, fields) = (entry.scope(), entry.message(), entry.fields());
        let [m0, m1] = (message.len() as u16).to_le_bytes();
        let [f0, f1] = (fields.len() as u16).to_le_bytes();
        let lens = [entry.level().code(), scope.len() as u8, m0, m1, f0, f1, 0, 0];
        let mut data = [0u8; DATA_BYTES];
        for (to, from) in data.iter_mut().zip(scope.iter().chain(message).chain(fields)) {
            *to = *from;
        }
        let place = self.slot(slot);
        place.fill(0, &[id, time_ns, service, u64::from_le_bytes(lens)]);
        for (at, chunk) in data.as_chunks::<8>().0.iter().enumerate() {
            place.set(at.saturating_add(DATA_AT), u64::from_le_bytes(*chunk));
        }
    }

    fn read(&self, slot: usize) -> Read {
        let place = self.slot(slot);
        let mut data = [0u8; DATA_BYTES];
        for (at, chunk) in data.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *chunk = place.get(at.saturating_add(DATA_AT)).to_le_bytes();
        }
        Read { head: place.array(0), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Vec<AtomicU64> {
        (0..BYTES / 8).map(|_| AtomicU64::new(0)).collect()
    }

    fn entry(message: &[u8]) -> Entry<'_> {
        Entry::new(Level::Info, b"a.b", message, b"k=v").unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let memory = memory();
        let mut log = Entries::new(&memory).unwrap();
        assert_eq!(log.append(&entry(b"hello"), 20, 5), 1);
        assert_eq!(log.append(&entry(b""), 21, 5), 2);
        let read: Vec<_> = log.since(0).collect();
        let (first, second) = (read[0].stored().unwrap(), read[1].stored().unwrap());
        assert_eq!(first.entry, entry(b"hello"));
        assert_eq!((first.service, second.service), (20, 21));
        assert!(second.time_ns > first.time_ns, "time orders and pages");
        assert_eq!(log.since(first.time_ns + 1).count(), 1);
        assert_eq!(log.usage(), Usage { total: 2, dropped: 0, records: 2, bytes: 17 });
    }

    #[test]
    fn the_longest_entry_is_kept_whole() {
        let memory = memory();
        let mut log = Entries::new(&memory).unwrap();
        let long = [7; ENTRY_DATA_MAX - 256];
        let entry = Entry::new(Level::Trace, b"", &[9; 256], &long).unwrap();
        log.append(&entry, 1, 0);
        assert_eq!(log.since(0).next().unwrap().stored().unwrap().entry, entry);
    }

    #[test]
    fn a_chatty_writer_evicts_only_itself() {
        let memory = memory();
        let mut log = Entries::new(&memory).unwrap();
        log.append(&entry(b"precious"), 3, 0);
        for n in 0..10 * RECORDS as u64 {
            log.append(&entry(b"noise"), 99, n);
        }
        let precious = |r: &Read| r.stored().unwrap().entry.message() == b"precious";
        assert_eq!(log.since(0).filter(precious).count(), 1);
        let usage = log.usage();
        assert_eq!(usage.records as usize, RECORDS);
        assert_eq!(usage.total, usage.dropped + u64::from(usage.records));
        assert_eq!(log.since(0).map(|r| r.used()).sum::<u32>(), usage.bytes);
    }

    #[test]
    fn test_reject_memory_that_is_too_small() {
        assert!(Entries::new(&memory()[1..]).is_none());
    }
}
