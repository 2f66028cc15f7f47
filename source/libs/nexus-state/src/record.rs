//! One record: what a batch, a snapshot's part or a boot looks like on the disk.
//!
//! `magic 4 · version 1 · kind 1 · items 1 · 0 · epoch 8 · sequence 8 · body length 2 · 0 · 0 4 ·
//! previous tag 16 · body · tag 16`, then anything up to the sector's end.

use crate::{
    bytes::{Reader, Writer},
    key::Key,
    limits::{BATCH_MAX_OPS, RECORD_MAX_SECTORS, SECTOR_BYTES, VALUE_MAX_BYTES},
    tag::{TAG_BYTES, Tag, Tags},
};

/// Room for the longest record.
pub(crate) const RECORD_MAX_BYTES: usize = RECORD_MAX_SECTORS * SECTOR_BYTES;
/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 48;
/// Bytes of an item before its key.
pub(crate) const ITEM_HEADER_BYTES: usize = 20;
/// Bytes around a body.
pub(crate) const FRAME_BYTES: usize = HEADER_BYTES + TAG_BYTES;

const MAGIC: [u8; 4] = *b"NXSR";
const VERSION: u8 = 1;
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Batch = 1,
    Snapshot = 2,
    Boot = 3,
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) items: u8,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) previous: Tag,
}

/// What the first sector of a would-be record says, before anything is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) version: u8,
    kind: u8,
    items: u8,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) body_bytes: usize,
    previous: Tag,
}

impl Frame {
    /// Reads a header. None: nothing here begins like a record.
    pub(crate) fn read(bytes: &[u8]) -> Option<Frame> {
        let mut r = Reader::new(bytes);
        if r.array()? != MAGIC {
            return None;
        }
        let (version, kind, items, _zero) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
        let (epoch, sequence) = (r.u64()?, r.u64()?);
        let (body_bytes, _zeros, _more) = (usize::from(r.u16()?), r.u16()?, r.u32()?);
        let previous = r.array()?;
        let fits = body_bytes <= RECORD_MAX_BYTES.saturating_sub(FRAME_BYTES);
        fits.then_some(Frame { version, kind, items, epoch, sequence, body_bytes, previous })
    }

    /// Sectors of the whole record.
    pub(crate) fn sectors(&self) -> usize {
        self.body_bytes.saturating_add(FRAME_BYTES).div_ceil(SECTOR_BYTES)
    }

    /// The record's tag if it is the right one.
    pub(crate) fn verify(
        &self,
        tags: &Tags,
        chain: &Tag,
        position: u32,
        bytes: &[u8],
    ) -> Option<Tag> {
        let mut r = Reader::new(bytes);
        let tagged = r.take(HEADER_BYTES.checked_add(self.body_bytes)?)?;
        let tag = r.array()?;
        (tags.record(chain, position, tagged) == tag).then_some(tag)
    }

    /// The header of a verified record; none when this version does not know its kind.
    pub(crate) fn header(&self) -> Option<Header> {
        let kind = match self.kind {
            1 => Kind::Batch,
            2 => Kind::Snapshot,
            3 => Kind::Boot,
            _ => return None,
        };
        let Frame { items, epoch, sequence, previous, .. } = *self;
        (self.version == VERSION).then_some(Header { kind, items, epoch, sequence, previous })
    }

    /// The body of a record.
    pub(crate) fn body<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let mut r = Reader::new(bytes);
        let _header = r.take(HEADER_BYTES)?;
        r.take(self.body_bytes)
    }
}

/// Builds a record in a buffer.
pub(crate) struct Builder<'a> {
    writer: Writer<'a>,
    items: u8,
}

impl<'a> Builder<'a> {
    /// `body` is the buffer behind the header.
    pub(crate) fn new(body: &'a mut [u8]) -> Builder<'a> {
        Builder { writer: Writer::new(body), items: 0 }
    }

    fn item(&mut self, op: u8, namespace: u64, sequence: u64, key: &[u8], value_len: usize) {
        self.writer.u8(op);
        self.writer.u8(u8::try_from(key.len()).unwrap_or_default());
        self.writer.u16(u16::try_from(value_len).unwrap_or_default());
        self.writer.u64(namespace);
        self.writer.u64(sequence);
        self.writer.put(key);
        self.items = self.items.saturating_add(1);
    }

    /// Adds a put and hands out where its value goes.
    pub(crate) fn put(
        &mut self,
        namespace: u64,
        sequence: u64,
        key: &[u8],
        value_len: usize,
    ) -> Option<&'a mut [u8]> {
        self.item(PUT, namespace, sequence, key, value_len);
        self.writer.space(value_len)
    }

