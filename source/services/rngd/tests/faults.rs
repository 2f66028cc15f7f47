//! Devices that are stuck, short, slow, repeating or hostile: what they cost, and that no byte
//! of theirs becomes output.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::{cell::Cell, rc::Rc};

use common::{Answer, Bench, CLIENT, SplitMix, good};
use nexus_wire::rng::{Health, Status};
use rngd::{
    BACK_OFF_NS, Cutoffs, ENTROPY_BLOCK, READ_NS, RESEED_BYTES, RESEED_NS, RESEED_REQUESTS, Rngd,
    SHORT_READS_MAX, WAKE_UPS_MAX,
};

/// Blocks of the start-up test and of the first seed.
const BLOCKS_AT_START: u64 = 9;

/// A device that sees the number of its request.
fn numbered(mut device: impl FnMut(u64) -> Answer + 'static) -> impl FnMut() -> Answer {
    let mut n = 0;
    move || {
        n += 1;
        device(n)
    }
}

/// Refused, whatever is asked, and for ever.
fn refuses_for_ever(bench: &mut Bench, why: Health) {
    for _ in 0..3 {
        assert_eq!(bench.entropy(CLIENT, 32), (Status::Unavailable, Vec::new()));
        assert_eq!(bench.seed(CLIENT, 32), (Status::Unavailable, Vec::new()));
        assert_eq!(bench.due_ns(), u64::MAX, "and it does not try again");
        bench.tick();
        bench.outside.now_ns += BACK_OFF_NS;
    }
    assert_eq!(bench.status().0, why);
    assert_eq!(bench.outside.said.last(), Some(&why));
}

/// R01: the repetition test trips at the ninth byte of the start-up test.
#[test]
fn test_reject_a_source_of_zeros() {
    let mut bench = Bench::boot(|| Answer::Block([0; ENTROPY_BLOCK]));
    assert_eq!(bench.outside.said, [Health::Repetition]);
    assert_eq!(bench.status().1[0], 9);
    refuses_for_ever(&mut bench, Health::Repetition);
    assert_eq!(bench.outside.requests, 1, "the device is not asked again");
}

/// R02: never two equal bytes in a row; the proportion test trips inside its first window.
#[test]
fn test_reject_a_source_that_alternates() {
    let mut bench = Bench::boot(|| Answer::Block(std::array::from_fn(|i| [0x55, 0xaa][i % 2])));
    assert_eq!(bench.status().1[0], 141, "the 71st of one byte");
    refuses_for_ever(&mut bench, Health::Proportion);
}

/// R03: what the tests cannot see. A counter passes them, which is why output depends on more
/// than the source.
#[test]
fn a_counter_passes_the_tests_and_two_moments_still_differ() {
    let ramp = || {
        numbered(|n| {
            let from = (n % 2) as usize * ENTROPY_BLOCK;
            Answer::Block(std::array::from_fn(|i| (from + i) as u8))
        })
    };
    let (mut one, mut two) = (Bench::boot(ramp()), Bench::boot(ramp()));
    assert_eq!(one.status().0, Health::Well);
    two.outside.now_ns += 1;
    assert_ne!(one.seed(CLIENT, 32), two.seed(CLIENT, 32));
}

#[test]
fn test_reject_a_device_that_gives_a_block_twice() {
    let block = SplitMix(3).block();
    let mut bench = Bench::boot(move || Answer::Block(block));
    refuses_for_ever(&mut bench, Health::Repeated);
    // Not only at the start: an old block in place of a new one.
    let (mut rng, mut last) = (SplitMix(4), [0; ENTROPY_BLOCK]);
    let mut bench = Bench::boot(numbered(move |n| {
        if n != BLOCKS_AT_START + 2 {
            last = rng.block();
        }
        Answer::Block(last)
    }));
    assert_eq!(bench.seed(CLIENT, 32).0, Status::Ok);
    assert_eq!(bench.seed(CLIENT, 32), (Status::Unavailable, Vec::new()));
    refuses_for_ever(&mut bench, Health::Repeated);
}

