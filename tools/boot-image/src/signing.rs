//! Signing policies. Keys are files under `recipes/keys/`; the image trusts one of them.

use std::{fs, path::Path};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use nexus_sel::{Policy, authoring, with_signature};
use nexus_system::keys;

/// Where keys lie, relative to the workspace root.
pub const KEYS: &str = "recipes/keys";

/// Signs policies with one key.
pub struct Signer(SigningKey);

/// Whose a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Nobody's.
    Unsigned,
    /// It names a key, and the signature is not that key's.
    Bad,
    /// Another key's than the one the image trusts.
    Foreign,
    /// Signed by the key the image trusts.
    Trusted,
}

impl Signer {
    /// The key the image trusts, whose seed is in the tree because it is insecure.
    ///
    /// # Errors
    /// What is wrong with its file, or that it is another key.
    pub fn bring_up(root: &Path) -> Result<Signer, String> {
        let path = root.join(KEYS).join(format!("{}.seed", keys::POLICY_NAME));
        let signer = Signer::from_file(&path)?;
        if signer.public() == keys::POLICY {
            return Ok(signer);
        }
        Err(format!("{}: does not belong to {}.pub", path.display(), keys::POLICY_NAME))
    }

    /// The key in a seed file: 64 hexadecimal digits, and lines that start with `#`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_file(path: &Path) -> Result<Signer, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let seed =
            seed(&text).ok_or_else(|| format!("{}: not 64 hexadecimal digits", path.display()))?;
        Ok(Signer::from_seed(&seed))
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Signer {
        Signer(SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// A blob signed, instead of whatever signature it had.
    ///
    /// # Errors
    /// Why it is no policy.
    pub fn sign(&self, blob: &[u8]) -> Result<Vec<u8>, String> {
        let words = authoring::from_bytes(blob).ok_or("not whole words")?;
        let policy = Policy::open(&words).map_err(|e| e.to_string())?;
        let signature = self.0.sign(&policy.signed_message());
        let signed = with_signature(&words, &self.public(), &signature.to_bytes());
        Ok(authoring::to_bytes(&signed))
    }
}

/// Whose `policy` is, judged as policyd judges it.
#[must_use]
pub fn signed_by(policy: &Policy<'_>) -> Signed {
    let Some((key, signature)) = policy.signature() else { return Signed::Unsigned };
    let signature = Signature::from_bytes(&signature);
    let verified = VerifyingKey::from_bytes(&key)
        .and_then(|key| key.verify_strict(&policy.signed_message(), &signature));
    match verified {
        Err(_) => Signed::Bad,
        Ok(()) if key == keys::POLICY => Signed::Trusted,
        Ok(()) => Signed::Foreign,
    }
}

fn seed(text: &str) -> Option<[u8; 32]> {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (digits, None) = (lines.next()?, lines.next()) else { return None };
    let hash = blake3::Hash::from_hex(digits).ok()?;
    Some(*hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_of_the_tree_is_the_key_of_the_image() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        assert_eq!(Signer::bring_up(&root).map(|s| s.public()), Ok(keys::POLICY));
    }

    #[test]
    fn test_reject_what_is_no_seed() {
        let digits = "ab".repeat(32);
        assert_eq!(seed(&format!("# a comment\n{digits}\n")), Some([0xab; 32]));
        for bad in ["", "# only a comment", &digits[1..], &format!("{digits}\n{digits}")] {
            assert_eq!(seed(bad), None, "{bad}");
        }
        assert_eq!(seed(&digits.replace('a', "g")), None);
    }
}
