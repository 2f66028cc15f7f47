//! Rust source from the checked manifest; every item carries the documentation that its
//! stanza can give.

use std::fmt::Write;

use nexus_manifest::authoring::{
    Markers, System,
    model::{Service, Slot},
    slots::constant,
};
use nexus_manifest::boot::{GrantKind, KERNEL_LOG_BIT};

/// The whole generated file.
pub(crate) fn source(system: &System, markers: &Markers) -> String {
    [ids(system), names(system), slots(system), marker_constants(markers)].concat()
}

fn module(name: &str, doc: &str, body: &str) -> String {
    format!("/// {doc}\npub mod {name} {{\n{body}}}\n")
}

fn ids(system: &System) -> String {
    let mut body = String::from("use nexus_abi::ServiceId;\n");
    for s in &system.services {
        let (name, id) = (&s.name.value, s.id.value);
        let upper = constant(name);
        body += &format!("/// `{name}`.\npub const {upper}: ServiceId = ServiceId({id});\n");
    }
    module("ids", "Service ids, as assigned in `recipes/system.toml`.", &body)
}

fn names(system: &System) -> String {
    let mut body = String::new();
    let mut all = String::new();
    for s in &system.services {
        let (name, upper) = (&s.name.value, constant(&s.name.value));
        body += &format!("/// `{name}`.\npub const {upper}: &str = \"{name}\";\n");
        all += &format!("(super::ids::{upper}, {upper}), ");
    }
    body += &format!(
        "/// Every service with its id, in manifest order.\n\
         pub const ALL: &[(nexus_abi::ServiceId, &str)] = &[{all}];\n\
         /// The name of the service with this id.\n#[must_use]\n\
         pub fn of(id: nexus_abi::ServiceId) -> Option<&'static str> {{\n\
         ALL.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)\n}}\n"
    );
    module("names", "Service names, for `connect` and for people.", &body)
}

fn slots(system: &System) -> String {
    let mut body = String::new();
    for service in &system.services {
        let name = service.name.value.replace('-', "_");
        let doc = format!("What is wired into `{}`.", service.name.value);
        let mut consts: String = service.slots.iter().map(|s| slot(system, service, s)).collect();
        consts += &lane_ends(system, service);
        let uses = if service.slots.is_empty() { "" } else { "use nexus_abi::Handle;\n" };
        body += &module(&name, &doc, &format!("{uses}{consts}"));
    }
    module("slots", "Handles of statically wired capabilities, per service.", &body)
}

fn slot(system: &System, service: &Service, s: &Slot) -> String {
    let (name, number) = (&s.name, s.slot);
    let doc = describe(system, s);
    let mut out = format!("/// {doc}\npub const {name}: Handle = Handle::fixed({number});\n");
    let mut add = |suffix: &str, doc: &str, ty: &str, value: u64| {
        let _infallible = write!(out, "/// {doc}\npub const {name}{suffix}: {ty} = {value:#x};\n");
    };
    let lane_bit = |lane: u8| 1u64.checked_shl(u32::from(lane)).unwrap_or(0);
    let lane_bytes = |lane: u8| system.lanes.get(usize::from(lane)).map_or(0, |l| l.bytes);
    match s.kind {
        GrantKind::LaneProducer { lane } => {
            add("_BYTES", "Bytes of the lane.", "usize", lane_bytes(lane));
        }
        GrantKind::LaneConsumer { lane } => {
            add("_BYTES", "Bytes of the lane.", "usize", lane_bytes(lane));
            add("_BIT", "Notification bit of the lane's bell.", "u64", lane_bit(lane));
        }
        GrantKind::LaneBell { lane } => {
            add("_BIT", "Notification bit of the lane's bell.", "u64", lane_bit(lane));
        }
        GrantKind::Kept { bytes } | GrantKind::Dma { bytes } => {
            add("_BYTES", "Bytes of it.", "usize", bytes)
        }
        GrantKind::KernelLog => {
            let bit = 1u64.checked_shl(u32::from(KERNEL_LOG_BIT)).unwrap_or(0);
            add("_BIT", "Notification bit it is bound to.", "u64", bit);
        }
        GrantKind::Device { index } => {
            let len = system.devices.get(usize::from(index)).map_or(0, |d| d.len);
            add("_BYTES", "Bytes of the window.", "usize", len);
        }
        GrantKind::Factory { first, last, mask, priority, frames, objects } => {
            add("_FIRST_ID", "First service id it may give.", "u64", first);
            add("_LAST_ID", "Last service id it may give.", "u64", last);
            add("_MASK", "Syscall mask ceiling.", "u64", mask);
            add("_PRIORITY", "Priority ceiling.", "u8", u64::from(priority));
            if service.factory.is_some() {
                add("_FRAMES", "Frames for all its processes.", "u32", u64::from(frames));
                add("_OBJECTS", "Objects for all its processes.", "u16", u64::from(objects));
            }
        }
        GrantKind::Policy
        | GrantKind::Blob { .. }
        | GrantKind::Irq { .. }
        | GrantKind::Image { .. }
        | GrantKind::BootImage => {}
    }
    out
}

