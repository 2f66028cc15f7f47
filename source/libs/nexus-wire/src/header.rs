//! Where version, nonce and status stand in a frame.

use crate::{Field, Flaw, Out, StatusSet, spec::Protocol};

/// Where a reply's status stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Status, then nonce.
    StatusNonce,
    /// Nonce, then status, then a zero byte.
    NonceStatusZero,
}

impl Order {
    /// Bytes of the status and what pads it.
    pub(crate) const fn status_bytes(self) -> usize {
        match self {
            Order::StatusNonce => 1,
            Order::NonceStatusZero => 2,
        }
    }
}

#[inline(always)]
pub(crate) fn put_header<'a, N: Field<'a>>(
    order: Order,
    nonce: Option<N>,
    status: u8,
    out: &mut Out<'_>,
) {
    match order {
        Order::StatusNonce => {
            out.array([status]);
            if let Some(nonce) = nonce {
                nonce.put(out);
            }
        }
        Order::NonceStatusZero => {
            if let Some(nonce) = nonce {
                nonce.put(out);
            }
            out.array([status, 0]);
        }
    }
}

#[inline(always)]
pub(crate) fn take_header<'a, N: Field<'a>>(
    order: Order,
    has_nonce: bool,
    rest: &'a [u8],
) -> Option<(Option<N>, u8, &'a [u8])> {
    let take_nonce = |rest: &'a [u8]| -> Option<(Option<N>, &'a [u8])> {
        if !has_nonce {
            return Some((None, rest));
        }
        let (nonce, rest) = N::take(rest).ok()?;
        Some((Some(nonce), rest))
    };
    match order {
        Order::StatusNonce => {
            let (status, rest) = rest.split_first()?;
            let (nonce, rest) = take_nonce(rest)?;
            Some((nonce, *status, rest))
        }
        Order::NonceStatusZero => {
            let (nonce, rest) = take_nonce(rest)?;
            let ([status, 0], rest) = rest.split_first_chunk()? else { return None };
            Some((nonce, *status, rest))
        }
    }
}

#[inline(always)]
pub(crate) fn status_of<S: StatusSet>(flaw: Flaw) -> S {
    match flaw {
        Flaw::Malformed => S::MALFORMED,
        Flaw::TooLarge => S::TOO_LARGE,
        Flaw::Unsupported => S::UNSUPPORTED,
    }
}

/// Junk is answered as if it were the first operation of the first version.
pub(crate) const fn first_op(spec: &Protocol) -> u8 {
    match spec.ops.first() {
        Some(row) => row.code,
        None => 0,
    }
}

pub(crate) const fn first_version(spec: &Protocol) -> u8 {
    match spec.versions.first() {
        Some((version, _)) => *version,
        None => 0,
    }
}
