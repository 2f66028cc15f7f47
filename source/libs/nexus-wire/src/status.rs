//! The status set of new protocols, and what every status set has in common.

/// What frame code needs from a protocol's status numbers.
pub trait StatusSet: Copy + PartialEq + 'static {
    /// Done; for policy, allowed.
    const OK: Self;
    /// The frame is not one of the protocol.
    const MALFORMED: Self;
    /// No such version or operation.
    const UNSUPPORTED: Self;
    /// A field is beyond its bound.
    const TOO_LARGE: Self;
    /// The number on the wire.
    fn to_byte(self) -> u8;
    /// The status with this number, if there is one.
    fn from_byte(byte: u8) -> Option<Self>;
    /// Numbers and names.
    const TABLE: &'static [(u8, &'static str)];
}

/// Implements [`StatusSet`] for a `codes!` set.
macro_rules! status_set {
    ($name:ident: $ok:ident, $malformed:ident, $unsupported:ident, $too_large:ident) => {
        impl $crate::StatusSet for $name {
            const OK: Self = $name::$ok;
            const MALFORMED: Self = $name::$malformed;
            const UNSUPPORTED: Self = $name::$unsupported;
            const TOO_LARGE: Self = $name::$too_large;
            #[inline]
            fn to_byte(self) -> u8 {
                self.code()
            }
            #[inline]
            fn from_byte(byte: u8) -> Option<Self> {
                $name::from_code(byte)
            }
            const TABLE: &'static [(u8, &'static str)] = $name::NAMES;
        }
    };
}
pub(crate) use status_set;

codes! {
    /// Outcome of an operation, the same for every protocol that has no older set of its own.
    Status {
        /// Done.
        Ok = 0 "ok",
        /// Policy says no.
        Denied = 1 "denied",
        /// The frame does not decode.
        Malformed = 2 "malformed",
        /// No such version or operation.
        Unsupported = 3 "unsupported",
        /// The thing named does not exist.
        NotFound = 4 "not-found",
        /// A field is beyond its bound.
        TooLarge = 5 "too-large",
        /// Not now.
        Busy = 6 "busy",
        /// Something this depended on did not answer in time.
        TimedOut = 7 "timed-out",
        /// Something this depended on, policyd included, is not there.
        Unavailable = 8 "unavailable",
        /// The service failed for a reason of its own.
        Internal = 9 "internal",
    }
}
status_set!(Status: Ok, Malformed, Unsupported, TooLarge);
