//! What a store keeps of the numbered history that the selftest writes
//! (`source/apps/selftest-client/src/sequence_steps.rs`), and what it must keep.
use nexus_state::{BlockDevice, Durability, Error, Found, Memory, Quota, Sector, Store, open};
use nexus_system::ids;

use super::cuts::{History, Image};
use super::log::{Entry, SECTOR};

/// Before the digits of a value.
const PREFIX: &[u8] = b"POWERCUT-";
const DIGITS: usize = 7;

/// A disk in memory, of which only written sectors take room.
#[derive(Debug)]
pub(super) struct Ram<'i> {
    pub(super) image: &'i mut Image,
    pub(super) sectors: u64,
}

impl BlockDevice for Ram<'_> {
    type Error = ();
    fn sectors(&self) -> u64 {
        self.sectors
    }
    fn read(&mut self, sector: u64, into: &mut Sector) -> Result<(), ()> {
        *into = self.image.get(&sector).copied().unwrap_or([0; SECTOR]);
        (sector < self.sectors).then_some(()).ok_or(())
    }
    fn write(&mut self, sector: u64, from: &Sector) -> Result<(), ()> {
        self.image.insert(sector, *from);
        (sector < self.sectors).then_some(()).ok_or(())
    }
    fn flush(&mut self) -> Result<(), ()> {
        Ok(())
    }
    fn durable(&self) -> Durability {
        Durability::Flush
    }
}

/// What a mounted store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) found: Found,
    /// The newest number; 0 for none.
    pub(super) number: u32,
}

/// Why a store is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It does not mount.
    Refused(Error),
    /// It holds something that no batch wrote.
    Torn(String),
}

/// Mounts as statefsd does and reads the history. The image is as after that mount then.
pub(super) fn read(image: &mut Image, sectors: u64) -> Result<Kept, Wrong> {
    let mut memory = Memory::new();
    let device = Ram { image, sectors };
    let (mut store, found) =
        open(device, &mut memory, (Quota::UNBOUNDED, 0)).map_err(Wrong::Refused)?;
    let number = get(&mut store, "cut/a")?;
    if get(&mut store, "cut/b")? != number {
        return Err(Wrong::Torn(format!("half of the batch of number {number:?}")));
    }
    let number = number.unwrap_or(0);
    for want in (1..=number).rev().take(4) {
        let key = format!("cut/ring-{}", want % 4);
        if get(&mut store, &key)? != Some(want) {
            return Err(Wrong::Torn(format!("{key} is not {want}, and the newest is {number}")));
        }
    }
    Ok(Kept { found, number })
}

fn get<D: BlockDevice>(store: &mut Store<'_, D>, key: &str) -> Result<Option<u32>, Wrong> {
    let mut into = [0; nexus_state::limits::VALUE_MAX_BYTES];
    let value = store.get(ids::SELFTEST_CLIENT.0, key.as_bytes(), &mut into);
    match value.map_err(Wrong::Refused)? {
        None => Ok(None),
        Some(bytes) => numbers(bytes)
            .next()
            .filter(|_| bytes.len() == PREFIX.len() + DIGITS)
            .map(Some)
            .ok_or_else(|| Wrong::Torn(format!("{key} holds a value nobody wrote"))),
    }
}

/// Every number in these bytes, wherever it stands.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.windows(PREFIX.len() + DIGITS).filter_map(|window| {
        let digits = window.strip_prefix(PREFIX)?;
        let decimal = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| decimal)?.parse().ok()
    })
}

/// What a store must hold after a cut, told from the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Acknowledged, or flushed: it must be there.
    pub(super) least: u32,
    /// Nothing newer had been written.
    pub(super) most: u32,
}

/// The bounds before each entry, and behind the last; `begin` is what the disk held at first.
pub(super) fn bounds(history: &History, begin: u32) -> Vec<Bounds> {
    let mut now = Bounds { least: begin, most: begin };
    let mut all = vec![now];
    for entry in &history.entries {
        match entry {
            // A number is written only after the one before it was acknowledged.
            Entry::Write { data, .. } => {
                now.most = numbers(data).max().unwrap_or(0).max(now.most);
                now.least = now.least.max(now.most.saturating_sub(1));
            }
            Entry::Flush => now.least = now.most,
        }
        all.push(now);
    }
    all
}

/// Whether a store that was read is within the bounds.
pub(super) fn verdict(read: &Result<Kept, Wrong>, bounds: Bounds) -> Result<(), String> {
    match read {
        Err(wrong) => Err(format!("{wrong:?}")),
        Ok(kept) if kept.number < bounds.least => {
            Err(format!("{} was acknowledged and {} is there", bounds.least, kept.number))
        }
        Ok(kept) if kept.number > bounds.most => {
            Err(format!("{} is there before it was written", kept.number))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> Entry {
        let mut data = text.as_bytes().to_vec();
        data.resize(SECTOR, 0);
        Entry::Write { sector: 0, data }
    }

    #[test]
    fn a_number_is_due_once_it_is_flushed_or_the_next_one_is_seen() {
        let entries = vec![
            write("POWERCUT-0000001"),
            write("xPOWERCUT-0000002y"),
            Entry::Flush,
            write("POWERCUT-0000003"),
            write("POWERCUT-00000zz"),
        ];
        let history = History::new(Image::new(), entries);
        let pairs: Vec<_> = bounds(&history, 0).iter().map(|b| (b.least, b.most)).collect();
        assert_eq!(pairs, [(0, 0), (0, 1), (1, 2), (2, 2), (2, 3), (2, 3)]);
        assert_eq!(bounds(&history, 7).last(), Some(&Bounds { least: 7, most: 7 }));
    }

    #[test]
    fn test_reject_stores_that_lost_or_invented_something() {
        let kept = |number| Ok(Kept { found: Found::Mounted, number });
        let bounds = Bounds { least: 4, most: 5 };
        for (read, good) in [(kept(3), false), (kept(4), true), (kept(5), true), (kept(6), false)] {
            assert_eq!(verdict(&read, bounds).is_ok(), good, "{read:?}");
        }
        assert!(verdict(&Err(Wrong::Refused(Error::Blank)), bounds).is_err());
        assert_eq!(
            read(&mut Image::new(), 4096),
            Err(Wrong::Refused(Error::Blank)),
            "a blank disk without a seed"
        );
    }
}
