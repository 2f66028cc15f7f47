//! Keyed tags: who is asked for one always says what it is for.

use blake3::{Hasher, KEY_LEN};

use crate::options::{FramingKey, StoreId};

/// First half of a keyed BLAKE3 hash.
pub(crate) type Tag = [u8; TAG_BYTES];
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// What a tag is about; the first bytes of every keyed hash.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Domain {
    Superblock = 1,
    Chain = 2,
    Record = 3,
    Value = 4,
}

/// The keys of one store.
#[derive(Clone, Copy)]
pub(crate) struct Tags {
    key: [u8; KEY_LEN],
}

impl core::fmt::Debug for Tags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Tags")
    }
}

impl Tags {
    /// Binds the caller's key to this store's identity and salt, so that nothing copied from
    /// another store verifies.
    pub(crate) fn new(key: &FramingKey, id: &StoreId, salt: &[u8; 32]) -> Tags {
        let mut hasher = Hasher::new_keyed(&key.0);
        hasher.update(b"nexus-state 1 tags").update(id).update(salt);
        Tags { key: *hasher.finalize().as_bytes() }
    }

    fn tag(&self, domain: Domain, parts: &[&[u8]]) -> Tag {
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher.update(&[domain as u8]);
        for part in parts {
            hasher.update(part);
        }
        first_half(&hasher)
    }

    pub(crate) fn superblock(&self, bytes: &[u8]) -> Tag {
        self.tag(Domain::Superblock, &[bytes])
    }

    /// The life of one region between two snapshots. The parent's last tag makes it unique: a
    /// snapshot that was given up and one made later never share a chain unless they are the same.
    pub(crate) fn chain(&self, region: u8, epoch: u64, parent: &Tag) -> Tag {
        self.tag(Domain::Chain, &[&[region], &epoch.to_le_bytes(), parent])
    }

    /// `position` is the record's first sector in its region: a record moved is no record.
    pub(crate) fn record(&self, chain: &Tag, position: u32, bytes: &[u8]) -> Tag {
        self.tag(Domain::Record, &[chain, &position.to_le_bytes(), bytes])
    }

    pub(crate) fn value(&self, value: &[u8]) -> Tag {
        self.tag(Domain::Value, &[value])
    }
}

fn first_half(hasher: &Hasher) -> Tag {
    let mut tag = [0; TAG_BYTES];
    hasher.finalize_xof().fill(&mut tag);
    tag
}
