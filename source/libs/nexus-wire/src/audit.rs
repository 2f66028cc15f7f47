//! The audit record: one per decision, 128 bytes, the same in the lane, in the journal, in
//! frames and in tests.

mod cap;
mod codes;
mod page;
mod seal;

use core::fmt::{self, Write as _};

pub use self::{
    cap::CapName,
    codes::{Decision, Flags, Op, Reason},
    page::{ChainPage, Chained, PAGE_MAX, Page},
    seal::{SealReply, SealRequest},
};
use crate::text::TextWriter;

/// Bytes that hold the text of any record.
pub const TEXT_MAX: usize = 448;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows by one per record produced; a gap is a counted loss. Set by the lane.
    pub seq: u64,
    /// Which boot.
    pub boot: u32,
    /// Which policy was in force, so that the record alone names the one whose `rule` it quotes:
    /// see [`policy_tag`]. 0 where none decided.
    pub policy: u32,
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
            boot: 0,
            policy: 0,
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

    /// The words: seq, (boot, policy), time, (op, decision, reason, flags, nonce), enforcer, subject,
    /// target, (rule, capability length, zeros), capability in six, args in two.
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let [n0, n1, n2, n3] = self.nonce.to_le_bytes();
        let [r0, r1, r2, r3] = self.rule.to_le_bytes();
        let what = [self.op.code(), self.decision.code(), self.reason.code(), self.flags.0];
        let [w0, w1, w2, w3] = what;
        let [c0, c1, c2, c3, c4, c5] = self.cap.words();
        [
            self.seq,
            halves(self.boot, self.policy),
            self.time_ns,
            u64::from_le_bytes([w0, w1, w2, w3, n0, n1, n2, n3]),
            self.enforcer,
            self.subject,
            self.target,
            u64::from_le_bytes([r0, r1, r2, r3, self.cap.len(), 0, 0, 0]),
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
        let [seq, which, time_ns, what, enforcer, subject, target, rule, cap @ .., a0, a1] = *words;
        let [op, decision, reason, flags, n0, n1, n2, n3] = what.to_le_bytes();
        let [r0, r1, r2, r3, cap_len, 0, 0, 0] = rule.to_le_bytes() else { return None };
        Some(Record {
            seq,
            boot: which as u32,
            policy: (which >> 32) as u32,
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
            cap: CapName::from_words(cap_len, &cap)?,
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
            (Flags::CLAIMED, " claimed"),
        ] {
            f.write_str(if self.flags.has(flag) { name } else { "" })?;
        }
        if let [a0, a1] = self.args
            && a0 | a1 != 0
        {
            write!(f, " args=0x{a0:x},0x{a1:x}")?;
        }
        write!(f, " seq={} time_ns={} boot=0x{:08x}", self.seq, self.time_ns, self.boot)?;
        if self.policy == 0 { Ok(()) } else { write!(f, " policy={}", PolicyTag(self.policy)) }
    }
}

/// What [`Record::policy`] says of a policy with this digest: its first four bytes, as a
/// little-endian number.
#[must_use]
pub fn policy_tag(digest: &[u8; 32]) -> u32 {
    digest.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A policy's tag as text: the first eight digits of its digest, as tools print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyTag(pub u32);

impl fmt::Display for PolicyTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_le_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Two numbers as one word, the first one below.
#[inline]
const fn halves(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

#[cfg(test)]
mod tests;
