//! See `fuzz_entries::policy_toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::policy_toml(data));
