//! Init against a scripted kernel: what it wires, whom it asks, what it refuses.

use nexus_system::header::{ANY_HART, Header, MAX_SEGMENTS, Segment};

pub(crate) fn header(total_len: u64, manifest_off: u64, manifest_len: u64) -> Header {
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    segments[0] = Segment { va: 0x1000_0000, file_off: 0, file_len: 1, mem_len: 1, prot: 5 };
    Header {
        total_len,
        flags: 0,
        boot_hart: ANY_HART,
        entry: 0x1000_0000,
        segments,
        segment_count: 1,
        manifest_off,
        manifest_len,
        stack_pages: 4,
        mask: 0,
        priority: 7,
        service: 1,
        frames: 1,
        objects: 1,
    }
}
