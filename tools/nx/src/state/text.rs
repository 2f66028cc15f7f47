//! What is found, for people.

use std::{fmt::Write, path::Path};

use nexus_abi::ServiceId;
use nexus_state::{
    Error, Tail,
    inspect::{Holds, Report, Slot},
};
use nexus_system::names;

use super::verdict;

pub(super) fn report(image: &Path, report: &Report, values: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {}, {} sectors",
        image.display(),
        verdict(report.store.as_ref().err().copied()),
        report.sectors
    );
    for (at, slot) in &report.superblocks {
        let _ = writeln!(out, "  superblock at sector {at}: {}", superblock(slot));
    }
    match &report.store {
        Ok(holds) => store(&mut out, holds, values),
        Err(error) => {
            let _ = writeln!(out, "  {}", explained(*error));
        }
    }
    out
}

fn superblock(slot: &Slot) -> String {
    match slot {
        Slot::Blank => "blank".to_owned(),
        Slot::Other => "not a superblock".to_owned(),
        Slot::Broken => "torn or damaged".to_owned(),
        Slot::Later(version) => format!("of version {version}"),
        Slot::Whole { epoch, closed, first_sector, sectors, base_sequence } => {
            let state = if *closed { "closed" } else { "open" };
            let last = first_sector + sectors - 1;
            format!(
                "epoch {epoch}, {state}, records in sectors {first_sector} to {last}, after sequence {base_sequence}"
            )
        }
    }
}

fn explained(error: Error) -> String {
    match error {
        Error::Damaged { sector } => format!(
            "damage begins at sector {sector} (byte {}): what was acknowledged there is not there any more",
            sector * 512
        ),
        Error::Rollback { sequence } => {
            format!("the newest record has sequence {sequence}: this is an older state")
        }
        Error::Foreign => "another store's, or sealed with another framing key".to_owned(),
        Error::Version { found } => format!("written by version {found} of the format"),
        Error::Truncated => "the image is shorter than the store on it".to_owned(),
        Error::TooSmall => "too small for a store".to_owned(),
        Error::Blank => "nothing was ever stored".to_owned(),
        Error::NotOurs => "holds something that is not a store".to_owned(),
        other => format!("{other:?}"),
    }
}

fn store(out: &mut String, holds: &Holds, values: bool) {
    let (mounted, status) = (&holds.mounted, &holds.status);
    let _ = writeln!(out, "  store {}", super::json::digits(&mounted.id));
    let _ = writeln!(
        out,
        "  sequence {}, epoch {}, {} boots, the last one {}",
        mounted.sequence,
        mounted.epoch,
        mounted.boots,
        super::json::digits(&mounted.boot_id)
    );
    let _ = writeln!(
        out,
        "  {}",
        match mounted.tail {
            Tail::Clean => "nothing after the last record".to_owned(),
            Tail::Torn { sector } => format!(
                "torn record at sector {sector}: a power cut, or the last record was damaged \
                 (--min-sequence tells which)"
            ),
        }
    );
    let _ = writeln!(
        out,
        "  {} of {} keys, {} bytes",
        status.usage.entries, status.capacity.entries, status.usage.bytes
    );
    for (namespace, usage) in holds.namespaces() {
        let _ =
            writeln!(out, "  {}: {} keys, {} bytes", owner(namespace), usage.entries, usage.bytes);
        for item in holds.items.iter().filter(|item| item.namespace == namespace) {
            let value = if values { super::json::digits(&item.value) } else { String::new() };
            let line = format!(
                "    {:<40} {:>4} bytes, sequence {:>6}  {value}",
                item.key,
                item.value.len(),
                item.sequence
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

/// The service whose namespace it is, if this tree's manifest has it.
fn owner(namespace: u64) -> String {
    match names::of(ServiceId(namespace)) {
        Some(name) => format!("{name} ({namespace:#x})"),
        None => format!("{namespace:#x}"),
    }
}
