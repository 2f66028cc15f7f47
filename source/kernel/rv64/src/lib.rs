//! The RISC-V island of the kernel: everything that needs `unsafe` or a control register.
//!
//! It turns traps into calls of [`nexus_kernel_core::Kernel`] and implements
//! [`nexus_kernel_core::Machine`]; it decides nothing. `sv39` and `time` are pure and tested on
//! the host; the rest exists only on the target.
//!
//! INVARIANT (one hart, no nesting): the kernel runs on one hart with interrupts disabled, on
//! one stack that every trap enters at its top, so code reached from a trap never runs twice at
//! the same time. Blocks that say "one hart, no nesting" rely on it.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

pub mod layout;
pub mod sv39;
pub mod time;

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod context;
#[cfg(target_os = "none")]
mod csr;
#[cfg(target_os = "none")]
mod fatal;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod mmio;
#[cfg(target_os = "none")]
mod ram;
#[cfg(target_os = "none")]
mod sbi;
#[cfg(target_os = "none")]
mod trap;

#[cfg(target_os = "none")]
pub use boot::Boot;
#[cfg(target_os = "none")]
pub use fatal::{fatal, say};
