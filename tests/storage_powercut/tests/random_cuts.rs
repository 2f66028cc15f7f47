//! S01: all models, 500 runs of six cuts each; and the controls that must fail.
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use nexus_state::Durability;
use storage_powercut::{
    disk::{Barrier, MODELS, Model},
    run::{Figures, Plan, run},
};

/// Runs and cuts of each model: 12,000 cuts together.
const RUNS: u64 = 500;
const CUTS: u64 = 6;

fn all(model: Model, durability: Durability, ignores: Option<Barrier>) -> (Figures, u64) {
    let (mut figures, mut violations) = (Figures::default(), 0);
    for seed in 0..RUNS {
        match run(Plan { seed, model, cuts: CUTS, ignores, durability }) {
            Ok(more) => figures = figures.and(more),
            Err(what) => {
                assert!(ignores.is_some(), "{what}");
                violations += 1;
            }
        }
    }
    (figures, violations)
}

#[test]
fn s01_twelve_thousand_cuts_in_four_models_violate_nothing() {
    let mut cuts = 0;
    for model in MODELS {
        let (figures, violations) = all(model, Durability::Flush, None);
        assert_eq!(violations, 0);
        assert!(figures.in_recovery > 100, "cuts fall into recovery too: {figures:?}");
        assert!(figures.epochs > 100, "compactions happen: {figures:?}");
        println!(
            "{model:?}: {figures:?}, {}.{:02} sectors and {}.{:02} flushes a commit",
            figures.sectors / figures.commits,
            figures.sectors * 100 / figures.commits % 100,
            figures.flushes / figures.commits,
            figures.flushes * 100 / figures.commits % 100,
        );
        cuts += figures.cuts;
    }
    assert!(cuts >= 12_000, "{cuts}");
}

#[test]
fn s09_without_flush_the_same_holds_in_order() {
    for model in [Model::Ordered, Model::Torn] {
        let (figures, violations) = all(model, Durability::WriteThrough, None);
        assert_eq!((violations, figures.flushes), (0, 0));
    }
}

/// The harness has teeth: a disk that drops one kind of barrier is found out.
#[test]
fn control_every_barrier_that_is_dropped_is_noticed() {
    for barrier in [Barrier::Commit, Barrier::Snapshot, Barrier::Superblock, Barrier::Mount] {
        let (_, violations) = all(Model::Volatile, Durability::Flush, Some(barrier));
        println!("without the {barrier:?} barrier: {violations} of {RUNS} runs are bad");
        assert!(violations > 0, "{barrier:?}");
    }
}
