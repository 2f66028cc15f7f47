//! The device's keys: made once, used by policy alone, never told.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use nexus_keys::{
    Chain, Flags, Generation, Genesis, Nonce, Preimage, PublicKey, Purpose, PurposeCertificate,
    PurposeKey, Quote, QuoteBody, Wanted,
};
use nexus_wire::{
    Bytes,
    audit::{Decision, Op as Audited, Reason},
    keys::{ACTIVE, Durability, Op, Reply, Standing, Status},
};

fn preimage(caller: u64, (generation, boot): (u32, u32), message: &[u8]) -> Preimage {
    Preimage::of(Purpose::Service, Generation(generation), caller, boot, message).unwrap()
}

#[test]
fn a_signature_is_over_the_structure_and_verifies_outside() {
    let (_, mut bench) = with_keys();
    let (generation, boot, signature) = bench.sign(CLIENT, b"hello").unwrap();
    let public = PublicKey::enrol(&bench.public(SERVICE, ACTIVE).unwrap()).unwrap();
    let good = preimage(CLIENT, (generation, boot), b"hello");
    assert_eq!(nexus_keys::verify(&public, &good, &signature), Ok(()));
    // The bytes themselves were not signed.
    assert!(nexus_keys::verify_raw(public.bytes(), b"hello", &signature).is_err());
    assert_eq!(bench.verify((SERVICE, CLIENT), (generation, boot, signature), b"hello"), Ok(true));
    for (caller, boot, message) in
        [(PEER, boot, b"hello"), (CLIENT, boot + 1, b"hello"), (CLIENT, boot, b"jello")]
    {
        let claim = (generation, boot, signature);
        assert_eq!(bench.verify((SERVICE, caller), claim, message), Ok(false));
    }
}

#[test]
fn test_reject_a_second_key_generation() {
    let (_, mut bench) = with_keys();
    let before = bench.public(ROTATE, ACTIVE).unwrap();
    assert_eq!(bench.keygen(), Status::KeyExists);
    assert_eq!(bench.public(ROTATE, ACTIVE), Ok(before));
}

#[test]
fn test_reject_keys_without_entropy_or_with_a_constant_one() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    assert!(bench.service.prepare(&mut bench.outside));
    bench.outside.entropy_fails = true;
    assert_eq!(bench.keygen(), Status::NoEntropy);
    bench.outside.entropy_fails = false;
    bench.outside.entropy_constant = true;
    assert_eq!(bench.keygen(), Status::NoEntropy);
    assert!(!disk.borrow().contains_key(b"id".as_slice()), "nothing half-made is left");
    bench.outside.entropy_constant = false;
    assert_eq!(bench.public(ROTATE, ACTIVE), Err(Status::KeyNotFound));
    assert_eq!(bench.keygen(), Status::Ok);
}

#[test]
fn without_a_durable_store_every_answer_says_so() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    bench.outside.durable = false;
    let op = Op::Keygen { max_uses: 0, max_boots: 0 };
    let durability = bench.ask(CLIENT, op, |_, body| match body {
        Reply::Keygen { durability, .. } => Some(*durability),
        _ => None,
    });
    assert_eq!(durability, Some(Durability::Volatile));
    let flags = bench.ask(CLIENT, Op::Status {}, |_, body| match body {
        Reply::Status { status } => status.flags,
        _ => 0,
    });
    assert_eq!(flags & (Standing::DURABLE | Standing::HAS_KEYS), Standing::HAS_KEYS);
    let (quote, _) = quote(&mut bench, &[7; 32]);
    assert!(quote.evidence.flags.has(Flags::STORAGE_VOLATILE));
}

#[test]
fn test_reject_k14_private_export_and_record_it() {
    let (_, mut bench) = with_keys();
    for (version, nonce) in [(1, None), (2, Some(9))] {
        for from in [CLIENT, PEER, 99] {
            let mut frame = [0; 512];
            let op = Op::DevicePrivkey {};
            let len = nexus_wire::Request { version, nonce, op }.encode(&mut frame);
            let (answer, records) = bench.raw_recorded(from, &frame[..len]);
            let reply = nexus_wire::keys::Response::decode(&answer).unwrap();
            assert_eq!(reply.status, Status::PrivateExportDenied);
            assert!(answer.len() <= 11, "nothing but a status and an empty value");
            let [record] = records.try_into().unwrap();
            assert_eq!((record.op, record.decision), (Audited::KeyUse, Decision::Deny));
            assert_eq!((record.reason, record.subject), (Reason::Refused, from));
        }
    }
}

