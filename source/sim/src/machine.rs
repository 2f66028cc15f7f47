//! Simulated hardware: RAM, page tables, message pages, registers, a clock.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use nexus_abi::{
    Error, Return, ServiceId,
    layout::{FRAME_MAX, MESSAGE_PAGE, PAGE},
    syscall::Prot,
};
use nexus_kernel_core::{FrameSource, Machine, Pfn, ProcIndex, limits::MAX_PROCESSES};

/// Number of the first RAM frame, as on the real board.
pub const RAM_BASE: u32 = 0x8_0000;
const WORDS_PER_FRAME: usize = PAGE as usize / 8;

/// A stopped process: what the thread behind it needs to go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// Registers a0..a6 to return with.
    pub(crate) regs: [u64; 7],
    /// Set by `start_context`: entry and argument of a program whose thread is yet to be made.
    pub(crate) start: Option<(u64, u64)>,
    /// Grows whenever the process index gets another life; a thread of an older one ends.
    pub(crate) life: u64,
    message: Option<Pfn>,
    pages: BTreeMap<u64, (Pfn, Prot)>,
    tables: Vec<Pfn>,
}

/// The simulated board.
pub struct SimMachine {
    ram: &'static [AtomicU64],
    pub(crate) contexts: Vec<Context>,
    pub(crate) now_ns: u64,
    pub(crate) timer_ns: u64,
    pub(crate) lines: Vec<(ServiceId, String)>,
}

impl SimMachine {
    /// A board with `frames` frames of zeroed RAM. The RAM lives as long as the host process,
    /// because views of it are handed out as `'static`; untouched pages cost nothing.
    #[must_use]
    pub fn new(frames: u32) -> SimMachine {
        let words = frames as usize * WORDS_PER_FRAME;
        SimMachine {
            ram: Box::leak(bytemuck::zeroed_slice_box(words)),
            contexts: vec![Context::default(); MAX_PROCESSES],
            now_ns: 0,
            timer_ns: u64::MAX,
            lines: Vec::new(),
        }
    }

    fn words(&self, first: Pfn, words: usize) -> &'static [AtomicU64] {
        let start = (first.0 - RAM_BASE) as usize * WORDS_PER_FRAME;
        &self.ram[start..start + words]
    }

    /// Writes bytes into RAM from the start of a frame on; for the boot image.
    pub fn load(&mut self, first: Pfn, bytes: &[u8]) {
        let words = self.words(first, bytes.len().div_ceil(8));
        for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
            let mut le = [0; 8];
            le[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(le), Relaxed);
        }
    }

    /// The physically contiguous memory behind a mapping.
    pub(crate) fn view(&self, proc: ProcIndex, va: u64, len: usize) -> &'static [AtomicU64] {
        let (first, _) = self.contexts[proc.index()].pages[&va];
        self.words(first, len.div_ceil(8))
    }

    fn message(&self, proc: ProcIndex) -> &'static [AtomicU64] {
        let frame = self.contexts[proc.index()].message.expect("a live process has a message page");
        self.words(frame, FRAME_MAX / 8)
    }

    pub(crate) fn load_frame(&self, proc: ProcIndex, frame: &mut [u8; FRAME_MAX]) {
        read(self.message(proc), frame);
    }

    pub(crate) fn store_frame(&mut self, proc: ProcIndex, frame: &[u8]) {
        write(self.message(proc), frame);
    }
}

pub(crate) fn read(words: &[AtomicU64], out: &mut [u8]) {
    for (chunk, word) in out.chunks_mut(8).zip(words) {
        let le = word.load(Relaxed).to_le_bytes();
        chunk.copy_from_slice(&le[..chunk.len()]);
    }
}

/// Exactly `bytes`, leaving the rest of the last word as it was.
fn write(words: &[AtomicU64], bytes: &[u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
        let mut le = word.load(Relaxed).to_le_bytes();
        le[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(le), Relaxed);
    }
}

impl Machine for SimMachine {
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }

    fn set_timer(&mut self, deadline_ns: u64) {
        self.timer_ns = deadline_ns;
    }

    fn set_return(&mut self, proc: ProcIndex, ret: &Return) {
        self.contexts[proc.index()].regs = ret.to_regs();
    }

    fn start_context(&mut self, proc: ProcIndex, entry: u64, _sp: u64, arg: u64) {
        self.contexts[proc.index()].start = Some((entry, arg));
    }

    fn copy_frame(&mut self, from: ProcIndex, to: ProcIndex, len: usize) {
        let mut frame = [0; FRAME_MAX];
        self.load_frame(from, &mut frame);
        write(self.message(to), &frame[..len]);
    }

    fn read_frame(&mut self, from: ProcIndex, out: &mut [u8]) {
        read(self.message(from), out);
    }

    fn write_frame(&mut self, to: ProcIndex, bytes: &[u8]) {
        write(self.message(to), bytes);
    }

    fn zero_frames(&mut self, first: Pfn, count: u32) {
        for word in self.words(first, count as usize * WORDS_PER_FRAME) {
            word.store(0, Relaxed);
        }
    }

    fn copy_phys(&mut self, dst: Pfn, src: Pfn, len: u64) {
        let mut bytes = vec![0; len as usize];
        read(self.words(src, bytes.len().div_ceil(8)), &mut bytes);
        write(self.words(dst, bytes.len().div_ceil(8)), &bytes);
    }

    fn space_create(
        &mut self,
        proc: ProcIndex,
        _root: Pfn,
        message: Pfn,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        let life = self.contexts[proc.index()].life + 1;
        let table = frames.take().ok_or(Error::QuotaExceeded)?;
        self.contexts[proc.index()] = Context {
            life,
            message: Some(message),
            pages: BTreeMap::from([(MESSAGE_PAGE, (message, Prot::ReadWrite))]),
            tables: vec![table],
            ..Context::default()
        };
        Ok(())
    }

    fn space_destroy(&mut self, proc: ProcIndex, frames: &mut dyn FrameSource) {
        let context = &mut self.contexts[proc.index()];
        let life = context.life + 1;
        let old = std::mem::replace(context, Context { life, ..Context::default() });
        for table in old.tables {
            frames.give(table);
        }
    }

    fn map(
        &mut self,
        proc: ProcIndex,
        va: u64,
        first: Pfn,
        pages: u32,
        prot: Prot,
        _device: bool,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        let context = &mut self.contexts[proc.index()];
        for page in 0..pages {
            context.pages.insert(va + u64::from(page) * PAGE, (first.offset(page), prot));
        }
        Ok(())
    }

    fn unmap(&mut self, proc: ProcIndex, va: u64, pages: u32) {
        let context = &mut self.contexts[proc.index()];
        for page in 0..pages {
            context.pages.remove(&(va + u64::from(page) * PAGE));
        }
    }

    fn irq_mask(&mut self, _line: u32, _masked: bool) {}

    fn console_line(&mut self, origin: ServiceId, line: &[u8]) {
        self.lines.push((origin, String::from_utf8_lossy(line).into_owned()));
    }
}
