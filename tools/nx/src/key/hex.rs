//! Hexadecimal digits on the command line and in files.

use std::fs;

use nexus_keys::{Nonce, PublicKey};

use super::verdict::because;

/// Bytes as digits.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Enough of an identifier to tell two apart by eye.
pub(super) fn short(bytes: &[u8]) -> String {
    let mut text = text(bytes);
    text.truncate(16);
    text
}

/// Digits as bytes; white space is ignored, `#` begins a comment.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<u32> = lines
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).ok_or_else(|| format!("{c:?} is no hexadecimal digit")))
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("half a byte: an odd number of hexadecimal digits".to_owned());
    }
    Ok(pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

/// 32 bytes.
pub(super) fn digest(text: &str) -> Result<[u8; 32], String> {
    let bytes = bytes(text)?;
    let len = bytes.len();
    bytes.try_into().map_err(|_| format!("wanted 64 hexadecimal digits, not {}", len * 2))
}

/// A nonce.
pub(super) fn nonce(text: &str) -> Result<Nonce, String> {
    Nonce::new(&bytes(text)?)
        .map_err(|_| "a nonce has 32 to 64 bytes and is not all zero".to_owned())
}

/// A public key: its digits, or the name of a file that holds them.
pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    let digits = match fs::read_to_string(text) {
        Ok(file) => file,
        Err(_) if text.len() == 64 => text.to_owned(),
        Err(error) => return Err(format!("neither 64 hexadecimal digits nor a file: {error}")),
    };
    PublicKey::enrol(&digest(&digits)?).map_err(|error| because(error).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_comments_are_bytes() {
        assert_eq!(bytes("# mine\n00 fF\n10 # more\n"), Ok(vec![0, 0xff, 0x10]));
        assert_eq!(text(&[0, 0xff]), "00ff");
        assert_eq!(short(&[0xab; 32]), "abababababababab");
    }

    #[test]
    fn test_reject_what_is_no_bytes_digest_nonce_or_key() {
        assert!(bytes("0").is_err());
        assert!(bytes("0g").is_err());
        assert!(digest(&"00".repeat(31)).is_err());
        assert!(digest(&"00".repeat(33)).is_err());
        assert!(nonce(&"01".repeat(31)).is_err());
        assert!(nonce(&"01".repeat(65)).is_err());
        assert!(nonce(&"00".repeat(32)).is_err());
        assert!(nonce(&"01".repeat(32)).is_ok());
        // The identity: with it every signature holds.
        assert!(public_key(&format!("01{}", "0".repeat(62))).is_err());
        assert!(public_key("no-such-file").is_err());
    }
}
