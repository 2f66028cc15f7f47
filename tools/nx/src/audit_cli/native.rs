//! An export of a running image: its records with their chains, and the checkpoints over them.

use std::{path::Path, thread, time::Duration};

use nexus_audit::{Checkpoint, LaneStart, NoKey, Seal, Writer, link};
use nexus_wire::{
    Status,
    audit::{Chained, PAGE_MAX},
};

use super::{
    channel::{Channel, Trouble},
    style::Progress,
};

/// Checkpoints the journal keeps.
const KEPT: u64 = 8;
/// How often an export is begun anew because the journal dropped records under it.
const ATTEMPTS: usize = 5;
/// How often, and how long apart, a checkpoint is asked for until it is signed.
const WAITS: usize = 10;
const WAIT: Duration = Duration::from_millis(100);

/// The export of all that the image holds now, and how many records that is.
pub(super) fn export(socket: &Path) -> Result<(Vec<u8>, usize), String> {
    let (mut channel, _) = Channel::open(socket).map_err(|trouble| trouble.to_string())?;
    for _ in 0..ATTEMPTS {
        let (records, points) = read(&mut channel).map_err(|trouble| trouble.to_string())?;
        let file = assemble(&records, &points);
        // What was dropped between two pages leaves a gap that nothing explains.
        if nexus_audit::verify(&file, &NoKey).wrong.is_none() {
            return Ok((file, records.len()));
        }
    }
    Err("the journal drops records faster than they can be read".to_owned())
}

/// Records up to a checkpoint made behind most of them, and the checkpoints that are kept.
fn read(channel: &mut Channel) -> Result<(Vec<Chained>, Vec<Checkpoint>), Trouble> {
    let mut records = Records::default();
    let head = channel.head()?;
    records.read_to(channel, head.saturating_sub(1))?;
    let mut newest = channel.checkpoint(0)?;
    records.read_to(channel, newest.last_seq)?;
    for _ in 0..WAITS {
        if newest.seal != Seal::Unsigned {
            break;
        }
        thread::sleep(WAIT);
        newest = channel.checkpoint(newest.number)?;
    }
    let mut points = Vec::new();
    for number in newest.number.saturating_sub(KEPT - 1).max(1)..newest.number {
        match channel.checkpoint(number) {
            Ok(point) => points.push(point),
            // Replaced by a newer one in the meantime: what follows has to be without a gap.
            Err(Trouble::Refused(Status::NotFound)) => points.clear(),
            Err(trouble) => return Err(trouble),
        }
    }
    points.push(newest);
    Ok((records.all, points))
}

/// Records read so far.
#[derive(Default)]
struct Records {
    all: Vec<Chained>,
    next: u64,
}

impl Records {
    fn read_to(&mut self, channel: &mut Channel, last: u64) -> Result<(), Trouble> {
        let progress = Progress::new("read", usize::try_from(last).unwrap_or(usize::MAX));
        while self.next <= last {
            let (page, next) = channel.chain(self.next, PAGE_MAX as u8)?;
            let stop = next <= self.next;
            page.into_iter().filter(|chained| seq(chained) <= last).for_each(|c| self.take(c));
            progress.at(self.all.len());
            self.next = next.min(last.saturating_add(1));
            if stop {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A record that does not follow from the one read before it in its chain: those between were
    /// dropped since, and so were the older ones.
    fn take(&mut self, chained: Chained) {
        let last = self.all.iter().rev().find(|before| before.lane == chained.lane);
        if last.is_some_and(|last| link(&last.before, &last.bytes) != chained.before) {
            self.all.retain(|before| before.lane != chained.lane);
        }
        self.all.push(chained);
    }
}

fn seq(chained: &Chained) -> u64 {
    chained.bytes.first_chunk().map_or(0, |seq| u64::from_le_bytes(*seq))
}

/// The file: lanes, records, each checkpoint right behind the last record it covers.
fn assemble(records: &[Chained], points: &[Checkpoint]) -> Vec<u8> {
    let boot = points.last().map_or(0, |point| point.boot_id);
    let mut file = Vec::new();
    let mut writer = Writer::new(boot, |bytes: &[u8]| file.extend_from_slice(bytes));
    let mut lanes = Vec::new();
    for chained in records.iter().filter(|chained| {
        let new = !lanes.contains(&chained.lane);
        lanes.push(chained.lane);
        new
    }) {
        let (lane, before) = (chained.lane, chained.before);
        writer.lane(&LaneStart { lane, first_seq: seq(chained), before });
    }
    let mut points = points.iter().peekable();
    for chained in records {
        while let Some(point) = points.next_if(|point| point.last_seq < seq(chained)) {
            writer.checkpoint(&point.encode());
        }
        writer.record(chained.lane, &chained.before, &chained.bytes);
    }
    points.for_each(|point| writer.checkpoint(&point.encode()));
    writer.finish();
    file
}
