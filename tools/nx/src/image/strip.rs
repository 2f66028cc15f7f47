//! An ELF reduced to what the loader reads: file header, load segments, their bytes, each at a
//! page of the file. Written anew rather than cut, so equal programs give equal bytes.

use elf::{ElfBytes, abi::PT_LOAD, endian::LittleEndian, segment::ProgramHeader};
use nexus_abi::layout::PAGE;

const EHDR_BYTES: u16 = 64;
const PHDR_BYTES: u16 = 56;

pub(super) fn strip(elf: &[u8]) -> Result<Vec<u8>, String> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).map_err(|e| e.to_string())?;
    let mut loads: Vec<ProgramHeader> = file
        .segments()
        .into_iter()
        .flatten()
        .filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0)
        .collect();
    loads.sort_by_key(|load| load.p_vaddr);
    let mut bodies = Vec::new();
    let mut headers = Vec::new();
    for load in &loads {
        let bytes = file.segment_data(load).map_err(|e| e.to_string())?;
        let offset = PAGE + bodies.len() as u64;
        headers.extend(program_header(load, offset));
        bodies.extend_from_slice(bytes);
        bodies.resize(bodies.len().next_multiple_of(PAGE as usize), 0);
    }
    let count = u16::try_from(loads.len()).map_err(|_| "too many segments")?;
    let mut out = file_header(&file, count);
    out.extend(headers);
    if out.len() > PAGE as usize {
        return Err("too many segments".to_owned());
    }
    out.resize(PAGE as usize, 0);
    out.extend(bodies);
    Ok(out)
}

fn file_header(file: &ElfBytes<'_, LittleEndian>, count: u16) -> Vec<u8> {
    let ehdr = &file.ehdr;
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, ehdr.osabi];
    out.resize(16, 0);
    out.extend(ehdr.e_type.to_le_bytes());
    out.extend(ehdr.e_machine.to_le_bytes());
    out.extend(ehdr.version.to_le_bytes());
    out.extend(ehdr.e_entry.to_le_bytes());
    out.extend(u64::from(EHDR_BYTES).to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.extend(ehdr.e_flags.to_le_bytes());
    for half in [EHDR_BYTES, PHDR_BYTES, count, 0, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    out
}

fn program_header(load: &ProgramHeader, offset: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(PT_LOAD.to_le_bytes());
    out.extend(load.p_flags.to_le_bytes());
    for word in [offset, load.p_vaddr, load.p_paddr, load.p_filesz, load.p_memsz, PAGE] {
        out.extend(word.to_le_bytes());
    }
    out
}
