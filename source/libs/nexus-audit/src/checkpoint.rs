//! Checkpoints: fixed bytes that bind the heads of all lanes, the counters and the checkpoint
//! before.

use crate::chain::{Digest, fill};

/// First word of every checkpoint.
const MAGIC: u64 = u64::from_le_bytes(*b"NXACKPT2");
/// What the digest of a checkpoint begins with.
const DIGEST: [u8; 8] = *b"NXAckpt1";
/// Words before the seal.
const BODY_WORDS: usize = 27;
/// Where the digests start.
const DIGESTS_AT: usize = 15 * 8;
/// Bytes before the seal.
const BODY: usize = BODY_WORDS * 8;

/// What happened to all records up to a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions stored.
    pub stored: u64,
    /// Decisions lost, and counted.
    pub lost: u64,
    /// Kernel events stored.
    pub kernel_stored: u64,
    /// Kernel events lost, and counted.
    pub kernel_lost: u64,
    /// Records the journal wrote about itself.
    pub own: u64,
    /// Stored records that made room for newer ones.
    pub evicted: u64,
}

/// Who vouches for a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seal {
    /// Nobody: whoever could write the file could have written this.
    #[default]
    Unsigned,
    /// The device's checkpoint key.
    Ed25519(Signature),
}

/// A signature over a checkpoint's digest and the boot counter, in the form that the keys of this
/// system sign: see [`crate::KeyCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Generation of the checkpoint key.
    pub generation: u32,
    /// Boot counter; under the signature too.
    pub boot: u32,
    /// Ed25519.
    pub bytes: [u8; 64],
}

/// A checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Grows by one per checkpoint, from 1.
    pub number: u64,
    /// Which boot.
    pub boot_id: u64,
    /// When it was made, nanoseconds since boot.
    pub time_ns: u64,
    /// Oldest record held.
    pub first_seq: u64,
    /// Newest record covered.
    pub last_seq: u64,
    /// What happened to the records.
    pub counts: Counts,
    /// Lanes that hold records.
    pub lanes: u64,
    /// Version of the policy in force, 0 if unknown.
    pub policy_version: u64,
    /// Digest of the policy in force, zero if unknown.
    pub policy: Digest,
    /// [`crate::root`] over the heads of those lanes.
    pub root: Digest,
    /// Digest of the checkpoint before, zero for the first.
    pub previous: Digest,
    /// Who vouches for it.
    pub seal: Seal,
}

impl Checkpoint {
    /// Encoded bytes.
    pub const BYTES: usize = 296;
    /// Encoded words.
    pub const WORDS: usize = Self::BYTES / 8;

    fn body(&self) -> [u8; BODY] {
        let c = &self.counts;
        let words = [
            MAGIC,
            self.number,
            self.boot_id,
            self.time_ns,
            self.first_seq,
            self.last_seq,
            c.stored,
            c.lost,
            c.kernel_stored,
            c.kernel_lost,
            c.own,
            c.evicted,
            0,
            self.lanes,
            self.policy_version,
        ];
        let mut body = [0; BODY];
        let (chunks, _) = body.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        if let Some(rest) = body.get_mut(DIGESTS_AT..) {
            fill(rest, &[&self.policy, &self.root, &self.previous]);
        }
        body
    }

    /// The fixed bytes: magic, numbers, counters, digests, kind of seal, generation and boot
    /// counter of its key, signature.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let none = Signature { generation: 0, boot: 0, bytes: [0; 64] };
        let (kind, by) = match self.seal {
            Seal::Unsigned => (0u64, none),
            Seal::Ed25519(signature) => (1, signature),
        };
        let (generation, boot) = (by.generation.to_le_bytes(), by.boot.to_le_bytes());
        let mut out = [0; Self::BYTES];
        fill(&mut out, &[&self.body(), &kind.to_le_bytes(), &generation, &boot, &by.bytes]);
        out
    }

    /// Inverse of [`Checkpoint::encode`]; `None` if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<Checkpoint> {
        let (chunks, _) = bytes.as_chunks::<8>();
        let word = |at: usize| chunks.get(at).map_or(0, |c| u64::from_le_bytes(*c));
        let digest = |at: usize| -> Digest {
            let from = bytes.get(at.saturating_mul(8)..).and_then(|rest| rest.first_chunk());
            from.copied().unwrap_or_default()
        };
        let signature: [u8; 64] = bytes.last_chunk().copied()?;
        let by = word(BODY_WORDS + 1);
        let seal = match word(BODY_WORDS) {
            0 if signature == [0; 64] && by == 0 => Seal::Unsigned,
            1 => Seal::Ed25519(Signature {
                generation: by as u32,
                boot: (by >> 32) as u32,
                bytes: signature,
            }),
            _ => return None,
        };
        let counts = Counts {
            stored: word(6),
            lost: word(7),
            kernel_stored: word(8),
            kernel_lost: word(9),
            own: word(10),
            evicted: word(11),
        };
        let known = word(0) == MAGIC && word(12) == 0 && word(1) > 0;
        known.then_some(Checkpoint {
            number: word(1),
            boot_id: word(2),
            time_ns: word(3),
            first_seq: word(4),
            last_seq: word(5),
            counts,
            lanes: word(13),
            policy_version: word(14),
            policy: digest(15),
            root: digest(19),
            previous: digest(23),
            seal,
        })
    }

    /// What the next checkpoint quotes, and what is signed: covers everything but the seal.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut input = [0; 8 + BODY];
        fill(&mut input, &[&DIGEST, &self.body()]);
        blake3::hash(&input).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back_and_every_byte_counts() {
        let one = Checkpoint {
            number: 1,
            last_seq: 9,
            policy: [1; 32],
            root: [2; 32],
            previous: [3; 32],
            seal: Seal::Ed25519(Signature { generation: 5, boot: 6, bytes: [4; 64] }),
            ..Checkpoint::default()
        };
        let bytes = one.encode();
        assert_eq!(Checkpoint::decode(&bytes), Some(one));
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 1;
            if let Some(other) = Checkpoint::decode(&other) {
                assert_ne!(other, one, "byte {at} means nothing");
                assert_eq!(other.digest() == one.digest(), at >= BODY);
            }
        }
    }
}