/// R04, for what the driver calls short: discarded and counted, and given up after so many.
#[test]
fn test_reject_short_reads() {
    let mut rng = SplitMix(5);
    let mut bench =
        Bench::boot(numbered(
            move |n| {
                if n % 3 == 0 { Answer::Short } else { Answer::Block(rng.block()) }
            },
        ));
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok, "now and then is no fault");
    let (health, [raw, _, _, _, short, timeouts]) = bench.status();
    assert_eq!((health, raw, short, timeouts), (Health::Well, 1152, 4, 0));

    let mut bench = Bench::boot(|| Answer::Short);
    assert_eq!(bench.entropy(CLIENT, 32), (Status::Unavailable, Vec::new()));
    let (health, [raw, _, _, _, short, _]) = bench.status();
    assert_eq!((health, raw, short), (Health::Untested, 0, u64::from(SHORT_READS_MAX)));

    // At the bound, and one before it.
    for (shorts, status) in
        [(SHORT_READS_MAX - 1, Status::Ok), (SHORT_READS_MAX, Status::Unavailable)]
    {
        let (mut rng, first) = (SplitMix(6), BLOCKS_AT_START + 1);
        let mut bench = Bench::boot(numbered(move |n| {
            let short = (first..first + u64::from(shorts)).contains(&n);
            if short { Answer::Short } else { Answer::Block(rng.block()) }
        }));
        assert_eq!(bench.seed(CLIENT, 32).0, status, "{shorts}");
    }
}

/// R04, the other side: what the driver found impossible is the end.
#[test]
fn test_reject_a_device_that_breaks_its_protocol() {
    let mut bench = Bench::boot(|| Answer::Broken);
    refuses_for_ever(&mut bench, Health::Device);
    let mut rng = SplitMix(6);
    let mut bench = Bench::boot(numbered(move |n| {
        if n > BLOCKS_AT_START { Answer::Broken } else { Answer::Block(rng.block()) }
    }));
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok);
    assert_eq!(bench.seed(CLIENT, 32).0, Status::Unavailable);
    refuses_for_ever(&mut bench, Health::Device);
}

#[test]
fn test_reject_without_a_device() {
    let mut outside = common::Outside::new(good(1));
    let mut rngd = Rngd::new(Cutoffs::CLAIMED);
    rngd.no_device(&mut outside);
    refuses_for_ever(&mut Bench { rngd, outside }, Health::Device);
}

/// R05: one wait, with an end; then no waiting for a while, and another try later.
#[test]
fn test_reject_a_device_that_never_completes() {
    let mut rng = SplitMix(7);
    let mut bench =
        Bench::boot(numbered(
            move |n| {
                if n == 1 { Answer::Never } else { Answer::Block(rng.block()) }
            },
        ));
    let took_ns = bench.outside.now_ns;
    assert!((READ_NS..READ_NS * 2).contains(&took_ns), "{took_ns}");
    assert_eq!(bench.outside.rests, 1, "asleep, not spinning");
    assert_eq!(bench.entropy(CLIENT, 32), (Status::Unavailable, Vec::new()));
    assert!(bench.outside.said.is_empty(), "slow is not broken");
    bench.tick();
    assert_eq!(bench.outside.rests, 1, "the next try does not wait");
    assert_eq!(bench.status().1[5], 2);
    // It comes at last. What was asked for so long ago is thrown away, not even tested.
    bench.outside.now_ns = bench.due_ns();
    bench.outside.under_way = Some(Answer::Block([0; ENTROPY_BLOCK]));
    bench.tick();
    assert_eq!(bench.outside.said, [Health::Well]);
    assert_eq!(bench.status().1[0], 1152);
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok);
    assert_eq!(bench.due_ns(), u64::MAX);
}

/// A caller that asks without pause does not keep the device from being waited for again.
#[test]
fn impatience_does_not_make_an_outage_last() {
    let mut rng = SplitMix(10);
    let mut bench = Bench::boot(numbered(move |n| {
        if n == BLOCKS_AT_START + 1 { Answer::Never } else { Answer::Block(rng.block()) }
    }));
    assert_eq!(bench.seed(CLIENT, 32).0, Status::Unavailable);
    let rests = bench.outside.rests;
    while bench.outside.now_ns < 2 * BACK_OFF_NS {
        assert_eq!(bench.seed(CLIENT, 32).0, Status::Unavailable);
        bench.outside.now_ns += BACK_OFF_NS / 8;
    }
    assert!(bench.outside.rests > rests, "it was waited for again, and not every time");
    assert!(bench.outside.rests < rests + 4);
    bench.outside.under_way = Some(Answer::Short);
    bench.outside.now_ns += BACK_OFF_NS;
    assert_eq!(bench.seed(CLIENT, 32).0, Status::Ok);
}

