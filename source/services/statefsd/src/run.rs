//! The shell around the state machine: opens the disk, mounts the store, serves. The same code
//! runs in the image and in the simulator.

use nexus_abi::{Handle, ServiceId, Sys, layout::SLOT_SERVER};
use nexus_service::{
    permit::{Authority, Authorizer, Evidence},
    serve,
};
use nexus_state::{Error, Found, Memory, Store, open_behind};
use nexus_system::{markers, names, slots::statefsd as slots};
use nexus_virtio::{Fault, blk::Blk};
use nexus_wire::{Status, state::State};

use crate::{
    disk::Disk,
    env::Env,
    kept::Kept,
    service::{QUOTA, Statefsd},
};

/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;
/// Exit code: the device broke its protocol before the store was there. The next instance
/// resets it.
const DEVICE_FAULT: i32 = 2;

/// Runs statefsd until its endpoint is gone.
///
/// The ready marker says that a store is mounted. Without one every request is answered, and
/// none with OK but STATUS, which says what there is.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let device = (slots::DMA, slots::DMA_BYTES);
    match Blk::open(sys, slots::DEVICE_VIRTIO_BLK, device) {
        Ok(blk) => match Disk::new(sys, blk) {
            Ok(disk) => with_disk(disk),
            Err(sys) => without(sys, "statefsd: no interrupt for the disk\n"),
        },
        Err(Fault::Absent | Fault::WrongDevice) => {
            without(sys, "statefsd: no disk, nothing is kept\n")
        }
        Err(_) => {
            sys.console("statefsd: the disk could not be started\n");
            DEVICE_FAULT
        }
    }
}

fn with_disk<S: Sys>(mut disk: Disk<'_, S>) -> i32 {
    let sys = disk.sys();
    let kept = Kept(sys.map_words(slots::KEPT_ANCHOR, slots::KEPT_ANCHOR_BYTES).ok());
    let now_ns = sys.now_ns();
    let mut memory = Memory::new();
    match open_behind(&mut disk, &mut memory, (QUOTA, now_ns), kept.anchor()) {
        Ok((mut store, found)) => {
            let standing = store.status();
            kept.begin(standing.id, standing.sequence);
            let sys = store.device_mut().sys();
            if found == Found::Formatted {
                sys.console("statefsd: blank disk, made a new store\n");
            }
            markers::STATEFSD_READY.emit(sys);
            serve_with(Place::Store(&mut store), kept)
        }
        Err(error) => {
            let sys = disk.sys();
            sys.console(told(error));
            serve_with(Place::None(sys, State::Refused), kept)
        }
    }
}

fn without<S: Sys>(sys: &mut S, why: &str) -> i32 {
    sys.console(why);
    serve_with(Place::None(sys, State::Absent), Kept::default())
}

fn serve_with<S: Sys>(place: Place<'_, '_, '_, '_, S>, kept: Kept<'static>) -> i32 {
    let mut env = Outside { place, kept, policyd: Authority::named(names::POLICYD) };
    let _gone = serve(&mut Statefsd::default(), &mut env, Handle::fixed(SLOT_SERVER), 0);
    NO_ENDPOINT
}

/// What is wrong, for whoever watches the machine. The disk is left as it is.
const fn told(error: Error) -> &'static str {
    match error {
        Error::Blank => "statefsd: blank disk without a seed, not used\n",
        Error::NotOurs | Error::Occupied => "statefsd: the disk holds something else, not used\n",
        Error::Damaged { .. } => "statefsd: the store is damaged, not used\n",
        Error::Foreign => "statefsd: the store is another machine's, not used\n",
        Error::Rollback { .. } => "statefsd: the store is older than it was, not used\n",
        Error::Version { .. } => "statefsd: the store is of a later version, not used\n",
        Error::Truncated | Error::TooSmall => "statefsd: the disk is too small, not used\n",
        Error::Io(_) | Error::Poisoned => "statefsd: the disk failed, nothing more is written\n",
        _ => "statefsd: the store was refused, not used\n",
    }
}

/// The store, or the kernel alone and what there is instead.
enum Place<'e, 'm, 'd, 's, S> {
    Store(&'e mut Store<'m, &'d mut Disk<'s, S>>),
    None(&'e mut S, State),
}

impl<S: Sys> Place<'_, '_, '_, '_, S> {
    fn kernel(&mut self) -> &mut S {
        match self {
            Place::Store(store) => store.device_mut().sys(),
            Place::None(sys, _) => sys,
        }
    }
}

/// The outside of statefsd.
struct Outside<'e, 'm, 'd, 's, S> {
    place: Place<'e, 'm, 'd, 's, S>,
    kept: Kept<'static>,
    policyd: Authority,
}

impl<S: Sys> nexus_service::Env for Outside<'_, '_, '_, '_, S> {
    type Sys = S;

    fn sys(&mut self) -> &mut S {
        self.place.kernel()
    }
}

impl<S: Sys> Authorizer for Outside<'_, '_, '_, '_, S> {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        self.policyd.decide(self.place.kernel(), subject, capability)
    }
}

impl<'m, 'd, 's, S: Sys> Env<'m> for Outside<'_, 'm, 'd, 's, S> {
    type Device = &'d mut Disk<'s, S>;

    fn store(&mut self) -> Result<&mut Store<'m, Self::Device>, State> {
        match &mut self.place {
            Place::Store(store) => Ok(store),
            Place::None(_, state) => Err(*state),
        }
    }

    fn acknowledged(&mut self, sequence: u64) {
        self.kept.acknowledged(sequence);
    }

    fn failed(&mut self, error: Error) {
        self.place.kernel().console(told(error));
    }
}
