//! The chain: each value hashes the one before it and a record.

use nexus_wire::audit::Record;

/// A BLAKE3 value.
pub type Digest = [u8; 32];

/// Lanes of a journal: the orders its fair share of space knows. The last one is shared by all
/// subjects that found no lane of their own.
pub const LANES: usize = 64;

/// What each kind of hash starts with, so that no value of one kind is ever one of another.
const GENESIS: [u8; 8] = *b"NXAgene1";
const LINK: [u8; 8] = *b"NXAlink1";
const ROOT: [u8; 8] = *b"NXAroot1";

/// The value before a lane's first record ever, bound to the boot.
#[must_use]
pub fn genesis(boot_id: u64, lane: u8) -> Digest {
    let mut input = [0; 17];
    fill(&mut input, &[&GENESIS, &boot_id.to_le_bytes(), &[lane]]);
    blake3::hash(&input).into()
}

/// The value after `record`. One call over one buffer: it needs a fifth of the stack that
/// hashing in steps does.
#[must_use]
pub fn link(before: &Digest, record: &[u8; Record::BYTES]) -> Digest {
    let mut input = [0; 8 + 32 + Record::BYTES];
    fill(&mut input, &[&LINK, before, record]);
    blake3::hash(&input).into()
}

/// The one value that stands for the heads of all lanes, in the order of their numbers.
pub fn root(heads: impl Iterator<Item = (u8, Digest)>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&ROOT);
    for (lane, head) in heads {
        hasher.update(&[lane]);
        hasher.update(&head);
    }
    hasher.finalize().into()
}

/// Writes `parts` one behind the other.
pub(crate) fn fill(out: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    for (place, byte) in out.iter_mut().zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_matters() {
        let base = genesis(1, 2);
        assert_ne!(base, genesis(1, 3));
        assert_ne!(base, genesis(2, 2));
        let record = [7; Record::BYTES];
        assert_ne!(link(&base, &record), link(&genesis(1, 3), &record));
        assert_ne!(link(&base, &record), link(&base, &[8; Record::BYTES]));
        let two = [(0, base), (1, record[..32].try_into().unwrap())];
        assert_ne!(root(two.into_iter()), root(two.into_iter().rev()));
        assert_ne!(root(two.into_iter()), root(two.into_iter().take(1)));
    }
}
