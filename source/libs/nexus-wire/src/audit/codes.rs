//! What a record can say.

use nexus_abi::EventKind;

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
        /// The authority started; `args` are the policy's version and the first eight
        /// bytes of its digest, `rule` the number of rules.
        PolicyLoad = 9 "policy_load",
        /// RELOAD; `args` are the version now in force and the one offered, 0 if unreadable.
        PolicyReload = 10 "policy_reload",
        /// A key signed, verified or derived; `target` is the key. As for every outcome up to
        /// `shutdown`, the enforcer is the lane's producer and `args[0]` the record of the
        /// decision that allowed it, 0 if there was none or it is gone; `args[1]` is the
        /// enforcer's own detail.
        KeyUse = 11 "key_use",
        /// A key was made, rotated, retired or revoked; `target` is the key.
        KeyLifecycle = 12 "key_lifecycle",
        /// A secret was put, read or deleted; `target` is its owner.
        Secret = 13 "secret",
        /// The device attested its state to a challenger.
        Attest = 14 "attest",
        /// An anti-rollback counter moved; `target` is the counter.
        Counter = 15 "counter",
        /// Records were lost; `target` counts them. The enforcer says whose: 0 is the kernel.
        Lost = 16 "lost",
        /// The journal dropped old records of the subject, which held most, to make room:
        /// `target` counts them, `nonce` the denials among them, `args` are the first and the
        /// last number.
        Dropped = 17 "dropped",
        /// The audit itself got worse or better: deny is degraded, allow is well again; `args`
        /// are what it was about and how much (losses, damaged slots, records waiting).
        Health = 18 "health",
        /// Durable state was opened, refused or found damaged.
        State = 19 "state",
        /// The entropy source failed its tests, or passes them again.
        Entropy = 20 "entropy",
        /// A checkpoint of this journal was signed; `target` is its number, `args` are the key's
        /// generation and the boot counter. Deny: a seal came that fits no checkpoint.
        Seal = 21 "seal",
        /// An orderly end was asked for; after it only what the end itself says.
        Shutdown = 22 "shutdown",
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

    /// Whether it tells what became of an allowed act, not that it was allowed. Enforcers other
    /// than the authority may report these and no others.
    #[must_use]
    pub const fn is_outcome(self) -> bool {
        use Op::{Attest, Counter, Entropy, KeyLifecycle, KeyUse, Seal, Secret, Shutdown, State};
        matches!(
            self,
            KeyUse | KeyLifecycle | Secret | Attest | Counter | State | Entropy | Seal | Shutdown
        )
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
        /// Space was needed for others.
        Quota = 13 "quota",
        /// Records were lost or damaged, or wait too long.
        Degraded = 14 "degraded",
        /// It was done.
        Done = 15 "done",
        /// It was tried and did not work.
        Failed = 16 "failed",
        /// The enforcer's own rules forbid it, whatever policy says.
        Refused = 17 "refused",
        /// What it was about does not exist.
        Missing = 18 "missing",
        /// What it was about does not pass its own checks.
        Damaged = 19 "damaged",
        /// It is older than what was seen before.
        Rollback = 20 "rollback",
        /// It was revoked or retired.
        Revoked = 21 "revoked",
        /// The entropy source is not healthy.
        Unhealthy = 22 "unhealthy",
        /// Reload: no sealed memory object came along, or it cannot be read.
        BlobMissing = 32 "blob-missing",
        /// Reload: the policy is larger than the authority can hold.
        BlobTooLarge = 33 "blob-too-large",
        /// Reload: the policy is shorter than it says.
        BlobTruncated = 34 "blob-truncated",
        /// Reload: not a policy, or one that contradicts itself.
        BlobMalformed = 35 "blob-malformed",
        /// Reload: the digest does not match the content.
        BlobDigest = 36 "blob-digest",
        /// Reload: nobody signed it.
        BlobUnsigned = 37 "blob-unsigned",
        /// Reload: signed with another key than the one the image trusts.
        BlobForeignKey = 38 "blob-foreign-key",
        /// Reload: the signature does not belong to this policy.
        BlobBadSignature = 39 "blob-bad-signature",
        /// Reload: not newer than the policy in force.
        BlobNotNewer = 40 "blob-not-newer",
    }
}

code_field!(Reason, zero BlobMissing);

/// Facts about a record, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub(super) u8);

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
    /// The producer named another enforcer than itself; what stands there is the producer.
    pub const CLAIMED: Flags = Flags(16);
    pub(super) const ALL: u8 = 31;

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

    pub(super) const fn from_bits(bits: u8) -> Option<Flags> {
        if bits & !Flags::ALL == 0 { Some(Flags(bits)) } else { None }
    }
}
