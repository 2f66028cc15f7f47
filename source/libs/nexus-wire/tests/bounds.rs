//! Every bound at the bound and one past it, and the answers to frames that are no requests.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

use nexus_wire::{
    Bytes, CAPABILITY_MAX, Capability, FRAME_MAX, NAME_MAX, Name,
    audit::{self, PAGE_MAX, Page, Record},
    log::{
        self, ENTRY_DATA_MAX, EntriesBuilder, Entry, FIELDS_MAX, Level, MESSAGE_MAX, SCOPE_MAX,
        Stored,
    },
    policy, route,
};

fn refused(frame: &[u8]) -> Vec<u8> {
    let mut out = [0; FRAME_MAX];
    let len = policy::Request::decode(frame).expect_err("must be refused").encode(&mut out);
    out[..len].to_vec()
}

#[test]
fn existing_policy_clients_find_their_bytes() {
    let route = b"\x50\x4F\x03\x02\x44\x33\x22\x11\x08\x07\x06\x05\x04\x03\x02\x01\
                  \xA7\xA6\xA5\xA4\xA3\xA2\xA1\xA0";
    let request = policy::Request::decode(route).unwrap();
    let op =
        policy::Op::RouteId { requester: 0x0102_0304_0506_0708, target: 0xA0A1_A2A3_A4A5_A6A7 };
    assert_eq!((request.version, request.nonce, request.op), (3, Some(0x1122_3344), op));
    let exec = b"\x50\x4F\x03\x03\x04\x03\x02\x01\x88\x77\x66\x55\x44\x33\x22\x11\x09";
    let request = policy::Request::decode(exec).unwrap();
    let op = policy::Op::ExecId { requester: 0x1122_3344_5566_7788, image: 9 };
    assert_eq!((request.nonce, request.op), (Some(0x0102_0304), op));
    let mut out = [0; FRAME_MAX];
    let deny = policy::Response {
        version: 3,
        nonce: Some(0xAABB_CCDD),
        status: policy::Status::Deny,
        body: policy::Reply::RouteId {},
    };
    let len = deny.encode(&mut out);
    assert_eq!(&out[..len], b"\x50\x4F\x03\x82\xDD\xCC\xBB\xAA\x01\x00");
}

#[test]
fn test_reject_junk_with_the_first_version() {
    let long = [0xff; FRAME_MAX];
    for junk in [&b""[..], b"PO", b"XX\x01\x01\x01a", b"PO\x01\x01\x00", b"PO\x02\x02x", &long] {
        assert_eq!(refused(junk), b"\x50\x4F\x01\x81\x02\x00");
    }
}

#[test]
fn test_reject_with_the_version_asked_and_the_nonce_held() {
    let truncated_route = b"PO\x02\x02\x44\x33\x22\x11\x03ab";
    assert_eq!(refused(truncated_route), b"PO\x02\x82\x44\x33\x22\x11\x02\x00");
    let unknown_op = b"PO\x03\x33\x44\x33\x22\x11";
    assert_eq!(refused(unknown_op), b"PO\x03\xb3\x44\x33\x22\x11\x03\x00");
    let op_of_another_version = b"PO\x02\x01\x44\x33\x22\x11\x01a";
    assert_eq!(refused(op_of_another_version), b"PO\x02\x81\x44\x33\x22\x11\x03\x00");
    let no_nonce = b"PO\x02\x02\x01\x02\x03";
    assert_eq!(refused(no_nonce), b"PO\x02\x82\x00\x00\x00\x00\x02\x00");
    let unknown_version = b"PO\x09\x02\x44\x33\x22\x11";
    assert_eq!(refused(unknown_version), b"PO\x01\x82\x03\x00");
    let log_probe = b"PO\x01\x7f\x00\x00";
    assert_eq!(refused(log_probe), b"PO\x01\xff\x03\x00");
    let short_profile = b"PO\x02\x06\x44\x33\x22\x11";
    assert_eq!(refused(short_profile), b"PO\x02\x86\x44\x33\x22\x11\x02\x00\x00\x00");
}

#[test]
fn test_reject_capabilities_outside_their_bound() {
    let frame = |capability: &[u8]| {
        let mut frame = b"PO\x01\x04\x14\0\0\0\0\0\0\0".to_vec();
        frame.push(capability.len() as u8);
        frame.extend(capability);
        frame
    };
    assert!(policy::Request::decode(&frame(&[b'a'; CAPABILITY_MAX])).is_ok());
    for bad in [&[][..], &[b'a'; CAPABILITY_MAX + 1], b"\xff\xfe", &[b'a'; 255]] {
        assert_eq!(refused(&frame(bad)), b"\x50\x4F\x01\x84\x02\x00");
    }
    assert!(Capability::new(&"a".repeat(CAPABILITY_MAX)).is_some());
    assert!(Capability::new(&"a".repeat(CAPABILITY_MAX + 1)).is_none());
    assert!(Capability::new("").is_none());
}

