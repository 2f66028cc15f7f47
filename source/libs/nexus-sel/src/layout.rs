//! The compiled form, word by word; the reader (`open`, `policy`) and the writer
//! (`authoring::emit`) share these definitions and nothing else.
//!
//! ```text
//!  0 magic | 1 format | 2 total words | 3 policy version | 4 reserved (0)
//!  5..9 BLAKE3 digest | 9..17 Ed25519 signature or 0 | 17..21 signing key or 0
//!  21..32 sections: offset low 32, length high 32, in words, gapless, in the order below
//! ```
//! The digest covers every word except 5..21.
use crate::bounds::MAX_NAME_BYTES;

/// `NXPOLICY`.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"NXPOLICY");
/// Format of this file; a reader refuses every other.
pub(crate) const FORMAT: u64 = 4;

pub(crate) const AT_MAGIC: usize = 0;
pub(crate) const AT_FORMAT: usize = 1;
pub(crate) const AT_TOTAL: usize = 2;
pub(crate) const AT_VERSION: usize = 3;
pub(crate) const AT_RESERVED: usize = 4;
pub(crate) const AT_DIGEST: usize = 5;
pub(crate) const AT_SIGNATURE: usize = 9;
pub(crate) const AT_KEY: usize = 17;
pub(crate) const AT_SECTIONS: usize = 21;
pub(crate) const HEADER_WORDS: usize = AT_SECTIONS + SECTIONS;
pub(crate) const SECTIONS: usize = 11;

/// Sections in file order.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Section {
    /// Three words per table (ids, subject names, capability names), then counts.
    Params = 0,
    /// `[id, row]`; a row is a word offset into `Rows`, never 0. An empty slot is two zeros.
    /// Here and below the last word of a slot ends in a displacement, see [`crate::table`].
    IdSlots,
    /// `[name offset + 1]`; 0 is empty.
    SubjectSlots,
    /// `[header, first word, second word, name offset + 1]`: the name record's beginning,
    /// so that a short name is settled here. An empty slot is [`NO_NAME`] and three zeros.
    CapSlots,
    /// Header word and packed name, per capability, then subject, then fact, each sorted.
    Names,
    /// Per subject (then class): name offset + 1 (or 0), then one word per ten capabilities:
    /// ten numbers of 4 bits from the bottom, above them the index of the cell before. The
    /// number of a capability counts the cells of its word up to its own; 0 is no cell.
    Rows,
    /// One word per (row, capability) with a rule; the first is a dummy, a denial by no rule.
    Cells,
    /// Four words per conditional rule.
    Chains,
    /// `[burst, refill_ns]`.
    Limits,
    /// `[first id, last id, row]`.
    Classes,
    /// `[owner id, name offset]`, by bit.
    Facts,
}

pub(crate) const PARAMS_WORDS: usize = 10;
/// Tables in `Params`.
pub(crate) const TABLES: usize = 3;
/// Capabilities per row word.
pub(crate) const BLOCK: usize = 10;
/// Bits per capability in a row word.
pub(crate) const NIBBLE: usize = 4;
/// Where a row word keeps the cell index: above its ten numbers.
pub(crate) const ROW_BASE_SHIFT: u32 = 40;

/// A cell that refers to a chain instead of a rule.
pub(crate) const CELL_CHAIN: u64 = 1 << 63;
/// A cell whose rule denies. A cell without a chain is the decision's word but for the audit mode.
pub(crate) const CELL_DENY: u64 = 1;
/// Where a cell keeps its rule, or the first link of its chain.
pub(crate) const CELL_VALUE_SHIFT: u32 = 32;
/// Bits of a cell that must be zero.
pub(crate) const CELL_RESERVED: u64 = (1 << CELL_VALUE_SHIFT) - 1 - CELL_DENY;

/// The rule of a cell, or the first link of its chain.
#[inline]
pub(crate) const fn cell_value(cell: u64) -> u32 {
    ((cell & !CELL_CHAIN) >> CELL_VALUE_SHIFT) as u32
}

pub(crate) const LINK_DENY: u64 = 1 << 32;
pub(crate) const LINK_LAST: u64 = 1 << 33;
pub(crate) const LINK_LIMITED: u64 = 1 << 34;
pub(crate) const LINK_LIMIT_SHIFT: u32 = 48;
/// Bits of a link's first word that must be zero.
pub(crate) const LINK_RESERVED: u64 = 0x0000_fff8_0000_0000;
/// `until` of a rule that does not expire.
pub(crate) const FOREVER: u64 = u64::MAX;

