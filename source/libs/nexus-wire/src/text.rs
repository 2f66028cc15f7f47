//! Formatting into a fixed buffer.

use core::fmt;

/// Collects formatted text in a byte buffer; what does not fit is cut and noted.
#[derive(Debug)]
pub struct TextWriter<'b> {
    buf: &'b mut [u8],
    len: usize,
    cut: bool,
}

impl<'b> TextWriter<'b> {
    /// Starts empty.
    #[must_use]
    pub const fn new(buf: &'b mut [u8]) -> Self {
        TextWriter { buf, len: 0, cut: false }
    }

    /// Whether text was lost.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The text so far.
    #[must_use]
    pub fn into_str(self) -> &'b str {
        let bytes: &'b [u8] = self.buf;
        core::str::from_utf8(bytes.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Write for TextWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let room = self.buf.len().saturating_sub(self.len);
        let fits = text.floor_char_boundary(room);
        self.cut = fits < text.len();
        let end = self.len.saturating_add(fits);
        let source = text.as_bytes().get(..fits);
        if let (Some(place), Some(source)) = (self.buf.get_mut(self.len..end), source) {
            place.copy_from_slice(source);
            self.len = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;

    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        let mut buf = [0; 4];
        let mut out = TextWriter::new(&mut buf);
        let wide = "äö";
        write!(out, "ab{wide}c").unwrap();
        assert!(out.is_cut());
        assert_eq!(out.into_str(), "abä");
    }
}
