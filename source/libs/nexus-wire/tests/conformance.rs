//! Every protocol against its golden file, its bounds and its neighbours in byte space.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use std::{fmt::Write as _, path::Path};

use nexus_wire::{
    Bytes, Capability, FRAME_MAX, Field, Name, PROTOCOLS, Status, Tail,
    audit::{CapName, ChainPage, Chained, Decision, Flags, Op as AuditOp, Page, Reason, Record},
    control, echo, log, policy, rng, route,
    spec::{Markdown, Protocol},
    supervise,
};

type Vectors = Vec<(String, Vec<u8>)>;

/// Encodes values, checks that decoding gives them back, and names the bytes.
macro_rules! vectors {
    ($protocol:ident: $($name:literal = $kind:ident $value:expr;)+) => {{
        let mut all = Vectors::new();
        $({
            let value: $protocol::$kind = $value;
            let mut frame = [0xee; FRAME_MAX];
            let len = value.encode(&mut frame);
            let bytes = frame[..len].to_vec();
            vectors!(@same $kind $protocol, bytes, value, $name);
            all.push((String::from($name), bytes));
        })+
        all
    }};
    (@same Request $protocol:ident, $bytes:ident, $value:ident, $name:literal) => {
        assert_eq!($protocol::Request::decode(&$bytes).ok(), Some($value), $name);
    };
    (@same Response $protocol:ident, $bytes:ident, $value:ident, $name:literal) => {
        assert_eq!($protocol::Response::decode(&$bytes), Some($value), $name);
    };
}

macro_rules! ask {
    ($version:literal $nonce:expr, $op:expr) => {
        nexus_wire::Request { version: $version, nonce: $nonce, op: $op }
    };
}

macro_rules! reply {
    ($version:literal $nonce:expr, $status:expr, $body:expr) => {
        nexus_wire::Response { version: $version, nonce: $nonce, status: $status, body: $body }
    };
}

// Behind the macros it uses.
#[path = "conformance/keys.rs"]
mod keys_frames;
#[path = "conformance/state.rs"]
mod state_frames;

fn policy_vectors() -> Vectors {
    let reason = nexus_wire::audit::Reason::BlobNotNewer;
    use policy::{
        Op::*,
        Status::{Allow, Deny},
    };
    type R<'a> = policy::Reply<'a>;
    let name = Name::new("logd").unwrap();
    let target = Name::new("keystored").unwrap();
    let capability = Capability::new("crypto.sign").unwrap();
    let profile = Bytes::new(b"\x01\x00").unwrap();
    let (subject, nonce) = (0x0102_0304_0506_0708, Some(0x1122_3344));
    vectors!(policy:
        "Check.v1.req" = Request ask!(1 None, Check { name });
        "Check.v1.rsp" = Response reply!(1 None, Allow, R::Check {});
        "Route.v1.req" = Request ask!(1 None, Route { requester: name, target });
        "Route.v1.rsp" = Response reply!(1 None, Deny, R::Route {});
        "Route.v2.req" = Request ask!(2 nonce, Route { requester: name, target });
        "Route.v2.rsp" = Response reply!(2 nonce, Allow, R::Route {});
        "RouteId.v3.req" = Request
            ask!(3 nonce, RouteId { requester: subject, target: 0xA0A1_A2A3_A4A5_A6A7 });
        "RouteId.v3.rsp" = Response reply!(3 Some(0xAABB_CCDD), Deny, R::RouteId {});
        "Exec.v1.req" = Request ask!(1 None, Exec { requester: name, image: 9 });
        "Exec.v1.rsp" = Response reply!(1 None, Allow, R::Exec {});
        "Exec.v2.req" = Request ask!(2 nonce, Exec { requester: name, image: 9 });
        "Exec.v2.rsp" = Response reply!(2 nonce, Deny, R::Exec {});
        "ExecId.v3.req" = Request
            ask!(3 Some(0x0102_0304), ExecId { requester: 0x1122_3344_5566_7788, image: 9 });
        "ExecId.v3.rsp" = Response reply!(3 nonce, Allow, R::ExecId {});
        "CheckCap.v1.req" = Request ask!(1 None, CheckCap { subject, capability });
        "CheckCap.v1.rsp" = Response reply!(1 None, Allow, R::CheckCap {});
        "CheckCapDelegated.v1.req" = Request ask!(1 None, CheckCapDelegated { subject, capability });
        "CheckCapDelegated.v1.rsp" = Response reply!(1 None, Deny, R::CheckCapDelegated {});
        "CheckCapDelegated.v2.req" = Request ask!(2 nonce, CheckCapDelegated { subject, capability });
        "CheckCapDelegated.v2.rsp" = Response reply!(2 nonce, Allow, R::CheckCapDelegated {});
        "AbiProfileGet.v2.req" = Request ask!(2 nonce, AbiProfileGet { subject });
        "AbiProfileGet.v2.rsp" = Response reply!(2 nonce, Allow, R::AbiProfileGet { profile });
        "Reload.v2.req" = Request ask!(2 nonce, Reload {});
        "Reload.v2.rsp" = Response reply!(2 nonce, Deny, R::Reload { reason, version: 7 });
        "Authorize.v2.req" = Request ask!(2 nonce, Authorize { subject, capability });
        "Authorize.v2.rsp" = Response reply!(2 nonce, Allow, R::Authorize { seq: 0x0102_0304 });
        "Authorize.v2.refused" = Response reply!(2 nonce, Deny, R::Refused { op: 8 });
        "Refused.rsp" = Response
            reply!(3 nonce, policy::Status::Unsupported, R::Refused { op: 0x7f });
    )
}

