//! Named syscall sets: `name`, `@set`, `!name`, resolved against the one syscall table.

use nexus_abi::{SyscallMask, syscall::SPECS};

use super::{diag::Sink, parse::syscall_names, read::At};

/// The set that needs no definition.
const ALL: &str = "all";

/// Resolves every set; a set may include sets that stand above it.
pub(crate) fn resolve(
    lists: &[(At<String>, Vec<At<String>>)],
    sink: &Sink<'_>,
) -> Vec<(String, SyscallMask)> {
    let mut sets = vec![(ALL.to_owned(), SyscallMask::ALL)];
    for (name, items) in lists {
        if name.value == ALL {
            sink.error(&name.span, "`all` is the whole table and cannot be redefined");
            continue;
        }
        let later = |set: &str| {
            lists.iter().any(|(n, _)| n.value == set) && !sets.iter().any(|(n, _)| n == set)
        };
        let mut usable = Vec::new();
        for item in items {
            match item.value.strip_prefix('@') {
                Some(set) if later(set) => {
                    sink.error(&item.span, format!("set `{set}` must stand above its use"));
                }
                _ => usable.push(item.clone()),
            }
        }
        let mask = mask(&usable, &sets, sink);
        sets.push((name.value.clone(), mask));
    }
    sets
}

/// The mask that `items` spell.
pub(crate) fn mask(
    items: &[At<String>],
    sets: &[(String, SyscallMask)],
    sink: &Sink<'_>,
) -> SyscallMask {
    let mut bits = 0u64;
    let mut removed = 0u64;
    for item in items {
        let text = item.value.as_str();
        if let Some(set) = text.strip_prefix('@') {
            match sets.iter().find(|(name, _)| name == set) {
                Some((_, mask)) => bits |= mask.0,
                None => {
                    let known = sets.iter().map(|(name, _)| name.as_str());
                    sink.unknown(&item.span, "syscall set", set, known);
                }
            }
        } else if let Some(name) = text.strip_prefix('!') {
            removed |= bit(name, item, sink);
        } else {
            bits |= bit(text, item, sink);
        }
    }
    SyscallMask(bits & !removed)
}

fn bit(name: &str, item: &At<String>, sink: &Sink<'_>) -> u64 {
    match SPECS.iter().find(|s| s.name == name) {
        Some(spec) => SyscallMask(0).with(spec.number).0,
        None => {
            sink.unknown(&item.span, "syscall", name, syscall_names());
            0
        }
    }
}
