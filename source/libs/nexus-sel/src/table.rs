//! Perfect hashing by displacement: every lookup is one displacement and one slot, so the
//! longest probe is one by construction, and `open` checks that each key sits there.
use crate::layout::u16_at;

/// Two words chosen at build time; `b` is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

impl Seed {
    #[inline]
    pub(crate) const fn hash_id(self, id: u64) -> u64 {
        let hash = (id ^ self.a).wrapping_mul(self.b);
        (hash ^ (hash >> 32)).wrapping_mul(self.b)
    }

    /// Over the stored words of a name: two or six.
    #[inline]
    pub(crate) fn hash_name(self, words: &[u64], len: usize) -> u64 {
        let start = self.a ^ (len as u64);
        words.iter().fold(start, |hash, word| self.mix(hash, *word)).wrapping_mul(self.b)
    }

    #[inline]
    const fn mix(self, hash: u64, word: u64) -> u64 {
        let hash = (hash ^ word).wrapping_mul(self.b);
        hash ^ (hash >> 32)
    }
}

/// Bucket bits of a hash: the top 18, more than any table has buckets.
#[inline]
pub(crate) const fn bucket_bits(hash: u64) -> usize {
    (hash >> 46) as usize
}

/// Slot bits of a hash: the 20 below.
#[inline]
pub(crate) const fn slot_bits(hash: u64) -> usize {
    (hash >> 26) as usize & 0xf_ffff
}

/// The shape of one table; the slots themselves differ per table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'p> {
    pub(crate) seed: Seed,
    pub(crate) bucket_mask: usize,
    pub(crate) slot_mask: usize,
    pub(crate) count: usize,
    pub(crate) disp: &'p [u64],
}

impl Shape<'_> {
    /// The only slot where a key with this hash can be.
    #[inline]
    pub(crate) fn slot(&self, hash: u64) -> usize {
        let disp = u16_at(self.disp, bucket_bits(hash) & self.bucket_mask).unwrap_or(0);
        (slot_bits(hash) ^ usize::from(disp)) & self.slot_mask
    }
}
