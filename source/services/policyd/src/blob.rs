//! Which policies are believed: signed by the one key the image trusts, sound, and, on reload,
//! newer. Nothing in a blob chooses its own judge.

use ed25519_dalek::{Signature, VerifyingKey};
use nexus_sel::{BlobError, Policy};
use nexus_wire::audit::Reason;

/// Words of the largest policy that can be loaded into a running authority: twice what the
/// policy of the tree may have. Four such places exist, two in the process and two kept.
pub const BLOB_WORDS: usize = 2048;

/// Room for one policy.
pub type Blob = [u64; BLOB_WORDS];

/// The public key that policies must be signed with; it comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Anchor<'k>(pub &'k [u8; 32]);

/// Checks everything about a policy but its age.
///
/// # Errors
/// Why it is not believed.
pub fn admit<'p>(words: &'p [u64], anchor: Anchor<'_>) -> Result<Policy<'p>, Reason> {
    let policy = Policy::open(words).map_err(|error| match error {
        BlobError::TooShort | BlobError::Length => Reason::BlobTruncated,
        BlobError::Digest => Reason::BlobDigest,
        _ => Reason::BlobMalformed,
    })?;
    let (key, signature) = policy.signature().ok_or(Reason::BlobUnsigned)?;
    if key != *anchor.0 {
        return Err(Reason::BlobForeignKey);
    }
    let key = VerifyingKey::from_bytes(anchor.0).map_err(|_| Reason::BlobForeignKey)?;
    // Strict: no small-order key or nonce, no second spelling of a signature.
    key.verify_strict(&policy.signed_message(), &Signature::from_bytes(&signature))
        .map_err(|_| Reason::BlobBadSignature)?;
    Ok(policy)
}

/// As [`admit`], for a policy that is to replace one of version `current`.
///
/// # Errors
/// Why it is not believed, or that it is not newer.
pub(crate) fn admit_newer(words: &[u64], anchor: Anchor<'_>, current: u64) -> Result<u64, Reason> {
    let version = admit(words, anchor)?.version();
    if version > current { Ok(version) } else { Err(Reason::BlobNotNewer) }
}
