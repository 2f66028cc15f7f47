//! What a key is for: fixed when it is made, inside everything it signs.

use crate::{
    Error, Window,
    layout::{In, Out},
};

macro_rules! purposes {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal, $word:literal;)+) => {
        /// What a signature or a record is for. One bit each, so that a set is a word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Purpose { $($(#[doc = $doc])+ $name = 1 << $bit,)+ }

        impl Purpose {
            /// Every purpose.
            pub const ALL: &'static [Purpose] = &[$(Purpose::$name,)+];

            /// Its name in messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Purpose::$name => $word,)+ }
            }
        }
    };
}

purposes! {
    /// Signing for a service, under the key of that service's generation.
    Service = 0, "service";
    /// Quotes: what runs here.
    Attest = 1, "attest";
    /// Checkpoints of the audit trail.
    Checkpoint = 2, "checkpoint";
    /// Certificates from one identity key to the next.
    Rotate = 3, "rotate";
    /// Encrypting records at rest. No signature ever has it.
    Seal = 4, "seal";
    /// Deriving further symmetric keys. No signature ever has it.
    Derive = 5, "derive";
    /// Bundles of programs.
    Bundle = 6, "bundle";
    /// Certificates of the identity key over the keys of the other purposes.
    Certify = 7, "certify";
}

impl Purpose {
    /// The word that stands for it.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Inverse of [`Purpose::code`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for any other word, sets included.
    pub fn from_code(code: u16) -> Result<Purpose, Error> {
        Self::ALL.iter().copied().find(|p| p.code() == code).ok_or(Error::Malformed)
    }

    /// Whether signatures can have it.
    #[must_use]
    pub const fn signs(self) -> bool {
        !matches!(self, Purpose::Seal | Purpose::Derive)
    }
}

/// The purposes of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes(u16);

impl Purposes {
    /// The identity key: certifies its successor and the keys of the other purposes.
    pub const IDENTITY: Purposes = Purposes(Purpose::Rotate.code() | Purpose::Certify.code());

    /// What a key for `purpose` is for: that alone; the identity key's two are never apart.
    #[must_use]
    pub const fn only(purpose: Purpose) -> Purposes {
        match purpose {
            Purpose::Rotate | Purpose::Certify => Self::IDENTITY,
            purpose => Purposes(purpose.code()),
        }
    }

    /// The set with this word. Sets that would let one key speak in two voices do not exist: a
    /// key has one purpose, or is the identity key.
    ///
    /// # Errors
    /// [`Error::Malformed`] for no purpose or an unknown one, [`Error::MixedPurposes`].
    pub fn from_bits(bits: u16) -> Result<Purposes, Error> {
        let known = Purpose::ALL.iter().fold(0, |set, purpose| set | purpose.code());
        if bits == 0 || bits & !known != 0 {
            return Err(Error::Malformed);
        }
        let identity = Self::IDENTITY.0;
        if bits == identity || (bits.is_power_of_two() && bits & identity == 0) {
            Ok(Purposes(bits))
        } else {
            Err(Error::MixedPurposes)
        }
    }

    /// The word.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `purpose` is in it.
    #[must_use]
    pub const fn has(self, purpose: Purpose) -> bool {
        self.0 & purpose.code() != 0
    }

    /// Whether it is the identity key's set.
    #[must_use]
    pub const fn is_identity(self) -> bool {
        self.0 == Self::IDENTITY.0
    }

    /// The purposes in it.
    pub fn iter(self) -> impl Iterator<Item = Purpose> {
        Purpose::ALL.iter().copied().filter(move |purpose| self.has(*purpose))
    }
}

/// What a key may do, how often and how long. Bound to the key when it is made: it stands in the
/// authenticated header of the sealed record and in the certificate, and nothing widens it.
/// 40 bytes:
///
/// | off | size | field |
/// |---|---|---|
/// | 0 | 2 | purposes |
/// | 2 | 6 | zero |
/// | 8 | 8 | uses, all ones for any number |
/// | 16 | 24 | [`Window`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What for.
    pub purposes: Purposes,
    /// How many times; [`u64::MAX`] for any number. Counting is the key store's work.
    pub uses: u64,
    /// When.
    pub window: Window,
}

