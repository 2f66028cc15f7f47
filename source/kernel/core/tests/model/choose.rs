//! What a process does next: mostly sensible calls with what it has, now and then nonsense.

use nexus_abi::{
    Call, Handle, Rights, ServiceId, SyscallMask,
    layout::{MESSAGE_PAGE, PAGE},
    syscall::{
        Arg, CapKind, FactoryCeiling, FrameLen, Prot, Quota, Seal, SourceOp, Topic, VmoKind,
    },
};
use nexus_kernel_core::ProcIndex;

use crate::{
    common::INIT,
    driver::Driver,
    oracle::{Block, Cap, Life},
};

impl Driver {
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
    pub fn choose(&mut self, p: ProcIndex) -> (u64, [u64; 6]) {
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
