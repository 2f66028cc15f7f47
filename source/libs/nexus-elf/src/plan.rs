//! From untrusted bytes to a checked list of segments.

use elf::{ElfBytes, abi, endian::LittleEndian, segment::ProgramHeader};
use nexus_abi::{
    layout::{PAGE, USER_MIN, WINDOW_BASE},
    syscall::Prot,
};

use crate::ElfError;

/// Most loadable segments: read-only, executable and writable, twice over. Also the number of
/// segment records in the boot image header.
pub const MAX_SEGMENTS: usize = 6;

/// Most program headers of any kind; linkers emit at most a handful beside the loadable ones.
pub const MAX_HEADERS: usize = 16;

/// Lowest address an image may use.
pub const IMAGE_MIN: u64 = USER_MIN;

/// One past the highest address an image may use: views, stack and message page lie above, so
/// no image can be placed where one of them will go.
pub const IMAGE_MAX: u64 = WINDOW_BASE;

/// Bits of the ELF header's `e_flags` that name the floating-point calling convention.
const FLOAT_ABI: u32 = 0b110;

/// One range of memory and the file bytes it starts with; the rest of it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address, page aligned.
    pub va: u64,
    /// Where its bytes start in the image, page aligned.
    pub file_offset: u64,
    /// How many bytes come from the image; inside it, and at most `mem_len`.
    pub file_len: u64,
    /// Bytes in memory, at least 1.
    pub mem_len: u64,
    /// Protection; never writable and executable.
    pub prot: Prot,
}

impl Segment {
    /// Bytes of whole pages the segment occupies.
    #[must_use]
    pub const fn page_len(&self) -> u64 {
        self.mem_len.saturating_add(PAGE - 1) & !(PAGE - 1)
    }

    /// One past its last page.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.va.saturating_add(self.page_len())
    }

    /// The segment's bytes in the image the plan was made from; the rest of it is zero.
    #[must_use]
    pub fn bytes<'i>(&self, image: &'i [u8]) -> Option<&'i [u8]> {
        let start = usize::try_from(self.file_offset).ok()?;
        let len = usize::try_from(self.file_len).ok()?;
        image.get(start..)?.get(..len)
    }

    /// What an unused place of the array holds; never handed out.
    const UNUSED: Segment =
        Segment { va: 0, file_offset: 0, file_len: 0, mem_len: 0, prot: Prot::Read };
}

/// A loadable image: where it starts and what goes where, in ascending order of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// First instruction; inside the file bytes of an executable segment.
    pub entry: u64,
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
}

