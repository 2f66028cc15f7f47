//! Memory objects, mappings, seals, quota, factories.

use nexus_abi::{
    Call, Error, Handle, Rights, ServiceId, SyscallMask,
    layout::{MESSAGE_PAGE, PAGE, USER_MAX},
    syscall::{FactoryCeiling, Prot, Quota, Seal, Topic, VmoKind},
};

use crate::{
    common::{INIT, World},
    family::{FACTORY, world},
};

const VA: u64 = 0x5000_0000;

fn ram(w: &mut World, pages: u64) -> Handle {
    let (kind, authority) = (VmoKind::Ram, Handle::NONE);
    w.handle(INIT, Call::VmoCreate { len: pages * PAGE, kind, authority })
}

fn map(vmo: Handle, va: u64, prot: Prot) -> Call {
    Call::VmMap { proc: Handle::NONE, vmo, va, offset: 0, len: PAGE, prot }
}

#[test]
fn a_frame_is_writable_or_executable_never_both() {
    let mut w = world();
    let vmo = ram(&mut w, 1);
    assert_eq!(w.err(INIT, map(vmo, VA, Prot::ReadExec)), Error::WriteXorExecute);
    w.ok(INIT, map(vmo, VA, Prot::ReadWrite));
    let seal = Call::VmoSeal { vmo, seal: Seal::Exec };
    assert_eq!(w.err(INIT, seal), Error::WriteXorExecute);
    w.ok(INIT, Call::VmUnmap { proc: Handle::NONE, va: VA, len: PAGE });
    w.ok(INIT, seal);
    w.ok(INIT, map(vmo, VA, Prot::ReadExec));
    assert_eq!(w.err(INIT, map(vmo, VA + PAGE, Prot::ReadWrite)), Error::WriteXorExecute);
    assert_eq!(w.err(INIT, seal), Error::WrongState);
    let device = Call::VmoSeal { vmo: Handle::fixed(7), seal: Seal::Exec };
    assert_eq!(w.err(INIT, device), Error::WrongState);
}

#[test]
fn test_reject_addresses_outside_user_space() {
    let mut w = world();
    let vmo = ram(&mut w, 2);
    for va in [0, 0xf000, VA + 1, MESSAGE_PAGE, USER_MAX, 1 << 38, 1 << 47, 0u64.wrapping_sub(PAGE)]
    {
        assert_eq!(w.err(INIT, map(vmo, va, Prot::Read)), Error::InvalidArgument, "{va:#x}");
    }
    let over = Call::VmMap {
        proc: Handle::NONE,
        vmo,
        va: MESSAGE_PAGE - PAGE,
        offset: 0,
        len: 2 * PAGE,
        prot: Prot::Read,
    };
    assert_eq!(w.err(INIT, over), Error::InvalidArgument);
    let past = Call::VmMap {
        proc: Handle::NONE,
        vmo,
        va: VA,
        offset: PAGE,
        len: 2 * PAGE,
        prot: Prot::Read,
    };
    assert_eq!(w.err(INIT, past), Error::InvalidArgument);
    w.ok(INIT, map(vmo, VA, Prot::Read));
    assert_eq!(w.err(INIT, map(vmo, VA, Prot::Read)), Error::Overlap);
    assert_eq!(w.ok(INIT, Call::VmUnmap { proc: Handle::NONE, va: MESSAGE_PAGE, len: PAGE })[0], 0);
}

#[test]
fn revocation_takes_the_mapping_even_after_its_capability_was_closed() {
    let mut w = world();
    let vmo = ram(&mut w, 1);
    let (rights, child) = (Rights::READ, Handle::NONE);
    let copy = w.handle(INIT, Call::CapDerive { cap: vmo, rights, badge: 0, child, slot: 0 });
    w.ok(INIT, map(vmo, VA, Prot::Read));
    w.ok(INIT, map(copy, VA + PAGE, Prot::Read));
    w.ok(INIT, Call::CapClose { cap: copy });
    let maps = |w: &World| {
        w.kernel.inspect().mappings().filter(|m| m.va >= VA && m.va < VA + 2 * PAGE).count()
    };
    assert_eq!(maps(&w), 2);
    w.ok(INIT, Call::CapRevoke { cap: vmo });
    assert_eq!(maps(&w), 1, "the mapping made through the capability itself stays");
}

