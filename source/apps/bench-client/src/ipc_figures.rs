//! Across address spaces: call, reply, round trip, signal.

use bench_server::{ASK_STAMPS, ASK_WAIT, STAMPS_LEN, Stamps, instret};
use nexus_abi::{Call, Handle, Rights, Sys};
use nexus_ipc::{Deadline, connect};
use nexus_system::names::BENCH_SERVER;

use crate::{
    Failure,
    median::{between, median},
};

/// Longest any exchange may take.
const PATIENCE_NS: u64 = 1_000_000_000;

/// The three figures of one frame length.
pub(crate) struct Exchange {
    /// From before the client's trap to after the server's receive.
    pub(crate) call: u64,
    /// From before the server's trap to after the client's call.
    pub(crate) reply_recv: u64,
    /// From before the client's trap to after it, the server's work included.
    pub(crate) round_trip: u64,
}

/// A CALL capability to the server.
pub(crate) fn connect_server<S: Sys>(sys: &mut S) -> Result<Handle, Failure> {
    let deadline = Deadline::after_ns(sys, PATIENCE_NS);
    connect(sys, BENCH_SERVER, deadline).map_err(|_| "no bench server")
}

/// Measures exchanges of `len` bytes each way.
pub(crate) fn exchange<S: Sys>(
    sys: &mut S,
    server: Handle,
    len: usize,
) -> Result<Exchange, Failure> {
    let call = median(|| once(sys, server, len).map(|e| e.call))?;
    let reply_recv = median(|| once(sys, server, len).map(|e| e.reply_recv))?;
    let round_trip = median(|| once(sys, server, len).map(|e| e.round_trip))?;
    Ok(Exchange { call, reply_recv, round_trip })
}

fn once<S: Sys>(sys: &mut S, server: Handle, len: usize) -> Result<Exchange, Failure> {
    let deadline_ns = sys.now_ns().saturating_add(PATIENCE_NS);
    let before = instret();
    let reply = sys.call(server, len, Handle::NONE, deadline_ns);
    let after = instret();
    if reply.map_err(|_| "exchange failed")?.len != len {
        return Err("exchange came back with another length");
    }
    let stamps = stamps(sys, server)?;
    Ok(Exchange {
        call: between(before, stamps.got),
        reply_recv: between(stamps.answered, after),
        round_trip: between(before, after),
    })
}

fn stamps<S: Sys>(sys: &mut S, server: Handle) -> Result<Stamps, Failure> {
    let deadline_ns = sys.now_ns().saturating_add(PATIENCE_NS);
    let reply = sys.call(server, ASK_STAMPS, Handle::NONE, deadline_ns);
    let len = reply.map_err(|_| "no stamps")?.len;
    match sys.frame().first_chunk() {
        Some(bytes) if len == STAMPS_LEN => Ok(Stamps::decode(bytes)),
        _ => Err("stamps of another length"),
    }
}

/// From before the signal to after the wait in the server's process, which is of higher
/// priority and so runs at once.
pub(crate) fn signal_waiter<S: Sys>(sys: &mut S, server: Handle) -> Result<u64, Failure> {
    let notif = sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
    let rights = Rights::WAIT.or(Rights::GRANT);
    let gift = sys.derive(notif, rights, 0).map_err(|_| "notification not derived")?;
    wait_for_signal(sys, server, gift)?;
    // That one was only to hand the notification over; it is not measured.
    signal(sys, notif)?;
    median(|| {
        wait_for_signal(sys, server, Handle::NONE)?;
        let before = signal(sys, notif)?;
        match stamps(sys, server)?.got {
            0 => Err("the waiter did not wake"),
            got => Ok(between(before, got)),
        }
    })
}

/// The server answers and then waits; it has priority, so it waits before this returns.
fn wait_for_signal<S: Sys>(sys: &mut S, server: Handle, gift: Handle) -> Result<(), Failure> {
    let deadline_ns = sys.now_ns().saturating_add(PATIENCE_NS);
    sys.call(server, ASK_WAIT, gift, deadline_ns).map(|_| ()).map_err(|_| "server does not wait")
}

fn signal<S: Sys>(sys: &mut S, notif: Handle) -> Result<u64, Failure> {
    let before = instret();
    let signalled = sys.run(Call::Signal { notif, bits: 1 });
    signalled.map(|_| before).map_err(|_| "signal refused")
}
