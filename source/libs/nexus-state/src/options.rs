//! What the caller decides: identity, key, quotas and anchors.

/// Which store this is. Chosen at format and part of what every tag covers.
pub type StoreId = [u8; 16];

/// The caller's part of the key of all tags. The other part is the salt that format put on the disk.
///
/// With a key that lies on the same disk (or a constant) tags tell accident and forged values
/// apart from records, and do not stop whoever can write the disk.
#[derive(Clone, Copy)]
pub struct FramingKey(pub [u8; 32]);

impl FramingKey {
    /// The key of a store for which nothing holds a secret: it stands in every image. With the
    /// disk's own salt it makes tags that no accident makes and that nobody can make who chooses
    /// values only. Whoever can read and write the disk can make them; what must not be forged by
    /// him, keystored seals.
    pub const PUBLIC: FramingKey = FramingKey(*b"nexus-statefs framing, no secret");
}

impl core::fmt::Debug for FramingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FramingKey")
    }
}

/// How much one namespace may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Keys.
    pub entries: u32,
    /// Bytes of keys and values together.
    pub bytes: u32,
}

impl Quota {
    /// No bound but the store's own.
    pub const UNBOUNDED: Quota = Quota { entries: u32::MAX, bytes: u32::MAX };
}

/// How to make a new store.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its identity.
    pub id: StoreId,
    /// Its salt: random, or at least unknown to those who choose values.
    pub salt: [u8; 32],
    /// The framing key every later mount has to give.
    pub key: FramingKey,
    /// Destroys whatever is there.
    pub force: bool,
}

/// What an earlier mount saw: a store that is another, or behind it, is not the one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Its identity.
    pub id: StoreId,
    /// Sequence of the last acknowledged commit.
    pub sequence: u64,
}

/// How to mount a store.
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    /// The key given at format.
    pub key: FramingKey,
    /// Refuses every other store with [`crate::Error::Foreign`].
    pub expect: Option<StoreId>,
    /// Refuses a store below this sequence with [`crate::Error::Rollback`]. Zero: no anchor known.
    pub min_sequence: u64,
    /// What a namespace without its own quota may hold.
    pub quota: Quota,
}

/// What a device holds, told without the framing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Nothing, or a format that was cut before it took effect.
    Blank,
    /// A store of this identity; whether it is intact is for mount to say.
    Store(StoreId),
    /// A store whose superblocks are both damaged.
    Damaged,
    /// Something else.
    Other,
}
