//! The compact manifest inside the boot image (postcard): what `nexus-init` needs to verify,
//! create, wire and supervise every service, and nothing that only people read.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

/// Layout version; the reader refuses any other.
pub const VERSION: u16 = 2;
/// Services in one image: the kernel's process table.
pub const MAX_SERVICES: usize = 32;
/// Shared-memory lanes: decisions and outcomes into the journal, checkpoints out of it and their
/// seals back, and room for more enforcers.
pub const MAX_LANES: usize = 8;
/// Device windows and interrupt lines: the `virt` machine's buses plus its fixed devices.
pub const MAX_DEVICES: usize = 16;
/// Statically wired capabilities of one service.
pub const MAX_GRANTS: usize = 16;
/// Files that services are granted: what the test image needs, and one more.
pub const MAX_BLOBS: usize = 8;
/// Longest service name: what a policy capability `route.<name>` (48 bytes) can hold is
/// shorter still; the authoring check enforces that.
pub const MAX_NAME: usize = 48;

/// A service, lane or device name.
pub type Name = String<MAX_NAME>;

/// Everything init knows about the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootManifest {
    /// [`VERSION`].
    pub version: u16,
    /// Service id of the policy authority: started first, asked for every route.
    pub authority: u64,
    /// Service id of the audit journal: consumer of the audit lane.
    pub journal: u64,
    /// Every service of this image, in start order. The supervisor itself is in the header.
    pub services: Vec<Service, MAX_SERVICES>,
    /// Lanes by index; [`GrantKind::LaneProducer`] and friends refer to it.
    pub lanes: Vec<Lane, MAX_LANES>,
    /// Devices by index, in the order of the kernel's device table.
    pub devices: Vec<Device, MAX_DEVICES>,
    /// The compiled policy.
    pub policy: Extent,
    /// Files by index; [`GrantKind::Blob`] refers to them.
    pub blobs: Vec<Extent, MAX_BLOBS>,
}

/// A blob inside the boot image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// From the first byte of the boot image; a multiple of the page size.
    pub offset: u64,
    /// Exact length in bytes; the rest of the last page is zero.
    pub len: u64,
    /// BLAKE3 of the `len` bytes.
    pub digest: [u8; 32],
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Assigned id, stamped by the kernel on every frame.
    pub id: u64,
    /// Name for `connect` and for people.
    pub name: Name,
    /// Scheduling priority, 7 highest.
    pub priority: u8,
    /// Whether init starts it; otherwise only its image is carried, for a factory holder.
    pub start: bool,
    /// The stripped ELF.
    pub image: Extent,
    /// Stack pages.
    pub stack_pages: u32,
    /// Frames the process may own.
    pub frames: u32,
    /// Kernel objects the process may own.
    pub objects: u16,
    /// Syscall mask.
    pub mask: u64,
    /// Whether it has a server endpoint (`SLOT_SERVER`).
    pub serves: bool,
    /// Whether a notification is bound to that endpoint (`SLOT_NOTIFY`).
    pub notify: bool,
    /// What happens when it ends.
    pub restart: Restart,
    /// Capabilities wired before it starts, by slot.
    pub grants: Vec<Grant, MAX_GRANTS>,
}

/// How often a service may be restarted, and what then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Restarts inside one window; 0: never restarted.
    pub max: u16,
    /// Length of the window.
    pub window_ns: u64,
    /// Beyond `max`: stop the whole machine (true) or leave the service down (false).
    pub halt: bool,
}

/// One wired capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Slot in the service's table, at or above `nexus_abi::layout::SLOT_WIRED`.
    pub slot: u8,
    /// What it is.
    pub kind: GrantKind,
}

