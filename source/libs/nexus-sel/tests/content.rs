//! What the names, rows and rules of a blob may not say, behind right lengths, offsets and digest:
//! every check alone, where no other check would refuse it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
mod common;

use common::*;
use nexus_sel::authoring::{CapabilitySpec, Cell, EmitError, Model, emit};
use nexus_sel::bounds::MAX_CHAIN;
use nexus_sel::{AuditMode, BlobError, Effect, Facts, Policy, Reason, Sensitivity};

/// The `nth` cell that refers to a chain.
fn chain_cell(parts: &Parts, nth: usize) -> usize {
    let cells = parts.of[CELLS].iter().enumerate();
    cells.filter(|(_, cell)| **cell >> 63 == 1).nth(nth).unwrap().0
}

/// The words of slot tables that say something, without the displacements below them.
fn used(parts: &Parts, section: usize, width: usize) -> Vec<usize> {
    let lasts = (width - 1..parts.of[section].len()).step_by(width);
    let said = |at: &usize| parts.of[section][*at] >> 16 != 0;
    lasts.filter(said).collect()
}

/// The last word of a slot that says nothing.
fn free(parts: &Parts, section: usize, width: usize) -> usize {
    let lasts = (width - 1..parts.of[section].len()).step_by(width);
    lasts.into_iter().find(|at| parts.of[section][*at] >> 16 == 0).unwrap()
}

/// Exchanges what two slots say in their last words; the displacements stay.
fn exchange(words: &mut [u64], one: usize, two: usize) {
    let differ = (words[one] ^ words[two]) & !0xffff;
    words[one] ^= differ;
    words[two] ^= differ;
}

/// Name records of the sample: capabilities from 0, subjects from here, facts from there.
const SUBJECT: usize = 5;
const FACT: usize = 7;

#[test]
fn test_reject_name_headers() {
    let table: [(&str, Edit, BlobError); 10] = [
        ("a sensitivity that is none", |p| p.change_capability(0, |h| h | 3 << 9), BlobError::Name),
        ("a reserved bit", |p| p.change_capability(0, |h| h | 1 << 13), BlobError::Name),
        ("the last reserved bit", |p| p.change_capability(0, |h| h | 1 << 31), BlobError::Name),
        ("between two numbers", |p| p.change_capability(0, |h| h | 1 << 24), BlobError::Name),
        (
            "the number of another capability",
            |p| p.change_capability(1, |h| h & !(63 << 24)),
            BlobError::Name,
        ),
        (
            "the word of other capabilities",
            |p| p.change_capability(1, |h| h | 1 << 32),
            BlobError::Name,
        ),
        ("a subject with an audit mode", |p| header(p, SUBJECT, |h| h | 1 << 8), BlobError::Name),
        ("a subject with a sensitivity", |p| header(p, SUBJECT, |h| h | 1 << 9), BlobError::Name),
        ("a fact with a shift", |p| header(p, FACT, |h| h | 4 << 24), BlobError::Name),
        (
            "facts with each other's bit",
            |p| {
                header(p, FACT, |h| h ^ 1 << 32);
                header(p, FACT + 1, |h| h ^ 1 << 32);
            },
            BlobError::Name,
        ),
    ];
    refuse_each(&table);
}

fn header(parts: &mut Parts, index: usize, change: impl Fn(u64) -> u64) {
    let at = parts.name_at(index);
    parts.of[NAMES][at] = change(parts.of[NAMES][at]);
}

/// Facts are found by comparison, so that nothing but the checks of names looks at theirs.
#[test]
fn test_reject_spellings() {
    let table: [(&str, Edit, BlobError); 5] = [
        ("a capital", |p| letters(p, |w| w ^ 0x20), BlobError::Name),
        ("no letter", |p| letters(p, |w| w & !0xff00), BlobError::Name),
        ("a byte behind the end", |p| letters(p, |w| w | 0x61 << 56), BlobError::Name),
        (
            "no name at all",
            |p| {
                header(p, FACT, |h| h & !0xff);
                letters(p, |_| 0);
            },
            BlobError::Name,
        ),
        (
            "a name before its time",
            |p| letters(p, |_| u64::from_le_bytes(*b"zight\0\0\0")),
            BlobError::Name,
        ),
    ];
    refuse_each(&table);
}

