//! Ordinary entries and the audit through the frames of the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::{Machine, OTHER, READER, decision, sender};
use nexus_abi::{EventKind, KernelEvent, ServiceId};
use nexus_service::Service;
use nexus_wire::{
    audit::{Decision, Op as AuditOp, Reason},
    log::{Entry, Level, Op, Reply, Status},
    supervise::SHUTDOWN_BIT,
};

fn entry(message: &str) -> Entry<'_> {
    Entry::new(Level::Info, b"scope", message.as_bytes(), b"").unwrap()
}

fn query(since_ns: u64, max_count: u16) -> Op<'static> {
    Op::Query { since_ns, max_count }
}

/// Writer, message and time of every entry of the page.
fn page(body: &Reply<'_>) -> Vec<(u64, String, u64)> {
    let Reply::Query { entries, .. } = body else { panic!("not a page") };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    entries.iter().map(|e| (e.service, text(e.entry.message()), e.time_ns)).collect()
}

#[test]
fn entries_are_appended_and_read_in_both_versions() {
    for version in [1, 2] {
        let machine = Machine::new();
        let mut logd = machine.boot();
        for message in ["one", "two"] {
            let (status, id) =
                logd.ask((OTHER, version), Op::Append { entry: entry(message) }, |body| {
                    let Reply::Append { record_id, dropped: 0 } = body else { panic!() };
                    *record_id
                });
            assert_eq!((status, id), (Status::Ok, if message == "one" { 1 } else { 2 }));
        }
        let (status, read) = logd.ask((READER, version), query(0, 10), page);
        assert_eq!(status, Status::Ok);
        assert_eq!((read[0].0, read[0].1.as_str()), (OTHER, "one"));
        let (_, rest) = logd.ask((READER, version), query(read[0].2 + 1, 10), page);
        assert_eq!(rest.len(), 1);
        let (_, one) = logd.ask((READER, version), query(0, 1), page);
        assert_eq!(one.len(), 1);
        let (status, figures) = logd.ask((READER, version), Op::Stats {}, |body| match *body {
            Reply::Stats { total, dropped, used_records, used_bytes, cap_records, .. } => {
                (total, dropped, used_records, used_bytes, cap_records as usize)
            }
            _ => panic!(),
        });
        assert_eq!((status, figures), (Status::Ok, (2, 0, 2, 16, logd::ENTRIES_RECORDS)));
    }
}

#[test]
fn test_reject_a_forged_writer() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    let forged =
        Entry::new(Level::Info, b"policyd.audit", b"audit v1 op=check", b"service_id=2").unwrap();
    assert_eq!(logd.status((OTHER, 1), Op::Append { entry: forged }), Status::Ok);
    let (_, read) = logd.ask((READER, 1), query(0, 9), page);
    assert_eq!(read[0].0, OTHER, "the stamped writer, whatever the fields say");
    assert!(logd.audit(0, 0, 0, 0).is_empty(), "text that looks like audit is none");
}

#[test]
fn test_reject_readers_without_the_right() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    let audit =
        Op::AuditQuery { since_seq: 0, subject: 0, op: 0, decision: 0, request_nonce: 0, max: 3 };
    let reads = [
        (query(0, 1), "log.read"),
        (Op::Stats {}, "log.read"),
        (audit, "audit.read"),
        (Op::AuditStats {}, "audit.read"),
    ];
    for (op, right) in reads {
        assert_eq!(logd.status((OTHER, 2), op), Status::Denied);
        assert_eq!(logd.outside.asked.pop(), Some((OTHER, right.to_owned())), "the stamped reader");
        logd.outside.policyd_is_dead = true;
        assert_eq!(logd.status((READER, 2), op), Status::Unavailable, "no decision is no right");
        logd.outside.policyd_is_dead = false;
        assert_eq!(logd.status((READER, 2), op), Status::Ok);
    }
    logd.outside.asked.clear();
    assert_eq!(logd.status((OTHER, 2), Op::Append { entry: entry("x") }), Status::Ok);
    assert!(logd.outside.asked.is_empty(), "writing needs only the channel");
}

#[test]
fn this_runs_decision_is_found_by_subject_operation_decision_and_nonce() {
    let machine = Machine::new();
    let mut producer = machine.producer();
    for (subject, what, nonce) in
        [(20, Decision::Allow, 7), (20, Decision::Deny, 8), (21, Decision::Deny, 7)]
    {
        producer.push(&decision(subject, what, nonce).to_words()).unwrap();
    }
    let mut logd = machine.boot();
    let found = logd.audit(20, AuditOp::CheckCap.code(), Decision::Deny.code(), 8);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].subject, found[0].nonce, found[0].decision), (20, 8, Decision::Deny));
    assert_eq!(logd.audit(0, 0, 0, 0).len(), 3);
    assert!(logd.audit(20, AuditOp::Route.code(), 0, 0).is_empty());
}

#[test]
fn a_chatty_logger_cannot_touch_the_audit() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    machine.producer().push(&decision(20, Decision::Deny, 1).to_words()).unwrap();
    for _ in 0..3 * logd::ENTRIES_RECORDS {
        assert_eq!(logd.status((OTHER, 1), Op::Append { entry: entry("noise") }), Status::Ok);
    }
    assert_eq!(logd.audit(20, 0, 0, 1).len(), 1);
    let ([produced, stored, lost, evicted, retained], _) = logd.audit_stats();
    assert_eq!((produced, stored, lost, evicted, retained), (1, 1, 0, 0, 1));
}

