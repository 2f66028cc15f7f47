//! Records in frames.

use super::Record;
use crate::{Field, Flaw, Out, Zero};

/// Records in one page of a query reply.
pub const PAGE_MAX: usize = 3;

/// The records of one query reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a>(&'a [[u8; Record::BYTES]]);

impl<'a> Page<'a> {
    /// From encoded records; `None` if there are more than [`PAGE_MAX`] or one is not a record.
    #[must_use]
    pub fn new(records: &'a [[u8; Record::BYTES]]) -> Option<Self> {
        let bounded = records.len() <= PAGE_MAX;
        let valid = bounded && records.iter().all(|r| Record::decode(r).is_some());
        if valid { Some(Page(records)) } else { None }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Record> + use<'a> {
        self.0.iter().filter_map(Record::decode)
    }
}

impl Zero for Page<'_> {
    const ZERO: Self = Page(&[]);
}

impl<'a> Field<'a> for Page<'a> {
    const KIND: &'static str = "audit records (count u8, 128 bytes each)";
    const MIN: usize = 1;
    const MAX: usize = 1 + PAGE_MAX * Record::BYTES;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, rest) = u8::take(input)?;
        let len = (count as usize).saturating_mul(Record::BYTES);
        let (bytes, rest) = rest.split_at_checked(len).ok_or(Flaw::Malformed)?;
        let (records, _) = bytes.as_chunks();
        Ok((Page::new(records).ok_or(Flaw::Malformed)?, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        out.array([self.0.len() as u8]);
        self.0.iter().for_each(|record| out.array(*record));
    }
}

/// A record with its place in the chain of its lane, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chained {
    /// Which chain.
    pub lane: u8,
    /// The chain value before the record.
    pub before: [u8; 32],
    /// The record's bytes.
    pub bytes: [u8; Record::BYTES],
}

impl Chained {
    /// Encoded bytes.
    pub const BYTES: usize = 1 + 32 + Record::BYTES;

    /// Lane, value before, record.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let source = [self.lane].into_iter().chain(self.before).chain(self.bytes);
        for (place, byte) in out.iter_mut().zip(source) {
            *place = byte;
        }
        out
    }

    /// Inverse of [`Chained::encode`]; `None` if it holds no record.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<Chained> {
        let ([lane], rest) = bytes.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let record: &[u8; Record::BYTES] = rest.first_chunk()?;
        Record::decode(record)?;
        Some(Chained { lane: *lane, before: *before, bytes: *record })
    }
}

/// The chained records of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPage<'a>(&'a [[u8; Chained::BYTES]]);

impl<'a> ChainPage<'a> {
    /// From encoded records; `None` if there are more than [`PAGE_MAX`] or one is none.
    #[must_use]
    pub fn new(records: &'a [[u8; Chained::BYTES]]) -> Option<Self> {
        let bounded = records.len() <= PAGE_MAX;
        let valid = bounded && records.iter().all(|r| Chained::decode(r).is_some());
        if valid { Some(ChainPage(records)) } else { None }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Chained> + use<'a> {
        self.0.iter().filter_map(Chained::decode)
    }
}

impl Zero for ChainPage<'_> {
    const ZERO: Self = ChainPage(&[]);
}

impl<'a> Field<'a> for ChainPage<'a> {
    const KIND: &'static str =
        "chained audit records (count u8, each: lane u8, 32 bytes of chain value, 128 bytes)";
    const MIN: usize = 1;
    const MAX: usize = 1 + PAGE_MAX * Chained::BYTES;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, rest) = u8::take(input)?;
        let len = (count as usize).saturating_mul(Chained::BYTES);
        let (bytes, rest) = rest.split_at_checked(len).ok_or(Flaw::Malformed)?;
        let (records, _) = bytes.as_chunks();
        Ok((ChainPage::new(records).ok_or(Flaw::Malformed)?, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        out.array([self.0.len() as u8]);
        self.0.iter().for_each(|record| out.array(*record));
    }
}
