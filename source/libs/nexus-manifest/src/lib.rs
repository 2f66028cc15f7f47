//! The boot manifest: what `recipes/system.toml` says, checked on the host and carried into
//! the image as a compact form that `nexus-init` reads.
#![cfg_attr(not(any(test, feature = "authoring")), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "authoring")]
pub mod authoring;
pub mod boot;
