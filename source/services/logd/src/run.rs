//! The shell around the state machine: maps what is wired, then serves. The same code runs in
//! the image and in the simulator.

use core::{fmt::Write as _, sync::atomic::AtomicU64};

use nexus_abi::{
    Call, Handle, KernelEvent, ServiceId, Sys,
    layout::SLOT_SERVER,
    syscall::{CapKind, Topic, VmoKind},
};
use nexus_audit::{Checkpoint, Seal};
use nexus_service::{
    permit::{Authority, Authorizer, Evidence},
    serve,
};
use nexus_system::{Outgoing, markers, names, slots::logd as slots};
use nexus_wire::{Status, supervise::SHUTDOWN_BIT, text::TextWriter};

use crate::{ENTRIES_BYTES, Env, Found, Lane, Logd, Memory, SOURCES};

/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;

/// Runs logd until its endpoint is gone.
///
/// The ready marker says that the journal and both its sources are attached. Without them
/// ordinary entries are still served and the audit answers `unavailable`.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let mut memory = Memory {
        journal: sys.map_words(slots::KEPT_JOURNAL, slots::KEPT_JOURNAL_BYTES).ok(),
        entries: entries_memory(sys),
        ..Memory::default()
    };
    let lanes = open_lanes(sys, &mut memory);
    let (mut service, found) = Logd::attach(&memory);
    if found == Some(Found::Foreign) {
        sys.console("logd: the kept journal was not readable, started a new one\n");
    }
    if memory.entries.is_none() {
        sys.console("logd: no memory for entries\n");
    }
    match found {
        Some(_) if !lanes => sys.console("logd: a lane is missing, audit incomplete\n"),
        Some(_) if has_kernel_log(sys) => markers::LOGD_READY.emit(sys),
        Some(_) => sys.console("logd: no kernel log, audit incomplete\n"),
        None => sys.console("logd: no journal or no lane, no audit\n"),
    }
    let bells = slots::INCOMING.iter().fold(0, |bits, lane| bits | lane.bit);
    let mask = bells | slots::KERNEL_LOG_BIT | SHUTDOWN_BIT;
    let mut env = Outside { sys, policyd: Authority::named(names::POLICYD) };
    let _gone = serve(&mut service, &mut env, Handle::fixed(SLOT_SERVER), mask);
    NO_ENDPOINT
}

/// The lane checkpoints leave by, and the one their signatures come by. All others bring records.
const CHECKPOINTS: &str = "checkpoints";
const SEALS: &str = "seals";

const _: () = assert!(slots::INCOMING.len() <= SOURCES);

/// Maps every lane the manifest gave; whether all are there.
fn open_lanes<S: Sys>(sys: &mut S, memory: &mut Memory<'static>) -> bool {
    let mut whole = true;
    for (place, lane) in memory.lanes.iter_mut().zip(slots::INCOMING) {
        let words = sys.map_words(lane.memory, lane.bytes).ok();
        whole &= words.is_some();
        if lane.lane == SEALS {
            memory.seals.seals = words.map(|words| (lane.peer, words));
        } else {
            *place = words.map(|words| Lane { producer: lane.peer, words });
        }
    }
    if let Some(lane) = signer() {
        memory.seals.checkpoints = sys.map_words(lane.memory, lane.bytes).ok();
        whole &= memory.seals.checkpoints.is_some();
    }
    whole
}

fn signer() -> Option<&'static Outgoing> {
    slots::OUTGOING.iter().find(|lane| lane.lane == CHECKPOINTS)
}

/// Entries live in memory of this instance only.
fn entries_memory<S: Sys>(sys: &mut S) -> Option<&'static [AtomicU64]> {
    let (len, authority) = (ENTRIES_BYTES as u64, Handle::NONE);
    let vmo = sys.make(Call::VmoCreate { len, kind: VmoKind::Ram, authority }).ok()?;
    sys.map_words(vmo, ENTRIES_BYTES).ok()
}

fn has_kernel_log<S: Sys>(sys: &mut S) -> bool {
    let info = sys.info(slots::KERNEL_LOG, Topic::Cap);
    info.is_ok_and(|[kind, ..]| kind == CapKind::KernelLog as u64)
}

/// The outside of logd: the clock, the kernel's ring and policyd.
struct Outside<'s, S> {
    sys: &'s mut S,
    policyd: Authority,
}

impl<S: Sys> nexus_service::Env for Outside<'_, S> {
    type Sys = S;

    fn sys(&mut self) -> &mut S {
        self.sys
    }
}

impl<S: Sys> Authorizer for Outside<'_, S> {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        self.policyd.decide(self.sys, subject, capability)
    }
}

impl<S: Sys> Env for Outside<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }

    fn kernel_events(&mut self, take: &mut dyn FnMut(&KernelEvent)) -> usize {
        let Ok([moved, ..]) = self.sys.info(slots::KERNEL_LOG, Topic::Events) else { return 0 };
        let moved = usize::try_from(moved).unwrap_or(0).min(KernelEvent::PER_FRAME);
        let (events, _) = self.sys.frame().as_chunks::<{ KernelEvent::BYTES }>();
        events.iter().take(moved).filter_map(KernelEvent::decode).for_each(|event| take(&event));
        moved
    }

    /// The line is what an operator can hold a later export against (`--anchor`).
    fn end(&mut self, last: &Checkpoint) {
        let mut buf = [0; 160];
        let mut out = TextWriter::new(&mut buf);
        let sealed = if last.seal == Seal::Unsigned { "unsigned" } else { "signed" };
        let _fits = write!(out, "logd: last checkpoint {sealed} {}:", last.number);
        for byte in last.digest() {
            let _fits = write!(out, "{byte:02x}");
        }
        let _fits = writeln!(out);
        self.sys.console(out.into_str());
        let _does_not_return = self.sys.run(Call::ProcExit { proc: Handle::NONE, code: 0 });
    }

    fn wake_signer(&mut self) {
        if let Some(lane) = signer() {
            // Without its bell the signer still looks by itself.
            let _best_effort = self.sys.run(Call::Signal { notif: lane.bell, bits: lane.bit });
        }
    }

    fn health(&mut self, degraded: bool) {
        let line = if degraded { "logd: audit degraded\n" } else { "logd: audit well again\n" };
        self.sys.console(line);
    }
}
