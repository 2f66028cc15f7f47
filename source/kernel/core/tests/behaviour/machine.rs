//! Boot, scheduling, console, events, interrupts, masks.

use nexus_abi::{
    Call, Error, EventKind, FaultCause, Handle, KernelEvent, Return, ServiceId, SyscallMask,
    layout::{PAGE, STACK_TOP},
    syscall::{SourceOp, Topic, nr},
};
use nexus_kernel_core::{Kernel, Outcome, limits::TIME_SLICE_NS};

use crate::{
    common::{ENTRY, INIT, IRQ_LINE, World},
    family::{LOG, NEVER, len, world},
};

fn say(w: &mut World, text: &str) {
    w.m.pages[INIT.index()][..text.len()].copy_from_slice(text.as_bytes());
    w.ok(INIT, Call::ConsoleWrite { len: len(text.len()) });
}

fn events(w: &mut World) -> Vec<KernelEvent> {
    let [moved, ..] = w.ok(INIT, Call::ObjectInfo { cap: LOG, topic: Topic::Events });
    let page = &w.m.pages[INIT.index()];
    let chunks = page.chunks_exact(KernelEvent::BYTES).take(moved as usize);
    chunks.map(|b| KernelEvent::decode(b.try_into().unwrap()).unwrap()).collect()
}

#[test]
fn boot_starts_init_with_everything() {
    let w = world();
    assert_eq!(w.last, Outcome::Resume(INIT));
    assert_eq!(w.m.started, [(INIT, ENTRY, STACK_TOP, 4 * PAGE)]);
    let slots: Vec<u8> = w.kernel.inspect().caps().map(|c| c.place.slot).collect();
    assert_eq!(slots, [4, 5, 6, 7, 8]);
    assert!(w.m.tables.contains_key(&(0, STACK_TOP / PAGE - 2)));
    assert!(!w.m.tables.contains_key(&(0, STACK_TOP / PAGE - 3)), "the guard page");
}

#[test]
fn equals_share_in_slices_and_higher_priority_preempts() {
    let mut w = world();
    let equal = w.child(2, 5);
    let equal = w.start(equal);
    assert_eq!(w.last, Outcome::Resume(INIT));
    let end = w.m.timer.unwrap();
    assert_eq!(end, w.m.now + TIME_SLICE_NS);
    w.tick(end);
    assert_eq!(w.last, Outcome::Resume(equal));
    w.tick(end + TIME_SLICE_NS);
    assert_eq!(w.last, Outcome::Resume(INIT));
    let higher = w.child(3, 7);
    let higher = w.start(higher);
    assert_eq!(w.last, Outcome::Resume(higher));
    let sleep = Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: w.m.now + 1 };
    assert_eq!(w.call(higher, sleep), None);
    assert_eq!(w.last, Outcome::Resume(INIT), "preempted, not rotated");
    assert_eq!(
        w.err(INIT, Call::Wait { notif: Handle::NONE, mask: 0, deadline_ns: NEVER }),
        Error::InvalidArgument
    );
}

#[test]
fn console_lines_are_whole_stamped_and_printable() {
    let mut w = world();
    say(&mut w, "half");
    assert!(w.m.console.is_empty());
    say(&mut w, " line\n\x1b[2Kfake\r\nrest");
    let expected = [(1, "half line".to_string()), (1, "?[2Kfake?".to_string())];
    assert_eq!(w.m.console, expected);
    for _ in 0..2 {
        say(&mut w, &"x".repeat(200));
    }
    assert_eq!(w.m.console.len(), 3, "a full line is printed");
    assert_eq!(w.call(INIT, Call::ProcExit { proc: Handle::NONE, code: 0 }), None);
    assert_eq!(w.m.console.len(), 4, "the rest is printed at the end");
    assert_eq!(w.last, Outcome::Idle);
}

