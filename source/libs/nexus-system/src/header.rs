//! First page of the boot image: what the kernel needs to start the supervisor, and nothing it
//! would have to parse. Written by the image builder, read by the kernel and the supervisor.
//!
//! All fields are little-endian `u64` words: magic, total length, flags, boot hart, entry,
//! segment count, six segments of six words, then the [`Header`] fields from
//! `manifest_off` on.

use nexus_abi::layout::PAGE;

/// First eight bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"NXBOOT01");
/// The header fills one page.
pub const BYTES: usize = PAGE as usize;
/// Words of the header that carry something.
pub const WORDS: usize = HEAD_WORDS + MAX_SEGMENTS * SEGMENT_WORDS + TAIL_WORDS;
/// Segments of the supervisor.
pub const MAX_SEGMENTS: usize = 6;
/// `boot_hart` when the kernel stays where the firmware starts it.
pub const ANY_HART: u64 = u64::MAX;
/// Flag: user mode may read the instruction counter.
pub const FLAG_BENCH: u64 = 1;

const HEAD_WORDS: usize = 6;
const SEGMENT_WORDS: usize = 6;
const TAIL_WORDS: usize = 8;

/// One loadable segment of the supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Virtual address, page aligned.
    pub va: u64,
    /// Where its bytes are in the boot image, page aligned.
    pub file_off: u64,
    /// Bytes in the boot image.
    pub file_len: u64,
    /// Bytes in memory; the rest is zero.
    pub mem_len: u64,
    /// `nexus_abi::syscall::Prot` as a number: 1 R, 3 RW, 5 RX.
    pub prot: u64,
}

/// The decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole boot image, whole pages.
    pub total_len: u64,
    /// [`FLAG_BENCH`].
    pub flags: u64,
    /// Hart to run on, or [`ANY_HART`].
    pub boot_hart: u64,
    /// Entry point of the supervisor.
    pub entry: u64,
    /// Its segments; only the first `segment_count` count.
    pub segments: [Segment; MAX_SEGMENTS],
    /// How many.
    pub segment_count: usize,
    /// The compact manifest, page aligned.
    pub manifest_off: u64,
    /// Its exact length.
    pub manifest_len: u64,
    /// Stack pages of the supervisor.
    pub stack_pages: u64,
    /// Its syscall mask.
    pub mask: u64,
    /// Its priority.
    pub priority: u64,
    /// Its service id.
    pub service: u64,
    /// Frames it may own.
    pub frames: u64,
    /// Objects it may own.
    pub objects: u64,
}

