//! The bench client's other half; see the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

nexus_rt::entry!(bench_server::run);
