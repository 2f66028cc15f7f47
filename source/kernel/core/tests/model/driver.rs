//! Chooses what happens next and compares kernel and oracle after it did.

use std::collections::{BTreeMap, BTreeSet};

use nexus_abi::{
    Call, Error, FaultCause, Handle, Return, Rights, ServiceId, SyscallMask,
    layout::PAGE,
    syscall::{CapKind, Prot, Quota, SPECS, Seal},
};
use nexus_kernel_core::{
    ProcIndex,
    inspect::{Place, State},
};

use crate::{
    calls::Answers,
    common::{INIT, IRQ_LINE, World},
    oracle::{Block, Cap, Factory, Life, Map, Oracle, Vmo},
    rng::Rng,
    view::View,
};

/// How often what happened; a run that never does something proves nothing about it.
#[derive(Default)]
pub struct Coverage {
    ok: BTreeMap<u64, u64>,
    errors: BTreeSet<u8>,
    woken: BTreeMap<String, u64>,
}

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        for (nr, n) in &other.ok {
            *self.ok.entry(*nr).or_default() += n;
        }
        for (what, n) in &other.woken {
            *self.woken.entry(what.clone()).or_default() += n;
        }
        self.errors.extend(&other.errors);
    }

    /// Every call succeeded, every error and every end of a wait was seen.
    pub fn assert_wide(&self) {
        println!("{:?}\n{:?}", self.ok, self.woken);
        for spec in SPECS {
            let n = self.ok.get(&spec.number).copied().unwrap_or(0);
            assert!(n >= 20, "{} succeeded {n} times", spec.name);
        }
        for error in Error::ALL {
            assert!(self.errors.contains(&(*error as u8)), "{error:?} never happened");
        }
        for what in ["Replied", "Message", "Notified", "TimedOut", "PeerDied", "Revoked"] {
            assert!(self.woken.get(what).copied().unwrap_or(0) >= 20, "{what} ended few waits");
        }
    }
}

pub struct Driver {
    pub w: World,
    pub oracle: Oracle,
    pub rng: Rng,
    pub steps: u64,
    pub tokens: Vec<u64>,
    pub coverage: Coverage,
    pub seed: u64,
    before: View,
    /// The step was a refused call and nobody else was told anything.
    refused: bool,
    /// The caller has no capability of this kind: let it get one.
    pub lacks: Option<CapKind>,
}

impl Driver {
    pub fn new(seed: u64) -> Driver {
        let w = World::boot(Quota { frames: 150, objects: 30 });
        let before = View::of(&w);
        before.check().unwrap();
        let mut oracle = Oracle::default();
        seed_oracle(&mut oracle, &before);
        let rng = Rng(seed);
        let coverage = Coverage::default();
        Driver {
            w,
            oracle,
            rng,
            steps: 0,
            tokens: vec![0],
            coverage,
            seed,
            before,
            refused: false,
            lacks: None,
        }
    }

