//! The syscall table: number, name, arguments, rights, results, errors. Everything that
//! speaks of syscalls is derived from it, so an unhandled row does not compile.

use crate::{Error, Handle, Rights, ServiceId, layout::FRAME_MAX};

/// A value that travels in one argument register.
pub trait Arg: Copy {
    /// Type name in the reference page.
    const NAME: &'static str;
    /// Checks and converts a register.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] (or a more precise one) when the register holds no such value.
    fn from_reg(reg: u64) -> Result<Self, Error>;
    /// The register for this value.
    fn to_reg(self) -> u64;
}

macro_rules! plain_arg {
    ($($ty:ty),+) => {$(
        impl Arg for $ty {
            const NAME: &'static str = stringify!($ty);
            #[inline(always)]
            fn from_reg(reg: u64) -> Result<Self, Error> {
                <$ty>::try_from(reg).map_err(|_| Error::InvalidArgument)
            }
            #[inline(always)]
            fn to_reg(self) -> u64 { self as u64 }
        }
    )+};
}
plain_arg!(u64, u32, u8);

impl Arg for i32 {
    const NAME: &'static str = "i32";
    fn from_reg(reg: u64) -> Result<Self, Error> {
        i32::try_from(reg as i64).map_err(|_| Error::InvalidArgument)
    }
    fn to_reg(self) -> u64 {
        self as i64 as u64
    }
}

impl Arg for Handle {
    const NAME: &'static str = "Handle";
    #[inline(always)]
    fn from_reg(reg: u64) -> Result<Self, Error> {
        u32::try_from(reg).map(Handle::from_raw).map_err(|_| Error::BadHandle)
    }
    #[inline(always)]
    fn to_reg(self) -> u64 {
        self.raw() as u64
    }
}

impl Arg for Rights {
    const NAME: &'static str = "Rights";
    fn from_reg(reg: u64) -> Result<Self, Error> {
        u16::try_from(reg).ok().and_then(Rights::from_bits).ok_or(Error::InvalidArgument)
    }
    fn to_reg(self) -> u64 {
        self.bits() as u64
    }
}

impl Arg for ServiceId {
    const NAME: &'static str = "ServiceId";
    fn from_reg(reg: u64) -> Result<Self, Error> {
        Ok(ServiceId(reg))
    }
    fn to_reg(self) -> u64 {
        self.0
    }
}

/// Length of a frame in bytes, at most [`FRAME_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLen(u16);

impl FrameLen {
    /// # Errors
    /// [`Error::TooLarge`] above [`FRAME_MAX`].
    #[inline(always)]
    pub const fn new(len: usize) -> Result<FrameLen, Error> {
        if len > FRAME_MAX { Err(Error::TooLarge) } else { Ok(FrameLen(len as u16)) }
    }

    /// Bytes.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Arg for FrameLen {
    const NAME: &'static str = "FrameLen";
    #[inline(always)]
    fn from_reg(reg: u64) -> Result<Self, Error> {
        if reg > FRAME_MAX as u64 { Err(Error::TooLarge) } else { Ok(FrameLen(reg as u16)) }
    }
    #[inline(always)]
    fn to_reg(self) -> u64 {
        self.0 as u64
    }
}

macro_rules! arg_enum {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $n:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant = $n,)+ }
        impl Arg for $name {
            const NAME: &'static str = stringify!($name);
            fn from_reg(reg: u64) -> Result<Self, Error> {
                match reg { $($n => Ok($name::$variant),)+ _ => Err(Error::InvalidArgument) }
            }
            fn to_reg(self) -> u64 { self as u64 }
        }
    };
}

