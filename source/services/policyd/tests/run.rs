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

use std::sync::atomic::{AtomicU64, Ordering};

use common::{CLIENT, INIT, bring_up, compiled, compiled_with, signed, signed_with};
use ed25519_dalek::SigningKey;
use nexus_abi::{
    Call, Error, Handle, Return, Sys,
    layout::{FRAME_MAX, SLOT_SERVER},
    syscall::Topic,
};
use nexus_sel::authoring::{Model, emit};
use nexus_service::lane::Consumer;
use nexus_system::{markers, slots::policyd as slots};
use nexus_wire::audit::{Decision, Flags, Op, Reason, Record};

/// The capability that comes with a reload.
const OFFERED: Handle = Handle::fixed(50);

/// As much of a kernel as policyd touches: its objects, its console, callers in a row.
struct Fake {
    frame: [u8; FRAME_MAX],
    blob: Option<&'static [u64]>,
    lane: Option<&'static [AtomicU64]>,
    kept: Option<&'static [AtomicU64]>,
    requests: Vec<Vec<u8>>,
    /// What comes along with a reload, and from whom reloads come.
    offered: Option<Vec<u64>>,
    /// 1: it is a window onto device registers.
    offered_device: u64,
    open_caps: u32,
    replies: Vec<Vec<u8>>,
    console: String,
    rung: u64,
    /// What logd took at each [`DRAIN`], and how many records were lost until then.
    drained: Vec<(Vec<Record>, u64)>,
}

impl Fake {
    fn new(blob: Option<Vec<u64>>, lane: bool) -> Fake {
        let words = (0..slots::LANE_AUDIT_BYTES / 8).map(|_| AtomicU64::new(0));
        let lane = lane.then(|| &*words.collect::<Vec<_>>().leak());
        let blob = blob.map(|words| &*words.leak());
        let kept = (0..slots::KEPT_POLICY_BYTES / 8).map(|_| AtomicU64::new(0));
        let kept = Some(&*kept.collect::<Vec<_>>().leak());
        let (requests, replies, console) = (Vec::new(), Vec::new(), String::new());
        let (frame, offered) = ([0; FRAME_MAX], None);
        let (open_caps, rung, drained) = (0, 0, Vec::new());
        Fake {
            frame,
            blob,
            lane,
            kept,
            requests,
            offered,
            offered_device: 0,
            open_caps,
            replies,
            console,
            rung,
            drained,
        }
    }

    fn next(&mut self) -> Return {
        let Some(request) = self.requests.pop() else { return Return::Failed(Error::PeerDied) };
        if request == DRAIN {
            let mut lane = Consumer::attach(self.lane.unwrap()).unwrap();
            let taken = std::iter::from_fn(|| lane.pop());
            let taken = taken.map(|words| Record::from_words(&words).unwrap()).collect();
            self.drained.push((taken, lane.counters().lost));
            return self.next();
        }
        self.frame[..request.len()].copy_from_slice(&request);
        let reload = request[2..4] == [2, 7];
        self.open_caps += u32::from(reload);
        Return::Message {
            len: request.len() as u16,
            service: nexus_abi::ServiceId(if reload { INIT } else { CLIENT }),
            incarnation: 1,
            badge: 0,
            token: 1,
            cap: if reload { OFFERED } else { Handle::NONE },
        }
    }

    /// The requests, in order, with [`DRAIN`] between them: `check` is a CHECK by the client, `reload` offers a policy.
    fn ask(&mut self, requests: &[&[u8]]) -> Vec<u8> {
        self.requests = requests.iter().rev().map(|request| request.to_vec()).collect();
        self.replies.clear();
        assert_eq!(policyd::run(self, 0), 1, "ends when its endpoint is gone");
        assert_eq!(self.open_caps, 0, "every capability was closed");
        let status = |reply: &Vec<u8>| reply[if reply[2] == 2 { 8 } else { 4 }];
        self.replies.iter().map(status).collect()
    }

