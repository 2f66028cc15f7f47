//! Service ids and the names people know them by.

use nexus_abi::ServiceId;
use nexus_system::names;

/// The kernel's id in records.
const KERNEL: u64 = 0;
const KERNEL_NAME: &str = "kernel";

/// The name of an id, if this tree's manifest has one.
pub(super) fn of(id: u64) -> Option<&'static str> {
    if id == KERNEL { Some(KERNEL_NAME) } else { names::of(ServiceId(id)) }
}

/// An id as written in every output: fixed form, also beyond the integers of JSON readers.
pub(super) fn hex(id: u64) -> String {
    format!("0x{id:02x}")
}

/// `name (0x..)`, or the id alone.
pub(super) fn who(id: u64) -> String {
    of(id).map_or_else(|| hex(id), |name| format!("{name} ({})", hex(id)))
}

/// A name or id from the command line.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let known = names::ALL.iter().find(|(_, name)| *name == text).map(|(id, _)| id.0);
    let number = || match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let kernel = (text == KERNEL_NAME).then_some(KERNEL);
    known.or(kernel).or_else(number).ok_or_else(|| {
        let all = names::ALL.iter().map(|(_, name)| *name);
        let hint = nexus_sel::authoring::suggest(text, all.collect::<Vec<_>>());
        let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
        format!("not a service of recipes/system.toml, `kernel` or an id like 20 or 0x14{hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_the_same_thing() {
        for (id, name) in names::ALL {
            assert_eq!(parse(name), Ok(id.0));
            assert_eq!(parse(&format!("{:#x}", id.0)), Ok(id.0));
            assert_eq!(parse(&id.0.to_string()), Ok(id.0));
            assert_eq!(who(id.0), format!("{name} (0x{:02x})", id.0));
        }
        assert_eq!(parse("kernel"), Ok(0));
        assert_eq!(who(0xdead_beef), "0xdeadbeef");
    }

    #[test]
    fn test_reject_what_is_neither() {
        for text in ["", "logdd", "0x", "-1", "18446744073709551616"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("logdd").unwrap_err().contains("logd"));
    }
}