arg_enum! {
    /// What memory a VMO is made of.
    VmoKind {
        /// Zeroed RAM.
        Ram = 0,
        /// Zeroed contiguous RAM whose physical address a holder of the DMA right may learn.
        Dma = 1,
    }
}
arg_enum! {
    /// How a VMO is sealed; irreversible.
    Seal {
        /// Never writable again.
        ReadOnly = 0,
        /// Never writable again, and executable mappings are allowed.
        Exec = 1,
    }
}
arg_enum! {
    /// Protection of a mapping. There is no writable and executable one.
    Prot {
        /// Read.
        Read = 1,
        /// Read and write.
        ReadWrite = 3,
        /// Read and execute; needs a VMO sealed with [`Seal::Exec`].
        ReadExec = 5,
    }
}
arg_enum! {
    /// What `object_info` is asked for.
    Topic {
        /// The caller (`cap` is NONE): service id, incarnation, syscall mask, priority.
        Caller = 0,
        /// A capability: kind (see `CapKind`), rights, badge, 0.
        Cap = 1,
        /// A process: state (0 created, 1 running, 2 exited, 3 faulted, 4 killed), exit code or
        /// [`crate::FaultCause`], fault address, incarnation.
        Process = 2,
        /// A VMO: bytes, seal (0 none, 1 read-only, 2 exec), physical address (0 without the DMA
        /// right), 1 if it is a device window.
        Vmo = 3,
        /// The kernel log: moves the oldest events into the message page; values are events
        /// moved, events dropped since boot, events still waiting, 0. Needs AUDIT.
        Events = 4,
        /// The caller: frames used, frames allowed, objects used, objects allowed.
        Quota = 5,
    }
}
arg_enum! {
    /// What `source_control` does with an event source.
    SourceOp {
        /// Signal bit `bit` of `notif` whenever the source has something.
        Bind = 0,
        /// Interrupts: handled, unmask the line.
        Ack = 1,
    }
}
arg_enum! {
    /// Kinds of objects, as `object_info(Cap)` numbers them.
    CapKind {
        /// IPC endpoint.
        Endpoint = 1,
        /// Notification.
        Notification = 2,
        /// Memory object.
        Vmo = 3,
        /// Interrupt line.
        Irq = 4,
        /// Process factory.
        Factory = 5,
        /// Process.
        Process = 6,
        /// Kernel event ring.
        KernelLog = 7,
    }
}

/// Frames and objects a process may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Physical frames, page tables and message page included.
    pub frames: u32,
    /// Endpoints, notifications, VMOs and child processes together.
    pub objects: u16,
}

impl Arg for Quota {
    const NAME: &'static str = "Quota";
    fn from_reg(reg: u64) -> Result<Self, Error> {
        let objects = u16::try_from(reg >> 32).map_err(|_| Error::InvalidArgument)?;
        Ok(Quota { frames: reg as u32, objects })
    }
    fn to_reg(self) -> u64 {
        self.frames as u64 | ((self.objects as u64) << 32)
    }
}

/// What a factory may give to the processes it makes; travels packed in one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactoryCeiling {
    /// First service id.
    pub first_id: u16,
    /// Ids, as a power of two: `1 << count_log2`, exponent at most 15.
    pub count_log2: u8,
    /// Highest priority, 0..=7.
    pub priority: u8,
    /// Largest syscall mask.
    pub mask: SyscallMask,
    /// Frames for all its processes together, in units of [`Self::FRAME_UNIT`], at most 4095.
    pub frame_units: u16,
    /// Objects for all its processes together, in units of [`Self::OBJECT_UNIT`], at most 127.
    pub object_units: u8,
}

impl FactoryCeiling {
    /// Frames per unit.
    pub const FRAME_UNIT: u32 = 16;
    /// Objects per unit.
    pub const OBJECT_UNIT: u16 = 16;
    const MASK_BITS: u64 = (1 << 22) - 1;

    /// Bits 0..16 first id, 16..20 count, 20..23 priority, 23..45 mask, 45..57 frames,
    /// 57..64 objects. `None` when a field is over its bound.
    #[must_use]
    pub const fn pack(self) -> Option<u64> {
        let fits = self.count_log2 < 16
            && self.priority < 8
            && self.mask.0 <= Self::MASK_BITS
            && self.frame_units < 4096
            && self.object_units < 128;
        if !fits {
            return None;
        }
        Some(
            self.first_id as u64
                | ((self.count_log2 as u64) << 16)
                | ((self.priority as u64) << 20)
                | (self.mask.0 << 23)
                | ((self.frame_units as u64) << 45)
                | ((self.object_units as u64) << 57),
        )
    }

    /// Inverse of [`Self::pack`]; every bit pattern is some ceiling.
    #[must_use]
    pub const fn unpack(bits: u64) -> FactoryCeiling {
        FactoryCeiling {
            first_id: bits as u16,
            count_log2: ((bits >> 16) & 0xf) as u8,
            priority: ((bits >> 20) & 0x7) as u8,
            mask: SyscallMask((bits >> 23) & Self::MASK_BITS),
            frame_units: ((bits >> 45) & 0xfff) as u16,
            object_units: ((bits >> 57) & 0x7f) as u8,
        }
    }
}

/// Which syscalls a process may make; bit n is syscall number n. Only ever shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SyscallMask(pub u64);

impl SyscallMask {
    /// Every syscall of the table.
    pub const ALL: SyscallMask = SyscallMask((1 << SPECS.len()) - 1);