#[test]
fn test_reject_k01_signing_for_another_purpose() {
    let (_, mut bench) = with_keys();
    for purpose in [0, ATTEST, CHECKPOINT, ROTATE, 16, 32, 64, 128, 3, u16::MAX] {
        let message = Bytes::new(b"m").unwrap();
        assert_eq!(bench.status(CLIENT, Op::DeviceSign { purpose, message }), Status::WrongPurpose);
    }
    let message = Bytes::new(b"m").unwrap();
    assert_eq!(bench.status(CLIENT, Op::DeviceSign { purpose: SERVICE, message }), Status::Ok);
}

#[test]
fn test_reject_k03_k04_k05_statements_smuggled_through_service_signing() {
    let (_, mut bench) = with_keys();
    let (body, _) = quote(&mut bench, &[9; 40]);
    let public = PublicKey::enrol(&bench.public(ATTEST, ACTIVE).unwrap()).unwrap();
    let (.., signature) = bench.sign(CLIENT, &body.encode()).unwrap();
    let attested = Preimage::of(Purpose::Attest, Generation(0), CLIENT, 1, &body.encode()).unwrap();
    assert!(nexus_keys::verify(&public, &attested, &signature).is_err());
    // A message that is a preimage is hashed like any other.
    let wanted = preimage(PEER, (0, 1), b"m");
    let (.., signature) = bench.sign(CLIENT, &wanted.encode()).unwrap();
    let service = PublicKey::enrol(&bench.public(SERVICE, ACTIVE).unwrap()).unwrap();
    assert!(nexus_keys::verify(&service, &wanted, &signature).is_err());
    let checkpoint = PublicKey::enrol(&bench.public(CHECKPOINT, ACTIVE).unwrap()).unwrap();
    assert!(checkpoint != service && public != service && checkpoint != public);
}

#[test]
fn test_reject_k11_everything_while_policyd_is_dead() {
    let (disk, mut bench) = with_keys();
    let before = disk.borrow().clone();
    bench.outside.policyd_is_dead = true;
    let message = Bytes::new(b"m").unwrap();
    let slot = nexus_wire::keys::Slot::new(b"a", b"b").unwrap();
    let name = nexus_wire::keys::Slot::new(b"a", b"").unwrap();
    let reason = nexus_wire::keys::Rotation::Compromise;
    for op in [
        Op::Sign { message },
        Op::Put { slot },
        Op::Get { slot: name },
        Op::Del { slot: name },
        Op::Keygen { max_uses: 0, max_boots: 0 },
        Op::Pubkey { purpose: SERVICE, generation: ACTIVE },
        Op::Rotate { reason, overlap_boots: 0, overlap_ns: 0 },
        Op::Revoke { generation: 0 },
        Op::Chain { purpose: ROTATE, generation: 0 },
        Op::CounterRead { counter: 0 },
        Op::CounterIncrement { counter: 0, by: 1 },
        Op::Attest { challenge: Bytes::new(&[1; 32]).unwrap() },
        Op::Status {},
    ] {
        assert_eq!(bench.status(CLIENT, op), Status::Unavailable, "{op:?}");
    }
    assert_eq!(*disk.borrow(), before);
}

#[test]
fn test_reject_whoever_policy_denies_whatever_the_payload_says() {
    let (disk, mut bench) = with_keys();
    let before = disk.borrow().clone();
    let asked = bench.outside.asked.len();
    assert_eq!(bench.sign(PEER, b"m"), Err(Status::Denied));
    assert_eq!(bench.outside.asked[asked..], [(PEER, String::from("crypto.sign"))]);
    let reason = nexus_wire::keys::Rotation::Scheduled;
    for op in [
        Op::Keygen { max_uses: 0, max_boots: 0 },
        Op::Pubkey { purpose: SERVICE, generation: ACTIVE },
        Op::Rotate { reason, overlap_boots: 1, overlap_ns: 1 },
        Op::Revoke { generation: 0 },
        Op::Attest { challenge: Bytes::new(&[1; 32]).unwrap() },
    ] {
        assert_eq!(bench.status(PEER, op), Status::Denied, "{op:?}");
    }
    // K08: the sender's id in the payload is data like any other.
    let claim = [CLIENT.to_le_bytes(), CLIENT.to_le_bytes()].concat();
    assert_eq!(bench.sign(PEER, &claim), Err(Status::Denied));
    assert_eq!(*disk.borrow(), before);
}

