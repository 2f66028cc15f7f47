//! What is found, for programs.

use std::path::Path;

use nexus_state::{
    Error, Operation, Tail,
    inspect::{Holds, Report, Slot},
};
use serde_json::{Value, json};

use super::verdict;

pub(super) fn report(image: &Path, report: &Report, values: bool) -> Value {
    let error = report.store.as_ref().err().copied();
    let mut all = json!({
        "image": image.display().to_string(),
        "sectors": report.sectors,
        "result": verdict(error),
        "superblocks": report.superblocks.iter().map(superblock).collect::<Vec<_>>(),
    });
    match (&report.store, &mut all) {
        (Ok(holds), all) => all["store"] = store(holds, values),
        (Err(Error::Damaged { sector } | Error::Io(Operation::Read(sector))), all) => {
            all["sector"] = json!(sector);
        }
        (Err(Error::Rollback { sequence }), all) => all["sequence"] = json!(sequence),
        (Err(Error::Version { found }), all) => all["version"] = json!(found),
        (Err(_), _) => {}
    }
    all
}

fn superblock((at, slot): &(u64, Slot)) -> Value {
    match slot {
        Slot::Blank => json!({ "sector": at, "state": "blank" }),
        Slot::Other => json!({ "sector": at, "state": "other" }),
        Slot::Broken => json!({ "sector": at, "state": "broken" }),
        Slot::Later(version) => json!({ "sector": at, "state": "later", "version": version }),
        Slot::Whole { epoch, closed, first_sector, sectors, base_sequence } => json!({
            "sector": at,
            "state": if *closed { "closed" } else { "open" },
            "epoch": epoch,
            "first_sector": first_sector,
            "sectors": sectors,
            "base_sequence": base_sequence,
        }),
    }
}

fn store(holds: &Holds, values: bool) -> Value {
    let (mounted, status) = (&holds.mounted, &holds.status);
    let keys = holds.items.iter().map(|item| {
        let mut key = json!({
            "namespace": item.namespace,
            "key": item.key,
            "bytes": item.value.len(),
            "sequence": item.sequence,
        });
        if let (true, Some(fields)) = (values, key.as_object_mut()) {
            fields.insert("value".to_owned(), json!(digits(&item.value)));
        }
        key
    });
    let namespaces = holds.namespaces().into_iter().map(|(namespace, usage)| {
        json!({ "namespace": namespace, "keys": usage.entries, "bytes": usage.bytes })
    });
    json!({
        "id": digits(&mounted.id),
        "sequence": mounted.sequence,
        "epoch": mounted.epoch,
        "boots": mounted.boots,
        "boot_id": digits(&mounted.boot_id),
        "torn_at": match mounted.tail {
            Tail::Clean => Value::Null,
            Tail::Torn { sector } => json!(sector),
        },
        "capacity": { "keys": status.capacity.entries, "bytes": status.capacity.bytes },
        "used": { "keys": status.usage.entries, "bytes": status.usage.bytes },
        "namespaces": namespaces.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
    })
}

/// Bytes in hexadecimal digits.
pub(super) fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
