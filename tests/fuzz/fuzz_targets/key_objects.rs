//! See `fuzz_entries::key_objects`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::key_objects(data));
