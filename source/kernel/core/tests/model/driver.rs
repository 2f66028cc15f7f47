//! Chooses what happens next and compares kernel and oracle after it did.

use std::collections::{BTreeMap, BTreeSet};

use nexus_abi::{
    Call, Error, FaultCause, Handle, Return, Rights, ServiceId, SyscallMask,
    layout::{MESSAGE_PAGE, PAGE},
    syscall::{
        Arg, CapKind, FactoryCeiling, FrameLen, Prot, Quota, SPECS, Seal, SourceOp, Topic, VmoKind,
    },
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
    rng: Rng,
    pub steps: u64,
    tokens: Vec<u64>,
    pub coverage: Coverage,
    seed: u64,
    before: View,
    /// The step was a refused call and nobody else was told anything.
    refused: bool,
    /// The caller has no capability of this kind: let it get one.
    lacks: Option<CapKind>,
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

    /// A handle of `p`: mostly one it has, of the kind wanted, else anything.
    fn handle(&mut self, p: ProcIndex, kind: CapKind) -> Handle {
        let all: Vec<&Cap> = self.oracle.caps.iter().filter(|c| c.owner == p).collect();
        let fit: Vec<Handle> = all.iter().filter(|c| c.kind == kind).map(|c| c.handle).collect();
        let all: Vec<Handle> = all.iter().map(|c| c.handle).collect();
        let stale = |h: Handle| Handle::new(h.slot(), h.generation() + 1);
        match self.rng.below(40) {
            0 => Handle::from_raw(self.rng.next() as u32),
            1 => Handle::NONE,
            2 => self.rng.pick(&all).map_or(Handle::NONE, stale),
            3 | 4 => self.rng.pick(&all).unwrap_or(Handle::fixed(7)),
            _ => {
                self.lacks = fit.is_empty().then_some(kind);
                self.rng.pick(&fit).unwrap_or(Handle::fixed(5))
            }
        }
    }

    /// An endpoint to call (somebody else serves it) or to receive on (`p` serves it).
    fn peer(&mut self, p: ProcIndex, right: Rights) -> Handle {
        let fits = |c: &&Cap| {
            let server = self.oracle.endpoints.get(&c.object).and_then(|e| e.server);
            let served = server.is_some_and(|s| (s == p) == (right == Rights::RECV));
            c.owner == p && c.kind == CapKind::Endpoint && c.rights.contains(right) && served
        };
        let fit: Vec<Handle> = self.oracle.caps.iter().filter(fits).map(|c| c.handle).collect();
        match self.rng.pick(&fit) {
            Some(handle) if self.rng.chance(80) => handle,
            _ => self.handle(p, CapKind::Endpoint),
        }
    }

    fn any_handle(&mut self, p: ProcIndex) -> Handle {
        let kinds = [CapKind::Endpoint, CapKind::Notification, CapKind::Vmo, CapKind::Process];
        let kind = self.rng.pick(&kinds).unwrap_or(CapKind::Vmo);
        self.handle(p, kind)
    }

    fn moved(&mut self, p: ProcIndex) -> Handle {
        if self.rng.chance(70) { Handle::NONE } else { self.any_handle(p) }
    }

    fn child(&mut self, p: ProcIndex) -> Handle {
        if self.rng.chance(50) { Handle::NONE } else { self.handle(p, CapKind::Process) }
    }

    fn deadline(&mut self) -> u64 {
        match self.rng.below(10) {
            0 => 0,
            1 => u64::MAX,
            _ => self.w.m.now + self.rng.below(20_000) as u64,
        }
    }

    fn rights(&mut self) -> Rights {
        let bits = if self.rng.chance(60) { Rights::ALL.bits() } else { self.rng.next() as u16 };
        Rights::from_bits(bits & Rights::ALL.bits()).unwrap_or(Rights::NONE)
    }

    /// Rights to derive with: mostly some the capability has.
    fn derived(&mut self, p: ProcIndex, cap: Handle) -> Rights {
        let asked = self.rights();
        if self.rng.chance(8) {
            return asked;
        }
        self.oracle.find(p, cap).map_or(asked, |c| c.rights.and(asked))
    }

    fn token(&mut self, p: ProcIndex) -> u64 {
        let waits = Block::Awaiting { server: p };
        let mine = self.oracle.procs.values().find(|q| q.block == waits).map(|q| q.token);
        if let Some(token) = mine
            && self.rng.chance(80)
        {
            return token;
        }
        let recent = self.tokens.len().saturating_sub(6);
        let recent = self.tokens[recent..].to_vec();
        if self.rng.chance(5) { self.rng.next() } else { self.rng.pick(&recent).unwrap_or(0) }
    }

    fn va(&mut self) -> u64 {
        match self.rng.below(20) {
            0 => MESSAGE_PAGE,
            1 => 1 << 38,
            2 => 0,
            3 => 0x1_0000_0010,
            _ => 0x2000_0000 + self.rng.below(40) as u64 * PAGE,
        }
    }

    /// A call number and its registers, now and then broken ones.
    fn choose(&mut self, p: ProcIndex) -> (u64, [u64; 6]) {
        self.lacks = None;
        let mut call = self.choose_call(p);
        if let Some(kind) = self.lacks.take()
            && self.rng.chance(90)
        {
            call = self.creation(p, kind);
        }
        if self.seed % 4 == 3 && self.rng.chance(40) {
            // A hoarder: its table fills up.
            call = self.derivation(p);
        } else if self.rng.chance(35) {
            call = self.nursing(p).unwrap_or(call);
        }
        let (mut nr, mut args) = call.encode();
        match self.rng.below(100) {
            0 => nr = self.rng.next() % 70,
            1 => args[self.rng.below(6)] = self.rng.next() >> self.rng.below(64),
            _ => {}
        }
        (nr, args)
    }

    fn choose_call(&mut self, p: ProcIndex) -> Call {
        use CapKind as K;
        let len = FrameLen::new(self.rng.below(513)).unwrap();
        let mask = self.rng.next() & self.rng.next();
        let bits = 1 << self.rng.below(64);
        let mask = if self.rng.chance(50) { u64::MAX } else { mask };
        match self.rng.below(100) {
            0..=15 => {
                let (ep, cap) = (self.peer(p, Rights::CALL), self.moved(p));
                Call::Call { ep, len, cap, deadline_ns: self.deadline() }
            }
            16..=25 => {
                Call::Recv { ep: self.peer(p, Rights::RECV), mask, deadline_ns: self.deadline() }
            }
            26..=33 => {
                let (token, cap, ep) = (self.token(p), self.moved(p), self.peer(p, Rights::RECV));
                Call::ReplyRecv { token, len, cap, ep, mask, deadline_ns: self.deadline() }
            }
            34..=37 => Call::Reply { token: self.token(p), len, cap: self.moved(p) },
            38..=42 => Call::Signal { notif: self.handle(p, K::Notification), bits },
            43..=45 => {
                let notif = if self.rng.chance(20) {
                    Handle::NONE
                } else {
                    self.handle(p, K::Notification)
                };
                Call::Wait { notif, mask, deadline_ns: self.deadline() }
            }
            46..=48 => {
                let notif = if self.rng.chance(50) {
                    Handle::NONE
                } else {
                    self.handle(p, K::Notification)
                };
                Call::EndpointCreate { notif }
            }
            49..=50 => Call::NotifCreate {},
            51..=53 => {
                let kind = if self.rng.chance(80) { VmoKind::Ram } else { VmoKind::Dma };
                let len = self.rng.below(5) as u64 * PAGE;
                let len = if self.rng.chance(3) { self.rng.next() } else { len };
                Call::VmoCreate { len, kind, authority: self.handle(p, K::Factory) }
            }
            54 | 55 => {
                let seal = if self.rng.chance(70) { Seal::Exec } else { Seal::ReadOnly };
                Call::VmoSeal { vmo: self.handle(p, K::Vmo), seal }
            }
            56..=61 => {
                let prots = [Prot::Read, Prot::ReadWrite, Prot::ReadExec];
                let prot = self.rng.pick(&prots).unwrap_or(Prot::Read);
                let (proc, vmo, va) = (self.child(p), self.handle(p, K::Vmo), self.va());
                let offset = self.rng.below(2) as u64 * PAGE;
                let len = (1 + self.rng.below(2)) as u64 * PAGE;
                Call::VmMap { proc, vmo, va, offset, len, prot }
            }
            62 | 63 => {
                let (proc, va) = (self.child(p), self.va());
                Call::VmUnmap { proc, va, len: self.rng.below(8) as u64 * PAGE }
            }
            64..=75 => self.derivation(p),
            76 | 77 => {
                let own = self.oracle.caps.iter().filter(|c| c.owner == p);
                let has = |c: &&Cap| self.oracle.caps.iter().any(|d| d.parent == Some(c.id));
                let roots: Vec<Handle> = own.filter(has).map(|c| c.handle).collect();
                let root = self.rng.pick(&roots).filter(|_| self.rng.chance(70));
                Call::CapRevoke { cap: root.unwrap_or_else(|| self.any_handle(p)) }
            }
            78..=82 => Call::CapClose { cap: self.any_handle(p) },
            other => self.choose_rare(p, other, len),
        }
    }

    /// A call that gets `p` an object of this kind.
    fn creation(&mut self, p: ProcIndex, kind: CapKind) -> Call {
        match kind {
            CapKind::Endpoint => {
                let notif = self
                    .oracle
                    .caps
                    .iter()
                    .find(|c| c.owner == p && c.kind == CapKind::Notification);
                Call::EndpointCreate { notif: notif.map_or(Handle::NONE, |c| c.handle) }
            }
            CapKind::Notification => Call::NotifCreate {},
            CapKind::Vmo => {
                let (kind, authority) = (VmoKind::Ram, Handle::NONE);
                Call::VmoCreate { len: 2 * PAGE, kind, authority }
            }
            _ => self.choose_call(p),
        }
    }

    /// A narrower factory, mostly one that could be.
    fn ceiling(&mut self) -> u64 {
        let ceiling = FactoryCeiling {
            first_id: self.rng.below(40) as u16,
            count_log2: self.rng.below(6) as u8,
            priority: self.rng.below(8) as u8,
            mask: SyscallMask::ALL,
            frame_units: self.rng.below(4) as u16,
            object_units: self.rng.below(2) as u8,
        };
        ceiling.pack().unwrap_or(1)
    }

    /// Keeps a handful of processes alive: makes one, gives it something, starts it.
    fn nursing(&mut self, p: ProcIndex) -> Option<Call> {
        let own: Vec<Cap> = self.oracle.caps.iter().filter(|c| c.owner == p).cloned().collect();
        let unborn = |c: &&Cap| {
            let made = self.oracle.procs.values().find(|q| q.id == c.object);
            c.kind == CapKind::Process && made.is_some_and(|q| q.life == Life::Created)
        };
        let child = own.iter().find(unborn).map(|c| c.handle);
        let Some(child) = child else {
            let factory = own.iter().find(|c| c.kind == CapKind::Factory)?.handle;
            if self.oracle.procs.values().filter(|q| q.life != Life::Dead).count() > 6 {
                return None;
            }
            let service = ServiceId(2 + self.rng.below(20) as u64);
            let quota = Quota { frames: 40, objects: 8 };
            let priority = self.rng.below(8) as u8;
            return Some(Call::ProcCreate {
                factory,
                service,
                mask: SyscallMask::ALL,
                quota,
                priority,
            });
        };
        if self.rng.chance(15) {
            return Some(Call::ProcStart { proc: child, entry: 0x1_0000, sp: 0x2_0000, arg: 1 });
        }
        let gifts: Vec<&Cap> = own.iter().filter(|c| c.rights.contains(Rights::DERIVE)).collect();
        let gift = self.rng.pick(&gifts)?;
        let less = Rights::ALL.bits() & !Rights::RECV.bits();
        let keep = if self.rng.chance(60) { less } else { Rights::ALL.bits() };
        let rights = gift.rights.and(Rights::from_bits(keep)?);
        let (cap, slot) = (gift.handle, self.rng.below(64) as u8);
        Some(Call::CapDerive { cap, rights, badge: 0, child, slot })
    }

    fn derivation(&mut self, p: ProcIndex) -> Call {
        let cap = self.any_handle(p);
        let cap =
            if self.rng.chance(10) { Handle::fixed(4 + self.rng.below(5) as u8) } else { cap };
        let factory = self.oracle.find(p, cap).is_ok_and(|c| c.kind == CapKind::Factory);
        let badge = match self.rng.below(10) {
            0..=6 => 0,
            _ if factory => self.ceiling(),
            n => n as u64 - 6,
        };
        let rights = self.derived(p, cap);
        Call::CapDerive { cap, rights, badge, child: self.child(p), slot: self.rng.below(65) as u8 }
    }

    fn choose_rare(&mut self, p: ProcIndex, dice: usize, len: FrameLen) -> Call {
        use CapKind as K;
        match dice {
            83 | 84 => {
                let topic = Topic::from_reg(self.rng.below(6) as u64).unwrap();
                let kind = match topic {
                    Topic::Process => K::Process,
                    Topic::Events => K::KernelLog,
                    _ => K::Vmo,
                };
                Call::ObjectInfo { cap: self.handle(p, kind), topic }
            }
            85 | 86 => {
                let kind = self.rng.pick(&[K::Irq, K::Process, K::KernelLog]).unwrap_or(K::Irq);
                let (source, notif) = (self.handle(p, kind), self.handle(p, K::Notification));
                let op = if self.rng.chance(75) { SourceOp::Bind } else { SourceOp::Ack };
                Call::SourceControl { source, op, notif, bit: self.rng.below(66) as u8 }
            }
            87..=90 => {
                let mask = if self.rng.chance(80) {
                    SyscallMask::ALL
                } else {
                    SyscallMask(self.rng.next() >> 30)
                };
                let frames = self.rng.below(60) as u32;
                Call::ProcCreate {
                    factory: self.handle(p, K::Factory),
                    service: ServiceId(self.rng.below(30) as u64),
                    mask,
                    quota: Quota { frames, objects: self.rng.below(12) as u16 },
                    priority: self.rng.below(9) as u8,
                }
            }
            91 => {
                let entry = if self.rng.chance(90) { 0x1_0000 } else { self.rng.next() };
                Call::ProcStart { proc: self.handle(p, K::Process), entry, sp: 0x2_0000, arg: 0 }
            }
            92 => {
                let himself = self.rng.chance(20) && (p != INIT || self.rng.chance(20));
                let proc = if himself { Handle::NONE } else { self.handle(p, K::Process) };
                let proc = if proc.is_none() && !himself { Handle::fixed(9) } else { proc };
                Call::ProcExit { proc, code: -3 }
            }
            97 => Call::ConsoleWrite { len },
            98 if self.rng.chance(10) => {
                let keep = SyscallMask(!(1 << self.rng.below(22)));
                Call::MaskShrink { keep }
            }
            93..=96 => {
                let (ep, cap) = (self.peer(p, Rights::CALL), self.moved(p));
                Call::Call { ep, len, cap, deadline_ns: self.deadline() }
            }
            _ => {
                let ep = self.peer(p, Rights::RECV);
                Call::Recv { ep, mask: 1, deadline_ns: self.deadline() }
            }
        }
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
