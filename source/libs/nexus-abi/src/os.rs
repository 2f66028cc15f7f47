//! [`Sys`] on the device: `ecall`, the message page and views of memory objects.
//!
//! An `ecall` gives every caller-saved register to the kernel: `a0..a6` come back as the
//! result, `a7`, `ra` and `t0..t6` with zero or an older value of the process's own.
//! Everything else survives.
#![allow(unsafe_code, reason = "the one place user space traps and makes views from addresses")]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{
    Call, Error, Handle, Return, Sys,
    layout::{FRAME_MAX, MESSAGE_PAGE, PAGE, STACK_TOP, WINDOW_BASE},
    syscall::{Prot, Topic},
};

/// Nanoseconds per tick of `time`: the timebase of the virt machine is 10 MHz.
const NS_PER_TICK: u64 = 100;

/// Views must stay below the stack region; a stack is never longer than this.
const WINDOW_END: u64 = STACK_TOP - (1 << 32);

const WORD: usize = size_of::<u64>();

static CLAIMED: AtomicBool = AtomicBool::new(false);

/// The kernel as seen by this process. Exists once, so the message page has one owner.
#[derive(Debug)]
pub struct OsSys {
    /// Next free address for a view; views are never reused, so no reference can dangle.
    next: u64,
}

impl OsSys {
    /// The process's one handle to the kernel; `None` once it was taken.
    #[must_use]
    pub fn claim() -> Option<OsSys> {
        let taken = CLAIMED.swap(true, Ordering::Relaxed);
        if taken { None } else { Some(OsSys { next: WINDOW_BASE }) }
    }

    /// A second handle, for a panic handler.
    ///
    /// # Safety
    /// The caller never returns to code that holds a reference from another [`OsSys`], and
    /// makes no view.
    #[must_use]
    pub unsafe fn last_words() -> OsSys {
        OsSys { next: WINDOW_END }
    }

    #[inline(always)]
    fn trap(&mut self, call: Call) -> Return {
        let (number, args) = call.encode();
        Return::from_regs(ecall(number, args))
    }

    /// Places a view of `len_bytes` of `vmo` and returns its address.
    fn place(&mut self, vmo: Handle, len_bytes: usize, prot: Prot) -> Result<(u64, u64), Error> {
        let len =
            (len_bytes as u64).checked_next_multiple_of(PAGE).ok_or(Error::InvalidArgument)?;
        let va = self.next;
        let end = va.checked_add(len).ok_or(Error::NoSpace)?;
        if len == 0 || end > WINDOW_END {
            return Err(if len == 0 { Error::InvalidArgument } else { Error::NoSpace });
        }
        match self.trap(Call::VmMap { proc: Handle::NONE, vmo, va, offset: 0, len, prot }) {
            Return::Values(_) => Ok((va, end)),
            Return::Failed(e) => Err(e),
            _ => Err(Error::Denied),
        }
    }

    /// As [`OsSys::place`], for ever; an unmapped page follows so that no view touches another.
    fn keep(&mut self, vmo: Handle, len_bytes: usize, prot: Prot) -> Result<u64, Error> {
        let (va, end) = self.place(vmo, len_bytes, prot)?;
        self.next = end.saturating_add(PAGE);
        Ok(va)
    }

    fn check_sealed(&mut self, vmo: Handle, len_bytes: usize) -> Result<(), Error> {
        let [bytes, seal, _, _] = self.info(vmo, Topic::Vmo)?;
        if seal == 0 {
            return Err(Error::WrongState);
        }
        if len_bytes as u64 > bytes {
            return Err(Error::InvalidArgument);
        }
        Ok(())
    }

    fn sealed_view(&mut self, vmo: Handle, len_bytes: usize) -> Result<u64, Error> {
        self.check_sealed(vmo, len_bytes)?;
        self.keep(vmo, len_bytes, Prot::Read)
    }

    /// Maps a whole VMO as words, runs `f`, unmaps it again.
    fn lend(
        &mut self,
        vmo: Handle,
        words: usize,
        prot: Prot,
        f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        let len_bytes = words.checked_mul(WORD).ok_or(Error::InvalidArgument)?;
        let (va, end) = self.place(vmo, len_bytes, prot)?;
        let first = core::ptr::with_exposed_provenance::<AtomicU64>(va as usize);
        // SAFETY: as in `map_words`, until the unmap below; the slice cannot outlive `f`. A store
        // into a view without write permission faults, which ends the process.
        f(unsafe { core::slice::from_raw_parts(first, words) });
        let len = end.wrapping_sub(va);
        match self.trap(Call::VmUnmap { proc: Handle::NONE, va, len }) {
            Return::Values(_) => Ok(()),
            Return::Failed(e) => Err(e),
            _ => Err(Error::Denied),
        }
    }

    /// Whether a call would pull a view from under a reference that safe code holds.
    #[inline(always)]
    fn breaks_view(&self, call: &Call) -> bool {
        match *call {
            Call::VmUnmap { proc, va, len } => {
                proc.is_none() && va < self.next && va.saturating_add(len) > WINDOW_BASE
            }
            _ => false,
        }
    }
}

fn whole_words(len_bytes: usize) -> Result<usize, Error> {
    if len_bytes.is_multiple_of(8) { Ok(len_bytes / 8) } else { Err(Error::InvalidArgument) }
}

