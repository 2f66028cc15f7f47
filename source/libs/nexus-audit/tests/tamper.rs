//! Every kind of tampering, at every place of a journal of a thousand records.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests"
)]

use nexus_audit::{
    Checkpoint, Digest, Fault, KeyCheck, LaneStart, NoKey, Report, Seal, Signature, Signatures,
    Writer, genesis, link, root, verify,
};
use nexus_wire::audit::{Decision, Op, Reason, Record};

const BOOT: u64 = 7;
const EVERY: u64 = 100;
/// Bytes of a record in the file.
const SIZE: usize = 8 + 32 + 128;

#[derive(Clone)]
struct Line {
    lane: u8,
    before: Digest,
    bytes: [u8; 128],
}

/// What a journal holds after the front of some lanes was dropped.
struct Journal {
    lines: Vec<Line>,
    points: Vec<Checkpoint>,
}

fn record(seq: u64) -> [u8; 128] {
    let decision = if seq.is_multiple_of(3) { Decision::Deny } else { Decision::Allow };
    let record = Record::new(Op::CheckCap, decision, Reason::Policy);
    Record { seq, boot: BOOT as u32, time_ns: seq * 10, subject: seq % 5, ..record }.encode()
}

/// `count` records over five lanes, a checkpoint every [`EVERY`] and one at the end.
fn journal(count: u64, seal: Seal) -> Journal {
    let mut heads: Vec<Digest> = (0..5).map(|lane| genesis(BOOT, lane)).collect();
    let (mut lines, mut points) = (Vec::new(), Vec::<Checkpoint>::new());
    for seq in 1..=count {
        let (lane, bytes) = ((seq % 5) as u8, record(seq));
        let before = heads[usize::from(lane)];
        heads[usize::from(lane)] = link(&before, &bytes);
        lines.push(Line { lane, before, bytes });
        if seq % EVERY == 0 || seq == count {
            let last = points.last();
            points.push(Checkpoint {
                number: last.map_or(0, |p| p.number) + 1,
                boot_id: BOOT,
                first_seq: 1,
                last_seq: seq,
                lanes: seq.min(5),
                root: root((0..5).zip(heads.iter().copied())),
                previous: last.map_or([0; 32], Checkpoint::digest),
                seal,
                ..Checkpoint::default()
            });
        }
    }
    Journal { lines, points }
}

fn seq(line: &Line) -> u64 {
    u64::from_le_bytes(line.bytes[..8].try_into().unwrap())
}

fn export(journal: &Journal) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(BOOT, |bytes: &[u8]| file.extend_from_slice(bytes));
    for lane in 0..5 {
        if let Some(first) = journal.lines.iter().find(|line| line.lane == lane) {
            writer.lane(&LaneStart { lane, first_seq: seq(first), before: first.before });
        }
    }
    let mut points = journal.points.iter().peekable();
    for line in &journal.lines {
        while let Some(point) = points.next_if(|point| point.last_seq < seq(line)) {
            writer.checkpoint(&point.encode());
        }
        writer.record(line.lane, &line.before, &line.bytes);
    }
    points.for_each(|point| writer.checkpoint(&point.encode()));
    writer.finish();
    file
}

/// Where record `n` (from 0) is in an untouched file.
fn place(n: usize) -> usize {
    let points = n / EVERY as usize;
    16 + 5 * 48 + n * SIZE + points * (8 + Checkpoint::BYTES)
}

fn wrong_at(file: &[u8]) -> (u64, Fault) {
    let wrong = verify(file, &NoKey).wrong.unwrap();
    (wrong.seq, wrong.fault)
}

fn good(count: u64) -> Vec<u8> {
    export(&journal(count, Seal::Unsigned))
}

#[test]
fn an_untouched_journal_is_proven_and_said_to_be_unsigned() {
    let report = verify(&good(1000), &NoKey);
    assert!(report.is_clean());
    assert_eq!((report.records, report.first_seq, report.last_seq), (1000, 1, 1000));
    assert_eq!((report.checkpoints, report.proven_to, report.dropped), (10, 1000, 0));
    assert_eq!(report.signatures, Signatures::Unsigned);
}

#[test]
fn every_byte_of_a_small_file_counts() {
    let file = good(30);
    for at in 0..file.len() {
        let mut file = file.clone();
        file[at] ^= 0x10;
        let report = verify(&file, &NoKey);
        assert!(!report.is_clean(), "byte {at} means nothing");
        let records = (16 + 5 * 48)..place(30);
        if records.contains(&at) {
            let n = (at - records.start) / SIZE;
            assert_eq!(report.wrong.unwrap().seq, n as u64 + 1, "byte {at}");
        }
    }
}