#[test]
fn a_denied_call_is_an_error_a_count_and_an_event() {
    let mut w = world();
    let keep = SyscallMask(!(1 << nr::NotifCreate));
    w.ok(INIT, Call::MaskShrink { keep });
    assert_eq!(w.err(INIT, Call::NotifCreate {}), Error::Denied);
    w.ok(INIT, Call::MaskShrink { keep: SyscallMask(NEVER) });
    assert_eq!(w.err(INIT, Call::NotifCreate {}), Error::Denied, "a mask never grows");
    w.m.returns.clear();
    w.raw(INIT, 64, [0; 6]);
    assert_eq!(w.answer(INIT), Some(Return::Failed(Error::Denied)));
    assert_eq!(w.kernel.inspect().process(INIT).unwrap().denied, 3);
    let seen = events(&mut w);
    assert_eq!(
        seen.iter().map(|e| e.arg0).collect::<Vec<_>>(),
        [nr::NotifCreate, nr::NotifCreate, 64]
    );
    assert!(seen.iter().all(|e| e.kind == EventKind::SyscallDenied && e.service == ServiceId(1)));
    assert_eq!(seen.iter().map(|e| e.seq).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn refusals_for_rights_kind_and_size_leave_events() {
    let mut w = world();
    let image = Handle::fixed(6);
    assert_eq!(w.err(INIT, Call::CapRevoke { cap: image }), Error::MissingRight);
    assert_eq!(w.err(INIT, Call::Signal { notif: image, bits: 1 }), Error::WrongType);
    w.m.returns.clear();
    w.raw(INIT, nr::Call, [0, 513, 0, 0, 0, 0]);
    assert_eq!(w.answer(INIT), Some(Return::Failed(Error::TooLarge)));
    let seen: Vec<_> = events(&mut w).iter().map(|e| (e.kind, e.arg0, e.arg1)).collect();
    let cap = u64::from(image.raw());
    assert_eq!(
        seen,
        [
            (EventKind::CapDenied, cap, nr::CapRevoke),
            (EventKind::CapDenied, cap, nr::Signal),
            (EventKind::FrameRefused, 513, nr::Call)
        ]
    );
}

#[test]
fn a_fault_kills_its_process_and_tells_the_parent() {
    let mut w = world();
    let notif = w.handle(INIT, Call::NotifCreate {});
    let proc = w.child(2, 6);
    w.ok(INIT, Call::SourceControl { source: proc, op: SourceOp::Bind, notif, bit: 3 });
    let child = w.start(proc);
    w.last = w.kernel.fault(&mut w.m, child, FaultCause::Store, 0xdead, 0x1_0004);
    assert_eq!(w.last, Outcome::Resume(INIT));
    let wait = Call::Wait { notif, mask: NEVER, deadline_ns: 0 };
    assert_eq!(w.call(INIT, wait), Some(Return::Notified { bits: 8 }));
    let info = Call::ObjectInfo { cap: proc, topic: Topic::Process };
    assert_eq!(w.ok(INIT, info), [3, FaultCause::Store as u64, 0xdead, 2]);
    let last = *events(&mut w).last().unwrap();
    assert_eq!((last.kind, last.detail), (EventKind::ProcessFaulted, FaultCause::Store as u8));
    assert_eq!((last.arg0, last.arg1, last.service), (0xdead, 0x1_0004, ServiceId(2)));
    w.ok(INIT, Call::CapClose { cap: proc });
    assert_eq!(w.kernel.inspect().processes().count(), 1);
    assert_eq!(w.err(INIT, info), Error::BadHandle);
}

#[test]
fn an_interrupt_is_masked_until_acknowledged() {
    let mut w = world();
    let irq = Handle::fixed(8);
    let notif = w.handle(INIT, Call::NotifCreate {});
    w.ok(INIT, Call::SourceControl { source: irq, op: SourceOp::Bind, notif, bit: 0 });
    assert_eq!(w.m.masked.get(&IRQ_LINE), Some(&false));
    assert_eq!(w.call(INIT, Call::Wait { notif, mask: 1, deadline_ns: NEVER }), None);
    assert_eq!(w.last, Outcome::Idle);
    w.last = w.kernel.irq(&mut w.m, None, IRQ_LINE);
    assert_eq!(w.last, Outcome::Resume(INIT));
    assert_eq!(w.answer(INIT), Some(Return::Notified { bits: 1 }));
    assert_eq!(w.m.masked.get(&IRQ_LINE), Some(&true));
    w.ok(INIT, Call::SourceControl { source: irq, op: SourceOp::Ack, notif: Handle::NONE, bit: 0 });
    assert_eq!(w.m.masked.get(&IRQ_LINE), Some(&false));
}

#[test]
fn test_reject_calls_of_a_process_that_does_not_run() {
    let mut w = world();
    let idle = w.child(2, 1);
    let idle = w.start(idle);
    w.m.returns.clear();
    let _kept = w.kernel.syscall(&mut w.m, idle, nr::NotifCreate, &[0; 6]);
    assert!(w.m.returns.is_empty());
    assert!(size_of::<Kernel>() < 256 * 1024);
}
