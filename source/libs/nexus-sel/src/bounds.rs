//! Every bound of the policy language and of the compiled form, by name.

/// Bytes in a name: the capability field of the `PO` frames holds 48.
pub const MAX_NAME_BYTES: usize = 48;
/// Words of a packed name: 48 bytes.
pub const MAX_NAME_WORDS: usize = 6;
/// Subjects in one policy: 64 times what the kernel can run, and the size of the benchmark.
pub const MAX_SUBJECTS: usize = 16_384;
/// Registered capabilities: a row costs 8 bytes per 32 of them and subject.
pub const MAX_CAPABILITIES: usize = 1_024;
/// Rules: ten per subject at the largest benchmark, with room to double.
pub const MAX_RULES: usize = 262_144;
/// (subject, capability) pairs with a rule, and a dummy: half of the largest blob, a hundred per
/// subject at the largest benchmark. A row word could address sixteen times as many.
pub const MAX_CELLS: usize = 1 << 20;
/// Facts: one bit each in one word.
pub const MAX_FACTS: usize = 64;
/// Conditional rules that may meet in one (subject, capability) pair: bounds the work of a
/// decision whose answer depends on facts.
pub const MAX_CHAIN: usize = 8;
/// Token buckets: their state lives in the daemon, 16 bytes each.
pub const MAX_LIMITS: usize = 1_024;
/// Of these, as many as policyd keeps: the compiler refuses more, since one beyond them would
/// always be spent.
pub const MAX_BUCKETS: usize = 32;
/// Subject classes (id ranges that share a row, such as installed bundles).
pub const MAX_CLASSES: usize = 4;
/// Words of a blob (16 MiB): keeps every offset within 32 bits and `open` bounded.
pub const MAX_BLOB_WORDS: usize = 1 << 21;
/// Zero words that may follow a blob: a page less one word, because VMOs are whole pages.
pub const MAX_PADDING_WORDS: usize = 511;
/// Bytes of one recipe file.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Rule files in the policy directory.
pub const MAX_FILES: usize = 128;
/// Groups, and separately gates, that authors may define.
pub const MAX_DEFINITIONS: usize = 256;
/// Burst of a token bucket.
pub const MAX_BURST: u32 = 1_000_000;
/// First id of an installed bundle; boot services stand before it.
pub const FIRST_BUNDLE_ID: u64 = 1_024;
/// Last id of an installed bundle; the one behind it is nobody's.
pub const LAST_BUNDLE_ID: u64 = u64::MAX - 1;
