//! Builds the perfect hash tables: a displacement per bucket, so that every key has a slot of
//! its own and a lookup is one probe.
use crate::authoring::emit::{EmitError, low, pack32};
use crate::table::{Seed, Shape, bucket_bits, slot_bits};

/// A built table: parameters, displacements, and the slot of every key.
pub(crate) struct Table {
    pub(crate) params: [u64; 3],
    pub(crate) disp: Vec<u64>,
    pub(crate) slots: usize,
    pub(crate) slot_of: Vec<usize>,
}

impl Table {
    /// At most three quarters full, about four keys per bucket; a few seeds suffice.
    pub(crate) fn build<K>(keys: &[K], hash: impl Fn(Seed, &K) -> u64) -> Result<Self, EmitError> {
        let slots = keys.len().saturating_mul(4).div_ceil(3).max(2).next_power_of_two();
        let buckets = (slots / 4).max(2);
        let mut random = 0_u64;
        for _ in 0..1_000 {
            let seed = Seed { a: split_mix(&mut random), b: split_mix(&mut random) | 1 };
            let hashes: Vec<u64> = keys.iter().map(|key| hash(seed, key)).collect();
            if let Some(disp) = displace(&hashes, buckets, slots) {
                return Ok(Self::finish(seed, &hashes, disp, slots));
            }
        }
        Err(EmitError::NoSeed)
    }

    fn finish(seed: Seed, hashes: &[u64], disp: Vec<u64>, slots: usize) -> Self {
        let shape = Shape { seed, count: hashes.len(), disp: &disp };
        let slot_of = hashes.iter().map(|hash| shape.slot(*hash, slots)).collect();
        let bits = |size: usize| u64::from(size.trailing_zeros());
        let sizes = bits(disp.len()) | bits(slots) << 8 | low(hashes.len()) << 32;
        Self { params: [seed.a, seed.b, sizes], disp, slots, slot_of }
    }

    /// Slots of a name table: offset + 1, two per word.
    pub(crate) fn name_slots(&self, names: &[usize]) -> Vec<u64> {
        let mut slots = vec![0_u32; self.slots];
        for (slot, at) in self.slot_of.iter().zip(names) {
            if let Some(entry) = slots.get_mut(*slot) {
                *entry = u32::try_from(at.saturating_add(1)).unwrap_or(0);
            }
        }
        pack32(&slots)
    }
}

/// A displacement per bucket that puts every key in a slot of its own: largest bucket
/// first, smallest displacement that fits.
fn displace(hashes: &[u64], buckets: usize, slots: usize) -> Option<Vec<u64>> {
    let (bucket_mask, slot_mask) = (buckets.checked_sub(1)?, slots.checked_sub(1)?);
    let mut members: Vec<(usize, Vec<usize>)> = (0..buckets).map(|b| (b, Vec::new())).collect();
    for hash in hashes {
        members.get_mut(bucket_bits(*hash) & bucket_mask)?.1.push(slot_bits(*hash) & slot_mask);
    }
    members.sort_by_key(|(bucket, keys)| (core::cmp::Reverse(keys.len()), *bucket));
    let mut taken = vec![false; slots];
    let mut disp = vec![0_u64; buckets];
    for (bucket, mut keys) in members {
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return None;
        }
        let free = |d: &usize| {
            keys.iter().all(|key| taken.get((key ^ d) & slot_mask).is_some_and(|taken| !taken))
        };
        let found = (0..slots).find(free)?;
        for key in &keys {
            *taken.get_mut((key ^ found) & slot_mask)? = true;
        }
        *disp.get_mut(bucket)? = found as u64;
    }
    Some(disp)
}

/// SplitMix64: seeds need to differ, not to be secret; every key is compared in full.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{pack, words_of};

    /// Keys that differ in one place only: everywhere a weak hash would lose the difference.
    #[test]
    fn every_family_of_similar_keys_finds_a_seed() {
        for count in [2, 3, 10, 33, 200] {
            for shift in [0, 8, 24, 31, 32, 40, 48, 56] {
                let ids: Vec<u64> = (1..=count.min(255_u64)).map(|k| k << shift).collect();
                assert!(Table::build(&ids, |seed, id| seed.hash_id(*id)).is_ok());
            }
        }
        for len in [1, 2, 7, 8, 9, 12, 13, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48] {
            for at in 0..len {
                let spell = |byte: u8| {
                    let mut name = vec![b'x'; len];
                    name[at] = byte;
                    pack(&name).unwrap()[..words_of(len)].to_vec()
                };
                let names: Vec<Vec<u64>> = (b'a'..=b'z').chain(b'0'..=b'9').map(spell).collect();
                assert!(
                    Table::build(&names, |seed, name| seed.hash_name(name)).is_ok(),
                    "byte {at} of {len}"
                );
            }
        }
    }
}
