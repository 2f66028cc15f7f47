//! What a file proves, and what it does not.

use nexus_wire::audit::Record;

use crate::{
    chain::{Digest, LANES, link, root},
    checkpoint::{Checkpoint, Seal, Signature},
    container::{Damage, Entries, Entry, LaneStart, RECORDS_MAX},
};

/// Checks a signature; what knows keys, and the form in which they sign, implements it.
pub trait KeyCheck {
    /// Whether `signature` is the device's over the checkpoint with this number and digest; `None`
    /// without a key to check with.
    fn check(&self, point: (u64, &Digest), signature: &Signature) -> Option<bool>;
}

/// No key at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKey;

impl KeyCheck for NoKey {
    fn check(&self, _point: (u64, &Digest), _signature: &Signature) -> Option<bool> {
        None
    }
}

/// What vouches for the checkpoints of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// The file has no checkpoint.
    None,
    /// None is signed: whoever wrote the file could have written all of it anew.
    Unsigned,
    /// There are signed ones, and no key was given to check them with.
    Unchecked,
    /// All that are signed are signed by the key. Each vouches for the ones before it, whose
    /// digests it quotes; [`Report::signed_to`] tells how far.
    Valid,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file is damaged at this byte; the number is that of the record expected there.
    Container(usize),
    /// The record does not decode.
    Record,
    /// The record's lane has no start, two starts, or another first record; or a lane starts with
    /// it, and it is not here.
    Lane,
    /// The record does not follow from the one before it in its lane: it was changed, or what
    /// stood before it was.
    Link {
        /// The lane's last good record, 0 if none.
        after: u64,
    },
    /// No record has this number, and no dropped front of a lane explains that.
    Missing,
    /// The number does not grow: moved, or inserted.
    Order,
    /// The checkpoint with this number is none, is out of order, or does not quote the one before.
    Checkpoint(u64),
    /// The heads of the lanes are not those of this checkpoint: a record after the last
    /// good checkpoint, up to here, was changed, taken out or put in together with what follows.
    Root(u64),
    /// The signature of this checkpoint is not the key's.
    Signature(u64),
    /// More records are gone from the fronts of lanes than the last good checkpoint counts.
    Dropped,
    /// The end does not match the file.
    End,
}

/// The first thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Number of the record it shows at.
    pub seq: u64,
    /// What.
    pub fault: Fault,
}

/// What a file proves. Nothing in it is proven beyond [`Report::proven_to`], and from
/// [`Wrong::seq`] on nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Records read and in order.
    pub records: u64,
    /// Number of the first record.
    pub first_seq: u64,
    /// Number of the last record.
    pub last_seq: u64,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// Checkpoints whose lanes have lost records since, so that their root cannot be recomputed;
    /// a later one covers the same records.
    pub superseded: u64,
    /// Every record up to this number is the one the last good checkpoint was made over. Records
    /// behind it are chained to it, but a cut tail there would leave no trace.
    pub proven_to: u64,
    /// Who vouches for the checkpoints.
    pub signatures: Signatures,
    /// Every record up to this number is behind a checkpoint that is signed, by the key if one
    /// was given. 0 if none is.
    pub signed_to: u64,
    /// The highest boot counter and key generation under a signature.
    pub signed_by: (u32, u32),
    /// Lanes whose front was dropped by the journal.
    pub dropped_lanes: u64,
    /// Numbers without a record that those fronts explain.
    pub dropped: u64,
    /// Records the journal had dropped at the last good checkpoint, by its own count. So many
    /// may be gone from the fronts of lanes; which ones, only the chain of the lane tells.
    pub evicted: u64,
    /// Whether the end of the export is there.
    pub complete: bool,
    /// The first thing that is wrong, if anything is.
    pub wrong: Option<Wrong>,
}

impl Report {
    /// Whether nothing is wrong, the file is whole, and every record is behind a checkpoint.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.wrong.is_none() && self.complete && self.proven_to == self.last_seq
    }

    /// Whether the key vouches for every record of a file in which nothing is wrong, and there
    /// are some: a signature over records that are not here vouches for nothing.
    #[must_use]
    pub fn is_vouched_for(&self) -> bool {
        let signed = self.signatures == Signatures::Valid && self.signed_to == self.last_seq;
        self.records > 0 && self.is_clean() && signed
    }
}