    /// Whether number `nr` is inside; numbers of 64 and above never are.
    #[inline(always)]
    #[must_use]
    pub const fn allows(self, nr: u64) -> bool {
        nr < 64 && (self.0 >> nr) & 1 == 1
    }

    /// Whether every syscall of `other` is inside.
    #[must_use]
    pub const fn contains(self, other: SyscallMask) -> bool {
        other.0 & !self.0 == 0
    }

    /// The mask with syscall number `nr` added; numbers outside the table change nothing.
    #[must_use]
    pub const fn with(self, nr: u64) -> SyscallMask {
        if nr < SPECS.len() as u64 { SyscallMask(self.0 | (1 << nr)) } else { self }
    }
}

impl Arg for SyscallMask {
    const NAME: &'static str = "SyscallMask";
    fn from_reg(reg: u64) -> Result<Self, Error> {
        Ok(SyscallMask(reg))
    }
    fn to_reg(self) -> u64 {
        self.0
    }
}

/// One row of the table, for the reference page, masks by name and the trace printer.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Number, in `a7`.
    pub number: u64,
    /// Name as the manifest and the documents write it.
    pub name: &'static str,
    /// Argument names and types, in `a0..`.
    pub args: &'static [(&'static str, &'static str)],
    /// Rights the arguments need.
    pub rights: &'static str,
    /// What comes back.
    pub returns: &'static str,
    /// Errors beyond `Denied`, `BadHandle`, `StaleHandle`, `WrongType`, `InvalidArgument`.
    pub errors: &'static [Error],
    /// What it does.
    pub doc: &'static str,
}

