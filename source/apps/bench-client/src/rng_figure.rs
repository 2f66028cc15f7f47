//! What a client pays for a key's worth of entropy.

use bench_server::instret;
use nexus_abi::Sys;
use nexus_ipc::{Deadline, connect, rng::Client};
use nexus_system::names::RNGD;

use crate::{
    Failure,
    median::{between, median},
};

/// Bytes of one draw.
const BYTES: usize = 32;

/// Longest a draw may take; the first one waits for the start-up test.
const PATIENCE_NS: u64 = 2_000_000_000;

/// From before the typed client is called to after it returned the bytes: the question to policyd
/// with its record, the generator, both ways' copies, and everything wiped.
pub(crate) fn entropy<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    let deadline = Deadline::after_ns(sys, PATIENCE_NS);
    let endpoint = connect(sys, RNGD, deadline).map_err(|_| "no rngd")?;
    let mut rngd = Client::new(endpoint, 0);
    median(|| {
        let deadline = Deadline::after_ns(sys, PATIENCE_NS);
        let mut bytes = [0; BYTES];
        let before = instret();
        let drawn = rngd.entropy(sys, &mut bytes, deadline);
        let after = instret();
        drawn.map(|()| between(before, after)).map_err(|_| "no entropy")
    })
}
