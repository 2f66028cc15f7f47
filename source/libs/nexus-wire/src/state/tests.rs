//! Bounds of keys, values, batches and pages.

use super::*;
use crate::{Bytes, FRAME_MAX};

fn put(key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let op = Op::Put { pair: Pair::new(key, value)? };
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce: Some(1), op }.encode(&mut frame);
    Some(frame[..len].to_vec())
}

#[test]
fn the_longest_key_with_the_longest_value_fits_and_comes_back() {
    let (key, value) = ([b'k'; KEY_MAX], [7; VALUE_MAX]);
    let frame = put(&key, &value).unwrap();
    let Op::Put { pair } = Request::decode(&frame).unwrap().op else { panic!() };
    assert_eq!((pair.key(), pair.value()), (&key[..], &value[..]));
    assert_eq!((check_key(&key), check_value(&value)), (Ok(()), Ok(())));
}

#[test]
fn test_reject_keys_that_are_none() {
    for key in [
        "", ".", "..", "/", "a/", "/a", "a//b", "../a", "a/..", "a/./b", "A", "a b", "a\0", "ä",
        "a\\b", "a*",
    ] {
        assert_eq!(check_key(key.as_bytes()), Err(Status::InvalidKey), "{key:?}");
    }
    assert_eq!(check_key(b"\xff"), Err(Status::InvalidKey));
    assert_eq!(check_key(&[b'a'; KEY_MAX + 1]), Err(Status::KeyTooLong));
    assert_eq!(check_key(&[b'a'; KEY_FIELD_MAX]), Err(Status::KeyTooLong));
    for key in ["a", "a.b", "..a", "a/b-c_d.9", "..."] {
        assert_eq!(check_key(key.as_bytes()), Ok(()), "{key:?}");
    }
}

#[test]
fn test_reject_lengths_beyond_the_frame() {
    assert!(Key::new(&[b'a'; KEY_FIELD_MAX + 1]).is_none());
    assert_eq!(check_value(&[0; VALUE_MAX + 1]), Err(Status::ValueTooLarge));
    // 494 bytes of key and value are what a frame holds.
    assert!(put(b"kk", &[0; 492]).is_some());
    assert!(put(b"kk", &[0; 493]).is_none());
    // A length field that lies is told apart from a frame that is cut.
    let mut lie = put(b"k", b"v").unwrap();
    lie[12..14].copy_from_slice(&256u16.to_le_bytes());
    assert_eq!(Request::decode(&lie).unwrap_err().status, Status::ValueTooLarge);
    lie[12..14].copy_from_slice(&1u16.to_le_bytes());
    lie[14..18].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Request::decode(&lie).unwrap_err().status, Status::ValueTooLarge);
    lie[14..18].copy_from_slice(&2u32.to_le_bytes());
    assert_eq!(Request::decode(&lie).unwrap_err().status, Status::Malformed);
}

#[test]
fn a_batch_holds_what_the_frame_holds_and_comes_back() {
    let mut scratch = [0; FRAME_MAX];
    let mut batch = BatchBuilder::new(&mut scratch);
    let put = Change::Put(Pair::new(b"a", &[9; 40]).unwrap());
    for _ in 0..BATCH_MAX {
        assert!(batch.push(&put));
    }
    assert!(batch.push(&Change::Del(b"b")));
    let op = Op::Batch { batch: batch.finish() };
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 2, nonce: Some(1), op }.encode(&mut frame);
    let Op::Batch { batch } = Request::decode(&frame[..len]).unwrap().op else { panic!() };
    assert_eq!(batch.count(), BATCH_MAX + 1);
    assert_eq!(batch.iter().last(), Some(Change::Del(b"b")));
    assert_eq!(batch.iter().next(), Some(put));
}

#[test]
fn test_reject_batches_that_are_none() {
    let mut scratch = [0; FRAME_MAX];
    let mut batch = BatchBuilder::new(&mut scratch);
    // One change of 492 bytes and one byte too many: 7 of head, 1 of key.
    assert!(!batch.push(&Change::Put(Pair::new(b"a", &[0; 492]).unwrap())));
    assert!(batch.push(&Change::Put(Pair::new(b"a", &[0; 491]).unwrap())));
    assert!(!batch.push(&Change::Del(b"")));
    let mut frame = [0; FRAME_MAX];
    let mut scratch = [0; FRAME_MAX];
    let mut batch = BatchBuilder::new(&mut scratch);
    assert!(batch.push(&Change::Del(b"a")));
    let op = Op::Batch { batch: batch.finish() };
    let len = Request { version: 2, nonce: Some(1), op }.encode(&mut frame);
    for kind in [0, 3, 255] {
        frame[13] = kind;
        assert_eq!(Request::decode(&frame[..len]).unwrap_err().status, Status::Malformed);
    }
    // A removal with a value, and a count that is not kept.
    frame[13] = 2;
    frame[16] = 1;
    frame[len] = 0;
    assert_eq!(Request::decode(&frame[..=len]).unwrap_err().status, Status::Malformed);
    frame[16] = 0;
    frame[12] = 2;
    assert_eq!(Request::decode(&frame[..len]).unwrap_err().status, Status::Malformed);
}

#[test]
fn a_page_of_keys_takes_what_fits() {
    let mut scratch = [0; FRAME_MAX];
    let mut keys = KeysBuilder::new(&mut scratch);
    let mut pushed = 0;
    while keys.push(&[b'a'; KEY_MAX]) {
        pushed += 1;
    }
    let keys = keys.finish();
    assert_eq!((pushed, keys.count(), keys.iter().count()), (7, 7, 7));
    let body = Reply::List { keys };
    let mut frame = [0; FRAME_MAX];
    let reply = Response { version: 2, nonce: Some(1), status: Status::Ok, body };
    let len = reply.encode(&mut frame);
    assert_eq!(Response::decode(&frame[..len]), Some(reply));
    let listing = Listing { limit: 3, prefix: Bytes::new(b"p").unwrap() };
    let op = Op::ListAfter { after: Bytes::new(b"k").unwrap(), listing };
    let len = Request { version: 2, nonce: Some(1), op }.encode(&mut frame);
    assert_eq!(Request::decode(&frame[..len]).unwrap().op, op);
}
