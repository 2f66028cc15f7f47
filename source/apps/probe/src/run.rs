//! The behaviours, on the device only: most of them are the hardware's to stop.

use nexus_abi::{
    Call, Error, Handle, Return, Sys,
    layout::{MESSAGE_PAGE, PAGE, SLOT_SERVER},
    syscall::{Prot, SPECS, Topic, VmoKind, nr},
};
use nexus_rt::fault_probes as fault;
use probe::{
    Behaviour, ECHO_FRAME, EXIT_AT_ONCE, EXIT_BROKEN, EXIT_HELD, EXIT_MISUSED, EXIT_PEER_DIED,
    SLOT_GO, SLOT_TARGET,
};

/// A wait for a peer or a signal may be without end.
const FOREVER: u64 = u64::MAX;
/// A sleep may not: nothing could ever end it. This one ends in 584 years.
const LAST_MOMENT: u64 = u64::MAX - 1;
/// Where the kernel's text is linked, and where it is loaded.
const KERNEL_TEXT: u64 = 0xffff_ffc0_8020_0000;
const KERNEL_PHYSICAL: u64 = 0x8020_0000;
const UART: u64 = 0x1000_0000;

/// Returns only where the behaviour is one the process should survive.
pub(crate) fn run<S: Sys>(sys: &mut S, arg: u64) -> i32 {
    let Some(behaviour) = Behaviour::from_arg(arg) else { return EXIT_MISUSED };
    match behaviour {
        Behaviour::LoadNull => loaded(0),
        Behaviour::LoadAboveUser => loaded(1 << 38),
        Behaviour::LoadNonCanonical => loaded(1 << 47),
        Behaviour::LoadKernel => loaded(KERNEL_TEXT),
        Behaviour::LoadPhysicalAlias => loaded(KERNEL_PHYSICAL),
        Behaviour::LoadUngrantedMmio => loaded(UART),
        Behaviour::StoreKernel => fault::store(KERNEL_TEXT, 0),
        Behaviour::JumpKernel => fault::jump(KERNEL_TEXT),
        Behaviour::StoreOwnText => fault::store_own_text(),
        Behaviour::StackOverflow => fault::overflow_stack(),
        Behaviour::Illegal => fault::illegal(),
        Behaviour::Breakpoint => fault::ebreak(),
        Behaviour::Spin => fault::spin(),
        Behaviour::ExitAtOnce => return EXIT_AT_ONCE,
        Behaviour::Sink => return sink(sys),
        Behaviour::Hold => sys.sleep_until(LAST_MOMENT),
        Behaviour::DeniedSyscall => return held(denied_syscall(sys)),
        Behaviour::MessagePage => return held(message_page(sys)),
        Behaviour::Garbage => return held(garbage(sys)),
        Behaviour::CallWhenTold => return call_when_told(sys),
        Behaviour::CallAndWait => return call(sys),
    }
    // Whatever should have ended the process did not.
    EXIT_BROKEN
}

fn held(ok: bool) -> i32 {
    if ok { EXIT_HELD } else { EXIT_BROKEN }
}

fn loaded(addr: u64) {
    // Kept alive so that the load is not optimised away.
    core::hint::black_box(fault::load(addr));
}

fn sink<S: Sys>(sys: &mut S) -> i32 {
    loop {
        if sys.recv(Handle::fixed(SLOT_SERVER), 0, FOREVER).is_err() {
            return EXIT_MISUSED;
        }
    }
}

fn who_am_i<S: Sys>(sys: &mut S) -> Option<[u64; 4]> {
    sys.info(Handle::NONE, Topic::Caller).ok()
}

fn denied_syscall<S: Sys>(sys: &mut S) -> bool {
    let refused = sys.syscall(Call::EndpointCreate { notif: Handle::NONE });
    let denied = refused == Return::Failed(Error::Denied);
    denied && who_am_i(sys).is_some()
}