#[test]
fn test_reject_acts_without_a_place_for_their_record() {
    let (disk, mut bench) = with_keys();
    let message = Bytes::new(b"m").unwrap();
    let mut frame = [0; 512];
    let request = nexus_wire::Request { version: 2, nonce: Some(5), op: Op::Sign { message } };
    let len = request.encode(&mut frame);
    // Nobody drains the lane.
    let sender =
        nexus_abi::Sender { service: nexus_abi::ServiceId(CLIENT), incarnation: 1, badge: 0 };
    let mut last = Status::Ok;
    for _ in 0..200 {
        bench.outside.now_ns += 1_000_000_000;
        let answer =
            nexus_service::step(&mut bench.service, sender, &frame[..len], &mut bench.outside);
        last = nexus_wire::keys::Response::decode(answer.bytes()).unwrap().status;
    }
    assert_eq!(last, Status::AuditUnavailable);
    let slot = nexus_wire::keys::Slot::new(b"a", b"b").unwrap();
    let len =
        nexus_wire::Request { version: 2, nonce: Some(5), op: Op::Put { slot } }.encode(&mut frame);
    let answer = nexus_service::step(&mut bench.service, sender, &frame[..len], &mut bench.outside);
    let status = nexus_wire::keys::Response::decode(answer.bytes()).unwrap().status;
    assert_eq!(status, Status::AuditUnavailable);
    assert!(!disk.borrow().keys().any(|key| key.starts_with(b"s/")));
    bench.outside.drain();
    assert!(bench.sign(CLIENT, b"m").is_ok(), "drained: again");
}

#[test]
fn every_use_leaves_a_record_with_its_decision() {
    let (_, mut bench) = with_keys();
    let mut frame = [0; 512];
    let message = Bytes::new(b"m").unwrap();
    let request = nexus_wire::Request { version: 2, nonce: Some(5), op: Op::Sign { message } };
    let len = request.encode(&mut frame);
    let (_, records) = bench.raw_recorded(CLIENT, &frame[..len]);
    let [record] = records.try_into().unwrap();
    assert_eq!((record.op, record.decision), (Audited::KeyUse, Decision::Allow));
    assert_eq!((record.subject, record.nonce), (CLIENT, 7));
    assert_eq!(record.args[0], bench.outside.asked.len() as u64, "the decision's number");
}

#[test]
fn test_reject_k40_a_burst_beyond_the_bucket() {
    let (_, mut bench) = with_keys();
    bench.outside.now_ns += 100_000_000_000;
    let mut frame = [0; 512];
    let message = Bytes::new(b"m").unwrap();
    let request = nexus_wire::Request { version: 2, nonce: Some(5), op: Op::Sign { message } };
    let len = request.encode(&mut frame);
    let status = |bench: &mut Bench, from| {
        nexus_wire::keys::Response::decode(&bench.raw(from, &frame[..len])).unwrap().status
    };
    for _ in 0..32 {
        assert_eq!(status(&mut bench, CLIENT), Status::Ok);
    }
    let asked = bench.outside.asked.len();
    assert_eq!(status(&mut bench, CLIENT), Status::RateLimited);
    assert_eq!(bench.outside.asked.len(), asked, "policyd is spared");
    assert_eq!(status(&mut bench, PEER), Status::Denied, "another caller is not affected");
    // A refusal costs as much: 31 more, then the limit.
    for _ in 0..31 {
        assert_eq!(status(&mut bench, PEER), Status::Denied);
    }
    assert_eq!(status(&mut bench, PEER), Status::RateLimited);
}