/// The offset goes through every byte of the encoding, and so do the bits.
#[test]
fn a_changed_byte_names_its_record_everywhere() {
    let mut file = good(1000);
    let mut offsets = [false; SIZE];
    for n in 0..1000 {
        let offset = (n * 37) % SIZE;
        offsets[offset] = true;
        let at = place(n) + offset;
        let bit = 1 << (n / SIZE % 8);
        file[at] ^= bit;
        assert_eq!(verify(&file, &NoKey).wrong.unwrap().seq, n as u64 + 1, "record {n}");
        file[at] ^= bit;
    }
    assert!(offsets.iter().all(|seen| *seen), "a byte of a record was never touched");
}

#[test]
fn a_removed_record_is_named_everywhere() {
    let file = good(1000);
    for n in 0..1000 {
        let mut cut = file.clone();
        cut.drain(place(n)..place(n) + SIZE);
        let (seq, _) = wrong_at(&cut);
        let first_of_lane = n < 5;
        assert!(seq == n as u64 + 1 || (first_of_lane && seq == n as u64 + 6), "record {n}: {seq}");
    }
}

#[test]
fn reordered_records_are_named_everywhere() {
    let file = good(1000);
    for n in 0..999 {
        // Also the two on both sides of a checkpoint.
        let mut swapped = file.clone();
        let (a, b) = (place(n), place(n + 1));
        let first = file[a..a + SIZE].to_vec();
        swapped.copy_within(b..b + SIZE, a);
        swapped[b..b + SIZE].copy_from_slice(&first);
        assert_eq!(wrong_at(&swapped).0, n as u64 + 1, "record {n}");
    }
}

#[test]
fn an_inserted_record_is_named_everywhere() {
    let file = good(1000);
    for n in 0..1000 {
        let mut more = file.clone();
        let copy = file[place(n)..place(n) + SIZE].to_vec();
        more.splice(place(n)..place(n), copy);
        // The first of the two is as good as the other; the second has no place.
        assert_eq!(wrong_at(&more).0, n as u64 + 2, "record {n}");
    }
}

#[test]
fn a_cut_tail_shows_by_the_missing_end_and_only_a_later_checkpoint_proves_it() {
    let file = good(1000);
    for n in 0..1000 {
        let report = verify(&file[..place(n)], &NoKey);
        assert!(!report.complete && !report.is_clean());
        assert_eq!(report.wrong, None, "what is there is in order");
        assert_eq!(report.proven_to, n as u64 / EVERY * EVERY, "the rest is not proven");
    }
    // With the checkpoint behind it, the same cut names the first record that is gone.
    for n in 0..1000 {
        let mut journal = journal(1000, Seal::Unsigned);
        journal.lines.truncate(n);
        journal.points.retain(|p| p.last_seq <= n as u64 || p.last_seq == 1000);
        let (points, last) = (journal.points.len(), 10);
        assert_eq!(journal.points[points - 1].number, last);
        let whole = journal.points.windows(2).all(|two| two[0].number + 1 == two[1].number);
        if whole {
            assert_eq!(wrong_at(&export(&journal)), (n as u64 + 1, Fault::Missing));
        } else {
            assert!(verify(&export(&journal), &NoKey).wrong.is_some());
        }
    }
}

/// Whoever can hash can chain: only a checkpoint made before tells.
#[test]
fn a_rewritten_chain_breaks_at_the_next_checkpoint() {
    for n in (0..1000).step_by(7) {
        let mut forged = journal(1000, Seal::Unsigned);
        forged.lines[n].bytes[16] ^= 1;
        let lane = forged.lines[n].lane;
        let mut head = forged.lines[n].before;
        for line in forged.lines.iter_mut().skip(n).filter(|line| line.lane == lane) {
            line.before = head;
            head = link(&head, &line.bytes);
        }
        let (seq, fault) = wrong_at(&export(&forged));
        let before = n as u64 / EVERY;
        assert_eq!((seq, fault), (before * EVERY + 1, Fault::Root(before + 1)), "record {n}");
    }
}

#[test]
fn dropped_fronts_are_explained_and_nothing_else_is() {
    let mut all = journal(1000, Seal::Unsigned);
    // The journal dropped what lane 2 had before 500: what a noisy subject costs itself.
    all.lines.retain(|line| line.lane != 2 || seq(line) >= 500);
    all.points[9].counts.evicted = 100;
    let report = verify(&export(&all), &NoKey);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.dropped_lanes, report.dropped), (1, 100));
    assert_eq!(report.superseded, 5, "older checkpoints cannot be recomputed");
    assert_eq!(report.proven_to, 1000);
    let victims: Vec<usize> = (0..all.lines.len()).step_by(11).collect();
    for n in victims {
        let mut cut = Journal { lines: all.lines.clone(), points: all.points.clone() };
        cut.lines.remove(n);
        assert!(!verify(&export(&cut), &NoKey).is_clean(), "record {}", seq(&all.lines[n]));
    }
}