fn record() -> Record {
    Record {
        seq: 7,
        boot: 0xb007,
        policy: 0x7856_3412,
        time_ns: 1_000_000,
        op: AuditOp::CheckCapDelegated,
        decision: Decision::Allow,
        reason: Reason::Policy,
        flags: Flags::NONCE.or(Flags::DELEGATED),
        nonce: 0x1122_3344,
        enforcer: 4,
        subject: 20,
        target: 0,
        rule: 12,
        cap: CapName::new(Capability::new("crypto.sign").unwrap()),
        args: [1, 2],
    }
}

fn log_vectors() -> Vectors {
    use log::{Op::*, Status::Ok};
    type R<'a> = log::Reply<'a>;
    let entry = log::Entry::new(log::Level::Info, b"boot", b"hello", b"k=v").unwrap();
    let nonce = Some(0x1122_3344_5566_7788);
    let mut scratch = [0; FRAME_MAX];
    let mut entries = log::EntriesBuilder::new(&mut scratch);
    for record_id in 0..2 {
        let stored = log::Stored { record_id, time_ns: 100 + record_id, service: 20, entry };
        assert!(entries.push(&stored));
    }
    let entries = entries.finish();
    let records = [record().encode(); 2];
    let page = Page::new(&records).unwrap();
    let stats = R::Stats {
        total: 5,
        dropped: 1,
        cap_records: 256,
        cap_bytes: 65536,
        used_records: 4,
        used_bytes: 200,
    };
    let audit_query = AuditQuery {
        since_seq: 3,
        subject: 20,
        op: 5,
        decision: 2,
        request_nonce: 0x1122_3344,
        max: 3,
    };
    let audit_search = AuditSearch {
        since_seq: 3,
        until_seq: 99,
        since_ns: 1,
        until_ns: 2,
        subject: 20,
        enforcer: 4,
        op: 5,
        decision: 2,
        request_nonce: 0x1122_3344,
        max: 3,
        capability: Bytes::new(b"crypto.*").unwrap(),
    };
    let checkpoint = Bytes::new(&[0x5a; 296]).unwrap();
    let source = R::AuditSource { producer: 4, produced: 9, stored: 8, lost: 1 };
    let chained = Chained { lane: 3, before: [0xcc; 32], bytes: record().encode() };
    let chained = [chained.encode(); 2];
    let chained = ChainPage::new(&chained).unwrap();
    let audit_stats = R::AuditStats {
        produced: 9,
        stored: 8,
        lost: 1,
        evicted: 2,
        retained: 6,
        kernel_produced: 5,
        kernel_stored: 4,
        kernel_lost: 1,
    };
    vectors!(log:
        "Append.v1.req" = Request ask!(1 None, Append { entry });
        "Append.v1.rsp" = Response reply!(1 None, Ok, R::Append { record_id: 1, dropped: 2 });
        "Append.v2.req" = Request ask!(2 nonce, Append { entry });
        "Append.v2.rsp" = Response reply!(2 nonce, Ok, R::Append { record_id: 1, dropped: 2 });
        "Append.v2.rsp.too-large" = Response
            reply!(2 nonce, log::Status::TooLarge, R::Append { record_id: 0, dropped: 0 });
        "Query.v1.req" = Request ask!(1 None, Query { since_ns: 5, max_count: 10 });
        "Query.v1.rsp" = Response reply!(1 None, Ok, R::Query { total: 2, dropped: 0, entries });
        "Query.v2.req" = Request ask!(2 nonce, Query { since_ns: 5, max_count: 10 });
        "Query.v2.rsp" = Response reply!(2 nonce, Ok, R::Query { total: 2, dropped: 0, entries });
        "Stats.v1.req" = Request ask!(1 None, Stats {});
        "Stats.v1.rsp" = Response reply!(1 None, Ok, stats);
        "Stats.v2.req" = Request ask!(2 nonce, Stats {});
        "Stats.v2.rsp" = Response reply!(2 nonce, Ok, stats);
        "AuditQuery.v2.req" = Request ask!(2 nonce, audit_query);
        "AuditQuery.v2.rsp" = Response reply!(2 nonce, Ok, R::AuditQuery { next_seq: 9, page });
        "AuditStats.v2.req" = Request ask!(2 nonce, AuditStats {});
        "AuditStats.v2.rsp" = Response reply!(2 nonce, Ok, audit_stats);
        "AuditSearch.v2.req" = Request ask!(2 nonce, audit_search);
        "AuditSearch.v2.rsp" = Response
            reply!(2 nonce, Ok, R::AuditSearch { next_seq: 9, overtaken: 1, page });
        "AuditCheckpoint.v2.req" = Request ask!(2 nonce, AuditCheckpoint { number: 0 });
        "AuditCheckpoint.v2.rsp" = Response reply!(2 nonce, Ok, R::AuditCheckpoint { checkpoint });
        "AuditChain.v2.req" = Request ask!(2 nonce, AuditChain { since_seq: 3, max: 2 });
        "AuditChain.v2.rsp" = Response
            reply!(2 nonce, Ok, R::AuditChain { next_seq: 9, overtaken: 0, page: chained });
        "AuditSource.v2.req" = Request ask!(2 nonce, AuditSource { index: 1 });
        "AuditSource.v2.rsp" = Response reply!(2 nonce, Ok, source);
        "Refused.rsp" = Response reply!(2 nonce, log::Status::Denied, R::Refused { op: 4 });
    )
}