/// What a name record names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Capability = 1,
    Subject = 2,
    Fact = 3,
}

/// Header of a slot without a name: of a length that no name has, so that it matches nothing.
pub(crate) const NO_NAME: u64 = 0xff;

/// Header word of a name record: length 8 bits, audit 1, sensitivity 2, kind 2, reserved 11,
/// shift 6, reserved 2, position 32. The position is the row word of a capability (the shift
/// finds it therein), the id slot of a subject, the bit of a fact.
#[derive(Clone, Copy)]
pub(crate) struct NameHeader(pub(crate) u64);

impl NameHeader {
    /// Where a [`Decision`](crate::Decision) keeps it too.
    pub(crate) const AUDIT: u64 = 1 << 8;
    const SENSITIVITY: u32 = 9;
    const KIND: u32 = 11;
    const RESERVED: u64 = 0xc0ff_e000;

    /// The header of the `index`th capability.
    #[cfg(feature = "authoring")]
    pub(crate) fn capability(len: usize, audit: bool, sensitivity: u8, index: usize) -> Self {
        let (word, number) = (index / BLOCK, index % BLOCK);
        let attributes =
            if audit { Self::AUDIT } else { 0 } | u64::from(sensitivity) << Self::SENSITIVITY;
        let shift = (number.wrapping_mul(NIBBLE) as u64) << 24;
        Self(Self::new(len, Kind::Capability, word).0 | attributes | shift)
    }

    #[cfg(feature = "authoring")]
    pub(crate) fn new(len: usize, kind: Kind, position: usize) -> Self {
        Self(len as u64 | (kind as u64) << Self::KIND | (position as u64) << 32)
    }

    #[inline]
    pub(crate) const fn len(self) -> usize {
        (self.0 & 0xff) as usize
    }

    pub(crate) const fn kind(self) -> Option<Kind> {
        match (self.0 >> Self::KIND) & 3 {
            1 => Some(Kind::Capability),
            2 => Some(Kind::Subject),
            3 => Some(Kind::Fact),
            _ => None,
        }
    }

    #[inline]
    pub(crate) const fn audit_required(self) -> bool {
        self.0 & Self::AUDIT != 0
    }

    /// The audit bit alone.
    #[inline]
    pub(crate) const fn audit_bit(self) -> u64 {
        self.0 & Self::AUDIT
    }

    pub(crate) const fn sensitivity(self) -> u8 {
        ((self.0 >> Self::SENSITIVITY) & 3) as u8
    }

    /// Where a row word keeps the number of this capability.
    #[inline]
    pub(crate) const fn shift(self) -> u32 {
        (self.0 >> 24) as u32 & 63
    }

    #[inline]
    pub(crate) const fn position(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Number of a capability, from its word and shift.
    pub(crate) const fn index(self) -> usize {
        self.position().wrapping_mul(BLOCK).wrapping_add(self.shift() as usize / NIBBLE)
    }

    /// Length in range, nothing reserved set, attributes on capabilities only.
    pub(crate) fn is_valid(self) -> bool {
        let plain = !self.audit_required() && self.sensitivity() == 0 && self.shift() == 0;
        let shift = self.shift() as usize;
        (1..=MAX_NAME_BYTES).contains(&self.len())
            && self.0 & Self::RESERVED == 0
            && self.sensitivity() <= 2
            && shift.is_multiple_of(NIBBLE)
            && shift < BLOCK.wrapping_mul(NIBBLE)
            && (plain || self.kind() == Some(Kind::Capability))
    }
}

/// BLAKE3 over the covered words.
pub(crate) fn digest_of(words: &[u64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [words.get(..AT_DIGEST), words.get(AT_SECTIONS..)] {
        for chunk in part.unwrap_or(&[]).chunks(128) {
            let mut bytes = [0; 1024];
            let (slots, _) = bytes.as_chunks_mut::<8>();
            for (slot, word) in slots.iter_mut().zip(chunk) {
                *slot = word.to_le_bytes();
            }
            let used = chunk.len().wrapping_mul(8);
            hasher.update(bytes.get(..used).unwrap_or(&[]));
        }
    }
    *hasher.finalize().as_bytes()
}