impl Usage {
    pub(crate) const BYTES: usize = 40;

    /// No limit but the purposes.
    #[must_use]
    pub const fn unlimited(purposes: Purposes, from: crate::Moment) -> Usage {
        Usage { purposes, uses: u64::MAX, window: Window::open_end(from) }
    }

    /// Whether the key may be used for `purpose` at `at`, after `used` uses; gives the number of
    /// uses to store before the use, so that a power cut cannot give one back.
    ///
    /// # Errors
    /// [`Error::WrongPurpose`], [`Error::NotYet`], [`Error::Expired`], [`Error::Exhausted`].
    pub fn admit(&self, purpose: Purpose, at: crate::Moment, used: u64) -> Result<u64, Error> {
        if !self.purposes.has(purpose) {
            return Err(Error::WrongPurpose);
        }
        self.window.admits(at)?;
        match self.uses {
            u64::MAX => Ok(used.saturating_add(1)),
            uses if used < uses => used.checked_add(1).ok_or(Error::Exhausted),
            _ => Err(Error::Exhausted),
        }
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let out = Out::new().u16(self.purposes.bits()).put(&[0; 6]).u64(self.uses);
        out.put(&self.window.encode()).finish()
    }

    pub(crate) fn read(input: &mut In<'_>) -> Result<Usage, Error> {
        let purposes = Purposes::from_bits(input.u16()?)?;
        input.zero::<6>()?;
        Ok(Usage { purposes, uses: input.u64()?, window: Window::read(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Moment;

    #[test]
    fn every_purpose_has_a_word_of_its_own() {
        for (at, purpose) in Purpose::ALL.iter().enumerate() {
            assert_eq!(purpose.code(), 1 << at);
            assert_eq!(Purpose::from_code(purpose.code()), Ok(*purpose));
        }
        assert_eq!(Purpose::from_code(0), Err(Error::Malformed));
        assert_eq!(Purpose::from_code(3), Err(Error::Malformed));
        assert_eq!(Purpose::from_code(1 << 8), Err(Error::Malformed));
    }

    #[test]
    fn test_reject_k02_sets_that_mix_purposes() {
        let mut good = 0;
        for bits in 0..=u16::MAX {
            match Purposes::from_bits(bits) {
                Ok(set) => {
                    good += 1;
                    assert!(set.is_identity() || set.iter().count() == 1);
                }
                Err(Error::MixedPurposes) => assert!((1..256).contains(&bits)),
                Err(error) => {
                    assert_eq!(error, Error::Malformed);
                    assert!(bits == 0 || bits > 255);
                }
            }
        }
        // Six purposes that stand alone, and the identity.
        assert_eq!(good, 7);
        for purpose in Purpose::ALL {
            let set = Purposes::only(*purpose);
            assert_eq!(Purposes::from_bits(set.bits()), Ok(set), "no set goes around the rule");
        }
    }

    #[test]
    fn test_reject_uses_beyond_what_was_bound() {
        let at = Moment { boot: 1, ns: 5 };
        let mut usage = Usage::unlimited(Purposes::only(Purpose::Service), at);
        assert_eq!(usage.admit(Purpose::Attest, at, 0), Err(Error::WrongPurpose));
        assert_eq!(usage.admit(Purpose::Service, at, u64::MAX), Ok(u64::MAX));
        usage.uses = 2;
        assert_eq!(usage.admit(Purpose::Service, at, 1), Ok(2));
        assert_eq!(usage.admit(Purpose::Service, at, 2), Err(Error::Exhausted));
        let early = Moment { boot: 1, ns: 4 };
        assert_eq!(usage.admit(Purpose::Service, early, 0), Err(Error::NotYet));
        usage.window.boots = 0;
        let later = Moment { boot: 2, ns: 0 };
        assert_eq!(usage.admit(Purpose::Service, later, 0), Err(Error::Expired));
    }
}
