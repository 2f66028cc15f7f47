//! What the kernel must refuse or survive, provoked by probe processes.

use nexus_abi::{
    FaultCause, ServiceId, Sys,
    layout::{PAGE, STACK_TOP},
};
use nexus_ipc::log::AuditFilter;
use nexus_wire::audit::Op;
use probe::{Behaviour, EXIT_HELD};

use crate::{
    audit_steps,
    children::{self, End},
    harness::{Ctx, Failure, Outcome, ensure},
};

/// The probe's syscall outside its mask is refused, its others work, and the journal has the
/// kernel's own record of it, with the probe's id and the syscall's number.
pub(crate) fn mask_denied<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (service, end) = children::run(ctx, Behaviour::DeniedSyscall)?;
    ensure(end == End::Exited(EXIT_HELD), "probe saw the mask fail")?;
    let filter = about(service, Op::KernelSyscallDenied);
    let record = audit_steps::newest(ctx, &filter)?.ok_or("denied syscall not in the journal")?;
    ensure(
        record.args.first() == Some(&nexus_abi::syscall::nr::EndpointCreate),
        "another syscall recorded",
    )
}

fn about(service: ServiceId, op: Op) -> AuditFilter {
    AuditFilter { subject: service.0, op: Some(op), ..AuditFilter::default() }
}

fn faults<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    behaviour: Behaviour,
    cause: FaultCause,
    addr: u64,
) -> Result<(), Failure> {
    let (_, end) = children::run(ctx, behaviour)?;
    ensure(end == End::Faulted { cause, addr }, "probe did not end with this cause and address")
}

/// A null read ends that process alone: its parent knows cause and address, the journal too,
/// and everybody else goes on.
pub(crate) fn fault_isolated<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (service, end) = children::run(ctx, Behaviour::LoadNull)?;
    ensure(end == End::Faulted { cause: FaultCause::Load, addr: 0 }, "null read not reported")?;
    let filter = about(service, Op::KernelProcessFaulted);
    let record = audit_steps::newest(ctx, &filter)?.ok_or("fault not in the journal")?;
    ensure(record.args.first() == Some(&0), "journal has another address")?;
    illegal_instruction(ctx)?;
    crate::policy_steps::allowed_still(ctx)
}

/// Hardware may report the instruction's bits as the address, so only the cause is checked.
fn illegal_instruction<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (_, end) = children::run(ctx, Behaviour::Illegal)?;
    let illegal = matches!(end, End::Faulted { cause: FaultCause::Illegal, .. });
    ensure(illegal, "illegal instruction not reported")
}

/// Pointers no process may follow: above its half, non-canonical, the kernel's, physical ones.
pub(crate) fn wild_pointers<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    const KERNEL: u64 = 0xffff_ffc0_8020_0000;
    faults(ctx, Behaviour::LoadAboveUser, FaultCause::Load, 1 << 38)?;
    faults(ctx, Behaviour::LoadNonCanonical, FaultCause::Load, 1 << 47)?;
    faults(ctx, Behaviour::LoadKernel, FaultCause::Load, KERNEL)?;
    faults(ctx, Behaviour::StoreKernel, FaultCause::Store, KERNEL)?;
    faults(ctx, Behaviour::JumpKernel, FaultCause::Fetch, KERNEL)?;
    faults(ctx, Behaviour::LoadPhysicalAlias, FaultCause::Load, 0x8020_0000)?;
    let (_, end) = children::run(ctx, Behaviour::StackOverflow)?;
    let bottom = STACK_TOP.saturating_sub(PAGE.saturating_mul(2));
    let guard = bottom.saturating_sub(PAGE)..bottom;
    let held =
        matches!(end, End::Faulted { cause: FaultCause::Store, addr } if guard.contains(&addr));
    ensure(held, "stack overflow missed its guard page")
}

/// Device registers nobody granted are not reachable.
pub(crate) fn mmio_outside_grant<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    faults(ctx, Behaviour::LoadUngrantedMmio, FaultCause::Load, 0x1000_0000)
}

/// The kernel writes to user memory through the message page alone, which nobody can replace
/// or remove; and a process cannot write where it may only read.
pub(crate) fn message_page<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (_, end) = children::run(ctx, Behaviour::MessagePage)?;
    ensure(end == End::Exited(EXIT_HELD), "message page could be touched")?;
    let (_, end) = children::run(ctx, Behaviour::StoreOwnText)?;
    let held = matches!(end, End::Faulted { cause: FaultCause::Store, .. });
    ensure(held, "a read-only page could be written")
}

/// Every syscall number with garbage in every register: errors, and nothing else.
pub(crate) fn garbage_syscalls<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let (_, end) = children::run(ctx, Behaviour::Garbage)?;
    ensure(end == End::Exited(EXIT_HELD), "garbage had an effect")?;
    crate::policy_steps::allowed_still(ctx)
}
