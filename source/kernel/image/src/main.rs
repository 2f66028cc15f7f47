//! The kernel binary: reads the boot image header, wires the boot configuration, goes.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

#[cfg(any(target_os = "none", test))]
mod header;
#[cfg(target_os = "none")]
mod wiring;

#[cfg(target_os = "none")]
nexus_kernel_rv64::kernel_main!(wiring::main);

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the kernel runs in QEMU; see `just start`");
    std::process::exit(2);
}
