//! Everything that can be wrong, without a word of secret content.

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Wrong length, magic, version, reserved bytes, or a value outside its table.
    Malformed,
    /// A nonce of less than 32 or more than 64 bytes, or all zero.
    BadNonce,
    /// A seed of zeros: its source did not work.
    BadSeed,
    /// A public key that is no canonical encoding of a point.
    NonCanonicalKey,
    /// A public key of small order: its signatures verify for anything.
    WeakKey,
    /// A public key with a part of small order: two such keys share one secret.
    MixedKey,
    /// A signature that does not verify.
    BadSignature,
    /// The key was not made for this purpose.
    WrongPurpose,
    /// Purposes that may not share a key.
    MixedPurposes,
    /// A signature of the key itself did not verify: a fault while computing. Nothing was released.
    Fault,
    /// The last generation, count or use there is; nothing wraps.
    Exhausted,
    /// Before the moment from which it is valid: the clock or the counters went back.
    NotYet,
    /// After the last moment at which it may be used.
    Expired,
    /// The certificate is about another device, key or generation than the chain expects.
    WrongLink,
    /// The new key is not the one the certificate before committed to. Somebody has the old key.
    NotCommitted,
    /// A generation that the chain replaced because it was compromised.
    Compromised,
    /// A generation that the chain replaced and whose overlap is over.
    Retired,
    /// A generation the chain does not know (yet, or no more).
    UnknownGeneration,
    /// The record does not open: altered, of another slot, or of another device. Which one is not
    /// told, because every case would tell an attacker something.
    Unsealed,
    /// An older state than the floor allows.
    Rollback,
    /// A payload or message longer than its bound.
    TooLong,
    /// A quote over another nonce than the one asked with.
    WrongNonce,
    /// A quote, certificate or seal of another device.
    WrongDevice,
    /// Signed by a development key, and the verifier did not allow that.
    DevelopmentKey,
    /// The quote or seal does not agree with the certificate of its key.
    Inconsistent,
}
