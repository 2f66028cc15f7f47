//! Builds the perfect hash tables: a displacement per bucket, so that every key has a slot of
//! its own and a lookup is one probe.
use crate::authoring::emit::{EmitError, low};
use crate::table::{DISP_BITS, Seed, bucket_bits, place, slot_bits};

/// A built table: parameters, displacements, and the slot of every key.
pub(crate) struct Table {
    pub(crate) params: [u64; 3],
    /// Per bucket, of which there is one per slot.
    disp: Vec<u64>,
    pub(crate) slot_of: Vec<usize>,
}

impl Table {
    /// At most three quarters full; a few seeds suffice.
    pub(crate) fn build<K>(keys: &[K], hash: impl Fn(Seed, &K) -> u64) -> Result<Self, EmitError> {
        let slots = keys.len().saturating_mul(4).div_ceil(3).max(2).next_power_of_two();
        let mut random = 0_u64;
        for _ in 0..1_000 {
            let seed = Seed { a: split_mix(&mut random), b: split_mix(&mut random) | 1 };
            let hashes: Vec<u64> = keys.iter().map(|key| hash(seed, key)).collect();
            if let Some(disp) = displace(&hashes, slots) {
                return Ok(Self::finish(seed, &hashes, disp));
            }
        }
        Err(EmitError::NoSeed)
    }

    fn finish(seed: Seed, hashes: &[u64], disp: Vec<u64>) -> Self {
        let slots: Vec<[u64; 1]> = disp.iter().map(|disp| [*disp]).collect();
        let slot_of = hashes.iter().filter_map(|hash| place(*hash, &slots)).collect();
        let sizes = u64::from(disp.len().trailing_zeros()) | low(hashes.len()) << 32;
        Self { params: [seed.a, seed.b, sizes], disp, slot_of }
    }

    /// The slots with a record for every key, in order, and the displacements in their last words.
    pub(crate) fn lay_out<const N: usize>(
        &self,
        empty: [u64; N],
        records: impl Iterator<Item = [u64; N]>,
    ) -> Vec<u64> {
        let mut slots = vec![empty; self.disp.len()];
        for (slot, record) in self.slot_of.iter().zip(records) {
            if let Some(entry) = slots.get_mut(*slot) {
                *entry = record;
            }
        }
        for (slot, disp) in slots.iter_mut().zip(&self.disp) {
            if let Some(last) = slot.last_mut() {
                *last = *last << DISP_BITS | disp;
            }
        }
        slots.concat()
    }
}

/// A displacement per bucket that puts every key in a slot of its own: largest bucket
/// first, smallest displacement that fits.
fn displace(hashes: &[u64], slots: usize) -> Option<Vec<u64>> {
    let mask = slots.checked_sub(1)?;
    let mut members: Vec<(usize, Vec<usize>)> = (0..slots).map(|b| (b, Vec::new())).collect();
    for hash in hashes {
        members.get_mut(bucket_bits(*hash) & mask)?.1.push(slot_bits(*hash) & mask);
    }
    members.sort_by_key(|(bucket, keys)| (core::cmp::Reverse(keys.len()), *bucket));
    let mut taken = vec![false; slots];
    let mut disp = vec![0_u64; slots];
    for (bucket, mut keys) in members {
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return None;
        }
        let free = |d: &usize| {
            keys.iter().all(|key| taken.get((key ^ d) & mask).is_some_and(|taken| !taken))
        };
        let found = (0..slots).find(free)?;
        for key in &keys {
            *taken.get_mut((key ^ found) & mask)? = true;
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
