//! Closed sets of numbered values.

/// Declares an enum with stable one-byte numbers and names, usable as a frame field.
macro_rules! codes {
    ($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $vdoc:literal])+ $variant:ident = $n:literal $text:literal,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant = $n,)+ }

        impl $name {
            /// Every value in numeric order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Numbers and names, for documents and traces.
            pub const NAMES: &'static [(u8, &'static str)] = &[$(($n, $text),)+];

            /// The value with this number, if there is one.
            #[inline]
            #[must_use]
            pub const fn from_code(code: u8) -> Option<$name> {
                match code { $($n => Some($name::$variant),)+ _ => None }
            }

            /// The number on the wire.
            #[inline(always)]
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The name in text and documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    };
}

/// Makes a `codes!` set a frame field of one byte.
macro_rules! code_field {
    ($name:ident, zero $zero:ident) => {
        impl<'a> $crate::Field<'a> for $name {
            const KIND: &'static str = stringify!($name);
            const MIN: usize = 1;
            const MAX: usize = 1;
            #[inline]
            fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), $crate::Flaw> {
                let (code, rest) = <u8 as $crate::Field>::take(input)?;
                let value = $name::from_code(code).ok_or($crate::Flaw::Malformed)?;
                Ok((value, rest))
            }
            #[inline]
            fn put(&self, out: &mut $crate::Out<'_>) {
                out.array([self.code()]);
            }
        }
        impl $crate::Zero for $name {
            const ZERO: Self = $name::$zero;
        }
    };
}
