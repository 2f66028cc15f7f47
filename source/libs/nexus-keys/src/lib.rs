//! Keys, what they sign and who vouches for them: preimages, certificates, quotes, sealed records.
//!
//! Pure structures with fixed layouts; no heap, no clock, no source of randomness: whoever calls
//! brings seeds, salts and the moment. All numbers are little endian, all unused bytes are zero
//! and are checked to be, every decoder takes exactly one length and answers `Err` for anything
//! that [`encode`](Preimage::encode) could not have made. The layouts stand in each module's
//! documentation; `docs/keys.md` shows how they hang together.
//!
//! What the types hold:
//!
//! * A [`SigningKey`] signs a [`Preimage`] and nothing else: 64 bytes that name the purpose, the
//!   caller, the generation, the boot, and the digest of the message. Nobody chooses signed bytes.
//! * Its [`Purposes`] are fixed when it is made and may not mix; another purpose is
//!   [`Error::WrongPurpose`].
//! * A [`PublicKey`] was checked when it was made: canonical, of full order, in the prime-order
//!   subgroup.
//! * A [`SecretSeed`] is erased when dropped, is compared in constant time, and neither prints,
//!   copies nor clones.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod certificate;
mod chain;
mod checkpoint;
mod development;
mod error;
mod layout;
mod moment;
mod objects;
mod preimage;
mod public;
mod purpose;
mod purpose_key;
mod quote;
mod scrub;
mod sealed;
mod secret;
mod signing;
#[cfg(test)]
#[path = "tests/fixtures.rs"]
mod testing;

pub use certificate::{Certificate, Genesis, Reason, Rotation, commitment};
pub use chain::{Chain, KEPT, Standing};
pub use checkpoint::Seal;
pub use development::{DEVELOPMENT_DEVICE, development_seeds};
pub use error::Error;
pub use moment::{Counter, Generation, Moment, Window};
pub use objects::{Object, Objects};
pub use preimage::Preimage;
pub use public::{PublicKey, Signature, verify, verify_raw};
pub use purpose::{Purpose, Purposes, Usage};
pub use purpose_key::{PurposeCertificate, PurposeKey};
pub use quote::{Evidence, Flags, NONCE_MAX, NONCE_MIN, Nonce, Quote, QuoteBody, Wanted};
pub use scrub::scrub_stack;
pub use sealed::{Header, Opened, PAYLOAD_MAX, RECORD_MAX, Slot, open, seal};
pub use secret::SecretSeed;
pub use signing::SigningKey;
