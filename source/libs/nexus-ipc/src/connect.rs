//! Getting a CALL capability to a service from the supervisor.

use nexus_abi::{Error, Handle, Sys, layout::SLOT_CONNECT};
use nexus_wire::{
    Name,
    route::{Op, Reply, Request, Response, Status},
};

use crate::{
    Deadline,
    call::{discard, frame},
};

/// Version of the routing protocol spoken here.
const VERSION: u8 = 1;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The kernel ended the call.
    Ipc(Error),
    /// The reply is not a reply to this request, or came without a capability.
    Protocol,
    /// The name does not fit the field; nothing was sent.
    Argument,
    /// Policy says no.
    Denied,
    /// No such service.
    NotFound,
    /// The authority did not answer, or the service is not there.
    Unavailable,
    /// The supervisor did not understand the request.
    Refused,
}

/// Asks the supervisor for a CALL capability to the service called `name`.
///
/// # Errors
/// A [`ConnectError`]; then nothing was gained.
pub fn connect<S: Sys>(
    sys: &mut S,
    name: &str,
    deadline: Deadline,
) -> Result<Handle, ConnectError> {
    let name = Name::new(name).ok_or(ConnectError::Argument)?;
    // The time is nonce enough: the kernel's reply token correlates.
    let nonce = sys.now_ns() as u32;
    let request = Request { version: VERSION, nonce: None, op: Op::Get { name, nonce } };
    let len = request.encode(frame(sys));
    let reply = sys
        .call(Handle::fixed(SLOT_CONNECT), len, Handle::NONE, deadline.ns())
        .map_err(ConnectError::Ipc)?;
    let answer = sys.frame().get(..reply.len).and_then(Response::decode);
    let outcome = verdict(answer, nonce, reply.cap);
    if outcome.is_err() && !reply.cap.is_none() {
        discard(sys, reply.cap);
    }
    outcome
}

fn verdict(answer: Option<Response>, nonce: u32, cap: Handle) -> Result<Handle, ConnectError> {
    let Some(Response { status, body: Reply::Get { nonce: echoed, .. }, .. }) = answer else {
        return Err(ConnectError::Protocol);
    };
    // A supervisor that could not decode the frame cannot echo its nonce.
    let undecoded = matches!(status, Status::Malformed | Status::Unsupported);
    if echoed != nonce && !undecoded {
        return Err(ConnectError::Protocol);
    }
    match status {
        Status::Ok if cap.is_none() => Err(ConnectError::Protocol),
        Status::Ok => Ok(cap),
        Status::NotFound => Err(ConnectError::NotFound),
        Status::Denied => Err(ConnectError::Denied),
        Status::Unavailable => Err(ConnectError::Unavailable),
        Status::Malformed | Status::Unsupported => Err(ConnectError::Refused),
    }
}
