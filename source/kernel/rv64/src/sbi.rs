//! Calls to the firmware (RISC-V SBI specification 1.0).

use core::arch::asm;

const TIME: u64 = 0x5449_4d45;
const HSM: u64 = 0x48_534d;
const SET_TIMER: u64 = 0;
const HART_START: u64 = 0;
const HART_STOP: u64 = 1;
const HART_STATUS: u64 = 2;

/// [`hart_status`] of a hart that runs.
pub(crate) const STARTED: u64 = 0;
/// [`hart_status`] of a hart that was stopped.
pub(crate) const STOPPED: u64 = 1;

/// One-shot timer interrupt at `ticks`; clears a pending one.
#[inline]
pub(crate) fn set_timer(ticks: u64) {
    let (mut _error, mut _value): (u64, u64);
    // SAFETY: the firmware changes only a0 and a1 (section 3) and its own timer.
    unsafe {
        asm!("ecall", inlateout("a0") ticks => _error, lateout("a1") _value,
             in("a6") SET_TIMER, in("a7") TIME, options(nostack));
    }
}

/// State of a hart, or the negative error code.
pub(crate) fn hart_status(hart: u64) -> Result<u64, i64> {
    let (error, value): (i64, u64);
    // SAFETY: as in `set_timer`; a query.
    unsafe {
        asm!("ecall", inlateout("a0") hart => error, lateout("a1") value,
             in("a6") HART_STATUS, in("a7") HSM, options(nostack));
    }
    if error == 0 { Ok(value) } else { Err(error) }
}

/// Starts `hart` at physical address `entry` with `opaque` in a1, then stops this hart.
/// Returns only if the start is refused.
///
/// # Safety
/// `entry` enters the kernel at the top of its stack, and nothing of this hart's is needed.
pub(crate) unsafe fn hand_over(hart: u64, entry: u64, opaque: u64) -> i64 {
    let error: i64;
    // SAFETY: between the two calls this hart touches no memory, so the started hart has the
    // stack for itself; a stop that returned would spin, still without memory.
    unsafe {
        asm!(
            "ecall",
            "bnez a0, 3f",
            "li a6, {stop}",
            "2: ecall",
            "j 2b",
            "3:",
            stop = const HART_STOP,
            inlateout("a0") hart => error, inlateout("a1") entry => _, in("a2") opaque,
            inlateout("a6") HART_START => _, in("a7") HSM, options(nostack),
        );
    }
    error
}
