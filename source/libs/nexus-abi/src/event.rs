//! Records of the kernel event ring: what happened that policy or people may care about.

use crate::ServiceId;

macro_rules! codes {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $n:literal $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant = $n,)+ }
        impl $name {
            /// Every value in numeric order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The value with this number, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<$name> {
                match code { $($n => Some($name::$variant),)+ _ => None }
            }
            /// Name in audit text and documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    };
}

codes! {
    /// What a [`KernelEvent`] reports.
    EventKind {
        /// A syscall outside the mask; `arg0` is its number.
        SyscallDenied = 1 "syscall-denied",
        /// A capability lacked a right or had the wrong kind; `arg0` is the handle, `arg1` the syscall.
        CapDenied = 2 "cap-denied",
        /// A capability was derived into another process; `arg0` is its service id, `arg1` the rights.
        CapDerived = 3 "cap-derived",
        /// A revocation ran; `arg0` is the number of capabilities destroyed.
        CapRevoked = 4 "cap-revoked",
        /// A process was created; `arg0` is its service id, `arg1` its incarnation.
        ProcessCreated = 5 "process-created",
        /// A process ended; `arg0` is its exit code, `arg1` is 1 if another process ended it.
        ProcessExited = 6 "process-exited",
        /// A process was killed by a fault; `detail` is a [`FaultCause`], `arg0` the address,
        /// `arg1` the program counter.
        ProcessFaulted = 7 "process-faulted",
        /// A frame was refused for its size; `arg0` is the length asked for.
        FrameRefused = 8 "frame-refused",
    }
}

codes! {
    /// Why the hardware stopped a process.
    FaultCause {
        /// Instruction fetch.
        Fetch = 1 "fetch",
        /// Load.
        Load = 2 "load",
        /// Store.
        Store = 3 "store",
        /// Illegal instruction.
        Illegal = 4 "illegal-instruction",
        /// Breakpoint.
        Breakpoint = 5 "breakpoint",
        /// Misaligned access or fetch.
        Misaligned = 6 "misaligned",
        /// Anything else the hardware reports.
        Other = 7 "other",
    }
}

/// One record, [`KernelEvent::BYTES`] bytes on the wire, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelEvent {
    /// Grows by one per event produced; a gap is a counted loss.
    pub seq: u64,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// What happened.
    pub kind: EventKind,
    /// Finer cause, see the kind; 0 if none.
    pub detail: u8,
    /// The process it happened to or by.
    pub service: ServiceId,
    /// Its incarnation.
    pub incarnation: u32,
    /// See the kind.
    pub arg0: u64,
    /// See the kind.
    pub arg1: u64,
}

impl KernelEvent {
    /// Encoded size in bytes.
    pub const BYTES: usize = 48;
    /// Records that fit one frame.
    pub const PER_FRAME: usize = crate::layout::FRAME_MAX / Self::BYTES;

    /// seq, time, kind, detail, 0, 0, incarnation, service, arg0, arg1.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let head = [self.kind as u8, self.detail, 0, 0];
        let fields: [&[u8]; 7] = [
            &self.seq.to_le_bytes(),
            &self.time_ns.to_le_bytes(),
            &head,
            &self.incarnation.to_le_bytes(),
            &self.service.0.to_le_bytes(),
            &self.arg0.to_le_bytes(),
            &self.arg1.to_le_bytes(),
        ];
        let mut rest = out.as_mut_slice();
        for field in fields {
            let Some((place, tail)) = rest.split_at_mut_checked(field.len()) else { break };
            place.copy_from_slice(field);
            rest = tail;
        }
        out
    }

    /// `None` for an unknown kind or non-zero reserved bytes.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<KernelEvent> {
        let word = |at: usize| -> Option<u64> {
            bytes.get(at..)?.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
        };
        let head = word(16)?.to_le_bytes();
        let [kind, detail, 0, 0, i0, i1, i2, i3] = head else { return None };
        Some(KernelEvent {
            seq: word(0)?,
            time_ns: word(8)?,
            kind: EventKind::from_code(kind)?,
            detail,
            incarnation: u32::from_le_bytes([i0, i1, i2, i3]),
            service: ServiceId(word(24)?),
            arg0: word(32)?,
            arg1: word(40)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_bytes_and_refuse_others() {
        for kind in EventKind::ALL {
            let event = KernelEvent {
                seq: 1,
                time_ns: u64::MAX,
                kind: *kind,
                detail: FaultCause::Load as u8,
                service: ServiceId(42),
                incarnation: 7,
                arg0: 0x3f_ffff_ffff,
                arg1: 5,
            };
            let mut bytes = event.encode();
            assert_eq!(KernelEvent::decode(&bytes), Some(event));
            bytes[18] = 1;
            assert_eq!(KernelEvent::decode(&bytes), None);
        }
    }
}
