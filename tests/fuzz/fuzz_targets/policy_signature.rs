//! See `fuzz_entries::policy_signature`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_entries::policy_signature(data);
});
