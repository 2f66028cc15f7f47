//! One header, and every way to break it.

use super::*;

const PLACE: Place = Place { first: Pfn(0x80300), room_pages: 100 };

fn put(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn valid() -> Vec<u8> {
    let mut page = vec![0; 4096];
    let fields = [
        (at::MAGIC, MAGIC),
        (at::TOTAL_LEN, 10 * PAGE),
        (at::BOOT_HART, u64::MAX),
        (at::ENTRY, 0x1000_1000),
        (at::SEGMENT_COUNT, 2),
        (at::STACK_PAGES, 4),
        (at::MASK, 7),
        (at::PRIORITY, 7),
        (at::SERVICE, 1),
        (at::FRAMES, 64),
        (at::OBJECTS, 9),
    ];
    for (at, value) in fields {
        put(&mut page, at, value);
    }
    let segments = [[0x1000_0000, PAGE, 100, 100, 1], [0x1000_1000, 9 * PAGE, PAGE, 8192, 5]];
    for (i, segment) in segments.iter().enumerate() {
        for (j, value) in segment.iter().enumerate() {
            put(&mut page, at::SEGMENTS + i * SEGMENT_BYTES + j * 8, *value);
        }
    }
    page
}

fn with(at: usize, value: u64) -> Result<Header, HeaderError> {
    let mut page = valid();
    put(&mut page, at, value);
    Header::parse(&page, PLACE)
}

#[test]
fn a_valid_header_says_what_was_written() {
    let header = Header::parse(&valid(), PLACE).unwrap();
    assert_eq!((header.pages, header.bench, header.boot_hart), (10, false, None));
    assert_eq!((header.service, header.priority), (ServiceId(1), 7));
    assert_eq!((header.entry, header.stack_pages), (0x1000_1000, 4));
    assert_eq!(header.quota, Quota { frames: 64, objects: 9 });
    let [first, second] = header.segments() else { panic!("two segments") };
    assert_eq!((first.first, first.prot), (Pfn(0x80301), Prot::Read));
    assert_eq!((second.first, second.mem_len, second.prot), (Pfn(0x80309), 8192, Prot::ReadExec));
    assert_eq!(with(at::BOOT_HART, 1).unwrap().boot_hart, Some(1));
    assert!(with(at::FLAGS, 1).unwrap().bench);
}

#[test]
fn test_reject_every_broken_field() {
    let second = at::SEGMENTS + SEGMENT_BYTES;
    let broken = [
        (at::MAGIC, 0, HeaderError::Magic),
        (at::TOTAL_LEN, 0, HeaderError::Length),
        (at::TOTAL_LEN, 10 * PAGE + 1, HeaderError::Length),
        (at::TOTAL_LEN, 101 * PAGE, HeaderError::Length),
        (at::TOTAL_LEN, u64::MAX - PAGE + 1, HeaderError::Length),
        (at::FLAGS, 2, HeaderError::Flags),
        (at::SEGMENT_COUNT, 0, HeaderError::SegmentCount),
        (at::SEGMENT_COUNT, 7, HeaderError::SegmentCount),
        (at::SEGMENT_COUNT, u64::MAX, HeaderError::SegmentCount),
        (second + 8, 9 * PAGE + 8, HeaderError::Segment),
        (second + 8, 10 * PAGE, HeaderError::Segment),
        (second + 8, u64::MAX - PAGE + 1, HeaderError::Segment),
        (second + 16, 8193, HeaderError::Segment),
        (second + 24, 1, HeaderError::Segment),
        (second + 32, 7, HeaderError::Segment),
        (at::PRIORITY, 256, HeaderError::Field),
        (at::STACK_PAGES, 1 << 32, HeaderError::Field),
        (at::OBJECTS, 1 << 16, HeaderError::Field),
    ];
    for (at, value, error) in broken {
        assert_eq!(with(at, value), Err(error), "{at} {value:#x}");
    }
    assert_eq!(Header::parse(&valid()[..7], PLACE), Err(HeaderError::Magic));
}
