//! What a client pays for what keystored does: the decision with its record, the record of the
//! act, the store where it is needed, and the cryptography, which is most of it.

use bench_server::instret;
use nexus_abi::Sys;
use nexus_ipc::{
    Deadline, connect,
    keys::{Claim, Client, KeyError, Signed},
};
use nexus_keys::Purpose;
use nexus_system::{ids, names::KEYSTORED};
use nexus_wire::keys::{Status, VALUE_MAX};

use crate::{Failure, median::between};

/// Calls measured of each kind, and one before them: keystored limits how often.
const FEW: usize = 15;
/// Between two calls, not counted: time for the next token of the scarcest kind.
const PAUSE_NS: u64 = 1_100_000_000;
/// Longest a call may take; making the keys takes several commits.
const PATIENCE_NS: u64 = 5_000_000_000;
/// What is signed and kept.
const MESSAGE: &[u8; 32] = b"thirty-two bytes of some message";
const CHALLENGE: [u8; 32] = [7; 32];
const NAME: &[u8] = b"bench/secret";

/// Instructions of one call of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) sign: u64,
    pub(crate) verify: u64,
    pub(crate) attest: u64,
    pub(crate) put: u64,
    pub(crate) get: u64,
}

/// Counts one call of each kind: the least of a few, since how long the host's disk takes is not the
/// system's own work.
pub(crate) fn measure<S: Sys>(sys: &mut S) -> Result<Figures, Failure> {
    let deadline = Deadline::after_ns(sys, PATIENCE_NS);
    let endpoint = connect(sys, KEYSTORED, deadline).map_err(|_| "no keystored")?;
    let mut keys = Client::new(endpoint, 0);
    match keys.keygen(sys, (0, 0), deadline) {
        Ok(_) | Err(KeyError::Refused(Status::KeyExists)) => {}
        Err(_) => return Err("no keys"),
    }
    let signed = keys.sign(sys, MESSAGE, deadline).map_err(|_| "not signed")?;
    let sign = few(sys, |sys, deadline| keys.sign(sys, MESSAGE, deadline).map(|_| ()))?;
    let verify = few(sys, |sys, deadline| verified(&mut keys, sys, signed, deadline))?;
    let attest = few(sys, |sys, deadline| keys.attest(sys, &CHALLENGE, deadline).map(|_| ()))?;
    let put = few(sys, |sys, deadline| keys.put(sys, (NAME, MESSAGE), deadline).map(|_| ()))?;
    let mut value = [0; VALUE_MAX];
    let get = few(sys, |sys, deadline| keys.get(sys, NAME, &mut value, deadline).map(|_| ()))?;
    Ok(Figures { sign, verify, attest, put, get })
}

fn verified<S: Sys>(
    keys: &mut Client,
    sys: &mut S,
    signed: Signed,
    deadline: Deadline,
) -> Result<(), KeyError> {
    let (purpose, caller) = (Purpose::Service.code(), ids::BENCH_CLIENT.0);
    let claim = Claim { purpose, caller, signed, message: MESSAGE };
    match keys.verify(sys, &claim, deadline)? {
        (true, _) => Ok(()),
        (false, _) => Err(KeyError::Protocol),
    }
}

fn few<S: Sys>(
    sys: &mut S,
    mut once: impl FnMut(&mut S, Deadline) -> Result<(), KeyError>,
) -> Result<u64, Failure> {
    let mut least = u64::MAX;
    for at in 0..=FEW {
        let later = sys.now_ns().saturating_add(PAUSE_NS);
        sys.sleep_until(later);
        let deadline = Deadline::after_ns(sys, PATIENCE_NS);
        let before = instret();
        let outcome = once(sys, deadline);
        let after = instret();
        outcome.map_err(|_| "a key operation failed")?;
        // The first one warms up.
        if at > 0 {
            least = least.min(between(before, after));
        }
    }
    Ok(least)
}
