//! What only whoever holds the key can write: later versions, counters at their end, nonsense
//! under a right tag.

use std::vec::Vec;

use crate::{
    batch::Batch,
    bytes::Writer,
    device::{BlockDevice, Durability, Sector},
    error::Error,
    limits::{DEVICE_MIN_SECTORS, HEAD_SECTORS, SECTOR_BYTES},
    options::{Format, FramingKey, Mount, Quota},
    record::{self, Builder, FRAME_BYTES, HEADER_BYTES, Header, Kind, RECORD_MAX_BYTES},
    store::{Memory, Store, format, probe},
    superblock::{self, Found, Superblock},
    tag::{Tag, Tags},
};

const FORMAT: Format =
    Format { id: [1; 16], salt: [2; 32], key: FramingKey([3; 32]), force: false };
const MOUNT: Mount =
    Mount { key: FORMAT.key, expect: None, min_sequence: 0, quota: Quota::UNBOUNDED };

struct Ram(Vec<Sector>);

impl BlockDevice for Ram {
    type Error = ();

    fn sectors(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), ()> {
        *into = *self.0.get(sector as usize).ok_or(())?;
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), ()> {
        *self.0.get_mut(sector as usize).ok_or(())? = *from;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ()> {
        Ok(())
    }

    fn durable(&self) -> Durability {
        Durability::Volatile
    }
}

/// A fresh store whose superblock was changed and sealed again.
fn store_with(change: impl FnOnce(&mut Superblock)) -> (Ram, Superblock, Tags) {
    let mut ram = Ram(vec![[0; SECTOR_BYTES]; DEVICE_MIN_SECTORS as usize]);
    format(&mut ram, &FORMAT).unwrap();
    let Found::Whole(mut superblock, _) = superblock::decode(&ram.0[0]) else { panic!() };
    let tags = superblock.tags(&FORMAT.key);
    change(&mut superblock);
    ram.0[0] = superblock.encode(&tags);
    (ram, superblock, tags)
}

fn mounted<T>(ram: &mut Ram, work: impl FnOnce(&mut Store<'_, &mut Ram>) -> T) -> Result<T, Error> {
    let mut memory = Memory::new();
    let mut store = Store::mount(ram, &mut memory, &MOUNT)?;
    Ok(work(&mut store))
}

#[test]
fn counters_end_and_do_not_wrap() {
    let mut batch = Batch::new();
    batch.put(1, b"k", b"v").unwrap();
    let (mut ram, ..) = store_with(|superblock| superblock.base_sequence = u64::MAX - 1);
    mounted(&mut ram, |store| {
        assert_eq!(store.commit(&batch), Ok(u64::MAX));
        assert_eq!(store.commit(&batch), Err(Error::Exhausted));
        assert_eq!(store.begin_boot([0; 16]), Err(Error::Exhausted));
        assert_eq!(store.status().sequence, u64::MAX);
    })
    .unwrap();
    let (mut ram, ..) = store_with(|superblock| superblock.boots = u32::MAX - 1);
    mounted(&mut ram, |store| {
        assert_eq!(store.begin_boot([0; 16]), Ok(u32::MAX));
        assert_eq!(store.begin_boot([0; 16]), Err(Error::Exhausted));
        assert!(store.commit(&batch).is_ok(), "the store goes on");
    })
    .unwrap();
    let (mut ram, superblock, tags) = store_with(|_| {});
    let epoch = u64::MAX;
    let snapshot_tip = tags.chain(0, epoch, &superblock.parent);
    ram.0[0] = Superblock { epoch, snapshot_tip, ..superblock }.encode(&tags);
    mounted(&mut ram, |store| {
        assert_eq!(store.compact(), Err(Error::Exhausted));
        assert!(store.commit(&batch).is_ok());
    })
    .unwrap();
}

/// The digest of a superblock covers what stands before it, in all versions.
fn digest_again(sector: &mut Sector) {
    let digest = blake3::hash(&sector[..176]);
    sector[176..208].copy_from_slice(digest.as_bytes());
}

#[test]
fn test_reject_a_superblock_of_a_later_version() {
    for slot in [0, 8] {
        let (mut ram, ..) = store_with(|_| {});
        let mut later = ram.0[0];
        later[8] = 2;
        digest_again(&mut later);
        ram.0[slot] = later;
        assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Version { found: 2 }));
        assert_eq!(probe(&mut ram), Err(Error::Version { found: 2 }));
        let forced = Format { force: true, ..FORMAT };
        assert_eq!(format(&mut ram, &forced), Err(Error::Version { found: 2 }));
    }
}

