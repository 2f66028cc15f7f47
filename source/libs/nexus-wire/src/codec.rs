//! A protocol as a type, for code that is the same over all of them.

use crate::{FRAME_MAX, Request, Response, StatusSet};

/// A protocol as its clients see it: requests are written, replies are read.
///
/// Every `protocol!` declares a type `Protocol` that implements this by the functions of its own
/// requests and replies; there is no second codec.
pub trait Codec {
    /// What can be asked.
    type Op<'a>;
    /// What is answered.
    type Reply<'a>;
    /// Outcomes.
    type Status: StatusSet;
    /// What marks a request, in versions that mark them.
    type Nonce: Copy + PartialEq + From<u32>;

    /// Whether requests of this version carry a nonce; a version there is not carries none.
    fn has_nonce(version: u8) -> bool;

    /// Number of an operation.
    fn asked(op: &Self::Op<'_>) -> u8;

    /// Number of the operation a body answers.
    fn answered(reply: &Self::Reply<'_>) -> u8;

    /// Writes a request and returns its length in bytes.
    fn encode(request: &Request<Self::Op<'_>, Self::Nonce>, frame: &mut [u8; FRAME_MAX]) -> usize;

    /// Exact decode; `None` for anything that is no reply of this protocol.
    fn decode(frame: &[u8]) -> Option<Response<Self::Reply<'_>, Self::Nonce, Self::Status>>;
}
