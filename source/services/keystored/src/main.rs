//! The keystored program.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

nexus_rt::entry!(keystored::run);
