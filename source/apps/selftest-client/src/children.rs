//! Probe processes: made through the factory, watched, and always cleaned up.

use nexus_abi::{
    Call, FaultCause, Handle, Rights, ServiceId, Sys, SyscallMask,
    layout::SLOT_SERVER,
    syscall::{Quota, SourceOp, Topic, nr},
};
use nexus_spawn::{Child, Spec};
use nexus_system::slots::selftest_client as slots;
use probe::Behaviour;

use crate::harness::{Ctx, Failure, MS};

/// Frames enough for the probe's image, stack and tables.
const QUOTA: Quota = Quota { frames: 64, objects: 8 };
/// A probe that has not ended by then hangs.
const PROBE_NS: u64 = 200 * MS;

/// All the factory may give, but for the one syscall whose refusal is proved.
const MASK: SyscallMask = SyscallMask(slots::FACTORY_MASK & !(1 << nr::EndpointCreate));

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited(i32),
    Faulted { cause: FaultCause, addr: u64 },
    Killed,
}

/// A probe and the notification that tells of its death.
pub(crate) struct Probe {
    pub(crate) child: Child,
    pub(crate) service: ServiceId,
    death: Handle,
    behaviour: Behaviour,
}

impl Probe {
    /// A probe that has its death watched, but has not started.
    pub(crate) fn new<S: Sys>(
        ctx: &mut Ctx<'_, S>,
        behaviour: Behaviour,
    ) -> Result<Probe, Failure> {
        let service = ctx.next_probe_id();
        let spec = Spec {
            factory: slots::FACTORY,
            service,
            mask: MASK,
            quota: QUOTA,
            priority: slots::FACTORY_PRIORITY,
            stack_pages: 2,
        };
        let child =
            nexus_spawn::create(ctx.sys, &spec, ctx.probe).map_err(|_| "probe not created")?;
        let death = ctx.sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
        let bind =
            Call::SourceControl { source: child.process, op: SourceOp::Bind, notif: death, bit: 0 };
        ctx.sys.run(bind).map_err(|_| "death not bound")?;
        Ok(Probe { child, service, death, behaviour })
    }

    /// Gives the probe a capability in `slot`.
    pub(crate) fn give<S: Sys>(
        &self,
        ctx: &mut Ctx<'_, S>,
        cap: Handle,
        rights: Rights,
        slot: u8,
    ) -> Result<(), Failure> {
        self.child.give(ctx.sys, cap, rights, 0, slot).map_err(|_| "capability not given")
    }

    pub(crate) fn start<S: Sys>(&self, ctx: &mut Ctx<'_, S>) -> Result<(), Failure> {
        self.child.start(ctx.sys, self.behaviour.arg()).map_err(|_| "probe not started")
    }

    /// Waits for its death and gives everything of it back.
    pub(crate) fn end<S: Sys>(self, ctx: &mut Ctx<'_, S>) -> Result<End, Failure> {
        let deadline_ns = ctx.within(PROBE_NS);
        let died = ctx.sys.run(Call::Wait { notif: self.death, mask: 1, deadline_ns });
        let info = ctx.sys.info(self.child.process, Topic::Process);
        self.clean_up(ctx);
        died.map_err(|_| "parent not told of the death")?;
        match info.map_err(|_| "no exit information")? {
            [2, code, ..] => Ok(End::Exited(code as i32)),
            [3, cause, addr, _] => u8::try_from(cause)
                .ok()
                .and_then(FaultCause::from_code)
                .map(|cause| End::Faulted { cause, addr })
                .ok_or("unknown fault cause"),
            [4, ..] => Ok(End::Killed),
            _ => Err("dead probe still runs"),
        }
    }

    /// Ends it from outside.
    pub(crate) fn kill<S: Sys>(self, ctx: &mut Ctx<'_, S>) -> Result<(), Failure> {
        let killed = ctx.sys.run(Call::ProcExit { proc: self.child.process, code: -2 });
        self.clean_up(ctx);
        killed.map(|_| ()).map_err(|_| "probe not killed")
    }

    fn clean_up<S: Sys>(&self, ctx: &mut Ctx<'_, S>) {
        for cap in [self.child.process, self.death] {
            // Nothing depends on these any more; a failure shows in the next probe's quota.
            let _closed = ctx.sys.run(Call::CapClose { cap });
        }
    }
}

/// Starts a probe that needs no capabilities and tells how it ended.
pub(crate) fn run<S: Sys>(
    ctx: &mut Ctx<'_, S>,
    behaviour: Behaviour,
) -> Result<(ServiceId, End), Failure> {
    let probe = Probe::new(ctx, behaviour)?;
    probe.start(ctx)?;
    let service = probe.service;
    Ok((service, probe.end(ctx)?))
}

/// A started probe that serves `endpoint` but never answers, which the caller must end.
pub(crate) fn sink<S: Sys>(ctx: &mut Ctx<'_, S>, endpoint: Handle) -> Result<Probe, Failure> {
    let probe = Probe::new(ctx, Behaviour::Sink)?;
    probe.give(ctx, endpoint, Rights::RECV, SLOT_SERVER)?;
    probe.start(ctx)?;
    Ok(probe)
}
