//! What a syscall gives back, and its one register encoding.

use crate::{Error, Handle, ServiceId};

/// The result of a syscall as the kernel core produces it and user space reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Done; up to four values, meaning per call (see the syscall table).
    Values([u64; 4]),
    /// Nothing happened, for this reason.
    Failed(Error),
    /// A `call` was answered: reply length in bytes and the capability that came along.
    Replied {
        /// Bytes of the reply in the message page.
        len: u16,
        /// A moved capability, or [`Handle::NONE`].
        cap: Handle,
    },
    /// A receive delivered a frame.
    Message {
        /// Bytes of the frame in the message page.
        len: u16,
        /// Kernel-stamped identity of the caller.
        service: ServiceId,
        /// Which run of that service: grows with every process ever created.
        incarnation: u32,
        /// Badge of the capability the caller used.
        badge: u64,
        /// One-shot reply token.
        token: u64,
        /// A moved capability, or [`Handle::NONE`].
        cap: Handle,
    },
    /// A receive or wait ended because these notification bits were set (and are now clear).
    Notified {
        /// The bits that were set and asked for.
        bits: u64,
    },
}

impl Return {
    /// Done, nothing to tell.
    pub const OK: Return = Return::Values([0; 4]);

    const KIND_VALUES: u64 = 0;
    const KIND_REPLIED: u64 = 1;
    const KIND_MESSAGE: u64 = 2;
    const KIND_NOTIFIED: u64 = 3;

    /// One value.
    #[must_use]
    pub const fn value(v: u64) -> Return {
        Return::Values([v, 0, 0, 0])
    }

    /// Registers a0..a6. Every register is written, so no kernel value leaks through one.
    #[inline]
    #[must_use]
    pub const fn to_regs(&self) -> [u64; 7] {
        match *self {
            Return::Values([a, b, c, d]) => [Self::KIND_VALUES, a, b, c, d, 0, 0],
            Return::Failed(e) => [(e as u64).wrapping_neg(), 0, 0, 0, 0, 0, 0],
            Return::Replied { len, cap } => {
                [Self::KIND_REPLIED, len as u64, cap.raw() as u64, 0, 0, 0, 0]
            }
            Return::Message { len, service, incarnation, badge, token, cap } => [
                Self::KIND_MESSAGE,
                len as u64 | ((incarnation as u64) << 32),
                service.0,
                badge,
                token,
                cap.raw() as u64,
                0,
            ],
            Return::Notified { bits } => [Self::KIND_NOTIFIED, bits, 0, 0, 0, 0, 0],
        }
    }

    /// Inverse of [`Return::to_regs`]. An error number this build does not know reads as
    /// [`Error::Denied`]: callers fail closed.
    #[inline]
    #[must_use]
    pub const fn from_regs(r: [u64; 7]) -> Return {
        match r[0] {
            Self::KIND_VALUES => Return::Values([r[1], r[2], r[3], r[4]]),
            Self::KIND_REPLIED => {
                Return::Replied { len: r[1] as u16, cap: Handle::from_raw(r[2] as u32) }
            }
            Self::KIND_MESSAGE => Return::Message {
                len: r[1] as u16,
                service: ServiceId(r[2]),
                incarnation: (r[1] >> 32) as u32,
                badge: r[3],
                token: r[4],
                cap: Handle::from_raw(r[5] as u32),
            },
            Self::KIND_NOTIFIED => Return::Notified { bits: r[1] },
            other => Return::Failed(match Error::from_code(other.wrapping_neg() as u8) {
                Some(e) => e,
                None => Error::Denied,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_survives_its_registers() {
        let message = Return::Message {
            len: 512,
            service: ServiceId(7),
            incarnation: u32::MAX,
            badge: u64::MAX,
            token: 1 << 40,
            cap: Handle::new(63, 9),
        };
        let mut all = vec![
            Return::OK,
            Return::Values([1, 2, 3, 4]),
            Return::Replied { len: 3, cap: Handle::NONE },
            message,
            Return::Notified { bits: 1 << 63 },
        ];
        all.extend(Error::ALL.iter().map(|e| Return::Failed(*e)));
        for r in all {
            assert_eq!(Return::from_regs(r.to_regs()), r);
        }
    }

    #[test]
    fn unknown_error_number_reads_as_denied() {
        let r = Return::from_regs([200u64.wrapping_neg(), 0, 0, 0, 0, 0, 0]);
        assert_eq!(r, Return::Failed(Error::Denied));
    }
}
