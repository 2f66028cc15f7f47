//! Exports to read: one written by hand, so that what is printed about it is known, and one of
//! what the real daemons recorded.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use nexus_audit::{
    Checkpoint, Digest, Entries, LaneStart, Seal, Signature, Writer, genesis, link, root,
};
use nexus_ipc::{Deadline, connect, log, policy};
use nexus_keys::{Generation, Purpose, Purposes, SecretSeed, SigningKey};
use nexus_sim::{Scenario, SimSys};
use nexus_system::{ids, names};
use nexus_wire::{
    Capability,
    audit::{CapName, Chained, Decision, Flags, Op, Reason, Record},
};

/// Names that would do harm where they are not escaped.
pub(crate) const NASTY: [&str; 4] =
    ["</script><img src=x>", "a|b=c\\", "\u{1b}[2J\u{202e}", "say \"no\"\nCEF:0"];

/// Boot of the export written by hand.
const BOOT: u32 = 7;
/// Tag of the policy its decisions name: 12345678.
const POLICY: u32 = 0x7856_3412;
/// Records between checkpoints of the export written by hand.
const EVERY: usize = 6;
/// The seed of the key the fixtures are signed with.
const SEED: [u8; 32] = [7; 32];
/// Its generation.
const GENERATION: Generation = Generation(2);

/// A file of one test.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub(crate) fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    fs::write(&path, bytes).expect("the target folder is writable");
    path
}

/// `nx audit` with these words.
pub(crate) fn nx(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nx"));
    command.arg("audit").args(words).output().expect("nx runs")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn record(op: Op, decision: Decision, reason: Reason, cap: &str) -> Record {
    let cap = if cap.is_empty() { CapName::NONE } else { CapName::new(capability(cap)) };
    let policy = if decision == Decision::None { 0 } else { POLICY };
    Record { cap, policy, boot: BOOT, ..Record::new(op, decision, reason) }
}

fn capability(name: &str) -> Capability<'_> {
    Capability::new(name).expect("a valid name")
}

/// Ten records of different kinds, then some with names that do harm.
pub(crate) fn by_hand() -> Vec<Record> {
    use {Decision::*, Op::*, Reason as R};
    let (client, logd, init, policyd) =
        (ids::SELFTEST_CLIENT.0, ids::LOGD.0, ids::NEXUS_INIT.0, ids::POLICYD.0);
    let about = |enforcer, subject, record| Record { enforcer, subject, ..record };
    let own = |record| about(client, client, record);
    let mut all = vec![
        Record {
            rule: 9,
            args: [3, 0],
            ..about(policyd, policyd, record(PolicyLoad, Allow, R::Policy, ""))
        },
        Record {
            target: logd,
            rule: 4,
            flags: Flags::CONTROL.or(Flags::DELEGATED),
            ..about(init, client, record(Route, Allow, R::Policy, "route.logd"))
        },
        Record {
            nonce: 0x11,
            flags: Flags::NONCE,
            rule: 2,
            ..own(record(CheckCap, Allow, R::Policy, "ipc.core"))
        },
        Record {
            nonce: 0x12,
            flags: Flags::NONCE.or(Flags::REQUIRED),
            ..own(record(CheckCap, Deny, R::Default, "crypto.sign"))
        },
        Record {
            rule: 7,
            flags: Flags::DELEGATED,
            ..about(logd, client, record(CheckCapDelegated, Allow, R::Policy, "audit.read"))
        },
        Record {
            args: [0, ids::SELFTEST_PEER.0],
            ..own(record(CheckCapDelegated, Deny, R::Identity, "ipc.core"))
        },
        Record { args: [0x0203, 0], ..own(record(Malformed, Deny, R::Malformed, "")) },
        Record { target: 12, enforcer: policyd, subject: 0, ..record(Lost, None, R::Overflow, "") },
        Record {
            args: [13, 0x1000],
            ..about(0, 0x384, record(KernelProcessFaulted, None, R::Kernel, "load-fault"))
        },
        Record {
            target: 0x384,
            nonce: 4,
            ..about(0, init, record(KernelProcessCreated, None, R::Kernel, ""))
        },
    ];
    all.extend(NASTY.map(|name| own(record(CheckCap, Deny, R::Unknown, name))));
    all.extend([
        Record {
            target: 3812,
            nonce: 3812,
            args: [17, 3990],
            ..about(logd, client, record(Dropped, None, R::Quota, ""))
        },
        Record {
            target: 3,
            flags: Flags::DELEGATED.or(Flags::NONCE).or(Flags::CLAIMED),
            nonce: 0x13,
            args: [5, 1],
            ..about(policyd, client, record(KeyUse, Allow, R::Done, "crypto.sign"))
        },
    ]);
    for (at, record) in (1..).zip(&mut all) {
        (record.seq, record.time_ns) = (at, 1_000_000 + at * 123_456_789);
    }
    all
}

/// The device's checkpoint key.
fn signer() -> SigningKey {
    let seed = SecretSeed::take(&mut { SEED }).expect("a seed");
    SigningKey::new(&seed, Purposes::only(Purpose::Checkpoint), GENERATION).expect("it signs")
}

/// The public key's file.
pub(crate) fn key() -> PathBuf {
    let key = signer().public();
    let digits: String = key.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    write("key.pub", format!("# a key of the tests\n{digits}\n").as_bytes())
}

