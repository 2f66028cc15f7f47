//! The keys everybody knows, for bring-up on machines without entropy. In no image.

use nexus_keys::Generation;

/// Whether this build makes its keys from a constant.
pub(crate) const ENABLED: bool = cfg!(feature = "insecure-bringup-key");

/// Said at every boot of such a build.
pub(crate) const WARNING: &str =
    "keystored: INSECURE BUILD: every device has the same keys, and everybody knows them\n";

/// What stands in for entropy.
pub(crate) fn seeds(generation: Generation, out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key("keystored insecure bring-up seeds v1");
    hasher.update(&generation.0.to_le_bytes());
    hasher.finalize_xof().fill(out);
}
