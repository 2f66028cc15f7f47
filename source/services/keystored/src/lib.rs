//! Keys that never leave: device identity, policy-gated signing.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