#[test]
fn a_flood_is_accounted_and_leaves_another_subjects_records() {
    let machine = Machine::new();
    let (mut logd, mut producer) = (machine.boot(), machine.producer());
    for nonce in 1..=5 {
        producer.push(&decision(20, Decision::Allow, nonce).to_words()).unwrap();
    }
    for n in 0..20_000u32 {
        let _full_is_counted = producer.push(&decision(99, Decision::Deny, n).to_words());
        if n.is_multiple_of(1500) {
            logd.logd.notified(1, &mut logd.outside);
        }
    }
    let ([produced, stored, lost, evicted, retained], _) = logd.audit_stats();
    assert_eq!(produced, producer.produced());
    assert_eq!(produced, stored + lost);
    assert!(lost > 0 && evicted > 0);
    assert_eq!(retained as usize, logd::JOURNAL_RECORDS);
    let notes = logd.audit(0, AuditOp::Lost.code(), 0, 0);
    assert!(!notes.is_empty() && notes.iter().map(|note| note.target).sum::<u64>() <= lost);
    assert_eq!(logd.audit(20, 0, 0, 0).len(), 5, "the quiet subject's records survive");
}

#[test]
fn the_audit_survives_a_restart_and_entries_do_not_pretend_to() {
    let machine = Machine::new();
    machine.producer().push(&decision(20, Decision::Allow, 1).to_words()).unwrap();
    let mut first = machine.boot();
    let before = first.audit(0, 0, 0, 0);
    drop(first);
    machine.producer().push(&decision(20, Decision::Deny, 2).to_words()).unwrap();
    let mut second = machine.boot();
    let after = second.audit(0, 0, 0, 0);
    assert_eq!(after[..1], before);
    assert_eq!((after.len(), after[1].nonce), (3, 2));
    assert_eq!((after[2].op, after[2].args), (AuditOp::Health, [5, 1]), "the restart is on record");
    let ([produced, stored, lost, ..], _) = second.audit_stats();
    assert_eq!((produced, stored, lost), (2, 2, 0));
}

#[test]
fn bells_ticks_and_queries_all_drain() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    let event = |seq| KernelEvent {
        seq,
        time_ns: 1,
        kind: EventKind::SyscallDenied,
        detail: 0,
        service: ServiceId(900),
        incarnation: 3,
        arg0: 21,
        arg1: 0,
    };
    logd.outside.events.push_back(event(0));
    logd.logd.notified(1 << 63, &mut logd.outside);
    assert!(logd.outside.events.is_empty());
    logd.outside.events.push_back(event(1));
    logd.logd.tick(&mut logd.outside);
    assert!(logd.outside.events.is_empty());
    let due = Service::<common::Outside>::next_tick_ns(&logd.logd);
    assert!(due > logd.outside.now_ns && due <= logd.outside.now_ns + logd::TICK_NS);
    logd.outside.events.push_back(event(3));
    let (_, kernel) = logd.audit_stats();
    assert_eq!(kernel, [4, 3, 1], "produced, stored, lost");
    let found = logd.audit(900, AuditOp::KernelSyscallDenied.code(), 0, 0);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].args[0], found[0].cap.as_bytes()), (21, &b"mask_shrink"[..]));
}

#[test]
fn without_its_memory_a_part_is_unavailable_and_the_other_works() {
    let machine = Machine::new();
    let entries = logd::Memory { entries: Some(&machine.entries), ..Default::default() };
    let (logd, found) = logd::Logd::attach(&entries);
    assert_eq!(found, None);
    let mut bench = common::Bench { logd, outside: common::Outside::default() };
    assert_eq!(bench.status((READER, 2), Op::AuditStats {}), Status::Unavailable);
    assert_eq!(bench.status((READER, 2), Op::Append { entry: entry("x") }), Status::Ok);
    let audit = logd::Memory {
        journal: Some(&machine.journal),
        lanes: machine.lanes(),
        ..logd::Memory::default()
    };
    let (logd, found) = logd::Logd::attach(&audit);
    assert_eq!(found, Some(logd::Found::Fresh));
    let mut bench = common::Bench { logd, outside: common::Outside::default() };
    assert_eq!(bench.status((READER, 2), Op::AuditStats {}), Status::Ok);
    assert_eq!(bench.status((READER, 2), Op::Append { entry: entry("x") }), Status::Unavailable);
    assert_eq!(bench.status((READER, 2), query(0, 1)), Status::Unavailable);
}

#[test]
fn a_refused_frame_is_recorded_under_its_sender() {
    let machine = Machine::new();
    let mut logd = machine.boot();
    logd.frame(OTHER, b"LO\x02\x02");
    logd.frame(OTHER, &[b'L', b'O', 1, 0x7f]);
    let records = logd.audit(OTHER, 0, 0, 0);
    let what: Vec<_> = records.iter().map(|record| (record.op, record.reason)).collect();
    assert_eq!(
        what,
        [(AuditOp::Malformed, Reason::Malformed), (AuditOp::Unsupported, Reason::Unsupported)]
    );
    assert!(records.iter().all(|record| record.enforcer == sender(OTHER).service.0));
    let ([produced, ..], _) = logd.audit_stats();
    assert_eq!(produced, 0, "logd's own records are not policyd's");
}

/// The last checkpoint is the last word: neither a reader nor a broken frame adds to the journal.
#[test]
fn what_comes_after_the_end_is_not_taken() {
    let machine = Machine::new();
    let mut bench = machine.boot();
    let words = decision(OTHER, Decision::Allow, 1).to_words();
    machine.producer().push(&words).expect("room");
    Service::notified(&mut bench.logd, SHUTDOWN_BIT, &mut bench.outside);
    machine.producer().push(&words).expect("room");
    bench.frame(OTHER, b"LO\x02\x02");
    let records = bench.audit(0, 0, 0, 0);
    assert_eq!(records.last().map(|record| record.op), Some(AuditOp::Shutdown));
}