    /// May the client read files? In version 1.
    fn run(&mut self, times: usize) -> Vec<u8> {
        let mut frame = vec![0x50, 0x4f, 1, 4, CLIENT as u8, 0, 0, 0, 0, 0, 0, 0, 10];
        frame.extend(b"files.read");
        self.requests = vec![frame; times];
        assert_eq!(policyd::run(self, 0), 1, "ends when its endpoint is gone");
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
            Call::Recv { ep, mask, .. } => {
                assert_eq!((ep, mask), (Handle::fixed(SLOT_SERVER), 0));
                self.next()
            }
            Call::ReplyRecv { len, ep, mask, .. } => {
                assert_eq!((ep, mask), (Handle::fixed(SLOT_SERVER), 0));
                self.replies.push(self.frame[..len.get()].to_vec());
                self.next()
            }
            Call::Signal { notif, bits } if notif == slots::LANE_AUDIT_BELL => {
                assert_eq!(bits, slots::LANE_AUDIT_BELL_BIT);
                self.rung += 1;
                Return::OK
            }
            // After the last request: the reply is out, so its token is used up. A reply for
            // itself is the one before the policies change.
            Call::Reply { len, .. } => {
                if self.requests.is_empty() && self.replies.last().is_some_and(|r| r[3] != 0x87) {
                    return Return::Failed(Error::StaleReply);
                }
                self.replies.push(self.frame[..len.get()].to_vec());
                Return::OK
            }
            Call::ObjectInfo { cap: OFFERED, topic: Topic::Vmo } => match &self.offered {
                Some(words) => Return::Values([words.len() as u64 * 8, 1, 0, self.offered_device]),
                None => Return::Failed(Error::WrongState),
            },
            Call::CapClose { cap: OFFERED } => {
                self.open_caps -= 1;
                Return::OK
            }
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
    fn copy_sealed_words(&mut self, vmo: Handle, into: &mut [u64]) -> Result<(), Error> {
        assert_eq!(vmo, OFFERED);
        into.copy_from_slice(self.offered.as_ref().expect("asked for its size"));
        Ok(())
    }
    fn map_words(&mut self, vmo: Handle, len: usize) -> Result<&'static [AtomicU64], Error> {
        if vmo == slots::KEPT_POLICY {
            assert_eq!(len, slots::KEPT_POLICY_BYTES);
            return self.kept.ok_or(Error::BadHandle);
        }
        assert_eq!((vmo, len), (slots::LANE_AUDIT, slots::LANE_AUDIT_BYTES));
        self.lane.ok_or(Error::BadHandle)
    }
}

/// Said at every start while the key is one that anybody has.
fn warning() -> String {
    let name = nexus_system::keys::POLICY_NAME;
    assert!(name.contains("INSECURE"));
    format!("policyd: trusts {name}, a key whose seed is public\n")
}

fn ready() -> &'static str {
    markers::POLICYD_READY.text()
}

#[test]
fn with_policy_and_lane_it_is_ready_and_every_decision_is_in_the_lane() {
    let mut fake = Fake::new(Some(signed(7)), true);
    assert_eq!(fake.run(3), [0, 0, 0]);
    assert_eq!(fake.console, format!("{}{}\n", warning(), ready()), "and nothing else");
    let mut lane = Consumer::attach(fake.lane.unwrap()).unwrap();
    let records: Vec<_> = std::iter::from_fn(|| lane.pop()).collect();
    let records: Vec<_> = records.iter().map(|words| Record::from_words(words).unwrap()).collect();
    assert!(records.iter().all(|record| record.time_ns == 5), "the kernel's clock");
    let ops: Vec<_> = records.iter().map(|record| record.op).collect();
    assert_eq!(ops, [Op::PolicyLoad, Op::CheckCap, Op::CheckCap, Op::CheckCap]);
    assert_eq!(fake.rung, 0, "the bell is for a lane that fills up");
}

