//! The first page of the boot image, in the kernel's own types: checked before anything is
//! believed. The layout and its checks are `nexus_system::header`'s; what remains is that the
//! image fits the RAM and that every number fits its field.

use nexus_abi::{
    ServiceId, SyscallMask,
    layout::PAGE,
    syscall::{Arg as _, Prot, Quota},
};
use nexus_kernel_core::{InitSegment, Pfn, limits::MAX_INIT_SEGMENTS};
use nexus_system::header::{ANY_HART, FLAG_BENCH, Header as Image, Segment, WORDS};

/// Why a boot image is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// No boot image, or one that contradicts itself.
    Unsound,
    /// The image is empty or longer than RAM.
    Length,
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
    pub(crate) fn parse(page: &[u8; PAGE as usize], place: Place) -> Result<Header, HeaderError> {
        let image = Image::decode(&words(page)).ok_or(HeaderError::Unsound)?;
        let room = u64::from(place.room_pages).saturating_mul(PAGE);
        if image.total_len == 0 || image.total_len > room {
            return Err(HeaderError::Length);
        }
        let mut segments = [UNUSED; MAX_INIT_SEGMENTS];
        for (segment, from) in segments.iter_mut().zip(image.segments()) {
            *segment = segment_at(from, place)?;
        }
        Ok(Header {
            pages: narrow(image.total_len / PAGE)?,
            bench: image.flags & FLAG_BENCH != 0,
            boot_hart: (image.boot_hart != ANY_HART).then_some(image.boot_hart),
            service: ServiceId(image.service),
            priority: narrow(image.priority)?,
            mask: SyscallMask(image.mask),
            quota: Quota { frames: narrow(image.frames)?, objects: narrow(image.objects)? },
            entry: image.entry,
            stack_pages: narrow(image.stack_pages)?,
            segments,
            count: image.segment_count,
        })
    }

    /// What to map for the first process.
    pub(crate) fn segments(&self) -> &[InitSegment] {
        self.segments.get(..self.count).unwrap_or(&[])
    }
}

fn words(page: &[u8; PAGE as usize]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (chunks, _) = page.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

fn narrow<T: TryFrom<u64>>(value: u64) -> Result<T, HeaderError> {
    T::try_from(value).map_err(|_| HeaderError::Field)
}

/// Addresses are the core's to judge; that the bytes are the image's is checked already.
fn segment_at(s: &Segment, place: Place) -> Result<InitSegment, HeaderError> {
    let prot = Prot::from_reg(s.prot).map_err(|_| HeaderError::Field)?;
    let first = place.first.offset(narrow(s.file_off / PAGE)?);
    Ok(InitSegment { va: s.va, first, file_len: s.file_len, mem_len: s.mem_len, prot })
}

#[cfg(test)]
mod tests;
