//! The audit record: one per decision, 128 bytes, the same in the lane, in the journal, in
//! frames and in tests.

use core::fmt::{self, Write as _};

use nexus_abi::EventKind;

use crate::{CAPABILITY_MAX, Capability, Field, Flaw, Out, Zero, text::TextWriter};

/// Records in one page of a query reply.
pub const PAGE_MAX: usize = 3;

/// Bytes that hold the text of any record.
pub const TEXT_MAX: usize = 448;

/// Added to an [`EventKind`] to make the operation of a kernel record.
const KERNEL_BASE: u8 = 32;

codes! {
    /// Which operation was decided.
    Op {
        /// CHECK.
        Check = 1 "check",
        /// ROUTE.
        Route = 2 "route",
        /// EXEC.
        Exec = 3 "exec",
        /// CHECK_CAP.
        CheckCap = 4 "check_cap",
        /// CHECK_CAP_DELEGATED.
        CheckCapDelegated = 5 "check_cap_delegated",
        /// ABI_PROFILE_GET.
        AbiProfile = 6 "abi_profile",
        /// A frame that did not decode; `args[0]` holds its version and operation bytes.
        Malformed = 7 "malformed",
        /// An unknown version or operation; `args[0]` as for malformed.
        Unsupported = 8 "unsupported",
        /// The authority started; `args[0]` is the policy version, `rule` the number of rules.
        PolicyLoad = 9 "policy_load",
        /// Records were lost; `target` counts them. The enforcer says whose: 0 is the kernel.
        Lost = 16 "lost",
        /// Kernel: a syscall outside the mask.
        KernelSyscallDenied = 33 "kernel.syscall-denied",
        /// Kernel: a right was missing.
        KernelCapDenied = 34 "kernel.cap-denied",
        /// Kernel: a capability was derived into another process.
        KernelCapDerived = 35 "kernel.cap-derived",
        /// Kernel: a revocation ran.
        KernelCapRevoked = 36 "kernel.cap-revoked",
        /// Kernel: a process was created.
        KernelProcessCreated = 37 "kernel.process-created",
        /// Kernel: a process ended.
        KernelProcessExited = 38 "kernel.process-exited",
        /// Kernel: a process was killed by a fault.
        KernelProcessFaulted = 39 "kernel.process-faulted",
        /// Kernel: a frame was refused for its size.
        KernelFrameRefused = 40 "kernel.frame-refused",
    }
}

impl Op {
    /// The operation under which a kernel event is recorded.
    #[must_use]
    pub const fn from_kernel(kind: EventKind) -> Option<Op> {
        Op::from_code((kind as u8).saturating_add(KERNEL_BASE))
    }

    /// Whether the kernel produced it.
    #[must_use]
    pub const fn is_kernel(self) -> bool {
        self.code() > KERNEL_BASE
    }
}

codes! {
    /// What was decided.
    Decision {
        /// Nothing: the record reports an event.
        None = 0 "none",
        /// Allowed.
        Allow = 1 "allow",
        /// Denied.
        Deny = 2 "deny",
    }
}

codes! {
    /// Why.
    Reason {
        /// A rule says so; `rule` tells which.
        Policy = 1 "policy",
        /// The sender spoke for somebody else without the right to.
        Identity = 2 "identity",
        /// The frame did not decode.
        Malformed = 3 "malformed",
        /// Unknown version or operation.
        Unsupported = 4 "unsupported",
        /// No rule grants it.
        Default = 5 "default",
        /// A gate of the granting rule is closed.
        Gate = 6 "gate",
        /// There is no valid policy.
        NoPolicy = 7 "no-policy",
        /// The decision had to be recorded and could not be.
        AuditUnavailable = 8 "audit-unavailable",
        /// The subject or target is not known.
        Unknown = 9 "unknown",
        /// A limit is used up.
        Limit = 10 "limit",
        /// The kernel reports it.
        Kernel = 11 "kernel",
        /// A lane or ring was full.
        Overflow = 12 "overflow",
    }
}

/// Facts about a record, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// Nothing to say.
    pub const NONE: Flags = Flags(0);
    /// The request carried a nonce.
    pub const NONCE: Flags = Flags(1);
    /// The sender spoke for the subject.
    pub const DELEGATED: Flags = Flags(2);
    /// The request came over the supervisor's private capability.
    pub const CONTROL: Flags = Flags(4);
    /// The capability's decisions must be recorded.
    pub const REQUIRED: Flags = Flags(8);
    const ALL: u8 = 15;

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    const fn from_bits(bits: u8) -> Option<Flags> {
        if bits & !Flags::ALL == 0 { Some(Flags(bits)) } else { None }
    }
}