fn route_vectors() -> Vectors {
    use route::{Op::*, Reply};
    let name = Name::new("policyd").unwrap();
    let get = |nonce| Reply::Get { send_slot: 0, recv_slot: 0, nonce };
    vectors!(route:
        "Get.v1.req" = Request ask!(1 None, Get { name, nonce: 0x0102_0304 });
        "Get.v1.rsp" = Response reply!(1 None, route::Status::Ok, get(0x0102_0304));
        "Get.v1.rsp.denied" = Response reply!(1 None, route::Status::Denied, get(0x0102_0304));
    )
}

fn supervise_vectors() -> Vectors {
    use supervise::{Op, Reply, State};
    let nonce = Some(0x1122_3344);
    let status = Reply::Status { state: State::Restarting, incarnation: 9, restarts: 2 };
    let measurements = Reply::Measurements {
        images: 7,
        whole: 1,
        log: [0x11; 32],
        policy: [0x22; 32],
        service: 4,
        image: [0x33; 32],
    };
    vectors!(supervise:
        "Restart.v1.req" = Request
            ask!(1 nonce, Op::Restart { service: 2, after_ns: 1_000, down_ns: 2_000 });
        "Restart.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::Restart {});
        "Status.v1.req" = Request ask!(1 nonce, Op::Status { service: 2 });
        "Status.v1.rsp" = Response reply!(1 nonce, Status::Ok, status);
        "Measurements.v1.req" = Request ask!(1 nonce, Op::Measurements { index: 3 });
        "Measurements.v1.rsp" = Response reply!(1 nonce, Status::Ok, measurements);
        "Shutdown.v1.req" = Request ask!(1 nonce, Op::Shutdown { verdict: 0 });
        "Shutdown.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::Shutdown {});
        "Refused.rsp" = Response reply!(1 nonce, Status::Denied, Reply::Refused { op: 1 });
    )
}

