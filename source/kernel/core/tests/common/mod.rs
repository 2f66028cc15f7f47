//! A machine made of plain collections, strict about everything the core promises it.

use std::collections::{BTreeMap, BTreeSet};

use nexus_abi::{
    Call, Error, Handle, Return, ServiceId, SyscallMask,
    layout::FRAME_MAX,
    syscall::{Prot, Quota},
};
use nexus_kernel_core::{
    BootConfig, DeviceWindow, FrameSource, InitPlan, InitSegment, Kernel, Machine, Outcome, Pfn,
    ProcIndex, limits::MAX_PROCESSES,
};

pub const INIT: ProcIndex = ProcIndex(0);
pub const FREE: std::ops::Range<u32> = 1000..1800;
const IMAGE: Pfn = Pfn(100);
pub const ENTRY: u64 = 0x1000_0000;
pub const IRQ_LINE: u32 = 7;

pub struct Fake {
    pub now: u64,
    pub timer: Option<u64>,
    pub pages: Vec<[u8; FRAME_MAX]>,
    /// Every `set_return`, in order; emptied by the test.
    pub returns: Vec<(ProcIndex, Return)>,
    /// Page tables: (process, page) to frame and protection.
    pub tables: BTreeMap<(u8, u64), (u32, Prot)>,
    /// Table frames per space.
    taken: BTreeMap<u8, Vec<(u64, Pfn)>>,
    spaces: BTreeSet<u8>,
    /// Frames known to be zero.
    clean: BTreeSet<u32>,
    pub masked: BTreeMap<u32, bool>,
    pub console: Vec<(u64, String)>,
    pub started: Vec<(ProcIndex, u64, u64, u64)>,
}

impl Fake {
    pub fn new() -> Fake {
        Fake {
            now: 1,
            timer: None,
            pages: vec![[0; FRAME_MAX]; MAX_PROCESSES],
            returns: Vec::new(),
            tables: BTreeMap::new(),
            taken: BTreeMap::new(),
            spaces: BTreeSet::new(),
            clean: BTreeSet::new(),
            masked: BTreeMap::new(),
            console: Vec::new(),
            started: Vec::new(),
        }
    }

    /// Table frames of all spaces together.
    pub fn table_frames(&self, p: ProcIndex) -> usize {
        self.taken.get(&p.0).map_or(0, Vec::len)
    }
}

impl Machine for Fake {
    fn now_ns(&mut self) -> u64 {
        self.now
    }
    fn set_timer(&mut self, deadline_ns: u64) {
        self.timer = Some(deadline_ns);
    }
    fn set_return(&mut self, proc: ProcIndex, ret: &Return) {
        assert!(self.spaces.contains(&proc.0), "return to a process without a space");
        self.returns.push((proc, *ret));
    }
    fn start_context(&mut self, proc: ProcIndex, entry: u64, sp: u64, arg: u64) {
        self.started.push((proc, entry, sp, arg));
    }
    fn copy_frame(&mut self, from: ProcIndex, to: ProcIndex, len: usize) {
        assert!((1..=FRAME_MAX).contains(&len) && from != to);
        let bytes = self.pages[from.index()];
        self.pages[to.index()][..len].copy_from_slice(&bytes[..len]);
    }
    fn read_frame(&mut self, from: ProcIndex, out: &mut [u8]) {
        out.copy_from_slice(&self.pages[from.index()][..out.len()]);
    }
    fn write_frame(&mut self, to: ProcIndex, bytes: &[u8]) {
        self.pages[to.index()][..bytes.len()].copy_from_slice(bytes);
    }
    fn zero_frames(&mut self, first: Pfn, count: u32) {
        for n in first.0..first.0 + count {
            assert!(FREE.contains(&n), "zeroed a frame that is not RAM");
            self.clean.insert(n);
        }
    }
    fn copy_phys(&mut self, dst: Pfn, src: Pfn, len: u64) {
        assert!(FREE.contains(&dst.0) && src >= IMAGE && len > 0);
        self.clean.remove(&dst.0);
    }
    fn space_create(
        &mut self,
        proc: ProcIndex,
        root: Pfn,
        message: Pfn,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        assert!(self.clean.remove(&root.0) && self.clean.remove(&message.0), "dirty frames");
        assert!(self.spaces.insert(proc.0));
        self.pages[proc.index()] = [0; FRAME_MAX];
        let table = frames.take().ok_or(Error::QuotaExceeded)?;
        assert!(self.clean.remove(&table.0), "dirty table");
        self.taken.entry(proc.0).or_default().push((u64::MAX, table));
        Ok(())
    }
    fn space_destroy(&mut self, proc: ProcIndex, frames: &mut dyn FrameSource) {
        assert!(self.spaces.remove(&proc.0));
        for (_, table) in self.taken.remove(&proc.0).unwrap_or_default() {
            frames.give(table);
        }
        self.tables.retain(|(p, _), _| *p != proc.0);
    }
    fn map(
        &mut self,
        proc: ProcIndex,
        va: u64,
        first: Pfn,
        pages: u32,
        prot: Prot,
        device: bool,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        assert!(self.spaces.contains(&proc.0));
        assert_eq!(device, first.0 >= 0x1_0000, "device attribute");
        for n in 0..u64::from(pages) {
            let region = (va / 4096 + n) / 512;
            let taken = self.taken.entry(proc.0).or_default();
            if !taken.iter().any(|(at, _)| *at == region) {
                let Some(table) = frames.take() else {
                    self.unmap(proc, va, n as u32);
                    return Err(Error::QuotaExceeded);
                };
                assert!(self.clean.remove(&table.0), "dirty table");
                taken.push((region, table));
            }
            let frame = first.0 + n as u32;
            if prot == Prot::ReadWrite {
                self.clean.remove(&frame);
            }
            let old = self.tables.insert((proc.0, va / 4096 + n), (frame, prot));
            assert_eq!(old, None, "mapped over a mapping");
        }
        Ok(())
    }
    fn unmap(&mut self, proc: ProcIndex, va: u64, pages: u32) {
        for n in 0..u64::from(pages) {
            assert!(self.tables.remove(&(proc.0, va / 4096 + n)).is_some(), "not mapped");
        }
    }
    fn irq_mask(&mut self, line: u32, masked: bool) {
        self.masked.insert(line, masked);
    }
    fn console_line(&mut self, origin: ServiceId, line: &[u8]) {
        self.console.push((origin.0, String::from_utf8(line.to_vec()).unwrap()));
    }
}

