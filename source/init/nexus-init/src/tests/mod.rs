//! Init against a scripted kernel: what it wires, whom it asks, what it refuses.

mod boot;
mod fake;
mod routes;
mod supervision;

use heapless::Vec as Bounded;
use nexus_abi::{Sender, ServiceId};
use nexus_elf::testing::minimal_elf;
use nexus_manifest::boot::{
    BootManifest, Device, Extent, Grant, GrantKind, Lane, Name, Restart, Service, VERSION,
};
use nexus_system::header::{ANY_HART, Header, MAX_SEGMENTS, Segment};

use crate::{Env, image, objects::Objects, supervisor::Supervisor};
use fake::Fake;

const PAGE: usize = 4096;
const POLICYD: u64 = 2;
const LOGD: u64 = 3;
const CLIENT: u64 = 20;

pub(crate) fn header(total_len: u64, manifest_off: u64, manifest_len: u64) -> Header {
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    segments[0] = Segment { va: 0x1000_0000, file_off: 0, file_len: 1, mem_len: 1, prot: 5 };
    Header {
        total_len,
        flags: 0,
        boot_hart: ANY_HART,
        entry: 0x1000_0000,
        segments,
        segment_count: 1,
        manifest_off,
        manifest_len,
        stack_pages: 4,
        mask: 0,
        priority: 7,
        service: 1,
        frames: 1,
        objects: 1,
    }
}

fn grant(slot: u8, kind: GrantKind) -> Grant {
    Grant { slot, kind }
}

fn service(id: u64, name: &str, priority: u8, image: Extent, grants: &[Grant]) -> Service {
    Service {
        id,
        name: Name::try_from(name).unwrap(),
        priority,
        start: true,
        image,
        stack_pages: 4,
        frames: 64,
        objects: 8,
        mask: 0xff,
        serves: true,
        notify: false,
        restart: Restart { max: 2, window_ns: 1_000_000_000, halt: false },
        grants: Bounded::from_slice(grants).unwrap(),
    }
}

/// policyd (policy, lane, bell), logd (lane, kept memory, kernel log), a client (device,
/// factory, image, memory for the device) and a probe that is not started.
fn system(blobs: &mut Vec<u8>) -> BootManifest {
    let mut blob = |bytes: &[u8]| {
        let offset = blobs.len() as u64;
        blobs.extend_from_slice(bytes);
        blobs.resize(blobs.len().next_multiple_of(PAGE), 0);
        Extent { offset, len: bytes.len() as u64, digest: *blake3::hash(bytes).as_bytes() }
    };
    let lane = 0;
    let factory = GrantKind::Factory {
        first: 900,
        last: 931,
        mask: 0xf,
        priority: 2,
        frames: 256,
        objects: 32,
    };
    let mut policyd = service(
        POLICYD,
        "policyd",
        6,
        blob(&minimal_elf(0x1000_0000)),
        &[
            grant(4, GrantKind::Policy),
            grant(5, GrantKind::LaneProducer { lane }),
            grant(6, GrantKind::LaneBell { lane }),
        ],
    );
    policyd.restart.halt = true;
    let mut logd = service(
        LOGD,
        "logd",
        5,
        blob(&minimal_elf(0x1400_0000)),
        &[
            grant(4, GrantKind::LaneConsumer { lane }),
            grant(5, GrantKind::Kept { bytes: 8192 }),
            grant(6, GrantKind::KernelLog),
        ],
    );
    logd.notify = true;
    let mut client = service(
        CLIENT,
        "client",
        3,
        blob(&minimal_elf(0x1800_0000)),
        &[
            grant(4, GrantKind::Device { index: 0 }),
            grant(5, factory),
            grant(6, GrantKind::Image { service: 3 }),
            grant(7, GrantKind::Dma { bytes: 8192 }),
            grant(8, GrantKind::Blob { index: 0 }),
        ],
    );
    client.serves = false;
    client.restart = Restart::default();
    let mut probe = service(900, "probe", 2, blob(&minimal_elf(0x1c00_0000)), &[]);
    probe.start = false;
    let device = Device { name: Name::try_from("finisher").unwrap(), base: 0x10_0000, len: 4096 };
    let audit = Lane { name: Name::try_from("audit").unwrap(), bytes: 4096 };
    BootManifest {
        version: VERSION,
        authority: POLICYD,
        journal: LOGD,
        // Not in order of priority: init has to put them in order.
        services: Bounded::from_slice(&[client, logd, policyd, probe]).unwrap(),
        lanes: Bounded::from_slice(&[audit]).unwrap(),
        devices: Bounded::from_slice(&[device]).unwrap(),
        policy: blob(b"the policy"),
        blobs: Bounded::from_slice(&[blob(b"a file")]).unwrap(),
    }
}

/// A boot image of [`system`], with whatever `change` does to it.
fn image_with(change: impl FnOnce(&mut BootManifest, &mut Vec<u8>)) -> Vec<u8> {
    // Header page, two manifest pages, blobs.
    let mut image = vec![0; 3 * PAGE];
    let mut manifest = system(&mut image);
    change(&mut manifest, &mut image);
    let mut buffer = [0; 2 * PAGE];
    let bytes = manifest.write(&mut buffer).unwrap();
    image[PAGE..PAGE + bytes.len()].copy_from_slice(bytes);
    let header = header(image.len() as u64, PAGE as u64, bytes.len() as u64);
    for (place, word) in image.chunks_exact_mut(8).zip(header.encode()) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    image
}

/// Boots up to "ready" and hands the supervisor to `body`.
fn booted(image: &[u8], body: impl FnOnce(&mut Supervisor<'_>, &mut Env<'_, Fake>)) {
    let mut sys = Fake::new(image);
    let opened = image::open(&mut sys, image.len() as u64).unwrap();
    let objects = Objects::create(&mut sys, &opened).unwrap();
    let mut supervisor = Supervisor::new(&opened, objects);
    supervisor.start_all(&mut sys);
    body(&mut supervisor, &mut Env(&mut sys));
}

fn sender(id: u64) -> Sender {
    Sender { service: ServiceId(id), incarnation: 1, badge: id }
}
