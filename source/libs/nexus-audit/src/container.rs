//! The file an export is: a header, the start of each lane, records in order of their numbers
//! with checkpoints behind the record they cover, an end with a digest of it all.

use nexus_wire::audit::Record;

use crate::{
    chain::{Digest, LANES, genesis, link},
    checkpoint::Checkpoint,
};

/// Magic and version of the file.
const MAGIC: [u8; 8] = *b"NXAUDIT1";
/// Bytes of the header: magic, boot id.
const HEADER: usize = 16;
/// Most records in one file: bounds what reading one takes.
pub const RECORDS_MAX: u64 = 1 << 20;

const KIND_LANE: u8 = 1;
const KIND_RECORD: u8 = 2;
const KIND_CHECKPOINT: u8 = 3;
const KIND_END: u8 = 4;

/// Where a lane begins in this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStart {
    /// Its number.
    pub lane: u8,
    /// Its first record here.
    pub first_seq: u64,
    /// The chain value before that record; [`genesis`] if nothing was dropped.
    pub before: Digest,
}

impl LaneStart {
    /// Whether older records of the lane were dropped.
    #[must_use]
    pub fn dropped(&self, boot_id: u64) -> bool {
        self.before != genesis(boot_id, self.lane)
    }
}

/// One thing in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A lane begins.
    Lane(LaneStart),
    /// A record, and the chain value after it.
    Record {
        /// Its lane.
        lane: u8,
        /// [`link`] of the value before and the record.
        link: &'a Digest,
        /// The record.
        bytes: &'a [u8; Record::BYTES],
    },
    /// A checkpoint.
    Checkpoint(&'a [u8; Checkpoint::BYTES]),
    /// The end.
    End {
        /// Records in the file.
        records: u64,
        /// BLAKE3 of every byte before this entry.
        digest: &'a Digest,
    },
}

/// The file is none, or damaged from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub at: usize,
}

/// Reads a file entry by entry.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    file: &'a [u8],
    at: usize,
    boot_id: u64,
}

impl<'a> Entries<'a> {
    /// Over the bytes of a file.
    ///
    /// # Errors
    /// [`Damage`] if it does not begin as one.
    pub fn open(file: &'a [u8]) -> Result<Self, Damage> {
        let (magic, rest) = file.split_first_chunk::<8>().ok_or(Damage { at: 0 })?;
        let boot_id = rest.first_chunk::<8>().ok_or(Damage { at: 8 })?;
        if *magic != MAGIC {
            return Err(Damage { at: 0 });
        }
        Ok(Entries { file, at: HEADER, boot_id: u64::from_le_bytes(*boot_id) })
    }

    /// Which boot the records are of.
    #[must_use]
    pub const fn boot_id(&self) -> u64 {
        self.boot_id
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The bytes before the next entry.
    pub(crate) fn so_far(&self) -> &'a [u8] {
        self.file.get(..self.at).unwrap_or_default()
    }

    fn entry(&self) -> Option<(Entry<'a>, &'a [u8])> {
        let ([kind, lane, 0, 0, 0, 0, 0, 0], rest) =
            self.file.get(self.at..)?.split_first_chunk::<8>()?
        else {
            return None;
        };
        if *lane as usize >= LANES || (*lane != 0 && *kind > KIND_RECORD) {
            return None;
        }
        let lane = *lane;
        Some(match *kind {
            KIND_LANE => {
                let (first, rest) = rest.split_first_chunk()?;
                let (before, rest) = rest.split_first_chunk()?;
                let (first_seq, before) = (u64::from_le_bytes(*first), *before);
                (Entry::Lane(LaneStart { lane, first_seq, before }), rest)
            }
            KIND_RECORD => {
                let (link, rest) = rest.split_first_chunk()?;
                let (bytes, rest) = rest.split_first_chunk()?;
                (Entry::Record { lane, link, bytes }, rest)
            }
            KIND_CHECKPOINT => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (Entry::Checkpoint(bytes), rest)
            }
            KIND_END => {
                let (records, rest) = rest.split_first_chunk()?;
                let (digest, rest) = rest.split_first_chunk()?;
                (Entry::End { records: u64::from_le_bytes(*records), digest }, rest)
            }
            _ => return None,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Damage>;

    /// Ends at the end of the bytes; after damage nothing more can be read.
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.file.len() {
            return None;
        }
        match self.entry() {
            Some((entry, rest)) => {
                self.at = self.file.len().saturating_sub(rest.len());
                Some(Ok(entry))
            }
            None => {
                let at = self.at;
                self.at = self.file.len();
                Some(Err(Damage { at }))
            }
        }
    }
}

/// Writes a file piece by piece: first every lane's start, then records in order of their
/// numbers with each checkpoint right behind the last record it covers, then the end.
#[derive(Debug)]
pub struct Writer<F> {
    sink: F,
    hasher: blake3::Hasher,
    records: u64,
}

impl<F: FnMut(&[u8])> Writer<F> {
    /// Writes the header.
    pub fn new(boot_id: u64, sink: F) -> Self {
        let mut writer = Writer { sink, hasher: blake3::Hasher::new(), records: 0 };
        writer.put(&MAGIC);
        writer.put(&boot_id.to_le_bytes());
        writer
    }

    fn put(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        (self.sink)(bytes);
    }

    fn head(&mut self, kind: u8, lane: u8) {
        self.put(&[kind, lane, 0, 0, 0, 0, 0, 0]);
    }

    /// Writes where a lane starts.
    pub fn lane(&mut self, start: &LaneStart) {
        self.head(KIND_LANE, start.lane);
        self.put(&start.first_seq.to_le_bytes());
        self.put(&start.before);
    }

    /// Writes a record; `before` is the chain value the journal keeps with it.
    pub fn record(&mut self, lane: u8, before: &Digest, record: &[u8; Record::BYTES]) {
        self.head(KIND_RECORD, lane);
        self.put(&link(before, record));
        self.put(record);
        self.records = self.records.saturating_add(1);
    }

    /// Writes a checkpoint.
    pub fn checkpoint(&mut self, checkpoint: &[u8; Checkpoint::BYTES]) {
        self.head(KIND_CHECKPOINT, 0);
        self.put(checkpoint);
    }

    /// Writes the end.
    pub fn finish(mut self) {
        let digest: Digest = self.hasher.finalize().into();
        let records = self.records.to_le_bytes();
        self.head(KIND_END, 0);
        self.put(&records);
        self.put(&digest);
    }
}
