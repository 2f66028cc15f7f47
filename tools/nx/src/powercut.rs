//! `nx powercut`: records what a booting machine writes to its disk and when it flushes, cuts the
//! power at every place of that record, and looks at what is left: on the host at every
//! remainder, in QEMU at some.
//!
//! Two disks are recorded: a blank one, whose store is made during the boot, and a small one,
//! on which the log is compacted several times.
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_state::Format;

use crate::judge::{MARKER_FAILURE, PASSED, USAGE};
use crate::qemu::{self, Boot, disk};

mod cuts;
mod kept;
mod log;

use cuts::{Cut, History, Image};
use kept::{Bounds, Ram, Wrong};

/// Sectors of the small disk: two regions of 48, so that a boot's batches fill them.
const SMALL_SECTORS: u64 = 112;
/// The phase that ends with the numbered history.
const PHASE: &str = "state";
/// Batches of one boot, as the selftest writes them.
const STEPS: u32 = 48;
/// Time limit of one boot on the host's clock.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// Violations shown.
const SHOWN: usize = 5;

/// Cut a recorded boot's power everywhere
#[derive(Debug, clap::Args)]
pub(crate) struct PowercutArgs {
    /// Image to boot: build/<IMAGE>/nexus.img
    #[arg(long, default_value = "test")]
    image: String,
    /// Remainders to boot on, spread over all cuts
    #[arg(long, default_value_t = 50)]
    boots: usize,
}

/// Runs the command; the result is the process's exit code.
pub(crate) fn run(root: &Path, args: &PowercutArgs) -> u8 {
    match all(root, args) {
        Ok(0) => PASSED,
        Ok(_) => MARKER_FAILURE,
        Err(why) => {
            eprintln!("nx powercut: {why}");
            USAGE
        }
    }
}

/// One disk to record.
struct Case {
    name: &'static str,
    sectors: u64,
    start: Image,
}

/// How many violations there were.
fn all(root: &Path, args: &PowercutArgs) -> Result<usize, String> {
    let bench = Bench {
        top: root.to_owned(),
        image: qemu::image_path(root, &args.image),
        place: root.join("build").join("powercut"),
    };
    fs::create_dir_all(&bench.place).map_err(|why| format!("{}: {why}", bench.place.display()))?;
    let cases = [bench.blank()?, small()?];
    let mut violations = 0;
    let share = args.boots.div_ceil(cases.len());
    for case in cases {
        violations += bench.case(case, share)?;
    }
    println!("powercut: {violations} violations");
    Ok(violations)
}

/// A store on a small disk, made here.
fn small() -> Result<Case, String> {
    let mut start = Image::new();
    let how =
        Format { id: [7; 16], salt: [9; 32], key: nexus_state::FramingKey::PUBLIC, force: false };
    let mut ram = Ram { image: &mut start, sectors: SMALL_SECTORS };
    nexus_state::format(&mut ram, &how).map_err(|why| format!("small disk: {why:?}"))?;
    Ok(Case { name: "small", sectors: SMALL_SECTORS, start })
}

struct Bench {
    top: PathBuf,
    image: PathBuf,
    /// Where disks, records and runs are.
    place: PathBuf,
}

impl Bench {
    /// A new disk as every judged boot gets it.
    fn blank(&self) -> Result<Case, String> {
        let path = self.place.join("blank.img");
        disk::prepare(&path, true)?;
        let sectors = disk::DISK_BYTES / log::SECTOR as u64;
        Ok(Case { name: "blank", sectors, start: load(&path)? })
    }

    fn boot(&self, disk: PathBuf, writes: Option<PathBuf>) -> Boot {
        Boot {
            root: self.place.clone(),
            image: self.image.clone(),
            disk,
            smp: 1,
            timeout: BOOT_LIMIT,
            entropy: None,
            writes,
        }
    }

