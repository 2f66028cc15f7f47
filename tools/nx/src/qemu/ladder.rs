//! The ladder of one run: recipes/markers.toml, as far as this variant prints it.
use std::path::Path;

use nexus_manifest::authoring::markers::Emitter;
use nexus_manifest::authoring::{Markers, System};

use crate::judge::{Ladder, Marker, Origin};

/// The variant of a second boot on one disk: what only such a boot can show.
pub(super) const AGAIN: &str = "again";

/// Reads the recipes; `variant` adds its markers to those of every run.
pub(super) fn load(root: &Path, variant: Option<&str>) -> Result<Ladder, String> {
    let system = System::load(root).map_err(|why| why.to_string())?;
    let markers = Markers::load(root, &system).map_err(|why| why.to_string())?;
    ladder(&markers, variant)
}

/// The same from the list.
pub(super) fn ladder(list: &Markers, variant: Option<&str>) -> Result<Ladder, String> {
    if let Some(name) = variant.filter(|name| *name != AGAIN)
        && list.markers.iter().all(|marker| marker.variant.as_deref() != Some(name))
    {
        return Err(format!("no marker of variant '{name}' in recipes/markers.toml"));
    }
    let mut ladder = Ladder { phases: list.phases.clone(), ..Ladder::default() };
    for marker in &list.markers {
        if marker.variant.is_some() && marker.variant.as_deref() != variant {
            ladder.elsewhere.push(marker.text.value.clone());
            continue;
        }
        let origin = match marker.emitter {
            Emitter::Kernel => Origin::Kernel,
            Emitter::Service { id, .. } => Origin::Service(id),
        };
        let phase = ladder.phase(&marker.phase).ok_or("a marker of no phase")?;
        let at_least = usize::try_from(marker.at_least).map_err(|why| why.to_string())?;
        let text = marker.text.value.clone();
        ladder.markers.push(Marker { text, origin, phase, at_least });
    }
    Ok(ladder)
}
