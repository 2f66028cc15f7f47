//! The last acknowledged change, in memory that outlives statefsd: the anchor of the next mount in
//! this boot. Guards that a disk that went back under a running machine is not served.

use core::sync::atomic::{AtomicU64, Ordering};

use nexus_state::{Anchor, StoreId};

/// Sequence of the last acknowledged commit; 0 for none. Written last.
const SEQUENCE: usize = 0;
/// Two words: whose.
const ID: usize = 1;

/// The memory; without any, there is no anchor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept<'k>(pub Option<&'k [AtomicU64]>);

impl Kept<'_> {
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.0.and_then(|words| words.get(at))
    }

    /// What the last instance acknowledged in this boot.
    #[must_use]
    pub fn anchor(&self) -> Option<Anchor> {
        let load = |at| self.word(at).map_or(0, |word| word.load(Ordering::Acquire));
        let sequence = load(SEQUENCE);
        let id = u128::from(load(ID)) | (u128::from(load(ID + 1)) << 64);
        (sequence > 0).then_some(Anchor { id: id.to_le_bytes(), sequence })
    }

    /// Whose the sequences are, before the first of them.
    pub fn begin(&self, id: StoreId, sequence: u64) {
        let id = u128::from_le_bytes(id);
        for (at, half) in [(ID, id as u64), (ID + 1, (id >> 64) as u64)] {
            if let Some(word) = self.word(at) {
                word.store(half, Ordering::Release);
            }
        }
        self.acknowledged(sequence);
    }

    /// A commit is durable; it only goes forward.
    pub fn acknowledged(&self, sequence: u64) {
        if let Some(word) = self.word(SEQUENCE) {
            word.fetch_max(sequence, Ordering::Release);
        }
    }
}