    /// Records a boot, cuts it everywhere, boots on some of the remainders.
    fn case(&self, case: Case, boots: usize) -> Result<usize, String> {
        let Case { name, sectors, start } = case;
        let history = History::new(start.clone(), self.record(name, sectors, &start)?);
        let bounds = kept::bounds(&history, 0);
        let flushes = history.entries.iter().filter(|e| **e == log::Entry::Flush).count();
        let last = bounds.last().map_or(0, |b| b.least);
        println!(
            "{name}: {} sector writes, {flushes} flushes, numbers to {last} acknowledged",
            history.entries.len() - flushes
        );
        if last < STEPS {
            return Err(format!("{name}: the boot did not write its history"));
        }
        let cuts = history.cuts(true);
        let wrong = mounted(&history, &cuts, (&bounds, sectors));
        println!("{name}: {} cuts mounted, {} violations", cuts.len(), wrong.len());
        wrong.iter().take(SHOWN).for_each(|line| println!("  {line}"));
        let lies = history.cuts(false);
        let caught = mounted(&history, &lies, (&bounds, sectors)).len();
        println!("{name}: control, flushes ignored: {caught} of {} cuts caught", lies.len());
        let damage = damage(&history, sectors)? + self.damaged_boot(name, &history, sectors)?;
        let failed = self.boots(name, &history, (&cuts, &bounds, sectors), boots)?;
        Ok(wrong.len() + damage + failed + usize::from(caught == 0))
    }

    fn record(&self, name: &str, sectors: u64, start: &Image) -> Result<Vec<log::Entry>, String> {
        let disk = self.place.join(format!("{name}.img"));
        let writes = self.place.join(format!("{name}.log"));
        store(&disk, start, sectors)?;
        fs::write(&writes, b"").map_err(|why| format!("{}: {why}", writes.display()))?;
        let boot = self.boot(disk, Some(writes.clone()));
        let (captured, faults) = qemu::boot_to_phase(&boot, &self.top, PHASE)?;
        if !faults.is_empty() {
            return Err(format!(
                "{name}: {}; see {}",
                faults.join("; "),
                captured.folder.display()
            ));
        }
        let bytes = fs::read(&writes).map_err(|why| format!("{}: {why}", writes.display()))?;
        log::parse(&bytes)
    }

    /// Boots on remainders spread over all cuts: each must come up, find what was acknowledged and
    /// go on from there.
    fn boots(
        &self,
        name: &str,
        history: &History,
        (cuts, bounds, sectors): (&[Cut], &[Bounds], u64),
        count: usize,
    ) -> Result<usize, String> {
        let mut failed = 0;
        let chosen = cuts.len().div_ceil(count.max(1)).max(1);
        let chosen: Vec<&Cut> = cuts.iter().step_by(chosen).collect();
        for (number, cut) in chosen.iter().enumerate() {
            let mut image = history.image(cut);
            let disk = self.place.join(format!("{name}-cut.img"));
            store(&disk, &image, sectors)?;
            let began = kept::read(&mut image, sectors).map_or(0, |kept| kept.number);
            let boot = self.boot(disk.clone(), None);
            let (captured, mut faults) = qemu::boot_to_phase(&boot, &self.top, PHASE)?;
            let due = Bounds { least: began + STEPS, most: began + STEPS };
            let ended = kept::read(&mut load(&disk)?, sectors);
            faults.extend(kept::verdict(&ended, due).err());
            let bound = bounds.get(cut.at).map_or(0, |b| b.least);
            if began < bound {
                faults.push(format!("{bound} was acknowledged and {began} was found"));
            }
            if !faults.is_empty() {
                failed += 1;
                println!("  boot {number} after entry {}: {}", cut.at, faults.join("; "));
                println!("    see {}", captured.folder.display());
            }
        }
        println!("{name}: {} boots on remainders, {failed} violations", chosen.len());
        Ok(failed)
    }

