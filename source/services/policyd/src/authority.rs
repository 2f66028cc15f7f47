//! Who may ask about whom, and what the policy says. Guards that the subject of a decision is
//! the kernel-stamped sender unless the policy lets that sender speak for others; there is no
//! rule in this code, only questions to the policy.

use nexus_abi::Sender;
use nexus_sel::{Bucket, Buckets, Decision, Facts, Policy, RuleId};
use nexus_wire::{
    CAPABILITY_MAX, Capability, Name,
    audit::{self, CapName, Reason},
    policy::{BADGE_CONTROL, Op, Status},
};

use crate::answer::Finding;

/// Token buckets kept. A limit beyond them counts as spent: deny.
const BUCKETS: usize = 32;
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
    buckets: [Bucket; BUCKETS],
}

impl<'p> Authority<'p> {
    pub(crate) const fn new(policy: Policy<'p>) -> Self {
        Authority { policy, buckets: [Bucket::FULL; BUCKETS] }
    }

    /// Version of the policy.
    pub(crate) fn version(&self) -> u64 {
        self.policy.version()
    }

    /// Tag of the policy.
    pub(crate) fn tag(&self) -> u32 {
        self.policy.tag()
    }

    /// Decides one request.
    pub(crate) fn decide(&mut self, op: &Op<'_>, sender: &Sender, now: Now) -> Finding {
        let (finding, claim, needs) = self.question(op, sender);
        let finding = match self.speaks_for(claim, sender, now, finding) {
            Ok(finding) => finding,
            Err(refused) => return refused,
        };
        match needs {
            Needs::Capability => {
                let decision = self.ask(finding.subject, finding.cap.as_bytes(), now);
                finding.decided(&decision)
            }
            Needs::Identity => {
                Finding { status: Status::Allow, reason: Reason::Default, ..finding }
            }
            Needs::Blob => match self.may_reload(sender, now) {
                Finding { status: Status::Allow, .. } => {
                    Finding { reason: Reason::BlobMissing, ..finding }
                }
                refused => refused,
            },
        }
    }

    /// Whether the sender may replace the policy, whatever the next one is.
    #[cold]
    pub(crate) fn may_reload(&mut self, sender: &Sender, now: Now) -> Finding {
        let deny = Finding::deny(audit::Op::PolicyReload, sender, Reason::Unknown);
        let decision = self.ask(sender.service.0, RELOAD, now);
        Finding { cap: cap_name(RELOAD), ..deny }.decided(&decision)
    }

    /// Makes the claimed subject the subject of the finding, or refuses and stays with the sender:
    /// nobody can make a record about somebody else by claiming to be them.
    fn speaks_for(
        &mut self,
        claim: Claim,
        sender: &Sender,
        now: Now,
        finding: Finding,
    ) -> Result<Finding, Finding> {
        if claim.is_own(sender) {
            return Ok(finding);
        }
        let [arg, _] = finding.args;
        let args = [arg, claim.id().unwrap_or(0)];
        let refused = Finding { reason: Reason::Identity, args, ..finding };
        if matches!(claim, Claim::Requester(_)) && sender.badge != BADGE_CONTROL {
            return Err(refused);
        }
        let delegate = self.ask(sender.service.0, DELEGATE, now);
        let asked = finding.decided(&delegate);
        if !delegate.is_allow() {
            return Err(Finding { args, reason: Reason::Identity, ..asked });
        }
        let pending =
            Finding { status: Status::Deny, reason: Reason::Unknown, rule: RuleId::NONE, ..asked };
        match claim.id() {
            Some(subject) => Ok(Finding { subject, ..pending }),
            None => Err(pending),
        }
    }

    /// Reads a request as a question about somebody, as yet denied.
    fn question(&self, op: &Op<'_>, sender: &Sender) -> (Finding, Claim, Needs) {
        let deny = |op| Finding::deny(op, sender, Reason::Unknown);
        let known = |name: &Name<'_>| Claim::Requester(self.policy.subject_id(name.as_bytes()));
        let core = |op, cap| Finding { cap, ..deny(op) };
        match op {
            Op::Check { name } => {
                (core(audit::Op::Check, cap_name(CORE)), known(name), Needs::Capability)
            }
            Op::Route { requester, target } => {
                let id = self.policy.subject_id(target.as_bytes()).unwrap_or(0);
                (
                    route(deny(audit::Op::Route), id, target.as_bytes()),
                    known(requester),
                    Needs::Capability,
                )
            }
            Op::RouteId { requester, target } => {
                let name = self.policy.subject_name(*target);
                let name = name.as_ref().map_or(&[][..], |name| name.as_bytes());
                let claim = Claim::Requester(Some(*requester));
                (route(deny(audit::Op::Route), *target, name), claim, Needs::Capability)
            }
            Op::Exec { requester, image } => {
                (exec(deny(audit::Op::Exec), *image), known(requester), Needs::Capability)
            }
            Op::ExecId { requester, image } => {
                let claim = Claim::Requester(Some(*requester));
                (exec(deny(audit::Op::Exec), *image), claim, Needs::Capability)
            }
            Op::CheckCap { subject, capability } => {
                let finding = core(audit::Op::CheckCap, CapName::new(*capability));
                (finding, Claim::Subject(*subject), Needs::Capability)
            }
            Op::CheckCapDelegated { subject, capability }
            | Op::Authorize { subject, capability } => {
                let finding = core(audit::Op::CheckCapDelegated, CapName::new(*capability));
                (finding, Claim::OnBehalf(*subject), Needs::Capability)
            }
            Op::AbiProfileGet { subject } => {
                (deny(audit::Op::AbiProfile), Claim::Subject(*subject), Needs::Identity)
            }
            Op::Reload {} => {
                let finding = core(audit::Op::PolicyReload, cap_name(RELOAD));
                (finding, Claim::Subject(sender.service.0), Needs::Blob)
            }
        }
    }

    fn ask(&mut self, subject: u64, capability: &[u8], now: Now) -> Decision {
        let mut limits = Buckets { buckets: &mut self.buckets, now_ns: now.time_ns };
        self.policy.decide_with(subject, capability, now.facts, &mut limits)
    }
}

fn cap_name(name: &[u8]) -> CapName {
    Capability::from_bytes(name).map_or(CapName::NONE, CapName::new)
}

fn exec(deny: Finding, image: u8) -> Finding {
    Finding { cap: cap_name(SPAWN), args: [u64::from(image), 0], ..deny }
}

/// A target without a name, or whose name is too long for `route.<name>` to be a capability,
/// leaves the capability empty, which no policy grants.
fn route(deny: Finding, target: u64, name: &[u8]) -> Finding {
    let mut buf = [0; CAPABILITY_MAX];
    let mut len = 0usize;
    for (place, byte) in buf.iter_mut().zip(ROUTE.iter().chain(name)) {
        *place = *byte;
        len = len.saturating_add(1);
    }
    let fits = !name.is_empty() && ROUTE.len().saturating_add(name.len()) == len;
    let cap = buf.get(..len).filter(|_| fits).map_or(CapName::NONE, cap_name);
    Finding { target, cap, ..deny }
}
