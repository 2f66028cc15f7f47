//! The system as `recipes/system.toml` describes it, names resolved.

use nexus_abi::SyscallMask;

use super::{diag::Source, read::At};
use crate::boot::GrantKind;

/// The whole manifest, checked.
#[derive(Clone, Debug)]
pub struct System {
    /// Name of the system.
    pub name: String,
    /// Index of the supervisor in [`System::services`].
    pub supervisor: usize,
    /// Index of the policy authority.
    pub authority: usize,
    /// Index of the audit journal.
    pub journal: usize,
    /// Where RAM is and how it is divided.
    pub memory: Memory,
    /// Devices in file order: the kernel's device table.
    pub devices: Vec<Device>,
    /// Named syscall sets.
    pub sets: Vec<(String, SyscallMask)>,
    /// Services in file order: start order and link order.
    pub services: Vec<Service>,
    /// Lanes in file order.
    pub lanes: Vec<Lane>,
    /// Image kinds.
    pub images: Vec<Image>,
    pub(crate) source: Source,
}

/// RAM and its division, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Physical start of RAM.
    pub base: u64,
    /// All of it.
    pub size: u64,
    /// What the firmware keeps, at the start.
    pub firmware: u64,
    /// Upper bound of the flattened kernel, behind the firmware.
    pub kernel: u64,
    /// Upper bound of the boot image, behind the kernel.
    pub image: u64,
}

impl Memory {
    /// Physical address the kernel is loaded at.
    #[must_use]
    pub fn kernel_base(&self) -> u64 {
        self.base.saturating_add(self.firmware)
    }

    /// Frames that services can own.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let taken = self.firmware.saturating_add(self.kernel).saturating_add(self.image);
        self.size.saturating_sub(taken).checked_div(nexus_abi::layout::PAGE).unwrap_or(0)
    }
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Name.
    pub name: At<String>,
    /// Physical base.
    pub base: u64,
    /// Window length.
    pub len: u64,
    /// Interrupt line.
    pub irq: Option<u32>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name.
    pub name: At<String>,
    /// Assigned id.
    pub id: At<u64>,
    /// Crate and binary name.
    pub package: String,
    /// Scheduling priority.
    pub priority: At<u8>,
    /// Whether init starts it.
    pub start: bool,
    /// Protocol it serves, if it has an endpoint.
    pub provides: Option<String>,
    /// Whom it may call, as indices.
    pub calls: Vec<At<usize>>,
    /// Syscall mask.
    pub mask: SyscallMask,
    /// How the mask is written in the manifest.
    pub mask_text: String,
    /// Stack bytes.
    pub stack: u64,
    /// Frames it may own.
    pub frames: At<u32>,
    /// Objects it may own.
    pub objects: u16,
    /// Restart rule; none: it stays down.
    pub restart: Option<crate::boot::Restart>,
    /// Whether a notification is bound to its endpoint.
    pub notify: bool,
    /// Devices, as indices.
    pub devices: Vec<At<usize>>,
    /// Memory kept over restarts.
    pub kept: Vec<(At<String>, u64)>,
    /// Memory its devices reach.
    pub dma: Option<At<u64>>,
    /// Where `kernel-log = true` stands, if it does.
    pub kernel_log: Option<At<bool>>,
    /// Process factory.
    pub factory: Option<Factory>,
    /// Files it is given, by name; [`Slot`]s refer to [`System::blobs`].
    pub blobs: Vec<At<String>>,
    /// Services whose image it may start, as indices.
    pub images: Vec<At<usize>>,
    /// What is wired into its table.
    pub slots: Vec<Slot>,
}

/// A process factory narrowed for one service.
#[derive(Clone, Debug)]
pub struct Factory {
    /// First and last id.
    pub ids: At<(u64, u64)>,
    /// Priority ceiling.
    pub priority: At<u8>,
    /// Mask ceiling.
    pub mask: SyscallMask,
    /// Frames.
    pub frames: At<u32>,
    /// Objects.
    pub objects: At<u16>,
}

/// One wired capability with the constant name it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Slot number.
    pub slot: u8,
    /// Constant name, upper snake.
    pub name: String,
    /// What it is; an `Image` refers to [`System::services`] here, to the image's own list in
    /// the compact form.
    pub kind: GrantKind,
}

/// A lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Name.
    pub name: At<String>,
    /// Who appends.
    pub producer: At<usize>,
    /// Who drains.
    pub consumer: At<usize>,
    /// Bytes.
    pub bytes: u64,
}

/// One kind of image.
#[derive(Clone, Debug)]
pub struct Image {
    /// `test`, `bench`, `start`.
    pub name: At<String>,
    /// Services in it, without the supervisor and what only others start.
    pub services: Vec<At<usize>>,
    /// Whether user mode may read the instruction counter.
    pub bench: bool,
}

impl System {
    /// Names of the files that services are given, each once, in file order.
    #[must_use]
    pub fn blobs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for blob in self.services.iter().flat_map(|s| &s.blobs) {
            if !names.contains(&blob.value.as_str()) {
                names.push(&blob.value);
            }
        }
        names
    }

    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.name.value == name)
    }

    /// The image kind with this name.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<&Image> {
        self.images.iter().find(|i| i.name.value == name)
    }

    /// Indices of the services an image carries: those it lists and, transitively, those whose
    /// image one of them may start. In file order; without the supervisor.
    #[must_use]
    pub fn carried(&self, image: &Image) -> Vec<usize> {
        let mut carried: Vec<usize> = image.services.iter().map(|s| s.value).collect();
        let mut at = 0usize;
        while let Some(service) = carried.get(at).copied() {
            at = at.saturating_add(1);
            for wanted in self.services.get(service).into_iter().flat_map(|s| &s.images) {
                if !carried.contains(&wanted.value) {
                    carried.push(wanted.value);
                }
            }
        }
        carried.sort_unstable();
        carried
    }

    /// Link base of the `index`-th service: 64 MiB apart, so that any address in a log names
    /// its process although each has its own address space.
    #[must_use]
    pub fn link_base(index: usize) -> u64 {
        LINK_BASE.saturating_add((index as u64).saturating_mul(LINK_STRIDE))
    }
}

/// Link base of the first service: clear of the null guard, far below the views.
const LINK_BASE: u64 = 0x1000_0000;
/// Between two services: no image comes near it.
const LINK_STRIDE: u64 = 64 << 20;
