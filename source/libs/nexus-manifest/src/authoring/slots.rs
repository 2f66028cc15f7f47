//! Which capability a service finds in which slot: derived from its stanza alone, so a slot
//! number is the same in every image.

use nexus_abi::layout::{CAP_SLOTS, SLOT_WIRED};

use super::{
    diag::Sink,
    model::{Slot, System},
};
use crate::boot::{GrantKind, MAX_GRANTS};

/// The supervisor's table is filled by the kernel before it starts.
mod supervisor {
    /// Factory for every boot service.
    pub(super) const FACTORY: u8 = 4;
    /// Kernel event ring.
    pub(super) const KERNEL_LOG: u8 = 5;
    /// The whole boot image, sealed.
    pub(super) const BOOT_IMAGE: u8 = 6;
    /// First device; then the other devices, then the interrupt lines.
    pub(super) const DEVICES: u8 = 7;
}

/// Upper snake case of a name people chose.
#[must_use]
pub fn constant(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        if c != '_' || !(out.is_empty() || out.ends_with('_')) {
            out.push(c);
        }
    }
    out.trim_matches('_').to_owned()
}

/// Fills [`super::model::Service::slots`].
pub(crate) fn assign(system: &mut System, sink: &Sink<'_>) {
    let all: Vec<Vec<Slot>> = (0..system.services.len()).map(|at| wired(system, at)).collect();
    for (service, slots) in system.services.iter_mut().zip(all) {
        if slots.len() > MAX_GRANTS || slots.iter().any(|s| usize::from(s.slot) >= CAP_SLOTS) {
            let message = format!("more than {MAX_GRANTS} wired capabilities");
            sink.error(&service.name.span, message);
        }
        service.slots = slots;
    }
}

/// The `irq`-th interrupt line belongs to this device.
pub(crate) fn irq_index(system: &System, device: usize) -> Option<u8> {
    system.devices.get(device)?.irq?;
    let before = system.devices.iter().take(device).filter(|d| d.irq.is_some()).count();
    u8::try_from(before).ok()
}

fn wired(system: &System, at: usize) -> Vec<Slot> {
    if at == system.supervisor {
        return supervisor_slots(system);
    }
    let mut kinds: Vec<(String, GrantKind)> = Vec::new();
    if at == system.authority {
        kinds.push(("POLICY".into(), GrantKind::Policy));
    }
    for (index, lane) in system.lanes.iter().enumerate() {
        let name = format!("LANE_{}", constant(&lane.name.value));
        let lane_index = index as u8;
        if lane.producer.value == at {
            kinds.push((name.clone(), GrantKind::LaneProducer { lane: lane_index }));
            kinds.push((format!("{name}_BELL"), GrantKind::LaneBell { lane: lane_index }));
        }
        if lane.consumer.value == at {
            kinds.push((name, GrantKind::LaneConsumer { lane: lane_index }));
        }
    }
    kinds.extend(from_stanza(system, at));
    let slots = kinds.into_iter().zip(SLOT_WIRED..);
    slots.map(|((name, kind), slot)| Slot { slot, name, kind }).collect()
}

fn from_stanza(system: &System, at: usize) -> Vec<(String, GrantKind)> {
    let mut kinds = Vec::new();
    let Some(service) = system.services.get(at) else { return kinds };
    for (name, bytes) in &service.kept {
        kinds.push((format!("KEPT_{}", constant(&name.value)), GrantKind::Kept { bytes: *bytes }));
    }
    if service.kernel_log.is_some() {
        kinds.push(("KERNEL_LOG".into(), GrantKind::KernelLog));
    }
    if let Some(dma) = &service.dma {
        kinds.push(("DMA".into(), GrantKind::Dma { bytes: dma.value }));
    }
    for index in service.devices.iter().map(|d| d.value) {
        let Some(device) = system.devices.get(index) else { continue };
        let name = constant(&device.name.value);
        kinds.push((format!("DEVICE_{name}"), GrantKind::Device { index: index as u8 }));
        if let Some(index) = irq_index(system, index) {
            kinds.push((format!("IRQ_{name}"), GrantKind::Irq { index }));
        }
    }
    if let Some(factory) = &service.factory {
        let (first, last) = factory.ids.value;
        let kind = GrantKind::Factory {
            first,
            last,
            mask: factory.mask.0,
            priority: factory.priority.value,
            frames: factory.frames.value,
            objects: factory.objects.value,
        };
        kinds.push(("FACTORY".into(), kind));
    }
    let blobs = system.blobs();
    for name in service.blobs.iter().map(|blob| blob.value.as_str()) {
        let index = blobs.iter().position(|known| *known == name).unwrap_or(blobs.len());
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        kinds.push((format!("BLOB_{}", constant(name)), GrantKind::Blob { index }));
    }
    for index in service.images.iter().map(|i| i.value) {
        let Some(other) = system.services.get(index) else { continue };
        let name = format!("IMAGE_{}", constant(&other.name.value));
        kinds.push((name, GrantKind::Image { service: index as u8 }));
    }
    kinds
}

fn supervisor_slots(system: &System) -> Vec<Slot> {
    let factory = GrantKind::Factory {
        first: 1,
        last: super::check::LAST_BOOT_ID,
        mask: nexus_abi::SyscallMask::ALL.0,
        priority: super::check::TOP_PRIORITY,
        frames: 0,
        objects: 0,
    };
    let fixed = |slot, name: &str, kind| Slot { slot, name: name.to_owned(), kind };
    let mut slots = vec![
        fixed(supervisor::FACTORY, "FACTORY", factory),
        fixed(supervisor::KERNEL_LOG, "KERNEL_LOG", GrantKind::KernelLog),
        fixed(supervisor::BOOT_IMAGE, "BOOT_IMAGE", GrantKind::BootImage),
    ];
    let mut next = supervisor::DEVICES;
    let mut push = |name: String, kind| {
        slots.push(Slot { slot: next, name, kind });
        next = next.saturating_add(1);
    };
    for (index, device) in system.devices.iter().enumerate() {
        let name = format!("DEVICE_{}", constant(&device.name.value));
        push(name, GrantKind::Device { index: index as u8 });
    }
    for (index, device) in system.devices.iter().enumerate() {
        if let Some(irq) = irq_index(system, index) {
            push(format!("IRQ_{}", constant(&device.name.value)), GrantKind::Irq { index: irq });
        }
    }
    slots
}