    pub(crate) fn delete(&mut self, namespace: u64, sequence: u64, key: &[u8]) {
        self.item(DELETE, namespace, sequence, key, 0);
    }

    pub(crate) fn boot(&mut self, boots: u32, boot_id: &[u8; 16]) {
        self.writer.u32(boots);
        self.writer.put(boot_id);
        self.items = self.items.saturating_add(1);
    }

    /// Items and bytes of the body; none when something did not fit.
    pub(crate) fn finish(self) -> Option<(u8, usize)> {
        (!self.writer.overflowed()).then_some((self.items, self.writer.written()))
    }
}

/// Puts header and tag around a body. Answers the record's bytes, padded with zeros to a sector's
/// end, and its tag.
pub(crate) fn seal(
    record: &mut [u8],
    header: &Header,
    body_bytes: usize,
    tags: &Tags,
    chain: &Tag,
    position: u32,
) -> Option<(usize, Tag)> {
    let mut w = Writer::new(record);
    w.put(&MAGIC);
    w.u8(VERSION);
    w.u8(header.kind as u8);
    w.u8(header.items);
    w.u8(0);
    w.u64(header.epoch);
    w.u64(header.sequence);
    w.u16(u16::try_from(body_bytes).ok()?);
    w.u16(0);
    w.u32(0);
    w.put(&header.previous);
    let (tagged, rest) = record.split_at_mut_checked(HEADER_BYTES.checked_add(body_bytes)?)?;
    let tag = tags.record(chain, position, tagged);
    let sectors = body_bytes.checked_add(FRAME_BYTES)?.div_ceil(SECTOR_BYTES);
    let bytes = sectors.checked_mul(SECTOR_BYTES)?;
    let (place, padding) = rest.split_first_chunk_mut::<TAG_BYTES>()?;
    *place = tag;
    let pad = bytes.checked_sub(body_bytes.checked_add(FRAME_BYTES)?)?;
    padding.get_mut(..pad)?.fill(0);
    Some((sectors, tag))
}

/// One item of a verified record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) namespace: u64,
    pub(crate) sequence: u64,
    pub(crate) key: Key<'a>,
    /// None: the key is deleted.
    pub(crate) value: Option<&'a [u8]>,
    /// Where the value begins in the record.
    pub(crate) offset: usize,
}

/// Goes through the items of a body. An item that breaks a rule ends it with an error.
pub(crate) struct Items<'a> {
    reader: Reader<'a>,
    offset: usize,
    left: u8,
}

impl<'a> Items<'a> {
    pub(crate) fn new(body: &'a [u8], items: u8) -> Option<Items<'a>> {
        let sane = usize::from(items) <= BATCH_MAX_OPS;
        sane.then_some(Items { reader: Reader::new(body), offset: HEADER_BYTES, left: items })
    }

    /// The next item. `Err`: the body is not what its header says.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'a>>, ()> {
        let Some(left) = self.left.checked_sub(1) else {
            return if self.reader.is_empty() { Ok(None) } else { Err(()) };
        };
        self.left = left;
        self.item().map(Some).ok_or(())
    }

    fn item(&mut self) -> Option<Item<'a>> {
        let r = &mut self.reader;
        let (op, key_len, value_len) = (r.u8()?, usize::from(r.u8()?), usize::from(r.u16()?));
        let (namespace, sequence) = (r.u64()?, r.u64()?);
        let key = Key::new(r.take(key_len)?).ok()?;
        let bytes = r.take(value_len)?;
        let value = match op {
            PUT if value_len <= VALUE_MAX_BYTES => Some(bytes),
            DELETE if value_len == 0 => None,
            _ => return None,
        };
        let offset = self.offset.checked_add(ITEM_HEADER_BYTES)?.checked_add(key_len)?;
        self.offset = offset.checked_add(value_len)?;
        Some(Item { namespace, sequence, key, value, offset })
    }
}

/// The body of a boot record: the count and the identity.
pub(crate) fn boot(body: &[u8]) -> Option<(u32, [u8; 16])> {
    let mut r = Reader::new(body);
    let found = (r.u32()?, r.array()?);
    r.is_empty().then_some(found)
}
