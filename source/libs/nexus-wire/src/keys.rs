//! Keys and secrets: the `KS` frames. Operation and status numbers of the existing protocol are
//! kept; version 2 adds a nonce and whatever could not be said before.
//!
//! Deviations, each because the older frame asked for something unsafe: SIGN and DEVICE_SIGN
//! exist in version 2 only and sign a structure that names purpose, caller, generation and boot,
//! never the caller's bytes, so the answer carries generation and boot too; VERIFY takes no key,
//! only the generation of a key that keystored holds. A refusal is as long as the version's
//! answer says and never tells a foreign name from a missing one.

use crate::{Bytes, Text, Zero, split, status::status_set};

/// Longest name of a secret, in bytes.
pub const KEY_MAX: usize = 64;
/// Longest secret, in bytes.
pub const VALUE_MAX: usize = 256;
/// Longest message to sign or verify in one frame, in bytes.
pub const MESSAGE_MAX: usize = 384;
/// Shortest nonce of a quote, in bytes.
pub const NONCE_MIN: usize = 32;
/// Longest nonce of a quote, in bytes.
pub const NONCE_MAX: usize = 64;
/// Longest quote body in an answer, in bytes.
pub const QUOTE_MAX: usize = 408;
/// Longest certificate in an answer, in bytes.
pub const CERTIFICATE_MAX: usize = 448;
/// As a generation: whichever is active.
pub const ACTIVE: u32 = u32::MAX;

