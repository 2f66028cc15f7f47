//! The hardware as the core sees it.

use nexus_abi::{
    Error, FaultCause, Return, ServiceId,
    layout::{FRAME_MAX, MESSAGE_PAGE},
    syscall::Prot,
};
use nexus_kernel_core::{FrameSource, Machine, Pfn, ProcIndex, limits::MAX_PROCESSES};

use crate::{
    boot,
    context::Context,
    csr,
    fatal::{Console, fatal, say},
    mmio::{plic, uart},
    ram::{self, InRam},
    sbi,
    sv39::{self, Leaf, Run},
    time,
};

const _: () = assert!(MAX_PROCESSES.is_power_of_two(), "indices are masked, not checked");

/// Everything of the hardware that has state.
pub(crate) struct Rv64 {
    contexts: [Context; MAX_PROCESSES],
    /// The space in force; a root that is never freed while it is.
    active: u64,
    plic: plic::Context,
    /// Whether `set_timer` ran since the timer fired.
    timer_set: bool,
    /// The process the core booted; nothing can go on without it.
    first: Option<ProcIndex>,
}

impl Rv64 {
    pub(crate) const fn new() -> Rv64 {
        Rv64 {
            contexts: [Context::EMPTY; MAX_PROCESSES],
            active: 0,
            plic: plic::Context::NONE,
            timer_set: false,
            first: None,
        }
    }

    /// Notes which process the system stands on.
    pub(crate) fn stands_on(&mut self, first: ProcIndex) {
        self.first = Some(first);
    }

    /// Says why the first process stops: its end is the kernel's, and nobody else will tell.
    pub(crate) fn note_fault(&mut self, proc: ProcIndex, cause: FaultCause, address: u64) {
        if self.first == Some(proc) {
            let (cause, pc) = (cause.name(), self.context(proc).pc());
            say(format_args!("first process: {cause} fault at {address:#x}, pc {pc:#x}"));
        }
    }

    /// Takes over the hart's interrupt controller and the address space boot left.
    pub(crate) fn attach(&mut self, hart: u64) {
        self.plic = plic::Context::of_hart(hart);
        self.plic.init();
        self.active = sv39::satp(boot::kernel_root());
    }

    #[inline(always)]
    pub(crate) fn context(&mut self, proc: ProcIndex) -> &mut Context {
        // The mask lets the compiler see that the index is inside; the core's always are.
        match self.contexts.get_mut(proc.index() % MAX_PROCESSES) {
            Some(context) => context,
            None => fatal(format_args!("no context {}", proc.0)),
        }
    }

    pub(crate) fn pc(&mut self, proc: ProcIndex) -> u64 {
        self.context(proc).pc()
    }

    /// Puts the space of `proc` in force. No ASIDs: a switch drops every user translation, so
    /// changes to a space that is not in force need no fence of their own.
    #[inline(always)]
    pub(crate) fn enter(&mut self, proc: ProcIndex) {
        let satp = self.context(proc).satp;
        if satp != self.active {
            self.switch(satp);
        }
    }

    #[inline(always)]
    fn switch(&mut self, satp: u64) {
        self.active = satp;
        // SAFETY: `satp` comes from `space_create`, which copied the kernel half into its root,
        // or is the kernel's own root.
        unsafe { csr::set_satp(satp) };
    }

    fn root(&mut self, proc: ProcIndex) -> Pfn {
        // The low bits of satp are the root's frame number.
        Pfn(self.context(proc).satp as u32)
    }

    fn fence_if_active(&mut self, proc: ProcIndex) {
        if self.context(proc).satp == self.active {
            csr::fence();
        }
    }

    pub(crate) fn claim(&mut self) -> Option<u32> {
        self.plic.claim()
    }

    pub(crate) fn timer_fired(&mut self) {
        self.timer_set = false;
    }

    /// Clears the pending timer interrupt if the core asked for no further one.
    pub(crate) fn quiet_timer(&mut self) {
        if !self.timer_set {
            sbi::set_timer(u64::MAX);
        }
    }

    fn message(&mut self, proc: ProcIndex) -> *mut u64 {
        let frame = self.context(proc).frame;
        if frame.is_null() {
            fatal(format_args!("process {} has no message page", proc.0));
        }
        frame
    }
}

impl Machine for Rv64 {
    #[inline]
    fn now_ns(&mut self) -> u64 {
        time::ns(csr::time())
    }

    fn set_timer(&mut self, deadline_ns: u64) {
        self.timer_set = true;
        sbi::set_timer(time::ticks(deadline_ns));
    }

    #[inline(always)]
    fn set_return(&mut self, proc: ProcIndex, ret: &Return) {
        self.context(proc).set_results(ret.to_regs());
    }

    fn start_context(&mut self, proc: ProcIndex, entry: u64, sp: u64, arg: u64) {
        let context = self.context(proc);
        context.clear_registers();
        context.start(entry, sp, arg);
    }