    /// Boots on a disk with a bit of an old record flipped: statefsd must say so, keep nothing on
    /// it, and leave it as it is.
    fn damaged_boot(&self, name: &str, history: &History, sectors: u64) -> Result<usize, String> {
        let mut image = history.image(&Cut::whole(history));
        // Of the newest records, so that no compaction has left it behind; not the last.
        let newest = history.written_in_order();
        let victim = newest.iter().rev().nth(4).copied().ok_or("too few writes")?;
        image.entry(victim).and_modify(|bytes| bytes[100] ^= 1);
        let disk = self.place.join(format!("{name}-damaged.img"));
        store(&disk, &image, sectors)?;
        let boot = self.boot(disk.clone(), None);
        let (captured, faults) = qemu::boot_to_phase(&boot, &self.top, PHASE)?;
        let said = captured.log.contains("statefsd: the store is damaged, not used");
        let untouched = load(&disk)? == image;
        let refused = faults.iter().any(|fault| fault.contains("SELFTEST: statefs sequence ok"));
        println!(
            "{name}: boot on a damaged disk: said {said}, untouched {untouched}, refused {refused}"
        );
        Ok(usize::from(!(said && untouched && refused)))
    }
}

/// One bit of each sector written, in the disk as it was at the end: what was acknowledged is
/// there, or the store says that it is damaged. Only the last record may be taken for torn.
fn damage(history: &History, sectors: u64) -> Result<usize, String> {
    let whole = Cut::whole(history);
    let image = history.image(&whole);
    let number = kept::read(&mut image.clone(), sectors).map_err(|why| format!("{why:?}"))?.number;
    let (mut refused, mut torn, mut wrong) = (0, 0, 0);
    let last = history.last_write();
    for sector in history.written() {
        let mut image = image.clone();
        image.entry(sector).and_modify(|bytes| bytes[100] ^= 1);
        let before = image.clone();
        match kept::read(&mut image, sectors) {
            Err(Wrong::Refused(_)) if image == before => refused += 1,
            Ok(kept) if kept.number == number => {}
            Ok(kept) if kept.number + 1 == number && Some(sector) == last => torn += 1,
            other => {
                wrong += 1;
                println!("  damage in sector {sector}: {other:?}");
            }
        }
    }
    println!(
        "damage: {} sectors, {refused} refused, {torn} taken for a torn tail, {wrong} violations",
        history.written().len()
    );
    Ok(wrong)
}

/// What is wrong with the remainders, read on the host.
fn mounted(history: &History, cuts: &[Cut], (bounds, sectors): (&[Bounds], u64)) -> Vec<String> {
    let judged = |cut: &Cut| {
        let read = kept::read(&mut history.image(cut), sectors);
        let bound = bounds.get(cut.at).copied()?;
        let why = kept::verdict(&read, bound).err()?;
        Some(format!("after entry {}: {why} ({cut:?})", cut.at))
    };
    cuts.iter().filter_map(judged).collect()
}

/// The disk's file, only what was written taking room.
fn store(path: &Path, image: &Image, sectors: u64) -> Result<(), String> {
    let make = || -> std::io::Result<()> {
        let mut disk = File::create(path)?;
        disk.set_len(sectors * log::SECTOR as u64)?;
        for (sector, bytes) in image {
            disk.seek(SeekFrom::Start(sector * log::SECTOR as u64))?;
            disk.write_all(bytes)?;
        }
        Ok(())
    };
    make().map_err(|why| format!("{}: {why}", path.display()))
}

fn load(path: &Path) -> Result<Image, String> {
    let read = || -> std::io::Result<Image> {
        let (mut disk, mut image, mut sector) = (File::open(path)?, Image::new(), [0; log::SECTOR]);
        for at in 0.. {
            match disk.read_exact(&mut sector) {
                Ok(()) if sector == [0; log::SECTOR] => {}
                Ok(()) => drop(image.insert(at, sector)),
                Err(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(why) => return Err(why),
            }
        }
        Ok(image)
    };
    read().map_err(|why| format!("{}: {why}", path.display()))
}
