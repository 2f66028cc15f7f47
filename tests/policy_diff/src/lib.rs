//! Only tests: see `tests/cedar_diff.rs`.
#![forbid(unsafe_code)]
