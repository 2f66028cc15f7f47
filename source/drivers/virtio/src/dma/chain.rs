//! A queue that holds one block request at a time: what is asked, the data, how it ended.

use super::*;

/// Bytes of a sector, the data of every read and write.
pub(crate) const SECTOR: usize = 512;
/// Bytes of what is asked.
pub(crate) const HEAD: usize = 16;
/// Three buffers make a request; a ring's size is a power of two.
const RING: usize = 4;

/// Where the parts of a request lie in the page: no two share a place.
const HEAD_AT: usize = 0;
const STATUS_AT: usize = 64;
const DATA_AT: usize = 512;

/// No device says this; what says it still afterwards was never answered.
const UNANSWERED: u8 = 0xff;

/// The data of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data<'d> {
    /// None.
    None,
    /// For the device to read.
    Out(&'d [u8; SECTOR]),
    /// For the device to write.
    In,
}

/// How a request was made, as long as the device has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Bare,
    Out,
    In,
}

/// The queue, and one page of buffers of its own. Callers get and give copies.
pub(crate) struct Chain {
    ring: VirtQueue<Arena, RING>,
    index: u16,
    page: NonNull<u8>,
    pending: Option<(u16, Shape)>,
}

impl Chain {
    /// Sets queue `index` of the device up.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] if the device has no such queue, [`Fault::Memory`].
    pub(crate) fn new<T: Transport>(device: &mut T, index: u16) -> Result<Self, Fault> {
        let ring = VirtQueue::new(device, index, false, false).map_err(|error| match error {
            virtio_drivers::Error::DmaError => Fault::Memory,
            _ => Fault::Unsupported,
        })?;
        let (_, page) = Arena::take(1).ok_or(Fault::Memory)?;
        Ok(Chain { ring, index, page, pending: None })
    }

    /// Gives a request to the device.
    ///
    /// # Errors
    /// [`Fault::Protocol`] if it still has one.
    pub(crate) fn start<T: Transport>(
        &mut self,
        device: &mut T,
        head: [u8; HEAD],
        data: Data<'_>,
    ) -> Result<(), Fault> {
        if self.pending.is_some() {
            return Err(Fault::Protocol);
        }
        self.fill(HEAD_AT, &head);
        self.fill(STATUS_AT, &[UNANSWERED]);
        let shape = match data {
            Data::None => Shape::Bare,
            Data::In => Shape::In,
            Data::Out(bytes) => {
                self.fill(DATA_AT, bytes);
                Shape::Out
            }
        };
        let ring = &mut self.ring;
        // SAFETY: the page stays mapped for the life of the process, and while `pending` says so
        // nobody but the device touches it.
        let token =
            with_parts(self.page, shape, |inputs, outputs| unsafe { ring.add(inputs, outputs) });
        self.pending = Some((token.map_err(|_| Fault::Protocol)?, shape));
        if self.ring.should_notify() {
            device.notify(self.index);
        }
        Ok(())
    }

    /// The status the request ended with, once it has ended.
    ///
    /// # Errors
    /// [`Fault::Protocol`] if the device ended another request, none, or claims to have written
    /// more or less than there was to write.
    pub(crate) fn poll(&mut self) -> Result<Option<u8>, Fault> {
        let Some(used) = self.ring.peek_used() else { return Ok(None) };
        let (token, shape) = self.pending.filter(|(t, _)| *t == used).ok_or(Fault::Protocol)?;
        let ring = &mut self.ring;
        // SAFETY: the same buffers as were added under this token.
        let written = with_parts(self.page, shape, |inputs, outputs| unsafe {
            ring.pop_used(token, inputs, outputs)
        });
        self.pending = None;
        let written = written.map_err(|_| Fault::Protocol)? as usize;
        let status = self.status();
        let room = if shape == Shape::In { SECTOR.saturating_add(1) } else { 1 };
        // Only a request that was done has to fill all it had.
        let believable = if status == 0 { written == room } else { written <= room };
        if believable { Ok(Some(status)) } else { Err(Fault::Protocol) }
    }

    /// Copies out what the last read brought.
    pub(crate) fn copy_data(&self, out: &mut [u8; SECTOR]) {
        // SAFETY: a sector inside the page of `new`, which the device no longer has; `out` is
        // the caller's, so they do not overlap.
        unsafe {
            self.page
                .as_ptr()
                .wrapping_add(DATA_AT)
                .copy_to_nonoverlapping(out.as_mut_ptr(), SECTOR);
        }
    }

    fn status(&self) -> u8 {
        // SAFETY: a byte inside the page of `new`; volatile, because a device wrote it.
        unsafe { self.page.as_ptr().wrapping_add(STATUS_AT).read_volatile() }
    }

    /// `at` and the length are constants of this file, inside the page.
    fn fill<const N: usize>(&mut self, at: usize, bytes: &[u8; N]) {
        // SAFETY: inside the page of `new`, of which the device has no part now.
        unsafe {
            bytes.as_ptr().copy_to_nonoverlapping(self.page.as_ptr().wrapping_add(at), N);
        }
    }
}

/// Hands the parts of a request on, in the order the device wants them.
fn with_parts<R>(
    page: NonNull<u8>,
    shape: Shape,
    then: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
) -> R {
    let part =
        |at: usize, len: usize| slice_from_raw_parts_mut(page.as_ptr().wrapping_add(at), len);
    // SAFETY: a part of the page that overlaps no other, and no other reference to it exists: all
    // other access is by raw pointer, and not while this runs.
    let head: &[u8] = unsafe { &*part(HEAD_AT, HEAD) };
    // SAFETY: as above.
    let data = unsafe { &mut *part(DATA_AT, SECTOR) };
    // SAFETY: as above.
    let status = unsafe { &mut *part(STATUS_AT, 1) };
    match shape {
        Shape::Bare => then(&[head], &mut [status]),
        Shape::Out => then(&[head, &*data], &mut [status]),
        Shape::In => then(&[head], &mut [data, status]),
    }
}
