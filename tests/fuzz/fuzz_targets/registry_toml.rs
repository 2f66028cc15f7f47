//! See `fuzz_entries::registry_toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::registry_toml(data));
