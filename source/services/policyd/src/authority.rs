//! Who may ask about whom, and what the policy says. Guards that the subject of a decision is
//! the kernel-stamped sender unless the policy lets that sender speak for others; there is no
//! rule in this code, only questions to the policy.

use nexus_abi::Sender;
use nexus_sel::bounds::MAX_BUCKETS;
use nexus_sel::{Bucket, Buckets, Decision, Facts, PackedName, Policy, RuleId};
use nexus_service::Incoming;
use nexus_wire::{
    CAPABILITY_MAX, Capability, Name,
    audit::{CapName, Reason},
    policy::{BADGE_CONTROL, Op, Status},
};

use crate::answer::Finding;

/// The right to speak for others.
const DELEGATE: &[u8] = b"policy.delegate";
/// The right to replace the policy.
const RELOAD: &[u8] = b"policy.reload";
/// What CHECK asks for.
const CORE: &[u8] = b"ipc.core";
/// What EXEC asks for.
const SPAWN: &[u8] = b"proc.spawn";
/// What ROUTE asks for, with the target's name behind it.
const ROUTE: &[u8] = b"route.";

/// Whom a frame speaks of, and what that takes if it is not the sender.
#[derive(Clone, Copy)]
enum Claim {
    /// `policy.delegate` and the supervisor's private capability. `None`: a name the policy does
    /// not know, so certainly not the sender's.
    Requester(Option<u64>),
    /// `policy.delegate`.
    Subject(u64),
    /// `policy.delegate`, even for the sender itself.
    OnBehalf(u64),
}

impl Claim {
    const fn id(self) -> Option<u64> {
        match self {
            Claim::Requester(id) => id,
            Claim::Subject(id) | Claim::OnBehalf(id) => Some(id),
        }
    }

    /// Whether the sender speaks for itself, which takes nothing.
    fn is_own(self, sender: &Sender) -> bool {
        !matches!(self, Claim::OnBehalf(_)) && self.id() == Some(sender.service.0)
    }
}

/// What the subject needs.
#[derive(Clone, Copy)]
enum Needs {
    /// The capability in the finding.
    Capability,
    /// Nothing more than to be the subject.
    Identity,
    /// The capability, and a policy, which did not come along.
    Blob,
}

/// The world at the moment of a request.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) facts: Facts,
    pub(crate) time_ns: u64,
}

/// A policy and the state its limits need.
pub(crate) struct Authority<'p> {
    policy: Policy<'p>,
    buckets: [Bucket; MAX_BUCKETS],
}

impl<'p> Authority<'p> {
    pub(crate) const fn new(policy: Policy<'p>) -> Self {
        Authority { policy, buckets: [Bucket::FULL; MAX_BUCKETS] }
    }

    /// Version of the policy.
    pub(crate) fn version(&self) -> u64 {
        self.policy.version()
    }

    /// Tag of the policy.
    pub(crate) fn tag(&self) -> u32 {
        self.policy.tag()
    }

    /// Decides one request, which `finding` denies as yet. It is filled in where it stands: it is
    /// as large as a record, and each copy would cost as much as the decision.
    pub(crate) fn decide(
        &mut self,
        finding: &mut Finding,
        op: &Op<'_>,
        call: &Incoming<'_>,
        now: Now,
    ) {
        finding.reason = Reason::Unknown;
        let sender = &call.sender;
        let (claim, needs) = self.question(finding, op, call);
        if !self.speaks_for(claim, sender, now, finding) {
            return;
        }
        match needs {
            Needs::Capability => {
                let decision = self.ask(finding.subject, &finding.cap, now);
                finding.settle(decision);
            }
            Needs::Identity => {
                finding.status = Status::Allow;
                finding.reason = Reason::Default;
            }
            Needs::Blob => {
                self.may_reload(finding, sender, now);
                if finding.status == Status::Allow {
                    finding.status = Status::Deny;
                    finding.reason = Reason::BlobMissing;
                    finding.rule = RuleId::NONE;
                }
            }
        }
    }

    /// Whether the sender may replace the policy, whatever the next one is.
    #[cold]
    pub(crate) fn may_reload(&mut self, finding: &mut Finding, sender: &Sender, now: Now) {
        finding.cap = cap_name(RELOAD);
        let decision = self.ask(sender.service.0, &finding.cap, now);
        finding.settle(decision);
    }

    /// Makes the claimed subject the subject of the finding, or refuses and stays with the sender:
    /// nobody can make a record about somebody else by claiming to be them.
    #[inline]
    fn speaks_for(
        &mut self,
        claim: Claim,
        sender: &Sender,
        now: Now,
        finding: &mut Finding,
    ) -> bool {
        claim.is_own(sender) || self.may_speak(claim, sender, now, finding)
    }

