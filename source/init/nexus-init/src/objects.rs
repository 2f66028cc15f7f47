//! Everything services share or keep across restarts: made once, before the first of them runs.
//!
//! Init creates the endpoints, so they live on when a server dies: its clients' calls fail with
//! an error of their own, and the next instance serves the same endpoint (ADR 0002).

use heapless::Vec;
use nexus_abi::{
    Call, Error, Handle, Rights, Sys, SyscallMask,
    syscall::{FactoryCeiling, SourceOp, VmoKind},
};
use nexus_manifest::boot::{
    Grant, GrantKind, KERNEL_LOG_BIT, MAX_BLOBS, MAX_GRANTS, MAX_LANES, MAX_SERVICES, Service,
};
use nexus_system::slots::nexus_init::{BOOT_IMAGE, FACTORY, KERNEL_LOG};
use nexus_wire::policy::BADGE_CONTROL;

use crate::image::Image;

/// Slots of the first device; interrupt lines follow the last device.
const FIRST_DEVICE: u8 = BOOT_IMAGE.slot().saturating_add(1);

/// Read, and move copies to others.
const HAND_ON: Rights = Rights::READ.or(Rights::DERIVE).or(Rights::GRANT);

const READ_WRITE: Rights = Rights::READ.or(Rights::WRITE);

/// What one service keeps.
#[derive(Clone, Debug)]
struct Kept {
    /// Its server endpoint, or NONE.
    endpoint: Handle,
    /// The notification bound to it, or NONE.
    notify: Handle,
    /// Its memory, in the order of its grants.
    memory: Vec<Handle, MAX_GRANTS>,
    /// A sealed copy of its image, if some service is granted one.
    image: Option<Handle>,
}

/// A capability to be derived into a service.
pub(crate) struct Gift {
    pub(crate) cap: Handle,
    pub(crate) rights: Rights,
    pub(crate) badge: u64,
}

/// The shared objects.
pub(crate) struct Objects {
    /// The endpoint children connect through; each holds a CALL badged with its service id.
    pub(crate) connect: Handle,
    /// Bit n: the n-th service of the manifest ended. Bound to `connect`.
    pub(crate) deaths: Handle,
    /// Init's own CALL to the authority, the only one that may speak for others.
    pub(crate) control: Handle,
    lanes: Vec<Handle, MAX_LANES>,
    policy: Option<Handle>,
    /// Sealed copies of the files; `None` for one that failed its digest.
    blobs: Vec<Option<Handle>, MAX_BLOBS>,
    services: Vec<Kept, MAX_SERVICES>,
}

impl Objects {
    /// Makes all of them.
    pub(crate) fn create<S: Sys>(sys: &mut S, image: &Image) -> Result<Objects, Error> {
        let manifest = &image.manifest;
        let deaths = sys.make(Call::NotifCreate {})?;
        let connect = sys.make(Call::EndpointCreate { notif: deaths })?;
        let mut lanes = Vec::new();
        for lane in &manifest.lanes {
            push(&mut lanes, memory(sys, lane.bytes)?)?;
        }
        let mut services = Vec::new();
        for service in &manifest.services {
            push(&mut services, keep(sys, service)?)?;
        }
        let policy = match image.verified(&manifest.policy) {
            Some(blob) => Some(nexus_spawn::sealed_copy(sys, blob)?),
            None => None,
        };
        let mut blobs = Vec::new();
        for extent in &manifest.blobs {
            let blob = match image.verified(extent) {
                Some(bytes) => Some(nexus_spawn::sealed_copy(sys, bytes)?),
                None => None,
            };
            push(&mut blobs, blob)?;
        }
        let control = Handle::NONE;
        let mut objects = Objects { connect, deaths, control, lanes, policy, blobs, services };
        let authority = objects.endpoint_of(image, manifest.authority).ok_or(Error::BadHandle)?;
        objects.control = sys.derive(authority, Rights::CALL, BADGE_CONTROL)?;
        objects.copy_images(sys, image)?;
        Ok(objects)
    }

    /// The bits deaths can set: one per service init starts.
    pub(crate) fn death_bits(&self, image: &Image) -> u64 {
        let started = image.manifest.services.iter().enumerate().filter(|(_, s)| s.start);
        started.fold(0, |bits, (index, _)| bits | death_bit(index))
    }