fn echo_vectors() -> Vectors {
    use echo::{Op::*, Reply};
    let nonce = Some(0x1122_3344);
    let (bytes, relayed) = (Bytes::new(b"ping").unwrap(), Bytes::new(b"LO").unwrap());
    let capability = Capability::new("ipc.core").unwrap();
    let tally = Reply::Tally { allow: 1, deny: 2, peer_died: 3, timed_out: 4, other: 5 };
    vectors!(echo:
        "Who.v1.req" = Request ask!(1 nonce, Who {});
        "Who.v1.rsp" = Response
            reply!(1 nonce, Status::Ok, Reply::Who { service: 20, incarnation: 6, badge: 0 });
        "Echo.v1.req" = Request ask!(1 nonce, Echo { bytes });
        "Echo.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::Echo { bytes });
        "Burst.v1.req" = Request ask!(1 nonce, Burst { count: 5, capability });
        "Burst.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::Burst {});
        "Tally.v1.req" = Request ask!(1 nonce, Tally {});
        "Tally.v1.rsp" = Response reply!(1 nonce, Status::Ok, tally);
        "ReadAudit.v1.req" = Request ask!(1 nonce, ReadAudit {});
        "ReadAudit.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::ReadAudit { status: 7 });
        "Relay.v1.req" = Request ask!(1 nonce, Relay { to: Name::new("logd").unwrap(), frame: relayed });
        "Relay.v1.rsp" = Response reply!(1 nonce, Status::Ok, Reply::Relay { frame: relayed });
        "Refused.rsp" = Response reply!(1 nonce, Status::Busy, Reply::Refused { op: 3 });
    )
}

fn control_vectors() -> Vectors {
    use control::{Op::*, Reply as R};
    let nonce = Some(0x1122_3344);
    let records = [record().encode(); 3];
    let query = AuditQuery {
        since_seq: 3,
        subject: 20,
        op: 5,
        decision: 2,
        request_nonce: 0x1122_3344,
        max: 3,
    };
    let hello =
        R::Hello { service: 11, uptime_ns: 1_000_000, answered: 4, refused: 1, discarded: 518 };
    let stats = R::Stats {
        produced: 9,
        stored: 8,
        lost: 1,
        evicted: 2,
        retained: 6,
        kernel_produced: 5,
        kernel_stored: 4,
        kernel_lost: 1,
    };
    let chained = Chained { lane: 4, before: [0x33; 32], bytes: record().encode() };
    let chained = [chained.encode(); 2];
    let page = ChainPage::new(&chained).unwrap();
    let chain = R::AuditChain { next_seq: 9, overtaken: 0, page };
    let page = Page::new(&records).unwrap();
    let checkpoint = Bytes::new(&[0x5a; 296]).unwrap();
    vectors!(control:
        "Hello.v1.req" = Request ask!(1 nonce, Hello {});
        "Hello.v1.rsp" = Response reply!(1 nonce, Status::Ok, hello);
        "AuditQuery.v1.req" = Request ask!(1 nonce, query);
        "AuditQuery.v1.rsp" = Response
            reply!(1 nonce, Status::Ok, R::AuditQuery { next_seq: 9, page });
        "Stats.v1.req" = Request ask!(1 nonce, Stats {});
        "Stats.v1.rsp" = Response reply!(1 nonce, Status::Ok, stats);
        "AuditChain.v1.req" = Request ask!(1 nonce, AuditChain { since_seq: 3, max: 2 });
        "AuditChain.v1.rsp" = Response reply!(1 nonce, Status::Ok, chain);
        "AuditCheckpoint.v1.req" = Request ask!(1 nonce, AuditCheckpoint { number: 0 });
        "AuditCheckpoint.v1.rsp" = Response
            reply!(1 nonce, Status::Ok, R::AuditCheckpoint { checkpoint });
        "Stop.v1.req" = Request ask!(1 nonce, Stop {});
        "Stop.v1.rsp" = Response reply!(1 nonce, Status::Ok, R::Stop {});
        "Provision.v1.req" = Request ask!(1 nonce, Provision {});
        "Provision.v1.rsp" = Response reply!(1 nonce, Status::Ok, R::Provision { made: 1 });
        "PublicKey.v1.req" = Request ask!(1 nonce, PublicKey { purpose: 4, generation: 9 });
        "PublicKey.v1.rsp" = Response reply!(1 nonce, Status::Ok,
            R::PublicKey { generation: 9, public: [7; 32] });
        "Refused.rsp" = Response reply!(1 nonce, Status::Denied, R::Refused { op: 2 });
    )
}

