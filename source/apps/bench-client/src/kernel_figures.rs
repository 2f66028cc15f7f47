//! One process and the kernel: the null call, mapping, revoking, making a process.

use bench_server::instret;
use nexus_abi::{
    Call, Error, Handle, Return, Rights, ServiceId, Sys, SyscallMask,
    layout::PAGE,
    syscall::{Prot, Quota, VmoKind},
};
use nexus_system::slots::bench_client::{
    FACTORY, FACTORY_FIRST_ID, FACTORY_MASK, FACTORY_PRIORITY,
};

use crate::{
    Failure,
    median::{between, median},
};

/// Where the page goes: between the images and the views, used by nobody.
const FREE_VA: u64 = 0x10_0000_0000;

/// Capabilities one revocation destroys: a resource handed to a handful of clients.
const DERIVED: u64 = 8;

/// What the process made and thrown away may own: enough for its own page tables.
const QUOTA: Quota = Quota { frames: 32, objects: 1 };

/// In, refused by the syscall mask, recorded, out: the one syscall the manifest keeps out of this
/// program's mask.
pub(crate) fn null_syscall<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    median(|| {
        let before = instret();
        // Written out here, so that the registers are constants and only the trap is counted.
        let answer = sys.syscall(Call::MaskShrink { keep: SyscallMask::ALL });
        let after = instret();
        refused(answer, Error::Denied).map(|()| between(before, after))
    })
}

/// In, decoded, refused, out: closing a capability that cannot be.
pub(crate) fn refused_syscall<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    median(|| {
        let before = instret();
        let answer = sys.syscall(Call::CapClose { cap: Handle::NONE });
        let after = instret();
        refused(answer, Error::BadHandle).map(|()| between(before, after))
    })
}

fn refused(answer: Return, why: Error) -> Result<(), Failure> {
    if answer == Return::Failed(why) { Ok(()) } else { Err("not refused") }
}

/// Mapping one page.
pub(crate) fn vm_map<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    let create = Call::VmoCreate { len: PAGE, kind: VmoKind::Ram, authority: Handle::NONE };
    let vmo = sys.make(create).map_err(|_| "no memory")?;
    let proc = Handle::NONE;
    let map = Call::VmMap { proc, vmo, va: FREE_VA, offset: 0, len: PAGE, prot: Prot::ReadWrite };
    let result = median(|| {
        let before = instret();
        let mapped = sys.run(map);
        let after = instret();
        mapped.map_err(|_| "not mapped")?;
        let unmap = Call::VmUnmap { proc, va: FREE_VA, len: PAGE };
        sys.run(unmap).map_err(|_| "not unmapped")?;
        Ok(between(before, after))
    });
    closed(sys, vmo, result)
}

/// Revoking a capability from which [`DERIVED`] others descend.
pub(crate) fn cap_revoke<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    let cap = sys.make(Call::NotifCreate {}).map_err(|_| "no notification")?;
    let result = median(|| {
        for _ in 0..DERIVED {
            sys.derive(cap, Rights::SIGNAL, 0).map_err(|_| "not derived")?;
        }
        let before = instret();
        let revoked = sys.run(Call::CapRevoke { cap });
        let after = instret();
        match revoked {
            Ok([DERIVED, ..]) => Ok(between(before, after)),
            _ => Err("not everything was revoked"),
        }
    });
    closed(sys, cap, result)
}

/// Making a process: identity, space, tables, nothing loaded.
pub(crate) fn proc_create<S: Sys>(sys: &mut S) -> Result<u64, Failure> {
    let create = Call::ProcCreate {
        factory: FACTORY,
        service: ServiceId(FACTORY_FIRST_ID),
        mask: SyscallMask(FACTORY_MASK),
        quota: QUOTA,
        priority: FACTORY_PRIORITY,
    };
    median(|| {
        let before = instret();
        let made = sys.make(create);
        let after = instret();
        let proc = made.map_err(|_| "no process")?;
        let ended = sys.run(Call::ProcExit { proc, code: 0 });
        let result = ended.map(|_| between(before, after)).map_err(|_| "process not ended");
        closed(sys, proc, result)
    })
}

/// Gives the capability up whatever came of it.
fn closed<S: Sys>(sys: &mut S, cap: Handle, result: Result<u64, Failure>) -> Result<u64, Failure> {
    let gone = sys.run(Call::CapClose { cap }).map_err(|_| "not closed");
    result.and_then(|count| gone.map(|_| count))
}
