//! Durable key and value pairs, apart for each service.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
