//! Perfect hashing by displacement: every lookup is one displacement and one slot, so the
//! longest probe is one by construction, and `open` checks that each key sits there.
/// Two words chosen at build time; `b` is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

impl Seed {
    #[inline]
    pub(crate) const fn hash_id(self, id: u64) -> u64 {
        self.mix(self.mix(self.a, id), 0)
    }

    /// Over the stored words of a name: two or six. Padding is zero and no name has a zero
    /// byte, so the words alone tell names apart.
    #[inline]
    pub(crate) fn hash_name(self, words: &[u64]) -> u64 {
        let mixed = words.iter().fold(self.a, |hash, word| self.mix(hash, *word));
        self.mix(mixed, 0)
    }

    /// A product carries differences upwards only; folding the upper half back before the
    /// next product lets every input bit reach the bits that are used.
    #[inline]
    const fn mix(self, hash: u64, word: u64) -> u64 {
        let mixed = (hash ^ word).wrapping_mul(self.b);
        mixed ^ (mixed >> 32)
    }
}

/// Bucket bits of a hash: the top 16, more than any table has buckets.
#[inline]
pub(crate) const fn bucket_bits(hash: u64) -> usize {
    (hash >> 48) as usize
}

/// Slot bits of a hash: the 16 below; the caller masks.
#[inline]
pub(crate) const fn slot_bits(hash: u64) -> usize {
    (hash >> 32) as usize
}

/// The seed and displacements of one table; the slots themselves differ per table. Both
/// lengths are powers of two, which makes them their own masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'p> {
    pub(crate) seed: Seed,
    pub(crate) count: usize,
    pub(crate) disp: &'p [u64],
}

impl Shape<'_> {
    /// The only slot, of `slots`, where a key with this hash can be.
    #[inline]
    pub(crate) fn slot(&self, hash: u64, slots: usize) -> usize {
        let bucket = bucket_bits(hash) & self.disp.len().wrapping_sub(1);
        let disp = self.disp.get(bucket).copied().unwrap_or(0);
        (slot_bits(hash) ^ disp as usize) & slots.wrapping_sub(1)
    }
}
