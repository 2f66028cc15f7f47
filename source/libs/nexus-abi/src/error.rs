//! Every way a syscall can fail, as a stable number.

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why a syscall did nothing. The numbers are ABI: `a0 = -(code)`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Error { $($(#[doc = $doc])+ $name = $code,)+ }

        impl Error {
            /// Every error, in numeric order.
            pub const ALL: &'static [Error] = &[$(Error::$name,)+];

            /// The error with this number, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Error> {
                match code { $($code => Some(Error::$name),)+ _ => None }
            }

            /// The name in the reference page and in traces.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Error::$name => stringify!($name),)+ }
            }
        }
    };
}

errors! {
    /// The call is outside the process's syscall mask, or its number is unknown.
    Denied = 1,
    /// The handle names no slot, or an empty one.
    BadHandle = 2,
    /// The handle's slot has been reused or its object is gone.
    StaleHandle = 3,
    /// The capability is of another kind than the call needs.
    WrongType = 4,
    /// The capability lacks a right the call needs, or the derivation asks for more than it has.
    MissingRight = 5,
    /// An argument is out of its range or not aligned.
    InvalidArgument = 6,
    /// The frame is longer than the bound.
    TooLarge = 7,
    /// A kernel table, or the target capability table, is full.
    NoSpace = 8,
    /// The process's quota does not cover the request.
    QuotaExceeded = 9,
    /// The deadline passed.
    TimedOut = 10,
    /// The other side died, or the endpoint has no server.
    PeerDied = 11,
    /// The capability the call was made through was revoked while it waited.
    Revoked = 12,
    /// The object is in use in a way that excludes this call.
    Busy = 13,
    /// The reply token was used, expired, or belongs to another process.
    StaleReply = 14,
    /// The range overlaps an existing mapping.
    Overlap = 15,
    /// The mapping or seal would make a frame writable and executable.
    WriteXorExecute = 16,
    /// The process is not in the state the call needs (started, or already started).
    WrongState = 17,
    /// The value lies outside what the factory may give (id range, mask ceiling, priority).
    OutsideCeiling = 18,
}
