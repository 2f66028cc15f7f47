//! Every byte-frame protocol, declared once: client, server, selftest, fuzzer and documents
//! share these tables.
//!
//! A frame is `magic0 magic1 version op`, then a nonce where the version has one, then the
//! fields of the row, then nothing: a missing or an extra byte makes it malformed. Integers are
//! little-endian. Encoding cannot fail: field types are bounded when they are made, and every
//! protocol proves at compile time that its longest frame fits.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[macro_use]
mod codes;
#[macro_use]
mod protocol;

pub mod audit;
mod codec;
pub mod control;
pub mod echo;
mod fields;
mod frame;
mod header;
pub mod keys;
pub mod log;
pub mod policy;
pub mod rng;
pub mod route;
pub mod spec;
pub mod state;
mod status;
pub mod supervise;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;

pub use codec::Codec;
pub(crate) use fields::split;
pub use fields::{Bytes, Tail, Text};
pub use frame::{Field, Flaw, Out, Request, Response, Zero};
pub use nexus_abi::layout::FRAME_MAX;
pub use spec::PROTOCOLS;
pub use status::{Status, StatusSet};

/// Longest service or requester name in a frame, in bytes (the existing protocols' bound).
pub const NAME_MAX: usize = 48;
/// Longest capability name in a frame, in bytes (the existing protocols' bound).
pub const CAPABILITY_MAX: usize = 48;

/// A service name: 1 to [`NAME_MAX`] bytes of UTF-8.
pub type Name<'a> = Text<'a, NAME_MAX>;
/// A capability name: 1 to [`CAPABILITY_MAX`] bytes of UTF-8.
pub type Capability<'a> = Text<'a, CAPABILITY_MAX>;