fn letters(parts: &mut Parts, change: impl Fn(u64) -> u64) {
    let at = parts.name_at(FACT) + 1;
    parts.of[NAMES][at] = change(parts.of[NAMES][at]);
}

/// Kinds stand in their order, however the names of two of them sort.
#[test]
fn test_reject_kinds_out_of_order() {
    let model = Model {
        version: 1,
        subjects: vec![("z".to_owned(), 1)],
        facts: vec![("a".to_owned(), 1)],
        ..Model::default()
    };
    let mut parts = Parts::new(&emit(&model).unwrap());
    assert_eq!(refusal(&parts.blob()), None);
    let record = 3;
    parts.of[NAMES].rotate_left(record);
    parts.of[ROWS][0] += record as u64;
    let slot = used(&parts, SUBJECT_SLOTS, 1)[0];
    parts.of[SUBJECT_SLOTS][slot] += (record as u64) << 16;
    parts.of[FACTS][1] -= record as u64;
    assert_eq!(refusal(&parts.blob()), Some(BlobError::Name));
}

/// Whoever is found in a slot is found with what is its own, and nobody is found twice.
#[test]
fn test_reject_slots() {
    let table: [(&str, Edit, BlobError); 7] = [
        (
            "two services with each other's rows",
            |p| {
                let slots = used(p, ID_SLOTS, 2);
                exchange(&mut p.of[ID_SLOTS], slots[0], slots[1]);
            },
            BlobError::Subject,
        ),
        (
            "two services with each other's names",
            |p| {
                let slots = used(p, SUBJECT_SLOTS, 1);
                exchange(&mut p.of[SUBJECT_SLOTS], slots[0], slots[1]);
            },
            BlobError::Name,
        ),
        ("rows with each other's names", |p| p.of[ROWS].swap(0, 2), BlobError::Subject),
        (
            "a name more in the slots",
            |p| {
                let (from, to) = (used(p, SUBJECT_SLOTS, 1)[0], free(p, SUBJECT_SLOTS, 1));
                p.of[SUBJECT_SLOTS][to] |= p.of[SUBJECT_SLOTS][from] & !0xffff;
            },
            BlobError::Name,
        ),
        (
            "a service more in the slots",
            |p| {
                let (from, to) = (used(p, ID_SLOTS, 2)[0], free(p, ID_SLOTS, 2));
                p.of[ID_SLOTS][to - 1] = 99;
                p.of[ID_SLOTS][to] |= p.of[ID_SLOTS][from] & !0xffff;
            },
            BlobError::Subject,
        ),
        (
            "a capability more in the slots",
            |p| {
                let (from, to) = (used(p, CAP_SLOTS, 4)[0], free(p, CAP_SLOTS, 4));
                for back in 1..4 {
                    p.of[CAP_SLOTS][to - back] = p.of[CAP_SLOTS][from - back];
                }
                p.of[CAP_SLOTS][to] |= p.of[CAP_SLOTS][from] & !0xffff;
            },
            BlobError::Name,
        ),
        ("a fact more than there are names", |p| p.of[FACTS].extend([1, 0]), BlobError::Name),
    ];
    refuse_each(&table);
}

/// A cell that allows by rule 1.
const ALLOWS: u64 = 1 << 32;