    /// One event; `false` when nothing can ever happen again.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        self.w.m.returns.clear();
        self.w.m.now += self.rng.below(2000) as u64;
        self.oracle.events_waiting = self.before.pool.events_waiting;
        let cur = self.w.running();
        let dice = self.rng.below(1000);
        let what = match cur {
            None if self.w.m.timer.is_none() || dice < 100 => {
                if self.oracle.irq.is_none() && self.w.m.timer.is_none() {
                    return false;
                }
                if self.w.m.timer.is_none() && dice > 980 {
                    return false;
                }
                self.interrupt(cur)
            }
            None => self.tick(cur),
            Some(_) if dice < 40 => self.tick(cur),
            Some(_) if dice < 60 => self.interrupt(cur),
            Some(p) if dice < 63 && (p != INIT || dice == 62) => self.fault(p),
            Some(p) => self.syscall(p),
        };
        let after = View::of(&self.w);
        if std::mem::take(&mut self.refused) {
            let logged = self.oracle.log.is_some();
            let before = self.before.clone().without_traces(logged).mapped_out();
            let now = after.clone().without_traces(logged).mapped_out();
            assert!(before == now, "seed {}: {what}: a refused call had an effect", self.seed);
        }
        if let Err(why) = after.check().and_then(|()| self.agrees(&after)) {
            panic!("seed {} step {}: {what}\n{why}", self.seed, self.steps);
        }
        self.before = after;
        true
    }

    fn tick(&mut self, cur: Option<ProcIndex>) -> String {
        if cur.is_none() || self.rng.chance(50) {
            self.w.m.now = self.w.m.now.max(self.w.m.timer.unwrap_or(0));
        }
        let due = self.w.m.timer.is_some_and(|t| t <= self.w.m.now);
        if due {
            self.w.m.timer = None;
        }
        self.w.last = self.w.kernel.timer(&mut self.w.m, cur);
        self.oracle.timer(self.w.m.now);
        self.compare(format!("timer at {}", self.w.m.now))
    }

    fn interrupt(&mut self, cur: Option<ProcIndex>) -> String {
        self.w.last = self.w.kernel.irq(&mut self.w.m, cur, IRQ_LINE);
        self.oracle.interrupt();
        assert_eq!(self.w.m.masked.get(&IRQ_LINE), Some(&true));
        self.compare("interrupt".into())
    }

    fn fault(&mut self, p: ProcIndex) -> String {
        self.w.last = self.w.kernel.fault(&mut self.w.m, p, FaultCause::Load, 0, 0x1000);
        self.oracle.fault(p);
        self.compare(format!("fault of {p:?}"))
    }

    fn syscall(&mut self, p: ProcIndex) -> String {
        let (nr, args) = self.choose(p);
        self.w.raw(p, nr, args);
        let answers: Answers = self.w.m.returns.iter().copied().collect();
        let what = format!("{p:?}: {nr} {:?}: {answers:?}", Call::decode(nr, &args));
        self.oracle.call(p, nr, &args, &answers);
        match answers.get(&p) {
            Some(Return::Failed(e)) => {
                self.coverage.errors.insert(*e as u8);
                self.refused = answers.len() == 1 && nr != nexus_abi::syscall::nr::ReplyRecv;
            }
            _ => *self.coverage.ok.entry(nr).or_default() += 1,
        }
        self.compare(what)
    }

    /// Everybody was told exactly what the oracle expected, once.
    pub fn compare(&mut self, what: String) -> String {
        let mut told = BTreeSet::new();
        for (p, ret) in &self.w.m.returns {
            assert!(told.insert(*p), "{what}: {p:?} was told twice");
            let expected = self.oracle.told.get(p).map_or(&[][..], Vec::as_slice);
            let fine = expected.contains(ret);
            let at = (self.seed, self.steps);
            assert!(fine, "{at:?}: {what}: {p:?} was told {ret:?}, not {expected:?}");
            if let Return::Message { token, .. } = ret {
                self.tokens.push(*token);
            }
            let name = match ret {
                Return::Failed(e) => {
                    self.coverage.errors.insert(*e as u8);
                    e.name().to_string()
                }
                other => format!("{other:?}").split([' ', '(']).next().unwrap().to_string(),
            };
            *self.coverage.woken.entry(name).or_default() += 1;
        }
        for p in self.oracle.told.keys() {
            let life = self.oracle.procs.get(p).map(|p| p.life);
            let gone = life.is_none_or(|l| l == Life::Dead);
            assert!(gone || told.contains(p), "seed {}: {what}: {p:?} was told nothing", self.seed);
        }
        what
    }

    /// Kernel and oracle hold the same: capabilities, waits, masks, mappings, events.
    pub fn agrees(&self, v: &View) -> Result<(), String> {
        let o = &self.oracle;
        let mut theirs: Vec<_> = v
            .caps
            .iter()
            .map(|c| (c.place, c.handle, c.kind as u8, c.rights.bits(), c.badge, c.parent, c.valid))
            .collect();
        let place = |c: &Cap| Place { owner: c.owner, slot: c.handle.slot() };
        let places: BTreeMap<u64, Place> = o.caps.iter().map(|c| (c.id, place(c))).collect();
        let parent = |c: &Cap| c.parent.and_then(|id| places.get(&id).copied());
        let mut ours: Vec<_> = o
            .caps
            .iter()
            .map(|c| {
                (place(c), c.handle, c.kind as u8, c.rights.bits(), c.badge, parent(c), o.exists(c))
            })
            .collect();
        theirs.sort_by_key(|c| c.0);
        ours.sort_by_key(|c| c.0);
        if theirs != ours {
            return Err(format!("kernel holds {theirs:?}\noracle holds {ours:?}"));
        }
        let mut theirs: Vec<_> =
            v.mappings.iter().map(|m| (m.owner, m.va, m.pages, m.prot as u8, m.via)).collect();
        let via = |m: &Map| m.via.and_then(|id| places.get(&id).copied());
        let mut ours: Vec<_> = o
            .maps
            .iter()
            .map(|m| (m.owner, m.va, (m.len / PAGE) as u32, m.prot as u8, via(m)))
            .collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        if theirs != ours {
            return Err(format!("kernel maps {theirs:?}\noracle maps {ours:?}"));
        }
        if v.pool.events_produced != o.events {
            return Err(format!("{} events, oracle {}", v.pool.events_produced, o.events));
        }
        if v.processes.len() != o.procs.len() {
            return Err("another number of processes".into());
        }
        self.same_processes(v)
    }

    fn same_processes(&self, v: &View) -> Result<(), String> {
        let running = self.w.running().and_then(|p| v.process(p)).map(|p| p.priority);
        for p in &v.processes {
            let Some(q) = self.oracle.procs.get(&p.index) else {
                return Err(format!("{p:?} is unknown to the oracle"));
            };
            let same = match (p.state, &q.block, q.life) {
                (State::Dead, _, Life::Dead) => true,
                (State::Created, Block::No, Life::Created) => true,
                (State::Ready, Block::No, Life::Alive) => {
                    running.is_some_and(|running| p.priority <= running)
                }
                (State::Running, Block::No, Life::Alive) => self.w.running() == Some(p.index),
                (State::Queued, Block::Queued { .. }, Life::Alive) => true,
                (State::Awaiting, Block::Awaiting { server }, Life::Alive) => {
                    p.on == u16::from(server.0)
                }
                (State::Receiving, Block::Receiving { .. }, Life::Alive) => true,
                (State::Waiting, Block::Waiting { .. }, Life::Alive) => true,
                (State::Sleeping, Block::Sleeping, Life::Alive) => true,
                _ => false,
            };
            let who = (p.service, p.incarnation, p.mask) == (q.service, q.incarnation, q.mask);
            if !same || !who {
                return Err(format!("kernel: {p:?}\noracle: {q:?}"));
            }
        }
        Ok(())
    }
}