    fn may_speak(
        &mut self,
        claim: Claim,
        sender: &Sender,
        now: Now,
        finding: &mut Finding,
    ) -> bool {
        let [_, claimed] = &mut finding.args;
        *claimed = claim.id().unwrap_or(0);
        finding.reason = Reason::Identity;
        if matches!(claim, Claim::Requester(_)) && sender.badge != BADGE_CONTROL {
            return false;
        }
        let delegate = self.ask(sender.service.0, &cap_name(DELEGATE), now);
        finding.settle(delegate);
        if !delegate.is_allow() {
            finding.reason = Reason::Identity;
            return false;
        }
        // The right was that of the sender; what the subject may is open again.
        let [_, claimed] = &mut finding.args;
        *claimed = 0;
        finding.status = Status::Deny;
        finding.reason = Reason::Unknown;
        finding.rule = RuleId::NONE;
        finding.subject = claim.id().unwrap_or(finding.subject);
        claim.id().is_some()
    }

    /// Reads a request as a question about somebody.
    #[inline]
    fn question(&self, finding: &mut Finding, op: &Op<'_>, call: &Incoming<'_>) -> (Claim, Needs) {
        let known = |name: &Name<'_>| Claim::Requester(self.policy.subject_id(name.as_bytes()));
        match op {
            Op::Check { name } => {
                finding.cap = cap_name(CORE);
                (known(name), Needs::Capability)
            }
            Op::Route { requester, target } => {
                let id = self.policy.subject_id(target.as_bytes()).unwrap_or(0);
                route(finding, id, target.as_bytes());
                (known(requester), Needs::Capability)
            }
            Op::RouteId { requester, target } => {
                let name = self.policy.subject_name(*target);
                let name = name.as_ref().map_or(&[][..], |name| name.as_bytes());
                route(finding, *target, name);
                (Claim::Requester(Some(*requester)), Needs::Capability)
            }
            Op::Exec { requester, image } => {
                exec(finding, *image);
                (known(requester), Needs::Capability)
            }
            Op::ExecId { requester, image } => {
                exec(finding, *image);
                (Claim::Requester(Some(*requester)), Needs::Capability)
            }
            Op::CheckCap { subject, capability } => {
                finding.cap = last_field(*capability, call);
                (Claim::Subject(*subject), Needs::Capability)
            }
            Op::CheckCapDelegated { subject, capability }
            | Op::Authorize { subject, capability } => {
                finding.cap = last_field(*capability, call);
                (Claim::OnBehalf(*subject), Needs::Capability)
            }
            Op::AbiProfileGet { subject } => (Claim::Subject(*subject), Needs::Identity),
            Op::Reload {} => {
                finding.cap = cap_name(RELOAD);
                (Claim::Subject(call.sender.service.0), Needs::Blob)
            }
        }
    }

    #[inline]
    fn ask(&mut self, subject: u64, capability: &CapName, now: Now) -> Decision {
        let mut limits = Buckets { buckets: &mut self.buckets, now_ns: now.time_ns };
        let name = PackedName::padded(capability.words(), usize::from(capability.len()));
        self.policy.decide_packed(subject, &name, now.facts, &mut limits)
    }
}

/// The capability with which a frame of the protocol ends, from the frame's words.
#[inline]
fn last_field(name: Capability<'_>, call: &Incoming<'_>) -> CapName {
    let len = name.as_bytes().len();
    let at = call.frame.len().wrapping_sub(len);
    match PackedName::from_words(call.words(), at, len) {
        Some(packed) => CapName::gathered(name, packed.words()),
        None => CapName::NONE,
    }
}

fn cap_name(name: &[u8]) -> CapName {
    Capability::from_bytes(name).map_or(CapName::NONE, CapName::new)
}

fn exec(finding: &mut Finding, image: u8) {
    finding.cap = cap_name(SPAWN);
    finding.args = [u64::from(image), 0];
}

/// A target without a name, or whose name is too long for `route.<name>` to be a capability,
/// leaves the capability empty, which no policy grants.
fn route(finding: &mut Finding, target: u64, name: &[u8]) {
    let mut buf = [0; CAPABILITY_MAX];
    let mut len = 0usize;
    for (place, byte) in buf.iter_mut().zip(ROUTE.iter().chain(name)) {
        *place = *byte;
        len = len.saturating_add(1);
    }
    let fits = !name.is_empty() && ROUTE.len().saturating_add(name.len()) == len;
    finding.cap = buf.get(..len).filter(|_| fits).map_or(CapName::NONE, cap_name);
    finding.target = target;
}