#[test]
fn frames_come_back_when_nothing_refers_to_them() {
    let mut w = world();
    w.child(9, 1);
    let used = |w: &World| w.kernel.inspect().pool().frames_used;
    let before = used(&w);
    let vmo = ram(&mut w, 8);
    w.ok(INIT, map(vmo, VA, Prot::ReadWrite));
    w.ok(INIT, Call::CapClose { cap: vmo });
    assert!(used(&w) >= before + 8, "the mapping keeps them");
    let tables = w.m.table_frames(INIT);
    w.ok(INIT, Call::VmUnmap { proc: Handle::NONE, va: VA, len: 8 * PAGE });
    let spare = used(&w) - before;
    assert!(spare as usize <= tables, "{spare} frames lost");
    assert_eq!(
        w.err(
            INIT,
            Call::VmoCreate { len: 151 * PAGE, kind: VmoKind::Ram, authority: Handle::NONE }
        ),
        Error::QuotaExceeded
    );
}

#[test]
fn physical_addresses_need_the_dma_right() {
    let mut w = world();
    let create = |authority| Call::VmoCreate { len: PAGE, kind: VmoKind::Dma, authority };
    assert_eq!(w.err(INIT, create(Handle::NONE)), Error::BadHandle);
    let dma = w.handle(INIT, create(FACTORY));
    assert_ne!(w.ok(INIT, Call::ObjectInfo { cap: dma, topic: Topic::Vmo })[2], 0);
    let (rights, child) = (Rights::READ, Handle::NONE);
    let blind = w.handle(INIT, Call::CapDerive { cap: dma, rights, badge: 0, child, slot: 0 });
    assert_eq!(w.ok(INIT, Call::ObjectInfo { cap: blind, topic: Topic::Vmo })[2], 0);
    let plain = ram(&mut w, 1);
    assert_eq!(w.ok(INIT, Call::ObjectInfo { cap: plain, topic: Topic::Vmo })[2], 0);
}

#[test]
fn a_narrower_factory_makes_only_what_it_was_cut_for() {
    let mut w = world();
    let ceiling = FactoryCeiling {
        first_id: 900,
        count_log2: 5,
        priority: 2,
        mask: SyscallMask(0xff),
        frame_units: 4,
        object_units: 1,
    };
    let cut = |w: &mut World, cap, ceiling: FactoryCeiling| {
        let rights = Rights::MANAGE.or(Rights::DERIVE);
        let badge = ceiling.pack().unwrap();
        w.call(INIT, Call::CapDerive { cap, rights, badge, child: Handle::NONE, slot: 0 })
    };
    let Some(nexus_abi::Return::Values([raw, ..])) = cut(&mut w, FACTORY, ceiling) else {
        panic!()
    };
    let factory = Handle::from_raw(raw as u32);
    let make = |id, mask, priority, frames| Call::ProcCreate {
        factory,
        service: ServiceId(id),
        mask: SyscallMask(mask),
        quota: Quota { frames, objects: 1 },
        priority,
    };
    for (id, mask, priority) in [(899, 1, 1), (932, 1, 1), (900, 0x1ff, 1), (900, 1, 3)] {
        assert_eq!(w.err(INIT, make(id, mask, priority, 8)), Error::OutsideCeiling);
    }
    assert_eq!(w.err(INIT, make(900, 1, 1, 65)), Error::QuotaExceeded);
    let wider = FactoryCeiling { count_log2: 6, ..ceiling };
    let refused = Some(nexus_abi::Return::Failed(Error::OutsideCeiling));
    assert_eq!(cut(&mut w, factory, wider), refused);
    w.ok(INIT, make(931, 0xff, 2, 64));
    assert_eq!(w.err(INIT, make(931, 1, 1, 0)), Error::Busy);
    assert_eq!(w.err(INIT, make(930, 1, 1, 8)), Error::QuotaExceeded);
}
