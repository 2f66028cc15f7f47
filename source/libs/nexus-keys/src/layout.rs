//! Fixed layouts, written and read front to back.

use crate::Error;

/// Fills a fixed array from the front.
pub(crate) struct Out<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Out<N> {
    pub(crate) fn new() -> Out<N> {
        Out { bytes: [0; N], at: 0 }
    }

    /// Appends; what does not fit is left out, which `finish` notices in tests.
    pub(crate) fn put(mut self, part: &[u8]) -> Out<N> {
        let end = self.at.saturating_add(part.len());
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(part);
        }
        self.at = end;
        self
    }

    pub(crate) fn u8(self, value: u8) -> Out<N> {
        self.put(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Out<N> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Out<N> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Out<N> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn finish(self) -> [u8; N] {
        debug_assert_eq!(self.at, N, "the layout has another length");
        self.bytes
    }
}

/// Reads the front of a slice.
pub(crate) struct In<'b>(&'b [u8]);

impl<'b> In<'b> {
    /// Over exactly `len` bytes that start with `magic`.
    pub(crate) fn new(bytes: &'b [u8], len: usize, magic: [u8; 8]) -> Result<In<'b>, Error> {
        let mut input = In(bytes);
        if bytes.len() != len || input.array()? != magic {
            return Err(Error::Malformed);
        }
        Ok(input)
    }

    pub(crate) fn array<const K: usize>(&mut self) -> Result<[u8; K], Error> {
        let (front, rest) = self.0.split_first_chunk().ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(*front)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// `K` bytes that must be zero.
    pub(crate) fn zero<const K: usize>(&mut self) -> Result<(), Error> {
        if self.array::<K>()? == [0; K] { Ok(()) } else { Err(Error::Malformed) }
    }
}
