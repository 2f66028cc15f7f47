//! A hundred thousand decisions with everything going wrong around them: floods, full lanes,
//! deaths of policyd, logd and an enforcer at any point, a reader that stalls. The real state
//! machines run over plain memory, and a model notes what became of every record; in the end each
//! decision is in the journal exactly once, or counted as lost under its number.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod reader;
mod world;

use nexus_system::ids;
use nexus_wire::audit::{Op, Reason, Record};
use reader::{Slow, Witness};
use world::{Act, Fate, World};

/// Decisions of one run.
const DECISIONS: usize = 100_000;

/// One random step of the world.
fn step(world: &mut World, witness: &mut Witness, slow: &mut Slow) {
    match world.rest.chance(1000) {
        0..550 => world.rest.decide_something(),
        550..562 => world.rest.flood(),
        562..620 => world.act(),
        620..640 => world.remark(),
        640..670 => world.rest.kernel_events(),
        670..680 => world.rest.kill_policyd(),
        680..700 => world.logd = None,
        700..704 => {
            world.kill_logd_in_a_drain();
            world.start_logd();
            witness.catch_up(world);
        }
        704..720 => world.enforcer = None,
        720..760 => {
            slow.page(world, witness);
            witness.catch_up_if_it_lives(world);
        }
        760..764 => slow.forget(world),
        _ => {
            world.start_logd();
            // Lives are short, so that deaths come at every state of the lanes.
            if world.rest.chance(4) == 0 {
                world.tick();
                witness.catch_up(world);
            }
        }
    }
}

fn run(seed: u64) -> (World, Witness, Slow) {
    let (mut world, mut witness, mut slow) =
        (World::new(seed), Witness::default(), Slow::default());
    while world.rest.fates.len() < DECISIONS {
        step(&mut world, &mut witness, &mut slow);
    }
    world.start_logd();
    world.tick();
    witness.catch_up(&mut world);
    (world, witness, slow)
}

/// Every number of policyd's lane: its record once in the journal, or in a `lost` record.
fn check_decisions(world: &World, witness: &Witness) -> u64 {
    let mut lost = witness.lost(ids::POLICYD.0, Reason::Overflow);
    for (seq, fate) in world.rest.fates.iter().enumerate() {
        let counted = lost.remove(&(seq as u64));
        let found = witness.at(fate.time());
        match fate {
            Fate::Stored(record) => {
                assert!(!counted, "{seq} is stored and counted as lost");
                let [one] = found else { panic!("{seq}: {} times in the journal", found.len()) };
                assert_eq!(Record { seq: record.seq, ..*one }, *record, "{seq}");
            }
            Fate::Lost(_) => assert!(counted && found.is_empty(), "{seq} is lost, uncounted"),
            Fate::Died => assert!(counted, "{seq} died with policyd, uncounted"),
        }
    }
    assert!(lost.is_empty(), "counted as lost, and never produced: {lost:?}");
    world.rest.fates.iter().filter(|fate| !matches!(fate, Fate::Stored(_))).count() as u64
}

/// Every act of the enforcer: its outcome once in the journal, with the number of its decision.
fn check_outcomes(world: &World, witness: &Witness) -> [u64; 2] {
    let (mut stored, mut gone) = (0, 0);
    for act in &world.acts {
        let found = witness.outcome(act.id());
        match *act {
            Act::Recorded { decision, .. } => {
                let [one] = found else { panic!("{act:?}: {} outcomes", found.len()) };
                assert_eq!((one.op, one.enforcer), (Op::State, ids::STATEFSD.0), "{act:?}");
                assert_eq!(one.args[0], witness.number_of(world, decision), "{act:?}");
                stored += 1;
            }
            Act::Gone { .. } => {
                assert!(found.is_empty(), "{act:?}");
                gone += 1;
            }
        }
    }
    let lost = witness.lost(ids::STATEFSD.0, Reason::Overflow);
    assert_eq!(lost.len() as u64, gone, "what died or found no room is counted");
    [stored, gone]
}

#[test]
fn every_decision_is_in_the_journal_once_or_counted() {
    let (mut world, witness, slow) = run(0x5eed);
    let lost = check_decisions(&world, &witness);
    let [stored, gone] = check_outcomes(&world, &witness);
    let produced = world.rest.fates.len() as u64;
    // Asking is a decision too, recorded before the answer.
    let (one, two) = (world.source(0), world.source(1));
    assert_eq!(one, [ids::POLICYD.0, produced + 1, produced + 1 - lost, lost]);
    assert_eq!(two, [ids::STATEFSD.0, stored + gone, stored, gone]);
    // The run was what it says.
    assert!(lost > 5_000 && gone > 50 && stored > 1_000, "{lost} {gone} {stored}");
    let lives = world.lives;
    assert!(lives.iter().all(|lives| *lives > 100), "deaths: {lives:?}");
    assert!(slow.overtaken > 20 && slow.pages > 1_000, "{slow:?}");
    println!(
        "{produced} decisions, {lost} lost, {stored} outcomes, {gone} gone, {} journal records, \
         lives {lives:?}, {slow:?}",
        witness.len()
    );
}
