//! Memory that a device reaches: the one object the process was granted, handed out once.
#![allow(unsafe_code, reason = "the DMA layer: memory shared with a device has no safe form")]

use core::{
    ptr::{NonNull, slice_from_raw_parts_mut},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

use nexus_abi::{Handle, Sys, layout::PAGE, syscall::Topic};
use virtio_drivers::{
    BufferDirection, Hal, PAGE_SIZE, PhysAddr, queue::VirtQueue, transport::Transport,
};

use crate::Fault;

mod chain;

pub(crate) use chain::{Chain, Data, HEAD, SECTOR};

/// The process's DMA memory, as `virtio-drivers` asks for it: by functions without a receiver,
/// so there is one per process.
#[derive(Debug)]
pub struct Arena(());

static CLAIMED: AtomicBool = AtomicBool::new(false);
static BASE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static PHYSICAL: AtomicU64 = AtomicU64::new(0);
/// Bytes of the object, and bytes handed out.
static LEN: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Arena {
    /// Maps the object, clears it and makes it the memory every queue takes its pages from.
    ///
    /// `_reset` is the device that may have reached this memory before: it has been reset, so it
    /// does no longer.
    ///
    /// # Errors
    /// [`Fault::Memory`], also for a second call.
    pub fn attach<S: Sys, T: Transport>(
        sys: &mut S,
        vmo: Handle,
        len_bytes: usize,
        _reset: &T,
    ) -> Result<(), Fault> {
        let facts = sys.info(vmo, Topic::Vmo).map_err(|_| Fault::Memory)?;
        let [size, _, physical, device_window] = facts;
        let usable = physical != 0
            && physical.is_multiple_of(PAGE)
            && device_window == 0
            && size >= len_bytes as u64;
        if !usable || CLAIMED.swap(true, Ordering::Relaxed) {
            return Err(Fault::Memory);
        }
        let words = sys.map_words(vmo, len_bytes).map_err(|_| Fault::Memory)?;
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        // The slice is given up for a raw pointer: a device writes here, so no reference may
        // live on. Atomics allow writes through a pointer made from them.
        BASE.store(words.as_ptr().cast_mut().cast(), Ordering::Relaxed);
        PHYSICAL.store(physical, Ordering::Relaxed);
        LEN.store(len_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The next pages, never handed out before; `None` when the object is used up.
    fn take(pages: usize) -> Option<(PhysAddr, NonNull<u8>)> {
        let bytes = pages.checked_mul(PAGE_SIZE)?;
        let len = LEN.load(Ordering::Relaxed);
        let reserve = |taken: usize| taken.checked_add(bytes).filter(|end| *end <= len);
        let offset = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).ok()?;
        let first = BASE.load(Ordering::Relaxed).wrapping_add(offset);
        let physical = PHYSICAL.load(Ordering::Relaxed).checked_add(offset as u64)?;
        Some((physical, NonNull::new(first)?))
    }

    /// Where a device finds a buffer; `None` for memory that is not the arena's.
    fn physical(buffer: NonNull<[u8]>) -> Option<PhysAddr> {
        let base = BASE.load(Ordering::Relaxed);
        let offset = buffer.cast::<u8>().addr().get().checked_sub(base.addr())?;
        let end = offset.checked_add(buffer.len())?;
        let inside = !base.is_null() && end <= LEN.load(Ordering::Relaxed);
        inside.then_some(PHYSICAL.load(Ordering::Relaxed).checked_add(offset as u64)?)
    }

    /// Lets the next test have its own.
    #[cfg(test)]
    pub(crate) fn forget() {
        TAKEN.store(0, Ordering::Relaxed);
        LEN.store(0, Ordering::Relaxed);
        CLAIMED.store(false, Ordering::Relaxed);
    }
}

// SAFETY: `dma_alloc` hands out each page of the arena once, and nothing else refers to them:
// `attach` kept no slice. They are page aligned because the object is mapped at a page, zeroed by
// `attach`, and stay mapped for the life of the process.
unsafe impl Hal for Arena {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Address 0 is how the trait says "no memory".
        Arena::take(pages).unwrap_or((0, NonNull::dangling()))
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, _first: NonNull<u8>, _pages: usize) -> i32 {
        // Pages are never reused: a device that was given them may still write.
        0
    }

    unsafe fn mmio_phys_to_virt(_physical: PhysAddr, _bytes: usize) -> NonNull<u8> {
        // Asked for PCI only, which this crate does not have.
        NonNull::dangling()
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        // INVARIANT: `Queue` shares its own buffers only, and they are the arena's. Anything
        // else would get address 0, where the machine has no memory.
        Arena::physical(buffer).unwrap_or(0)
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {
        // Memory and device see the same bytes.
    }
}

/// A queue with `SIZE` buffers of `BYTES` of its own. Callers get and give copies, so the device
/// cannot change what has been looked at.
pub struct Queue<const SIZE: usize, const BYTES: usize> {
    ring: VirtQueue<Arena, SIZE>,
    index: u16,
    buffers: NonNull<u8>,
    /// What each buffer is known by, and how much of it was offered, while the device has it.
    lent: [Option<(u16, usize)>; SIZE],
}

impl<const SIZE: usize, const BYTES: usize> Queue<SIZE, BYTES> {
    /// Sets queue `index` of the device up.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] if the device has no such queue, [`Fault::Memory`].
    pub fn new<T: Transport>(device: &mut T, index: u16) -> Result<Self, Fault> {
        let ring = VirtQueue::new(device, index, false, false).map_err(|error| match error {
            virtio_drivers::Error::DmaError => Fault::Memory,
            _ => Fault::Unsupported,
        })?;
        let pages = SIZE.saturating_mul(BYTES).div_ceil(PAGE_SIZE);
        let (_, buffers) = Arena::take(pages).ok_or(Fault::Memory)?;
        Ok(Queue { ring, index, buffers, lent: [None; SIZE] })
    }

    /// Gives every free buffer to the device to write into.
    ///
    /// # Errors
    /// [`Fault::Protocol`] if the ring has no place for what is ours to lend.
    pub fn offer_all<T: Transport>(&mut self, device: &mut T) -> Result<(), Fault> {
        let mut offered = false;
        while let Some(slot) = self.free() {
            let buffer = self.pointer(slot, BYTES);
            // SAFETY: the pages are this queue's alone (`take`), the slots lie side by side
            // inside them, and this one is free, so no other reference to it exists.
            let bytes = unsafe { &mut *buffer };
            // SAFETY: the buffer stays mapped for the life of the process, and while `lent` says
            // so nobody but the device touches it.
            let token = unsafe { self.ring.add(&[], &mut [bytes]) };
            self.lend(slot, token.map_err(|_| Fault::Protocol)?, BYTES);
            offered = true;
        }
        if offered && self.ring.should_notify() {
            device.notify(self.index);
        }
        Ok(())
    }

    /// Copies out what the device wrote into the oldest buffer it is done with; how many bytes,
    /// or `None` if there is none. The buffer is free afterwards.
    ///
    /// # Errors
    /// [`Fault::Protocol`] if the device names a buffer it does not have, or a length beyond it.
    pub fn receive(&mut self, out: &mut [u8; BYTES]) -> Result<Option<usize>, Fault> {
        let Some((slot, token, len)) = self.used()? else { return Ok(None) };
        let buffer = self.pointer(slot, len);
        // SAFETY: as in `offer_all`; the device is done with the buffer.
        let bytes = unsafe { &mut *buffer };
        // SAFETY: the same buffer as was added under this token.
        let written = unsafe { self.ring.pop_used(token, &[], &mut [bytes]) };
        let written = written.ok().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= len);
        let written = written.ok_or(Fault::Protocol)?;
        // SAFETY: `written` bytes inside the buffer, which the device no longer has; `out` is the
        // caller's, so they do not overlap.
        unsafe { buffer.cast::<u8>().copy_to_nonoverlapping(out.as_mut_ptr(), written) };
        // SAFETY: as above. What came is no longer here: a device that writes less next time
        // cannot pass it on again.
        unsafe { buffer.cast::<u8>().write_bytes(0, len) };
        Ok(Some(written))
    }

    /// Gives the device a copy of `bytes` to read; `false` if every buffer is still with it.
    ///
    /// # Errors
    /// [`Fault::Protocol`] as in [`Queue::receive`], or if `bytes` are none or too many.
    pub fn send<T: Transport>(&mut self, device: &mut T, bytes: &[u8]) -> Result<bool, Fault> {
        if bytes.is_empty() || bytes.len() > BYTES {
            return Err(Fault::Protocol);
        }
        while self.take_back()? {}
        let Some(slot) = self.free() else { return Ok(false) };
        let buffer = self.pointer(slot, bytes.len());
        // SAFETY: as in `offer_all`.
        let place = unsafe { &mut *buffer };
        place.copy_from_slice(bytes);
        // SAFETY: as in `offer_all`: only the device reads the buffer until it is back.
        let token = unsafe { self.ring.add(&[&*place], &mut []) };
        self.lend(slot, token.map_err(|_| Fault::Protocol)?, bytes.len());
        if self.ring.should_notify() {
            device.notify(self.index);
        }
        Ok(true)
    }

    /// Takes one sent buffer back; whether there was one.
    fn take_back(&mut self) -> Result<bool, Fault> {
        let Some((slot, token, len)) = self.used()? else { return Ok(false) };
        let buffer = self.pointer(slot, len);
        // SAFETY: as in `receive`.
        let bytes = unsafe { &*buffer };
        // SAFETY: the same buffer as was added under this token.
        let popped = unsafe { self.ring.pop_used(token, &[bytes], &mut []) };
        popped.map(|_| true).map_err(|_| Fault::Protocol)
    }

    /// The next buffer the device is done with; it is free from now on.
    fn used(&mut self) -> Result<Option<(usize, u16, usize)>, Fault> {
        let Some(token) = self.ring.peek_used() else { return Ok(None) };
        let mut lent = self.lent.iter_mut().enumerate();
        let found = lent.find_map(|(slot, lent)| match lent {
            Some((known, len)) if *known == token => {
                let len = *len;
                *lent = None;
                Some((slot, token, len))
            }
            _ => None,
        });
        found.map(Some).ok_or(Fault::Protocol)
    }

    fn free(&self) -> Option<usize> {
        self.lent.iter().position(Option::is_none)
    }

    fn lend(&mut self, slot: usize, token: u16, len: usize) {
        if let Some(lent) = self.lent.get_mut(slot) {
            *lent = Some((token, len));
        }
    }

    /// The first `len` bytes of a buffer: `slot` is below `SIZE` and `len` at most `BYTES`, so
    /// this stays inside the pages of `new`.
    fn pointer(&self, slot: usize, len: usize) -> *mut [u8] {
        let first = self.buffers.as_ptr().wrapping_add(slot.wrapping_mul(BYTES));
        slice_from_raw_parts_mut(first, len)
    }
}