/// The start-up test passes, the first seed does not come: not ready until it has.
#[test]
fn ready_is_said_once_and_only_when_there_is_a_seed() {
    let mut rng = SplitMix(11);
    let mut bench = Bench::boot(numbered(move |n| {
        if n == BLOCKS_AT_START { Answer::Never } else { Answer::Block(rng.block()) }
    }));
    assert!(bench.outside.said.is_empty());
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Unavailable);
    bench.outside.under_way = Some(Answer::Short);
    bench.outside.now_ns = bench.due_ns() + BACK_OFF_NS;
    bench.tick();
    assert_eq!(bench.outside.said, [Health::Well]);
    assert_eq!((bench.due_ns(), bench.entropy(CLIENT, 32).0), (u64::MAX, Status::Ok));
    assert_eq!(bench.seed(CLIENT, 32).0, Status::Ok);
    assert_eq!(bench.outside.said, [Health::Well], "once");
}

#[test]
fn test_reject_interrupts_for_nothing() {
    let mut outside = common::Outside::new(|| Answer::Never);
    outside.rings_for_nothing = true;
    let mut bench = Bench { rngd: Rngd::new(Cutoffs::CLAIMED), outside };
    bench.tick();
    assert_eq!(bench.outside.rests, u64::from(WAKE_UPS_MAX));
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Unavailable);
}

/// R06: healthy, then stuck. Output stops at once, also for those who need no new seed, and does
/// not come back with the source.
#[test]
fn test_reject_everything_after_a_latched_failure() {
    let mut rng = SplitMix(8);
    let mut bench = Bench::boot(numbered(move |n| {
        let stuck = n == BLOCKS_AT_START + 1;
        Answer::Block(if stuck { [7; ENTROPY_BLOCK] } else { rng.block() })
    }));
    assert_eq!(bench.entropy(CLIENT, 32).0, Status::Ok);
    assert_eq!(bench.seed(CLIENT, 32), (Status::Unavailable, Vec::new()));
    refuses_for_ever(&mut bench, Health::Repetition);
    assert_eq!(bench.outside.said, [Health::Well, Health::Repetition]);
}

/// R12: a limit is reached while the source is gone. Refused, not continued; served again when
/// the source is back.
#[test]
fn test_reject_use_past_the_reseed_limit() {
    let gone = Rc::new(Cell::new(false));
    let (is_gone, mut rng) = (gone.clone(), SplitMix(9));
    let mut bench =
        Bench::boot(move || if is_gone.get() { Answer::Never } else { Answer::Block(rng.block()) });
    let back = |bench: &mut Bench| {
        gone.set(false);
        bench.outside.under_way = None;
        bench.outside.now_ns += BACK_OFF_NS;
    };
    for _ in 0..RESEED_REQUESTS {
        assert_eq!(bench.entropy(CLIENT, 1).0, Status::Ok);
    }
    assert_eq!(bench.status().1[1], 1, "one seed so far");
    gone.set(true);
    for _ in 0..2 {
        assert_eq!(bench.entropy(CLIENT, 1), (Status::Unavailable, Vec::new()));
    }
    back(&mut bench);
    assert_eq!(bench.entropy(CLIENT, 1).0, Status::Ok);
    assert_eq!(bench.status().1[1], 2);
    gone.set(true);
    bench.outside.now_ns += RESEED_NS;
    assert_eq!(bench.entropy(CLIENT, 1).0, Status::Unavailable, "by time");
    back(&mut bench);
    for _ in 0..RESEED_BYTES / 256 {
        assert_eq!(bench.entropy(CLIENT, 256).0, Status::Ok);
    }
    assert_eq!(bench.status().1[1], 3);
    gone.set(true);
    assert_eq!(bench.entropy(CLIENT, 1).0, Status::Unavailable, "by bytes");
}
