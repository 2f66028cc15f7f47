//! Entry from and return to user mode.
//!
//! In user mode `sscratch` holds the running process's [`Context`], in the kernel 0: so one
//! `csrrw` both finds the context and tells a kernel trap, which is a bug or the probe.
//!
//! A syscall is a function call for the process: it gives up its caller-saved registers
//! (`nexus_abi::os`), and the Rust code keeps the callee-saved ones. So the short way in saves
//! only `sp` and `pc`, and the short way out, to the same process, loads the results and clears
//! the rest, so that no kernel value leaks. `s0..s11`, `gp` and `tp`, which the kernel never
//! uses, are saved only when another process runs next.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use nexus_abi::FaultCause;
use nexus_kernel_core::{Kernel, Outcome, Permitted, ProcIndex};

use crate::{context::Context, csr, fatal::fatal, machine::Rv64};

global_asm!(
    include_str!("trap.s"),
    on_syscall = sym on_syscall,
    on_trap = sym on_trap,
    on_kernel_trap = sym on_kernel_trap,
);

unsafe extern "C" {
    fn enter_user(context: *const Context) -> !;
}

struct State {
    kernel: Kernel,
    machine: Rv64,
    current: ProcIndex,
}

struct Island(UnsafeCell<State>);

// SAFETY: one hart, no nesting (see the crate): the state is only ever used by one trap.
unsafe impl Sync for Island {}

static STATE: Island = Island(UnsafeCell::new(State {
    kernel: Kernel::new(),
    machine: Rv64::new(),
    current: ProcIndex(0),
}));

/// # Safety
/// Called once per trap, by the first Rust function of it, and once at boot.
unsafe fn state() -> &'static mut State {
    // SAFETY: one hart, no nesting; by contract no other reference is in use.
    unsafe { &mut *STATE.0.get() }
}

/// Who runs next, in `a0` and `a1`.
#[repr(C)]
struct Next {
    /// The context to load.
    load: *const Context,
    /// The context whose callee-saved registers are still in place and must be stored, or null
    /// when it is the one to load.
    store: *mut Context,
}

/// The short way in. The parameters are the argument registers of the `ecall` itself. Small on
/// purpose: a denied call pays for none of what a permitted one needs.
extern "C" fn on_syscall(
    a0: u64,
    a1: u64,
    a2: u64,
    a3: u64,
    a4: u64,
    a5: u64,
    _a6: u64,
    number: u64,
) -> Next {
    // SAFETY: first Rust function of this trap.
    let state = unsafe { state() };
    match state.kernel.permit(state.current, number) {
        Some(permitted) => on_permitted(a0, a1, a2, a3, a4, a5, permitted, state),
        None => on_denied(number, state),
    }
}

/// Takes the arguments where the `ecall` left them, so that getting here costs a jump.
#[inline(never)]
extern "C" fn on_permitted(
    a0: u64,
    a1: u64,
    a2: u64,
    a3: u64,
    a4: u64,
    a5: u64,
    permitted: Permitted,
    state: &mut State,
) -> Next {
    let caller = state.current;
    let args = [a0, a1, a2, a3, a4, a5];
    let outcome = state.kernel.permitted(&mut state.machine, caller, permitted, &args);
    back(state, caller, outcome)
}

#[inline(never)]
fn on_denied(number: u64, state: &mut State) -> Next {
    let caller = state.current;
    let outcome = state.kernel.denied(&mut state.machine, caller, number);
    // The caller goes on: nothing was left, so nothing has to be entered.
    if outcome == Outcome::Resume(caller) {
        return Next { load: state.machine.context(caller), store: core::ptr::null_mut() };
    }
    back(state, caller, outcome)
}

#[inline(always)]
fn back(state: &mut State, caller: ProcIndex, outcome: Outcome) -> Next {
    let next = settle(state, outcome);
    if next == caller {
        return Next { load: state.machine.context(caller), store: core::ptr::null_mut() };
    }
    let store = &raw mut *state.machine.context(caller);
    Next { load: state.machine.context(next), store }
}

const INTERRUPT: u64 = 1 << 63;
const TIMER_INTERRUPT: u64 = INTERRUPT | 5;
const EXTERNAL_INTERRUPT: u64 = INTERRUPT | 9;

