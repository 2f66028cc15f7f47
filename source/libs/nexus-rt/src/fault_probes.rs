//! Safe functions that do what a broken or hostile program would. Each ends the calling
//! process or returns a value; none can touch memory the process does not own, because the
//! kernel stands in between. That is what they are there to show.

use core::arch::asm;

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
    let wild = addr < nexus_abi::layout::USER_MIN || addr >= nexus_abi::layout::USER_MAX;
    if wild {
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
    let wild = addr < nexus_abi::layout::USER_MIN || addr >= nexus_abi::layout::USER_MAX;
    if wild {
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

/// A trap with any number and any six registers; memory mapping calls that would succeed on
/// the process's own memory are the caller's to avoid.
#[must_use]
pub fn raw_syscall(number: u64, args: [u64; 6]) -> [u64; 7] {
    nexus_abi::os::raw(number, args)
}

/// Spins for ever without a trap.
pub fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