fn rng_vectors() -> Vectors {
    use rng::{
        Op::{GetEntropy, GetSeed},
        Reply as R, Status,
    };
    let nonce = Some(0x1122_3344);
    let bytes: Vec<u8> = (0..32).collect();
    let bytes = Tail::new(&bytes).unwrap();
    let status = R::Status {
        health: rng::Health::Well,
        raw_bytes: 1152,
        reseeds: 2,
        answered: 9,
        refused: 1,
        short_reads: 3,
        timeouts: 4,
    };
    vectors!(rng:
        "GetEntropy.v1.req" = Request ask!(1 nonce, GetEntropy { n: 32 });
        "GetEntropy.v1.rsp" = Response reply!(1 nonce, Status::Ok, R::GetEntropy { bytes });
        "GetSeed.v1.req" = Request ask!(1 nonce, GetSeed { n: 256 });
        "GetSeed.v1.rsp" = Response
            reply!(1 nonce, Status::Ok, R::GetSeed { bytes: Tail::new(&[7]).unwrap() });
        "Status.v1.req" = Request ask!(1 nonce, rng::Op::Status {});
        "Status.v1.rsp" = Response reply!(1 nonce, Status::Ok, status);
        "Refused.rsp" = Response reply!(1 nonce, Status::Oversized, R::Refused { op: 1 });
    )
}