#[test]
fn test_reject_names_outside_their_bound() {
    let frame = |name: &[u8]| {
        let mut frame = b"RT\x01\x40".to_vec();
        frame.push(name.len() as u8);
        frame.extend(name);
        frame.extend(7u32.to_le_bytes());
        frame
    };
    assert!(route::Request::decode(&frame(&[b'n'; NAME_MAX])).is_ok());
    for bad in [&[][..], &[b'n'; NAME_MAX + 1], b"\xc3"] {
        let refusal = route::Request::decode(&frame(bad)).unwrap_err();
        let mut out = [0; FRAME_MAX];
        let len = refusal.encode(&mut out);
        assert_eq!(&out[..len], b"RT\x01\x41\x02\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    assert!(Name::new(&"n".repeat(NAME_MAX + 1)).is_none());
}

#[test]
fn entries_hold_their_bounds_one_by_one_and_together() {
    let x = [b'x'; 513];
    let entry = |scope, message, fields| {
        Entry::new(Level::Info, &x[..scope], &x[..message], &x[..fields]).is_some()
    };
    assert!(entry(SCOPE_MAX, MESSAGE_MAX, ENTRY_DATA_MAX - SCOPE_MAX - MESSAGE_MAX));
    assert!(!entry(SCOPE_MAX, MESSAGE_MAX, ENTRY_DATA_MAX - SCOPE_MAX - MESSAGE_MAX + 1));
    assert!(entry(0, 0, ENTRY_DATA_MAX) && !entry(0, 0, ENTRY_DATA_MAX + 1));
    assert!(!entry(SCOPE_MAX + 1, 0, 0) && !entry(0, MESSAGE_MAX + 1, 0));
    assert!(!entry(0, 0, FIELDS_MAX + 1));
}

#[test]
fn test_reject_oversize_texts_as_too_large() {
    let append = |scope: u8, message: u16, fields: u16| {
        let mut frame = b"LO\x01\x01\x02".to_vec();
        frame.push(scope);
        frame.extend(message.to_le_bytes());
        frame.extend(fields.to_le_bytes());
        frame.resize(frame.len() + scope as usize + message as usize + fields as usize, b'x');
        frame
    };
    assert!(log::Request::decode(&append(64, 256, 131)).is_ok());
    for frame in [append(65, 0, 0), append(0, 257, 0), append(0, 0, 452), append(0, 0, 513)] {
        let refusal = log::Request::decode(&frame).unwrap_err();
        assert_eq!(refusal.status, log::Status::TooLarge);
        let mut out = [0; FRAME_MAX];
        assert_eq!(refusal.encode(&mut out), 21);
    }
    let bad_level = b"LO\x01\x01\x05\0\0\0\0\0";
    assert_eq!(log::Request::decode(bad_level).unwrap_err().status, log::Status::Malformed);
}

#[test]
fn the_longest_entry_can_be_read_back_in_one_frame() {
    let x = [b'x'; ENTRY_DATA_MAX];
    let entry = Entry::new(Level::Trace, b"", b"", &x).unwrap();
    let stored = Stored { record_id: 1, time_ns: 2, service: 3, entry };
    let mut scratch = [0; FRAME_MAX];
    let mut builder = EntriesBuilder::new(&mut scratch);
    assert!(builder.push(&stored));
    assert!(!builder.push(&stored));
    let entries = builder.finish();
    let mut frame = [0; FRAME_MAX];
    let reply = log::Response {
        version: 2,
        nonce: Some(1),
        status: log::Status::Ok,
        body: log::Reply::Query { total: 1, dropped: 0, entries },
    };
    assert_eq!(reply.encode(&mut frame), FRAME_MAX);
    assert_eq!(log::Response::decode(&frame), Some(reply));
    assert_eq!(entries.iter().collect::<Vec<_>>(), [stored]);
}

#[test]
fn pages_hold_their_bound_and_only_records() {
    let record = Record::new(audit::Op::Check, audit::Decision::Deny, audit::Reason::Default);
    let encoded = [record.encode(); PAGE_MAX + 1];
    assert!(Page::new(&encoded[..PAGE_MAX]).is_some());
    assert!(Page::new(&encoded).is_none());
    assert!(Page::new(&[[0; Record::BYTES]]).is_none());
}

#[test]
fn bytes_and_profiles_hold_their_bound() {
    let x = [0u8; policy::PROFILE_MAX + 1];
    assert!(Bytes::<{ policy::PROFILE_MAX }>::new(&x[1..]).is_some());
    assert!(Bytes::<{ policy::PROFILE_MAX }>::new(&x).is_none());
    let request = policy::Request {
        version: 2,
        nonce: Some(1),
        op: policy::Op::AbiProfileGet { subject: 1 },
    };
    let profile = Bytes::new(&x[1..]).unwrap();
    let reply = request.answer(policy::Status::Allow, policy::Reply::AbiProfileGet { profile });
    assert_eq!(reply.encode(&mut [0; FRAME_MAX]), FRAME_MAX);
}