fn message_page<S: Sys>(sys: &mut S) -> bool {
    let unmap = Call::VmUnmap { proc: Handle::NONE, va: MESSAGE_PAGE, len: PAGE };
    // Either an error, or an answer that says nothing was removed.
    let kept = matches!(sys.syscall(unmap), Return::Failed(_) | Return::Values([0, ..]));
    let ram = Call::VmoCreate { len: PAGE, kind: VmoKind::Ram, authority: Handle::NONE };
    let Ok(vmo) = sys.make(ram) else { return false };
    let over = Call::VmMap {
        proc: Handle::NONE,
        vmo,
        va: MESSAGE_PAGE,
        offset: 0,
        len: PAGE,
        prot: Prot::ReadWrite,
    };
    let refused = matches!(sys.syscall(over), Return::Failed(_));
    kept && refused && frame_works(sys)
}

/// The message page is still there and still the kernel's: it takes a store and a frame of it
/// reaches the console.
fn frame_works<S: Sys>(sys: &mut S) -> bool {
    let Some(first) = sys.frame_mut().first_mut() else { return false };
    *first = b'.';
    let Ok(len) = nexus_abi::syscall::FrameLen::new(0) else { return false };
    sys.frame().first() == Some(&b'.') && sys.run(Call::ConsoleWrite { len }).is_ok()
}

/// A small generator, so that every run throws the same garbage.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Registers that a careless decoder would trip over.
const EDGES: [u64; 12] = [
    0,
    1,
    u64::MAX,
    1 << 63,
    (1 << 38) - 1,
    1 << 47,
    KERNEL_TEXT,
    KERNEL_PHYSICAL,
    0x1ff,
    513,
    0xffff_ffff,
    0x1_0000_0000,
];

/// Calls that would end or stop the probe by design, or take away what it checks afterwards.
const WOULD_END: [u64; 8] = [
    nr::ProcExit,
    nr::MaskShrink,
    nr::Wait,
    nr::Recv,
    nr::ReplyRecv,
    nr::Call,
    nr::VmUnmap,
    nr::ConsoleWrite,
];

fn garbage<S: Sys>(sys: &mut S) -> bool {
    let Some(before) = who_am_i(sys) else { return false };
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let table = SPECS.len() as u64;
    let beyond = [64, 65, 255, 256, 1 << 32, u64::MAX - 1, u64::MAX];
    let mut sane = true;
    for number in (0..64).chain(beyond) {
        for edge in EDGES {
            let mut args = [edge; 6];
            throw(number, args);
            for arg in &mut args {
                *arg = noise.next();
            }
            let answer = throw(number, args);
            let unknown = number >= table;
            sane &= !unknown || answer == Return::Failed(Error::Denied);
        }
    }
    sane && who_am_i(sys) == Some(before)
}

fn throw(number: u64, mut args: [u64; 6]) -> Return {
    if WOULD_END.contains(&number) {
        // Every handle argument names a capability that cannot be: the call must refuse it.
        args[0] = u64::MAX;
        if number == nr::MaskShrink {
            args[0] = nexus_abi::SyscallMask::ALL.0;
        }
    }
    Return::from_regs(fault::raw_syscall(number, args))
}

fn call_when_told<S: Sys>(sys: &mut S) -> i32 {
    let go = Call::Wait { notif: Handle::fixed(SLOT_GO), mask: 1, deadline_ns: FOREVER };
    if sys.run(go).is_err() {
        return EXIT_MISUSED;
    }
    call(sys)
}

fn call<S: Sys>(sys: &mut S) -> i32 {
    for (place, byte) in sys.frame_mut().iter_mut().zip(ECHO_FRAME) {
        *place = byte;
    }
    match sys.call(Handle::fixed(SLOT_TARGET), ECHO_FRAME.len(), Handle::NONE, FOREVER) {
        Ok(_) => EXIT_BROKEN,
        Err(Error::Revoked | Error::BadHandle | Error::StaleHandle) => EXIT_HELD,
        Err(Error::PeerDied) => EXIT_PEER_DIED,
        Err(_) => EXIT_MISUSED,
    }
}
