//! See `fuzz_entries::state_image`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::state_image(data));
