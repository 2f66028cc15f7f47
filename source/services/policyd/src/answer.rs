//! The only place where an answer is made. Guards that no decision leaves without its record:
//! [`Answer`] has no other constructor than [`record`], and replies are written from answers.

use nexus_abi::Sender;
use nexus_sel::{AuditMode, Decision, Policy, RuleId};
use nexus_system::ids;
use nexus_wire::{
    audit::{self, CapName, Flags, Reason, Record},
    policy::{BADGE_CONTROL, Status},
};

use crate::env::{Env, NoRoom};

/// What was found out about a request, before anybody is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finding {
    pub(crate) op: audit::Op,
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    pub(crate) rule: RuleId,
    /// Whether an allow is worth anything without its record.
    pub(crate) audit: AuditMode,
    pub(crate) nonce: Option<u32>,
    /// Whom the decision is about: the sender, or the one a delegate may speak for.
    pub(crate) subject: u64,
    pub(crate) target: u64,
    pub(crate) cap: CapName,
    /// The image of an EXEC, the head of a refused frame; then whom the sender claimed to speak
    /// for without the right to.
    pub(crate) args: [u64; 2],
}

impl Finding {
    /// A deny without a rule, about the sender.
    pub(crate) const fn deny(op: audit::Op, sender: &Sender, reason: Reason) -> Self {
        Finding {
            op,
            status: Status::Deny,
            reason,
            rule: RuleId::NONE,
            audit: AuditMode::Normal,
            nonce: None,
            subject: sender.service.0,
            target: 0,
            cap: CapName::NONE,
            args: [0; 2],
        }
    }

    /// As the policy decided. Where two decisions led here, either may require the record.
    #[inline]
    pub(crate) const fn settle(&mut self, decision: Decision) {
        self.status = if decision.is_allow() { Status::Allow } else { Status::Deny };
        if matches!(decision.audit(), AuditMode::Required) {
            self.audit = AuditMode::Required;
        }
        self.reason = reason_of(decision.reason());
        self.rule = decision.rule();
    }

    #[inline]
    fn recorded(&self, policy: u32, sender: &Sender, now_ns: u64) -> Record {
        let allow = matches!(self.status, Status::Allow);
        let decision = if allow { audit::Decision::Allow } else { audit::Decision::Deny };
        let set = |on: bool, flag| if on { flag } else { Flags::NONE };
        let flags = set(self.nonce.is_some(), Flags::NONCE)
            .or(set(self.subject != sender.service.0, Flags::DELEGATED))
            .or(set(sender.badge == BADGE_CONTROL, Flags::CONTROL))
            .or(set(matches!(self.audit, AuditMode::Required), Flags::REQUIRED));
        Record {
            policy,
            time_ns: now_ns,
            flags,
            nonce: self.nonce.unwrap_or(0),
            enforcer: sender.service.0,
            subject: self.subject,
            target: self.target,
            rule: self.rule.0,
            cap: self.cap,
            args: self.args,
            ..Record::new(self.op, decision, self.reason)
        }
    }
}

/// A status that has its record.
#[derive(Debug)]
#[must_use = "every request is answered"]
pub(crate) struct Answer {
    status: Status,
    seq: u64,
}

impl Answer {
    /// What to tell the sender.
    pub(crate) const fn status(&self) -> Status {
        self.status
    }

    /// The record's number; where it was lost, the number of the gap.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }
}

/// Writes the finding down and only then turns it into an answer. Without room the lane has
/// counted the loss, and where the record was required the answer is a deny: audit-unavailable.
/// `policy` is the tag of the policy in force.
#[inline]
pub(crate) fn record<E: Env>(
    finding: &Finding,
    policy: u32,
    sender: &Sender,
    env: &mut E,
) -> Answer {
    if matches!((finding.audit, finding.status), (AuditMode::Required, Status::Allow))
        && !env.has_room()
    {
        return refuse_unrecorded(finding, policy, sender, env);
    }
    let now_ns = env.now_ns();
    match (env.append(&finding.recorded(policy, sender, now_ns)), finding.audit) {
        (Ok(seq), _) | (Err(NoRoom { seq }), AuditMode::Normal) => {
            Answer { status: finding.status, seq }
        }
        (Err(NoRoom { seq }), AuditMode::Required) => Answer { status: Status::Deny, seq },
    }
}

/// An allow that would have no record becomes a deny, and that deny goes into the places kept for
/// it: whoever was refused for want of a record can be seen.
#[cold]
fn refuse_unrecorded<E: Env>(
    finding: &Finding,
    policy: u32,
    sender: &Sender,
    env: &mut E,
) -> Answer {
    let deny = Finding { status: Status::Deny, reason: Reason::AuditUnavailable, ..*finding };
    let record = deny.recorded(policy, sender, env.now_ns());
    // With the reserve used up too, the lane has counted it.
    let (Ok(seq) | Err(NoRoom { seq })) = env.append_reserved(&record);
    Answer { status: Status::Deny, seq }
}

/// Records which policy is in force from here on, or that none is.
pub(crate) fn record_start<E: Env>(policy: Option<&Policy<'_>>, env: &mut E) {
    let (decision, reason) = match policy {
        Some(_) => (audit::Decision::Allow, Reason::Policy),
        None => (audit::Decision::Deny, Reason::NoPolicy),
    };
    let record = Record {
        policy: policy.map_or(0, Policy::tag),
        time_ns: env.now_ns(),
        enforcer: ids::POLICYD.0,
        subject: ids::POLICYD.0,
        rule: policy.map_or(0, Policy::rule_count),
        args: policy.map_or([0; 2], |policy| [policy.version(), head(policy.digest())]),
        ..Record::new(audit::Op::PolicyLoad, decision, reason)
    };
    // A full lane has counted it; nobody waits for an answer.
    let _counted = env.append(&record);
}

/// The first eight bytes.
fn head(digest: [u8; 32]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

const fn reason_of(reason: nexus_sel::Reason) -> Reason {
    match reason {
        nexus_sel::Reason::Allowed | nexus_sel::Reason::DeniedByRule => Reason::Policy,
        nexus_sel::Reason::NotPermitted => Reason::Default,
        nexus_sel::Reason::UnknownSubject | nexus_sel::Reason::UnknownCapability => Reason::Unknown,
        nexus_sel::Reason::GateClosed => Reason::Gate,
    }
}
