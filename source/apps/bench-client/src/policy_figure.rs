//! The figure the system is judged by: one decision, as a client sees it.

use bench_server::instret;
use nexus_abi::{Handle, ServiceId, Sys, syscall::Topic};
use nexus_ipc::{Deadline, connect, policy::Client};
use nexus_system::names::POLICYD;

use crate::{
    Failure,
    median::{between, median},
};

/// A capability every program on the system holds.
const CAPABILITY: &str = "ipc.core";

/// Longest a decision may take.
const PATIENCE_NS: u64 = 1_000_000_000;

/// From before the typed client is called to after it returned ALLOW: encode, call, decide,
/// append the audit record, reply, decode.
pub(crate) fn policy_check<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    let deadline = Deadline::after_ns(sys, PATIENCE_NS);
    let endpoint = connect(sys, POLICYD, deadline).map_err(|_| "no policyd")?;
    let [me, ..] = sys.info(Handle::NONE, Topic::Caller).map_err(|_| "no identity")?;
    let mut policyd = Client::new(endpoint, 0);
    median(|| {
        let deadline = Deadline::after_ns(sys, PATIENCE_NS);
        let before = instret();
        let decision = policyd.check_cap(sys, ServiceId(me), CAPABILITY, deadline);
        let after = instret();
        decision.map(|_allowed| between(before, after)).map_err(|_| "not allowed")
    })
}
