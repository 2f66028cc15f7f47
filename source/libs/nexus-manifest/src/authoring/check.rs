//! What must hold of services, calls, ids and lanes whatever the image.

use nexus_abi::syscall::FactoryCeiling;

use super::{
    diag::Sink,
    model::{Factory, Service, System},
    read::At,
};
use crate::boot::{MAX_LANES, MAX_SERVICES};

/// Highest scheduling priority; the supervisor's alone.
pub(crate) const TOP_PRIORITY: u8 = 7;
/// Last id of a boot service; bundles start behind it.
pub(crate) const LAST_BOOT_ID: u64 = 1023;
/// `route.<name>` must fit a 48-byte capability.
const LONGEST_NAME: usize = 42;

pub(crate) fn services(system: &System, sink: &Sink<'_>) {
    if let Some(extra) = system.services.get(MAX_SERVICES) {
        sink.error(&extra.name.span, format!("more than {MAX_SERVICES} services"));
    }
    for (at, service) in system.services.iter().enumerate() {
        name(&service.name, sink);
        id(system, at, service, sink);
        calls(system, at, service, sink);
        shape(system, at, service, sink);
        factory(system, service, sink);
    }
    lanes(system, sink);
}

/// A priority that is missing or no number is reported once, and compared with nothing.
fn has_priority(service: &Service) -> bool {
    service.priority.span != service.name.span
}

fn name(name: &At<String>, sink: &Sink<'_>) {
    let text = &name.value;
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.len() <= LONGEST_NAME;
    if !good {
        let help = format!("a-z, 0-9 and `-`, a letter first, at most {LONGEST_NAME} characters");
        sink.help(&name.span, format!("`{text}` is no service name"), help);
    }
}

fn id(system: &System, at: usize, service: &Service, sink: &Sink<'_>) {
    let id = &service.id;
    if id.value == 0 {
        if id.span != service.name.span {
            sink.error(&id.span, "id 0 is never assigned");
        }
        return;
    }
    let earlier = system.services.iter().take(at).find(|s| s.id.value == id.value);
    if let Some(other) = earlier {
        sink.error(&id.span, format!("id {} already belongs to `{}`", id.value, other.name.value));
    }
}

fn calls(system: &System, at: usize, service: &Service, sink: &Sink<'_>) {
    for call in &service.calls {
        let Some(target) = system.services.get(call.value) else { continue };
        let (from, to) = (&service.name.value, &target.name.value);
        if target.provides.is_none() {
            let help = format!("give [service.{to}] a `provides`");
            sink.help(&call.span, format!("`{to}` provides nothing to call"), help);
        }
        if at == system.supervisor && call.value == system.authority {
            continue;
        }
        let known = has_priority(service) && has_priority(target);
        if known && target.priority.value <= service.priority.value {
            let (low, high) = (service.priority.value, target.priority.value);
            sink.help(
                &call.span,
                format!("`{from}` (priority {low}) must not call `{to}` (priority {high})"),
                "calls go from lower to higher priority, so that no chain of calls is a cycle",
            );
        }
    }
    if at == system.authority
        && let Some(call) = service.calls.first()
    {
        sink.help(
            &call.span,
            "the policy authority calls nobody",
            "the supervisor calls it from above; a call out of it could close a cycle",
        );
    }
}

fn shape(system: &System, at: usize, service: &Service, sink: &Sink<'_>) {
    let here = &service.name.span;
    let priority = &service.priority;
    if at != system.supervisor && priority.value >= TOP_PRIORITY {
        let message = format!("priority {TOP_PRIORITY} is the supervisor's alone");
        sink.error(&priority.span, message);
    }
    if at == system.supervisor && priority.value != TOP_PRIORITY && has_priority(service) {
        sink.error(&priority.span, format!("the supervisor has priority {TOP_PRIORITY}"));
    }
    if at == system.supervisor && (service.restart.is_some() || !service.start) {
        sink.error(here, "the supervisor is started by the kernel and never restarted");
    }
    if (at == system.authority || at == system.journal) && service.provides.is_none() {
        sink.error(here, "the authority and the journal must `provide` a protocol");
    }
    let interrupted = service
        .devices
        .iter()
        .any(|d| system.devices.get(d.value).is_some_and(|device| device.irq.is_some()));
    if service.notify && service.provides.is_none() && !interrupted {
        sink.error(here, "`notify` is for an endpoint or an interrupt: add `provides`");
    }
    if let Some(dma) = service.dma.as_ref().filter(|_| service.devices.is_empty()) {
        sink.error(&dma.span, "`dma` is memory for a device: add `devices`");
    }
    if let Some(log) = &service.kernel_log {
        if !service.notify {
            sink.error(&log.span, "`kernel-log` rings a notification: add `notify = true`");
        }
        let earlier = system.services.iter().take(at).find(|s| s.kernel_log.is_some());
        if let Some(other) = earlier {
            let owner = &other.name.value;
            sink.error(&log.span, format!("the kernel log has one consumer, `{owner}`"));
        }
    }
}

