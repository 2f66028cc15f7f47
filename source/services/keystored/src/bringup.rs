//! The keys everybody knows, for bring-up on machines without entropy. In no image.

/// Whether this build makes its keys from a constant.
pub(crate) const ENABLED: bool = cfg!(feature = "insecure-bringup-key");

/// Said at every boot of such a build.
pub(crate) const WARNING: &str =
    "keystored: INSECURE BUILD: every device has the same keys, and everybody knows them\n";
