//! One connection, the same for every protocol: encode, call, and believe only the reply to this
//! very request.

use core::marker::PhantomData;

use nexus_abi::{Handle, Sys};
use nexus_wire::{Codec, Request, Response, StatusSet as _};

use crate::{
    CallError, Deadline,
    call::{discard, frame},
};

/// The version a client speaks. Not simply the newest: who adds a version to a protocol says
/// here when its client changes over.
pub trait Spoken: Codec {
    /// As in the frame's third byte.
    const VERSION: u8;
}

/// A refusal or its cause, in the protocol's own words.
pub(crate) type Failure<P> = CallError<<P as Codec>::Status>;

/// Any reply of a protocol.
pub(crate) type Answer<'s, P> =
    Response<<P as Codec>::Reply<'s>, <P as Codec>::Nonce, <P as Codec>::Status>;

/// A connection to a service, over protocol `P`: a CALL capability and the nonces used so far.
/// It does not own the capability, which outlives it.
#[derive(Debug)]
pub struct Connection<P> {
    ep: Handle,
    nonce: u32,
    protocol: PhantomData<P>,
}

impl<P> Connection<P> {
    /// Over a CALL capability to a service. `seed` starts the nonces, which do not repeat within
    /// 2^32 requests; take one that differs from run to run, such as the time.
    #[must_use]
    pub const fn new(ep: Handle, seed: u32) -> Self {
        Connection { ep, nonce: seed, protocol: PhantomData }
    }

    /// The CALL capability.
    #[must_use]
    pub const fn endpoint(&self) -> Handle {
        self.ep
    }
}

impl<P: Codec> Connection<P> {
    /// The reply to this request, whatever it says: of the same version, nonce and operation.
    ///
    /// `cap` moves along; it stays the caller's if the request was not delivered. No protocol but
    /// connect moves capabilities to clients: one that comes back is given up and the reply
    /// refused, so that no server can fill a client's table.
    #[inline]
    pub(crate) fn exchange<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        (version, cap): (u8, Handle),
        op: P::Op<'_>,
        deadline: Deadline,
    ) -> Result<Answer<'s, P>, Failure<P>> {
        let nonce = P::has_nonce(version).then(|| self.next_nonce());
        let asked = P::asked(&op);
        let len = P::encode(&Request { version, nonce, op }, frame(sys));
        let reply = sys.call(self.ep, len, cap, deadline.ns())?;
        if !reply.cap.is_none() {
            discard(sys, reply.cap);
            return Err(CallError::Protocol);
        }
        let bytes = sys.frame().get(..reply.len).ok_or(CallError::Protocol)?;
        let reply = P::decode(bytes).ok_or(CallError::Protocol)?;
        let answered = (reply.version, reply.nonce, P::answered(&reply.body));
        if answered != (version, nonce, asked) {
            return Err(CallError::Protocol);
        }
        Ok(reply)
    }

    /// The kernel's reply token correlates; the nonce is what records are found by.
    #[inline(always)]
    fn next_nonce(&mut self) -> P::Nonce {
        self.nonce = self.nonce.wrapping_add(1);
        P::Nonce::from(self.nonce)
    }
}

impl<P: Spoken> Connection<P> {
    /// The body of the OK reply to this request, in the version spoken; or why there is none.
    #[inline]
    pub(crate) fn ask<'s, S: Sys>(
        &mut self,
        sys: &'s mut S,
        op: P::Op<'_>,
        deadline: Deadline,
    ) -> Result<P::Reply<'s>, Failure<P>> {
        let reply = self.exchange(sys, (P::VERSION, Handle::NONE), op, deadline)?;
        if reply.status == P::Status::OK {
            Ok(reply.body)
        } else {
            Err(CallError::Refused(reply.status))
        }
    }
}

/// What the body of a reply says if it has this form; any other form is no reply to the request.
macro_rules! body {
    ($reply:expr, $pattern:pat => $value:expr) => {
        match $reply {
            $pattern => Ok($value),
            _ => Err($crate::CallError::Protocol),
        }
    };
}
pub(crate) use body;