#[test]
fn test_reject_uses_and_boots_beyond_what_was_bound() {
    let disk = disk();
    let mut bench = boot(&disk, 1);
    let op = Op::Keygen { max_uses: 5, max_boots: 1 };
    assert_eq!(bench.status(CLIENT, op), Status::Ok);
    for _ in 0..3 {
        assert!(bench.sign(CLIENT, b"m").is_ok());
    }
    // A restart gives nothing back.
    let mut bench = boot(&disk, 2);
    for _ in 0..2 {
        assert!(bench.sign(CLIENT, b"m").is_ok());
    }
    assert_eq!(bench.sign(CLIENT, b"m"), Err(Status::KeyExhausted));
    let disk = common::disk();
    let mut bench = boot(&disk, 1);
    assert_eq!(bench.status(CLIENT, Op::Keygen { max_uses: 0, max_boots: 1 }), Status::Ok);
    let mut second = boot(&disk, 2);
    assert!(second.sign(CLIENT, b"m").is_ok());
    let mut third = boot(&disk, 3);
    assert_eq!(third.sign(CLIENT, b"m"), Err(Status::KeyExhausted));
}

fn quote(bench: &mut Bench, challenge: &[u8]) -> (QuoteBody, [u8; 64]) {
    let challenge = Bytes::new(challenge).unwrap();
    bench.ask(CLIENT, Op::Attest { challenge }, |status, body| match body {
        Reply::Attest { quote, signature } => {
            (QuoteBody::decode(quote.as_bytes()).unwrap(), *signature)
        }
        _ => unreachable!("{status:?}"),
    })
}

fn attestation_key(bench: &mut Bench) -> (Chain, PurposeKey) {
    let genesis = Genesis::decode(&bench.chain(ROTATE, 0).unwrap()).unwrap();
    let chain = Chain::start(&genesis).unwrap();
    let certificate = PurposeCertificate::decode(&bench.chain(ATTEST, 0).unwrap()).unwrap();
    (chain, PurposeKey::admit(&certificate, &chain).unwrap())
}

#[test]
fn a_quote_binds_nonce_boot_and_measurements() {
    let (disk, mut bench) = with_keys();
    let (body, signature) = quote(&mut bench, &[7; 32]);
    let (chain, key) = attestation_key(&mut bench);
    let wanted = Wanted { nonce: Nonce::new(&[7; 32]).unwrap(), allow_development: false };
    assert_eq!(Quote { body, signature }.verify(&chain, &key, &wanted), Ok(()));
    let evidence = body.evidence;
    assert_eq!((body.caller, evidence.boot, evidence.images), (CLIENT, 1, 7));
    assert_eq!((evidence.measurements, evidence.policy), ([0x11; 32], [0x22; 32]));
    assert!(evidence.flags.has(Flags::NO_HARDWARE_ROOT.with(Flags::AUDIT_UNKNOWN)));
    assert!(!evidence.flags.has(Flags::DEVELOPMENT_KEY));
    let other = Wanted { nonce: Nonce::new(&[8; 32]).unwrap(), ..wanted };
    assert!(Quote { body, signature }.verify(&chain, &key, &other).is_err());
    // K25: the same nonce in another boot gives another body.
    let mut again = boot(&disk, 2);
    let (later, _) = quote(&mut again, &[7; 32]);
    assert_eq!(later.evidence.boot, 2);
    assert_ne!(later.evidence.boot_id, evidence.boot_id);
    again.outside.measured = None;
    let (unmeasured, _) = quote(&mut again, &[7; 32]);
    let flags = unmeasured.evidence.flags;
    assert!(flags.has(Flags::MEASUREMENTS_INCOMPLETE.with(Flags::POLICY_UNKNOWN)));
}

#[test]
fn test_reject_k24_nonces_that_are_none() {
    let (_, mut bench) = with_keys();
    for challenge in [&[][..], &[1; 31], &[0; 32], &[0; 64]] {
        let challenge = Bytes::new(challenge).unwrap();
        assert_eq!(bench.status(CLIENT, Op::Attest { challenge }), Status::Malformed);
    }
    for len in [32, 64] {
        quote(&mut bench, &[1; 64][..len]);
    }
}

