//! What somebody would try who has a route here, or the disk, or the journal.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use nexus_keys::{Flags, QuoteBody};
use nexus_service::Service as _;
use nexus_wire::{
    Bytes, FRAME_MAX,
    audit::{Decision, Reason},
    keys::{ACTIVE, Op, Reply, Request, Response, Slot, Standing, Status},
};

fn due(bench: &Bench) -> u64 {
    nexus_service::Service::<Outside>::next_tick_ns(&bench.service)
}

fn at_once(bench: &mut Bench, from: u64, op: Op<'_>) -> (Status, Vec<nexus_wire::audit::Record>) {
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce: Some(5), op }.encode(&mut frame);
    let (answer, records) = bench.raw_recorded(from, &frame[..len]);
    (Response::decode(&answer).unwrap().status, records)
}

/// The disk disappears and keystored dies, in one boot: no other device takes its place.
#[test]
fn test_reject_a_device_in_memory_after_one_on_disk() {
    let (_, bench) = with_keys();
    let kept_boot = bench.outside.kept_boot;
    assert_ne!(kept_boot, 0);
    let mut again = boot(&disk(), 1);
    (again.outside.durable, again.outside.kept_boot) = (false, kept_boot);
    assert!(!again.service.prepare(&mut again.outside));
    assert_eq!(again.keygen(), Status::Rollback);
    assert_eq!(again.sign(CLIENT, b"m"), Err(Status::Rollback));
    assert!(again.outside.disk.borrow().is_empty());
    let flags = again.ask(CLIENT, Op::Status {}, |_, body| match body {
        Reply::Status { status } => status.flags,
        _ => 0,
    });
    assert_eq!(flags & (Standing::ROLLBACK | Standing::STORE), Standing::ROLLBACK);
}

/// Whoever holds the journal gets one history signed, not two.
#[test]
fn test_reject_a_second_history_of_the_audit() {
    let (_, mut bench) = with_keys();
    let mut seal = |number, digest: u8| {
        bench.outside.checkpoints = vec![(number, [digest; 32])];
        let before = bench.outside.seals.len();
        bench.service.notified(1, &mut bench.outside);
        let refused = bench.outside.drain().pop().unwrap().decision == Decision::Deny;
        assert_eq!(refused, bench.outside.seals.len() == before);
        !refused
    };
    assert!(seal(3, 0x33));
    assert!(!seal(3, 0x34), "another digest under one number");
    assert!(!seal(2, 0x22), "backwards");
    assert!(seal(3, 0x33), "the same again is no other");
    assert!(seal(4, 0x44));
}

/// K13: nothing of a decision outlives the request it was made for.
#[test]
fn test_reject_k13_a_decision_from_before_a_reload() {
    let (_, mut bench) = with_keys();
    assert!(bench.sign(CLIENT, b"m").is_ok());
    let asked = bench.outside.asked.len();
    assert!(bench.sign(CLIENT, b"m").is_ok());
    assert_eq!(bench.outside.asked.len(), asked + 1, "each request is a question");
    bench.outside.reloaded = true;
    assert_eq!(bench.sign(CLIENT, b"m"), Err(Status::Denied));
    assert_eq!(bench.public(SERVICE, ACTIVE), Err(Status::Denied));
    bench.outside.reloaded = false;
    assert!(bench.sign(CLIENT, b"m").is_ok());
}

