//! The contract between the kernel and everything above it, written once.
//!
//! The kernel core decodes [`Call`]; user space encodes it; the reference page, the trace
//! printer and the syscall masks come from the same table ([`syscall::SPECS`]).
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[cfg(not(all(nexus_env = "os", target_os = "none")))]
pub mod counter;
pub mod error;
pub mod event;
pub mod handle;
pub mod layout;
#[cfg(all(nexus_env = "os", target_os = "none"))]
pub mod os;
#[cfg(all(nexus_env = "os", target_os = "none"))]
pub use os::counter;
pub mod ret;
pub mod sys;
pub mod syscall;

pub use error::Error;
pub use event::{EventKind, FaultCause, KernelEvent};
pub use handle::{Handle, Rights, ServiceId};
pub use ret::Return;
pub use sys::{Message, Received, Reply, Sender, Sys};
pub use syscall::{Call, SyscallMask};
