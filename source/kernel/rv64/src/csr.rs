//! Control registers and fences, one function each.

use core::arch::asm;

/// `sie`/`sip`: supervisor timer.
pub(crate) const TIMER: u64 = 1 << 5;
/// `sie`/`sip`: supervisor external interrupt.
pub(crate) const EXTERNAL: u64 = 1 << 9;

/// `time`, in ticks.
#[inline(always)]
pub(crate) fn time() -> u64 {
    let ticks: u64;
    // SAFETY: reading `time` has no effect.
    unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Pending interrupts.
pub(crate) fn pending() -> u64 {
    let bits: u64;
    // SAFETY: reading `sip` has no effect.
    unsafe { asm!("csrr {}, sip", out(reg) bits, options(nomem, nostack, preserves_flags)) };
    bits
}

/// Chooses which interrupts may reach the kernel from user mode or end a [`wait`].
pub(crate) fn enable(bits: u64) {
    // SAFETY: interrupts are taken only in user mode (`sstatus.SIE` stays 0), where the trap
    // entry is ready for them.
    unsafe { asm!("csrw sie, {}", in(reg) bits, options(nomem, nostack, preserves_flags)) };
}

/// Sleeps until an enabled interrupt is pending.
pub(crate) fn wait() {
    // SAFETY: `wfi` only waits; with `sstatus.SIE` clear no trap is taken.
    unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
}

/// Chooses the counters user mode may read: bit 0 cycle, 1 time, 2 instret.
pub(crate) fn open_counters(bits: u64) {
    // SAFETY: changes only what user mode may read.
    unsafe { asm!("csrw scounteren, {}", in(reg) bits, options(nomem, nostack, preserves_flags)) };
}

/// Forgets every cached translation, after table writes.
#[inline(always)]
pub(crate) fn fence() {
    // SAFETY: drops caches only; not `nomem`, so table writes stay before it.
    unsafe { asm!("sfence.vma", options(nostack, preserves_flags)) };
}

/// Switches the address space.
///
/// # Safety
/// `satp` selects a root whose kernel half is the kernel's own.
#[inline(always)]
pub(crate) unsafe fn set_satp(satp: u64) {
    // SAFETY: by contract kernel addresses mean the same before and after; the fence drops
    // translations of the space left behind.
    unsafe {
        asm!("csrw satp, {}", "sfence.vma", in(reg) satp, options(nostack, preserves_flags));
    }
}
