//! One service, from its verified image to its first instruction.

use nexus_abi::{
    Call, Handle, Rights, ServiceId, Sys, SyscallMask,
    layout::{SLOT_CONNECT, SLOT_NOTIFY, SLOT_SERVER},
    syscall::{Quota, SourceOp},
};
use nexus_manifest::boot::{GrantKind, Service};
use nexus_spawn::{Child, EXIT_ABANDONED, SpawnError, Spec};

use nexus_system::slots::nexus_init::FACTORY;

use crate::{image::Image, objects::Objects};

/// Why a service did not start. Nothing is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchError {
    /// The bytes of its image are not the ones the image builder saw.
    ImageDigest,
    /// It reads the policy, whose bytes are not the ones the image builder saw.
    PolicyDigest,
    /// Something it is granted does not exist, or cannot be expressed.
    Wiring,
    /// The loader or the kernel refused it.
    Spawn(SpawnError),
}

impl LaunchError {
    /// Whether trying again could end differently.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, LaunchError::Spawn(SpawnError::Kernel(_)))
    }
}

impl From<SpawnError> for LaunchError {
    fn from(error: SpawnError) -> LaunchError {
        LaunchError::Spawn(error)
    }
}

/// Verifies, creates, wires and starts the service at `index`. Its process handle is init's.
pub(crate) fn launch<S: Sys>(
    sys: &mut S,
    image: &Image,
    objects: &Objects,
    index: usize,
) -> Result<Handle, LaunchError> {
    let service = image.manifest.services.get(index).ok_or(LaunchError::Wiring)?;
    let elf = image.verified(&service.image).ok_or(LaunchError::ImageDigest)?;
    let reads_policy = service.grants.iter().any(|g| g.kind == GrantKind::Policy);
    if reads_policy && !objects.policy_is_valid() {
        return Err(LaunchError::PolicyDigest);
    }
    let child = nexus_spawn::create(sys, &spec(service), elf)?;
    wire_fixed(sys, &child, objects, service, index)?;
    for (at, grant) in service.grants.iter().enumerate() {
        let Some(gift) = objects.gift(image, index, at) else {
            child.end(sys, EXIT_ABANDONED);
            return Err(LaunchError::Wiring);
        };
        child.give(sys, gift.cap, gift.rights, gift.badge, grant.slot)?;
    }
    watch(sys, &child, objects, index)?;
    let policy_len = if reads_policy { image.manifest.policy.len } else { 0 };
    child.start(sys, policy_len)?;
    Ok(child.process)
}

fn spec(service: &Service) -> Spec {
    Spec {
        factory: FACTORY,
        service: ServiceId(service.id),
        mask: SyscallMask(service.mask),
        quota: Quota { frames: service.frames, objects: service.objects },
        priority: service.priority,
        stack_pages: service.stack_pages,
    }
}

/// The slots every service has in the same place.
fn wire_fixed<S: Sys>(
    sys: &mut S,
    child: &Child,
    objects: &Objects,
    service: &Service,
    index: usize,
) -> Result<(), SpawnError> {
    // The badge is the child's own id: a connect capability that turns up elsewhere shows.
    child.give(sys, objects.connect, Rights::CALL, service.id, SLOT_CONNECT)?;
    if let Some(endpoint) = objects.endpoint(index) {
        child.give(sys, endpoint, Rights::RECV, 0, SLOT_SERVER)?;
    }
    if let Some(notify) = objects.notify(index) {
        // A driver binds its interrupt line itself, which takes SIGNAL.
        let drives = service.grants.iter().any(|g| matches!(g.kind, GrantKind::Irq { .. }));
        let rights = if drives { Rights::WAIT.or(Rights::SIGNAL) } else { Rights::WAIT };
        child.give(sys, notify, rights, 0, SLOT_NOTIFY)?;
    }
    Ok(())
}

/// Asks the kernel to tell of the child's death.
fn watch<S: Sys>(
    sys: &mut S,
    child: &Child,
    objects: &Objects,
    index: usize,
) -> Result<(), SpawnError> {
    let bit = u8::try_from(index).unwrap_or(u8::MAX);
    let (source, notif) = (child.process, objects.deaths);
    let bound = sys.run(Call::SourceControl { source, op: SourceOp::Bind, notif, bit });
    if bound.is_err() {
        child.end(sys, EXIT_ABANDONED);
    }
    Ok(bound.map(|_| ())?)
}
