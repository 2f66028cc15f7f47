//! From the checked model to what one image carries.

use super::model::{Image, Service, System};
use crate::boot::{self, BootError, BootManifest, Extent, Grant, GrantKind, Name};

impl System {
    /// The compact manifest of `image`. `extent` tells where the ELF of a carried service (an
    /// index in [`System::services`]) lies, `blob` where a file lies, `policy` where the policy
    /// lies.
    ///
    /// # Errors
    /// [`BootError::TooLong`] when something exceeds a bound of the compact form.
    pub fn compact(
        &self,
        image: &Image,
        extent: &dyn Fn(usize) -> Extent,
        blob: &dyn Fn(&str) -> Extent,
        policy: Extent,
    ) -> Result<BootManifest, BootError> {
        let id = |at: usize| self.services.get(at).map_or(0, |s| s.id.value);
        let mut manifest = BootManifest {
            version: boot::VERSION,
            authority: id(self.authority),
            journal: id(self.journal),
            services: heapless::Vec::new(),
            lanes: heapless::Vec::new(),
            devices: heapless::Vec::new(),
            policy,
            blobs: heapless::Vec::new(),
        };
        for lane in &self.lanes {
            let lane = boot::Lane { name: short(&lane.name.value)?, bytes: lane.bytes };
            manifest.lanes.push(lane).map_err(|_| BootError::TooLong)?;
        }
        for device in &self.devices {
            let name = short(&device.name.value)?;
            let device = boot::Device { name, base: device.base, len: device.len };
            manifest.devices.push(device).map_err(|_| BootError::TooLong)?;
        }
        let carried = self.carried(image);
        let files = self.files(image);
        for name in &files {
            manifest.blobs.push(blob(name)).map_err(|_| BootError::TooLong)?;
        }
        for at in &carried {
            let Some(service) = self.services.get(*at) else { return Err(BootError::Inconsistent) };
            let service = self.compact_service(service, (&carried, &files), extent(*at))?;
            manifest.services.push(service).map_err(|_| BootError::TooLong)?;
        }
        Ok(manifest)
    }

    /// Names of the files that services carried by `image` are given, in file order.
    #[must_use]
    pub fn files(&self, image: &Image) -> Vec<&str> {
        let carried = self.carried(image);
        let holders: Vec<&Service> =
            carried.iter().filter_map(|at| self.services.get(*at)).collect();
        let held =
            |name: &&str| holders.iter().any(|s| s.blobs.iter().any(|blob| blob.value == *name));
        self.blobs().into_iter().filter(held).collect()
    }

    fn compact_service(
        &self,
        s: &Service,
        (carried, files): (&[usize], &[&str]),
        image: Extent,
    ) -> Result<boot::Service, BootError> {
        let mut grants = heapless::Vec::new();
        for slot in &s.slots {
            let kind = match slot.kind {
                GrantKind::Image { service } => {
                    let local = carried.iter().position(|at| *at == usize::from(service));
                    let local =
                        local.and_then(|l| u8::try_from(l).ok()).ok_or(BootError::Inconsistent)?;
                    GrantKind::Image { service: local }
                }
                GrantKind::Blob { index } => {
                    let name = self.blobs().get(usize::from(index)).copied();
                    let local = name.and_then(|name| files.iter().position(|file| *file == name));
                    let local =
                        local.and_then(|l| u8::try_from(l).ok()).ok_or(BootError::Inconsistent)?;
                    GrantKind::Blob { index: local }
                }
                other => other,
            };
            grants.push(Grant { slot: slot.slot, kind }).map_err(|_| BootError::TooLong)?;
        }
        let pages = s.stack.div_ceil(nexus_abi::layout::PAGE);
        Ok(boot::Service {
            id: s.id.value,
            name: short(&s.name.value)?,
            priority: s.priority.value,
            start: s.start,
            image,
            stack_pages: u32::try_from(pages).map_err(|_| BootError::TooLong)?,
            frames: s.frames.value,
            objects: s.objects,
            mask: s.mask.0,
            serves: s.provides.is_some(),
            notify: s.notify,
            restart: s.restart.unwrap_or_default(),
            grants,
        })
    }
}

fn short(name: &str) -> Result<Name, BootError> {
    Name::try_from(name).map_err(|_| BootError::TooLong)
}
