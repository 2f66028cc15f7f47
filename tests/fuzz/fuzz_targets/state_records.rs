//! See `fuzz_entries::state_records`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| { fuzz_entries::state_records(data); });
