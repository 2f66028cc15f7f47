//! Addresses in a failed run's last lines, told by the function they lie in.
//!
//! Programs are linked at distinct addresses, so a bare number names its program too.
use std::fs;
use std::path::Path;

use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;

/// Shortest address worth a look: link bases and the kernel half have at least this many digits.
const DIGITS_MIN: usize = 7;

/// A function of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) program: String,
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// Every function of the programs that `nx image` kept with their symbols.
pub(super) fn load(folder: &Path) -> Vec<Function> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| functions(path).unwrap_or_default()).collect()
}

fn functions(path: &Path) -> Option<Vec<Function>> {
    let bytes = fs::read(path).ok()?;
    let program = path.file_name()?.to_string_lossy().into_owned();
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes).ok()?;
    let (symbols, names) = file.symbol_table().ok()??;
    let code = symbols.iter().filter(|s| s.st_symtype() == STT_FUNC && s.st_size > 0);
    let function = |s: elf::symbol::Symbol| {
        let name = names.get(usize::try_from(s.st_name).ok()?).ok()?;
        let name = format!("{:#}", rustc_demangle::demangle(name));
        Some(Function { program: program.clone(), name, start: s.st_value, len: s.st_size })
    };
    Some(code.filter_map(function).collect())
}

/// One line per address of `text` that lies in a function.
pub(super) fn explain(text: &str, functions: &[Function]) -> Vec<String> {
    let mut known: Vec<u64> = Vec::new();
    let mut lines = Vec::new();
    for address in addresses(text) {
        let inside = |f: &&Function| address.checked_sub(f.start).is_some_and(|off| off < f.len);
        if let Some(f) = functions.iter().find(inside)
            && !known.contains(&address)
        {
            known.push(address);
            lines.push(format!(
                "{address:#x} is {} in {}, +{:#x}",
                f.name,
                f.program,
                address - f.start
            ));
        }
    }
    lines
}

fn addresses(text: &str) -> impl Iterator<Item = u64> {
    text.split("0x").skip(1).filter_map(|rest| {
        let len = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let digits = rest.get(..len).filter(|digits| digits.len() >= DIGITS_MIN)?;
        u64::from_str_radix(digits, 16).ok()
    })
}