    /// Whether the policy in the boot image is the one the image builder saw.
    pub(crate) fn policy_is_valid(&self) -> bool {
        self.policy.is_some()
    }

    /// The server endpoint of a service.
    pub(crate) fn endpoint(&self, index: usize) -> Option<Handle> {
        self.services.get(index).map(|k| k.endpoint).filter(|e| !e.is_none())
    }

    /// The notification bound to a service's endpoint.
    pub(crate) fn notify(&self, index: usize) -> Option<Handle> {
        self.services.get(index).map(|k| k.notify).filter(|n| !n.is_none())
    }

    /// Where the grant at position `at` of service `index` comes from. `None` if its source is
    /// missing: a blob that failed its digest, or a ceiling that cannot be expressed.
    pub(crate) fn gift(&self, image: &Image, index: usize, at: usize) -> Option<Gift> {
        let service = image.manifest.services.get(index)?;
        let gift = |cap, rights| Some(Gift { cap, rights, badge: 0 });
        match service.grants.get(at)?.kind {
            GrantKind::LaneProducer { lane } | GrantKind::LaneConsumer { lane } => {
                gift(*self.lanes.get(usize::from(lane))?, READ_WRITE)
            }
            GrantKind::LaneBell { lane } => {
                gift(self.notify(consumer(image, lane)?)?, Rights::SIGNAL)
            }
            GrantKind::Policy => gift(self.policy?, Rights::READ),
            kind @ (GrantKind::Kept { .. } | GrantKind::Dma { .. }) => {
                let is_memory =
                    |g: &&Grant| matches!(g.kind, GrantKind::Kept { .. } | GrantKind::Dma { .. });
                let nth = service.grants.iter().take(at).filter(is_memory).count();
                let dma = matches!(kind, GrantKind::Dma { .. });
                let rights = if dma { READ_WRITE.or(Rights::DMA) } else { READ_WRITE };
                gift(*self.services.get(index)?.memory.get(nth)?, rights)
            }
            GrantKind::Device { index } => gift(device(index)?, READ_WRITE),
            GrantKind::Irq { index } => gift(interrupt(image, index)?, Rights::MANAGE),
            GrantKind::Factory { .. } => {
                let badge = ceiling(&service.grants.get(at)?.kind)?.pack()?;
                Some(Gift { cap: FACTORY, rights: Rights::MANAGE, badge })
            }
            GrantKind::Image { service } => {
                gift(self.services.get(usize::from(service))?.image?, Rights::READ)
            }
            GrantKind::Blob { index } => gift((*self.blobs.get(usize::from(index))?)?, HAND_ON),
            GrantKind::KernelLog => gift(KERNEL_LOG, Rights::AUDIT),
            // Holds every image and the policy: init's alone.
            GrantKind::BootImage => None,
        }
    }

    fn endpoint_of(&self, image: &Image, id: u64) -> Option<Handle> {
        self.endpoint(image.manifest.services.iter().position(|s| s.id == id)?)
    }

    /// Copies each image that some started service is granted. One that fails its digest is
    /// left out, and the services that wanted it are refused when they start.
    fn copy_images<S: Sys>(&mut self, sys: &mut S, image: &Image) -> Result<(), Error> {
        let started = image.manifest.services.iter().filter(|s| s.start);
        for grant in started.flat_map(|s| &s.grants) {
            let GrantKind::Image { service } = grant.kind else { continue };
            let wanted = image.manifest.services.get(usize::from(service));
            let kept = self.services.get_mut(usize::from(service));
            let (Some(wanted), Some(kept)) = (wanted, kept) else { continue };
            if let (None, Some(elf)) = (kept.image, image.verified(&wanted.image)) {
                kept.image = Some(nexus_spawn::sealed_copy(sys, elf)?);
            }
        }
        Ok(())
    }
}

/// The bit that tells of the death of the service at `index`.
pub(crate) const fn death_bit(index: usize) -> u64 {
    if index < MAX_SERVICES { 1 << index } else { 0 }
}

