//! Signing checkpoints: what logd puts into lane `checkpoints`, and what comes back through lane
//! `seals`. Both are 16-word lane records; the lane sets word 0.

/// Words of one lane record.
const WORDS: usize = 16;

/// A checkpoint that wants a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealRequest {
    /// Its number.
    pub number: u64,
    /// Its digest: all that is signed of it.
    pub digest: [u8; 32],
}

impl SealRequest {
    /// Words: set by the lane, number, digest in four, zeros.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        put(&mut words, 1, &self.number.to_le_bytes());
        put(&mut words, 2, &self.digest);
        words
    }

    /// Inverse of [`SealRequest::to_words`]; `None` for number 0 or anything in the rest.
    #[must_use]
    pub fn from_words(words: &[u64; WORDS]) -> Option<SealRequest> {
        let [_, number, d0, d1, d2, d3, rest @ ..] = *words;
        let mut digest = [0; 32];
        take(&mut digest, &[d0, d1, d2, d3]);
        let clean = number > 0 && rest.iter().all(|word| *word == 0);
        clean.then_some(SealRequest { number, digest })
    }
}

/// The signature of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealReply {
    /// The checkpoint's number.
    pub number: u64,
    /// Generation of the checkpoint key.
    pub generation: u32,
    /// Boot counter, which is under the signature too.
    pub boot: u32,
    /// Ed25519.
    pub signature: [u8; 64],
}

impl SealReply {
    /// Words: set by the lane, number, generation and boot counter, signature in eight, zeros.
    #[must_use]
    pub fn to_words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        put(&mut words, 1, &self.number.to_le_bytes());
        put(&mut words, 2, &pair(self.generation, self.boot).to_le_bytes());
        put(&mut words, 3, &self.signature);
        words
    }

    /// Inverse of [`SealReply::to_words`]; `None` for number 0 or anything in the rest.
    #[must_use]
    pub fn from_words(words: &[u64; WORDS]) -> Option<SealReply> {
        let [_, number, who, s0, s1, s2, s3, s4, s5, s6, s7, rest @ ..] = *words;
        let mut signature = [0; 64];
        take(&mut signature, &[s0, s1, s2, s3, s4, s5, s6, s7]);
        let (generation, boot) = (who as u32, (who >> 32) as u32);
        let clean = number > 0 && rest.iter().all(|word| *word == 0);
        clean.then_some(SealReply { number, generation, boot, signature })
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

fn put(words: &mut [u64; WORDS], at: usize, bytes: &[u8]) {
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().skip(at).zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
}

fn take(bytes: &mut [u8], words: &[u64]) {
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_survive_their_words() {
        let request = SealRequest { number: 9, digest: core::array::from_fn(|n| n as u8) };
        assert_eq!(SealRequest::from_words(&request.to_words()), Some(request));
        let signature = core::array::from_fn(|n| n as u8 ^ 0x80);
        let reply = SealReply { number: 9, generation: 3, boot: u32::MAX, signature };
        assert_eq!(SealReply::from_words(&reply.to_words()), Some(reply));
    }

    #[test]
    fn test_reject_numbers_and_words_nobody_writes() {
        let request = SealRequest { number: 9, digest: [1; 32] }.to_words();
        let reply = SealReply { number: 9, generation: 3, boot: 4, signature: [1; 64] }.to_words();
        for (good, used) in [(request, 6), (reply, 11)] {
            for at in (1..2).chain(used..16) {
                let mut bad = good;
                bad[at] = u64::from(at > 1);
                let known = SealRequest::from_words(&bad).is_some() && used == 6;
                assert!(!known && (used == 6 || SealReply::from_words(&bad).is_none()), "{at}");
            }
        }
    }
}
