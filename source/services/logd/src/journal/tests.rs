use nexus_wire::audit::{Decision, Op, Reason};

use super::*;
use crate::words::death;

type Small<'v> = Journal<'v, 8>;

fn memory() -> Vec<AtomicU64> {
    (0..Small::WORDS).map(|_| AtomicU64::new(0)).collect()
}

fn copy(memory: &[AtomicU64]) -> Vec<AtomicU64> {
    memory
        .iter()
        .map(|word| AtomicU64::new(word.load(core::sync::atomic::Ordering::Relaxed)))
        .collect()
}

fn attach(memory: &[AtomicU64]) -> (Small<'_>, Found) {
    let (journal, found) = Small::attach(memory).unwrap();
    sound(&journal);
    (journal, found)
}

fn about(subject: u64, target: u64) -> Record {
    Record { subject, target, ..Record::new(Op::Check, Decision::Deny, Reason::Default) }
}

fn targets(journal: &Small<'_>) -> Vec<u64> {
    journal.from(0).map(|record| record.target).collect()
}

/// What must hold after every step.
fn sound(journal: &Small<'_>) {
    let seqs: Vec<u64> = journal.from(0).map(|record| record.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {seqs:?}");
    assert_eq!(seqs.len() as u64, journal.retained(), "every held slot reads back");
    let ledger = journal.ledger();
    assert!(seqs.iter().all(|seq| (1..ledger.next_seq).contains(seq)));
    assert_eq!(ledger.entered(), ledger.all_lanes().stored + ledger.kernel.stored + ledger.own);
}

#[test]
fn records_survive_a_restart_with_their_numbers() {
    let memory = memory();
    let (mut journal, found) = attach(&memory);
    assert_eq!(found, Found::Fresh);
    for n in 0..5 {
        assert_eq!(journal.put(&about(n % 2, n), Source::Lane(0, n)), Some(n + 1));
    }
    let before: Vec<Record> = journal.from(0).collect();
    let (mut journal, found) = attach(&memory);
    assert_eq!(found, Found::Kept { damaged: 0 });
    assert_eq!(journal.from(0).collect::<Vec<_>>(), before);
    assert_eq!(journal.ledger().attached, 2);
    assert_eq!(journal.put(&about(0, 5), Source::Lane(0, 5)), Some(6), "numbers go on");
}

#[test]
fn a_full_journal_gives_up_the_oldest_of_the_heaviest() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    for n in 0..3 {
        journal.put(&about(1, n), Source::Own);
    }
    for n in 0..1000 {
        journal.put(&about(99, 100 + n), Source::Own);
        sound(&journal);
    }
    assert_eq!(targets(&journal), [0, 1, 2, 1095, 1096, 1097, 1098, 1099]);
    let (journal, _) = attach(&memory);
    assert_eq!(targets(&journal), [0, 1, 2, 1095, 1096, 1097, 1098, 1099]);
}

#[test]
fn fairness_goes_on_after_a_restart() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    journal.put(&about(1, 0), Source::Own);
    (0..7).for_each(|n| assert!(journal.put(&about(99, n), Source::Own).is_some()));
    let (mut journal, _) = attach(&memory);
    (0..100).for_each(|n| assert!(journal.put(&about(99, n), Source::Own).is_some()));
    assert_eq!(journal.from(0).filter(|record| record.subject == 1).count(), 1);
}

#[test]
fn test_reject_numbers_that_go_back() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    assert!(journal.put(&about(1, 0), Source::Lane(0, 4)).is_some());
    let ledger = *journal.ledger();
    assert_eq!((ledger.lanes[0].stored, ledger.lanes[0].lost), (1, 4));
    for old in 0..=4 {
        assert_eq!(journal.put(&about(1, 0), Source::Lane(0, old)), None);
        assert_eq!(journal.put(&about(1, 0), Source::LaneGap(0, old)), None);
    }
    assert_eq!(journal.put(&about(1, 0), Source::Lane(0, u64::MAX)), None);
    assert_eq!(*journal.ledger(), ledger);
}