impl View {
    /// Without what a refused mapping may leave: page tables in stock or in the space.
    fn mapped_out(mut self) -> View {
        self.pool.spare = 0;
        self.pool.frames_used = 0;
        self.tables.clear();
        for p in &mut self.processes {
            p.space_frames = 0;
            p.frames_used = 0;
        }
        self
    }
}

/// The state after boot, as the contract says it is.
fn seed_oracle(o: &mut Oracle, v: &View) {
    use Rights as R;
    let shared = R::GRANT.or(R::DERIVE).or(R::MANAGE);
    let init = o.id();
    o.birth(INIT, init, (ServiceId(1), 5), SyscallMask::ALL.0);
    o.procs.get_mut(&INIT).unwrap().life = Life::Alive;
    // Init has no handle to itself; one owned by nobody keeps it in the oracle's table.
    let given = [
        (4, CapKind::Factory, shared.or(R::DMA), 0),
        (5, CapKind::KernelLog, shared.or(R::AUDIT), 0),
        (6, CapKind::Vmo, R::READ.or(R::DERIVE).or(R::GRANT), 4),
        (7, CapKind::Vmo, shared.or(R::READ).or(R::WRITE), 1),
        (8, CapKind::Irq, shared, 0),
    ];
    for (slot, kind, rights, pages) in given {
        let (id, object) = (o.id(), o.id());
        if kind == CapKind::Vmo {
            let seal = (slot == 6).then_some(Seal::ReadOnly);
            o.vmos.insert(object, Vmo { pages, seal, sealable: false });
        }
        if kind == CapKind::Factory {
            let mask = SyscallMask::ALL.0;
            o.factories.insert(object, Factory { first: 1, last: 1023, mask, priority: 7 });
        }
        let (owner, handle) = (INIT, Handle::fixed(slot));
        o.caps.push(Cap { id, owner, handle, kind, object, rights, badge: 0, parent: None });
    }
    for m in &v.mappings {
        let vmo = o.id();
        let seal = (m.prot == Prot::ReadExec).then_some(Seal::Exec);
        o.vmos.insert(vmo, Vmo { pages: m.pages.into(), seal, sealable: true });
        let len = u64::from(m.pages) * PAGE;
        let map =
            Map { owner: INIT, va: m.va, len, vmo, prot: m.prot, via: None, inherited: false };
        o.maps.push(map);
    }
    o.events = v.pool.events_produced;
}