#[test]
fn test_reject_rows_and_cells() {
    let table: [(&str, Edit, BlobError); 8] = [
        ("two capabilities with each other's cells", |p| p.of[ROWS][1] ^= 0x33, BlobError::Row),
        (
            "a capability behind the last",
            |p| {
                let last = p.of[ROWS].len() - 1;
                let here =
                    (0..10).filter(|place| p.of[ROWS][last] >> (4 * place) & 0xf != 0).count();
                p.of[ROWS][last] |= (here as u64 + 1) << (4 * 5);
                p.of[CELLS].push(ALLOWS);
            },
            BlobError::Row,
        ),
        ("a cell that nothing leads to", |p| p.of[CELLS].push(ALLOWS), BlobError::Row),
        ("a cell less", |p| p.of[CELLS].truncate(5), BlobError::Row),
        (
            "a rule behind the last",
            |p| p.of[CELLS][1] = (p.of[PARAMS][9] + 1) << 32,
            BlobError::Rule,
        ),
        (
            "a chain that also denies",
            |p| {
                let at = chain_cell(p, 0);
                p.of[CELLS][at] |= 1;
            },
            BlobError::Rule,
        ),
        (
            "two cells with each other's chains",
            |p| {
                let (one, two) = (chain_cell(p, 0), chain_cell(p, 1));
                p.of[CELLS].swap(one, two);
            },
            BlobError::Rule,
        ),
        (
            "two cells with one chain",
            |p| {
                let (one, two) = (chain_cell(p, 0), chain_cell(p, 1));
                p.of[CELLS][two] = p.of[CELLS][one];
            },
            BlobError::Rule,
        ),
    ];
    refuse_each(&table);
}

/// Eleven capabilities, so that a row has a second word, and one subject with the last of them.
fn two_words() -> Parts {
    let spec = |i| CapabilitySpec {
        name: format!("cap.n{i:02}"),
        audit: AuditMode::Normal,
        sensitivity: Sensitivity::Low,
    };
    let mut model = Model {
        version: 1,
        subjects: vec![("a".to_owned(), 1)],
        capabilities: (0..11).map(spec).collect(),
        rules: 1,
        ..Model::default()
    };
    model.cells.insert((0, 10), Cell::Rule(Effect::Allow, 1));
    let parts = Parts::new(&emit(&model).unwrap());
    assert_eq!(refusal(&parts.blob()), None);
    parts
}

#[test]
fn test_reject_a_capability_behind_the_last_in_a_second_word() {
    let mut parts = two_words();
    parts.of[ROWS][2] |= 2 << 4;
    parts.of[CELLS].push(ALLOWS);
    assert_eq!(refusal(&parts.blob()), Some(BlobError::Row));
}

/// The eleventh capability as the one behind the tenth of the first word counts right, and would
/// find its number in the word's own cell index.
#[test]
fn test_reject_a_capability_whose_number_is_the_cell_index_of_a_row_word() {
    let mut parts = two_words();
    parts.change_capability(10, |header| header & 0xffff_ffff | 40 << 24);
    assert_eq!(refusal(&parts.blob()), Some(BlobError::Name));
}

/// The chains of the sample: a denial and a grant under a gate, a denial and a limited grant, a
/// grant that ends.
#[test]
fn test_reject_chains() {
    const DENY: u64 = 1 << 32;
    const LAST: u64 = 1 << 33;
    const LIMITED: u64 = 1 << 34;
    let table: [(&str, Edit, BlobError); 12] = [
        (
            "a grant before a denial",
            |p| {
                let (one, two) = p.of[CHAINS][..8].split_at_mut(4);
                one.swap_with_slice(two);
                one[0] &= !LAST;
                two[0] |= LAST;
            },
            BlobError::Rule,
        ),
        ("the first reserved bit", |p| p.of[CHAINS][0] |= 1 << 35, BlobError::Rule),
        ("the last reserved bit", |p| p.of[CHAINS][0] |= 1 << 47, BlobError::Rule),
        (
            "a rule behind the last",
            |p| {
                let head = p.of[CHAINS][0] >> 32 << 32;
                p.of[CHAINS][0] = head | (p.of[PARAMS][9] + 1);
            },
            BlobError::Rule,
        ),
        ("closed by a fact that does not exist", |p| p.of[CHAINS][2] = 4, BlobError::Rule),
        (
            "opened and closed by one fact",
            |p| {
                p.of[CHAINS][1] = 1;
                p.of[CHAINS][2] = 1;
            },
            BlobError::Rule,
        ),
        ("a denial with a limit", |p| p.of[CHAINS][8] |= LIMITED, BlobError::Rule),
        ("a limit that does not exist", |p| p.of[CHAINS][12] |= 1 << 48, BlobError::Rule),
        ("a limit without the word", |p| p.of[CHAINS][0] |= 1 << 48, BlobError::Rule),
        ("a chain without an end", |p| p.of[CHAINS][16] &= !LAST, BlobError::Rule),
        (
            "a chain that nothing leads to",
            |p| {
                let link = p.of[CHAINS][16..].to_vec();
                p.of[CHAINS].extend(link);
            },
            BlobError::Rule,
        ),
        (
            "a longer chain than the bound",
            |p| {
                let denial: Vec<u64> = p.of[CHAINS][..4].to_vec();
                assert_eq!(denial[0] & (DENY | LAST), DENY);
                let more = denial.repeat(MAX_CHAIN - 1);
                p.of[CHAINS].splice(0..0, more);
                for at in [1, 2].map(|nth| chain_cell(p, nth)) {
                    p.of[CELLS][at] += (MAX_CHAIN as u64 - 1) << 32;
                }
            },
            BlobError::Rule,
        ),
    ];
    refuse_each(&table);
}

