//! The invariants, checked on plain data taken from the kernel and from the machine, so that
//! the checker itself can be tested on broken states.

use std::collections::BTreeMap;

use nexus_abi::syscall::{CapKind, Prot};
use nexus_kernel_core::{
    ProcIndex,
    inspect::{
        CapView, EndpointView, MappingView, Memory, NotifView, Payer, Place, PoolView, ProcessView,
        State, VmoView,
    },
    limits::SPARE_TABLES,
};

use crate::common::World;

#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub processes: Vec<ProcessView>,
    pub caps: Vec<CapView>,
    pub endpoints: Vec<EndpointView>,
    pub notifs: Vec<NotifView>,
    pub vmos: Vec<VmoView>,
    pub mappings: Vec<MappingView>,
    pub pool: PoolView,
    /// What the machine really maps: frame, process, protection.
    pub frames: Vec<(u32, u8, Prot)>,
    /// Table frames the machine holds, per process in `processes`.
    pub tables: Vec<usize>,
}

macro_rules! ensure {
    ($ok:expr, $($what:tt)+) => { if !$ok { return Err(format!($($what)+)); } };
}

impl View {
    pub fn of(w: &World) -> View {
        let i = w.kernel.inspect();
        let processes: Vec<_> = i.processes().collect();
        View {
            caps: processes.iter().flat_map(|p| i.caps_of(p.index)).collect(),
            tables: processes.iter().map(|p| w.m.table_frames(p.index)).collect(),
            processes,
            endpoints: i.endpoints().collect(),
            notifs: i.notifications().collect(),
            vmos: i.vmos().collect(),
            mappings: i.mappings().collect(),
            pool: i.pool(),
            frames: w.m.tables.iter().map(|((p, _), (f, prot))| (*f, *p, *prot)).collect(),
        }
    }

    pub fn process(&self, p: ProcIndex) -> Option<&ProcessView> {
        self.processes.iter().find(|v| v.index == p)
    }

    fn alive(&self, p: ProcIndex) -> bool {
        self.process(p).is_some_and(|p| p.state != State::Dead)
    }

    pub fn check(&self) -> Result<(), String> {
        self.derivation()?;
        self.write_xor_execute()?;
        self.blocked()?;
        self.frames_conserved()?;
        self.dead_own_nothing()?;
        self.references()
    }

    /// Derived rights are a subset of the parent's, on the same object, under the same badge.
    fn derivation(&self) -> Result<(), String> {
        let by_place: BTreeMap<Place, &CapView> = self.caps.iter().map(|c| (c.place, c)).collect();
        for cap in &self.caps {
            let Some(at) = cap.parent else { continue };
            let Some(parent) = by_place.get(&at) else {
                return Err(format!("{cap:?} descends from a capability that is gone"));
            };
            ensure!(parent.rights.contains(cap.rights), "{cap:?} has more rights than {parent:?}");
            // A narrower factory is an object of its own, cut out of the parent's.
            let factory = cap.kind == CapKind::Factory;
            let same = parent.kind == cap.kind && (factory || parent.object == cap.object);
            ensure!(same, "{cap:?} is of another object than {parent:?}");
            let badge = parent.badge == 0 || parent.badge == cap.badge;
            ensure!(badge, "{cap:?} changed the badge of {parent:?}");
        }
        Ok(())
    }

    /// No frame is writable somewhere and executable somewhere, in what the machine maps.
    fn write_xor_execute(&self) -> Result<(), String> {
        let mut prots: BTreeMap<u32, Prot> = BTreeMap::new();
        for (frame, _, prot) in &self.frames {
            if *prot == Prot::Read {
                continue;
            }
            let first = *prots.entry(*frame).or_insert(*prot);
            ensure!(first == *prot, "frame {frame} is writable and executable");
        }
        let pages: usize = self.mappings.iter().map(|m| m.pages as usize).sum();
        ensure!(pages == self.frames.len(), "the machine maps other pages than the kernel thinks");
        Ok(())
    }

    /// Every blocked process has a live peer, a deadline or a signal source.
    fn blocked(&self) -> Result<(), String> {
        for p in &self.processes {
            let endpoint = || self.endpoints.iter().find(|e| e.index.0 == p.on);
            let ok = match p.state {
                State::Queued => endpoint()
                    .is_some_and(|e| e.server.is_some_and(|s| self.alive(s)) && !e.queue_empty),
                State::Awaiting => self.alive(ProcIndex(p.on as u8)),
                State::Receiving => endpoint().is_some_and(|e| e.server == Some(p.index)),
                State::Waiting => {
                    self.notifs.iter().any(|n| n.index.0 == p.on && n.waiter == Some(p.index))
                }
                State::Sleeping => p.deadline != u64::MAX,
                State::Ready | State::Running | State::Created | State::Dead => {
                    p.deadline == u64::MAX || p.state == State::Running
                }
                State::Free => false,
            };
            ensure!(ok, "{p:?} waits for nothing");
        }
        Ok(())
    }