/// One lane while reading.
#[derive(Clone, Copy)]
struct Lane {
    start: LaneStart,
    head: Digest,
    /// Last good record, 0 before the first.
    last: u64,
    dropped: bool,
}

struct Reading {
    boot_id: u64,
    lanes: [Option<Lane>; LANES],
    /// Numbers up to here may be missing: some dropped front reaches this far.
    dropped_below: u64,
    previous: Option<(u64, Digest)>,
    report: Report,
}

/// Reads a whole file. `keys` says whether a signature is the device's.
#[must_use]
pub fn verify(file: &[u8], keys: &impl KeyCheck) -> Report {
    let report = Report {
        records: 0,
        first_seq: 0,
        last_seq: 0,
        checkpoints: 0,
        superseded: 0,
        proven_to: 0,
        signatures: Signatures::None,
        signed_to: 0,
        signed_by: (0, 0),
        dropped_lanes: 0,
        dropped: 0,
        evicted: 0,
        complete: false,
        wrong: None,
    };
    let mut entries = match Entries::open(file) {
        Ok(entries) => entries,
        Err(Damage { at }) => {
            let wrong = Some(Wrong { seq: 1, fault: Fault::Container(at) });
            return Report { wrong, ..report };
        }
    };
    let boot_id = entries.boot_id();
    let mut reading =
        Reading { boot_id, lanes: [None; LANES], dropped_below: 0, previous: None, report };
    reading.report.wrong = reading.all(&mut entries, keys).err();
    reading.report
}

type Checked = Result<(), Wrong>;

impl Reading {
    fn all(&mut self, entries: &mut Entries<'_>, keys: &impl KeyCheck) -> Checked {
        loop {
            let (at, before) = (entries.at(), entries.so_far());
            let next = self.expected();
            let damaged = |at| Wrong { seq: next, fault: Fault::Container(at) };
            let Some(entry) = entries.next() else { return Ok(()) };
            match entry.map_err(|Damage { at }| damaged(at))? {
                Entry::Lane(start) => self.lane(start)?,
                Entry::Record { lane, link, bytes } => self.record(lane, link, bytes)?,
                Entry::Checkpoint(bytes) => self.checkpoint(bytes, keys)?,
                Entry::End { records, digest } => {
                    let whole = Digest::from(blake3::hash(before)) == *digest;
                    if records != self.report.records || !whole {
                        return Err(Wrong { seq: next, fault: Fault::End });
                    }
                    self.report.complete = true;
                    self.lanes_have_records()?;
                    if self.report.dropped > self.report.evicted {
                        let seq = self.report.first_seq;
                        return Err(Wrong { seq, fault: Fault::Dropped });
                    }
                    return if entries.next().is_none() { Ok(()) } else { Err(damaged(at)) };
                }
            }
        }
    }

    /// A lane without its first record would only be there to explain what is missing.
    fn lanes_have_records(&self) -> Checked {
        match self.lanes.iter().flatten().find(|lane| lane.last == 0) {
            Some(lane) => Err(Wrong { seq: lane.start.first_seq, fault: Fault::Lane }),
            None => Ok(()),
        }
    }

    /// The number after the last good record.
    const fn expected(&self) -> u64 {
        self.report.last_seq.saturating_add(1)
    }

    fn lane(&mut self, start: LaneStart) -> Checked {
        let wrong = Wrong { seq: start.first_seq, fault: Fault::Lane };
        let late = self.report.records > 0;
        let place = self.lanes.get_mut(start.lane as usize).ok_or(wrong)?;
        if late || place.is_some() {
            return Err(wrong);
        }
        let dropped = start.dropped(self.boot_id);
        *place = Some(Lane { start, head: start.before, last: 0, dropped });
        if dropped {
            self.report.dropped_lanes = self.report.dropped_lanes.saturating_add(1);
            self.dropped_below = self.dropped_below.max(start.first_seq);
        }
        Ok(())
    }

