//! From TOML to the model: every key read once, names resolved, faults collected.
//! A missing or wrong value is reported and replaced by a neutral one, so that one run finds
//! as much as possible.

use std::ops::Range;

use nexus_abi::{SyscallMask, syscall::SPECS};
use toml::de::DeTable;

use super::{
    diag::{Sink, Source},
    model::{Device, Factory, Image, Lane, Memory, Service, System},
    read::{At, Table},
    sets,
};
use crate::boot::Restart;

/// What names are resolved against.
struct Names<'n> {
    sink: &'n Sink<'n>,
    services: Vec<String>,
    devices: Vec<String>,
    sets: Vec<(String, SyscallMask)>,
}

/// Reads `source`; `None` only if it is no TOML at all.
pub(crate) fn system(source: &Source, sink: &Sink<'_>) -> Option<System> {
    let (root, faults) = DeTable::parse_recoverable(&source.text);
    for fault in faults {
        sink.error(&fault.span().unwrap_or(0..0), fault.message());
    }
    if !sink.is_empty() {
        return None;
    }
    let root = Table::new(sink, root.get_ref(), 0..0, String::new());
    let head = root.require("system", root.table("system"));
    let memory = root.require("memory", root.table("memory"));
    let devices = root.stanzas("device");
    let set_lists = root.lists("syscalls");
    let services = root.stanzas("service");
    let lanes = root.stanzas("lane");
    let images = root.stanzas("image");
    root.finish();

    let owned = |stanzas: &[(At<String>, Table<'_>)]| -> Vec<String> {
        stanzas.iter().map(|(name, _)| name.value.clone()).collect()
    };
    let names = Names {
        sink,
        services: owned(&services),
        devices: owned(&devices),
        sets: sets::resolve(&set_lists, sink),
    };
    let mut system = System {
        name: String::new(),
        supervisor: 0,
        authority: 0,
        journal: 0,
        memory: memory.map(|t| read_memory(&t)).unwrap_or_default(),
        devices: devices.into_iter().map(|(name, t)| read_device(name, &t)).collect(),
        services: services.into_iter().map(|(name, t)| names.read_service(name, &t)).collect(),
        lanes: lanes.into_iter().map(|(name, t)| names.read_lane(name, &t)).collect(),
        images: images.into_iter().map(|(name, t)| names.read_image(name, &t)).collect(),
        sets: Vec::new(),
        source: source.clone(),
    };
    if let Some(head) = head {
        let role = |key| {
            let name = head.require(key, head.string(key));
            name.map_or(0, |name| names.service(&name).value)
        };
        system.supervisor = role("supervisor");
        system.authority = role("authority");
        system.journal = role("journal");
        system.name = head.require("name", head.string("name")).map_or(String::new(), |n| n.value);
        head.finish();
    }
    system.sets = names.sets;
    Some(system)
}

fn read_memory(t: &Table<'_>) -> Memory {
    let size = |key| t.require(key, t.size(key)).map_or(0, |v| v.value);
    let memory = Memory {
        base: t.require("base", t.number("base", u64::MAX)).map_or(0, |v| v.value),
        size: size("size"),
        firmware: size("firmware"),
        kernel: size("kernel"),
        image: size("image"),
    };
    t.finish();
    memory
}

fn read_device(name: At<String>, t: &Table<'_>) -> Device {
    let irq = t.number("irq", 1023).and_then(|n| u32::try_from(n.value).ok());
    let device = Device {
        name,
        base: t.require("base", t.number("base", u64::MAX)).map_or(0, |v| v.value),
        len: t.require("size", t.size("size")).map_or(0, |v| v.value),
        irq,
    };
    t.finish();
    device
}

impl Names<'_> {
    fn index(&self, what: &str, known: &[String], name: &At<String>) -> At<usize> {
        let found = known.iter().position(|k| *k == name.value);
        if found.is_none() {
            self.sink.unknown(&name.span, what, &name.value, known.iter().map(String::as_str));
        }
        At::new(found.unwrap_or(usize::MAX), name.span.clone())
    }

    fn service(&self, name: &At<String>) -> At<usize> {
        self.index("service", &self.services, name)
    }

    fn all(&self, names: Vec<At<String>>) -> Vec<At<usize>> {
        names.iter().map(|n| self.service(n)).filter(|n| n.value != usize::MAX).collect()
    }

    fn mask(&self, t: &Table<'_>) -> (SyscallMask, String) {
        let Some((items, _)) = t.require("syscalls", t.one_or_many("syscalls")) else {
            return (SyscallMask(0), String::new());
        };
        let texts: Vec<&str> = items.iter().map(|i| i.value.as_str()).collect();
        let text = texts.join(" ");
        (sets::mask(&items, &self.sets, self.sink), text.trim_start_matches('@').to_owned())
    }

    fn read_service(&self, name: At<String>, t: &Table<'_>) -> Service {
        let (mask, mask_text) = self.mask(t);
        let memory = t.require("memory", t.table("memory"));
        let (stack, frames, objects) =
            memory.map_or((0, At::new(0, t.span.clone()), 0), read_quota);
        let service = Service {
            id: t.require("id", t.number("id", 1023)).unwrap_or_else(|| At::new(0, t.span.clone())),
            package: t.string("package").map_or_else(|| name.value.clone(), |p| p.value),
            priority: priority(t),
            start: t.flag("start").is_none_or(|f| f.value),
            provides: t.string("provides").map(|p| p.value),
            calls: self.all(t.strings("calls")),
            mask,
            mask_text,
            stack,
            frames,
            objects,
            restart: t.table("restart").map(|r| self.read_restart(&r)),
            notify: t.flag("notify").is_some_and(|f| f.value),
            devices: (t.strings("devices").iter())
                .map(|d| self.index("device", &self.devices, d))
                .filter(|d| d.value != usize::MAX)
                .collect(),
            kept: t.table("kept").map(|k| k.own_sizes()).unwrap_or_default(),
            dma: t.size("dma"),
            kernel_log: t.flag("kernel-log").filter(|f| f.value),
            factory: t.table("factory").map(|f| self.read_factory(&f)),
            blobs: t.strings("blobs"),
            images: self.all(t.strings("images")),
            slots: Vec::new(),
            name,
        };
        t.finish();
        service
    }

    fn read_restart(&self, t: &Table<'_>) -> Restart {
        let then = t.require("then", t.string("then"));
        let halt = then.is_some_and(|then| match then.value.as_str() {
            "halt" => true,
            "stop" => false,
            other => {
                self.sink.unknown(&then.span, "last resort", other, ["halt", "stop"]);
                false
            }
        });
        let max = t.require("max", t.number("max", 1000)).map_or(0, |m| m.value);
        let per = t.require("per", t.duration("per")).map_or(0, |p| p.value);
        t.finish();
        Restart { max: u16::try_from(max).unwrap_or(u16::MAX), window_ns: per, halt }
    }

    fn read_factory(&self, t: &Table<'_>) -> Factory {
        let nowhere = || t.span.clone();
        let ids = t.require("ids", t.range("ids")).unwrap_or_else(|| At::new((0, 0), nowhere()));
        let (mask, _) = self.mask(t);
        let objects = t.require("objects", t.number("objects", u64::from(u16::MAX)));
        let factory = Factory {
            ids,
            priority: priority(t),
            mask,
            frames: frames(t),
            objects: narrow(objects, nowhere()),
        };
        t.finish();
        factory
    }

    fn read_lane(&self, name: At<String>, t: &Table<'_>) -> Lane {
        let end = |key| match t.require(key, t.string(key)) {
            Some(name) => self.service(&name),
            None => At::new(usize::MAX, t.span.clone()),
        };
        let lane = Lane {
            producer: end("producer"),
            consumer: end("consumer"),
            bytes: t.require("size", t.size("size")).map_or(0, |s| s.value),
            name,
        };
        t.finish();
        lane
    }

    fn read_image(&self, name: At<String>, t: &Table<'_>) -> Image {
        let image = Image {
            name,
            services: self.all(t.strings("services")),
            bench: t.flag("bench").is_some_and(|f| f.value),
        };
        t.finish();
        image
    }
}

fn read_quota(t: Table<'_>) -> (u64, At<u32>, u16) {
    let stack = t.require("stack", t.size("stack")).map_or(0, |s| s.value);
    let frames = frames(&t);
    let objects = t.require("objects", t.number("objects", u64::from(u16::MAX)));
    let objects = narrow(objects, t.span.clone()).value;
    t.finish();
    (stack, frames, objects)
}

fn priority(t: &Table<'_>) -> At<u8> {
    narrow(t.require("priority", t.number("priority", 7)), t.span.clone())
}

fn frames(t: &Table<'_>) -> At<u32> {
    narrow(t.require("frames", t.number("frames", u64::from(u32::MAX))), t.span.clone())
}

/// The reader has already bounded the number; a missing one is 0.
fn narrow<T: TryFrom<u64> + Default>(number: Option<At<u64>>, nowhere: Range<usize>) -> At<T> {
    match number {
        Some(n) => At::new(T::try_from(n.value).unwrap_or_default(), n.span),
        None => At::new(T::default(), nowhere),
    }
}

/// Names of the syscall table.
pub(crate) fn syscall_names() -> impl Iterator<Item = &'static str> {
    SPECS.iter().map(|s| s.name)
}
