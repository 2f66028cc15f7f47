//! Why an image was refused.

/// Each variant is one check of [`crate::plan`]; nothing is loaded after any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElfError {
    /// No ELF file: magic, version, header size or program header table do not hold together.
    Malformed,
    /// Not a 64-bit little-endian file.
    Class,
    /// Not for RISC-V, or needs floating-point registers the kernel does not save.
    Machine,
    /// Not a static executable (`ET_EXEC`).
    NotExecutable,
    /// Asks for an interpreter, dynamic linking or thread-local storage.
    NotStatic,
    /// More program headers or loadable segments than the loader takes.
    TooManySegments,
    /// No loadable segment.
    NoSegments,
    /// A segment's address or file offset is not page aligned.
    Alignment,
    /// A segment's bytes lie outside the file, or the file holds more than its memory.
    FileRange,
    /// A segment lies outside the addresses images may use.
    AddressRange,
    /// Segments overlap or are not in ascending order.
    Overlap,
    /// A segment, or the stack, would be writable and executable.
    WriteXorExecute,
    /// A segment has no read permission, or flags nobody defined.
    Flags,
    /// The entry point is not an aligned address inside the executable bytes of the file.
    Entry,
}

impl ElfError {
    /// Every refusal.
    pub const ALL: &'static [ElfError] = &[
        ElfError::Malformed,
        ElfError::Class,
        ElfError::Machine,
        ElfError::NotExecutable,
        ElfError::NotStatic,
        ElfError::TooManySegments,
        ElfError::NoSegments,
        ElfError::Alignment,
        ElfError::FileRange,
        ElfError::AddressRange,
        ElfError::Overlap,
        ElfError::WriteXorExecute,
        ElfError::Flags,
        ElfError::Entry,
    ];

    /// Name in console lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ElfError::Malformed => "malformed",
            ElfError::Class => "class",
            ElfError::Machine => "machine",
            ElfError::NotExecutable => "not-executable",
            ElfError::NotStatic => "not-static",
            ElfError::TooManySegments => "too-many-segments",
            ElfError::NoSegments => "no-segments",
            ElfError::Alignment => "alignment",
            ElfError::FileRange => "file-range",
            ElfError::AddressRange => "address-range",
            ElfError::Overlap => "overlap",
            ElfError::WriteXorExecute => "write-xor-execute",
            ElfError::Flags => "flags",
            ElfError::Entry => "entry",
        }
    }
}
