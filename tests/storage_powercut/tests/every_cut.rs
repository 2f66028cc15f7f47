//! S02, S03, S07, S12: one script, cut at every write and flush, inside every write, with every
//! subset of what the cache held.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{Step, contents, disk, history, name, play, put, script};
use storage_powercut::{
    disk::{Ending, Model, SimDisk},
    run::Map,
};

/// How many of the cache's subsets are tried at one cut; all of them if there are not more.
const SUBSETS: u64 = 64;

/// Writes and flushes of the whole script.
fn operations(script: &[Step]) -> u64 {
    let mut disk = disk(Model::Ordered);
    let before = disk.operations();
    assert_eq!(play(&mut disk, script), script.len());
    disk.operations() - before
}

/// Old or new, and the same when mounted again.
fn check(disk: &mut SimDisk, history: &[(Map, u32)], done: usize, what: &str) {
    let (found, mounted) = contents(disk).unwrap_or_else(|e| panic!("{what}: mount: {e:?}"));
    let state = (found, mounted.boots);
    let next = history.get(done + 1);
    assert!(state == history[done] || next == Some(&state), "{what}: after step {done}: {state:?}");
    disk.cut();
    let (again, remounted) = contents(disk).unwrap_or_else(|e| panic!("{what}: again: {e:?}"));
    assert_eq!((again, remounted.boots), state, "{what}: another state when mounted again");
    assert_eq!(remounted.sequence, mounted.sequence, "{what}");
}

#[test]
fn s02_every_cut_between_operations_leaves_old_or_new() {
    let (script, history) = (script(), history(&script()));
    for at in 0..operations(&script) {
        let mut disk = disk(Model::Ordered);
        disk.end_after(at, Ending::Cut);
        let done = play(&mut disk, &script);
        check(&mut disk, &history, done, &format!("cut at {at}"));
    }
}

#[test]
fn s02_every_cut_inside_a_write_leaves_old_or_new() {
    let (script, history) = (script(), history(&script()));
    let mut cuts = 0;
    for at in 0..operations(&script) {
        // Every byte of what a header takes, every eighth of the rest.
        for stop in (0..224).chain((224..512).step_by(8)) {
            let mut disk = disk(Model::Torn);
            disk.tear_at = Some(stop);
            disk.end_after(at, Ending::Cut);
            let done = play(&mut disk, &script);
            check(&mut disk, &history, done, &format!("cut at {at}, stopped at byte {stop}"));
            cuts += 1;
        }
    }
    println!("{cuts} cuts inside writes");
}

#[test]
fn s02_every_subset_of_the_cache_leaves_old_or_new() {
    let (script, history) = (script(), history(&script()));
    let mut cuts = 0;
    for at in 0..operations(&script) {
        for mask in 0.. {
            let mut disk = disk(Model::Volatile);
            disk.landing = Some(if mask < SUBSETS - 1 { mask } else { !0 });
            disk.end_after(at, Ending::Cut);
            let done = play(&mut disk, &script);
            let subsets = 1_u64 << disk.at_risk().min(40);
            check(&mut disk, &history, done, &format!("cut at {at}, landed {mask:b}"));
            cuts += 1;
            if mask + 1 >= subsets.min(SUBSETS) {
                break;
            }
        }
    }
    println!("{cuts} cuts with subsets");
}

#[test]
fn s03_a_clean_record_after_two_torn_ones_at_one_place_is_found() {
    for (first, second) in (8..500).step_by(36).flat_map(|a| [(a, 40), (a, a), (a, 490)]) {
        let mut disk = disk(Model::Torn);
        put(&mut disk, "before", b"1").expect("puts");
        for (stop, value) in [(first, vec![2; 300]), (second, vec![3; 300])] {
            disk.open();
            disk.tear_at = Some(stop);
            // The mount flushes, the write that follows is cut.
            disk.end_after(1, Ending::Cut);
            let torn = Step::Commit(vec![(name(1, "torn"), Some(value))]);
            assert_eq!(play(&mut disk, &[torn]), 0);
        }
        put(&mut disk, "clean", b"4").expect("puts");
        let (found, _) = contents(&mut disk).expect("mounts");
        assert_eq!(found.get(&name(1, "before")), Some(&b"1".to_vec()));
        assert_eq!(found.get(&name(1, "clean")), Some(&b"4".to_vec()));
    }
}

#[test]
fn s07_recovery_cut_again_and_again_gives_the_same_state_and_seals_nothing() {
    let (script, history) = (script(), history(&script()));
    for model in [Model::Torn, Model::VolatileTorn] {
        for at in 0..operations(&script) {
            let mut disk = disk(model);
            disk.end_after(at, Ending::Cut);
            let done = play(&mut disk, &script);
            disk.cut();
            let before = disk.media().clone();
            for again in 0..6 {
                disk.open();
                disk.end_after(again % 3, Ending::Cut);
                let _cut_or_not = play(&mut disk, &[]);
                disk.cut();
                // Only superblocks may change: what was torn stays torn.
                for (sector, (was, is)) in before.iter().zip(disk.media().iter()).enumerate() {
                    assert!(sector == 0 || sector == 8 || was == is, "sector {sector}");
                }
            }
            check(&mut disk, &history, done, &format!("{model:?} cut at {at}"));
        }
    }
}

#[test]
fn s12_a_batch_of_eight_cut_anywhere_is_there_wholly_or_not() {
    let batch = |byte: u8| -> Step {
        Step::Commit((0..8).map(|n| (name(n, "k"), Some(vec![byte; 400]))).collect())
    };
    let script = [batch(1), batch(2), batch(3), batch(4)];
    let history = history(&script);
    for model in [Model::Ordered, Model::Torn, Model::Volatile, Model::VolatileTorn] {
        for at in 0..operations(&script) {
            for seed in 0..4 {
                let mut disk = disk(model);
                disk.reseed(seed);
                disk.end_after(at, Ending::Cut);
                let done = play(&mut disk, &script);
                check(&mut disk, &history, done, &format!("{model:?} {seed} cut at {at}"));
            }
        }
    }
}

/// Two attempts at one compaction leave records of the same epoch and number in one region. What
/// is left of the first behind the second must not look like a log that goes on.
#[test]
fn a_snapshot_that_was_given_up_is_not_taken_for_damage() {
    let put = |n: u64| Step::Commit(vec![(name(1, &format!("k{n}")), Some(vec![n as u8; 100]))]);
    let many: Vec<Step> = (0..24).map(put).collect();
    for left in 1..24 {
        let mut disk = disk(Model::Ordered);
        assert_eq!(play(&mut disk, &many), many.len());
        disk.open();
        // The mount's flush, a snapshot of three records of three sectors, and no superblock.
        disk.end_after(10, Ending::Cut);
        assert_eq!(play(&mut disk, &[Step::Compact]), 0);
        disk.open();
        // In few records, so that the region is not full before the second attempt.
        let gone: Vec<u64> = (left..24).collect();
        let delete = |n: &u64| (name(1, &format!("k{n}")), None);
        let fewer: Vec<Step> =
            gone.chunks(8).map(|some| Step::Commit(some.iter().map(delete).collect())).collect();
        assert_eq!(play(&mut disk, &fewer), fewer.len());
        disk.open();
        assert_eq!(play(&mut disk, &[Step::Compact]), 1);
        let (found, mounted) = contents(&mut disk).unwrap_or_else(|e| panic!("{left}: {e:?}"));
        assert_eq!(found.len() as u64, left);
        assert_eq!(mounted.epoch, 2);
    }
}