/// Endpoint, notification and memory of one service.
fn keep<S: Sys>(sys: &mut S, service: &Service) -> Result<Kept, Error> {
    let none = Handle::NONE;
    let mut kept = Kept { endpoint: none, notify: none, memory: Vec::new(), image: None };
    if !service.start {
        return Ok(kept);
    }
    if service.notify {
        kept.notify = sys.make(Call::NotifCreate {})?;
    }
    if service.serves {
        kept.endpoint = sys.make(Call::EndpointCreate { notif: kept.notify })?;
    }
    for grant in &service.grants {
        match grant.kind {
            GrantKind::Kept { bytes } => push(&mut kept.memory, memory(sys, bytes)?)?,
            GrantKind::Dma { bytes } => push(&mut kept.memory, dma_memory(sys, bytes)?)?,
            GrantKind::KernelLog => bind_kernel_log(sys, kept.notify)?,
            _ => {}
        }
    }
    Ok(kept)
}

fn bind_kernel_log<S: Sys>(sys: &mut S, notif: Handle) -> Result<(), Error> {
    let source = KERNEL_LOG;
    let bind = Call::SourceControl { source, op: SourceOp::Bind, notif, bit: KERNEL_LOG_BIT };
    sys.run(bind).map(|_| ())
}

fn memory<S: Sys>(sys: &mut S, len: u64) -> Result<Handle, Error> {
    sys.make(Call::VmoCreate { len, kind: VmoKind::Ram, authority: Handle::NONE })
}

fn dma_memory<S: Sys>(sys: &mut S, len: u64) -> Result<Handle, Error> {
    sys.make(Call::VmoCreate { len, kind: VmoKind::Dma, authority: FACTORY })
}

fn push<T, const N: usize>(list: &mut Vec<T, N>, item: T) -> Result<(), Error> {
    list.push(item).map_err(|_| Error::NoSpace)
}

/// The service that drains the lane.
fn consumer(image: &Image, lane: u8) -> Option<usize> {
    let drains = |s: &Service| s.grants.iter().any(|g| g.kind == GrantKind::LaneConsumer { lane });
    image.manifest.services.iter().position(drains)
}

fn device(index: u8) -> Option<Handle> {
    FIRST_DEVICE.checked_add(index).map(Handle::fixed)
}

fn interrupt(image: &Image, index: u8) -> Option<Handle> {
    let devices = u8::try_from(image.manifest.devices.len()).ok()?;
    device(devices.checked_add(index)?)
}

/// The manifest checker keeps ranges to powers of two and budgets to whole units; here budgets
/// are rounded down, and a range that is no power of two has no ceiling at all.
fn ceiling(kind: &GrantKind) -> Option<FactoryCeiling> {
    let GrantKind::Factory { first, last, mask, priority, frames, objects } = *kind else {
        return None;
    };
    let ids = last.checked_sub(first)?.checked_add(1)?;
    let count_log2 = ids.is_power_of_two().then(|| ids.trailing_zeros())?;
    Some(FactoryCeiling {
        first_id: u16::try_from(first).ok()?,
        count_log2: u8::try_from(count_log2).ok()?,
        priority,
        mask: SyscallMask(mask),
        frame_units: u16::try_from(frames / FactoryCeiling::FRAME_UNIT).ok()?,
        object_units: u8::try_from(objects / FactoryCeiling::OBJECT_UNIT).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: GrantKind = GrantKind::Factory {
        first: 900,
        last: 931,
        mask: 0xff,
        priority: 2,
        frames: 2048,
        objects: 64,
    };

    #[test]
    fn ceiling_says_what_the_grant_says() {
        let ceiling = ceiling(&GRANT).unwrap();
        assert_eq!((ceiling.first_id, ceiling.count_log2, ceiling.priority), (900, 5, 2));
        assert_eq!((ceiling.frame_units, ceiling.object_units), (128, 4));
        assert_eq!(FactoryCeiling::unpack(ceiling.pack().unwrap()), ceiling);
    }

    #[test]
    fn test_reject_ranges_no_ceiling_can_express() {
        let with = |f: u64, l: u64| match GRANT {
            GrantKind::Factory { mask, priority, frames, objects, .. } => {
                GrantKind::Factory { first: f, last: l, mask, priority, frames, objects }
            }
            other => other,
        };
        assert_eq!(ceiling(&with(900, 930)), None, "31 ids");
        assert_eq!(ceiling(&with(931, 900)), None, "backwards");
        assert_eq!(ceiling(&with(70_000, 70_000)), None, "beyond the boot ids");
        assert_eq!(ceiling(&GrantKind::Policy), None);
    }
}