/// Both lists, for a service that serves whatever lanes the manifest gives it.
fn lane_ends(system: &System, service: &Service) -> String {
    let id = |at: usize| system.services.get(at).map_or(0, |s| s.id.value);
    let (mut incoming, mut outgoing) = (String::new(), String::new());
    for s in &service.slots {
        let (GrantKind::LaneProducer { lane } | GrantKind::LaneConsumer { lane }) = s.kind else {
            continue;
        };
        let Some(lane) = system.lanes.get(usize::from(lane)) else { continue };
        let (name, label) = (&s.name, &lane.name.value);
        let peer = |at| format!("peer: nexus_abi::ServiceId({})", id(at));
        let memory = format!("lane: \"{label}\", memory: {name}, bytes: {name}_BYTES");
        if matches!(s.kind, GrantKind::LaneConsumer { .. }) {
            let peer = peer(lane.producer.value);
            incoming += &format!("crate::Incoming {{ {memory}, bit: {name}_BIT, {peer} }}, ");
        } else {
            let (peer, bell) = (peer(lane.consumer.value), format!("{name}_BELL"));
            let bell = format!("bell: {bell}, bit: {bell}_BIT");
            outgoing += &format!("crate::Outgoing {{ {memory}, {bell}, {peer} }}, ");
        }
    }
    format!(
        "/// Lanes it drains, in manifest order.\n\
         pub const INCOMING: &[crate::Incoming] = &[{incoming}];\n\
         /// Lanes it fills, in manifest order.\n\
         pub const OUTGOING: &[crate::Outgoing] = &[{outgoing}];\n"
    )
}

fn describe(system: &System, s: &Slot) -> String {
    let lane = |lane: u8| {
        system.lanes.get(usize::from(lane)).map_or("", |l| l.name.value.as_str()).to_owned()
    };
    match s.kind {
        GrantKind::LaneProducer { lane: l } => format!("Lane `{}`, producing end.", lane(l)),
        GrantKind::LaneConsumer { lane: l } => format!("Lane `{}`, consuming end.", lane(l)),
        GrantKind::LaneBell { lane: l } => {
            format!("Bell of lane `{}`: wakes its consumer.", lane(l))
        }
        GrantKind::Policy => "The sealed policy blob.".to_owned(),
        GrantKind::Kept { .. } => "Memory that survives restarts of this service.".to_owned(),
        GrantKind::Dma { .. } => "Memory for its device; survives restarts.".to_owned(),
        GrantKind::Device { .. } => "A device window.".to_owned(),
        GrantKind::Irq { .. } => "An interrupt line.".to_owned(),
        GrantKind::Factory { .. } => "A process factory.".to_owned(),
        GrantKind::Image { service } => {
            let name = system.services.get(usize::from(service)).map_or("", |s| &s.name.value);
            format!("The sealed ELF of `{name}`.")
        }
        GrantKind::Blob { index } => {
            format!("The sealed file `{}`.", system.blobs().get(usize::from(index)).unwrap_or(&""))
        }
        GrantKind::BootImage => "The whole boot image, sealed.".to_owned(),
        GrantKind::KernelLog => "The kernel event ring.".to_owned(),
    }
}

fn marker_constants(markers: &Markers) -> String {
    let mut body = String::from("use crate::Marker;\n");
    for m in &markers.markers {
        let (doc, text, name) = (&m.proves, &m.text.value, m.constant());
        let emitter = m.emitter.name();
        body += &format!(
            "/// By `{emitter}`: {doc}.\npub const {name}: Marker = Marker::new(\"{text}\\n\");\n"
        );
    }
    module("markers", "Every line that proves something (`recipes/markers.toml`).", &body)
}