/// An export of these records: a chain for each subject, a checkpoint every [`EVERY`] and at the
/// end, as logd keeps them.
pub(crate) fn export(records: &[Record], signed: bool) -> Vec<u8> {
    let boot = records.first().map_or(0, |record| u64::from(record.boot));
    let mut lanes = BTreeMap::<u64, u8>::new();
    let mut heads = BTreeMap::<u8, Digest>::new();
    let mut file = Vec::new();
    let mut writer = Writer::new(boot, |bytes: &[u8]| file.extend_from_slice(bytes));
    for record in records {
        let next = lanes.len() as u8;
        if let std::collections::btree_map::Entry::Vacant(place) = lanes.entry(record.subject) {
            place.insert(next);
            let before = genesis(boot, next);
            writer.lane(&LaneStart { lane: next, first_seq: record.seq, before });
        }
    }
    let mut last: Option<Checkpoint> = None;
    for (at, record) in (1..).zip(records) {
        let lane = lanes[&record.subject];
        let before = heads.get(&lane).copied().unwrap_or_else(|| genesis(boot, lane));
        heads.insert(lane, link(&before, &record.encode()));
        writer.record(lane, &before, &record.encode());
        if at % EVERY == 0 || at == records.len() {
            let point = checkpoint(record, records[0].seq, &heads, last.as_ref(), signed);
            writer.checkpoint(&point.encode());
            last = Some(point);
        }
    }
    writer.finish();
    file
}

fn checkpoint(
    record: &Record,
    first_seq: u64,
    heads: &BTreeMap<u8, Digest>,
    last: Option<&Checkpoint>,
    signed: bool,
) -> Checkpoint {
    let point = Checkpoint {
        number: last.map_or(0, |last| last.number) + 1,
        boot_id: u64::from(record.boot),
        time_ns: record.time_ns,
        first_seq,
        last_seq: record.seq,
        lanes: heads.len() as u64,
        root: root(heads.iter().map(|(lane, head)| (*lane, *head))),
        previous: last.map_or([0; 32], Checkpoint::digest),
        ..Checkpoint::default()
    };
    if !signed {
        return point;
    }
    let what = (point.number, point.digest());
    let seal = nexus_keys::Seal::sign(&signer(), what, (ids::LOGD.0, BOOT), true);
    let bytes = seal.expect("a checkpoint key").signature;
    let seal = Seal::Ed25519(Signature { generation: GENERATION.0, boot: BOOT, bytes });
    Checkpoint { seal, ..point }
}

/// The bytes of each entry: header, then everything up to the end.
pub(crate) fn entries(file: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Entries::open(file).expect("an export");
    let mut from = entries.at();
    let mut all = vec![file[..from].to_vec()];
    while entries.next().is_some() {
        all.push(file[from..entries.at()].to_vec());
        from = entries.at();
    }
    all
}

fn soon(sys: &mut SimSys) -> Deadline {
    Deadline::after_ns(sys, 100_000_000)
}

/// An export of what the real policyd and logd recorded about a client that asks for this and
/// that, with the chains and the checkpoint that logd itself made.
pub(crate) fn recorded() -> Vec<u8> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&found);
    let client = move |sys: &mut SimSys, _| {
        let deadline = soon(sys);
        let ep = connect(sys, names::POLICYD, deadline).expect("a route");
        let mut authority = policy::Client::new(ep, 0x100);
        for name in ["ipc.core", "crypto.sign"].into_iter().chain(NASTY) {
            let deadline = soon(sys);
            let _either = authority.check_cap(sys, ids::SELFTEST_CLIENT, name, deadline);
        }
        *out.lock().expect("one thread at a time") = read_journal(sys);
        0
    };
    let run = Scenario::new().program(names::SELFTEST_CLIENT, client);
    assert_eq!(run.run(names::SELFTEST_CLIENT).outcome, Ok(0));
    found.lock().expect("the run is over").clone()
}

/// The journal up to a fresh checkpoint: reading is recorded too, so there is no other end.
fn read_journal(sys: &mut SimSys) -> Vec<u8> {
    let deadline = soon(sys);
    let ep = connect(sys, names::LOGD, deadline).expect("a route");
    let mut journal = log::Client::new(ep, 0x200);
    let deadline = soon(sys);
    let point = journal.audit_checkpoint(sys, 0, deadline).expect("audit.read");
    let bytes: [u8; Checkpoint::BYTES] = point.try_into().expect("a whole checkpoint");
    let point = Checkpoint::decode(&bytes).expect("a checkpoint");
    let (mut since, mut all) = (0, Vec::<Chained>::new());
    while since <= point.last_seq {
        let deadline = soon(sys);
        let page = journal.audit_chain(sys, since, 3, deadline).expect("audit.read");
        since = page.next_seq;
        all.extend(page.records.iter().filter(|chained| seq(chained) <= point.last_seq));
    }
    let mut file = Vec::new();
    let mut writer = Writer::new(point.boot_id, |bytes: &[u8]| file.extend_from_slice(bytes));
    let mut lanes = Vec::new();
    for chained in &all {
        if !lanes.contains(&chained.lane) {
            lanes.push(chained.lane);
            let (lane, before) = (chained.lane, chained.before);
            writer.lane(&LaneStart { lane, first_seq: seq(chained), before });
        }
    }
    for chained in &all {
        writer.record(chained.lane, &chained.before, &chained.bytes);
    }
    writer.checkpoint(&bytes);
    writer.finish();
    file
}

fn seq(chained: &Chained) -> u64 {
    Record::decode(&chained.bytes).map_or(0, |record| record.seq)
}
