//! A logd that takes over from another, and one that is about to end.

use super::*;

/// What the journal says about its own health: kind of trouble and how much, 0 for well again.
fn told(collector: &Small<'_>) -> Vec<(u64, u64)> {
    let health = |r: &&Record| r.op == Op::Health;
    let records = all(collector);
    records.iter().filter(health).map(|r| (r.args[0], r.args[1])).collect()
}

fn state(machine: &Machine) -> Option<State> {
    machine.producer().consumer_state()
}

#[test]
fn a_restart_is_on_record_and_well_only_after_calm() {
    let (machine, mut env) = (Machine::new(), outside());
    machine.producer().push(&decision(20, 1)).unwrap();
    let mut first = machine.collector();
    first.drain(&mut env);
    assert_eq!((told(&first), state(&machine)), (Vec::new(), Some(State::Well)));
    let mut second = machine.collector();
    second.drain(&mut env);
    second.drain(&mut env);
    assert_eq!((told(&second), state(&machine)), (vec![(5, 1)], Some(State::Degraded)));
    env.now_ns += 2_000_000_000;
    second.drain(&mut env);
    assert_eq!((told(&second), state(&machine)), (vec![(5, 1), (0, 0)], Some(State::Well)));
    let mut third = machine.collector();
    third.drain(&mut env);
    assert_eq!(told(&third).last(), Some(&(5, 2)));
}

/// Records were lost, logd says so and dies: its successor must not say that all is well.
#[test]
fn test_reject_health_by_dying() {
    let (machine, mut env) = (Machine::new(), outside());
    let mut producer = machine.producer();
    let pushed = (0..40).filter(|n| producer.push(&decision(20, *n)).is_ok()).count();
    machine.collector().drain(&mut env);
    assert_eq!((pushed, state(&machine)), (16, Some(State::Degraded)));
    machine.collector().drain(&mut env);
    assert_eq!(state(&machine), Some(State::Degraded));
}

/// What is lost while nobody watches is told beside the restart: it is graver.
#[test]
fn what_was_lost_over_a_restart_is_told_too() {
    let (machine, mut env) = (Machine::new(), outside());
    machine.collector().drain(&mut env);
    let mut producer = machine.producer();
    let pushed = (0..40).filter(|n| producer.push(&decision(20, *n)).is_ok()).count();
    let mut second = machine.collector();
    second.drain(&mut env);
    assert_eq!((pushed, told(&second)), (16, vec![(5, 1), (1, 24)]));
}

#[test]
fn a_journal_that_was_not_readable_is_told_apart() {
    let (machine, mut env) = (Machine::new(), outside());
    machine.collector().drain(&mut env);
    machine.kept[0].fetch_xor(1, core::sync::atomic::Ordering::Relaxed);
    let mut second = machine.collector();
    second.drain(&mut env);
    assert_eq!(told(&second), [(6, 1)]);
    // A slot that is damaged is found by this instance: no old news.
    machine.producer().push(&decision(20, 1)).unwrap();
    second.drain(&mut env);
    machine.kept[520 + 5].fetch_xor(1, core::sync::atomic::Ordering::Relaxed);
    let mut third = machine.collector();
    third.drain(&mut env);
    assert_eq!(told(&third), [(5, 1), (3, 1)]);
}