macro_rules! syscalls {
    ($(
        $(#[doc = $doc:literal])+
        $nr:literal $name:literal $variant:ident { $($arg:ident: $ty:ty),* }
        needs $rights:literal gives $returns:literal fails [$($err:ident),*];
    )+) => {
        /// A decoded syscall.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "arguments are documented once, in the table row")]
        pub enum Call { $($(#[doc = $doc])+ $variant { $($arg: $ty),* },)+ }

        /// The table, ordered by number.
        pub const SPECS: &[Spec] = &[$(Spec {
            number: $nr,
            name: $name,
            args: &[$((stringify!($arg), <$ty as Arg>::NAME)),*],
            rights: $rights,
            returns: $returns,
            errors: &[$(Error::$err),*],
            doc: concat!($($doc, "\n"),+),
        }),+];

        impl Call {
            /// The only decoder.
            ///
            /// # Errors
            /// [`Error::Denied`] for an unknown number, else what the first bad argument says.
            #[inline(always)]
            #[allow(unused_variables, unused_assignments, unused_mut, reason = "rows without arguments")]
            pub fn decode(nr: u64, regs: &[u64; 6]) -> Result<Call, Error> {
                match nr {
                    $($nr => {
                        let mut regs = regs.iter();
                        Ok(Call::$variant { $($arg: {
                            let Some(reg) = regs.next() else { return Err(Error::InvalidArgument) };
                            <$ty as Arg>::from_reg(*reg)?
                        }),* })
                    })+
                    _ => Err(Error::Denied),
                }
            }

            /// Number and argument registers; inverse of [`Call::decode`].
            #[inline(always)]
            #[allow(unused_mut, unused_variables, reason = "rows without arguments")]
            #[must_use]
            pub fn encode(&self) -> (u64, [u64; 6]) {
                let mut regs = [0u64; 6];
                match *self {
                    $(Call::$variant { $($arg),* } => {
                        let mut slots = regs.iter_mut();
                        $(if let Some(slot) = slots.next() { *slot = Arg::to_reg($arg); })*
                        ($nr, regs)
                    })+
                }
            }
        }

        /// Syscall numbers by name, for masks.
        pub mod nr {
            $(#[doc = concat!("Number of `", $name, "`.")]
              #[allow(non_upper_case_globals, reason = "named after the Call variant")]
              pub const $variant: u64 = $nr;)+
        }
    };
}

syscalls! {
    /// Sends the frame to an endpoint's server and waits for its one reply, which replaces the
    /// frame. `cap` moves along; without DERIVE it arrives without GRANT. Unblocks with an error when the deadline passes, the server
    /// dies or the capability is revoked.
    0 "call" Call { ep: Handle, len: FrameLen, cap: Handle, deadline_ns: u64 }
        needs "CALL on ep; GRANT on cap" gives "Replied { len, cap }"
        fails [TooLarge, MissingRight, TimedOut, PeerDied, Revoked, Busy];
    /// Waits for a frame on the endpoint, or for bits of `mask` in its bound notification.
    1 "recv" Recv { ep: Handle, mask: u64, deadline_ns: u64 }
        needs "RECV on ep, and being its server" gives "Message { .. } or Notified { bits }"
        fails [MissingRight, TimedOut, Revoked, NoSpace];
    /// `reply`, then `recv`, in one trap. If the reply fails nothing is received.
    2 "reply_recv" ReplyRecv { token: u64, len: FrameLen, cap: Handle, ep: Handle, mask: u64, deadline_ns: u64 }
        needs "the token; GRANT on cap; RECV on ep" gives "Message { .. } or Notified { bits }"
        fails [TooLarge, MissingRight, StaleReply, TimedOut, Revoked, NoSpace];
    /// Answers the call the token stands for; once, and only from the process that received it.
    3 "reply" Reply { token: u64, len: FrameLen, cap: Handle }
        needs "the token; GRANT on cap" gives "nothing" fails [TooLarge, MissingRight, StaleReply, NoSpace];
    /// Sets bits of a notification and wakes its waiter.
    4 "signal" Signal { notif: Handle, bits: u64 }
        needs "SIGNAL" gives "nothing" fails [MissingRight];
    /// Waits for bits of a notification; without one, sleeps until the deadline.
    5 "wait" Wait { notif: Handle, mask: u64, deadline_ns: u64 }
        needs "WAIT" gives "Notified { bits }" fails [MissingRight, TimedOut, Revoked, Busy];
    /// Makes an endpoint; the caller is its server until RECV is derived into a child. A bound
    /// notification is waited for together with the endpoint.
    6 "endpoint_create" EndpointCreate { notif: Handle }
        needs "WAIT on notif, if given" gives "handle with all endpoint rights"
        fails [NoSpace, QuotaExceeded, MissingRight, Busy];
    /// Makes a notification.
    7 "notif_create" NotifCreate { }
        needs "nothing" gives "handle with all notification rights" fails [NoSpace, QuotaExceeded];
    /// Makes a zeroed memory object of `len` bytes (whole pages). DMA memory needs a factory
    /// capability with the DMA right as `authority`; RAM takes NONE.
    8 "vmo_create" VmoCreate { len: u64, kind: VmoKind, authority: Handle }
        needs "DMA on authority, for Dma" gives "handle with all VMO rights"
        fails [NoSpace, QuotaExceeded, MissingRight];
    /// Seals a memory object for ever. Refused while any writable mapping of it exists, and for
    /// device windows and DMA memory.
    9 "vmo_seal" VmoSeal { vmo: Handle, seal: Seal }
        needs "MANAGE" gives "nothing" fails [MissingRight, WriteXorExecute, WrongState];
    /// Maps part of a memory object into a process (NONE: the caller; else one of its children).
    10 "vm_map" VmMap { proc: Handle, vmo: Handle, va: u64, offset: u64, len: u64, prot: Prot }
        needs "READ, WRITE, EXEC on vmo as prot says; MANAGE on proc" gives "nothing"
        fails [MissingRight, Overlap, WriteXorExecute, NoSpace, QuotaExceeded];
    /// Removes whole mappings that start and end inside the range.
    11 "vm_unmap" VmUnmap { proc: Handle, va: u64, len: u64 }
        needs "MANAGE on proc" gives "mappings removed" fails [MissingRight];
    /// Derives a capability with fewer or equal rights, into the caller or into slot `slot` of a
    /// child that has not started. A badge can be set once, on an endpoint without one. On a
    /// factory a non-zero badge is a packed [`FactoryCeiling`]: a narrower factory is made, and
    /// its frames and objects are taken out of the source factory's budget.
    12 "cap_derive" CapDerive { cap: Handle, rights: Rights, badge: u64, child: Handle, slot: u8 }
        needs "DERIVE on cap, and every right asked for; MANAGE on child" gives "handle"
        fails [MissingRight, NoSpace, WrongState, Busy, OutsideCeiling, QuotaExceeded];
    /// Destroys everything derived from the capability, everywhere: handles, in-flight calls,
    /// mappings. The capability itself stays.
    13 "cap_revoke" CapRevoke { cap: Handle }
        needs "MANAGE" gives "capabilities destroyed" fails [MissingRight];
    /// Gives a capability up. What was derived from it stays, under its parent.
    14 "cap_close" CapClose { cap: Handle } needs "nothing" gives "nothing" fails [];
    /// Tells about an object; see [`Topic`].
    15 "object_info" ObjectInfo { cap: Handle, topic: Topic }
        needs "per topic" gives "four values; for Events also the message page" fails [MissingRight];
    /// Binds an event source (interrupt, process death, kernel log) to a notification bit, or
    /// acknowledges an interrupt.
    16 "source_control" SourceControl { source: Handle, op: SourceOp, notif: Handle, bit: u8 }
        needs "MANAGE on source (AUDIT for the kernel log); SIGNAL on notif" gives "nothing"
        fails [MissingRight];
    /// Makes a process that does not run yet, inside the factory's id range, mask ceiling,
    /// priority ceiling and remaining quota. Nothing is inherited.
    17 "proc_create" ProcCreate { factory: Handle, service: ServiceId, mask: SyscallMask, quota: Quota, priority: u8 }
        needs "MANAGE on factory" gives "process handle"
        fails [MissingRight, OutsideCeiling, NoSpace, QuotaExceeded, Busy];
    /// Starts a created process at `entry` with stack pointer `sp` and `arg` in a0.
    18 "proc_start" ProcStart { proc: Handle, entry: u64, sp: u64, arg: u64 }
        needs "MANAGE" gives "nothing" fails [MissingRight, WrongState];
    /// Ends a process: NONE is the caller, else a child.
    19 "proc_exit" ProcExit { proc: Handle, code: i32 }
        needs "MANAGE, if not the caller" gives "nothing; does not return for the caller"
        fails [MissingRight, WrongState];
    /// Appends the frame to the caller's console line; each finished line is printed with the
    /// caller's service id, stamped by the kernel.
    20 "console_write" ConsoleWrite { len: FrameLen } needs "nothing" gives "nothing" fails [TooLarge];
    /// Removes syscalls from the caller's own mask; bits it does not have stay off.
    21 "mask_shrink" MaskShrink { keep: SyscallMask } needs "nothing" gives "the mask now in force" fails [];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_dense_and_small() {
        assert!(SPECS.len() <= 22);
        for (i, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.number, i as u64);
            assert!(spec.args.len() <= 6);
        }
    }

    #[test]
    fn calls_survive_their_registers() {
        let len = FrameLen::new(FRAME_MAX).unwrap();
        let h = Handle::new(63, 0xff_ffff);
        let calls = [
            Call::Call { ep: h, len, cap: Handle::NONE, deadline_ns: u64::MAX },
            Call::ReplyRecv { token: 9, len, cap: h, ep: h, mask: 5, deadline_ns: 1 },
            Call::CapDerive { cap: h, rights: Rights::ALL, badge: 7, child: h, slot: 63 },
            Call::ProcCreate {
                factory: h,
                service: ServiceId(u64::MAX),
                mask: SyscallMask::ALL,
                quota: Quota { frames: u32::MAX, objects: u16::MAX },
                priority: 7,
            },
            Call::ProcExit { proc: Handle::NONE, code: i32::MIN },
            Call::NotifCreate {},
        ];
        for call in calls {
            let (nr, regs) = call.encode();
            assert_eq!(Call::decode(nr, &regs), Ok(call));
        }
    }

    #[test]
    fn factory_ceiling_fits_one_register() {
        let full = FactoryCeiling {
            first_id: u16::MAX,
            count_log2: 15,
            priority: 7,
            mask: SyscallMask::ALL,
            frame_units: 4095,
            object_units: 127,
        };
        assert_eq!(full.pack(), Some(u64::MAX));
        assert_eq!(FactoryCeiling::unpack(u64::MAX), full);
        assert_eq!(FactoryCeiling { count_log2: 16, ..full }.pack(), None);
        assert_eq!(FactoryCeiling { frame_units: 4096, ..full }.pack(), None);
        let small = FactoryCeiling { first_id: 900, count_log2: 5, priority: 2, ..full };
        assert_eq!(FactoryCeiling::unpack(small.pack().unwrap()), small);
    }

    #[test]
    fn test_reject_bad_registers() {
        assert_eq!(Call::decode(22, &[0; 6]), Err(Error::Denied));
        assert_eq!(Call::decode(u64::MAX, &[0; 6]), Err(Error::Denied));
        let one_too_long = FRAME_MAX as u64 + 1;
        assert_eq!(
            Call::decode(nr::ConsoleWrite, &[one_too_long, 0, 0, 0, 0, 0]),
            Err(Error::TooLarge)
        );
        assert_eq!(Call::decode(nr::CapClose, &[1 << 32, 0, 0, 0, 0, 0]), Err(Error::BadHandle));
        let writable_and_executable = [0, 0, 0, 0, 0, 7];
        assert_eq!(Call::decode(nr::VmMap, &writable_and_executable), Err(Error::InvalidArgument));
        assert!(!SyscallMask(u64::MAX).allows(64));
    }
}
