//! How a process starts, panics and ends.
//!
//! A program is a library with `run` plus a `main.rs` that reads
//! `#![cfg_attr(target_os = "none", no_std, no_main)]` and `nexus_rt::entry!(run);`.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(all(target_os = "none", feature = "fault-probes"))]
pub mod fault_probes;
#[cfg(target_os = "none")]
mod start;

/// Exit code of a process that panicked.
pub const PANIC_EXIT: i32 = 101;

#[cfg(target_os = "none")]
#[doc(hidden)]
pub use nexus_abi::os::OsSys;

/// Makes `fn main_fn<S: Sys>(sys: &mut S, arg: u64) -> i32` the program; its result is the
/// exit code. On the host the binary only says where it runs.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        fn nexus_main(sys: &mut $crate::OsSys, arg: u64) -> i32 {
            $main(sys, arg)
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            $crate::host_main(env!("CARGO_PKG_NAME"))
        }
    };
}

/// What an OS program does when it is started on the host.
#[cfg(not(target_os = "none"))]
pub fn host_main(name: &str) -> ! {
    eprintln!("{name} runs inside the OS image; see `just start`");
    std::process::exit(2)
}
