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
        fold(id ^ self.a, self.b)
    }

    /// Over the stored words of a name: two, four or six. Padding is zero and no name has a zero
    /// byte, so the words alone tell names apart.
    #[inline]
    pub(crate) fn hash_name(self, words: &[u64]) -> u64 {
        let (pairs, _) = words.as_chunks::<2>();
        pairs.iter().fold(0, |hash, [one, two]| fold(hash ^ one ^ self.a, two ^ self.b))
    }
}

/// Both halves of a product: every bit of either factor reaches every bit of it. Two seeds
/// under which one factor is zero hash alike; the compiler tries others then.
#[inline]
const fn fold(one: u64, two: u64) -> u64 {
    let product = (one as u128).wrapping_mul(two as u128);
    (product as u64) ^ (product >> 64) as u64
}

/// Bucket bits of a hash: the top 16, more than any table has buckets.
#[inline]
pub(crate) const fn bucket_bits(hash: u64) -> usize {
    (hash >> 48) as usize
}

/// Slot bits of a hash: from the bottom; the caller masks.
#[inline]
pub(crate) const fn slot_bits(hash: u64) -> usize {
    hash as usize
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
