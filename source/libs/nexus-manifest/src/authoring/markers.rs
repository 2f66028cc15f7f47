//! `recipes/markers.toml`: every line that proves something, who prints it and when.

use toml::de::DeTable;

use super::{
    diag::{Diagnostics, Sink, Source},
    model::System,
    read::{At, Table},
    slots::constant,
};

/// Who prints a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Emitter {
    /// The kernel; its lines are stamped `[kernel]`.
    Kernel,
    /// The service with this id; its lines are stamped `[<id>]`.
    Service {
        /// Its id.
        id: u64,
        /// Its name.
        name: String,
    },
}

impl Emitter {
    /// The stamp the kernel puts before its lines, without brackets.
    #[must_use]
    pub fn stamp(&self) -> String {
        match self {
            Emitter::Kernel => "kernel".to_owned(),
            Emitter::Service { id, .. } => id.to_string(),
        }
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Emitter::Kernel => "kernel",
            Emitter::Service { name, .. } => name,
        }
    }
}

/// One marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The exact line, without its stamp.
    pub text: At<String>,
    /// Who prints it.
    pub emitter: Emitter,
    /// Phase it belongs to.
    pub phase: String,
    /// What its presence proves.
    pub proves: String,
    /// Only required in runs of this variant (`hart`: booted with a boot-hart override).
    pub variant: Option<String>,
    /// How often a whole run prints it at least. One means exactly once; a daemon that the
    /// selftest restarts until a kill hits is ready again each time, and more is no fault.
    pub at_least: u64,
}

impl Marker {
    /// Name of its constant: upper snake of the text without a final ` ok`.
    #[must_use]
    pub fn constant(&self) -> String {
        constant(self.text.value.strip_suffix(" ok").unwrap_or(&self.text.value))
    }
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Phases in the order of a run.
    pub phases: Vec<String>,
    /// Markers in file order.
    pub markers: Vec<Marker>,
}

/// Line starts that only a listed marker may have.
pub const RESERVED: [&str; 2] = ["SELFTEST:", "KSELFTEST:"];

impl Markers {
    /// Reads and checks the list; emitters are names of `system` or `kernel`.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn parse(source: &Source, system: &System) -> Result<Markers, Diagnostics> {
        let sink = Sink::new(source);
        let (root, faults) = DeTable::parse_recoverable(&source.text);
        for fault in faults {
            sink.error(&fault.span().unwrap_or(0..0), fault.message());
        }
        let root = Table::new(&sink, root.get_ref(), 0..0, "the marker list".to_owned());
        let phases: Vec<String> = root.strings("phases").into_iter().map(|p| p.value).collect();
        let tables = root.array_of_tables("marker");
        root.finish();
        let read = |t: &Table<'_>| read(t, &phases, system, &sink);
        let markers: Vec<Marker> = tables.iter().filter_map(read).collect();
        check(&markers, &phases, &sink);
        sink.finish(Some(Markers { phases, markers }))
    }

    /// Markers a run of `variant` must show, in order.
    pub fn required<'m>(&'m self, variant: Option<&'m str>) -> impl Iterator<Item = &'m Marker> {
        self.markers.iter().filter(move |m| m.variant.is_none() || m.variant.as_deref() == variant)
    }
}

fn read(t: &Table<'_>, phases: &[String], system: &System, sink: &Sink<'_>) -> Option<Marker> {
    let text = t.require("text", t.string("text"));
    let emitter = t.require("emitter", t.string("emitter"));
    let phase = t.require("phase", t.string("phase"));
    let proves = t.require("proves", t.string("proves"));
    let variant = t.string("variant");
    let at_least = t.number("at-least", 16).map_or(1, |n| n.value);
    t.finish();
    let (text, emitter, phase) = (text?, emitter?, phase?);
    if !phases.contains(&phase.value) {
        sink.unknown(&phase.span, "phase", &phase.value, phases.iter().map(String::as_str));
    }
    let emitter = match (emitter.value.as_str(), system.service(&emitter.value)) {
        ("kernel", _) => Emitter::Kernel,
        (_, Some(service)) => {
            Emitter::Service { id: service.id.value, name: service.name.value.clone() }
        }
        (other, None) => {
            let known = system.services.iter().map(|s| s.name.value.as_str());
            sink.unknown(&emitter.span, "emitter", other, known.chain(["kernel"]));
            return None;
        }
    };
    let variant = variant.map(|v| v.value);
    Some(Marker { text, emitter, phase: phase.value, proves: proves?.value, variant, at_least })
}

fn check(markers: &[Marker], phases: &[String], sink: &Sink<'_>) {
    let rank = |m: &Marker| phases.iter().position(|p| *p == m.phase);
    for (at, marker) in markers.iter().enumerate() {
        let (text, span) = (&marker.text.value, &marker.text.span);
        if markers.iter().take(at).any(|m| m.constant() == marker.constant()) {
            sink.error(span, format!("marker `{text}` is listed twice"));
        }
        let before = at.checked_sub(1).and_then(|b| markers.get(b));
        if before.is_some_and(|b| rank(b) > rank(marker)) {
            sink.error(span, format!("`{text}` stands behind a marker of a later phase"));
        }
        if text.contains("FAIL") || text.contains("panic") || text.contains(['\n', '"', '\\']) {
            sink.error(span, format!("`{text}` would be taken for a failure"));
        }
        let kernel = matches!(marker.emitter, Emitter::Kernel);
        if text.starts_with("KSELFTEST:") != kernel {
            sink.error(span, "`KSELFTEST:` markers are the kernel's, and its only ones");
        }
    }
}