/// A booted kernel on a fake machine.
pub struct World {
    pub kernel: Box<Kernel>,
    pub m: Fake,
    pub last: Outcome,
}

impl World {
    pub fn boot(quota: Quota) -> World {
        let segments = [InitSegment {
            va: ENTRY,
            first: IMAGE,
            file_len: 5000,
            mem_len: 9000,
            prot: Prot::ReadExec,
        }];
        let devices = [DeviceWindow { base: 0x1000_0000, len: 0x1000 }];
        let cfg = BootConfig {
            free: FREE,
            boot_image: (IMAGE, 4),
            init: InitPlan {
                service: ServiceId(1),
                priority: 5,
                mask: SyscallMask::ALL,
                quota,
                entry: ENTRY,
                segments: &segments,
                stack_pages: 2,
            },
            devices: &devices,
            irqs: &[IRQ_LINE],
        };
        let mut w = World { kernel: Box::new(Kernel::new()), m: Fake::new(), last: Outcome::Idle };
        w.last = w.kernel.boot(&mut w.m, &cfg).unwrap();
        w
    }

    pub fn running(&self) -> Option<ProcIndex> {
        match self.last {
            Outcome::Resume(p) => Some(p),
            Outcome::Idle => None,
        }
    }

    /// Lets `p`, which must be running, make a raw call.
    pub fn raw(&mut self, p: ProcIndex, nr: u64, args: [u64; 6]) {
        assert_eq!(self.running(), Some(p));
        self.last = self.kernel.syscall(&mut self.m, p, nr, &args);
    }
}

/// What the behaviour tests use on top.
#[allow(dead_code, reason = "the model test drives the kernel itself")]
impl World {
    /// Lets `p` make a call; its answer if it has one already.
    pub fn call(&mut self, p: ProcIndex, call: Call) -> Option<Return> {
        let (nr, args) = call.encode();
        self.m.returns.clear();
        self.raw(p, nr, args);
        self.answer(p)
    }

    /// The last return of `p` since the last call.
    pub fn answer(&self, p: ProcIndex) -> Option<Return> {
        self.m.returns.iter().rev().find(|(to, _)| *to == p).map(|(_, ret)| *ret)
    }

    /// A call that must succeed with values.
    pub fn ok(&mut self, p: ProcIndex, call: Call) -> [u64; 4] {
        match self.call(p, call) {
            Some(Return::Values(v)) => v,
            other => panic!("{call:?}: {other:?}"),
        }
    }

    pub fn handle(&mut self, p: ProcIndex, call: Call) -> Handle {
        Handle::from_raw(self.ok(p, call)[0] as u32)
    }

    pub fn err(&mut self, p: ProcIndex, call: Call) -> Error {
        match self.call(p, call) {
            Some(Return::Failed(e)) => e,
            other => panic!("{call:?}: {other:?}"),
        }
    }

    pub fn tick(&mut self, now: u64) {
        self.m.now = now;
        self.m.returns.clear();
        let cur = self.running();
        self.last = self.kernel.timer(&mut self.m, cur);
    }
}