/// A capability name inside a record: empty, or as [`Capability`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CapName {
    len: u8,
    bytes: [u8; CAPABILITY_MAX],
}

impl CapName {
    /// No capability.
    pub const NONE: CapName = CapName { len: 0, bytes: [0; CAPABILITY_MAX] };

    /// A copy of the name.
    #[inline]
    #[must_use]
    pub fn new(name: Capability<'_>) -> CapName {
        let mut cap = CapName::NONE;
        let source = name.as_bytes();
        if let Some(place) = cap.bytes.get_mut(..source.len()) {
            place.copy_from_slice(source);
            cap.len = source.len() as u8;
        }
        cap
    }

    /// The name's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or_default()
    }

    fn from_parts(len: u8, bytes: [u8; CAPABILITY_MAX]) -> Option<CapName> {
        let (name, tail) = bytes.split_at_checked(len as usize)?;
        let valid = name.is_empty() || Capability::from_bytes(name).is_some();
        let clean = tail.iter().all(|b| *b == 0);
        if valid && clean { Some(CapName { len, bytes }) } else { None }
    }
}

impl fmt::Debug for CapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Only characters that cannot change how a line reads.
impl fmt::Display for CapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| {
            let plain = byte.is_ascii_alphanumeric() || b"._-*".contains(byte);
            f.write_char(if plain { char::from(*byte) } else { '?' })
        })
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows by one per record produced; a gap is a counted loss. Set by the lane.
    pub seq: u64,
    /// Which boot.
    pub boot_id: u64,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// What was asked.
    pub op: Op,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Facts.
    pub flags: Flags,
    /// Nonce of the request, 0 without one.
    pub nonce: u32,
    /// Kernel-stamped sender of the request; 0 is the kernel.
    pub enforcer: u64,
    /// Whom the decision is about.
    pub subject: u64,
    /// Whom or what the subject wants to reach, 0 if nothing.
    pub target: u64,
    /// The rule that decided, 0 if none.
    pub rule: u32,
    /// The capability asked for.
    pub cap: CapName,
    /// Further facts, see the operation; for kernel records the event's arguments, for EXEC the
    /// image id.
    pub args: [u64; 2],
}

impl Record {
    /// Encoded bytes.
    pub const BYTES: usize = 128;
    /// Encoded little-endian words.
    pub const WORDS: usize = 16;

    /// A record of nothing yet, to be filled in.
    #[must_use]
    pub const fn new(op: Op, decision: Decision, reason: Reason) -> Record {
        Record {
            seq: 0,
            boot_id: 0,
            time_ns: 0,
            op,
            decision,
            reason,
            flags: Flags::NONE,
            nonce: 0,
            enforcer: 0,
            subject: 0,
            target: 0,
            rule: 0,
            cap: CapName::NONE,
            args: [0; 2],
        }
    }

