//! The first page of the boot image, written by `nx image`: checked before anything is
//! believed.

use nexus_abi::{
    ServiceId, SyscallMask,
    layout::PAGE,
    syscall::{Arg as _, Prot, Quota},
};
use nexus_kernel_core::{InitSegment, Pfn, limits::MAX_INIT_SEGMENTS};

const MAGIC: u64 = u64::from_le_bytes(*b"NXBOOT01");
const SEGMENT_BYTES: usize = 48;

/// Byte offsets of the fields; all are little-endian words.
mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const TOTAL_LEN: usize = 8;
    pub(super) const FLAGS: usize = 16;
    pub(super) const BOOT_HART: usize = 24;
    pub(super) const ENTRY: usize = 32;
    pub(super) const SEGMENT_COUNT: usize = 40;
    pub(super) const SEGMENTS: usize = 48;
    pub(super) const STACK_PAGES: usize = 352;
    pub(super) const MASK: usize = 360;
    pub(super) const PRIORITY: usize = 368;
    pub(super) const SERVICE: usize = 376;
    pub(super) const FRAMES: usize = 384;
    pub(super) const OBJECTS: usize = 392;
}

/// Why a boot image is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// The first eight bytes are not the magic.
    Magic,
    /// The image is empty, not whole pages, or longer than RAM.
    Length,
    /// An unknown flag is set.
    Flags,
    /// No segment, or more than there is room for.
    SegmentCount,
    /// A segment lies outside the image, is not page aligned, or has a wrong protection.
    Segment,
    /// A number does not fit its field.
    Field,
}

/// The checked header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) pages: u32,
    pub(crate) bench: bool,
    pub(crate) boot_hart: Option<u64>,
    pub(crate) service: ServiceId,
    pub(crate) priority: u8,
    pub(crate) mask: SyscallMask,
    pub(crate) quota: Quota,
    pub(crate) entry: u64,
    pub(crate) stack_pages: u32,
    segments: [InitSegment; MAX_INIT_SEGMENTS],
    count: usize,
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn get(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |b| u64::from_le_bytes(*b))
    }

    fn narrow<T: TryFrom<u64>>(&self, at: usize) -> Result<T, HeaderError> {
        T::try_from(self.get(at)).map_err(|_| HeaderError::Field)
    }
}

/// Where the image lies and how much RAM there is from there on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) first: Pfn,
    pub(crate) room_pages: u32,
}

const UNUSED: InitSegment =
    InitSegment { va: 0, first: Pfn(0), file_len: 0, mem_len: 0, prot: Prot::Read };

impl Header {
    /// Reads the header page of an image at `place`.
    pub(crate) fn parse(page: &[u8], place: Place) -> Result<Header, HeaderError> {
        let words = Words(page);
        if words.get(at::MAGIC) != MAGIC {
            return Err(HeaderError::Magic);
        }
        let total_len = words.get(at::TOTAL_LEN);
        let room = u64::from(place.room_pages).saturating_mul(PAGE);
        if total_len == 0 || !total_len.is_multiple_of(PAGE) || total_len > room {
            return Err(HeaderError::Length);
        }
        let bench = match words.get(at::FLAGS) {
            0 => false,
            1 => true,
            _ => return Err(HeaderError::Flags),
        };
        let hart = words.get(at::BOOT_HART);
        let (segments, count) = segments(&words, total_len, place)?;
        Ok(Header {
            pages: (total_len / PAGE) as u32,
            bench,
            boot_hart: (hart != u64::MAX).then_some(hart),
            service: ServiceId(words.get(at::SERVICE)),
            priority: words.narrow(at::PRIORITY)?,
            mask: SyscallMask(words.get(at::MASK)),
            quota: Quota { frames: words.narrow(at::FRAMES)?, objects: words.narrow(at::OBJECTS)? },
            entry: words.get(at::ENTRY),
            stack_pages: words.narrow(at::STACK_PAGES)?,
            segments,
            count,
        })
    }

    /// What to map for the first process.
    pub(crate) fn segments(&self) -> &[InitSegment] {
        self.segments.get(..self.count).unwrap_or(&[])
    }
}

type Segments = ([InitSegment; MAX_INIT_SEGMENTS], usize);

fn segments(words: &Words<'_>, total_len: u64, place: Place) -> Result<Segments, HeaderError> {
    let count: usize = words.narrow(at::SEGMENT_COUNT)?;
    let mut all = [UNUSED; MAX_INIT_SEGMENTS];
    let used = all.get_mut(..count).ok_or(HeaderError::SegmentCount)?;
    if used.is_empty() {
        return Err(HeaderError::SegmentCount);
    }
    let starts = (at::SEGMENTS..).step_by(SEGMENT_BYTES);
    for (segment, start) in used.iter_mut().zip(starts) {
        *segment = segment_at(words, start, total_len, place)?;
    }
    Ok((all, count))
}

/// Addresses are the core's to judge; here it is only made sure that the bytes are the image's.
fn segment_at(
    words: &Words<'_>,
    start: usize,
    total_len: u64,
    place: Place,
) -> Result<InitSegment, HeaderError> {
    let mut fields = (start..).step_by(8).map(|at| words.get(at));
    let mut next = || fields.next().unwrap_or(0);
    let (va, file_off, file_len, mem_len, prot) = (next(), next(), next(), next(), next());
    let end = file_off.checked_add(file_len).ok_or(HeaderError::Segment)?;
    if end > total_len || !file_off.is_multiple_of(PAGE) || file_len > mem_len {
        return Err(HeaderError::Segment);
    }
    let prot = Prot::from_reg(prot).map_err(|_| HeaderError::Segment)?;
    let first = place.first.offset((file_off / PAGE) as u32);
    Ok(InitSegment { va, first, file_len, mem_len, prot })
}

#[cfg(test)]
mod tests;
