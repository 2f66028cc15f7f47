//! The shell: what is mapped, what is said, and when nothing but deny leaves.
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

use std::sync::atomic::AtomicU64;

use common::{CLIENT, compiled};
use nexus_abi::{Call, Error, Handle, Return, Sys, layout::FRAME_MAX, syscall::Topic};
use nexus_service::lane::Consumer;
use nexus_system::{markers, slots::policyd as slots};
use nexus_wire::audit::{Op, Reason, Record};

/// As much of a kernel as policyd touches: its objects, its console, callers in a row.
struct Fake {
    frame: [u8; FRAME_MAX],
    blob: Option<&'static [u64]>,
    lane: Option<&'static [AtomicU64]>,
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
    console: String,
    rung: u64,
}

impl Fake {
    fn new(blob: Option<Vec<u64>>, lane: bool) -> Fake {
        let words = (0..slots::LANE_AUDIT_BYTES / 8).map(|_| AtomicU64::new(0));
        let lane = lane.then(|| &*words.collect::<Vec<_>>().leak());
        let blob = blob.map(|words| &*words.leak());
        let (requests, replies, console) = (Vec::new(), Vec::new(), String::new());
        Fake { frame: [0; FRAME_MAX], blob, lane, requests, replies, console, rung: 0 }
    }

    fn next(&mut self) -> Return {
        let Some(request) = self.requests.pop() else { return Return::Failed(Error::PeerDied) };
        self.frame[..request.len()].copy_from_slice(&request);
        Return::Message {
            len: request.len() as u16,
            service: nexus_abi::ServiceId(CLIENT),
            incarnation: 1,
            badge: 0,
            token: 1,
            cap: Handle::NONE,
        }
    }

    /// May the client read files? In version 1.
    fn run(&mut self, times: usize) -> Vec<u8> {
        let mut frame = vec![0x50, 0x4f, 1, 4, CLIENT as u8, 0, 0, 0, 0, 0, 0, 0, 10];
        frame.extend(b"files.read");
        self.requests = vec![frame; times];
        assert_ne!(policyd::run(self, 0), 0, "ends when its endpoint is gone");
        assert_eq!(self.replies.len(), times);
        self.replies.iter().map(|reply| reply[4]).collect()
    }
}

impl Sys for Fake {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        match call {
            Call::ObjectInfo { cap, topic: Topic::Vmo } if cap == slots::POLICY => {
                match self.blob {
                    Some(blob) => Return::value(blob.len() as u64 * 8),
                    None => Return::Failed(Error::BadHandle),
                }
            }
            Call::ConsoleWrite { len } => {
                self.console.push_str(str::from_utf8(&self.frame[..len.get()]).unwrap());
                Return::OK
            }
            Call::Recv { .. } => self.next(),
            Call::ReplyRecv { len, .. } => {
                self.replies.push(self.frame[..len.get()].to_vec());
                self.next()
            }
            Call::Signal { notif, bits } if notif == slots::LANE_AUDIT_BELL => {
                assert_eq!(bits, slots::LANE_AUDIT_BELL_BIT);
                self.rung += 1;
                Return::OK
            }
            // After the last request: the reply is out, so its token is used up.
            Call::Reply { .. } => Return::Failed(Error::StaleReply),
            other => panic!("policyd made {other:?}"),
        }
    }
    fn now_ns(&mut self) -> u64 {
        5
    }
    fn map_bytes(&mut self, _: Handle, _: usize) -> Result<&'static [u8], Error> {
        Err(Error::MissingRight)
    }
    fn map_sealed_words(&mut self, vmo: Handle, len: usize) -> Result<&'static [u64], Error> {
        assert_eq!(vmo, slots::POLICY);
        self.blob.and_then(|blob| blob.get(..len / 8)).ok_or(Error::InvalidArgument)
    }
    fn map_words(&mut self, vmo: Handle, len: usize) -> Result<&'static [AtomicU64], Error> {
        assert_eq!((vmo, len), (slots::LANE_AUDIT, slots::LANE_AUDIT_BYTES));
        self.lane.ok_or(Error::BadHandle)
    }
    fn with_words(
        &mut self,
        _: Handle,
        _: usize,
        _: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        Err(Error::MissingRight)
    }
}

fn ready() -> &'static str {
    markers::POLICYD_READY.text()
}

#[test]
fn with_policy_and_lane_it_is_ready_and_every_decision_is_in_the_lane() {
    let mut fake = Fake::new(Some(compiled().words), true);
    assert_eq!(fake.run(3), [0, 0, 0]);
    assert_eq!(fake.console, format!("{}\n", ready()), "nothing but the marker");
    let mut lane = Consumer::attach(fake.lane.unwrap()).unwrap();
    let records: Vec<_> = std::iter::from_fn(|| lane.pop()).collect();
    let ops: Vec<_> = records.iter().map(|words| Record::from_words(words).unwrap().op).collect();
    assert_eq!(ops, [Op::PolicyLoad, Op::CheckCap, Op::CheckCap, Op::CheckCap]);
    assert_eq!(fake.rung, 0, "the bell is for a lane that fills up");
}

#[test]
fn the_bell_rings_when_the_lane_says_so() {
    let mut fake = Fake::new(Some(compiled().words), true);
    fake.run(600);
    assert!((1..10).contains(&fake.rung), "{} times", fake.rung);
}

#[test]
fn test_reject_everything_with_a_damaged_or_missing_policy() {
    let mut damaged = compiled().words;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for blob in [None, Some(Vec::new()), Some(vec![0; 64]), Some(damaged)] {
        let mut fake = Fake::new(blob, true);
        assert_eq!(fake.run(2), [1, 1]);
        assert_eq!(fake.console, "policyd: no valid policy, denying everything\n");
        let mut lane = Consumer::attach(fake.lane.unwrap()).unwrap();
        while let Some(words) = lane.pop() {
            assert_eq!(Record::from_words(&words).unwrap().reason, Reason::NoPolicy);
        }
    }
}

#[test]
fn test_reject_everything_without_a_lane() {
    let mut fake = Fake::new(Some(compiled().words), false);
    assert_eq!(fake.run(2), [1, 1]);
    assert_eq!(fake.console, "policyd: no audit lane, denying everything\n");
}
