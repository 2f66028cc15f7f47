//! One header, and every way to break it that is the kernel's own to see.

use super::*;

const PLACE: Place = Place { first: Pfn(0x80300), room_pages: 100 };

fn valid() -> Image {
    let mut segments = [Segment::default(); MAX_INIT_SEGMENTS];
    segments[0] = Segment { va: 0x1000_0000, file_off: PAGE, file_len: 100, mem_len: 100, prot: 1 };
    segments[1] =
        Segment { va: 0x1000_1000, file_off: 8 * PAGE, file_len: PAGE, mem_len: 8192, prot: 5 };
    Image {
        total_len: 10 * PAGE,
        flags: 0,
        boot_hart: ANY_HART,
        entry: 0x1000_1000,
        segments,
        segment_count: 2,
        manifest_off: 9 * PAGE,
        manifest_len: 10,
        stack_pages: 4,
        mask: 7,
        priority: 7,
        service: 1,
        frames: 64,
        objects: 9,
    }
}

fn page(image: &Image) -> [u8; PAGE as usize] {
    let mut page = [0; PAGE as usize];
    for (place, word) in page.chunks_exact_mut(8).zip(image.encode()) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    page
}

fn with(change: impl Fn(&mut Image)) -> Result<Header, HeaderError> {
    let mut image = valid();
    change(&mut image);
    Header::parse(&page(&image), PLACE)
}

#[test]
fn a_valid_header_says_what_was_written() {
    let header = with(|_| {}).unwrap();
    assert_eq!((header.pages, header.bench, header.boot_hart), (10, false, None));
    assert_eq!((header.service, header.priority), (ServiceId(1), 7));
    assert_eq!((header.entry, header.stack_pages), (0x1000_1000, 4));
    assert_eq!(header.quota, Quota { frames: 64, objects: 9 });
    let [first, second] = header.segments() else { panic!("two segments") };
    assert_eq!((first.first, first.prot), (Pfn(0x80301), Prot::Read));
    assert_eq!((second.first, second.mem_len, second.prot), (Pfn(0x80308), 8192, Prot::ReadExec));
    assert_eq!(with(|i| i.boot_hart = 1).unwrap().boot_hart, Some(1));
    assert!(with(|i| i.flags = FLAG_BENCH).unwrap().bench);
}

#[test]
fn test_reject_what_is_no_boot_image() {
    let mut bytes = page(&valid());
    bytes[0] ^= 1;
    assert_eq!(Header::parse(&bytes, PLACE), Err(HeaderError::Unsound));
    assert_eq!(Header::parse(&[0; PAGE as usize], PLACE), Err(HeaderError::Unsound));
    assert_eq!(with(|i| i.segments[1].file_off = 10 * PAGE), Err(HeaderError::Unsound));
}

#[test]
fn test_reject_what_does_not_fit() {
    assert!(with(|i| i.total_len = 100 * PAGE).is_ok());
    assert_eq!(with(|i| i.total_len = 101 * PAGE), Err(HeaderError::Length));
    assert_eq!(with(|i| i.stack_pages = 1 << 32), Err(HeaderError::Field));
    assert_eq!(with(|i| i.frames = 1 << 32), Err(HeaderError::Field));
    assert_eq!(with(|i| i.objects = 1 << 16), Err(HeaderError::Field));
}
