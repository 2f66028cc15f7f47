//! What a client pays for a value that outlives a power cut, and for reading it.

use bench_server::instret;
use nexus_abi::Sys;
use nexus_ipc::{Deadline, connect, state::Client};
use nexus_system::names::STATEFSD;

use crate::{
    Failure,
    median::{REPEATS, between},
};

const KEY: &[u8] = b"bench/value";
const VALUE: [u8; 64] = [0x5a; 64];

/// Longest a request may take; the host's disk is in it.
const PATIENCE_NS: u64 = 2_000_000_000;

/// The two figures.
pub(crate) struct State {
    /// From before the typed client is called to after it returned: the question to policyd with
    /// its record, the record on the disk, the flush.
    pub(crate) put: u64,
    /// The same for reading the value back from the disk and checking it.
    pub(crate) get: u64,
}

/// Measures both. The driver looks for the disk's answer while it waits, and how long the host
/// takes is not the system's: the least of all runs is what is nearest to its own work.
pub(crate) fn state<S: Sys>(sys: &mut S) -> Result<State, Failure> {
    let deadline = Deadline::after_ns(sys, PATIENCE_NS);
    let endpoint = connect(sys, STATEFSD, deadline).map_err(|_| "no statefsd")?;
    let mut statefsd = Client::new(endpoint, 0);
    let (mut put, mut get) = (u64::MAX, u64::MAX);
    for _ in 0..REPEATS {
        let deadline = Deadline::after_ns(sys, PATIENCE_NS);
        let before = instret();
        let kept = statefsd.put(sys, KEY, &VALUE, deadline);
        let after = instret();
        kept.map_err(|_| "not kept")?;
        put = put.min(between(before, after));
        let deadline = Deadline::after_ns(sys, PATIENCE_NS);
        let before = instret();
        let read = statefsd.get(sys, KEY, deadline).map(|value| value == Some(&VALUE));
        let after = instret();
        if read != Ok(true) {
            return Err("not what was kept");
        }
        get = get.min(between(before, after));
    }
    Ok(State { put, get })
}