#[test]
fn test_reject_superblocks_that_contradict_themselves() {
    // Region, its start, its size, the state: each sealed with the right key.
    for (at, byte) in [(10, 2), (11, 2), (64, 17), (72, 31), (74, 1)] {
        let (mut ram, ..) = store_with(|_| {});
        ram.0[16] = [1; SECTOR_BYTES];
        ram.0[0][at] = byte;
        digest_again(&mut ram.0[0]);
        assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Damaged { sector: 0 }), "{at}");
    }
    // Possible, and not what was sealed.
    let (mut ram, ..) = store_with(|_| {});
    ram.0[0][72] = 33;
    digest_again(&mut ram.0[0]);
    assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Foreign));
    let (mut ram, superblock, tags) = store_with(|_| {});
    ram.0[8] = Superblock { region: 1, ..superblock }.encode(&tags);
    assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Damaged { sector: 8 }), "two of one epoch");
    ram.0[8] = Superblock { region: 1, epoch: 2, id: [9; 16], ..superblock }.encode(&tags);
    assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Damaged { sector: 8 }), "two stores");
}

/// Writes a record with a right tag as the first of the region.
fn plant(ram: &mut Ram, superblock: &Superblock, tags: &Tags, header: &Header, body: &[u8]) {
    let mut bytes = [0; RECORD_MAX_BYTES];
    bytes[HEADER_BYTES..HEADER_BYTES + body.len()].copy_from_slice(body);
    let chain = tags.chain(superblock.region, superblock.epoch, &superblock.parent);
    let (sectors, _) = record::seal(&mut bytes, header, body.len(), tags, &chain, 0).unwrap();
    for (n, sector) in bytes.as_chunks::<SECTOR_BYTES>().0.iter().take(sectors).enumerate() {
        ram.0[HEAD_SECTORS as usize + n] = *sector;
    }
}

fn first(superblock: &Superblock, tags: &Tags, kind: Kind, items: u8) -> Header {
    let previous: Tag = tags.chain(superblock.region, superblock.epoch, &superblock.parent);
    Header { kind, items, epoch: superblock.epoch, sequence: 1, previous }
}

const DAMAGED: Error = Error::Damaged { sector: HEAD_SECTORS };

#[test]
fn test_reject_records_that_are_tagged_and_do_not_belong() {
    let (ram, superblock, tags) = store_with(|_| {});
    let good = first(&superblock, &tags, Kind::Batch, 0);
    let cases = [
        (Header { sequence: 2, ..good }, &b""[..]),
        (Header { sequence: 0, ..good }, b""),
        (Header { previous: [0; 16], ..good }, b""),
        (Header { kind: Kind::Snapshot, ..good }, b""),
        (Header { kind: Kind::Boot, items: 1, ..good }, &[0; 20]),
        (Header { kind: Kind::Boot, items: 1, ..good }, &[1; 19]),
        (Header { items: 9, ..good }, b""),
        (Header { items: 1, ..good }, b""),
        (good, b"left over"),
    ];
    for (header, body) in cases {
        let mut ram = Ram(ram.0.clone());
        plant(&mut ram, &superblock, &tags, &header, body);
        assert_eq!(mounted(&mut ram, |_| ()), Err(DAMAGED), "{header:?}");
    }
    let mut ram = Ram(ram.0.clone());
    plant(&mut ram, &superblock, &tags, &good, b"");
    assert_eq!(mounted(&mut ram, |store| store.status().sequence), Ok(1));
}

