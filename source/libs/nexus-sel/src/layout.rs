//! The compiled form, word by word; the reader (`open`, `policy`) and the writer
//! (`authoring::emit`) share these definitions and nothing else.
//!
//! ```text
//!  0 magic | 1 format | 2 total words | 3 policy version | 4 reserved (0)
//!  5..9 BLAKE3 digest | 9..17 Ed25519 signature or 0 | 17..21 signing key or 0
//!  21..35 sections: offset low 32, length high 32, in words, gapless, in the order below
//! ```
//! The digest covers every word except 5..21.
use crate::bounds::MAX_NAME_BYTES;

/// `NXPOLICY`.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"NXPOLICY");
/// Format of this file; a reader refuses every other.
pub(crate) const FORMAT: u64 = 1;

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
pub(crate) const SECTIONS: usize = 14;

/// Sections in file order.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Section {
    /// Three words per table (ids, subject names, capability names), then counts.
    Params = 0,
    IdDisp,
    /// `[id, row word offset | name offset + 1 << 32]`; an empty slot is two zeros.
    IdSlots,
    SubjectDisp,
    /// 32-bit name offset + 1, two per word; 0 is empty.
    SubjectSlots,
    CapDisp,
    CapSlots,
    /// Header word and packed name, per capability, then subject, then fact, each sorted.
    Names,
    /// Per row one word per 32 capabilities: presence bits, index of its first cell << 32.
    Rows,
    /// 32 bits per present (row, capability), two per word.
    Cells,
    /// Four words per conditional rule.
    Chains,
    /// `[burst, refill_ns]`.
    Limits,
    /// `[first id, last id, row word offset]`.
    Classes,
    /// `[owner id, name offset]`, by bit.
    Facts,
}

pub(crate) const PARAMS_WORDS: usize = 10;
/// Tables in `Params`.
pub(crate) const TABLES: usize = 3;
/// Capabilities per row word.
pub(crate) const BLOCK: usize = 32;

/// A cell that refers to a chain instead of a rule.
pub(crate) const CELL_CHAIN: u32 = 1 << 31;
/// A cell whose rule denies.
pub(crate) const CELL_DENY: u32 = 1 << 30;
/// Rule number or chain index of a cell.
pub(crate) const CELL_VALUE: u32 = CELL_DENY - 1;

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

/// Header word of a name record: length, kind, audit bit, sensitivity, reserved, index.
#[derive(Clone, Copy)]
pub(crate) struct NameHeader(pub(crate) u64);

impl NameHeader {
    const AUDIT: u64 = 1 << 16;
    const RESERVED: u64 = 0xfff8_0000;

    #[cfg(feature = "authoring")]
    pub(crate) fn new(len: usize, kind: Kind, audit: bool, sensitivity: u8, index: u32) -> Self {
        Self(
            len as u64
                | (kind as u64) << 8
                | if audit { Self::AUDIT } else { 0 }
                | u64::from(sensitivity) << 17
                | u64::from(index) << 32,
        )
    }

    #[inline]
    pub(crate) const fn len(self) -> usize {
        (self.0 & 0xff) as usize
    }

    pub(crate) const fn kind(self) -> Option<Kind> {
        match (self.0 >> 8) & 0xff {
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

    pub(crate) const fn sensitivity(self) -> u8 {
        ((self.0 >> 17) & 3) as u8
    }

    #[inline]
    pub(crate) const fn index(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Length in range, nothing reserved set, attributes on capabilities only.
    pub(crate) fn is_valid(self) -> bool {
        let attributes = self.audit_required() || self.sensitivity() != 0;
        (1..=MAX_NAME_BYTES).contains(&self.len())
            && self.0 & Self::RESERVED == 0
            && self.sensitivity() <= 2
            && (!attributes || self.kind() == Some(Kind::Capability))
    }
}

/// 32-bit value `at` of words that hold two each.
#[inline]
pub(crate) fn u32_at(words: &[u64], at: usize) -> Option<u32> {
    let word = words.get(at >> 1)?;
    Some(word.wrapping_shr(((at & 1) << 5) as u32) as u32)
}

/// 16-bit value `at` of words that hold four each.
#[inline]
pub(crate) fn u16_at(words: &[u64], at: usize) -> Option<u16> {
    let word = words.get(at >> 2)?;
    Some(word.wrapping_shr(((at & 3) << 4) as u32) as u16)
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