    /// Every used frame is paid by exactly one, and quota is neither made nor lost.
    fn frames_conserved(&self) -> Result<(), String> {
        let paid = |who: Payer| -> u32 {
            self.vmos.iter().filter(|v| v.payer == who).map(|v| v.pages).sum()
        };
        let mut used = paid(Payer::Pool) + self.pool.spare;
        let mut held = paid(Payer::Pool) + self.pool.pool_frames + SPARE_TABLES as u32;
        for (p, tables) in self.processes.iter().zip(&self.tables) {
            let space = if p.state == State::Dead { 0 } else { *tables as u32 + 2 };
            ensure!(p.space_frames == space, "{p:?}: the machine has {tables} table frames");
            let own = p.space_frames + paid(Payer::Process(p.index));
            ensure!(p.frames_used == own, "{p:?} is charged for other frames than its {own}");
            ensure!(p.frames_used <= p.frames_limit, "{p:?} is above its quota");
            ensure!(p.objects_used <= p.objects_limit, "{p:?} is above its object quota");
            used += p.frames_used;
            held += p.frames_limit;
        }
        ensure!(used == self.pool.frames_used, "{used} frames paid, {:?}", self.pool);
        ensure!(held == self.pool.frames_total, "{held} frames of quota, {:?}", self.pool);
        let mut ram: Vec<_> = self
            .vmos
            .iter()
            .filter(|v| matches!(v.memory, Memory::Ram | Memory::Dma))
            .map(|v| (v.first.0, v.first.0 + v.pages))
            .collect();
        ram.sort_unstable();
        let apart = ram.windows(2).all(|w| w[0].1 <= w[1].0);
        ensure!(apart, "two memory objects share a frame");
        Ok(())
    }

    /// A dead process owns no capability, mapping, memory, endpoint or notification.
    fn dead_own_nothing(&self) -> Result<(), String> {
        let owners = self.caps.iter().map(|c| c.place.owner);
        let owners = owners.chain(self.mappings.iter().map(|m| m.owner));
        let owners = owners.chain(self.endpoints.iter().map(|e| e.creator));
        let owners = owners.chain(self.endpoints.iter().filter_map(|e| e.server));
        let owners = owners.chain(self.notifs.iter().map(|n| n.creator));
        let owners = owners.chain(self.frames.iter().map(|(_, p, _)| ProcIndex(*p)));
        let owners = owners.chain(self.vmos.iter().filter_map(|v| match v.payer {
            Payer::Process(p) => Some(p),
            _ => None,
        }));
        let alive = |p: &&ProcessView| p.state != State::Dead;
        let living: u64 = self.processes.iter().filter(alive).fold(0, |m, p| m | 1 << p.index.0);
        for owner in owners {
            ensure!(living >> owner.0 & 1 == 1, "{owner:?} is dead and owns something");
        }
        Ok(())
    }

    /// Reference counts are what is really there; nothing unreferenced is kept.
    fn references(&self) -> Result<(), String> {
        let mut counts: BTreeMap<(u8, u16), usize> = BTreeMap::new();
        for c in self.caps.iter().filter(|c| c.valid) {
            *counts.entry((c.kind as u8, c.object)).or_default() += 1;
        }
        let count =
            |kind: CapKind, object: u16| counts.get(&(kind as u8, object)).copied().unwrap_or(0);
        for e in &self.endpoints {
            ensure!(count(CapKind::Endpoint, e.index.0) == e.refs.into() && e.refs > 0, "{e:?}");
        }
        for n in &self.notifs {
            let bound = usize::from(n.endpoint.is_some());
            ensure!(count(CapKind::Notification, n.index.0) + bound == n.refs.into(), "{n:?}");
        }
        for v in &self.vmos {
            ensure!(count(CapKind::Vmo, v.index.0) == v.refs.into(), "{v:?}");
            let maps: Vec<_> = self.mappings.iter().filter(|m| m.vmo == v.index).collect();
            let writable = maps.iter().filter(|m| m.prot == Prot::ReadWrite).count();
            ensure!(maps.len() == v.maps.into() && writable == v.writable.into(), "{v:?}");
            ensure!(v.refs > 0 || v.maps > 0, "{v:?} is unreachable");
        }
        for p in &self.processes {
            ensure!(count(CapKind::Process, p.index.0.into()) == p.refs.into(), "{p:?}");
        }
        Ok(())
    }

    /// What a refused call must leave alone: everything but the event ring, the count of denied
    /// calls and, where the ring is bound, the bit that announces the event.
    pub fn without_traces(mut self, logged: bool) -> View {
        if logged {
            self.notifs.iter_mut().for_each(|n| n.bits = 0);
        }
        for p in &mut self.processes {
            p.denied = 0;
            p.deadline = 0;
        }
        self.pool.events_produced = 0;
        self.pool.events_dropped = 0;
        self.pool.events_waiting = 0;
        self
    }
}
