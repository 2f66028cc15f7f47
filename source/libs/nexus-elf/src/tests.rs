//! One test per check, and a mutation sweep over a whole image.

use nexus_abi::{layout::PAGE, syscall::Prot};

use crate::{
    ElfError, IMAGE_MAX, IMAGE_MIN, LoadPlan, MAX_SEGMENTS, plan,
    testing::{DATA, HEADER_LEN, HEADERS_AT, MINIMAL_LEN, minimal_elf, put},
};

const BASE: u64 = 0x1000_0000;
const TEXT: usize = HEADERS_AT;
const WRITABLE: usize = HEADERS_AT + HEADER_LEN;
const FLAGS: usize = 4;
const OFFSET: usize = 8;
const VADDR: usize = 16;
const FILE_LEN: usize = 32;
const MEM_LEN: usize = 40;

fn with(patches: &[(usize, &[u8])]) -> Result<LoadPlan, ElfError> {
    let mut image = minimal_elf(BASE).to_vec();
    for (at, bytes) in patches {
        put(&mut image, *at, bytes);
    }
    plan(&image)
}

fn with_u64(at: usize, value: u64) -> Result<LoadPlan, ElfError> {
    with(&[(at, &value.to_le_bytes())])
}

#[test]
fn minimal_image_is_planned_as_written() {
    let image = minimal_elf(BASE);
    let plan = plan(&image).unwrap();
    assert_eq!(plan.entry, BASE);
    let [text, data] = plan.segments() else { panic!("two segments") };
    assert_eq!((text.va, text.prot, text.page_len()), (BASE, Prot::ReadExec, PAGE));
    assert_eq!((data.va, data.prot, data.mem_len), (BASE + PAGE, Prot::ReadWrite, PAGE + 8));
    assert_eq!(data.bytes(&image), Some(DATA.as_slice()));
    assert_eq!(plan.pages(), 3);
}

#[test]
fn test_reject_other_files() {
    assert_eq!(plan(&[]), Err(ElfError::Malformed));
    assert_eq!(plan(b"#!/bin/sh\n"), Err(ElfError::Malformed));
    assert_eq!(with(&[(0, b"\x7fELG")]), Err(ElfError::Malformed));
    assert_eq!(with(&[(6, &[2])]), Err(ElfError::Malformed), "ident version");
    assert_eq!(with(&[(20, &[2])]), Err(ElfError::Malformed), "file version");
    assert_eq!(with(&[(54, &[32])]), Err(ElfError::Malformed), "program header size");
    assert_eq!(with_u64(32, u64::MAX), Err(ElfError::Malformed), "program headers nowhere");
}

#[test]
fn test_reject_other_class_and_machine() {
    assert_eq!(with(&[(4, &[1])]), Err(ElfError::Class), "32 bit");
    assert_eq!(with(&[(5, &[2])]), Err(ElfError::Class), "big endian");
    assert_eq!(with(&[(18, &[62])]), Err(ElfError::Machine), "x86-64");
    assert_eq!(with(&[(48, &[1 | 4])]), Err(ElfError::Machine), "double float ABI");
    assert_eq!(with(&[(16, &[3])]), Err(ElfError::NotExecutable), "ET_DYN");
}

#[test]
fn test_reject_dynamic_images() {
    for kind in [2u8, 3, 7] {
        assert_eq!(with(&[(WRITABLE, &[kind])]), Err(ElfError::NotStatic));
    }
}

#[test]
fn test_reject_segment_counts() {
    assert_eq!(with(&[(56, &[0])]), Err(ElfError::NoSegments));
    assert_eq!(with_u64(32, 0), Err(ElfError::NoSegments));
    assert_eq!(with(&[(56, &[17])]), Err(ElfError::TooManySegments));
    assert_eq!(with(&[(TEXT, &[4]), (WRITABLE, &[4])]), Err(ElfError::NoSegments), "notes only");
    assert_eq!(plan(&many(MAX_SEGMENTS)).unwrap().segments().len(), MAX_SEGMENTS);
    assert_eq!(plan(&many(MAX_SEGMENTS + 1)), Err(ElfError::TooManySegments));
}

/// One executable and `count - 1` writable single-page segments.
fn many(count: usize) -> Vec<u8> {
    let mut image = minimal_elf(BASE).to_vec();
    let template: Vec<u8> = image[WRITABLE..WRITABLE + HEADER_LEN].to_vec();
    put(&mut image, 56, &[count as u8]);
    for index in 1..count {
        let at = HEADERS_AT + index * HEADER_LEN;
        put(&mut image, at, &template);
        put(&mut image, at + VADDR, &(BASE + index as u64 * PAGE).to_le_bytes());
        put(&mut image, at + MEM_LEN, &PAGE.to_le_bytes());
    }
    image
}

#[test]
fn test_reject_misaligned_segments() {
    assert_eq!(with_u64(WRITABLE + VADDR, BASE + PAGE + 8), Err(ElfError::Alignment));
    assert_eq!(with_u64(WRITABLE + OFFSET, 8), Err(ElfError::Alignment));
}

#[test]
fn empty_segments_are_skipped() {
    let nothing: [(usize, &[u8]); 2] =
        [(WRITABLE + FILE_LEN, &[0; 8]), (WRITABLE + MEM_LEN, &[0; 8])];
    assert_eq!(with(&nothing).unwrap().segments().len(), 1);
    let memory_only_claim = [(WRITABLE + MEM_LEN, [0; 8].as_slice())];
    assert_eq!(with(&memory_only_claim), Err(ElfError::FileRange), "file bytes without memory");
}