    #[inline]
    fn copy_frame(&mut self, from: ProcIndex, to: ProcIndex, len: usize) {
        let (from, to) = (self.message(from), self.message(to));
        copy_words(from, to, len.min(FRAME_MAX));
    }

    fn read_frame(&mut self, from: ProcIndex, out: &mut [u8]) {
        let from = self.message(from).cast::<u8>();
        // SAFETY: at most `FRAME_MAX` bytes of a whole page that only user mode and the kernel
        // write, and user mode is stopped; `out` is kernel memory, so they do not overlap.
        unsafe { from.copy_to_nonoverlapping(out.as_mut_ptr(), out.len().min(FRAME_MAX)) };
    }

    fn write_frame(&mut self, to: ProcIndex, bytes: &[u8]) {
        let to = self.message(to).cast::<u8>();
        // SAFETY: as in `read_frame`.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len().min(FRAME_MAX)) };
    }

    fn zero_frames(&mut self, first: Pfn, count: u32) {
        ram::zero(first, count);
    }

    fn copy_phys(&mut self, dst: Pfn, src: Pfn, len: u64) {
        ram::copy(dst, src, len);
    }

    fn space_create(
        &mut self,
        proc: ProcIndex,
        root: Pfn,
        message: Pfn,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        sv39::share_kernel_half(&mut InRam, boot::kernel_root(), root);
        let context = self.context(proc);
        context.satp = sv39::satp(root);
        context.frame = ram::frames(message, 1).cast();
        let page = Run { va: MESSAGE_PAGE, pages: 1 };
        sv39::map(&mut InRam, root, page, (message, Leaf::user(Prot::ReadWrite)), frames)
    }

    fn space_destroy(&mut self, proc: ProcIndex, frames: &mut dyn FrameSource) {
        if self.first == Some(proc) {
            fatal(format_args!("the first process ended"));
        }
        let root = self.root(proc);
        if self.context(proc).satp == self.active {
            self.switch(sv39::satp(boot::kernel_root()));
        }
        sv39::release_user_half(&mut InRam, root, frames);
        let context = self.context(proc);
        (context.satp, context.frame) = (0, core::ptr::null_mut());
    }

    fn map(
        &mut self,
        proc: ProcIndex,
        va: u64,
        first: Pfn,
        pages: u32,
        prot: Prot,
        _device: bool,
        frames: &mut dyn FrameSource,
    ) -> Result<(), Error> {
        let (root, leaf) = (self.root(proc), Leaf::user(prot));
        let done = sv39::map(&mut InRam, root, Run { va, pages }, (first, leaf), frames);
        self.fence_if_active(proc);
        done
    }

    fn unmap(&mut self, proc: ProcIndex, va: u64, pages: u32) {
        let root = self.root(proc);
        sv39::unmap(&mut InRam, root, Run { va, pages });
        self.fence_if_active(proc);
    }

    fn irq_mask(&mut self, line: u32, masked: bool) {
        plic::mask(line, masked);
        if !masked {
            self.plic.complete(line);
        }
    }

    fn console_line(&mut self, origin: ServiceId, line: &[u8]) {
        use core::fmt::Write as _;
        let _infallible = write!(Console, "[{}] ", origin.0);
        uart::put(line);
        uart::put(b"\n");
    }
}

/// Words per turn of the copy loop: a 64-byte frame takes one turn.
const CHUNK: usize = 8;

/// Copies exactly `len` bytes between two pages: chunks, words, then the bytes that remain.
/// Volatile accesses keep the compiler from calling its generic copy, whose checks for
/// alignment and overlap cost more than a short frame.
#[inline(always)]
fn copy_words(mut from: *const u64, mut to: *mut u64, len: usize) {
    for _ in 0..len / (8 * CHUNK) {
        for i in 0..CHUNK {
            copy_one(from.wrapping_add(i), to.wrapping_add(i));
        }
        (from, to) = (from.wrapping_add(CHUNK), to.wrapping_add(CHUNK));
    }
    for _ in 0..len % (8 * CHUNK) / 8 {
        copy_one(from, to);
        (from, to) = (from.wrapping_add(1), to.wrapping_add(1));
    }
    let (from, to) = (from.cast::<u8>(), to.cast::<u8>());
    for i in 0..len % 8 {
        copy_one(from.wrapping_add(i), to.wrapping_add(i));
    }
}

#[inline(always)]
fn copy_one<T: Copy>(from: *const T, to: *mut T) {
    // SAFETY: `copy_words` stays within the first `FRAME_MAX` bytes of a page that the core
    // keeps alive with its process; user mode is stopped, so nobody else touches it.
    let value = unsafe { from.read_volatile() };
    // SAFETY: as above.
    unsafe { to.write_volatile(value) };
}
