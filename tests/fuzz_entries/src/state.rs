//! A state disk whose records are tagged rightly and say anything.

use nexus_state::{
    BlockDevice, Durability, Error, Format, FramingKey, Memory, Mount, Quota, Sector, Store,
    format,
    limits::{HEAD_SECTORS, SECTOR_BYTES, VALUE_MAX_BYTES},
};

const SECTORS: usize = 80;
const REGION_SECTORS: usize = 32;
const FORMAT: Format = Format { id: [1; 16], salt: [2; 32], key: FramingKey::PUBLIC, force: false };
const MOUNT: Mount =
    Mount { key: FORMAT.key, expect: None, min_sequence: 0, quota: Quota::UNBOUNDED };
/// Bytes before a record's body, and with its tag.
const HEADER: usize = 48;
const FRAME: usize = HEADER + 16;

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

fn half(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    tag
}

/// A disk with a record for each piece of `data`: kind, items, two bytes of length, body. Tags,
/// numbers and links are right, made by the rules of `docs/nexus-state.md`.
fn disk(data: &[u8]) -> Ram {
    let mut ram = Ram(vec![[0; SECTOR_BYTES]; SECTORS]);
    format(&mut ram, &FORMAT).expect("formats");
    let mut key = blake3::Hasher::new_keyed(&FORMAT.key.0);
    key.update(b"nexus-state 1 tags").update(&FORMAT.id).update(&FORMAT.salt);
    let key = *key.finalize().as_bytes();
    let mut chain = blake3::Hasher::new_keyed(&key);
    chain.update(&[2, 0]).update(&1_u64.to_le_bytes()).update(&[0; 16]);
    let chain = half(&chain);
    let (mut rest, mut position, mut sequence, mut previous) = (data, 0, 1_u64, chain);
    while let [kind, items, low, high, more @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(more.len()).min(4096 - FRAME);
        let (body, more) = more.split_at(len);
        rest = more;
        let mut record = b"NXSR\x01".to_vec();
        record.extend([*kind, *items, 0]);
        record.extend(1_u64.to_le_bytes());
        record.extend(sequence.to_le_bytes());
        record.extend((len as u16).to_le_bytes());
        record.extend([0; 6]);
        record.extend(previous);
        record.extend(body);
        let mut tag = blake3::Hasher::new_keyed(&key);
        tag.update(&[3]).update(&chain).update(&(position as u32).to_le_bytes()).update(&record);
        previous = half(&tag);
        record.extend(previous);
        let sectors = record.len().div_ceil(SECTOR_BYTES);
        if position + sectors > REGION_SECTORS {
            break;
        }
        record.resize(sectors * SECTOR_BYTES, 0);
        for (n, sector) in record.as_chunks::<SECTOR_BYTES>().0.iter().enumerate() {
            ram.0[HEAD_SECTORS as usize + position + n] = *sector;
        }
        position += sectors;
        sequence += 1;
    }
    ram
}

type Listed = Vec<(u64, String, u64, Vec<u8>)>;

fn read_all(store: &mut Store<'_, &mut Ram>) -> Listed {
    let mut all: Listed = store
        .entries()
        .map(|e| (e.namespace, e.key.as_str().to_owned(), e.sequence, Vec::new()))
        .collect();
    let mut into = [0; VALUE_MAX_BYTES];
    for (namespace, key, _, value) in &mut all {
        let found = store.get(*namespace, key.as_bytes(), &mut into).expect("mount checked it");
        *value = found.expect("it is listed").to_vec();
    }
    all
}

/// Mounts a disk of rightly tagged records that say what `data` says. What mounts can be read, and
/// a compaction keeps it. True: it mounted.
pub fn state_records(data: &[u8]) -> bool {
    let mut ram = disk(data);
    let mut memory = Memory::new();
    let (before, compacted) = match Store::mount(&mut ram, &mut memory, &MOUNT) {
        Ok(mut store) => (read_all(&mut store), store.compact()),
        Err(Error::Damaged { .. } | Error::Version { .. }) => return false,
        Err(error) => panic!("rightly tagged records cannot be {error:?}"),
    };
    assert!(matches!(compacted, Ok(()) | Err(Error::Full)), "{compacted:?}");
    let mut store = Store::mount(&mut ram, &mut memory, &MOUNT).expect("mounts as before");
    assert_eq!(read_all(&mut store), before);
    true
}

/// Mounts any bytes as a disk. Only errors may come of it, and they have to come.
pub fn state_image(data: &[u8]) {
    let mut sectors = data.to_vec();
    sectors.resize(data.len().max(SECTORS * SECTOR_BYTES), 0);
    let mut ram = Ram(sectors.as_chunks::<SECTOR_BYTES>().0.to_vec());
    let _contents = nexus_state::probe(&mut ram);
    let mut memory = Memory::new();
    if let Ok(mut store) = Store::mount(&mut ram, &mut memory, &MOUNT) {
        let _readable = read_all(&mut store);
    }
}
