//! Frames for the tests of those who answer them: the golden requests, and damaged ones.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "for tests: a panic is a failed test"
)]

extern crate std;

use std::{borrow::ToOwned, string::String, vec::Vec};

use crate::FRAME_MAX;

/// Requests with the names of their vectors.
pub type Requests = Vec<(String, Vec<u8>)>;

/// The requests among the golden vectors of a protocol, as its file has them.
#[must_use]
pub fn requests(file: &str) -> Requests {
    let requests = file.lines().filter_map(|line| line.split_once(".req "));
    requests.map(|(name, hex)| (name.to_owned(), bytes(hex))).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or_default() as u8;
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

/// Xorshift: the same seed, which must not be 0, makes the same frames everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Below `bound`, which must not be 0 and is small: the bias does not show.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// A golden frame with some bytes changed, shorter or whole, or plain noise.
    pub fn frame(&mut self, golden: &[(String, Vec<u8>)]) -> Vec<u8> {
        if self.below(4) == 0 {
            let len = self.below(FRAME_MAX as u64 + 1);
            return (0..len).map(|_| self.below(256) as u8).collect();
        }
        let mut frame = golden[self.below(golden.len() as u64) as usize].1.clone();
        for _ in 0..self.below(4) {
            let at = self.below(frame.len() as u64) as usize;
            frame[at] = self.below(256) as u8;
        }
        if self.below(3) == 0 {
            frame.truncate(self.below(frame.len() as u64 + 1) as usize);
        }
        frame
    }
}