/// What a wired capability refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantKind {
    /// The lane's memory, READ | WRITE: this service appends.
    LaneProducer {
        /// Index in [`BootManifest::lanes`].
        lane: u8,
    },
    /// The lane's memory, READ | WRITE: this service drains and acknowledges.
    LaneConsumer {
        /// Index in [`BootManifest::lanes`].
        lane: u8,
    },
    /// SIGNAL on the notification of the lane's consumer; its bit is the lane index.
    LaneBell {
        /// Index in [`BootManifest::lanes`].
        lane: u8,
    },
    /// The sealed policy blob, READ.
    Policy,
    /// RAM that survives restarts of this service, READ | WRITE.
    Kept {
        /// Length, whole pages.
        bytes: u64,
    },
    /// Memory for a device to reach, zeroed once and kept over restarts, READ | WRITE | DMA: a
    /// device that still runs when its driver dies writes into nobody else's frames.
    Dma {
        /// Length, whole pages.
        bytes: u64,
    },
    /// A device window.
    Device {
        /// Index in [`BootManifest::devices`].
        index: u8,
    },
    /// An interrupt line, with MANAGE to bind and acknowledge it.
    Irq {
        /// Index in the kernel's interrupt table: devices that have a line, in order.
        index: u8,
    },
    /// A process factory narrowed to these ceilings.
    Factory {
        /// First service id it may give.
        first: u64,
        /// Last service id it may give.
        last: u64,
        /// Syscall mask ceiling.
        mask: u64,
        /// Priority ceiling.
        priority: u8,
        /// Frames for all its processes together.
        frames: u32,
        /// Objects for all its processes together.
        objects: u16,
    },
    /// The sealed ELF of another service of this image, READ.
    Image {
        /// Index in [`BootManifest::services`].
        service: u8,
    },
    /// A sealed file, READ | DERIVE | GRANT: its holder may hand a copy on.
    Blob {
        /// Index in [`BootManifest::blobs`].
        index: u8,
    },
    /// The whole boot image, sealed: the supervisor's alone, never in a compact manifest.
    BootImage,
    /// The kernel event ring, AUDIT; init binds it to bit 63 of the service's notification.
    KernelLog,
}

/// Notification bit init binds the kernel event ring to; lane bells use the low bits.
pub const KERNEL_LOG_BIT: u8 = 63;

/// A single-producer single-consumer ring in shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Name, for people.
    pub name: Name,
    /// Length, whole pages.
    pub bytes: u64,
}

/// A device window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Name, for people.
    pub name: Name,
    /// Physical base.
    pub base: u64,
    /// Length, whole pages.
    pub len: u64,
}

/// Why a compact manifest was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// Not the bytes of a manifest, or bytes left over.
    Malformed,
    /// Another layout version.
    Version,
    /// An index, slot, id or extent that does not fit the rest.
    Inconsistent,
    /// The output buffer is too small.
    TooLong,
}

impl BootManifest {
    /// Decodes and checks a manifest that lies in a boot image of `image_len` bytes.
    ///
    /// # Errors
    /// See [`BootError`]; a manifest that passes needs no further bounds checks.
    pub fn read(bytes: &[u8], image_len: u64) -> Result<BootManifest, BootError> {
        let (manifest, rest) =
            postcard::take_from_bytes::<BootManifest>(bytes).map_err(|_| BootError::Malformed)?;
        if !rest.is_empty() {
            return Err(BootError::Malformed);
        }
        if manifest.version != VERSION {
            return Err(BootError::Version);
        }
        if manifest.consistent(image_len) { Ok(manifest) } else { Err(BootError::Inconsistent) }
    }

    /// Encodes into `out` and gives back the bytes used.
    ///
    /// # Errors
    /// [`BootError::TooLong`] if they do not fit.
    pub fn write<'a>(&self, out: &'a mut [u8]) -> Result<&'a [u8], BootError> {
        postcard::to_slice(self, out).map(|used| &*used).map_err(|_| BootError::TooLong)
    }

    /// The service with this id.
    #[must_use]
    pub fn service(&self, id: u64) -> Option<&Service> {
        self.services.iter().find(|s| s.id == id)
    }

    /// The service with this name.
    #[must_use]
    pub fn by_name(&self, name: &[u8]) -> Option<&Service> {
        self.services.iter().find(|s| s.name.as_bytes() == name)
    }

    fn consistent(&self, image_len: u64) -> bool {
        let known = |id| self.service(id).is_some_and(|s| s.start && s.serves);
        known(self.authority)
            && known(self.journal)
            && self.policy.lies_in(image_len)
            && self.blobs.iter().all(|blob| blob.lies_in(image_len))
            && self.services.iter().enumerate().all(|(at, s)| {
                s.image.lies_in(image_len)
                    && s.id != 0
                    && self.services.iter().skip(at.saturating_add(1)).all(|other| other.id != s.id)
                    && self.grants_consistent(s)
            })
    }

    fn grants_consistent(&self, service: &Service) -> bool {
        service.grants.iter().enumerate().all(|(at, grant)| {
            let unique =
                service.grants.iter().skip(at.saturating_add(1)).all(|g| g.slot != grant.slot);
            let in_table = (nexus_abi::layout::SLOT_WIRED as usize..nexus_abi::layout::CAP_SLOTS)
                .contains(&usize::from(grant.slot));
            let target = match grant.kind {
                GrantKind::LaneProducer { lane }
                | GrantKind::LaneConsumer { lane }
                | GrantKind::LaneBell { lane } => usize::from(lane) < self.lanes.len(),
                GrantKind::Device { index } => usize::from(index) < self.devices.len(),
                GrantKind::Image { service } => usize::from(service) < self.services.len(),
                GrantKind::Blob { index } => usize::from(index) < self.blobs.len(),
                GrantKind::Factory { first, last, .. } => 0 < first && first <= last,
                GrantKind::Irq { index } => usize::from(index) < self.devices.len(),
                GrantKind::BootImage => false,
                GrantKind::Policy
                | GrantKind::Kept { .. }
                | GrantKind::Dma { .. }
                | GrantKind::KernelLog => true,
            };
            unique && in_table && target
        })
    }
}

