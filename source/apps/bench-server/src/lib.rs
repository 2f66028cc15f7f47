//! The other half of every measurement: sends frames back as they are and keeps the instruction
//! count at the moment it got one and the moment it answered.
//!
//! The counter belongs to the one hart, so counts taken in two processes compare. The stamps of
//! an exchange are fetched by a later request: fetching them must not be part of what is
//! measured. The loop is the least a server can do, so that the kernel's share is what shows.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use nexus_abi::{
    Call, Error, Handle, Message, Received, Sys,
    layout::{FRAME_MAX, SLOT_SERVER},
};

/// A frame of this length asks for the stamps of the last exchange.
pub const ASK_STAMPS: usize = 1;
/// A frame of this length makes the server answer, then wait for bit 0 of the notification that
/// came along with this frame or an earlier one, and stamp when it woke.
pub const ASK_WAIT: usize = 2;
/// Length of the answer to [`ASK_STAMPS`]: got, answered.
pub const STAMPS_LEN: usize = 16;

/// Longest wait for the signal; the client sends it at once.
const WAIT_NS: u64 = 1_000_000_000;

const SERVER: Handle = Handle::fixed(SLOT_SERVER);
const FOREVER: u64 = u64::MAX;

pub use nexus_abi::counter::instret;

/// When the last exchange reached the server and when it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// First instruction after the receive (or the wait).
    pub got: u64,
    /// Last instruction before the reply.
    pub answered: u64,
}

impl Stamps {
    /// As the answer to [`ASK_STAMPS`].
    #[must_use]
    pub fn encode(&self) -> [u8; STAMPS_LEN] {
        (u128::from(self.got) | (u128::from(self.answered) << 64)).to_le_bytes()
    }

    /// Inverse of [`Stamps::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8; STAMPS_LEN]) -> Stamps {
        let both = u128::from_le_bytes(*bytes);
        Stamps { got: both as u64, answered: (both >> 64) as u64 }
    }
}

/// Serves until the endpoint is gone. Reads no instruction count before the first frame: in an
/// image that is no bench image that would fault, and nobody may send one.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let mut server = Server { stamps: Stamps::default(), notification: Handle::NONE };
    let mut received = sys.recv(SERVER, 0, FOREVER);
    loop {
        received = match received {
            Ok(Received::Message(message)) => {
                let got = instret();
                server.answer(sys, &message, got)
            }
            // The client gave up, or nothing came: not the server's business.
            Ok(Received::Notified(_)) | Err(Error::TimedOut | Error::StaleReply) => {
                sys.recv(SERVER, 0, FOREVER)
            }
            Err(_) => return 1,
        };
    }
}

struct Server {
    stamps: Stamps,
    notification: Handle,
}

impl Server {
    #[inline(always)]
    fn answer<S: Sys>(
        &mut self,
        sys: &mut S,
        message: &Message,
        got: u64,
    ) -> Result<Received, Error> {
        if matches!(message.len, ASK_STAMPS | ASK_WAIT) || !message.cap.is_none() {
            return self.special(sys, message);
        }
        let reply = (message.token, message.len, Handle::NONE);
        self.stamps = Stamps { got, answered: instret() };
        sys.reply_recv(reply, SERVER, 0, FOREVER)
    }

    #[cold]
    fn special<S: Sys>(&mut self, sys: &mut S, message: &Message) -> Result<Received, Error> {
        if !message.cap.is_none() {
            let old = core::mem::replace(&mut self.notification, message.cap);
            let _none_at_first = sys.run(Call::CapClose { cap: old });
        }
        if message.len == ASK_WAIT {
            sys.reply(message.token, 0, Handle::NONE)?;
            let deadline_ns = sys.now_ns().saturating_add(WAIT_NS);
            let wait = Call::Wait { notif: self.notification, mask: 1, deadline_ns };
            let woken = sys.syscall(wait);
            let got = instret();
            // Without a signal there is no stamp, and the client sees that.
            let signalled = matches!(woken, nexus_abi::Return::Notified { .. });
            self.stamps = Stamps { got: if signalled { got } else { 0 }, answered: 0 };
            return sys.recv(SERVER, 0, FOREVER);
        }
        let frame: &mut [u8; FRAME_MAX] = sys.frame_mut();
        if let Some(place) = frame.first_chunk_mut() {
            *place = self.stamps.encode();
        }
        sys.reply_recv((message.token, STAMPS_LEN, Handle::NONE), SERVER, 0, FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_their_bytes() {
        let stamps = Stamps { got: 1 << 40, answered: u64::MAX };
        assert_eq!(Stamps::decode(&stamps.encode()), stamps);
    }
}
