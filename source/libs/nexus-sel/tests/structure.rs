//! What a blob may not say however well it is put together: every check of its header, sections
//! and tables alone, where no other check would refuse it. Its content: see `content.rs`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
mod common;

use common::*;
use nexus_sel::BlobError;
use nexus_sel::authoring::{Model, emit};
use nexus_sel::bounds::*;

/// What is done to finished words.
type Damage = fn(&mut Vec<u64>);

#[test]
fn a_blob_put_together_again_is_the_same() {
    let words = sample().words;
    assert_eq!(Parts::new(&words).blob(), words);
}

#[test]
fn test_reject_headers() {
    assert_eq!(refusal(&[]), Some(BlobError::TooShort));
    assert_eq!(refusal(&[0; 31]), Some(BlobError::TooShort));
    assert_eq!(refusal(&[0; 32]), Some(BlobError::Magic), "long enough to be looked at");
    let mut header = sample().words[..32].to_vec();
    header[2] = 31;
    reseal(&mut header);
    assert_eq!(refusal(&header), Some(BlobError::Length), "less than its header");
    header[2] = 32;
    reseal(&mut header);
    assert_eq!(refusal(&header), Some(BlobError::Section), "all header");
    let mut long = sample().words;
    long.resize(MAX_BLOB_WORDS + 1, 0);
    long[2] = MAX_BLOB_WORDS as u64 + 1;
    assert_eq!(refusal(&long), Some(BlobError::Length), "all there, and one word too long");
}

/// The first fault is the one that is told: damage of two kinds, and the earlier kind's error.
#[test]
fn faults_are_told_in_the_order_of_the_checks() {
    // The parts before the digest are written last; the others are sealed.
    let inside: [(Edit, BlobError); 8] = [
        (|p| p.of[PARAMS].push(0), BlobError::Section),
        (|p| p.of[PARAMS][9] |= 1 << 32, BlobError::Table),
        (|p| p.of[NAMES][1] ^= 0x20, BlobError::Name),
        (|p| p.of[CELLS][0] = 0, BlobError::Row),
        (|p| p.of[CELLS][1] = 0, BlobError::Rule),
        (|p| p.of[LIMITS][0] = 0, BlobError::Limit),
        (|p| p.of[CLASSES][0] = 0, BlobError::Class),
        (|p| p.of[FACTS][0] = 0, BlobError::Fact),
    ];
    let before: [(Damage, BlobError); 6] = [
        (|w| w.truncate(31), BlobError::TooShort),
        (|w| w[0] ^= 1, BlobError::Magic),
        (|w| w[1] ^= 1, BlobError::Format),
        (|w| w[2] += 1, BlobError::Length),
        (|w| w[4] = 1, BlobError::Reserved),
        (|w| w[5] ^= 1, BlobError::Digest),
    ];
    let whole = Parts::new(&sample().words);
    for first in 0..inside.len() {
        let mut parts = whole.clone();
        inside[first..].iter().rev().for_each(|(edit, _)| edit(&mut parts));
        assert_eq!(refusal(&parts.blob()), Some(inside[first].1));
        for early in 0..before.len() {
            let mut words = parts.blob();
            before[early..].iter().rev().for_each(|(edit, _)| edit(&mut words));
            assert_eq!(refusal(&words), Some(before[early].1));
        }
    }
}

#[test]
fn test_reject_sections_and_tables() {
    let table: [(&str, Edit, BlobError); 10] = [
        ("half a record", |p| p.of[LIMITS].push(1), BlobError::Section),
        ("a parameter more", |p| p.of[PARAMS].push(0), BlobError::Section),
        (
            "another number of subjects by id than by name",
            |p| p.of[PARAMS][2] += 1 << 32,
            BlobError::Table,
        ),
        ("more rules than the bound", |p| p.of[PARAMS][9] = MAX_RULES as u64 + 1, BlobError::Table),
        (
            "more keys than slots",
            |p| {
                // Of both tables of subjects, which must agree.
                p.of[PARAMS][2] = (p.of[PARAMS][2] & 0xff) | 99 << 32;
                p.of[PARAMS][5] = (p.of[PARAMS][5] & 0xff) | 99 << 32;
            },
            BlobError::Table,
        ),
        (
            "a limit more than the bound",
            |p| p.of[LIMITS] = [1, 1].repeat(MAX_LIMITS + 1),
            BlobError::Limit,
        ),
        (
            "a class more than the bound",
            |p| p.of[CLASSES] = [1, 1, 1].repeat(MAX_CLASSES + 1),
            BlobError::Class,
        ),
        (
            "a fact more than the bound",
            |p| p.of[FACTS].extend([1, 0].repeat(MAX_FACTS - 1)),
            BlobError::Fact,
        ),
        (
            "a row that is nobody's",
            |p| {
                let base = (p.of[CELLS].len() as u64 - 1) << 40;
                p.of[ROWS].extend([0, base]);
            },
            BlobError::Row,
        ),
        ("a word behind the sections", |p| p.of[ROWS].push(0), BlobError::Row),
    ];
    refuse_each(&table);
    let mut words = Parts::new(&sample().words).blob();
    words.push(0);
    words[2] += 1;
    reseal(&mut words);
    assert_eq!(refusal(&words), Some(BlobError::Section), "a word behind the last section");
}

/// Tables of two slots to as many as a displacement reaches.
#[test]
fn test_reject_tables_too_small_or_large() {
    let whole = Parts::new(&emit(&Model::default()).unwrap());
    let refused = Some(BlobError::Table);
    for (bits, error) in [(0, refused), (1, None), (16, None), (17, refused)] {
        for (section, width, params, empty) in
            [(ID_SLOTS, 2, 2, 0), (SUBJECT_SLOTS, 1, 5, 0), (CAP_SLOTS, 4, 8, 0xff)]
        {
            let mut parts = whole.clone();
            parts.of[PARAMS][params] = bits;
            let slot: Vec<u64> = (0..width).map(|at| if at == 0 { empty } else { 0 }).collect();
            parts.of[section] = slot.repeat(1 << bits);
            assert_eq!(refusal(&parts.blob()), error, "{bits} bits, section {section}");
        }
    }
    // Few enough slots, but more keys than a policy may have.
    for (keys, sections) in [
        (MAX_SUBJECTS + 1, &[(ID_SLOTS, 2, 2), (SUBJECT_SLOTS, 1, 5)][..]),
        (MAX_CAPABILITIES + 1, &[(CAP_SLOTS, 4, 8)][..]),
    ] {
        let mut parts = whole.clone();
        for (section, width, params) in sections {
            parts.of[PARAMS][*params] = 16 | (keys as u64) << 32;
            parts.of[*section] = vec![0; width << 16];
        }
        assert_eq!(refusal(&parts.blob()), Some(BlobError::Table), "{keys} keys");
    }
}