/// K41: a flood of denied requests costs its maker, is accounted for, and nobody else notices.
#[test]
fn test_reject_k41_a_thousand_denied_requests() {
    let (_, mut bench) = with_keys();
    bench.outside.now_ns += 100_000_000_000;
    let asked = bench.outside.asked.len();
    let message = Bytes::new(b"m").unwrap();
    let (mut denied, mut limited, mut told) = (0, 0, 0);
    for _ in 0..1000 {
        let (status, records) = at_once(&mut bench, PEER, Op::Sign { message });
        denied += u64::from(status == Status::Denied);
        limited += u64::from(status == Status::RateLimited);
        for record in records {
            assert_eq!((record.reason, record.subject), (Reason::Limit, PEER));
            told += record.args[1];
        }
    }
    assert_eq!((denied, limited, told), (32, 1000 - 32, 1));
    assert_eq!(bench.outside.asked.len() - asked, 32, "policyd is spared");
    assert_eq!(at_once(&mut bench, CLIENT, Op::Sign { message }).0, Status::Ok);
    // Its maker does not come back; time does.
    assert_ne!(due(&bench), u64::MAX);
    bench.outside.now_ns += 3_000_000_000;
    bench.service.tick(&mut bench.outside);
    let [record] = bench.outside.drain().try_into().unwrap();
    assert_eq!((record.reason, record.subject), (Reason::Limit, PEER));
    assert_eq!(told + record.args[1], limited, "every one is accounted for");
    assert_eq!(due(&bench), u64::MAX);
}

/// Refusals with a record each do not take the place of what has to be on record.
#[test]
fn test_reject_a_flood_of_refusals_that_would_stop_the_others() {
    let (_, mut bench) = with_keys();
    bench.outside.now_ns += 100_000_000_000;
    let mut frame = [0; FRAME_MAX];
    let message = Bytes::new(b"m").unwrap();
    let mut unread = |bench: &mut Bench, from, op| {
        let len = Request { version: 2, nonce: Some(5), op }.encode(&mut frame);
        let service = nexus_abi::ServiceId(from);
        let sender = nexus_abi::Sender { service, incarnation: 1, badge: 0 };
        let answer =
            nexus_service::step(&mut bench.service, sender, &frame[..len], &mut bench.outside);
        Response::decode(answer.bytes()).unwrap().status
    };
    for _ in 0..200 {
        unread(&mut bench, PEER, Op::DevicePrivkey {});
        unread(&mut bench, PEER, Op::DeviceSign { purpose: ROTATE, message });
    }
    assert_eq!(unread(&mut bench, CLIENT, Op::Sign { message }), Status::Ok);
}

/// K42, K07: for a name of another's and of nobody's the same is done, not only answered.
#[test]
fn test_reject_k42_anothers_name_by_the_same_steps() {
    let (_, mut bench) = with_keys();
    assert_eq!(bench.put(PEER, b"theirs", b"secret"), Status::Ok);
    let mut steps = |name: &'static [u8]| {
        let (lookups, asked) = (bench.outside.lookups.len(), bench.outside.asked.len());
        let slot = Slot::new(name, b"").unwrap();
        let (status, records) = at_once(&mut bench, CLIENT, Op::Get { slot });
        let done = bench.outside.lookups[lookups..].to_vec();
        (status, done, bench.outside.asked.len() - asked, records.len())
    };
    let (theirs, nobodys) = (steps(b"theirs"), steps(b"nobody"));
    assert_eq!(theirs, nobodys);
    assert_eq!((theirs.0, theirs.2, theirs.3), (Status::NotFound, 1, 1));
    assert!(theirs.1.iter().all(|(_, found)| found.is_none()));
}

/// A boot that could not be given a random name says so.
#[test]
fn a_quote_without_entropy_admits_it() {
    let (_, mut bench) = with_keys();
    let challenge = Bytes::new(&[7; 32]).unwrap();
    let mut flags = |kept_boot| {
        bench.outside.kept_boot = kept_boot;
        bench.ask(CLIENT, Op::Attest { challenge }, |_, body| match body {
            Reply::Attest { quote, .. } => {
                QuoteBody::decode(quote.as_bytes()).unwrap().evidence.flags
            }
            _ => unreachable!(),
        })
    };
    assert!(!flags(1).has(Flags::ENTROPY_UNPROVEN));
    assert!(flags(0).has(Flags::ENTROPY_UNPROVEN), "no boot id");
}
