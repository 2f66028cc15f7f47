//! Keys of the state store: short, fixed in form, and never made of what a caller wrote.

/// A key of the state store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; Self::MAX],
    len: usize,
}

/// The device's root secret.
pub(crate) const ROOT: &[u8] = b"root";
/// The floor under every counter.
pub(crate) const FLOOR: &[u8] = b"floor";
/// The active generation's private keys.
pub(crate) const IDENTITY: &[u8] = b"id";
/// The next generation's, until it is active.
pub(crate) const PREPARED: &[u8] = b"id.next";
/// The identity's statement about itself.
pub(crate) const GENESIS: &[u8] = b"genesis";
/// Prefix of callers' counters.
pub(crate) const COUNTERS: &[u8] = b"c/";
/// Prefix of callers' secrets.
pub(crate) const SLOTS: &[u8] = b"s/";

impl Name {
    const MAX: usize = 36;

    const fn new() -> Name {
        Name { bytes: [0; Self::MAX], len: 0 }
    }

    fn push(mut self, part: &[u8]) -> Name {
        let end = self.len.saturating_add(part.len());
        // INVARIANT: every constructor below stays within the bound; the tests hold them to it.
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(part);
            self.len = end;
        }
        self
    }

    fn hex(self, bytes: &[u8]) -> Name {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).fold(self, |name, nibble| {
            name.push(&[DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')])
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The certificate by which a generation followed.
    pub(crate) fn certificate(generation: u32) -> Name {
        Name::new().push(b"cert/").hex(&generation.to_be_bytes())
    }

    /// The certificate of a generation's key for one purpose.
    pub(crate) fn purpose(generation: u32, purpose: u16) -> Name {
        Name::new()
            .push(b"pc/")
            .hex(&generation.to_be_bytes())
            .push(b"/")
            .hex(&purpose.to_be_bytes())
    }

    /// All secrets of one owner.
    pub(crate) fn slots_of(owner: u64) -> Name {
        Name::new().push(SLOTS).hex(&owner.to_be_bytes()).push(b"/")
    }

    /// One secret.
    pub(crate) fn slot(owner: u64, name: [u8; 8]) -> Name {
        Name::slots_of(owner).hex(&name)
    }

    /// The floor of one secret's counter.
    pub(crate) fn slot_floor(owner: u64, name: [u8; 8]) -> Name {
        Name::new().push(b"f/").hex(&owner.to_be_bytes()).push(b"/").hex(&name)
    }

    /// One owner's counters.
    pub(crate) fn counters(owner: u64) -> Name {
        Name::new().push(COUNTERS).hex(&owner.to_be_bytes())
    }
}

/// The owner in the name of a counters record.
pub(crate) fn owner_of_counters(name: &[u8]) -> Option<u64> {
    let hex = core::str::from_utf8(name.strip_prefix(COUNTERS)?).ok()?;
    let digits = hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(hex, 16).ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_wire::state::check_key;

    #[test]
    fn every_name_is_a_key_of_the_store_and_fits() {
        let names = [
            Name::certificate(u32::MAX),
            Name::purpose(u32::MAX, u16::MAX),
            Name::slot(u64::MAX, [0xff; 8]),
            Name::slot_floor(u64::MAX, [0xff; 8]),
            Name::counters(u64::MAX),
        ];
        for (name, len) in names.iter().zip([13, 16, 35, 35, 18]) {
            assert_eq!(name.as_bytes().len(), len);
            assert_eq!(check_key(name.as_bytes()), Ok(()));
        }
        for name in [ROOT, FLOOR, IDENTITY, PREPARED, GENESIS] {
            assert_eq!(check_key(name), Ok(()));
        }
        assert_eq!(owner_of_counters(Name::counters(77).as_bytes()), Some(77));
        assert_eq!(owner_of_counters(b"c/12"), None);
        assert_eq!(owner_of_counters(b"c/+00000000000000a"), None);
    }
}
