//! What a child is made of, and that no failure leaves a part of one.

mod fake;

use nexus_abi::{
    Call, Error, Handle, Rights, ServiceId, SyscallMask,
    layout::{PAGE, STACK_TOP},
    syscall::{Prot, Quota, Seal},
};
use nexus_elf::{ElfError, testing::DATA, testing::minimal_elf};

use crate::{EXIT_ABANDONED, STACK_PAGES_MAX, SpawnError, Spec, create, sealed_copy};
use fake::Fake;

const BASE: u64 = 0x1000_0000;

const SPEC: Spec = Spec {
    factory: Handle::fixed(4),
    service: ServiceId(900),
    mask: SyscallMask(0b1011),
    quota: Quota { frames: 64, objects: 3 },
    priority: 2,
    stack_pages: 4,
};

#[test]
fn child_has_the_memory_its_image_says() {
    let mut sys = Fake::new();
    let image = minimal_elf(BASE);
    let child = create(&mut sys, &SPEC, &image).unwrap();
    assert_eq!((child.entry, child.sp), (BASE, STACK_TOP));
    let stack = 4 * PAGE;
    let expect = [
        (BASE, 0, PAGE, Prot::ReadExec),
        (BASE + PAGE, 1, 2 * PAGE, Prot::ReadWrite),
        (STACK_TOP - stack, 2, stack, Prot::ReadWrite),
    ];
    assert_eq!(sys.maps, expect);
    assert_eq!(sys.vmos[&0].seal, Some(Seal::Exec));
    assert_eq!(sys.vmos[&0].bytes()[..8], image[PAGE as usize..][..8]);
    let data = sys.vmos[&1].bytes();
    assert_eq!(data[..8], DATA);
    assert!(data[8..].iter().all(|b| *b == 0));
    assert_eq!(sys.handles.len(), 1, "only the process handle stays open");
}

#[test]
fn child_gets_what_the_spec_says_and_nothing_else() {
    let mut sys = Fake::new();
    let child = create(&mut sys, &SPEC, &minimal_elf(BASE)).unwrap();
    let Spec { factory, service, mask, quota, priority, .. } = SPEC;
    assert_eq!(sys.log[0], Call::ProcCreate { factory, service, mask, quota, priority });
    assert!(!sys.log.iter().any(|c| matches!(c, Call::CapDerive { .. })));
    child.give(&mut sys, Handle::fixed(9), Rights::CALL, 7, 0).unwrap();
    let cap = Handle::fixed(9);
    let derive =
        Call::CapDerive { cap, rights: Rights::CALL, badge: 7, child: child.process, slot: 0 };
    assert_eq!(sys.log.last(), Some(&derive));
    child.start(&mut sys, 55).unwrap();
    let start = Call::ProcStart { proc: child.process, entry: BASE, sp: STACK_TOP, arg: 55 };
    assert_eq!(sys.log.last(), Some(&start));
    assert_eq!(sys.ended, None);
}

#[test]
fn test_reject_bad_image_before_any_syscall() {
    let mut sys = Fake::new();
    let refused = create(&mut sys, &SPEC, b"not an image");
    assert_eq!(refused, Err(SpawnError::Image(ElfError::Malformed)));
    for stack_pages in [0, STACK_PAGES_MAX + 1] {
        let spec = Spec { stack_pages, ..SPEC };
        assert_eq!(create(&mut sys, &spec, &minimal_elf(BASE)), Err(SpawnError::Stack));
    }
    assert!(sys.log.is_empty());
}

#[test]
fn any_failing_step_leaves_nothing() {
    let image = minimal_elf(BASE);
    let run = |sys: &mut Fake| {
        let child = create(sys, &SPEC, &image)?;
        child.give(sys, Handle::fixed(9), Rights::CALL, 7, 0)?;
        child.start(sys, 0)
    };
    let mut failures = 0;
    for fuse in 0.. {
        let mut sys = Fake::new();
        sys.fuse = fuse;
        match run(&mut sys) {
            Ok(()) => break,
            Err(error) => assert_eq!(error, SpawnError::Kernel(Error::NoSpace)),
        }
        failures += 1;
        assert!(sys.handles.is_empty() && sys.maps.is_empty(), "after step {fuse}");
        // Without a process there is nothing to end; with one it is ended.
        assert_eq!(sys.ended, (fuse > 0).then_some(EXIT_ABANDONED));
    }
    assert_eq!(failures, 12, "create, 2 segments, stack, give, start");
}

#[test]
fn sealed_copy_holds_the_bytes_and_cannot_change() {
    for len in [1usize, 7, 8, 9, PAGE as usize - 1, PAGE as usize, PAGE as usize + 3] {
        let mut sys = Fake::new();
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + 1) as u8).collect();
        sealed_copy(&mut sys, &bytes).unwrap();
        let vmo = &sys.vmos[&0];
        assert_eq!(vmo.seal, Some(Seal::ReadOnly));
        let held = vmo.bytes();
        assert_eq!(held[..len], bytes);
        assert_eq!(held.len(), len.next_multiple_of(PAGE as usize));
        assert!(held[len..].iter().all(|b| *b == 0));
    }
    for fuse in 0..3 {
        let mut sys = Fake::new();
        sys.fuse = fuse;
        assert_eq!(sealed_copy(&mut sys, b"x"), Err(Error::NoSpace));
        assert!(sys.handles.is_empty());
    }
}
