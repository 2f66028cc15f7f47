//! `_start` and the panic handler.

use core::arch::global_asm;
use core::fmt::Write as _;
use core::panic::PanicInfo;

use nexus_abi::{Call, Handle, Sys, os::OsSys};

// The kernel sets `sp` and `a0` (the argument) and clears every other register; the creator
// gives zeroed pages for `.bss`. `gp` and `tp` are unused: no relaxation, no thread locals.
global_asm!(
    ".section .text._start, \"ax\"",
    ".globl _start",
    "_start:",
    "    li ra, 0",
    "    tail {start}",
    start = sym start,
);

unsafe extern "Rust" {
    /// Defined by [`crate::entry!`].
    safe fn nexus_main(sys: &mut OsSys, arg: u64) -> i32;
}

extern "C" fn start(arg: u64) -> ! {
    let code = match OsSys::claim() {
        Some(mut sys) => nexus_main(&mut sys, arg),
        None => crate::PANIC_EXIT,
    };
    exit(code)
}

fn exit(code: i32) -> ! {
    // SAFETY: nothing runs after this function, and it makes no view.
    let mut sys = unsafe { OsSys::last_words() };
    let _never_returns = sys.syscall(Call::ProcExit { proc: Handle::NONE, code });
    // Only a mask without proc_exit leads here; an illegal instruction ends the process.
    // SAFETY: `unimp` traps; the kernel ends the process.
    unsafe { core::arch::asm!("unimp", options(noreturn, nomem, nostack)) }
}

struct Console(OsSys);

impl core::fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.console(text);
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: the handler never returns to whatever held the first handle, and makes no view.
    let mut console = Console(unsafe { OsSys::last_words() });
    let _printed = match info.location() {
        Some(at) => writeln!(console, "panic: {}:{}", at.file(), at.line()),
        None => writeln!(console, "panic: ?:0"),
    };
    exit(crate::PANIC_EXIT)
}
