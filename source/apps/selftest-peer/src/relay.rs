//! Frames sent in the peer's name: what it takes to be a second subject of any service.

use nexus_abi::{Call, Handle, Sys};
use nexus_ipc::{Deadline, connect};
use nexus_wire::echo::RELAY_MAX;

/// How long the service may take. The client waits longer for the peer.
const WAIT_NS: u64 = 300_000_000;

/// Connects, sends, and gives the connection up again.
pub(crate) fn relay<S: Sys>(
    sys: &mut S,
    to: &str,
    bytes: &[u8],
    answer: &mut [u8; RELAY_MAX],
) -> Option<usize> {
    let deadline = Deadline::after_ns(sys, WAIT_NS);
    let ep = connect(sys, to, deadline).ok()?;
    sys.frame_mut().get_mut(..bytes.len())?.copy_from_slice(bytes);
    let reply = sys.call(ep, bytes.len(), Handle::NONE, deadline.ns());
    let len = reply.ok().and_then(|reply| {
        if !reply.cap.is_none() {
            let _gone_either_way = sys.run(Call::CapClose { cap: reply.cap });
            return None;
        }
        let place = answer.get_mut(..reply.len)?;
        place.copy_from_slice(sys.frame().get(..reply.len)?);
        Some(reply.len)
    });
    let _gone_either_way = sys.run(Call::CapClose { cap: ep });
    len
}