#[test]
fn the_bell_rings_when_the_lane_says_so() {
    let mut fake = Fake::new(Some(signed(7)), true);
    fake.run(600);
    assert!((1..10).contains(&fake.rung), "{} times", fake.rung);
}

#[test]
fn test_reject_everything_with_a_damaged_or_missing_policy() {
    let mut damaged = signed(7);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let unsigned = compiled().words;
    let foreign = common::signed_with(&SigningKey::from_bytes(&[5; 32]), &unsigned);
    let blobs = [Vec::new(), vec![0; 64], damaged, unsigned, foreign];
    for blob in blobs.into_iter().map(Some).chain([None]) {
        let mut fake = Fake::new(blob, true);
        assert_eq!(fake.run(2), [1, 1]);
        let said = format!("{}policyd: no valid policy, denying everything\n", warning());
        assert_eq!(fake.console, said);
        let mut lane = Consumer::attach(fake.lane.unwrap()).unwrap();
        while let Some(words) = lane.pop() {
            assert_eq!(Record::from_words(&words).unwrap().reason, Reason::NoPolicy);
        }
    }
}

#[test]
fn test_reject_everything_without_a_lane() {
    let mut fake = Fake::new(Some(signed(7)), false);
    assert_eq!(fake.run(2), [1, 1]);
    let said = format!("{}policyd: no audit lane, denying everything\n", warning());
    assert_eq!(fake.console, said);
}

/// Places for ordinary records, and those kept behind them: a thirty-second of the lane.
const OPEN: usize = 496;
const RESERVE: usize = 16;
/// In a row of requests: logd takes all that lies in the lane.
const DRAIN: &[u8] = b"";
/// CHECK_CAP of the client about itself, in version 1: a capability whose records may get lost,
/// and one that is `audit = "required"`.
const READ: &[u8] = b"PO\x01\x04\x14\0\0\0\0\0\0\0\x0afiles.read";
const WRITE: &[u8] = b"PO\x01\x04\x14\0\0\0\0\0\0\0\x0bfiles.write";

/// The lane with so many places taken, the first by the record of the start.
fn filled(places: usize) -> Vec<&'static [u8]> {
    vec![READ; places - 1]
}

#[test]
fn the_last_ordinary_place_is_an_allow_and_the_next_a_recorded_deny() {
    let mut fake = Fake::new(Some(signed(7)), true);
    let mut requests = filled(OPEN - 1);
    requests.extend([WRITE, WRITE, READ, DRAIN]);
    let told = fake.ask(&requests);
    assert_eq!(told[OPEN - 2..], [0, 1, 0], "recorded; not recorded; need not be");
    let [(records, lost)] = &fake.drained[..] else { panic!() };
    assert_eq!((records.len(), *lost), (OPEN + 1, 1), "the deny is there, the last read is not");
    let [.., last, refused] = &records[..] else { panic!() };
    assert_eq!((last.decision, last.reason), (Decision::Allow, Reason::Policy));
    assert_eq!((refused.decision, refused.reason), (Decision::Deny, Reason::AuditUnavailable));
    for record in [last, refused] {
        assert_eq!((record.cap.as_bytes(), record.subject), (&b"files.write"[..], CLIENT));
        assert!(record.flags.has(Flags::REQUIRED));
    }
}