/// The long way in: interrupts and faults, with every register saved.
extern "C" fn on_trap(cause: u64, value: u64) -> *const Context {
    // SAFETY: first Rust function of this trap.
    let state = unsafe { state() };
    let current = state.current;
    let outcome = match cause {
        TIMER_INTERRUPT => timer(state, Some(current)),
        EXTERNAL_INTERRUPT => external(state, Some(current)),
        spurious if spurious & INTERRUPT != 0 => Outcome::Resume(current),
        exception => {
            let State { kernel, machine, .. } = state;
            let (pc, cause) = (machine.pc(current), fault_cause(exception));
            machine.note_fault(current, cause, value);
            kernel.fault(machine, current, cause, value, pc)
        }
    };
    let next = settle(state, outcome);
    state.machine.context(next)
}

/// Exception codes of the privileged specification 1.12, table 4.2.
fn fault_cause(exception: u64) -> FaultCause {
    match exception {
        1 | 12 => FaultCause::Fetch,
        2 => FaultCause::Illegal,
        3 => FaultCause::Breakpoint,
        5 | 13 => FaultCause::Load,
        7 | 15 => FaultCause::Store,
        0 | 4 | 6 => FaultCause::Misaligned,
        _ => FaultCause::Other,
    }
}

fn timer(state: &mut State, current: Option<ProcIndex>) -> Outcome {
    let State { kernel, machine, .. } = state;
    machine.timer_fired();
    let outcome = kernel.timer(machine, current);
    machine.quiet_timer();
    outcome
}

fn external(state: &mut State, current: Option<ProcIndex>) -> Outcome {
    let State { kernel, machine, .. } = state;
    match machine.claim() {
        Some(line) => kernel.irq(machine, current, line),
        None => current.map_or(Outcome::Idle, Outcome::Resume),
    }
}

/// Waits for interrupts until somebody can run, and makes that process current.
#[inline(always)]
fn settle(state: &mut State, outcome: Outcome) -> ProcIndex {
    let next = match outcome {
        Outcome::Resume(next) => next,
        Outcome::Idle => idle(state),
    };
    state.current = next;
    state.machine.enter(next);
    next
}

#[cold]
fn idle(state: &mut State) -> ProcIndex {
    loop {
        csr::wait();
        let pending = csr::pending();
        let outcome = if pending & csr::EXTERNAL != 0 {
            external(state, None)
        } else if pending & csr::TIMER != 0 {
            timer(state, None)
        } else {
            Outcome::Idle
        };
        if let Outcome::Resume(next) = outcome {
            return next;
        }
    }
}

/// Boots the core and enters user mode.
pub(crate) fn run(hart: u64, cfg: &nexus_kernel_core::BootConfig<'_>) -> ! {
    // SAFETY: at boot, before the first trap.
    let state = unsafe { state() };
    state.machine.attach(hart);
    let outcome = match state.kernel.boot(&mut state.machine, cfg) {
        Ok(outcome) => outcome,
        Err(error) => fatal(format_args!("boot: {}", error.name())),
    };
    csr::enable(csr::TIMER | csr::EXTERNAL);
    let next = settle(state, outcome);
    state.machine.stands_on(next);
    let context = state.machine.context(next);
    // SAFETY: the context is that of a started process, whose space is in force.
    unsafe { enter_user(context) }
}

/// Where to go on after the one fault that is expected; 0 if none is.
static EXPECTED: AtomicU64 = AtomicU64::new(0);
/// Address of the last expected fault.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// A trap taken in the kernel, on the emergency stack. Returns where to go on.
extern "C" fn on_kernel_trap(cause: u64, value: u64, pc: u64, sp: u64, ra: u64) -> u64 {
    let resume = EXPECTED.swap(0, Ordering::Relaxed);
    if resume == 0 {
        fatal(format_args!(
            "trap in the kernel: cause {cause:#x} value {value:#x} pc {pc:#x} sp {sp:#x} ra {ra:#x}"
        ));
    }
    SEEN.store(value, Ordering::Relaxed);
    resume
}

/// Pushes one word below the kernel stack, as an overflow would, with the stack pointer where
/// an overflow would leave it, and reports the address at which the hardware refused.
pub(crate) fn touch_stack_guard() -> Option<u64> {
    // SAFETY: `sp` is put back before anything uses the stack. If the guard works, the store
    // faults and the trap handler, on its own stack, goes on at label 2 with only caller-saved
    // registers changed; if not, the word written is in the unused guard page.
    unsafe {
        core::arch::asm!(
            "lla t0, 2f",
            "sd t0, 0(a0)",
            "mv s2, sp",
            "lla sp, __stack_bottom",
            "sd zero, -8(sp)",
            "2: mv sp, s2",
            in("a0") EXPECTED.as_ptr(),
            out("s2") _,
            clobber_abi("C"),
        );
    }
    let faulted = EXPECTED.swap(0, Ordering::Relaxed) == 0;
    faulted.then(|| SEEN.load(Ordering::Relaxed))
}