impl LoadPlan {
    /// The segments, ascending and disjoint.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.segments.get(..self.count).unwrap_or(&[])
    }

    /// Whole pages all segments need.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.segments().iter().fold(0, |sum: u64, s| sum.saturating_add(s.page_len() / PAGE))
    }

    fn push(&mut self, segment: Segment) -> Result<(), ElfError> {
        if self.segments().last().is_some_and(|previous| segment.va < previous.end()) {
            return Err(ElfError::Overlap);
        }
        let place = self.segments.get_mut(self.count).ok_or(ElfError::TooManySegments)?;
        *place = segment;
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

/// Checks an image completely and says how to load it.
///
/// # Errors
/// The first check that fails; see [`ElfError`].
pub fn plan(image: &[u8]) -> Result<LoadPlan, ElfError> {
    let file = open(image)?;
    let headers = file.segments().ok_or(ElfError::NoSegments)?;
    if headers.len() > MAX_HEADERS {
        return Err(ElfError::TooManySegments);
    }
    let mut plan =
        LoadPlan { entry: file.ehdr.e_entry, segments: [Segment::UNUSED; MAX_SEGMENTS], count: 0 };
    for header in headers.iter() {
        match header.p_type {
            // Linkers keep a declared segment that nothing went into; it means nothing.
            abi::PT_LOAD if header.p_memsz == 0 && header.p_filesz == 0 => {}
            abi::PT_LOAD => plan.push(segment(&header, image.len())?)?,
            abi::PT_INTERP | abi::PT_DYNAMIC | abi::PT_TLS => return Err(ElfError::NotStatic),
            abi::PT_GNU_STACK if header.p_flags & abi::PF_X != 0 => {
                return Err(ElfError::WriteXorExecute);
            }
            _ => {}
        }
    }
    check_entry(&plan)?;
    Ok(plan)
}

/// The file header's own claims.
fn open(image: &[u8]) -> Result<ElfBytes<'_, LittleEndian>, ElfError> {
    // Class and byte order first: the parser would read a 32-bit file as a broken one.
    let ident = image.get(..abi::EI_NIDENT).ok_or(ElfError::Malformed)?;
    if !ident.starts_with(&abi::ELFMAGIC) {
        return Err(ElfError::Malformed);
    }
    if ident.get(abi::EI_CLASS..=abi::EI_DATA) != Some(&[abi::ELFCLASS64, abi::ELFDATA2LSB]) {
        return Err(ElfError::Class);
    }
    let file = ElfBytes::<LittleEndian>::minimal_parse(image).map_err(|_| ElfError::Malformed)?;
    let header = &file.ehdr;
    if header.e_machine != abi::EM_RISCV || header.e_flags & FLOAT_ABI != 0 {
        return Err(ElfError::Machine);
    }
    if header.e_type != abi::ET_EXEC {
        return Err(ElfError::NotExecutable);
    }
    if header.version != u32::from(abi::EV_CURRENT) {
        return Err(ElfError::Malformed);
    }
    Ok(file)
}

/// One loadable program header, against the file length and the address space.
fn segment(header: &ProgramHeader, image_len: usize) -> Result<Segment, ElfError> {
    let ProgramHeader { p_vaddr: va, p_offset, p_filesz, p_memsz, .. } = *header;
    if !va.is_multiple_of(PAGE) || !p_offset.is_multiple_of(PAGE) {
        return Err(ElfError::Alignment);
    }
    let file_end = p_offset.checked_add(p_filesz).ok_or(ElfError::FileRange)?;
    if p_filesz > p_memsz || usize::try_from(file_end).map_or(true, |end| end > image_len) {
        return Err(ElfError::FileRange);
    }
    let end = va.checked_add(p_memsz).ok_or(ElfError::AddressRange)?;
    if va < IMAGE_MIN || end > IMAGE_MAX {
        return Err(ElfError::AddressRange);
    }
    let prot = prot(header.p_flags)?;
    Ok(Segment { va, file_offset: p_offset, file_len: p_filesz, mem_len: p_memsz, prot })
}

/// W^X: exactly three combinations exist.
fn prot(flags: u32) -> Result<Prot, ElfError> {
    const READ: u32 = abi::PF_R;
    const READ_WRITE: u32 = abi::PF_R | abi::PF_W;
    const READ_EXEC: u32 = abi::PF_R | abi::PF_X;
    const WRITE_EXEC: u32 = abi::PF_W | abi::PF_X;
    match flags {
        READ => Ok(Prot::Read),
        READ_WRITE => Ok(Prot::ReadWrite),
        READ_EXEC => Ok(Prot::ReadExec),
        other if other & WRITE_EXEC == WRITE_EXEC => Err(ElfError::WriteXorExecute),
        _ => Err(ElfError::Flags),
    }
}

/// Instructions are at least 2-byte aligned (RVC) and must come from the file, not from zeroes.
fn check_entry(plan: &LoadPlan) -> Result<(), ElfError> {
    if plan.segments().is_empty() {
        return Err(ElfError::NoSegments);
    }
    let inside = |s: &Segment| {
        s.prot == Prot::ReadExec && plan.entry.checked_sub(s.va).is_some_and(|o| o < s.file_len)
    };
    if plan.entry.is_multiple_of(2) && plan.segments().iter().any(inside) {
        Ok(())
    } else {
        Err(ElfError::Entry)
    }
}