codes! {
    /// Outcome of a key operation.
    Status {
        /// Done.
        Ok = 0 "ok",
        /// There is no such thing of the sender's own.
        NotFound = 1 "not-found",
        /// The frame does not decode.
        Malformed = 2 "malformed",
        /// A field is beyond its bound.
        TooLarge = 3 "too-large",
        /// No such version or operation.
        Unsupported = 4 "unsupported",
        /// Policy says no.
        Denied = 5 "denied",
        /// Policy or the state store could not be asked; nothing was done.
        Unavailable = 6 "unavailable",
        /// The sender's places are used up.
        Full = 7 "full",
        /// The device key exists already.
        KeyExists = 10 "key-exists",
        /// There is no such key.
        KeyNotFound = 11 "key-not-found",
        /// Private keys do not leave.
        PrivateExportDenied = 12 "private-export-denied",
        /// The entropy source gave nothing; no key was made.
        NoEntropy = 13 "no-entropy",
        /// A key of this purpose does not do that.
        WrongPurpose = 15 "wrong-purpose",
        /// Too many requests; the next token comes with time.
        RateLimited = 16 "rate-limited",
        /// The key's overlap is over.
        KeyRetired = 17 "key-retired",
        /// The key was revoked.
        KeyRevoked = 18 "key-revoked",
        /// The uses or the boots bound to the key at its creation are used up.
        KeyExhausted = 19 "key-exhausted",
        /// What is stored is older than what was stored last.
        Rollback = 20 "rollback",
        /// What is stored cannot be read; nothing new was made in its place.
        Damaged = 21 "damaged",
        /// The act has to be recorded and there is no place for the record.
        AuditUnavailable = 22 "audit-unavailable",
        /// A counter or generation is at its end.
        Limit = 23 "limit",
        /// A signature did not pass its check and was not given out.
        Internal = 24 "internal",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, TooLarge);

codes! {
    /// Whether what was stored outlives a power cut.
    Durability {
        /// Nothing is stored.
        None = 0 "none",
        /// Stored and flushed.
        Durable = 1 "durable",
        /// Not persistent: gone with the next power cut.
        Volatile = 2 "volatile",
    }
}
code_field!(Durability, zero None);

codes! {
    /// Where a generation stands.
    KeyState {
        /// There is none.
        None = 0 "none",
        /// Made and kept, not used yet.
        Prepared = 1 "prepared",
        /// Signs and verifies.
        Active = 2 "active",
        /// Verifies until its overlap ends.
        Overlap = 3 "overlap",
        /// Its overlap is over and its private half erased.
        Retired = 4 "retired",
        /// Refused.
        Revoked = 5 "revoked",
    }
}
code_field!(KeyState, zero None);

codes! {
    /// Why a key is replaced.
    Rotation {
        /// It was time.
        Scheduled = 1 "scheduled",
        /// The old key may be known to others: no overlap.
        Compromise = 2 "compromise",
    }
}
code_field!(Rotation, zero Scheduled);

protocol! {
    /// Keeps secrets and keys, and uses keys for whoever policy lets.
    ///
    /// Secrets and counters belong to the kernel-stamped sender. No operation returns a private
    /// key, and none signs bytes a caller chose.
    "keys" magic b"KS" max 512 shortest 4;
    nonce u32 in versions { 1: false, 2: true };
    reply bit 0x80 order StatusNonce status Status;
    Op<'a> => Reply<'a> over 'a;

    /// Keeps a secret under a name of the sender's own. Needs `keystore.write`.
    1 in [1] PutPlain { slot: Slot<'a> } => always { value: Bytes<'a, 256> };
    /// Keeps a secret under a name of the sender's own. Needs `keystore.write`.
    1 in [2] Put { slot: Slot<'a> } => ok { durability: Durability };
    /// The sender's own secret. Needs `keystore.read`.
    2 in [1, 2] Get { slot: Slot<'a> } => always { value: Bytes<'a, 256> };
    /// Forgets the sender's own secret. Needs `keystore.write`.
    3 in [1] DelPlain { slot: Slot<'a> } => always { value: Bytes<'a, 256> };
    /// Forgets the sender's own secret. Needs `keystore.write`.
    3 in [2] Del { slot: Slot<'a> } => ok { durability: Durability };
    /// Whether `signature` was made for `caller`, in boot `boot`, over `message`, by the device's
    /// key of `generation` and of `purpose`, which has to be good now. Needs `crypto.verify`.
    4 in [2] Verify {
        purpose: u16, caller: u64, generation: u32, boot: u32, signature: [u8; 64],
        message: Bytes<'a, 384>
    } => ok { valid: u8, state: KeyState };
    /// Signs for the sender, with the active key for services. Needs `crypto.sign`.
    5 in [2] Sign { message: Bytes<'a, 384> }
    => ok { generation: u32, boot: u32, signature: [u8; 64] };
    /// Makes the device's keys. Needs `device.keygen`.
    10 in [1] KeygenPlain {} => always { value: Bytes<'a, 256> };
    /// Makes the device's keys; the one for services signs at most `max_uses` times and in at
    /// most `max_boots` further boots, 0 is without bound. Needs `device.keygen`.
    10 in [2] Keygen { max_uses: u64, max_boots: u32 }
    => ok { generation: u32, durability: Durability };
    /// The public key that stands for the device. Needs `device.pubkey.read`.
    11 in [1] DevicePubkey {} => always { value: Bytes<'a, 256> };
    /// The public key of a purpose and generation ([`ACTIVE`] for the active one). Needs
    /// `device.pubkey.read`.
    11 in [2] Pubkey { purpose: u16, generation: u32 }
    => ok { generation: u32, state: KeyState, public: [u8; 32] };
    /// As SIGN for the purpose of service signing; no other purpose signs on request. Needs
    /// `crypto.sign`.
    12 in [2] DeviceSign { purpose: u16, message: Bytes<'a, 384> }
    => ok { generation: u32, boot: u32, signature: [u8; 64] };
    /// Always refused, and recorded.
    13 in [1, 2] DevicePrivkey {} => always { value: Bytes<'a, 256> };
    /// Replaces the device's keys by the next generation, which the old one certifies; the old
    /// one verifies for `overlap_boots` more boots and `overlap_ns` of this one. Needs
    /// `key.rotate`.
    16 in [2] Rotate { reason: Rotation, overlap_boots: u32, overlap_ns: u64 }
    => ok { generation: u32, durability: Durability };
    /// Makes a generation that is not active, and all before it, unusable for ever. Needs
    /// `key.rotate`.
    17 in [2] Revoke { generation: u32 } => ok { durability: Durability };
    /// What vouches for a key: for the identity the certificate by which the generation followed,
    /// for the first the statement it made about itself; for another purpose the identity's
    /// certificate over it. Needs `device.pubkey.read`.
    18 in [2] Chain { purpose: u16, generation: u32 }
    => ok { first: u32, active: u32, certificate: Bytes<'a, 448> };
    /// What the sender's own counter stands at. Needs `keystore.read`.
    19 in [2] CounterRead { counter: u8 } => ok { value: u64 };
    /// Moves the sender's own counter up, never down. Needs `keystore.write`.
    20 in [2] CounterIncrement { counter: u8, by: u32 }
    => ok { value: u64, durability: Durability };
    /// A signed statement about this boot over the caller's nonce. Needs `key.attest`.
    21 in [2] Attest { challenge: Bytes<'a, 64> }
    => ok { quote: Bytes<'a, 408>, signature: [u8; 64] };
    /// How the key store is. Needs `keystore.read`.
    22 in [2] Status {} => ok { status: Standing };
}

/// A name and, to put, a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot<'a> {
    /// The name.
    pub key: &'a [u8],
    /// The secret.
    pub value: &'a [u8],
}

impl<'a> Slot<'a> {
    /// `None` if the name or the value is out of bounds, or the name is no UTF-8 or holds a
    /// control character.
    #[must_use]
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let key = Text::<KEY_MAX>::from_bytes(key)?;
        let plain = !key.as_str().chars().any(char::is_control);
        let bounded = plain && value.len() <= VALUE_MAX;
        bounded.then_some(Slot { key: key.as_bytes(), value })
    }
}

impl<'a> Field<'a> for Slot<'a> {
    const KIND: &'static str = "slot (key_len u8, value_len u16, key, value)";
    const MIN: usize = 4;
    const MAX: usize = 3 + KEY_MAX + VALUE_MAX;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (key_len, rest) = u8::take(input)?;
        let (value_len, rest) = u16::take(rest)?;
        if value_len as usize > VALUE_MAX {
            return Err(Flaw::TooLarge);
        }
        let (key, rest) = split(rest, key_len as usize, KEY_MAX)?;
        let (value, rest) = split(rest, value_len as usize, VALUE_MAX)?;
        Ok((Slot::new(key, value).ok_or(Flaw::Malformed)?, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        out.array([self.key.len() as u8]);
        out.array((self.value.len() as u16).to_le_bytes());
        out.bytes(self.key);
        out.bytes(self.value);
    }
}

/// How the key store is, without a secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// Bits, see the constants.
    pub flags: u32,
    /// Boots of this device's store; 0 without one.
    pub boot: u32,
    /// The active generation, if there are keys.
    pub generation: u32,
    /// Of the active generation.
    pub uses: u64,
    /// Secrets kept.
    pub slots: u16,
    /// Signatures given out in this run.
    pub signed: u64,
    /// Requests refused in this run.
    pub refused: u64,
}

impl Standing {
    /// What is kept outlives a power cut.
    pub const DURABLE: u32 = 1;
    /// The device has keys.
    pub const HAS_KEYS: u32 = 2;
    /// The store answers.
    pub const STORE: u32 = 4;
    /// What is stored cannot be read.
    pub const DAMAGED: u32 = 8;
    /// What is stored is older than what was stored last.
    pub const ROLLBACK: u32 = 16;
    /// Built with the key everybody knows.
    pub const BRINGUP_KEY: u32 = 32;
    const BYTES: usize = 38;
}

impl<'a> Field<'a> for Standing {
    const KIND: &'static str = "standing (flags u32, boot u32, generation u32, uses u64, \
        slots u16, signed u64, refused u64)";
    const MIN: usize = Self::BYTES;
    const MAX: usize = Self::BYTES;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (flags, rest) = u32::take(input)?;
        let (boot, rest) = u32::take(rest)?;
        let (generation, rest) = u32::take(rest)?;
        let (uses, rest) = u64::take(rest)?;
        let (slots, rest) = u16::take(rest)?;
        let (signed, rest) = u64::take(rest)?;
        let (refused, rest) = u64::take(rest)?;
        Ok((Standing { flags, boot, generation, uses, slots, signed, refused }, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        self.flags.put(out);
        self.boot.put(out);
        self.generation.put(out);
        self.uses.put(out);
        self.slots.put(out);
        self.signed.put(out);
        self.refused.put(out);
    }
}

impl Zero for Standing {
    const ZERO: Self =
        Standing { flags: 0, boot: 0, generation: 0, uses: 0, slots: 0, signed: 0, refused: 0 };
}
