//! What a decision is: never a bare bool.
use crate::layout::{CELL_DENY, CELL_VALUE_SHIFT, NameHeader};

/// Allow or deny. Deny is the default in every sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Effect {
    /// The request is refused.
    #[default]
    Deny = 0,
    /// The request is granted.
    Allow = 1,
}

/// Why a decision came out as it did. The codes are stable: audit records carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A rule grants it and none forbids it.
    Allowed = 0,
    /// A deny rule forbids it, whatever else would grant it.
    DeniedByRule = 1,
    /// No rule grants it.
    NotPermitted = 2,
    /// The policy does not know the subject.
    UnknownSubject = 3,
    /// The registry does not know the capability.
    UnknownCapability = 4,
    /// A rule would grant it, but its gate is closed, its limit spent or its time over.
    GateClosed = 5,
}

impl Reason {
    /// All of them, by code.
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::DeniedByRule,
        Self::NotPermitted,
        Self::UnknownSubject,
        Self::UnknownCapability,
        Self::GateClosed,
    ];

    /// The word used in audit text and tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::DeniedByRule => "denied-by-rule",
            Self::NotPermitted => "not-permitted",
            Self::UnknownSubject => "unknown-subject",
            Self::UnknownCapability => "unknown-capability",
            Self::GateClosed => "gate-closed",
        }
    }
}

/// The rule that decided: its number in the policy with this digest. 0: no rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

impl RuleId {
    /// No rule took part: the default decided.
    pub const NONE: Self = Self(0);
}

/// What has to happen to the record of a decision about this capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuditMode {
    /// A lost record is counted; the decision stands.
    #[default]
    Normal = 0,
    /// No record, no allow.
    Required = 1,
}

/// The state of the world a decision may depend on, supplied by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// One bit per fact that holds now; see [`crate::Policy::fact`]. Unset means "not so".
    pub bits: u64,
    /// Seconds since 1970, 0 if the time is not known. Then expiring grants are over and
    /// expiring denials are in force.
    pub wall_s: u64,
}

impl Facts {
    /// Nothing holds and the time is unknown.
    pub const NONE: Self = Self { bits: 0, wall_s: 0 };
}

/// An answer with its reason, for the caller (effect) and for audit (the rest). One word, so that
/// it travels in one register: the reason in the low byte, the audit mode above, then the rule.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at protects nothing"]
pub struct Decision(u64);

impl Decision {
    const AUDIT: u64 = NameHeader::AUDIT;
    const RULE: u32 = CELL_VALUE_SHIFT;

    /// The answer.
    #[inline]
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self.reason() {
            Reason::Allowed => Effect::Allow,
            _ => Effect::Deny,
        }
    }

    /// True for an allow.
    #[inline]
    #[must_use]
    pub const fn is_allow(self) -> bool {
        matches!(self.effect(), Effect::Allow)
    }

    /// Why.
    #[inline]
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self.0 as u8 {
            0 => Reason::Allowed,
            1 => Reason::DeniedByRule,
            2 => Reason::NotPermitted,
            3 => Reason::UnknownSubject,
            4 => Reason::UnknownCapability,
            _ => Reason::GateClosed,
        }
    }

    /// What audit has to guarantee.
    #[inline]
    #[must_use]
    pub const fn audit(self) -> AuditMode {
        if self.0 & Self::AUDIT == 0 { AuditMode::Normal } else { AuditMode::Required }
    }

    /// The rule that decided (for `GateClosed`: the grant that would have).
    #[inline]
    #[must_use]
    pub const fn rule(self) -> RuleId {
        RuleId((self.0 >> Self::RULE) as u32)
    }

    /// Of a cell that has no chain: its rule, and whether that denies.
    #[inline]
    pub(crate) const fn of_cell(cell: u64, capability: NameHeader) -> Self {
        const { assert!(Reason::Allowed as u64 == 0) };
        const { assert!(Reason::DeniedByRule as u64 == CELL_DENY) };
        Self(cell | capability.audit_bit())
    }

    #[inline]
    pub(crate) const fn new(reason: Reason, audit: AuditMode, rule: RuleId) -> Self {
        let audit = match audit {
            AuditMode::Normal => 0,
            AuditMode::Required => Self::AUDIT,
        };
        Self(reason as u64 | audit | (rule.0 as u64) << Self::RULE)
    }
}

impl core::fmt::Debug for Decision {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decision")
            .field("effect", &self.effect())
            .field("reason", &self.reason())
            .field("audit", &self.audit())
            .field("rule", &self.rule())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_every_decision() {
        for reason in Reason::ALL {
            for audit in [AuditMode::Normal, AuditMode::Required] {
                for rule in [RuleId::NONE, RuleId(1), RuleId(u32::MAX)] {
                    let decision = Decision::new(reason, audit, rule);
                    let held = (decision.reason(), decision.audit(), decision.rule());
                    assert_eq!(held, (reason, audit, rule));
                    assert_eq!(decision.is_allow(), reason == Reason::Allowed);
                }
            }
        }
    }
}
