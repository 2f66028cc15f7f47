//! The policy benchmark: workload, engines, measuring, report.
#![forbid(unsafe_code)]
pub mod compile;
pub mod engine;
pub mod engines;
pub mod heap;
pub mod list;
pub mod measure;
pub mod workload;