impl Header {
    /// The segments in use.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.segments.get(..self.segment_count).unwrap_or_default()
    }

    /// The words that open the boot image; the rest of the page is zero.
    #[must_use]
    pub fn encode(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let mut places = words.iter_mut();
        let mut put = |word: u64| {
            if let Some(place) = places.next() {
                *place = word;
            }
        };
        let head = [
            MAGIC,
            self.total_len,
            self.flags,
            self.boot_hart,
            self.entry,
            self.segment_count as u64,
        ];
        head.into_iter().for_each(&mut put);
        for s in &self.segments {
            [s.va, s.file_off, s.file_len, s.mem_len, s.prot, 0].into_iter().for_each(&mut put);
        }
        let tail = [
            self.manifest_off,
            self.manifest_len,
            self.stack_pages,
            self.mask,
            self.priority,
            self.service,
            self.frames,
            self.objects,
        ];
        tail.into_iter().for_each(&mut put);
        words
    }

    /// Decodes and bounds-checks the first words of a boot image. `None`: no boot image, or one
    /// whose parts lie outside it. What passes needs no further range checks.
    #[must_use]
    pub fn decode(words: &[u64; WORDS]) -> Option<Header> {
        let (head, rest) = words.split_first_chunk::<HEAD_WORDS>()?;
        let [magic, total_len, flags, boot_hart, entry, segment_count] = *head;
        let mut segments = [Segment::default(); MAX_SEGMENTS];
        let mut rest = rest;
        for segment in &mut segments {
            let (raw, tail) = rest.split_first_chunk::<SEGMENT_WORDS>()?;
            let [va, file_off, file_len, mem_len, prot, 0] = *raw else { return None };
            *segment = Segment { va, file_off, file_len, mem_len, prot };
            rest = tail;
        }
        let tail = rest.first_chunk::<TAIL_WORDS>()?;
        let [manifest_off, manifest_len, stack_pages, mask, priority, service, frames, objects] =
            *tail;
        let segment_count = usize::try_from(segment_count).ok()?;
        let header = Header {
            total_len,
            flags,
            boot_hart,
            entry,
            segments,
            segment_count,
            manifest_off,
            manifest_len,
            stack_pages,
            mask,
            priority,
            service,
            frames,
            objects,
        };
        (magic == MAGIC && header.sound()).then_some(header)
    }

    fn sound(&self) -> bool {
        let inside = |off: u64, len: u64| {
            off.is_multiple_of(PAGE)
                && off.checked_add(len).is_some_and(|end| end <= self.total_len)
        };
        let segment = |s: &Segment| {
            s.va.is_multiple_of(PAGE)
                && inside(s.file_off, s.file_len)
                && s.file_len <= s.mem_len
                && [1, 3, 5].contains(&s.prot)
        };
        self.total_len.is_multiple_of(PAGE)
            && self.flags & !FLAG_BENCH == 0
            && (1..=MAX_SEGMENTS).contains(&self.segment_count)
            && self.segments().iter().all(segment)
            && inside(self.manifest_off, self.manifest_len)
            && self.priority < 8
            && self.service != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        let mut segments = [Segment::default(); MAX_SEGMENTS];
        segments[0] =
            Segment { va: 0x1000_0000, file_off: 4096, file_len: 10, mem_len: 4096, prot: 5 };
        Header {
            total_len: 16384,
            flags: FLAG_BENCH,
            boot_hart: ANY_HART,
            entry: 0x1000_0000,
            segments,
            segment_count: 1,
            manifest_off: 8192,
            manifest_len: 500,
            stack_pages: 4,
            mask: 3,
            priority: 7,
            service: 1,
            frames: 100,
            objects: 20,
        }
    }

    #[test]
    fn header_survives_its_words_at_the_stated_offsets() {
        let words = sample().encode();
        assert_eq!(Header::decode(&words), Some(sample()));
        assert_eq!(words[0].to_le_bytes(), *b"NXBOOT01");
        assert_eq!(words[48 / 8], 0x1000_0000);
        assert_eq!(words[336 / 8], 8192);
        assert_eq!(words[392 / 8], 20);
    }

    #[test]
    fn test_reject_every_unsound_header() {
        let reject = |change: &dyn Fn(&mut Header)| {
            let mut header = sample();
            change(&mut header);
            assert_eq!(Header::decode(&header.encode()), None);
        };
        reject(&|h| h.total_len = 16383);
        reject(&|h| h.flags = 2);
        reject(&|h| h.segment_count = 0);
        reject(&|h| h.segment_count = 7);
        reject(&|h| h.segments[0].va = 1);
        reject(&|h| h.segments[0].file_off = 1);
        reject(&|h| h.segments[0].file_off = u64::MAX - 4095);
        reject(&|h| h.segments[0].file_len = 16384);
        reject(&|h| h.segments[0].mem_len = 9);
        reject(&|h| h.segments[0].prot = 7);
        reject(&|h| h.manifest_off = 12288 + 4096);
        reject(&|h| h.manifest_len = u64::MAX);
        reject(&|h| h.priority = 8);
        reject(&|h| h.service = 0);
        let mut words = sample().encode();
        words[0] ^= 1;
        assert_eq!(Header::decode(&words), None);
        let mut words = sample().encode();
        words[6 + 5] = 1;
        assert_eq!(Header::decode(&words), None);
    }
}
