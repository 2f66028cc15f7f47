//! What all frames share: fields, the writer, and the three shapes that carry a row.

use crate::FRAME_MAX;

/// Why bytes are not the field they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Missing bytes, extra bytes, or a value outside the field's set.
    Malformed,
    /// A length beyond the field's bound.
    TooLarge,
    /// No such operation in this version.
    Unsupported,
}

/// The closed vocabulary frames are made of.
pub trait Field<'a>: Sized {
    /// Name in documents.
    const KIND: &'static str;
    /// Fewest encoded bytes.
    const MIN: usize;
    /// Most encoded bytes.
    const MAX: usize;
    /// Reads the field from the front of `input`.
    ///
    /// # Errors
    /// A [`Flaw`] when the bytes are not such a field.
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw>;
    /// Appends the field.
    fn put(&self, out: &mut Out<'_>);
}

/// A field with a neutral value, for the body of a reply that refuses.
pub trait Zero {
    /// The neutral value.
    const ZERO: Self;
}

macro_rules! integers {
    ($($ty:ty),+) => {$(
        impl<'a> Field<'a> for $ty {
            const KIND: &'static str = stringify!($ty);
            const MIN: usize = size_of::<$ty>();
            const MAX: usize = size_of::<$ty>();
            #[inline(always)]
            fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
                let (bytes, rest) = input.split_first_chunk().ok_or(Flaw::Malformed)?;
                Ok((<$ty>::from_le_bytes(*bytes), rest))
            }
            #[inline(always)]
            fn put(&self, out: &mut Out<'_>) {
                out.array(self.to_le_bytes());
            }
        }
        impl Zero for $ty {
            const ZERO: Self = 0;
        }
    )+};
}
integers!(u8, u16, u32, u64);

/// Succeeds only at the end of the frame: lengths are exact.
#[inline(always)]
pub(crate) const fn end(rest: &[u8]) -> Result<(), Flaw> {
    if rest.is_empty() { Ok(()) } else { Err(Flaw::Malformed) }
}

/// Appends fields to a frame.
#[derive(Debug)]
pub struct Out<'b> {
    rest: &'b mut [u8],
}

impl<'b> Out<'b> {
    /// Starts at the first byte of `frame`.
    #[inline(always)]
    pub const fn new(frame: &'b mut [u8; FRAME_MAX]) -> Self {
        Out { rest: frame }
    }

    /// Continues after the first `at` bytes of `frame`.
    #[must_use]
    pub(crate) fn resume(frame: &'b mut [u8; FRAME_MAX], at: usize) -> Self {
        Out { rest: frame.get_mut(at..).unwrap_or_default() }
    }

    /// Appends an array. INVARIANT: there is room, because every protocol proves its maximum
    /// at compile time; without room the frame would end here.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((place, rest)) = core::mem::take(&mut self.rest).split_first_chunk_mut() {
            *place = bytes;
            self.rest = rest;
        }
    }

    /// Appends bytes; as [`Out::array`].
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.rest);
        if let Some((place, rest)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.rest = rest;
        }
    }

    /// Bytes written so far.
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> usize {
        FRAME_MAX.saturating_sub(self.rest.len())
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A decoded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<O, N> {
    /// Version asked in; the reply carries the same.
    pub version: u8,
    /// The nonce, in versions that have one; the reply carries the same.
    pub nonce: Option<N>,
    /// What is asked.
    pub op: O,
}

/// A reply, or a decoded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<B, N, S> {
    /// Version of the request.
    pub version: u8,
    /// Nonce of the request, in versions that have one.
    pub nonce: Option<N>,
    /// Outcome.
    pub status: S,
    /// The row's reply fields.
    pub body: B,
}