#[test]
fn checkpoints_are_sealed_for_the_journal_alone() {
    let (_, mut bench) = with_keys();
    bench.outside.checkpoints = vec![(3, [0x33; 32])];
    let asked = bench.outside.asked.len();
    nexus_service::Service::notified(&mut bench.service, 1, &mut bench.outside);
    assert_eq!(bench.outside.asked[asked..], [(LOGD, String::from("key.checkpoint"))]);
    let [seal] = bench.outside.seals[..] else { unreachable!() };
    let (chain, _) = attestation_key(&mut bench);
    let certificate = PurposeCertificate::decode(&bench.chain(CHECKPOINT, 0).unwrap()).unwrap();
    let key = PurposeKey::admit(&certificate, &chain).unwrap();
    assert_eq!((seal.verify(&key), seal.number, seal.caller), (Ok(()), 3, LOGD));
    let (body, _) = quote(&mut bench, &[7; 32]);
    assert_eq!((body.evidence.audit_size, body.evidence.audit_head), (3, [0x33; 32]));
    bench.outside.policyd_is_dead = true;
    bench.outside.checkpoints = vec![(4, [0x44; 32])];
    nexus_service::Service::notified(&mut bench.service, 1, &mut bench.outside);
    assert_eq!(bench.outside.seals.len(), 1, "no decision, no seal");
}

/// One history a boot: also for an instance that never saw what its predecessor signed.
#[test]
fn test_reject_another_history_after_a_restart() {
    let (disk, mut bench) = with_keys();
    let seal = |bench: &mut Bench, checkpoint| {
        let before = bench.outside.seals.len();
        bench.outside.checkpoints = vec![checkpoint];
        nexus_service::Service::notified(&mut bench.service, 1, &mut bench.outside);
        bench.outside.seals.len() > before
    };
    assert!(seal(&mut bench, (3, [3; 32])));
    let mut later = boot(&disk, 1);
    (later.outside.kept_boot, later.outside.kept_head) =
        (bench.outside.kept_boot, bench.outside.kept_head);
    let (body, _) = quote(&mut later, &[7; 32]);
    assert_eq!((body.evidence.audit_size, body.evidence.audit_head), (3, [3; 32]));
    for other in [(3, [4; 32]), (2, [2; 32]), (1, [1; 32])] {
        assert!(!seal(&mut later, other), "{}", other.0);
    }
    assert!(seal(&mut later, (3, [3; 32])), "the same one again is no other");
    assert!(seal(&mut later, (4, [4; 32])));
    let mut next_boot = boot(&disk, 2);
    assert!(seal(&mut next_boot, (1, [9; 32])), "its numbers begin anew");
}

#[test]
fn checkpoints_without_keys_are_nobodys_question() {
    let mut bench = boot(&disk(), 1);
    bench.outside.checkpoints = vec![(1, [1; 32]), (2, [2; 32])];
    nexus_service::Service::notified(&mut bench.service, 1, &mut bench.outside);
    assert!(bench.outside.checkpoints.is_empty() && bench.outside.seals.is_empty());
    assert!(bench.outside.asked.is_empty() && bench.outside.drain().is_empty());
}

/// The key everybody knows is asked for by name or not at all: no build of this tree does.
#[test]
fn test_reject_the_bringup_key_in_every_build_that_does_not_ask_for_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let feature = "insecure-bringup-key";
    let manifest = read("source/services/keystored/Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in features.lines().filter(|line| line.contains('=')) {
        let (name, enables) = line.split_once('=').unwrap();
        assert!(!enables.contains(feature), "`{}` enables it", name.trim());
    }
    for path in ["Cargo.toml", "recipes/system.toml", "justfile", ".ci/run", ".cargo/config.toml"] {
        assert!(!read(path).contains(feature), "{path} names it");
    }
    for dir in ["tools/nx/src", "source/libs/nexus-build/src"] {
        let mut left = vec![root.join(dir)];
        while let Some(dir) = left.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    left.push(path);
                } else {
                    let text = std::fs::read(&path).unwrap();
                    let named = text.windows(feature.len()).any(|w| w == feature.as_bytes());
                    assert!(!named, "{} names it", path.display());
                }
            }
        }
    }
    if !cfg!(feature = "insecure-bringup-key") {
        let (_, mut bench) = with_keys();
        let (body, _) = quote(&mut bench, &[7; 32]);
        assert!(!body.evidence.flags.has(Flags::DEVELOPMENT_KEY));
    }
}

