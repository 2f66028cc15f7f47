//! Perfect hashing by displacement: every lookup reads one displacement and one slot, so the
//! longest probe is one by construction, and `open` checks that each key sits there.
//!
//! A slot is a record of words whose last one ends in the displacement of the bucket with the
//! slot's own number: both reads share one array, one mask and one bounds check.

/// Low bits of the last word of a slot that hold a displacement; what the slot itself has to say
/// there stands above them.
pub(crate) const DISP_BITS: u32 = 16;
/// Those bits.
pub(crate) const DISP_MASK: u64 = (1 << DISP_BITS) - 1;

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
    /// byte, so the words alone tell names apart. Every other word is a coefficient of one of two
    /// polynomials in `b`, which costs less than folding pair by pair.
    #[inline]
    pub(crate) fn hash_name(self, words: &[u64]) -> u64 {
        let (pairs, _) = words.as_chunks::<2>();
        let (one, two) = pairs.iter().rev().fold((0_u64, 0_u64), |(one, two), [even, odd]| {
            let step = |sum: u64, word: u64| sum.wrapping_mul(self.b).wrapping_add(word);
            (step(one, *even), step(two, *odd))
        });
        fold(one ^ self.a, two ^ self.b)
    }
}

/// Both halves of a product: every bit of either factor reaches every bit of it. Two seeds
/// under which one factor is zero hash alike; the compiler tries others then.
#[inline]
const fn fold(one: u64, two: u64) -> u64 {
    let product = (one as u128).wrapping_mul(two as u128);
    (product as u64) ^ (product >> 64) as u64
}

/// Bucket bits of a hash: from the bottom; the caller masks.
#[inline]
pub(crate) const fn bucket_bits(hash: u64) -> usize {
    hash as usize
}

/// Slot bits of a hash: from its upper half; the caller masks.
#[inline]
pub(crate) const fn slot_bits(hash: u64) -> usize {
    (hash >> 32) as usize
}

/// The seed and size of one table; the slots themselves differ per table. Their number is a power
/// of two and its own mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: Seed,
    pub(crate) count: usize,
}

/// The number of the only slot where a key with this hash can be.
#[inline]
pub(crate) fn place<const N: usize>(hash: u64, slots: &[[u64; N]]) -> Option<usize> {
    let mask = slots.len().wrapping_sub(1);
    let near = slots.get(bucket_bits(hash) & mask)?;
    Some((slot_bits(hash) ^ *near.last()? as usize) & mask)
}

/// The only slot where a key with this hash can be.
#[inline]
pub(crate) fn find<const N: usize>(hash: u64, slots: &[[u64; N]]) -> Option<&[u64; N]> {
    slots.get(place(hash, slots)?)
}