fn factory(system: &System, service: &Service, sink: &Sink<'_>) {
    let Some(factory) = &service.factory else {
        if let Some(image) = service.images.first() {
            sink.error(&image.span, "`images` without a `factory` to start them");
        }
        return;
    };
    ceiling(factory, sink);
    if has_priority(service) && factory.priority.value > service.priority.value {
        sink.error(&factory.priority.span, "a factory's priority must not exceed its holder's");
    }
    for image in &service.images {
        let Some(child) = system.services.get(image.value) else { continue };
        let fits =
            factory.mask.contains(child.mask) && child.priority.value <= factory.priority.value;
        if !fits {
            let name = &child.name.value;
            sink.error(
                &image.span,
                format!("`{name}` has a wider mask or priority than the factory"),
            );
        }
    }
    let (first, last) = factory.ids.value;
    for other in &system.services {
        let inside = (first..=last).contains(&other.id.value);
        let own = service.images.iter().any(|i| {
            system.services.get(i.value).is_some_and(|s| s.name == other.name && !s.start)
        });
        if inside && !own {
            let message =
                format!("the range holds id {} of `{}`", other.id.value, other.name.value);
            sink.error(&factory.ids.span, message);
        }
        let (Some(theirs), true) = (&other.factory, other.name != service.name) else { continue };
        let (their_first, their_last) = theirs.ids.value;
        if first <= their_last && their_first <= last {
            let message = format!("the range overlaps the factory of `{}`", other.name.value);
            sink.error(&factory.ids.span, message);
        }
    }
}

/// What a packed [`FactoryCeiling`] can express.
fn ceiling(factory: &Factory, sink: &Sink<'_>) {
    let (first, last) = factory.ids.value;
    let count = last.saturating_sub(first).saturating_add(1);
    if !count.is_power_of_two() || last > LAST_BOOT_ID {
        let message = format!("{count} ids: must be a power of two, at most {LAST_BOOT_ID}");
        sink.error(&factory.ids.span, message);
    }
    let frames = factory.frames.value;
    let units = FactoryCeiling::FRAME_UNIT;
    if !frames.is_multiple_of(units) || frames.div_ceil(units) > 4095 {
        let message = format!("a factory's frames come in units of {units}, at most 4095 of them");
        sink.error(&factory.frames.span, message);
    }
    let objects = factory.objects.value;
    let units = FactoryCeiling::OBJECT_UNIT;
    if !objects.is_multiple_of(units) || objects.div_ceil(units) > 127 {
        let message = format!("a factory's objects come in units of {units}, at most 127 of them");
        sink.error(&factory.objects.span, message);
    }
}

fn lanes(system: &System, sink: &Sink<'_>) {
    if let Some(extra) = system.lanes.get(MAX_LANES) {
        sink.error(&extra.name.span, format!("more than {MAX_LANES} lanes"));
    }
    for lane in &system.lanes {
        if lane.producer.value == lane.consumer.value {
            sink.error(&lane.consumer.span, "a lane needs two ends");
        }
        let Some(consumer) = system.services.get(lane.consumer.value) else { continue };
        if !consumer.notify {
            let name = &consumer.name.value;
            let help = format!("add `notify = true` to [service.{name}]");
            sink.help(&lane.consumer.span, format!("`{name}` cannot hear the lane's bell"), help);
        }
    }
}