#[test]
fn test_reject_beyond_the_reserve_and_recover_with_a_drain() {
    let mut fake = Fake::new(Some(signed(7)), true);
    let mut requests = filled(OPEN);
    requests.extend([WRITE; RESERVE + 1]);
    requests.extend([DRAIN, WRITE, DRAIN]);
    let told = fake.ask(&requests);
    let (before, after) = told[OPEN - 1..].split_at(RESERVE + 1);
    assert_eq!(before, [1; RESERVE + 1], "also without a place for the deny");
    assert_eq!(after, [0], "with places again");
    let [(full, lost), (again, lost_again)] = &fake.drained[..] else { panic!() };
    assert_eq!((full.len(), *lost), (OPEN + RESERVE, 1), "the one beyond the reserve is counted");
    let (ordinary, reserved) = full.split_at(OPEN);
    assert!(ordinary.iter().all(|record| record.decision == Decision::Allow));
    assert!(reserved.iter().all(|record| {
        (record.decision, record.reason) == (Decision::Deny, Reason::AuditUnavailable)
    }));
    let [record] = &again[..] else { panic!() };
    assert_eq!((record.decision, record.reason), (Decision::Allow, Reason::Policy));
    let (seq, last) = (record.seq, full[OPEN + RESERVE - 1].seq);
    assert_eq!((seq, *lost_again), (last + 2, 1), "the lost deny keeps its number");
}

/// CHECK by the client, by name, in version 1.
const CHECK: &[u8] = b"PO\x01\x01\x06client";
const RELOAD: &[u8] = b"PO\x02\x07\x09\x00\x00\x00";

/// The versions that the records say were in force, in turn.
fn in_force(fake: &Fake) -> Vec<u64> {
    let mut lane = Consumer::attach(fake.lane.unwrap()).unwrap();
    let records = std::iter::from_fn(|| lane.pop().and_then(|words| Record::from_words(&words)));
    records.filter(|record| record.op == Op::PolicyLoad).map(|record| record.args[0]).collect()
}

#[test]
fn after_a_reload_the_next_request_meets_the_next_policy_also_after_a_death() {
    let mut fake = Fake::new(Some(signed(7)), true);
    for (offered, versions) in [(8, &[7, 8][..]), (9, &[8, 9]), (10, &[9, 10]), (11, &[10, 11])] {
        fake.offered = Some(signed(offered));
        let [before, reload, after] = fake.ask(&[CHECK, RELOAD, CHECK])[..] else { panic!() };
        assert_eq!([before, reload, after], [0, 0, 0], "version {offered}");
        assert_eq!(in_force(&fake), versions, "the one kept, then the one offered");
    }
    fake.offered = Some(signed(10));
    assert_eq!(fake.ask(&[RELOAD, CHECK]), [1, 0]);
    assert_eq!(in_force(&fake), [11], "older than what was kept");
}