struct Key(bool);

impl KeyCheck for Key {
    fn check(&self, _point: (u64, &Digest), signature: &Signature) -> Option<bool> {
        Some(self.0 && *signature == SIGNED)
    }
}

const SIGNED: Signature = Signature { generation: 2, boot: 5, bytes: [9; 64] };

#[test]
fn signatures_are_checked_reported_and_refused() {
    let signed = export(&journal(300, Seal::Ed25519(SIGNED)));
    let of = |report: &Report| (report.signatures, report.signed_to, report.is_vouched_for());
    let valid = verify(&signed, &Key(true));
    assert_eq!(of(&valid), (Signatures::Valid, 300, true));
    assert_eq!(valid.signed_by, (5, 2));
    assert_eq!(of(&verify(&signed, &NoKey)), (Signatures::Unchecked, 300, false));
    let foreign = verify(&signed, &Key(false));
    assert_eq!(foreign.wrong.map(|wrong| wrong.fault), Some(Fault::Signature(1)));
    assert!(!foreign.is_vouched_for());
    let unsigned = verify(&good(300), &Key(true));
    assert_eq!(of(&unsigned), (Signatures::Unsigned, 0, false));
}

#[test]
fn a_signed_checkpoint_vouches_for_what_it_quotes_and_for_nothing_newer() {
    let mut mixed = journal(300, Seal::Ed25519(SIGNED));
    mixed.points[0].seal = Seal::Unsigned;
    mixed.points[1].seal = Seal::Unsigned;
    assert!(verify(&export(&mixed), &Key(true)).is_vouched_for());
    mixed.points[1].seal = Seal::Ed25519(SIGNED);
    mixed.points[2].seal = Seal::Unsigned;
    let report = verify(&export(&mixed), &Key(true));
    assert!(report.is_clean() && !report.is_vouched_for());
    assert_eq!((report.proven_to, report.signed_to), (300, 200));
}

/// A genuine signed checkpoint, and a lane that claims that all records before were dropped: the
/// checkpoint cannot be recomputed, and zero of zero records would be behind a signature.
#[test]
fn test_reject_a_signature_over_records_that_are_not_there() {
    let point = journal(300, Seal::Ed25519(SIGNED)).points[2];
    for first_seq in [1, 300, 301, u64::MAX] {
        for before in [genesis(BOOT, 63), [7; 32]] {
            let mut file = Vec::new();
            let mut writer = Writer::new(BOOT, |bytes: &[u8]| file.extend_from_slice(bytes));
            writer.lane(&LaneStart { lane: 63, first_seq, before });
            writer.checkpoint(&point.encode());
            writer.finish();
            let report = verify(&file, &Key(true));
            assert!(report.wrong.is_some() && !report.is_vouched_for(), "{first_seq} {report:?}");
        }
    }
    let mut empty = Vec::new();
    Writer::new(BOOT, |bytes: &[u8]| empty.extend_from_slice(bytes)).finish();
    assert!(!verify(&empty, &Key(true)).is_vouched_for());
}

#[test]
fn test_reject_a_lane_that_starts_and_has_no_record() {
    let all = journal(300, Seal::Ed25519(SIGNED));
    let mut file = Vec::new();
    let mut writer = Writer::new(BOOT, |bytes: &[u8]| file.extend_from_slice(bytes));
    writer.lane(&LaneStart { lane: 9, first_seq: 400, before: [7; 32] });
    let whole = export(&all);
    let report = verify(&whole, &Key(true));
    assert!(report.is_vouched_for());
    // Behind every checkpoint, so that all of them are superseded by what never comes.
    let (header, end) = (16, whole.len() - 48);
    file.extend_from_slice(&whole[header..end]);
    let digest = *blake3::hash(&file).as_bytes();
    file.extend_from_slice(&[4, 0, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&300u64.to_le_bytes());
    file.extend_from_slice(&digest);
    assert_eq!(wrong_at(&file), (400, Fault::Lane));
}

#[test]
fn any_bytes_end_in_a_report() {
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    for len in 0..600 {
        let mut file: Vec<u8> = (0..len).map(|_| noise()).collect();
        assert!(!verify(&file, &NoKey).is_clean());
        let magic = b"NXAUDIT1";
        file.iter_mut().zip(magic).for_each(|(place, byte)| *place = *byte);
        assert!(!verify(&file, &NoKey).is_clean());
    }
}
