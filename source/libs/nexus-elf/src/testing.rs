//! Tiny valid images, so that tests and the simulator load through the real loader.

use nexus_abi::layout::PAGE;

/// File offset of the data segment: after the header page and the text page.
const DATA_AT: usize = 2 * PAGE as usize;

/// Bytes of [`minimal_elf`]: header page, text page, 8 data bytes.
pub const MINIMAL_LEN: usize = DATA_AT + DATA.len();

/// Where [`minimal_elf`] puts its program headers, one [`HEADER_LEN`] each.
pub const HEADERS_AT: usize = 64;

/// Bytes of one 64-bit program header.
pub const HEADER_LEN: usize = 56;

/// What the data segment of [`minimal_elf`] starts with.
pub const DATA: [u8; 8] = *b"NXDATA01";

/// `ecall` in a loop: if it ever really runs, it does nothing but fail.
const TEXT: [u8; 8] = [0x73, 0, 0, 0, 0x6f, 0xf0, 0xdf, 0xff];

/// An executable segment of one page at `entry_base` (also the entry point) and, on the next
/// page, a writable one with 8 bytes from the file and a zeroed rest of two pages.
///
/// The simulator tells programs apart by `entry_base`; it must be page aligned.
#[must_use]
pub fn minimal_elf(entry_base: u64) -> [u8; MINIMAL_LEN] {
    let mut image = [0; MINIMAL_LEN];
    put(&mut image, 0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    // e_type = ET_EXEC, e_machine = EM_RISCV, e_version = 1.
    put(&mut image, 16, &[2, 0, 243, 0, 1, 0, 0, 0]);
    put(&mut image, 24, &entry_base.to_le_bytes());
    put(&mut image, 32, &(HEADERS_AT as u64).to_le_bytes());
    // e_flags = RVC; e_ehsize 64, e_phentsize 56, e_phnum 2, e_shentsize 64, no sections.
    put(&mut image, 48, &[1, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64]);
    let text = [PAGE, entry_base, entry_base, TEXT.len() as u64, TEXT.len() as u64, PAGE];
    program_header(&mut image, 0, 5, &text);
    let data_va = entry_base.wrapping_add(PAGE);
    let data = [DATA_AT as u64, data_va, data_va, DATA.len() as u64, PAGE + 8, PAGE];
    program_header(&mut image, 1, 6, &data);
    put(&mut image, PAGE as usize, &TEXT);
    put(&mut image, DATA_AT, &DATA);
    image
}

/// Writes a loadable program header: `p_flags`, then offset, va, pa, filesz, memsz, align.
fn program_header(image: &mut [u8], index: usize, flags: u32, fields: &[u64; 6]) {
    let mut at = HEADERS_AT.saturating_add(index.saturating_mul(HEADER_LEN));
    put(image, at, &1u32.to_le_bytes());
    put(image, at.saturating_add(4), &flags.to_le_bytes());
    for field in fields {
        at = at.saturating_add(8);
        put(image, at, &field.to_le_bytes());
    }
}

/// Overwrites part of an image; out-of-range writes do nothing.
pub fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len());
    if let Some(place) = image.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}
