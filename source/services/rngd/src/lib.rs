//! Entropy, health-tested, for whoever policy lets have it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
