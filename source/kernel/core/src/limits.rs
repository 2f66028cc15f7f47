//! Every bound of the kernel, with what sets it. No table of the kernel grows.

/// Processes that exist at once: boot services, bundles and test probes with room to spare.
/// At most 255, since process links are one byte with one value for "none".
pub const MAX_PROCESSES: usize = 32;

/// Slots of one capability table; the ABI fixes it, and one `u64` holds the free slots.
pub const CAPS_PER_PROCESS: usize = nexus_abi::layout::CAP_SLOTS;

/// Capabilities in all tables together; fits the 16-bit capability links.
pub const MAX_CAPS: usize = MAX_PROCESSES * CAPS_PER_PROCESS;

/// Endpoints: three per process.
pub const MAX_ENDPOINTS: usize = 96;

/// Notifications: two per process.
pub const MAX_NOTIFICATIONS: usize = 64;

/// Memory objects: eight per process, since an image is up to six segments and a stack.
pub const MAX_VMOS: usize = 256;

/// Mappings of one process: six segments, a stack, lanes, devices and open windows.
pub const MAPPINGS_PER_PROCESS: usize = 24;

/// Factories: init's own, one per service that may start programs, and room.
pub const MAX_FACTORIES: usize = 8;

/// Interrupt lines handed out as capabilities: eight virtio slots, the UART and room.
pub const MAX_IRQS: usize = 16;

/// Scheduling priorities, 7 the highest; one byte holds the bitmap of non-empty queues.
pub const PRIORITIES: usize = 8;

/// The priority nothing precedes.
pub const HIGHEST_PRIORITY: u8 = (PRIORITIES - 1) as u8;

/// Physical frames the allocator can track: the 128 MiB of the reference machine.
pub const MAX_FRAMES: usize = 32_768;

/// Zeroed frames kept ready for page tables: what one mapping of all RAM can need
/// ([`MAX_FRAMES`] / 512 leaf tables and four at the ends).
pub const SPARE_TABLES: usize = MAX_FRAMES / 512 + 4;

/// Kernel events kept for the reader: a burst of one denied call per process and priority.
pub const EVENT_RING: usize = 128;

/// Events waiting when the reader is told: half the ring, which leaves it the other half of the
/// time to come.
pub const EVENT_BELL: u64 = EVENT_RING as u64 / 2;

/// Bytes of one console line; a longer line is printed in stamped pieces.
pub const CONSOLE_LINE: usize = 256;

/// Time one process may run while another of its priority is ready: long against a context
/// switch, short against what a person notices.
pub const TIME_SLICE_NS: u64 = 10_000_000;

/// Segments of the first process; the boot image header has room for six.
pub const MAX_INIT_SEGMENTS: usize = 6;

/// Service ids the boot factory may assign; higher ids belong to bundles.
pub const BOOT_SERVICE_IDS: core::ops::RangeInclusive<u64> = 1..=1023;
