//! What a policy signature covers, and where a blob carries it. Nothing is verified here: the
//! evaluator has no cryptography but its digest; whoever loads policies verifies.
use crate::inspect::bytes_at;
use crate::layout::{AT_KEY, AT_SECTIONS, AT_SIGNATURE};
use crate::policy::Policy;

/// First in every signed message, so that no signature over something else is one over a policy.
const DOMAIN: &[u8; 24] = b"nexus-policy-signature-1";

impl Policy<'_> {
    /// The bytes under an Ed25519 signature of this policy: a domain, the version (little
    /// endian), the digest, which covers the version once more and everything else.
    #[must_use]
    pub fn signed_message(&self) -> [u8; 64] {
        let mut message = [0; 64];
        let version = self.version().to_le_bytes();
        let parts = DOMAIN.iter().chain(&version);
        for (place, byte) in message.iter_mut().zip(parts.chain(&self.digest())) {
            *place = *byte;
        }
        message
    }

    /// The signing key and the Ed25519 signature, unverified; `None` while the policy is not
    /// signed.
    #[must_use]
    pub fn signature(&self) -> Option<([u8; 32], [u8; 64])> {
        let signed = self.words.get(AT_SIGNATURE..AT_SECTIONS)?.iter().any(|word| *word != 0);
        signed.then(|| (bytes_at(self.words, AT_KEY), bytes_at(self.words, AT_SIGNATURE)))
    }
}

/// The version a blob states, before anything about it is known; 0 if it has none.
#[must_use]
pub fn stated_version(words: &[u64]) -> u64 {
    words.get(crate::layout::AT_VERSION).copied().unwrap_or(0)
}

/// The words that a blob claims for itself, of more words than it may need. What this cuts off
/// was never part of the blob; the rest is as unchecked as before.
#[must_use]
pub fn stated_blob(words: &[u64]) -> &[u64] {
    let total = words.get(crate::layout::AT_TOTAL).and_then(|total| usize::try_from(*total).ok());
    total.and_then(|total| words.get(..total)).unwrap_or(words)
}

/// `words` with a signature by `key` in its place, replacing any; too short words stay as they
/// are.
#[cfg(feature = "authoring")]
#[must_use]
pub fn with_signature(words: &[u64], key: &[u8; 32], signature: &[u8; 64]) -> Vec<u64> {
    const { assert!(AT_KEY - AT_SIGNATURE == 8 && AT_SECTIONS - AT_KEY == 4) };
    let mut signed = words.to_vec();
    let chunks = signature.as_chunks::<8>().0.iter().chain(key.as_chunks::<8>().0);
    let places = signed.get_mut(AT_SIGNATURE..AT_SECTIONS).unwrap_or_default();
    for (place, chunk) in places.iter_mut().zip(chunks) {
        *place = u64::from_le_bytes(*chunk);
    }
    signed
}
