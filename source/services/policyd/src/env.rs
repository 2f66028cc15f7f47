//! All that policyd needs from outside: time, facts, a place for records. It calls nobody.

use nexus_abi::Handle;
use nexus_sel::Facts;
use nexus_wire::audit::{Reason, Record};

use crate::blob::Blob;

/// The record found no room; the lane has counted it as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The number it would have had, which is used up.
    pub seq: u64,
}

/// The outside of policyd.
pub trait Env {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;

    /// The facts that hold now. None by default: a gate that nobody opens is closed.
    fn facts(&mut self) -> Facts {
        Facts::NONE
    }

    /// Puts a record where logd will find it, without waiting for anybody; its number there.
    ///
    /// # Errors
    /// [`NoRoom`], and then the loss is already counted.
    fn append(&mut self, record: &Record) -> Result<u64, NoRoom>;

    /// Whether [`Env::append`] would find room now.
    fn has_room(&mut self) -> bool {
        true
    }

    /// As [`Env::append`], into the places kept for refusals for want of room.
    ///
    /// # Errors
    /// [`NoRoom`], and then the loss is already counted.
    fn append_reserved(&mut self, record: &Record) -> Result<u64, NoRoom> {
        self.append(record)
    }

    /// Copies the sealed memory object `cap` to the start of `into`: how many words it has.
    ///
    /// # Errors
    /// [`Reason::BlobMissing`] if it is no such object, [`Reason::BlobTooLarge`].
    fn read_blob(&mut self, cap: Handle, into: &mut Blob) -> Result<usize, Reason>;

    /// Gives up a capability that came with a request.
    fn close(&mut self, cap: Handle);

    /// Remembers the policy that is to be in force next, for the time after a death.
    fn keep(&mut self, blob: &Blob);
}
