//! Safe functions that do what a broken or hostile program would. Each ends the calling
//! process or returns a value; none can touch memory the process does not own, because the
//! kernel stands in between. That is what they are there to show.

use core::arch::asm;

use nexus_abi::layout::{USER_MAX, USER_MIN};

/// Loads eight bytes from any address.
#[must_use]
pub fn load(addr: u64) -> u64 {
    let value: u64;
    // SAFETY: a load changes nothing; an address outside the process faults and ends it.
    unsafe { asm!("ld {}, 0({})", out(reg) value, in(reg) addr, options(readonly, nostack)) };
    value
}

/// Stores eight bytes to an address outside the process's own writable memory.
///
/// Addresses the program could write by itself are refused, so a caller cannot corrupt its own
/// Rust objects through this function: only below the first page, its own text, or what lies
/// beyond user space reaches the hardware.
pub fn store(addr: u64, value: u64) {
    if !(USER_MIN..USER_MAX).contains(&addr) {
        // SAFETY: nothing of this program can be mapped there, so the store faults.
        unsafe { asm!("sd {}, 0({})", in(reg) value, in(reg) addr, options(nostack)) };
    }
}

/// Stores to the first instruction of the program, whose page is mapped without write.
pub fn store_own_text() {
    // SAFETY: the text segment is read-execute, so the store faults. If it did not, the word
    // written is the one read from there, and the program would go on unharmed.
    unsafe {
        asm!("la {a}, _start", "lw {v}, 0({a})", "sw {v}, 0({a})",
             a = out(reg) _, v = out(reg) _, options(nostack));
    }
}

/// Jumps to an address outside user space.
pub fn jump(addr: u64) {
    if !(USER_MIN..USER_MAX).contains(&addr) {
        // SAFETY: nothing of this program can be mapped there, so the fetch faults.
        unsafe { asm!("jr {}", in(reg) addr, options(noreturn)) };
    }
}

/// Executes an illegal instruction.
pub fn illegal() -> ! {
    // SAFETY: `unimp` traps; the kernel ends the process.
    unsafe { asm!("unimp", options(noreturn, nomem, nostack)) }
}

/// Executes a breakpoint.
pub fn ebreak() -> ! {
    // SAFETY: `ebreak` traps; the kernel ends the process.
    unsafe { asm!("ebreak", "unimp", options(noreturn, nomem, nostack)) }
}

/// Pushes frames until the stack is gone.
pub fn overflow_stack() -> ! {
    // SAFETY: never returns; every store goes one page further down, so the first page it
    // cannot have is the guard below the stack, where it faults.
    unsafe { asm!("li t0, 4096", "2: sub sp, sp, t0", "sd zero, 0(sp)", "j 2b", options(noreturn)) }
}

/// A trap with any number and any six registers. Calls that would unmap or replace what the
/// program itself stands on are the caller's to avoid.
#[must_use]
pub fn raw_syscall(number: u64, [r0, r1, r2, r3, r4, r5]: [u64; 6]) -> [u64; 7] {
    let (o0, o1, o2, o3, o4, o5, o6): (u64, u64, u64, u64, u64, u64, u64);
    // SAFETY: as `nexus_abi::os` states for `ecall`; the probe holds no reference into the
    // message page and no view of a memory object.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") r0 => o0, inlateout("a1") r1 => o1, inlateout("a2") r2 => o2,
            inlateout("a3") r3 => o3, inlateout("a4") r4 => o4, inlateout("a5") r5 => o5,
            lateout("a6") o6, inlateout("a7") number => _, lateout("ra") _,
            lateout("t0") _, lateout("t1") _, lateout("t2") _, lateout("t3") _,
            lateout("t4") _, lateout("t5") _, lateout("t6") _,
            options(nostack),
        );
    }
    [o0, o1, o2, o3, o4, o5, o6]
}

/// Spins for ever without a trap.
pub fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
