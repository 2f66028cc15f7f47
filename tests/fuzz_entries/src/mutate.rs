//! Seeded mutation: what libFuzzer does, without its feedback.

/// SplitMix64 with the usual ways to damage bytes.
pub struct Mutator(u64);

impl Mutator {
    /// The same seed makes the same inputs everywhere.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A random word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Below `end`; 0 for an empty range.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() >> 1).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }

    /// Random bytes, short ones more often.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let most = self.below(most).max(1);
        (0..self.below(most)).map(|_| self.byte()).collect()
    }

    fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[0]
    }

    /// One of the seeds with one to four damages.
    pub fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(seeds);
        for _ in 0..=self.below(4) {
            self.damage(&mut bytes, seeds);
        }
        bytes
    }

    fn pick(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let at = self.below(seeds.len());
        seeds.get(at).cloned().unwrap_or_default()
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let len = self.below(16).min(bytes.len().saturating_sub(at));
        match self.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'*'][self.below(7)]
            }
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let copy = bytes[at..at + len].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => {
                let byte = self.byte();
                bytes.insert(at, byte);
            }
            6 => {
                let other = self.pick(seeds);
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend(other.get(from..).unwrap_or(&[]));
            }
            _ => {
                let word = self.word().to_le_bytes();
                let width = (1 << self.below(4)).min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&word[..width]);
            }
        }
    }
}