fn classes(ranges: &[(u64, u64)]) -> Result<Vec<u64>, EmitError> {
    emit(&Model { version: 1, classes: ranges.to_vec(), ..Model::default() })
}

#[test]
fn test_reject_classes_that_are_no_ranges() {
    for sound in [&[(1, 1)][..], &[(1, 5), (6, 6), (7, u64::MAX - 1)]] {
        let words = classes(sound).unwrap();
        let policy = Policy::open(&words).unwrap();
        for (first, last) in sound {
            for id in [*first, *last] {
                let reason = policy.decide(id, b"x", Facts::NONE).reason();
                assert_eq!(reason, Reason::UnknownCapability, "{id} is in a class");
            }
        }
        assert_eq!(policy.decide(0, b"x", Facts::NONE).reason(), Reason::UnknownSubject);
        let behind = sound.last().unwrap().1 + 1;
        assert_eq!(policy.decide(behind, b"x", Facts::NONE).reason(), Reason::UnknownSubject);
    }
    for bad in [
        &[(0, 5)][..],
        &[(5, 4)],
        &[(5, u64::MAX)],
        &[(1, 5), (5, 9)],
        &[(1, 9), (5, 6)],
        &[(6, 9), (1, 5)],
    ] {
        let refused = EmitError::Refused(BlobError::Class);
        assert_eq!(classes(bad).unwrap_err(), refused, "{bad:?}");
    }
}

/// What is found by comparison must be unique by order: two facts of one name would be one bit
/// to whoever sets it and another to whoever asks.
#[test]
fn test_reject_names_out_of_order() {
    let named = |subjects: &[&str], facts: &[&str]| {
        let ids = subjects.iter().zip(1..).map(|(name, id)| ((*name).to_owned(), id));
        let facts = facts.iter().map(|name| ((*name).to_owned(), 1));
        let (subjects, facts) = (ids.collect(), facts.collect());
        emit(&Model { version: 1, subjects, facts, ..Model::default() }).err()
    };
    let refused = Some(EmitError::Refused(BlobError::Name));
    let long = ["long-name-of-sixteen-a", "long-name-of-sixteen-b"];
    assert_eq!(named(&["a", "ab", "b"], &long), None);
    assert_eq!(named(&long, &["a", "a.b", "aa"]), None);
    for (subjects, facts) in [
        (&["b", "a"][..], &[][..]),
        (&[], &["b", "a"]),
        (&[], &["a", "a"]),
        (&[], &["ab", "a"]),
        (&[], &[long[1], long[0]]),
        (&["A"], &[]),
        (&[], &["a", "b c"]),
    ] {
        assert_eq!(named(subjects, facts), refused, "{subjects:?} {facts:?}");
    }
}
