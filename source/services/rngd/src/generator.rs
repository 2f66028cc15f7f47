//! ChaCha20 with fast key erasure: whoever takes the state learns nothing about earlier output.

use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use nexus_abi::ServiceId;
use nexus_wire::rng::ENTROPY_MAX;
use zeroize::Zeroize as _;

use crate::{erased::Erased, source::Raw};

/// Output after which the generator is reseeded, in bytes.
pub const RESEED_BYTES: u64 = 1 << 20;
/// Requests after which it is reseeded.
pub const RESEED_REQUESTS: u64 = 1 << 16;
/// Time after which it is reseeded: a copy of this machine's memory diverges from then on.
pub const RESEED_NS: u64 = 60_000_000_000;

/// Bytes of a key.
const KEY: usize = 32;
/// Sets this derivation apart from every other use of BLAKE3.
const CONTEXT: &str = "nexus rngd 2026-11-22 generator key v1";

/// What differs between two machines, boots or moments, mixed into every seed. Not secret: it
/// only keeps two generators apart whose sources gave the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt {
    /// Which run of rngd this is.
    pub(crate) incarnation: u32,
    /// Time since boot.
    pub(crate) now_ns: u64,
}

/// Random bytes of one reply, erased when they go.
pub(crate) type Output = Erased<ENTROPY_MAX>;

/// A generator. Its key is used once, and stays in one place.
pub(crate) struct Generator {
    key: Erased<KEY>,
    seeded: bool,
    bytes: u64,
    requests: u64,
    seeded_ns: u64,
}

impl Generator {
    /// Not seeded, so always due.
    #[must_use]
    pub(crate) fn new() -> Generator {
        Generator { key: Erased::new(), seeded: false, bytes: 0, requests: 0, seeded_ns: 0 }
    }

    /// A new key: of raw bytes, of the key before, and of the salt. Either of the first two is
    /// enough.
    pub(crate) fn reseed(&mut self, raw: &Raw, salt: Salt) {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(raw.as_slice());
        hasher.update(&salt.incarnation.to_le_bytes());
        hasher.update(&salt.now_ns.to_le_bytes());
        hasher.update(self.key.as_slice());
        let mut output = hasher.finalize_xof();
        output.fill(self.key.as_mut_slice());
        output.zeroize();
        hasher.zeroize();
        (self.bytes, self.requests, self.seeded_ns) = (0, 0, salt.now_ns);
        self.seeded = true;
    }

    /// Back to [`Generator::new`].
    pub(crate) fn erase(&mut self) {
        self.key.erase();
        self.seeded = false;
    }

    /// Whether it has to be reseeded before it may be used again.
    #[must_use]
    pub(crate) const fn due(&self, now_ns: u64) -> bool {
        !self.seeded
            || self.bytes >= RESEED_BYTES
            || self.requests >= RESEED_REQUESTS
            || now_ns.saturating_sub(self.seeded_ns) >= RESEED_NS
            // A clock that went back tells nothing about the time since.
            || now_ns < self.seeded_ns
    }

    /// Fills `out` for `client`. The stream is the client's own: no two clients can be given the
    /// same bytes, even from two copies of one state. Its first bytes replace the key.
    pub(crate) fn fill(&mut self, client: ServiceId, out: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(*self.key);
        stream.set_stream(client.0);
        stream.fill_bytes(self.key.as_mut_slice());
        stream.fill_bytes(out);
        self.bytes = self.bytes.saturating_add(out.len() as u64);
        self.requests = self.requests.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(byte: u8) -> Raw {
        let mut raw = Raw::new();
        raw.iter_mut().enumerate().for_each(|(i, b)| *b = byte.wrapping_add(i as u8));
        raw
    }

    const SALT: Salt = Salt { incarnation: 1, now_ns: 5 };
    const A: ServiceId = ServiceId(4);
    const B: ServiceId = ServiceId(20);

    fn seeded(raw: &Raw, salt: Salt) -> Generator {
        let mut generator = Generator::new();
        generator.reseed(raw, salt);
        generator
    }

    fn draw(generator: &mut Generator, client: ServiceId) -> [u8; 64] {
        let mut out = [0; 64];
        generator.fill(client, &mut out);
        out
    }

    fn copy(of: &Generator) -> Generator {
        let mut key = Erased::new();
        key.copy_from_slice(of.key.as_slice());
        Generator { key, ..*of }
    }

    #[test]
    fn the_stream_is_chacha20() {
        // draft-strombergson-chacha-test-vectors, TC1: zero key, zero nonce, 20 rounds.
        let mut zero = Generator::new();
        let mut out = [0; 32];
        zero.fill(ServiceId(0), &mut out);
        assert_eq!(zero.key[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(out[..8], [0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d]);
    }

    #[test]
    fn every_input_of_a_seed_counts() {
        let first = seeded(&raw(1), SALT);
        assert_eq!(*first.key, *seeded(&raw(1), SALT).key);
        let mut after = copy(&first);
        after.reseed(&raw(1), SALT);
        let others = [
            after,
            seeded(&raw(2), SALT),
            seeded(&raw(1), Salt { incarnation: 2, ..SALT }),
            seeded(&raw(1), Salt { now_ns: 6, ..SALT }),
        ];
        assert!(others.iter().all(|other| *other.key != *first.key));
    }

    /// R10: what a request leaves behind does not give its output again.
    #[test]
    fn test_reject_earlier_output_from_a_captured_state() {
        let mut generator = seeded(&raw(1), SALT);
        let mut seen = std::collections::HashSet::new();
        for round in 0..2000u32 {
            let out = draw(&mut generator, A);
            for window in out.windows(8) {
                assert!(!generator.key.windows(8).any(|kept| kept == window), "round {round}");
            }
            for at in (0..64).step_by(16) {
                assert!(seen.insert(<[u8; 16]>::try_from(&out[at..at + 16]).unwrap()));
            }
            let captured = draw(&mut copy(&generator), A);
            assert_ne!(captured, out);
        }
    }

    /// R09: the streams of two clients have nothing in common, also from two copies of one state.
    #[test]
    fn test_reject_bytes_of_one_client_in_anothers_stream() {
        let state = seeded(&raw(1), SALT);
        let (mut one, mut two) = (copy(&state), copy(&state));
        let a: Vec<u8> = (0..64).flat_map(|_| draw(&mut one, A)).collect();
        let b: Vec<u8> = (0..64).flat_map(|_| draw(&mut two, B)).collect();
        let windows: std::collections::HashSet<&[u8]> = a.windows(8).collect();
        assert!(b.windows(8).all(|window| !windows.contains(window)));
    }

    #[test]
    fn test_reject_use_past_each_limit() {
        let fresh = || seeded(&raw(1), SALT);
        let with = |bytes, requests| Generator { bytes, requests, ..fresh() };
        assert!(!with(RESEED_BYTES - 1, 0).due(5) && with(RESEED_BYTES, 0).due(5));
        assert!(!with(0, RESEED_REQUESTS - 1).due(5) && with(0, RESEED_REQUESTS).due(5));
        assert!(!fresh().due(5 + RESEED_NS - 1) && fresh().due(5 + RESEED_NS));
        assert!(fresh().due(4), "a clock that went back");
        let mut erased = fresh();
        erased.erase();
        assert!(erased.due(5) && *erased.key == [0; KEY] && Generator::new().due(5));
    }
}