#[test]
fn death_at_every_store_loses_nothing_that_was_stored() {
    // A full journal, so that the record in flight has overwritten another.
    let before = memory();
    let (mut journal, _) = attach(&before);
    for n in 0..12 {
        journal.put(&about(n % 3, n), Source::Lane(0, n));
    }
    let old = targets(&journal);
    let mut survived = [false; 2];
    for stores in 0.. {
        let memory = copy(&before);
        let lived = death::after(stores, || {
            let (mut journal, _) = Small::attach(&memory).unwrap();
            journal.put(&about(0, 12), Source::Lane(0, 12));
        });
        let (mut journal, found) = attach(&memory);
        let now = targets(&journal);
        let whole = now.contains(&12);
        survived[usize::from(whole)] = true;
        assert_eq!(journal.ledger().lanes[0].next(), if whole { 13 } else { 12 });
        assert_eq!(journal.ledger().lanes[0].lost, 0);
        let kept = old.iter().filter(|target| now.contains(target)).count();
        assert!(kept >= old.len() - 1, "at most the record that had to go is gone");
        assert!(matches!(found, Found::Kept { damaged: 0 | 1 }));
        // The lane shows the record again; it enters exactly once.
        let again = journal.put(&about(0, 12), Source::Lane(0, 12));
        assert_eq!(again.is_some(), !whole);
        sound(&journal);
        assert_eq!(journal.from(0).filter(|record| record.target == 12).count(), 1);
        if lived {
            assert!(whole && stores > 20);
            assert_eq!(survived, [true; 2]);
            return;
        }
    }
}

#[test]
fn death_while_formatting_formats_again() {
    for stores in 0.. {
        let memory: Vec<AtomicU64> = (0..Small::WORDS).map(|n| AtomicU64::new(n as u64)).collect();
        let lived = death::after(stores, || assert!(Small::attach(&memory).is_some()));
        let (journal, found) = attach(&memory);
        assert_eq!(journal.retained(), 0);
        if lived {
            assert_eq!(found, Found::Kept { damaged: 0 });
            return;
        }
    }
}

#[test]
fn test_reject_half_written_and_forged_slots() {
    let before = memory();
    let (mut journal, _) = attach(&before);
    for n in 0..6 {
        journal.put(&about(n % 2, n), Source::Lane(0, n));
    }
    let mut counted = 0;
    for at in HEADER_WORDS..Small::WORDS {
        for flip in [1, 1 << 31, 1 << 63, u64::MAX] {
            let memory = copy(&before);
            memory[at].fetch_xor(flip, core::sync::atomic::Ordering::Relaxed);
            let (journal, found) = attach(&memory);
            let Found::Kept { damaged } = found else { panic!("the header is untouched") };
            let slot = (at - HEADER_WORDS) / SLOT_WORDS;
            let held = targets(&journal);
            if slot < 6 {
                assert_eq!((damaged, held.len()), (1, 5), "word {at}");
            } else {
                assert_eq!(held.len(), 6);
            }
            assert!(!held.contains(&(slot as u64)));
            assert_eq!(journal.ledger().damaged, damaged);
            counted += damaged;
        }
    }
    assert!(counted > 6 * SLOT_WORDS as u64);
}

#[test]
fn test_reject_a_copied_slot() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    (0..3).for_each(|n| assert!(journal.put(&about(1, n), Source::Lane(0, n)).is_some()));
    let place = Words(&memory);
    let slot = place.array::<SLOT_WORDS>(HEADER_WORDS);
    place.fill(HEADER_WORDS + 5 * SLOT_WORDS, &slot);
    let (journal, found) = attach(&memory);
    assert_eq!(found, Found::Kept { damaged: 1 });
    assert_eq!(targets(&journal), [0, 1, 2]);
}

#[test]
fn one_damaged_ledger_copy_is_survived_and_two_are_not() {
    let before = memory();
    let (mut journal, _) = attach(&before);
    (0..3).for_each(|n| assert!(journal.put(&about(1, n), Source::Lane(0, n)).is_some()));
    let flip = |memory: &[AtomicU64], at: usize| {
        memory[at].fetch_xor(1 << 40, core::sync::atomic::Ordering::Relaxed);
    };
    for at in LEDGER_AT..LEDGER_AT + Copies::WORDS {
        let memory = copy(&before);
        flip(&memory, at);
        let (journal, found) = attach(&memory);
        assert!(matches!(found, Found::Kept { .. }), "word {at}");
        assert_eq!(targets(&journal), [0, 1, 2]);
        assert_eq!(journal.ledger().lanes[0].next(), 3);
    }
    let memory = copy(&before);
    flip(&memory, LEDGER_AT + 3);
    flip(&memory, LEDGER_AT + Copies::WORDS - 3);
    let (mut journal, found) = attach(&memory);
    assert_eq!((found, journal.retained()), (Found::Foreign, 0));
    journal.put(&about(1, 3), Source::Lane(0, 3));
    let lane = journal.ledger().lanes[0];
    assert_eq!((lane.stored, lane.lost), (1, 3), "what was wiped counts as lost");
}