#[test]
fn test_reject_what_was_kept_and_is_damaged() {
    let mut fake = Fake::new(Some(signed(7)), true);
    for version in [8, 9] {
        fake.offered = Some(signed(version));
        assert_eq!(fake.ask(&[RELOAD]), [0]);
        let _drained = in_force(&fake);
    }
    // A death in the middle of writing version 10 over version 8: behind half its signature.
    let next = signed(10);
    for (kept, word) in fake.kept.unwrap().iter().zip(&next[..12]) {
        kept.store(*word, Ordering::Relaxed);
    }
    assert_eq!(fake.ask(&[CHECK]), [0]);
    assert_eq!(in_force(&fake), [9], "the whole one beside it");
    for kept in fake.kept.unwrap() {
        kept.store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(fake.ask(&[CHECK]), [0]);
    assert_eq!(in_force(&fake), [7], "nothing kept is whole: the image's");
}

#[test]
fn test_reject_what_was_kept_and_is_older_than_the_image() {
    let mut fake = Fake::new(Some(signed(7)), true);
    for (kept, word) in fake.kept.unwrap().iter().zip(signed(6)) {
        kept.store(word, Ordering::Relaxed);
    }
    assert_eq!(fake.ask(&[CHECK]), [0]);
    assert_eq!(in_force(&fake), [7], "the image is the floor");
}

#[test]
fn what_was_kept_replaces_the_image_only_if_it_is_newer() {
    let empty = emit(&Model { version: 7, ..Model::default() }).unwrap();
    let empty = signed_with(&bring_up(), &empty);
    for (image, kept, version) in [(Some(signed(7)), empty, 7), (None, signed(1), 1)] {
        let mut fake = Fake::new(image, true);
        for (place, word) in fake.kept.unwrap().iter().zip(kept) {
            place.store(word, Ordering::Relaxed);
        }
        assert_eq!(fake.ask(&[CHECK]), [0], "not by the one that allows nothing");
        assert_eq!(in_force(&fake), [version]);
    }
}

/// The word of the lane's header in which logd says how it is.
const SAID: usize = 3;

/// A policy by which the client has files by what `audit-degraded` says, a fact of `owner`.
fn gated(owner: &str, opens: &str) -> Vec<u64> {
    let fact = format!("[facts.audit-degraded]\nowner = \"{owner}\"\nmeaning = \"m\"\n");
    let gate = format!("[gates.it]\n{opens} = \"audit-degraded\"\nmeaning = \"m\"\n[allow]\n");
    let both = "\"files.read\", \"files.write\"";
    let closed = "{ capability = [\"files.read\", \"files.write\"], when = \"it\" }";
    let compiled = compiled_with(7, |rules| {
        rules.replace("[allow]\n", &format!("{fact}{gate}")).replace(both, closed)
    });
    signed_with(&bring_up(), &compiled.words)
}

/// What logd has said last: nothing yet, well, degraded, and what it never says.
#[test]
fn test_reject_by_a_gate_on_the_audit_until_logd_says_that_all_is_well() {
    for (said, told) in [(0, 1), (1, 0), (2, 1), (3, 1), (u64::MAX, 1)] {
        // In the test policy `enforcer` has logd's id.
        let mut fake = Fake::new(Some(gated("enforcer", "unless")), true);
        fake.lane.unwrap()[SAID].store(said, Ordering::Relaxed);
        assert_eq!(fake.ask(&[WRITE, CHECK, READ]), [told, 0, told], "{said}");
    }
}

/// What logd said last may be the word of the dead: the lane that nobody drains says more.
#[test]
fn test_reject_by_a_gate_on_the_audit_while_nobody_drains_the_lane() {
    let mut fake = Fake::new(Some(gated("enforcer", "unless")), true);
    fake.lane.unwrap()[SAID].store(1, Ordering::Relaxed);
    let told = fake.ask(&[READ; OPEN + RESERVE + 100]);
    let allowed = told.iter().take_while(|status| **status == 0).count();
    assert_eq!(allowed, (OPEN + RESERVE) * 3 / 4 - 1, "the record of the start waits too");
    assert!(told[allowed..].iter().all(|status| *status == 1), "and it stays closed");
    assert_eq!(fake.ask(&[DRAIN, READ]), [0], "drained, it is open again");
}

#[test]
fn test_reject_by_a_gate_whose_fact_logd_states_and_does_not_own() {
    for (owner, told) in [("enforcer", 0), ("init", 1)] {
        let mut fake = Fake::new(Some(gated(owner, "when")), true);
        fake.lane.unwrap()[SAID].store(2, Ordering::Relaxed);
        assert_eq!(fake.ask(&[WRITE]), [told], "{owner}");
    }
}

#[test]
fn test_reject_the_registers_of_a_device_as_a_policy() {
    let mut fake = Fake::new(Some(signed(7)), true);
    fake.offered = Some(signed(8));
    fake.offered_device = 1;
    assert_eq!(fake.ask(&[RELOAD, CHECK]), [1, 0]);
    assert_eq!(in_force(&fake), [7]);
}

#[test]
fn test_reject_everything_without_kept_memory() {
    let mut fake = Fake::new(Some(signed(7)), true);
    fake.kept = None;
    assert_eq!(fake.run(2), [1, 1]);
    assert!(!fake.console.contains(ready()));
}

#[test]
fn many_reloads_need_no_more_memory_than_one() {
    let mut fake = Fake::new(Some(signed(7)), true);
    fake.offered = Some(signed(8));
    let mut requests = vec![RELOAD; 100];
    requests.push(CHECK);
    let statuses = fake.ask(&requests);
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 2, "one load, one check");
}
