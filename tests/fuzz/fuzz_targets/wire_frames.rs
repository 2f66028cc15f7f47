//! See `fuzz_entries::wire_frames`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::wire_frames(data));
