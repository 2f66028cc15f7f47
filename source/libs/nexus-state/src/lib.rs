//! A small authenticated record log on a block device: atomic, durable, crash-safe.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
