//! The system as a page: services, who may call whom, what each finds in its table.

use nexus_abi::layout::{PAGE, SLOT_CONNECT, SLOT_NOTIFY, SLOT_SERVER};
use nexus_manifest::{
    authoring::{
        System,
        model::{Service, Slot},
    },
    boot::{GrantKind, Restart},
};

use super::{heading, table};

pub(super) fn page(system: &System) -> String {
    let mut out = heading(&format!("System {}", system.name), "`recipes/system.toml`");
    out += &services(system);
    out += &call_graph(system);
    out += &slots(system);
    out += &images(system);
    out += &masks(system);
    format!("{}\n", out.trim_end())
}

fn name(system: &System, at: usize) -> &str {
    system.services.get(at).map_or("?", |s| s.name.value.as_str())
}

fn services(system: &System) -> String {
    let rows = system.services.iter().enumerate().map(|(at, s)| {
        vec![
            s.id.value.to_string(),
            s.name.value.clone(),
            s.priority.value.to_string(),
            s.provides.clone().unwrap_or_default(),
            s.mask_text.clone(),
            format!("{} KiB", s.stack / 1024),
            s.frames.value.to_string(),
            s.objects.to_string(),
            s.restart.map_or("never".to_owned(), restart),
            format!("{:#x}", System::link_base(at)),
        ]
    });
    let columns = [
        "id",
        "service",
        "priority",
        "provides",
        "syscalls",
        "stack",
        "frames",
        "objects",
        "restart",
        "link base",
    ];
    format!("## Services\n\n{}", table(&columns, rows))
}

fn restart(rule: Restart) -> String {
    let last = if rule.halt { "halt" } else { "stop" };
    format!("{} per {} s, then {last}", rule.max, rule.window_ns / 1_000_000_000)
}

fn call_graph(system: &System) -> String {
    let mut out = String::from(
        "## Who may call whom\n\nFrom lower to higher priority, so no chain of calls is a cycle; \
         the supervisor alone calls down, to an authority that calls nobody. Everybody may also \
         ask the supervisor for a connection.\n\n```mermaid\ngraph BT\n",
    );
    for s in &system.services {
        let (id, name, priority) = (s.id.value, &s.name.value, s.priority.value);
        out += &format!("  s{id}[\"{name} ({id}), priority {priority}\"]\n");
    }
    for s in &system.services {
        for target in s.calls.iter().filter_map(|c| system.services.get(c.value)) {
            out += &format!("  s{} --> s{}\n", s.id.value, target.id.value);
        }
    }
    for lane in &system.lanes {
        let id = |at: usize| system.services.get(at).map_or(0, |s| s.id.value);
        let (from, to) = (id(lane.producer.value), id(lane.consumer.value));
        out += &format!("  s{from} -. lane {} .-> s{to}\n", lane.name.value);
    }
    out + "```\n\n"
}

fn slots(system: &System) -> String {
    let mut out = String::from("## Capability slots at start\n\n");
    for (at, service) in system.services.iter().enumerate() {
        let rows = fixed(system, at, service).into_iter().chain(
            service
                .slots
                .iter()
                .map(|s| vec![s.slot.to_string(), format!("`{}`", s.name), describe(system, s)]),
        );
        out += &format!("### {}\n\n", service.name.value);
        out += &table(&["slot", "constant", "what"], rows);
    }
    out
}

/// Slots that are the same for everybody the supervisor starts.
fn fixed(system: &System, at: usize, service: &Service) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut add = |slot: u8, name: &str, what: &str| {
        rows.push(vec![slot.to_string(), format!("`{name}`"), what.to_owned()]);
    };
    if at == system.supervisor || !service.start {
        return rows;
    }
    add(SLOT_CONNECT, "SLOT_CONNECT", "call the supervisor: connect");
    if service.provides.is_some() {
        add(SLOT_SERVER, "SLOT_SERVER", "own endpoint");
    }
    if service.notify {
        add(SLOT_NOTIFY, "SLOT_NOTIFY", "notification bound to it");
    }
    rows
}

fn describe(system: &System, slot: &Slot) -> String {
    let lane = |at: u8| system.lanes.get(usize::from(at)).map_or("?", |l| l.name.value.as_str());
    let device =
        |at: u8| system.devices.get(usize::from(at)).map_or("?", |d| d.name.value.as_str());
    match slot.kind {
        GrantKind::LaneProducer { lane: l } => format!("lane {}, producing end", lane(l)),
        GrantKind::LaneConsumer { lane: l } => format!("lane {}, consuming end", lane(l)),
        GrantKind::LaneBell { lane: l } => format!("bell of lane {}", lane(l)),
        GrantKind::Policy => "sealed policy blob".to_owned(),
        GrantKind::Kept { bytes } => format!("{bytes} bytes kept over restarts"),
        GrantKind::Dma { bytes } => format!("{bytes} bytes for its device"),
        GrantKind::Device { index } => format!("device window {}", device(index)),
        GrantKind::Irq { .. } => "interrupt line".to_owned(),
        GrantKind::Factory { first, last, priority, .. } => {
            format!("factory for ids {first} to {last}, priority up to {priority}")
        }
        GrantKind::Blob { index } => {
            format!("file `{}`", system.blobs().get(usize::from(index)).unwrap_or(&""))
        }
        GrantKind::Image { service } => {
            format!("sealed ELF of {}", name(system, usize::from(service)))
        }
        GrantKind::BootImage => "the whole boot image, sealed".to_owned(),
        GrantKind::KernelLog => "kernel event ring".to_owned(),
    }
}

fn images(system: &System) -> String {
    let memory = &system.memory;
    let rows = system.images.iter().map(|image| {
        let carried = system.carried(image);
        let names: Vec<&str> = carried.iter().map(|at| name(system, *at)).collect();
        vec![image.name.value.clone(), names.join(", ")]
    });
    let text = format!(
        "## Images\n\nEvery image holds the kernel, {} and:\n\n{}RAM: {} MiB at {:#x}; services share {} frames \
         of {PAGE} bytes.\n\n",
        name(system, system.supervisor),
        table(&["image", "services"], rows),
        memory.size >> 20,
        memory.base,
        memory.frames(),
    );
    text
}

fn masks(system: &System) -> String {
    let rows = system.sets.iter().map(|(name, mask)| {
        let allowed: Vec<&str> = (nexus_abi::syscall::SPECS.iter())
            .filter(|s| mask.allows(s.number))
            .map(|s| s.name)
            .collect();
        vec![name.clone(), format!("{:#x}", mask.0), allowed.join(", ")]
    });
    format!("## Syscall sets\n\n{}", table(&["set", "mask", "syscalls"], rows))
}
