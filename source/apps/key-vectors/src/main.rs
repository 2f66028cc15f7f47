//! The vectors as a process: its exit code is how many held. See the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

nexus_rt::entry!(key_vectors::run);