#[test]
fn test_reject_noise_and_memory_that_is_too_small() {
    let mut x = 7u64;
    let noise: Vec<AtomicU64> = (0..Small::WORDS)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            AtomicU64::new(x)
        })
        .collect();
    let (journal, found) = attach(&noise);
    assert_eq!((found, journal.retained()), (Found::Foreign, 0));
    assert!(Small::attach(&noise[1..]).is_none());
    assert!(Journal::<9>::attach(&noise).is_none());
}

#[test]
fn capacity_follows_from_the_memory() {
    assert_eq!(records_in(Small::WORDS * 8), 8);
    assert_eq!(records_in(Small::WORDS * 8 - 1), 7);
    assert_eq!(records_in(0), 0);
}

/// What an export of the whole journal proves.
fn proven(journal: &mut Small<'_>) -> nexus_audit::Report {
    let point = journal.checkpoint(0, 9).unwrap();
    let mut file = Vec::new();
    let mut writer =
        nexus_audit::Writer::new(BOOT_ID, |bytes: &[u8]| file.extend_from_slice(bytes));
    let all: Vec<_> = journal.chained(0).collect();
    let mut lanes = Vec::new();
    for (first_seq, chained) in &all {
        if !lanes.contains(&chained.lane) {
            lanes.push(chained.lane);
            let (lane, before) = (chained.lane, chained.before);
            writer.lane(&nexus_audit::LaneStart { lane, first_seq: *first_seq, before });
        }
    }
    for (_, chained) in &all {
        writer.record(chained.lane, &chained.before, &chained.bytes);
    }
    writer.checkpoint(&point.encode());
    writer.finish();
    nexus_audit::verify(&file, &nexus_audit::NoKey)
}

#[test]
fn what_a_flood_leaves_is_proven_over_restarts() {
    let memory = memory();
    let mut x = 5u64;
    for life in 0..40u64 {
        let (mut journal, _) = attach(&memory);
        for n in 0..(life * 7) % 30 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let subject = [1, 2, 99, 99, 99, 99][(x >> 40) as usize % 6];
            journal.put(&about(subject, n), Source::Own);
        }
        let report = proven(&mut journal);
        assert!(report.is_clean(), "life {life}: {report:?}");
        assert_eq!(report.records, journal.retained());
        assert!(journal.seals.newest().unwrap().number > life.saturating_sub(1));
    }
}

#[test]
fn a_death_at_any_store_leaves_chains_that_hold() {
    let before = memory();
    let (mut journal, _) = attach(&before);
    (0..12).for_each(|n| assert!(journal.put(&about(n % 3, n), Source::Own).is_some()));
    for stores in 0.. {
        let memory = copy(&before);
        let lived = death::after(stores, || {
            let (mut journal, _) = Small::attach(&memory).unwrap();
            journal.put(&about(0, 12), Source::Own);
            journal.checkpoint(0, 5);
        });
        let (mut journal, _) = attach(&memory);
        journal.put(&about(1, 13), Source::Own);
        let report = proven(&mut journal);
        assert!(report.is_clean(), "{stores}: {report:?}");
        if lived {
            return;
        }
    }
}

#[test]
fn drops_are_written_down_and_readers_learn_of_them() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    journal.put(&about(1, 0), Source::Own);
    (0..20).for_each(|n| assert!(journal.put(&about(99, n), Source::Own).is_some()));
    assert!(journal.overtaken(2, 0) && journal.overtaken(2, 99));
    assert!(!journal.overtaken(1, 1), "nobody evicted subject 1");
    assert!(!journal.overtaken(0, 0), "a first page misses nothing");
    let front = journal.from(2).next().unwrap().seq;
    assert!(!journal.overtaken(front, 0), "a cursor that kept up");
    journal.settle(SEAL_NS + 1);
    let drop = journal.from(0).find(|record| record.op == Op::Dropped).unwrap();
    assert_eq!((drop.subject, drop.target, drop.args), (99, front - 2, [2, front - 1]));
    let (journal, _) = attach(&memory);
    assert!(journal.overtaken(2, 99) && !journal.overtaken(1, 1), "also after a restart");
}

#[test]
fn a_record_goes_only_behind_a_checkpoint() {
    let memory = memory();
    let (mut journal, _) = attach(&memory);
    for n in 0..200 {
        let gone = journal.from(0).next().map_or(0, |oldest| oldest.seq);
        journal.put(&about(99, n), Source::Own);
        let held = journal.from(0).any(|record| record.seq == gone);
        assert!(held || gone == 0 || journal.seals.covered() >= gone);
    }
}