#[test]
fn test_reject_bytes_outside_the_file() {
    assert_eq!(with_u64(WRITABLE + FILE_LEN, 9), Err(ElfError::FileRange), "one too many");
    assert_eq!(with_u64(WRITABLE + OFFSET, 3 * PAGE), Err(ElfError::FileRange));
    let top = u64::MAX - PAGE + 1;
    assert_eq!(with_u64(WRITABLE + OFFSET, top), Err(ElfError::FileRange));
    assert_eq!(
        with(&[
            (WRITABLE + OFFSET, &top.to_le_bytes()),
            (WRITABLE + FILE_LEN, &u64::MAX.to_le_bytes()),
        ]),
        Err(ElfError::FileRange),
        "offset plus length overflows"
    );
    assert_eq!(with_u64(WRITABLE + MEM_LEN, 7), Err(ElfError::FileRange), "file over memory");
}

#[test]
fn test_reject_addresses_outside_the_image_range() {
    let below = IMAGE_MIN - PAGE;
    assert_eq!(with_u64(TEXT + VADDR, below), Err(ElfError::AddressRange));
    assert_eq!(with_u64(TEXT + VADDR, 0), Err(ElfError::AddressRange));
    assert_eq!(with_u64(WRITABLE + VADDR, IMAGE_MAX), Err(ElfError::AddressRange));
    assert_eq!(with_u64(WRITABLE + VADDR, IMAGE_MAX - PAGE), Err(ElfError::AddressRange), "tail");
    assert!(with_u64(WRITABLE + VADDR, IMAGE_MAX - 2 * PAGE).is_ok());
    for wild in [1 << 38, 1 << 47, 0xffff_ffc0_0000_0000, u64::MAX - PAGE + 1] {
        assert_eq!(with_u64(WRITABLE + VADDR, wild), Err(ElfError::AddressRange));
    }
    assert_eq!(with_u64(WRITABLE + MEM_LEN, u64::MAX), Err(ElfError::AddressRange));
}

#[test]
fn test_reject_overlap_and_disorder() {
    assert_eq!(with_u64(WRITABLE + VADDR, BASE), Err(ElfError::Overlap));
    assert_eq!(with_u64(TEXT + MEM_LEN, PAGE + 1), Err(ElfError::Overlap), "shares one page");
    assert_eq!(with_u64(WRITABLE + VADDR, BASE - 4 * PAGE), Err(ElfError::Overlap), "descending");
}

#[test]
fn test_reject_writable_and_executable() {
    assert_eq!(with(&[(TEXT + FLAGS, &[7])]), Err(ElfError::WriteXorExecute));
    assert_eq!(with(&[(TEXT + FLAGS, &[3])]), Err(ElfError::WriteXorExecute));
    let stack = 0x6474_e551u32.to_le_bytes();
    assert_eq!(
        with(&[(WRITABLE, &stack), (WRITABLE + FLAGS, &[7])]),
        Err(ElfError::WriteXorExecute),
        "executable stack"
    );
    assert!(with(&[(WRITABLE, &stack)]).is_ok());
}

#[test]
fn test_reject_unreadable_and_unknown_flags() {
    for flags in [0u32, 1, 2, 8, 4 | 8, 4 | 0x8000_0000] {
        assert_eq!(with(&[(TEXT + FLAGS, &flags.to_le_bytes())]), Err(ElfError::Flags));
    }
}

#[test]
fn test_reject_entry_outside_executable_bytes() {
    for entry in [0, BASE - 2, BASE + 8, BASE + PAGE, BASE + 1, u64::MAX] {
        assert_eq!(with_u64(24, entry), Err(ElfError::Entry), "{entry:#x}");
    }
    assert_eq!(with_u64(24, BASE + 4).unwrap().entry, BASE + 4);
    assert_eq!(with(&[(TEXT + FLAGS, &[4])]), Err(ElfError::Entry), "nothing executable");
}

/// What a plan promises, checked from outside.
fn promises_hold(image: &[u8], plan: &LoadPlan) {
    assert!((1..=MAX_SEGMENTS).contains(&plan.segments().len()));
    let mut floor = IMAGE_MIN;
    let mut entry_ok = false;
    for s in plan.segments() {
        assert!(s.va % PAGE == 0 && s.file_offset % PAGE == 0);
        assert!(s.va >= floor && s.end() <= IMAGE_MAX && s.end() > s.va);
        assert!(s.file_len <= s.mem_len);
        assert_eq!(s.bytes(image).unwrap().len() as u64, s.file_len);
        let in_file = (s.va..s.va + s.file_len).contains(&plan.entry);
        entry_ok |= s.prot == Prot::ReadExec && in_file;
        floor = s.end();
    }
    assert!(entry_ok);
}

#[test]
fn every_bit_flip_is_refused_or_harmless() {
    let good = minimal_elf(BASE);
    let mut refused = 0;
    for bit in 0..(HEADERS_AT + 2 * HEADER_LEN) * 8 {
        let mut image = good;
        image[bit / 8] ^= 1 << (bit % 8);
        match plan(&image) {
            Ok(plan) => promises_hold(&image, &plan),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn every_byte_value_pair_is_refused_or_harmless() {
    // Two random bytes at once, from a fixed generator: reaches combinations a bit cannot.
    let good = minimal_elf(BASE);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut image = good;
        for _ in 0..2 {
            let r = next();
            image[(r as usize >> 8) % (HEADERS_AT + 2 * HEADER_LEN)] = r as u8;
        }
        if let Ok(plan) = plan(&image) {
            promises_hold(&image, &plan);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let good = minimal_elf(BASE);
    for len in 0..MINIMAL_LEN {
        assert!(plan(&good[..len]).is_err(), "{len}");
    }
}

#[test]
fn refusals_have_distinct_names() {
    for (i, error) in ElfError::ALL.iter().enumerate() {
        assert!(ElfError::ALL[..i].iter().all(|other| other.name() != error.name()));
    }
}