impl Extent {
    fn lies_in(&self, image_len: u64) -> bool {
        self.offset.is_multiple_of(nexus_abi::layout::PAGE)
            && self.offset.checked_add(self.len).is_some_and(|end| end <= image_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: u64, name: &str) -> Service {
        Service {
            id,
            name: Name::try_from(name).unwrap(),
            priority: 6,
            start: true,
            image: Extent { offset: 4096, len: 10, digest: [1; 32] },
            stack_pages: 4,
            frames: 64,
            objects: 8,
            mask: 3,
            serves: true,
            notify: false,
            restart: Restart { max: 3, window_ns: 10, halt: true },
            grants: Vec::new(),
        }
    }

    fn sample() -> BootManifest {
        let mut policyd = service(2, "policyd");
        policyd.grants.push(Grant { slot: 4, kind: GrantKind::Policy }).unwrap();
        policyd.grants.push(Grant { slot: 5, kind: GrantKind::LaneProducer { lane: 0 } }).unwrap();
        BootManifest {
            version: VERSION,
            authority: 2,
            journal: 3,
            services: Vec::from_slice(&[policyd, service(3, "logd")]).unwrap(),
            lanes: Vec::from_slice(&[Lane { name: Name::try_from("audit").unwrap(), bytes: 4096 }])
                .unwrap(),
            devices: Vec::new(),
            policy: Extent { offset: 8192, len: 100, digest: [2; 32] },
            blobs: Vec::from_slice(&[Extent { offset: 8192, len: 100, digest: [2; 32] }]).unwrap(),
        }
    }

    fn bytes(manifest: &BootManifest) -> std::vec::Vec<u8> {
        let mut buf = [0; 4096];
        manifest.write(&mut buf).unwrap().to_vec()
    }

    #[test]
    fn manifest_survives_its_bytes() {
        let manifest = sample();
        assert_eq!(BootManifest::read(&bytes(&manifest), 12288), Ok(manifest));
    }

    #[test]
    fn test_reject_truncation_and_extra_bytes() {
        let mut good = bytes(&sample());
        for len in 0..good.len() {
            assert!(BootManifest::read(&good[..len], 12288).is_err(), "{len}");
        }
        good.push(0);
        assert_eq!(BootManifest::read(&good, 12288), Err(BootError::Malformed));
    }

    #[test]
    fn test_reject_what_does_not_fit_together() {
        let read = |m: &BootManifest| BootManifest::read(&bytes(m), 12288);
        let mut m = sample();
        m.version = VERSION + 1;
        assert_eq!(read(&m), Err(BootError::Version));
        let mut m = sample();
        m.services[1].id = 2;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.services[0].grants[1].slot = 4;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.services[0].grants[1].kind = GrantKind::LaneProducer { lane: 1 };
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.services[0].grants[1].kind = GrantKind::Blob { index: 1 };
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.blobs[0].len = 4097;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.policy.len = 4097;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.services[0].image.offset = 1;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
        let mut m = sample();
        m.authority = 9;
        assert_eq!(read(&m), Err(BootError::Inconsistent));
    }
}
