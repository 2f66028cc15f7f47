//! The health tests of NIST SP 800-90B section 4.4, on every raw byte, before anything else.
//!
//! They find a source that broke, not one that lies: a generator with a secret key passes them.

use nexus_wire::rng::Health;

/// Bytes of one window of the adaptive proportion test: what 4.4.2 sets for sources that are not
/// binary.
pub const WINDOW: u16 = 512;

/// Where the tests fail. They can be tightened, never loosened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    repetition: u16,
    proportion: u16,
}

impl Cutoffs {
    /// For a claim of 4 bits of min-entropy a byte and a false alarm in 2^30: `1 + ceil(30 / 4)`
    /// equal bytes in a row, and `1 + critbinom(512, 2^-4, 1 - 2^-30)` equal bytes in a window.
    pub const CLAIMED: Cutoffs = Cutoffs { repetition: 9, proportion: 71 };

    /// Fewest that make sense: below, every source fails.
    const LEAST: u16 = 2;

    /// Stricter ones; `None` if either is looser than it is now, or fails everything.
    #[must_use]
    pub const fn tightened(self, repetition: u16, proportion: u16) -> Option<Cutoffs> {
        let looser = repetition > self.repetition || proportion > self.proportion;
        let absurd = repetition < Cutoffs::LEAST || proportion < Cutoffs::LEAST;
        if looser || absurd { None } else { Some(Cutoffs { repetition, proportion }) }
    }
}

/// Both tests, running.
#[derive(Debug)]
pub struct Tests {
    cutoffs: Cutoffs,
    /// The byte that repeats, and how often it came in a row.
    last: Option<u8>,
    run: u16,
    /// The byte counted in this window, how often it came, and how much of the window is left.
    counted: u8,
    count: u16,
    left: u16,
}

impl Tests {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new(cutoffs: Cutoffs) -> Tests {
        Tests { cutoffs, last: None, run: 0, counted: 0, count: 0, left: 0 }
    }

    /// Takes the next raw byte.
    ///
    /// # Errors
    /// Which test failed; the caller latches it.
    pub const fn feed(&mut self, byte: u8) -> Result<(), Health> {
        match self.last {
            Some(last) if last == byte => self.run = self.run.saturating_add(1),
            _ => {
                self.last = Some(byte);
                self.run = 1;
            }
        }
        if self.run >= self.cutoffs.repetition {
            return Err(Health::Repetition);
        }
        if self.left == 0 {
            self.counted = byte;
            self.count = 0;
            self.left = WINDOW;
        }
        self.left = self.left.saturating_sub(1);
        if self.counted == byte {
            self.count = self.count.saturating_add(1);
        }
        if self.count >= self.cutoffs.proportion {
            return Err(Health::Proportion);
        }
        Ok(())
    }
}