fn all() -> Vec<(&'static Protocol, Vectors)> {
    let vectors = |name| match name {
        "policy" => policy_vectors(),
        "log" => log_vectors(),
        "route" => route_vectors(),
        "supervise" => supervise_vectors(),
        "echo" => echo_vectors(),
        "control" => control_vectors(),
        "state" => state_frames::vectors(),
        "rng" => rng_vectors(),
        "keys" => keys_frames::vectors(),
        other => panic!("no vectors for protocol {other}"),
    };
    PROTOCOLS.iter().map(|p| (*p, vectors(p.name))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Compares with the golden file, or writes it when `NEXUS_BLESS` is set.
fn golden(file: &str, vectors: &Vectors) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{file}.txt"));
    let now: String = vectors.iter().map(|(name, v)| format!("{name} {}\n", hex(v))).collect();
    if std::env::var_os("NEXUS_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(before, now, "{file}: bytes changed; NEXUS_BLESS=1 rewrites the golden file");
}

/// What decodes must encode to the same bytes: no two frames mean the same.
fn canonical(spec: &Protocol, request: bool, bytes: &[u8]) -> bool {
    let mut out = [0; FRAME_MAX];
    let reencode = if request { spec.reencode } else { spec.reencode_reply };
    let decoded = reencode(bytes, &mut out);
    if let Some(len) = decoded {
        assert_eq!(hex(&out[..len]), hex(bytes), "{}", spec.name);
    } else if request {
        answered_once(spec, bytes);
    }
    decoded.is_some()
}

/// A frame that is no request has exactly one answer, and that answer is a reply; to what looks
/// like a reply it is the answer to junk.
fn answered_once(spec: &Protocol, bytes: &[u8]) {
    let (mut out, mut again) = ([0; FRAME_MAX], [0; FRAME_MAX]);
    let len = (spec.refuse)(bytes, &mut out).expect("no request, so a refusal");
    assert!((spec.reencode_reply)(&out[..len], &mut again).is_some(), "{}", hex(&out[..len]));
    if bytes.get(3).is_some_and(|op| op & spec.reply_bit != 0) {
        let mut junk = [0; FRAME_MAX];
        let junk_len = (spec.refuse)(b"", &mut junk).expect("no request");
        assert_eq!(hex(&out[..len]), hex(&junk[..junk_len]), "{}", spec.name);
    }
}

#[test]
fn golden_files_match_and_every_row_has_its_vectors() {
    for (spec, vectors) in all() {
        golden(spec.name, &vectors);
        for row in spec.ops {
            for version in row.versions {
                for kind in ["req", "rsp"] {
                    let name = format!("{}.v{version}.{kind}", row.name);
                    assert!(vectors.iter().any(|(n, _)| *n == name), "{}: {name}", spec.name);
                }
            }
        }
    }
    golden("audit", &vec![("Record".into(), record().encode().to_vec())]);
}

#[test]
fn test_reject_truncation_and_extra_bytes() {
    for (spec, vectors) in all() {
        for (name, bytes) in &vectors {
            let request = name.contains(".req");
            assert!(canonical(spec, request, bytes), "{}: {name}", spec.name);
            if !request && open_ended(spec, name) {
                // Another length is another reply: `test_reject_tails_out_of_bounds`.
                continue;
            }
            for len in 0..bytes.len() {
                assert!(!canonical(spec, request, &bytes[..len]), "{}: {name} {len}", spec.name);
            }
            for extra in [0, 0xff] {
                let longer = [bytes.as_slice(), &[extra]].concat();
                assert!(!canonical(spec, request, &longer), "{}: {name}", spec.name);
            }
        }
    }
}

/// Whether the vector's row ends in bytes that go to the end of the frame.
fn open_ended(spec: &Protocol, name: &str) -> bool {
    let row = spec.ops.iter().find(|row| name.split('.').next() == Some(row.name));
    let last = row.and_then(|row| row.reply.last());
    last.is_some_and(|field| field.kind == <Tail<'_, 1> as Field>::KIND)
}

#[test]
fn test_reject_tails_out_of_bounds() {
    let header = b"RG\x01\x81\x00\x44\x33\x22\x11";
    for (tail, held) in [(0, false), (1, true), (rng::ENTROPY_MAX, true), (257, false)] {
        let frame = [header.as_slice(), &vec![7; tail]].concat();
        assert_eq!(canonical(rng::SPEC, false, &frame), held, "{tail} bytes");
        assert_eq!(rng::Response::decode(&frame).is_some(), held);
    }
    assert!(Tail::<4>::new(&[]).is_none() && Tail::<4>::new(&[0; 5]).is_none());
    // A refusal carries none.
    assert!(rng::Response::decode(b"RG\x01\x81\x02\x44\x33\x22\x11\x07").is_none());
}

#[test]
fn existing_entropy_clients_find_their_bytes() {
    let request = rng::Request::decode(b"RG\x01\x01\x44\x33\x22\x11\x20\x00").unwrap();
    assert_eq!((request.nonce, request.op), (Some(0x1122_3344), rng::Op::GetEntropy { n: 32 }));
    let mut out = [0; FRAME_MAX];
    let len = request.respond(rng::Status::Oversized).encode(&mut out);
    assert_eq!(&out[..len], b"RG\x01\x81\x01\x44\x33\x22\x11");
    let refusal = rng::Request::decode(b"RG\x01\x01\x44").unwrap_err();
    let len = refusal.encode(&mut out);
    assert_eq!(&out[..len], b"RG\x01\x81\x04\0\0\0\0");
}

#[test]
fn every_bit_flip_is_refused_or_canonical() {
    for (spec, vectors) in all() {
        for (name, bytes) in &vectors {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                canonical(spec, name.contains(".req"), &flipped);
            }
        }
    }
}

#[test]
fn random_frames_are_refused_or_canonical() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (spec, vectors) in all() {
        for round in 0..20_000 {
            let (name, seed) = &vectors[round % vectors.len()];
            let mut bytes = seed.clone();
            for _ in 0..next() % 4 {
                let at = (next() % bytes.len() as u64) as usize;
                bytes[at] = next() as u8;
            }
            bytes.resize((next() % (FRAME_MAX as u64 + 1)) as usize, next() as u8);
            canonical(spec, name.contains(".req"), &bytes);
        }
    }
}

#[test]
fn magics_are_distinct_and_tables_print() {
    for (i, p) in PROTOCOLS.iter().enumerate() {
        assert!(PROTOCOLS[..i].iter().all(|q| q.magic != p.magic && q.name != p.name));
        let page = Markdown(p).to_string();
        assert!(p.ops.iter().all(|row| page.contains(row.name)));
        assert!(p.max <= FRAME_MAX);
    }
}
