//! Kernel text on the console, and the end of a kernel that cannot go on.

use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::{csr, mmio};

/// QEMU's exit status after a kernel panic.
const PANIC_STATUS: u16 = 3;

static ENDING: AtomicBool = AtomicBool::new(false);

pub(crate) struct Console;

impl core::fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        mmio::uart::put(text.as_bytes());
        Ok(())
    }
}

/// Prints `[kernel] <text>` and a newline.
pub fn say(text: core::fmt::Arguments<'_>) {
    let _infallible = writeln!(Console, "[kernel] {text}");
}

/// Prints the reason and ends the run with [`PANIC_STATUS`].
pub fn fatal(reason: core::fmt::Arguments<'_>) -> ! {
    // A second failure while saying the first would only repeat itself.
    if !ENDING.swap(true, Ordering::Relaxed) {
        say(format_args!("panic: {reason}"));
    }
    mmio::finish_failed(PANIC_STATUS);
    csr::enable(0);
    loop {
        csr::wait();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => fatal(format_args!("{}:{}: {}", at.file(), at.line(), info.message())),
        None => fatal(format_args!("{}", info.message())),
    }
}
