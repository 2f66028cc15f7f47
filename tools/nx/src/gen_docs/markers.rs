//! The marker list by phase.

use nexus_manifest::authoring::Markers;

use super::{heading, table};

pub(super) fn page(list: &Markers) -> String {
    let mut out = heading("Markers", "`recipes/markers.toml`");
    for phase in &list.phases {
        let rows = list.markers.iter().filter(|m| m.phase == *phase).map(|m| {
            let text = match &m.variant {
                Some(variant) => format!("`{}` (variant `{variant}`)", m.text.value),
                None => format!("`{}`", m.text.value),
            };
            vec![text, m.emitter.name().to_owned(), m.proves.clone()]
        });
        out += &format!("## {phase}\n\n");
        out += &table(&["marker", "emitter", "proves"], rows);
    }
    format!("{}\n", out.trim_end())
}
