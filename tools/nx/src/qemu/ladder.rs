//! The ladder of one run from recipes/markers.toml, emitters resolved by recipes/system.toml.
use std::path::Path;

use serde::Deserialize;

use crate::judge::{Ladder, Marker, Origin};

#[derive(Deserialize)]
struct Markers {
    marker: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    text: String,
    emitter: String,
    phase: String,
    variant: Option<String>,
    times: Option<usize>,
}

/// Reads both recipes; `variant` adds its markers to those of every run.
pub(super) fn load(root: &Path, variant: Option<&str>) -> Result<Ladder, String> {
    let read = |name: &str| {
        let path = root.join("recipes").join(name);
        std::fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))
    };
    parse(&read("markers.toml")?, &read("system.toml")?, variant)
}

/// The same from text.
pub(super) fn parse(markers: &str, system: &str, variant: Option<&str>) -> Result<Ladder, String> {
    let markers: Markers = toml::from_str(markers).map_err(|why| format!("markers.toml: {why}"))?;
    let system: toml::Table =
        toml::from_str(system).map_err(|why| format!("system.toml: {why}"))?;
    if let Some(name) = variant
        && markers.marker.iter().all(|entry| entry.variant.as_deref() != Some(name))
    {
        return Err(format!("no marker of variant '{name}' in recipes/markers.toml"));
    }
    let mut ladder = Ladder::default();
    for entry in markers.marker {
        // Phases are in the order of their first marker, whatever the variant.
        let phase = ladder.phase(&entry.phase).unwrap_or_else(|| {
            ladder.phases.push(entry.phase.clone());
            ladder.phases.len() - 1
        });
        if entry.variant.is_some() && entry.variant.as_deref() != variant {
            ladder.elsewhere.push(entry.text);
            continue;
        }
        let origin = origin(&system, &entry.emitter)?;
        let times = entry.times.unwrap_or(1);
        ladder.markers.push(Marker { text: entry.text, origin, phase, times });
    }
    Ok(ladder)
}

fn origin(system: &toml::Table, emitter: &str) -> Result<Origin, String> {
    if emitter == "kernel" {
        return Ok(Origin::Kernel);
    }
    let service = system.get("service").and_then(|services| services.get(emitter));
    let id = service.and_then(|service| service.get("id")).and_then(toml::Value::as_integer);
    id.and_then(|id| u64::try_from(id).ok())
        .map(Origin::Service)
        .ok_or_else(|| format!("markers.toml: emitter '{emitter}' is no service of system.toml"))
}