#[test]
fn test_reject_items_that_break_a_bound() {
    let (ram, superblock, tags) = store_with(|_| {});
    let header = first(&superblock, &tags, Kind::Batch, 1);
    let item = |op: u8, key: &[u8], value_len: u16, value: &[u8], sequence: u64| -> Vec<u8> {
        let mut bytes = [0; 1024];
        let mut w = Writer::new(&mut bytes);
        w.u8(op);
        w.u8(key.len() as u8);
        w.u16(value_len);
        w.u64(7);
        w.u64(sequence);
        w.put(key);
        w.put(value);
        let len = w.written();
        bytes[..len].to_vec()
    };
    let bad = [
        item(0, b"k", 0, b"", 1),
        item(3, b"k", 0, b"", 1),
        item(1, b"", 0, b"", 1),
        item(1, &[b'a'; 65], 0, b"", 1),
        item(1, b"K", 0, b"", 1),
        item(1, b"..", 0, b"", 1),
        item(1, b"k", 401, &[0; 401], 1),
        item(1, b"k", 5, b"four", 1),
        item(1, b"k", 3, b"four", 1),
        item(1, b"k", u16::MAX, b"", 1),
        item(2, b"k", 1, b"v", 1),
        item(1, b"k", 1, b"v", 2),
    ];
    for body in bad {
        let mut ram = Ram(ram.0.clone());
        plant(&mut ram, &superblock, &tags, &header, &body);
        assert_eq!(mounted(&mut ram, |_| ()), Err(DAMAGED), "{body:?}");
    }
    let mut ram = Ram(ram.0.clone());
    plant(&mut ram, &superblock, &tags, &header, &item(1, &[b'a'; 64], 400, &[0; 400], 1));
    assert_eq!(mounted(&mut ram, |store| store.status().usage.entries), Ok(1));
}

#[test]
fn random_bodies_under_right_tags_never_panic() {
    let (ram, superblock, tags) = store_with(|_| {});
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random >> 33
    };
    for _ in 0..5000 {
        let mut body = [0; RECORD_MAX_BYTES - FRAME_BYTES];
        let len = (next() % 64) as usize;
        for byte in &mut body[..len] {
            *byte = [0, 1, 2, 3, b'a', 255, next() as u8][(next() % 7) as usize];
        }
        let kind = [Kind::Batch, Kind::Snapshot, Kind::Boot][(next() % 3) as usize];
        let header = first(&superblock, &tags, kind, (next() % 3) as u8);
        let mut ram = Ram(ram.0.clone());
        plant(&mut ram, &superblock, &tags, &header, &body[..len]);
        let _whatever = mounted(&mut ram, |store| store.compact());
    }
}

#[test]
fn test_reject_a_record_of_a_later_version() {
    let (mut ram, superblock, tags) = store_with(|_| {});
    let header = first(&superblock, &tags, Kind::Batch, 0);
    plant(&mut ram, &superblock, &tags, &header, b"");
    let at = HEAD_SECTORS as usize;
    ram.0[at][4] = 2;
    let tag = tags.record(&header.previous, 0, &ram.0[at][..HEADER_BYTES]);
    ram.0[at][HEADER_BYTES..HEADER_BYTES + 16].copy_from_slice(&tag);
    assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Version { found: 2 }));
}

#[test]
fn test_reject_a_snapshot_that_is_not_the_superblocks() {
    let (mut ram, superblock, tags) = store_with(|_| {});
    let superblock = Superblock { snapshot_records: 1, ..superblock };
    ram.0[0] = superblock.encode(&tags);
    assert_eq!(mounted(&mut ram, |_| ()), Err(DAMAGED), "the snapshot is missing");
    let mut body = [0; 128];
    let mut builder = Builder::new(&mut body);
    builder.put(1, 1, b"k", 1).unwrap().fill(7);
    let (items, len) = builder.finish().unwrap();
    let header = first(&superblock, &tags, Kind::Snapshot, items);
    plant(&mut ram, &superblock, &tags, &header, &body[..len]);
    let sector = HEAD_SECTORS + 1;
    assert_eq!(mounted(&mut ram, |_| ()), Err(Error::Damaged { sector }), "another tip");
}

#[test]
fn a_snapshot_of_deletes_is_none() {
    let (mut ram, superblock, tags) = store_with(|_| {});
    let mut body = [0; 128];
    let mut builder = Builder::new(&mut body);
    builder.delete(1, 1, b"k");
    let (items, len) = builder.finish().unwrap();
    let header = first(&superblock, &tags, Kind::Snapshot, items);
    plant(&mut ram, &superblock, &tags, &header, &body[..len]);
    ram.0[0] = Superblock { snapshot_records: 1, ..superblock }.encode(&tags);
    assert_eq!(mounted(&mut ram, |_| ()), Err(DAMAGED));
}
