//! The published signature vectors, checked by a process of its own on this machine.

use nexus_abi::{
    Call, Handle, Sys, SyscallMask,
    syscall::{Quota, SourceOp, Topic, nr},
};
use nexus_spawn::Spec;
use nexus_system::slots::selftest_client as slots;

use crate::harness::{Ctx, Failure, MS, Outcome, ensure};

/// Enough for its page tables; image and stack are the creator's.
const QUOTA: Quota = Quota { frames: 64, objects: 8 };
/// Verifying needs 8 KiB, and as much again is erased below it.
const STACK_PAGES: u32 = 8;
/// Some 280 verifications with an enrolment each, in a build without haste.
const CHECKING_NS: u64 = 30_000 * MS;
/// It only computes and exits.
const MASK: SyscallMask = SyscallMask(1 << nr::ProcExit);
/// Exited by itself, as the kernel tells it.
const EXITED: u64 = 2;

/// Every vector of RFC 8032 and Wycheproof held on this machine, and every forged one was refused.
pub(crate) fn ed25519<S: Sys>(ctx: &mut Ctx<'_, S>) -> Outcome {
    let [len, ..] =
        ctx.sys.info(slots::IMAGE_KEY_VECTORS, Topic::Vmo).map_err(|_| "no vectors image")?;
    let image = ctx.sys.map_bytes(slots::IMAGE_KEY_VECTORS, len as usize);
    let image = image.map_err(|_| "vectors image not mapped")?;
    let spec = Spec {
        factory: slots::FACTORY,
        service: ctx.next_probe_id(),
        mask: MASK,
        quota: QUOTA,
        priority: slots::FACTORY_PRIORITY,
        stack_pages: STACK_PAGES,
    };
    let child = nexus_spawn::create(ctx.sys, &spec, image).map_err(|_| "vectors not created")?;
    let death = ctx.sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
    let bind =
        Call::SourceControl { source: child.process, op: SourceOp::Bind, notif: death, bit: 0 };
    ctx.sys.run(bind).map_err(|_| "death not bound")?;
    child.start(ctx.sys, 0).map_err(|_| "vectors not started")?;
    let ended = end(ctx, child.process, death);
    for cap in [child.process, death] {
        ctx.sys.run(Call::CapClose { cap }).map_err(|_| "not closed")?;
    }
    // The exit code counts the vectors that held: a process that checked nothing has another one.
    match ended? {
        [EXITED, code, ..] => ensure(code as i32 == key_vectors::COUNT, "a vector does not hold"),
        _ => Err("the vectors process faulted"),
    }
}

fn end<S: Sys>(ctx: &mut Ctx<'_, S>, process: Handle, death: Handle) -> Result<[u64; 4], Failure> {
    let deadline_ns = ctx.within(CHECKING_NS);
    let died = ctx.sys.run(Call::Wait { notif: death, mask: 1, deadline_ns });
    died.map_err(|_| "the vectors process does not end")?;
    ctx.sys.info(process, Topic::Process).map_err(|_| "no exit information")
}
