//! The kernel as QEMU's `-kernel` wants it: raw bytes from its load address on.

use elf::{ElfBytes, abi::PT_LOAD, endian::LittleEndian, segment::ProgramHeader};
use nexus_abi::layout::PAGE;

/// Every loadable byte at its physical place behind `base`, zeros between, whole pages, memory
/// without file bytes included: the boot image that follows must not lie in the kernel's bss.
pub(super) fn flatten(elf: &[u8], base: u64, limit: u64) -> Result<Vec<u8>, String> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).map_err(|e| e.to_string())?;
    let loads: Vec<ProgramHeader> = file
        .segments()
        .into_iter()
        .flatten()
        .filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0)
        .collect();
    let mut end = base;
    for load in &loads {
        let stop = load.p_paddr.checked_add(load.p_memsz).ok_or("a segment wraps around")?;
        if load.p_paddr < base || stop > base.saturating_add(limit) {
            let (from, to) = (load.p_paddr, base.saturating_add(limit));
            return Err(format!(
                "a segment lies at {from:#x}..{stop:#x}, outside {base:#x}..{to:#x}"
            ));
        }
        end = end.max(stop);
    }
    if loads.is_empty() {
        return Err("nothing to load".to_owned());
    }
    let mut flat = vec![0; (end - base).next_multiple_of(PAGE) as usize];
    for load in &loads {
        let bytes = file.segment_data(load).map_err(|e| e.to_string())?;
        let at = (load.p_paddr - base) as usize;
        let place = flat.get_mut(at..at + bytes.len()).ok_or("more file than memory bytes")?;
        place.copy_from_slice(bytes);
    }
    Ok(flat)
}
