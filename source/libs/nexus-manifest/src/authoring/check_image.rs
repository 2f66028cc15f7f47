//! What must hold of memory, devices and each image kind.

use nexus_abi::layout::PAGE;

use super::{
    diag::Sink,
    model::{Device, Image, System},
    read::At,
};
use crate::boot::MAX_DEVICES;

pub(crate) fn devices(system: &System, sink: &Sink<'_>) {
    if let Some(extra) = system.devices.get(MAX_DEVICES) {
        sink.error(&extra.name.span, format!("more than {MAX_DEVICES} devices"));
    }
    let ram = system.memory.base..system.memory.base.saturating_add(system.memory.size);
    for (at, device) in system.devices.iter().enumerate() {
        let here = &device.name.span;
        let (start, end) = window(device);
        if !device.base.is_multiple_of(PAGE) {
            sink.error(here, "a device window starts on a page");
        }
        if start < ram.end && ram.start < end {
            sink.error(here, "the device window overlaps RAM");
        }
        for other in system.devices.iter().take(at) {
            let (their_start, their_end) = window(other);
            let name = &other.name.value;
            if start < their_end && their_start < end {
                sink.error(here, format!("the device window overlaps that of `{name}`"));
            }
            if device.irq.is_some() && device.irq == other.irq {
                sink.error(here, format!("the interrupt line belongs to `{name}`"));
            }
        }
    }
}

fn window(device: &Device) -> (u64, u64) {
    (device.base, device.base.saturating_add(device.len))
}

pub(crate) fn images(system: &System, sink: &Sink<'_>) {
    for image in &system.images {
        members(system, image, sink);
        one_user_per_device(system, image, sink);
        frames(system, image, sink);
    }
    let memory = &system.memory;
    if memory.frames() == 0
        && memory.size != 0
        && let Some(first) = system.services.first()
    {
        sink.error(&first.name.span, "[memory] leaves no frame for services");
    }
}

fn members(system: &System, image: &Image, sink: &Sink<'_>) {
    let has = |index| image.services.iter().any(|s| s.value == index);
    for (index, role) in [(system.authority, "authority"), (system.journal, "journal")] {
        if let (false, Some(service)) = (has(index), system.services.get(index)) {
            let name = &service.name.value;
            sink.error(&image.name.span, format!("the image lacks the {role}, `{name}`"));
        }
    }
    for (at, member) in image.services.iter().enumerate() {
        let Some(service) = system.services.get(member.value) else { continue };
        let name = &service.name.value;
        if image.services.iter().take(at).any(|m| m.value == member.value) {
            sink.error(&member.span, format!("`{name}` is listed twice"));
        }
        if member.value == system.supervisor {
            sink.error(&member.span, "the supervisor is in every image and not listed");
        } else if !service.start {
            let help = "an image carries it for whoever lists it under `images`";
            sink.help(&member.span, format!("`{name}` is not started by the supervisor"), help);
        }
        for call in service.calls.iter().filter(|c| !has(c.value) && c.value != system.supervisor) {
            let Some(target) = system.services.get(call.value) else { continue };
            let target = &target.name.value;
            sink.error(
                &member.span,
                format!("`{name}` calls `{target}`, which is not in the image"),
            );
        }
        for lane in &system.lanes {
            let (producer, consumer) = (lane.producer.value, lane.consumer.value);
            if producer.max(consumer) >= system.services.len() {
                continue;
            }
            let alone = (member.value == producer && !has(consumer))
                || (member.value == consumer && !has(producer));
            if alone {
                let lane = &lane.name.value;
                sink.error(
                    &member.span,
                    format!("the other end of lane `{lane}` is not in the image"),
                );
            }
        }
    }
}

fn one_user_per_device(system: &System, image: &Image, sink: &Sink<'_>) {
    let mut used: Vec<(&At<usize>, &str)> = Vec::new();
    for service in system.carried(image).into_iter().filter_map(|at| system.services.get(at)) {
        for device in &service.devices {
            let name = system.devices.get(device.value).map_or("", |d| d.name.value.as_str());
            if let Some((_, owner)) = used.iter().find(|(d, _)| d.value == device.value) {
                let kind = &image.name.value;
                sink.help(
                    &device.span,
                    format!("device `{name}` already belongs to `{owner}` in image `{kind}`"),
                    "a device has one user: give the other one a protocol to ask for it",
                );
            }
            used.push((device, &service.name.value));
        }
    }
}

/// The supervisor and everybody the image starts must fit what RAM leaves.
fn frames(system: &System, image: &Image, sink: &Sink<'_>) {
    let available = system.memory.frames();
    let supervisor = At::new(system.supervisor, 0..0);
    let mut used = 0u64;
    for member in std::iter::once(&supervisor).chain(&image.services) {
        let Some(service) = system.services.get(member.value) else { continue };
        let factory = service.factory.as_ref().map_or(0, |f| u64::from(f.frames.value));
        let own = u64::from(service.frames.value).saturating_add(factory);
        let before = used;
        used = used.saturating_add(own);
        if used > available && before <= available {
            let name = &service.name.value;
            sink.help(
                &service.frames.span,
                format!("with `{name}`, image `{}` needs {used} frames", image.name.value),
                format!("[memory] leaves {available} frames of {PAGE} bytes for services"),
            );
        }
    }
}