    fn record(&mut self, lane: u8, after: &Digest, bytes: &[u8; Record::BYTES]) -> Checked {
        let next = self.expected();
        let (seq, _) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let seq = u64::from_le_bytes(*seq);
        let lane = self.lanes.get_mut(lane as usize).and_then(Option::as_mut);
        let lane = lane.ok_or(Wrong { seq: next, fault: Fault::Lane })?;
        // What the record says of itself counts only once its link holds.
        let fault = Fault::Link { after: lane.last };
        if link(&lane.head, bytes) != *after {
            let seq = if seq >= next && seq <= next.max(self.dropped_below) { seq } else { next };
            return Err(Wrong { seq, fault });
        }
        if seq < next || self.report.records >= RECORDS_MAX {
            return Err(Wrong { seq, fault: Fault::Order });
        }
        if lane.last == 0 && lane.start.first_seq != seq {
            return Err(Wrong { seq, fault: Fault::Lane });
        }
        explained(next, seq, self.dropped_below)?;
        Record::decode(bytes).ok_or(Wrong { seq, fault: Fault::Record })?;
        (lane.head, lane.last) = (*after, seq);
        let report = &mut self.report;
        report.first_seq = if report.records == 0 { seq } else { report.first_seq };
        report.dropped = report.dropped.saturating_add(seq.saturating_sub(next));
        report.records = report.records.saturating_add(1);
        report.last_seq = seq;
        Ok(())
    }

    fn checkpoint(&mut self, bytes: &[u8; Checkpoint::BYTES], keys: &impl KeyCheck) -> Checked {
        let number = self.previous.map_or(0, |(number, _)| number).saturating_add(1);
        let next = self.expected();
        let bad = Wrong { seq: next, fault: Fault::Checkpoint(number) };
        let point = Checkpoint::decode(bytes).ok_or(bad)?;
        let quoted = self.previous.is_none_or(|(n, digest)| {
            point.number == n.saturating_add(1) && point.previous == digest
        });
        if !quoted || point.boot_id != self.boot_id || point.last_seq < self.report.last_seq {
            return Err(Wrong { fault: Fault::Checkpoint(point.number), ..bad });
        }
        let signed = self.signature(&point, keys)?;
        self.previous = Some((point.number, point.digest()));
        explained(next, point.last_seq.saturating_add(1), self.dropped_below)?;
        if self.superseded(&point) {
            self.report.superseded = self.report.superseded.saturating_add(1);
            return Ok(());
        }
        if self.heads_at(&point) != (point.lanes, point.root) {
            let seq = self.report.proven_to.saturating_add(1).max(self.report.first_seq);
            return Err(Wrong { seq, fault: Fault::Root(point.number) });
        }
        self.report.checkpoints = self.report.checkpoints.saturating_add(1);
        self.report.proven_to = self.report.last_seq;
        self.report.evicted = point.counts.evicted;
        if signed {
            self.report.signed_to = self.report.last_seq;
        }
        Ok(())
    }

    /// Whether the checkpoint is signed.
    fn signature(&mut self, point: &Checkpoint, keys: &impl KeyCheck) -> Result<bool, Wrong> {
        let report = &mut self.report;
        let Seal::Ed25519(signature) = point.seal else {
            if report.signatures == Signatures::None {
                report.signatures = Signatures::Unsigned;
            }
            return Ok(false);
        };
        report.signatures = match keys.check((point.number, &point.digest()), &signature) {
            None => Signatures::Unchecked,
            Some(true) => Signatures::Valid,
            Some(false) => {
                let seq = self.expected();
                return Err(Wrong { seq, fault: Fault::Signature(point.number) });
            }
        };
        report.signed_by = report.signed_by.max((signature.boot, signature.generation));
        Ok(true)
    }

    /// Whether a lane has dropped records since, so that its head at that time is gone.
    fn superseded(&self, point: &Checkpoint) -> bool {
        let gone = |lane: &Lane| lane.dropped && lane.start.first_seq > point.last_seq;
        self.lanes.iter().flatten().any(gone)
    }

    /// How many lanes had begun at the checkpoint, and the root over their heads.
    fn heads_at(&self, point: &Checkpoint) -> (u64, Digest) {
        let begun = |lane: &&Lane| lane.start.first_seq <= point.last_seq;
        let lanes = || self.lanes.iter().flatten().filter(begun);
        (lanes().count() as u64, root(lanes().map(|lane| (lane.start.lane, lane.head))))
    }
}

/// Numbers from `next` up to `seq` have no record; only dropped fronts of lanes explain that.
fn explained(next: u64, seq: u64, dropped_below: u64) -> Checked {
    let missing = next.max(dropped_below);
    if seq > missing { Err(Wrong { seq: missing, fault: Fault::Missing }) } else { Ok(()) }
}
