//! Frames on a byte stream: sync word, length, frame. Nothing on the stream can make the decoder
//! hold more than one envelope, and after any garbage the next whole envelope is found.

use crate::FRAME_MAX;

/// Starts every envelope. Its first byte does not occur in it again.
pub const SYNC: [u8; 4] = *b"NXC1";
/// Bytes before the frame: the sync word and the frame's length, two bytes little-endian.
pub const HEADER: usize = SYNC.len() + 2;
/// Longest envelope. So many zero bytes end whatever a lost peer left unfinished and are
/// themselves ignored: what a client sends first.
pub const ENVELOPE_MAX: usize = HEADER + FRAME_MAX;

/// What stands before a frame of `len` bytes; `None` if no frame has that length.
#[must_use]
pub fn header(len: usize) -> Option<[u8; HEADER]> {
    let [l0, l1] = u16::try_from(len).ok()?.to_le_bytes();
    let [s0, s1, s2, s3] = SYNC;
    frame_len([l0, l1])?;
    Some([s0, s1, s2, s3, l0, l1])
}

fn frame_len(bytes: [u8; 2]) -> Option<usize> {
    let len = usize::from(u16::from_le_bytes(bytes));
    (1..=FRAME_MAX).contains(&len).then_some(len)
}

/// Bytes that were in no frame, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded(pub u64);

/// Finds frames in a byte stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: [u8; ENVELOPE_MAX],
    filled: usize,
    /// Of the envelope being read; known once the header is there.
    end: usize,
    discarded: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    /// Between two envelopes.
    #[must_use]
    pub const fn new() -> Decoder {
        Decoder { bytes: [0; ENVELOPE_MAX], filled: 0, end: ENVELOPE_MAX, discarded: 0 }
    }

    /// Takes bytes up to the end of the next frame: what remains of `input`, and the frame.
    pub fn feed<'i>(&mut self, input: &'i [u8]) -> (&'i [u8], Option<&[u8]>) {
        let mut rest = input;
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            if self.push(*byte) {
                self.filled = 0;
                return (rest, self.bytes.get(HEADER..self.end));
            }
        }
        (rest, None)
    }

    /// Bytes that were in no frame, so far.
    #[must_use]
    pub const fn discarded(&self) -> Discarded {
        Discarded(self.discarded)
    }

    /// Whether the byte completed a frame.
    fn push(&mut self, byte: u8) -> bool {
        match SYNC.get(self.filled) {
            Some(wanted) if *wanted != byte => {
                self.discard();
                if SYNC.first() != Some(&byte) {
                    self.discarded = self.discarded.saturating_add(1);
                    return false;
                }
            }
            _ => {}
        }
        if let Some(place) = self.bytes.get_mut(self.filled) {
            *place = byte;
            self.filled = self.filled.saturating_add(1);
        }
        if self.filled == HEADER {
            let len = self.bytes.get(SYNC.len()..HEADER).and_then(|b| b.first_chunk().copied());
            match len.and_then(frame_len) {
                Some(len) => self.end = HEADER.saturating_add(len),
                None => self.discard(),
            }
        }
        self.filled > HEADER && self.filled == self.end
    }

    fn discard(&mut self) {
        self.discarded = self.discarded.saturating_add(self.filled as u64);
        self.filled = 0;
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;

    fn envelope(frame: &[u8]) -> Vec<u8> {
        [header(frame.len()).unwrap().as_slice(), frame].concat()
    }

    fn frames(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (rest, frame) = decoder.feed(bytes);
            all.extend(frame.map(<[u8]>::to_vec));
            bytes = rest;
        }
        all
    }

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let sent = [vec![7], vec![1; FRAME_MAX], SYNC.to_vec()];
        let stream: Vec<u8> = sent.iter().flat_map(|f| envelope(f)).collect();
        for step in [1, 2, 3, 5, 6, 7, 64, stream.len()] {
            let mut decoder = Decoder::new();
            let got: Vec<_> =
                stream.chunks(step).flat_map(|part| frames(&mut decoder, part)).collect();
            assert_eq!(got, sent, "{step}");
            assert_eq!(decoder.discarded(), Discarded(0));
        }
    }

    #[test]
    fn test_reject_lengths_no_frame_has() {
        assert_eq!(header(0), None);
        assert_eq!(header(FRAME_MAX + 1), None);
        assert_eq!(header(usize::MAX), None);
        for len in [0u16, FRAME_MAX as u16 + 1, u16::MAX] {
            let mut decoder = Decoder::new();
            let bad = [SYNC.as_slice(), &len.to_le_bytes()].concat();
            assert!(frames(&mut decoder, &bad).is_empty());
            assert_eq!(decoder.discarded(), Discarded(6));
            assert_eq!(frames(&mut decoder, &envelope(b"ok")), [b"ok"]);
        }
    }

    #[test]
    fn the_next_frame_is_found_after_garbage() {
        for garbage in [&b"x"[..], b"NX", b"NNXC", b"NXC0", b"\0\0\0", b"NXCNX"] {
            let mut decoder = Decoder::new();
            let stream = [garbage, &envelope(b"ok")].concat();
            assert_eq!(frames(&mut decoder, &stream), [b"ok"], "{garbage:?}");
            assert_eq!(decoder.discarded(), Discarded(garbage.len() as u64));
        }
    }

    #[test]
    fn zeros_end_what_a_lost_peer_left_unfinished() {
        let whole = envelope(&[9; 300]);
        for cut in 0..whole.len() {
            let mut decoder = Decoder::new();
            let stream = [&whole[..cut], &[0; ENVELOPE_MAX], &envelope(b"ok")].concat();
            let got = frames(&mut decoder, &stream);
            assert_eq!(got.last().unwrap(), b"ok", "{cut}");
            assert!(got.len() <= 2);
        }
    }
}
