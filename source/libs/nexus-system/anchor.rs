//! The policy key the image trusts, as a constant: a blob can name a key, never choose one.

use std::{error::Error, fs, path::Path};

/// The module with the one `policy-*.pub` of `keys`.
pub(crate) fn source(keys: &Path) -> Result<String, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(keys).map_err(|e| format!("{}: {e}", keys.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem.starts_with("policy-") && path.extension().is_some_and(|e| e == "pub") {
            found.push((stem, path));
        }
    }
    let [(name, path)] = found.as_slice() else {
        let (dir, count) = (keys.display(), found.len());
        return Err(format!("{dir}: {count} files policy-*.pub, and an image trusts one").into());
    };
    let key = key(&fs::read_to_string(path)?)
        .ok_or_else(|| format!("{}: not 64 hexadecimal digits", path.display()))?;
    let insecure = name.contains("INSECURE");
    Ok(format!(
        "/// Keys the image trusts (`recipes/keys/`).\npub mod keys {{\n\
         /// Ed25519 public key of policies.\npub const POLICY: [u8; 32] = {key:?};\n\
         /// What it is called.\npub const POLICY_NAME: &str = {name:?};\n\
         /// Whether its private half is public.\n\
         pub const POLICY_IS_INSECURE: bool = {insecure};\n}}\n"
    ))
}

/// The only line that is no comment, as bytes.
fn key(text: &str) -> Option<[u8; 32]> {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (digits, None) = (lines.next()?, lines.next()) else { return None };
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0_usize..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at.checked_add(2)?)?, 16).ok()?;
    }
    Some(key)
}