impl Sys for OsSys {
    #[inline(always)]
    fn frame(&self) -> &[u8; FRAME_MAX] {
        let page = core::ptr::with_exposed_provenance::<[u8; FRAME_MAX]>(MESSAGE_PAGE as usize);
        // SAFETY: the kernel maps this page read-write in every process for its whole life and
        // writes it only during a syscall, which needs `&mut self` and so ends this borrow.
        unsafe { &*page }
    }

    #[inline(always)]
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        let page = core::ptr::with_exposed_provenance_mut::<[u8; FRAME_MAX]>(MESSAGE_PAGE as usize);
        // SAFETY: as in `frame`; `claim` makes `self` the only owner of the page.
        unsafe { &mut *page }
    }

    #[inline(always)]
    fn syscall(&mut self, call: Call) -> Return {
        if self.breaks_view(&call) {
            return Return::Failed(Error::InvalidArgument);
        }
        self.trap(call)
    }

    #[inline]
    fn now_ns(&mut self) -> u64 {
        let ticks: u64;
        // SAFETY: reading `time` has no effect; the kernel opens it to every process.
        unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
        ticks.wrapping_mul(NS_PER_TICK)
    }

    fn map_bytes(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [u8], Error> {
        let va = self.sealed_view(vmo, len_bytes)?;
        let first = core::ptr::with_exposed_provenance::<u8>(va as usize);
        // SAFETY: `len_bytes` readable bytes are mapped at `va` for ever; the object is sealed,
        // so nobody writes them. If the capability is revoked the access faults, which ends
        // the process before it can see anything else.
        Ok(unsafe { core::slice::from_raw_parts(first, len_bytes) })
    }

    fn map_sealed_words(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [u64], Error> {
        let words = whole_words(len_bytes)?;
        let va = self.sealed_view(vmo, len_bytes)?;
        let first = core::ptr::with_exposed_provenance::<u64>(va as usize);
        // SAFETY: as in `map_bytes`; `va` is page aligned and every bit pattern is a `u64`.
        Ok(unsafe { core::slice::from_raw_parts(first, words) })
    }

    fn map_words(&mut self, vmo: Handle, len_bytes: usize) -> Result<&'static [AtomicU64], Error> {
        let words = whole_words(len_bytes)?;
        let va = self.keep(vmo, len_bytes, Prot::ReadWrite)?;
        let first = core::ptr::with_exposed_provenance::<AtomicU64>(va as usize);
        // SAFETY: as in `map_sealed_words`; others may write the object, which atomics allow.
        Ok(unsafe { core::slice::from_raw_parts(first, words) })
    }

    fn with_words(
        &mut self,
        vmo: Handle,
        len_bytes: usize,
        f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        self.lend(vmo, whole_words(len_bytes)?, Prot::ReadWrite, f)
    }

    fn copy_sealed_words(&mut self, vmo: Handle, into: &mut [u64]) -> Result<(), Error> {
        let len_bytes = into.len().checked_mul(WORD).ok_or(Error::InvalidArgument)?;
        self.check_sealed(vmo, len_bytes)?;
        self.lend(vmo, into.len(), Prot::Read, &mut |words| {
            for (place, word) in into.iter_mut().zip(words) {
                *place = word.load(Ordering::Relaxed);
            }
        })
    }
}

/// One trap: number in `a7`, arguments in `a0..a5`, result in `a0..a6`.
#[inline(always)]
fn ecall(number: u64, [r0, r1, r2, r3, r4, r5]: [u64; 6]) -> [u64; 7] {
    let (o0, o1, o2, o3, o4, o5, o6): (u64, u64, u64, u64, u64, u64, u64);
    // SAFETY: the kernel changes the listed registers, and memory only inside the message page,
    // whose references all end where `&mut OsSys` is borrowed for the call.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") r0 => o0, inlateout("a1") r1 => o1, inlateout("a2") r2 => o2,
            inlateout("a3") r3 => o3, inlateout("a4") r4 => o4, inlateout("a5") r5 => o5,
            lateout("a6") o6, inlateout("a7") number => _, lateout("ra") _,
            lateout("t0") _, lateout("t1") _, lateout("t2") _, lateout("t3") _,
            lateout("t4") _, lateout("t5") _, lateout("t6") _,
            options(nostack),
        );
    }
    [o0, o1, o2, o3, o4, o5, o6]
}

/// Counting instructions, for the bench programs.
pub mod counter {
    use core::arch::asm;

    /// Instructions retired, for the bench client; faults unless the image is a bench image.
    #[inline(always)]
    #[must_use]
    pub fn instret() -> u64 {
        let count: u64;
        // SAFETY: reading `instret` has no effect; where the kernel keeps it closed, the process
        // faults. Not `nomem`: the read must not move across the measured code.
        unsafe { asm!("rdinstret {}", out(reg) count, options(nostack)) };
        count
    }

    /// Ten instructions that do nothing, for the bench client's calibration.
    #[inline(always)]
    pub fn nop10() {
        // SAFETY: `nop` changes nothing; a compressed `nop` is one instruction as well.
        unsafe { asm!(".rept 10", "nop", ".endr", options(nostack)) };
    }
}
