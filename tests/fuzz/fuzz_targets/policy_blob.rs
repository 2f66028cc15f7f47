//! See `fuzz_entries::policy_blob`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::policy_blob(data));