#[test]
fn test_reject_a_new_identity_wherever_the_old_one_cannot_be_read() {
    // Every record that the identity needs, garbled or gone.
    for (name, gone) in
        [("root", Status::Damaged), ("floor", Status::Damaged), ("id", Status::Rollback)]
    {
        for damage in [0usize, 1, 9, 20, 40, 55, usize::MAX] {
            let (disk, mut first) = with_keys();
            let public = first.public(ROTATE, ACTIVE).unwrap();
            let before = {
                let mut records = disk.borrow_mut();
                let record = records.get_mut(name.as_bytes()).unwrap();
                match record.get_mut(damage) {
                    Some(byte) => *byte ^= 1,
                    None => drop(records.remove(name.as_bytes())),
                }
                records.get(b"id".as_slice()).cloned()
            };
            let mut bench = boot(&disk, 2);
            let status = bench.keygen();
            let expected = if damage == usize::MAX { gone } else { Status::Damaged };
            assert_eq!(status, expected, "{name} {damage}");
            assert_eq!(disk.borrow().get(b"id".as_slice()).cloned(), before, "{name} {damage}");
            assert_eq!(bench.sign(CLIENT, b"m"), Err(expected));
            assert_ne!(bench.public(ROTATE, ACTIVE), Ok(public));
        }
    }
    // A store that does not answer is no empty store.
    let (disk, mut first) = with_keys();
    let public = first.public(ROTATE, ACTIVE).unwrap();
    let mut bench = boot(&disk, 2);
    bench.outside.reads_fail = true;
    assert_eq!(bench.keygen(), Status::Unavailable);
    bench.outside.reads_fail = false;
    assert_eq!(bench.keygen(), Status::KeyExists);
    assert_eq!(bench.public(ROTATE, ACTIVE), Ok(public));
}

#[test]
fn a_cut_anywhere_in_key_generation_leaves_all_of_it_or_nothing() {
    let commits = {
        let mut bench = boot(&disk(), 1);
        assert_eq!(bench.keygen(), Status::Ok);
        bench.outside.sequence as usize - 1000
    };
    for cut in 0..=commits {
        for answer_lost in [false, true] {
            let disk = disk();
            let mut bench = boot(&disk, 1);
            (bench.outside.commits_left, bench.outside.answer_lost) = (cut, answer_lost);
            let told = bench.keygen();
            let told = if told == Status::Ok { bench.public(ROTATE, ACTIVE).ok() } else { None };
            let mut next = boot(&disk, 2);
            match next.keygen() {
                Status::KeyExists => {
                    let public = next.public(ROTATE, ACTIVE).unwrap();
                    assert!(told.is_none_or(|told| told == public), "the identity forked");
                    assert!(next.sign(CLIENT, b"m").is_ok(), "half a key");
                    assert!(next.chain(ATTEST, 0).is_ok() && next.chain(ROTATE, 0).is_ok());
                }
                Status::Ok => assert!(told.is_none(), "an identity that was told is gone"),
                other => unreachable!("{other:?} after {cut}"),
            }
        }
    }
}

#[test]
fn test_reject_k23_a_boot_counter_at_its_end_and_k22_an_older_store() {
    let (disk, _) = with_keys();
    let old = copy(&disk);
    let mut second = boot(&disk, 2);
    assert!(second.sign(CLIENT, b"m").is_ok());
    // Within a boot, an older store is told by what was seen before.
    let mut bench = boot(&old, 3);
    bench.outside.kept_boot = second.outside.kept_boot;
    assert_eq!(bench.sign(CLIENT, b"m"), Err(Status::Rollback));
    // A store whose own sequence went back is flagged, in status and quotes.
    let mut bench = boot(&disk, 3);
    bench.outside.sequence = 5;
    let (body, _) = quote(&mut bench, &[7; 32]);
    assert!(body.evidence.flags.has(Flags::ROLLBACK_DETECTED));
}

#[test]
fn restarts_within_a_boot_are_no_boots() {
    let (disk, bench) = with_keys();
    let mut again = boot(&disk, 2);
    again.outside.kept_boot = bench.outside.kept_boot;
    let (_, boot, _) = again.sign(CLIENT, b"m").unwrap();
    assert_eq!(boot, 1);
}
