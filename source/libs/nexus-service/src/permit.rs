//! Permits: proof, in the type system, that policy was asked.
//!
//! An operation that needs a right takes `&Permit<Action>`. The only way to get one is
//! [`authorize`], which asks. Forgetting the check does not compile.

use nexus_abi::{Sender, ServiceId, Sys};
use nexus_ipc::{OnDemand, policy::NotAllowed};
use nexus_wire::{Status, policy::Protocol};

/// Something that needs a right. The value may carry what is acted on.
pub trait Action {
    /// Registered name of the capability it needs.
    const CAPABILITY: &'static str;
}

/// Where a permit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Nonce of the decision; its audit record carries the same.
    pub nonce: u32,
    /// Number of its record in the authority's lane, 0 if the authority did not tell.
    pub seq: u64,
}

/// Decides about a subject.
pub trait Authorizer {
    /// Whether `subject` holds `capability`.
    ///
    /// # Errors
    /// [`Status::Denied`] for a decision, [`Status::Unavailable`] for the lack of one.
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status>;
}

/// Proof that a subject may do `A`, once: it is neither copied nor stored.
#[derive(Debug)]
#[must_use]
pub struct Permit<A> {
    action: A,
    subject: ServiceId,
    evidence: Evidence,
}

impl<A> Permit<A> {
    /// What may be done.
    pub const fn action(&self) -> &A {
        &self.action
    }

    /// By whom.
    #[must_use]
    pub const fn subject(&self) -> ServiceId {
        self.subject
    }

    /// On which decision.
    #[must_use]
    pub const fn evidence(&self) -> Evidence {
        self.evidence
    }
}

/// Asks whether the kernel-stamped sender may do `action`. The only constructor of [`Permit`].
///
/// # Errors
/// Why not; the absence of a decision is [`Status::Unavailable`].
pub fn authorize<A: Action, Z: Authorizer>(
    authorizer: &mut Z,
    from: Sender,
    action: A,
) -> Result<Permit<A>, Status> {
    let evidence = authorizer.decide(from.service, A::CAPABILITY)?;
    Ok(Permit { action, subject: from.service, evidence })
}

/// How long a decision may take, in nanoseconds. policyd waits for nobody, so this is generous;
/// without a decision by then there is no permit.
pub const DECISION_NS: u64 = 100_000_000;

/// policyd, as every service asks it: in the service's own name, about whoever asked the service.
/// A service starts without it, and outlives it.
#[derive(Debug)]
pub struct Authority(OnDemand<Protocol>);

impl Authority {
    /// The service called `name`.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Authority(OnDemand::to(name))
    }

    /// Whether `subject` holds `capability`, within [`DECISION_NS`] of being connected. For
    /// [`Authorizer::decide`] of an environment that owns both this and the kernel.
    ///
    /// # Errors
    /// [`Status::Denied`] for a decision, [`Status::Internal`] for a capability that no frame
    /// holds, [`Status::Unavailable`] for everything else that is not a decision.
    pub fn decide<S: Sys>(
        &mut self,
        sys: &mut S,
        subject: ServiceId,
        capability: &str,
    ) -> Result<Evidence, Status> {
        let answer = self.0.ask(sys, DECISION_NS, |client, sys, deadline| {
            client.authorize(sys, subject, capability, deadline)
        });
        match answer.map_err(|_| Status::Unavailable)? {
            Ok(allowed) => Ok(Evidence { nonce: allowed.nonce(), seq: allowed.seq() }),
            Err(NotAllowed::Denied) => Err(Status::Denied),
            Err(NotAllowed::Argument) => Err(Status::Internal),
            Err(NotAllowed::Ipc(_) | NotAllowed::Protocol | NotAllowed::Refused(_)) => {
                Err(Status::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sign {
        key: u32,
    }
    impl Action for Sign {
        const CAPABILITY: &'static str = "crypto.sign";
    }

    /// Allows one subject one capability; counts the questions.
    struct Only {
        subject: ServiceId,
        capability: &'static str,
        asked: u32,
    }
    impl Authorizer for Only {
        fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
            self.asked += 1;
            let held = subject == self.subject && capability == self.capability;
            if held { Ok(Evidence { nonce: self.asked, seq: 0 }) } else { Err(Status::Denied) }
        }
    }

    fn from(service: u64) -> Sender {
        Sender { service: ServiceId(service), incarnation: 1, badge: 0 }
    }

    #[test]
    fn a_permit_carries_action_subject_and_decision() {
        let mut authorizer = Only { subject: ServiceId(7), capability: "crypto.sign", asked: 0 };
        let permit = authorize(&mut authorizer, from(7), Sign { key: 3 }).unwrap();
        assert_eq!(permit.action(), &Sign { key: 3 });
        assert_eq!((permit.subject(), permit.evidence().nonce), (ServiceId(7), 1));
    }

    #[test]
    fn test_reject_subjects_and_capabilities_nobody_granted() {
        let mut authorizer = Only { subject: ServiceId(7), capability: "crypto.sign", asked: 0 };
        let stranger = authorize(&mut authorizer, from(8), Sign { key: 3 });
        assert_eq!(stranger.err(), Some(Status::Denied));
        authorizer.capability = "rng.entropy";
        let other = authorize(&mut authorizer, from(7), Sign { key: 3 });
        assert_eq!(other.err(), Some(Status::Denied));
        assert_eq!(authorizer.asked, 2);
    }
}