    /// The words: seq, boot, time, (op, decision, reason, flags, nonce), enforcer, subject,
    /// target, (rule, capability length, zeros), capability in six, args in two.
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let [n0, n1, n2, n3] = self.nonce.to_le_bytes();
        let [r0, r1, r2, r3] = self.rule.to_le_bytes();
        let what = [self.op.code(), self.decision.code(), self.reason.code(), self.flags.0];
        let [w0, w1, w2, w3] = what;
        let [c0, c1, c2, c3, c4, c5] = cap_words(&self.cap.bytes);
        [
            self.seq,
            self.boot_id,
            self.time_ns,
            u64::from_le_bytes([w0, w1, w2, w3, n0, n1, n2, n3]),
            self.enforcer,
            self.subject,
            self.target,
            u64::from_le_bytes([r0, r1, r2, r3, self.cap.len, 0, 0, 0]),
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            self.args[0],
            self.args[1],
        ]
    }

    /// Inverse of [`Record::to_words`]; `None` for unknown numbers or non-zero padding.
    #[must_use]
    pub fn from_words(words: &[u64; Self::WORDS]) -> Option<Record> {
        let [seq, boot_id, time_ns, what, enforcer, subject, target, rule, cap @ .., a0, a1] =
            *words;
        let [op, decision, reason, flags, n0, n1, n2, n3] = what.to_le_bytes();
        let [r0, r1, r2, r3, cap_len, 0, 0, 0] = rule.to_le_bytes() else { return None };
        Some(Record {
            seq,
            boot_id,
            time_ns,
            op: Op::from_code(op)?,
            decision: Decision::from_code(decision)?,
            reason: Reason::from_code(reason)?,
            flags: Flags::from_bits(flags)?,
            nonce: u32::from_le_bytes([n0, n1, n2, n3]),
            enforcer,
            subject,
            target,
            rule: u32::from_le_bytes([r0, r1, r2, r3]),
            cap: CapName::from_parts(cap_len, cap_bytes(&cap))?,
            args: [a0, a1],
        })
    }

    /// The words as little-endian bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let (chunks, _) = out.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(self.to_words()) {
            *chunk = word.to_le_bytes();
        }
        out
    }

    /// Inverse of [`Record::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<Record> {
        let mut words = [0; Self::WORDS];
        let (chunks, _) = bytes.as_chunks::<8>();
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*chunk);
        }
        Record::from_words(&words)
    }

    /// The text form in `buf`.
    pub fn text<'b>(&self, buf: &'b mut [u8; TEXT_MAX]) -> &'b str {
        let mut out = TextWriter::new(buf);
        // INVARIANT: writing into a TextWriter cannot fail, and TEXT_MAX holds every record.
        let _never_fails = write!(out, "{self}");
        out.into_str()
    }
}

#[inline]
fn cap_words(bytes: &[u8; CAPABILITY_MAX]) -> [u64; 6] {
    let mut words = [0; 6];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

fn cap_bytes(words: &[u64; 6]) -> [u8; CAPABILITY_MAX] {
    let mut bytes = [0; CAPABILITY_MAX];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    bytes
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, decision) = (self.op.name(), self.decision.name());
        write!(f, "audit v1 op={op} decision={decision} subject=0x{:016x}", self.subject)?;
        write!(f, " target=0x{:016x} reason={}", self.target, self.reason.name())?;
        if self.cap != CapName::NONE {
            write!(f, " cap={}", self.cap)?;
        }
        write!(f, " enforcer=0x{:016x} rule={}", self.enforcer, self.rule)?;
        if self.flags.has(Flags::NONCE) {
            write!(f, " nonce=0x{:08x}", self.nonce)?;
        }
        for (flag, name) in [
            (Flags::DELEGATED, " delegated"),
            (Flags::CONTROL, " control"),
            (Flags::REQUIRED, " required"),
        ] {
            f.write_str(if self.flags.has(flag) { name } else { "" })?;
        }
        if let [a0, a1] = self.args
            && a0 | a1 != 0
        {
            write!(f, " args=0x{a0:x},0x{a1:x}")?;
        }
        write!(f, " seq={} time_ns={} boot=0x{:016x}", self.seq, self.time_ns, self.boot_id)
    }
}

/// The records of one query reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a>(&'a [[u8; Record::BYTES]]);

impl<'a> Page<'a> {
    /// From encoded records; `None` if there are more than [`PAGE_MAX`] or one is not a record.
    #[must_use]
    pub fn new(records: &'a [[u8; Record::BYTES]]) -> Option<Self> {
        let bounded = records.len() <= PAGE_MAX;
        let valid = bounded && records.iter().all(|r| Record::decode(r).is_some());
        if valid { Some(Page(records)) } else { None }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Record> + use<'a> {
        self.0.iter().filter_map(Record::decode)
    }
}

impl Zero for Page<'_> {
    const ZERO: Self = Page(&[]);
}

impl<'a> Field<'a> for Page<'a> {
    const KIND: &'static str = "audit records (count u8, 128 bytes each)";
    const MIN: usize = 1;
    const MAX: usize = 1 + PAGE_MAX * Record::BYTES;
    fn take(input: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let (count, rest) = u8::take(input)?;
        let len = (count as usize).saturating_mul(Record::BYTES);
        let (bytes, rest) = rest.split_at_checked(len).ok_or(Flaw::Malformed)?;
        let (records, _) = bytes.as_chunks();
        Ok((Page::new(records).ok_or(Flaw::Malformed)?, rest))
    }
    fn put(&self, out: &mut Out<'_>) {
        out.array([self.0.len() as u8]);
        self.0.iter().for_each(|record| out.array(*record));
    }
}

#[cfg(test)]
mod tests;
