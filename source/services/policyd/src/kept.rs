//! The newest policy that was loaded, kept over deaths of this process: a restart goes back to
//! what was in force, not to what the image came with.
//!
//! Two places, written in turn, and never the one that holds the policy in force: a death in
//! the middle of a write leaves half a policy, which nobody believes, beside a whole one.

use core::sync::atomic::{AtomicU64, Ordering};

use nexus_sel::stated_version;

use crate::blob::{BLOB_WORDS, Blob};

/// Kept policies, believed only after the same checks as any other.
pub(crate) struct Kept<'m>(&'m [AtomicU64]);

/// One of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Second,
}

impl Place {
    /// Both.
    pub(crate) const ALL: [Place; 2] = [Place::First, Place::Second];

    pub(crate) const fn other(self) -> Place {
        match self {
            Place::First => Place::Second,
            Place::Second => Place::First,
        }
    }
}

impl<'m> Kept<'m> {
    pub(crate) const fn new(memory: &'m [AtomicU64]) -> Self {
        Kept(memory)
    }

    fn place(&self, place: Place) -> &'m [AtomicU64] {
        let start = match place {
            Place::First => 0,
            Place::Second => BLOB_WORDS,
        };
        self.0.get(start..).and_then(|rest| rest.get(..BLOB_WORDS)).unwrap_or_default()
    }

    /// The version that the policy at `place` states, unchecked; 0 is none.
    pub(crate) fn stated(&self, place: Place) -> u64 {
        let mut head = [0; 8];
        copy(self.place(place), &mut head);
        stated_version(&head)
    }

    pub(crate) fn read(&self, place: Place, into: &mut Blob) {
        copy(self.place(place), into);
    }

    pub(crate) fn write(&self, place: Place, words: &Blob) {
        for (kept, word) in self.place(place).iter().zip(words) {
            kept.store(*word, Ordering::Relaxed);
        }
    }
}

fn copy(from: &[AtomicU64], into: &mut [u64]) {
    for (word, kept) in into.iter_mut().zip(from) {
        *word = kept.load(Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(words: u64) -> Blob {
        core::array::from_fn(|at| words ^ at as u64)
    }

    /// Each as long as it can be: neither loses a word to the other.
    #[test]
    fn two_policies_of_full_length_lie_beside_each_other() {
        let memory: Vec<AtomicU64> = (0..2 * BLOB_WORDS).map(|_| AtomicU64::new(0)).collect();
        let kept = Kept::new(&memory);
        let blobs = [filled(0x5555 << 32), filled(0x3333 << 32)];
        for order in [Place::ALL, [Place::Second, Place::First]] {
            memory.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            order.iter().for_each(|place| kept.write(*place, &blobs[*place as usize]));
            for place in Place::ALL {
                let mut read = [0; BLOB_WORDS];
                kept.read(place, &mut read);
                assert_eq!(read, blobs[place as usize], "{place:?}");
                assert_eq!(kept.stated(place), stated_version(&read));
            }
        }
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        for memory in [&[][..], &[AtomicU64::new(9)]] {
            let kept = Kept::new(memory);
            kept.write(Place::First, &filled(1));
            assert_eq!(Place::ALL.map(|place| kept.stated(place)), [0; 2]);
        }
    }
}
