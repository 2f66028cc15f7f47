//! Outcome records: what an enforcer did on a decision. Guards that an act which must be on
//! record is not done without a place for its record.
//!
//! ```text
//! let place = reporter.reserve()?;            // no place: do not act, answer `unavailable`
//! let done = sign(..);
//! reporter.commit(place, &Outcome { result: done, ..Outcome::of(&permit, Op::KeyUse) }, now_ns);
//! ```
//!
//! Who reports is not in the record: logd stamps the enforcer from the lane, which the manifest
//! gave to one producer.

use core::sync::atomic::AtomicU64;

use nexus_abi::{Call, Handle, ServiceId, Sys};
use nexus_wire::{
    Capability, Status,
    audit::{CapName, Decision, Flags, Op, Reason, Record},
};

use crate::{
    lane::{Cells, Place, Producer},
    permit::{Action, Evidence, Permit},
};

/// What was done, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// What was to be done; one of the [outcomes](Op::is_outcome), or logd drops the record.
    pub op: Op,
    /// Whether it was, and why not.
    pub result: Result<(), Reason>,
    /// For whom.
    pub subject: ServiceId,
    /// To what; see the operation.
    pub target: u64,
    /// The capability that was needed, empty if none.
    pub capability: &'a str,
    /// On which decision.
    pub evidence: Option<Evidence>,
    /// The enforcer's own detail. No secret, and nothing a secret could be guessed from.
    pub detail: u64,
}

impl Outcome<'static> {
    /// Something done on a permit.
    #[must_use]
    pub fn of<A: Action>(permit: &Permit<A>, op: Op) -> Self {
        let (subject, evidence) = (permit.subject(), Some(permit.evidence()));
        Outcome { capability: A::CAPABILITY, evidence, ..Outcome::own(op, subject) }
    }

    /// Something nobody asked for: health, a mount, a start.
    #[must_use]
    pub const fn own(op: Op, subject: ServiceId) -> Self {
        Outcome {
            op,
            result: Ok(()),
            subject,
            target: 0,
            capability: "",
            evidence: None,
            detail: 0,
        }
    }
}

impl Outcome<'_> {
    /// As a record; the lane sets its number, logd its enforcer.
    #[must_use]
    pub fn record(&self, now_ns: u64) -> Record {
        let (decision, reason) = match self.result {
            Ok(()) => (Decision::Allow, Reason::Done),
            Err(reason) => (Decision::Deny, reason),
        };
        let (nonce, flags) = self.evidence.map_or((0, Flags::NONE), |evidence| {
            (evidence.nonce, Flags::NONCE.or(Flags::DELEGATED))
        });
        Record {
            time_ns: now_ns,
            flags,
            nonce,
            subject: self.subject.0,
            target: self.target,
            cap: Capability::new(self.capability).map_or(CapName::NONE, CapName::new),
            args: [self.evidence.map_or(0, |evidence| evidence.seq), self.detail],
            ..Record::new(self.op, decision, reason)
        }
    }
}

/// The reporting end of one enforcer.
#[derive(Debug)]
pub struct Reporter<C> {
    lane: Option<Producer<C>>,
}

impl Reporter<&'static [AtomicU64]> {
    /// Maps the lane that is wired at `lane` and goes on where an earlier instance ended.
    #[must_use]
    pub fn open<S: Sys>(sys: &mut S, lane: Handle, bytes: usize) -> Self {
        Reporter::over(sys.map_words(lane, bytes).ok())
    }
}

impl<C: Cells> Reporter<C> {
    /// Over a lane. Without one every reservation is refused and every record lost.
    #[must_use]
    pub fn over(cells: Option<C>) -> Self {
        Reporter { lane: cells.and_then(|cells| Producer::attach(cells).ok()) }
    }

    /// Whether there is a lane at all: an enforcer without one is not ready.
    #[must_use]
    pub const fn is_wired(&self) -> bool {
        self.lane.is_some()
    }

    /// Keeps a place for the record of an act that must not go unrecorded. One at a time.
    ///
    /// # Errors
    /// [`Status::Unavailable`]: there is no place, so the act must not be done.
    pub fn reserve(&mut self) -> Result<Place, Status> {
        let lane = self.lane.as_mut().ok_or(Status::Unavailable)?;
        lane.reserve().map_err(|_full| Status::Unavailable)
    }

    /// Records what became of the act, whichever way it went.
    pub fn commit(&mut self, place: Place, outcome: &Outcome<'_>, now_ns: u64) {
        if let Some(lane) = &mut self.lane {
            // Cannot be full: the place was kept. A consumer that breaks the lane loses it, counted.
            let _number = lane.commit(place, &outcome.record(now_ns).to_words());
        }
    }

    /// Gives the place back: nothing was done, and nothing has to be said.
    pub fn cancel(&mut self, place: Place) {
        if let Some(lane) = &mut self.lane {
            lane.cancel(place);
        }
    }

    /// Records what may be lost; whether it was stored. A loss is counted.
    pub fn record(&mut self, outcome: &Outcome<'_>, now_ns: u64) -> bool {
        let words = outcome.record(now_ns).to_words();
        self.lane.as_mut().is_some_and(|lane| lane.push_beside(&words).is_ok())
    }

    /// Wakes logd if the lane is filling up; it also looks by itself, 20 times a second.
    pub fn ring<S: Sys>(&self, sys: &mut S, bell: Handle, bits: u64) {
        if self.lane.as_ref().is_some_and(Producer::should_ring) {
            let _best_effort = sys.run(Call::Signal { notif: bell, bits });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lane::Consumer,
        permit::{Authorizer, authorize},
    };

    struct Sign;
    impl Action for Sign {
        const CAPABILITY: &'static str = "crypto.sign";
    }
    struct Yes;
    impl Authorizer for Yes {
        fn decide(&mut self, _: ServiceId, _: &str) -> Result<Evidence, Status> {
            Ok(Evidence { nonce: 5, seq: 77 })
        }
    }

    fn permit() -> Permit<Sign> {
        let from = nexus_abi::Sender { service: ServiceId(20), incarnation: 1, badge: 0 };
        authorize(&mut Yes, from, Sign).unwrap()
    }

    fn memory() -> Vec<AtomicU64> {
        (0..16 + 16 * 2).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn an_outcome_quotes_its_decision() {
        let cells = memory();
        let mut reporter = Reporter::over(Some(cells.as_slice()));
        let place = reporter.reserve().unwrap();
        let outcome = Outcome { target: 3, detail: 9, ..Outcome::of(&permit(), Op::KeyUse) };
        reporter.commit(place, &outcome, 100);
        let words = Consumer::attach(cells.as_slice()).unwrap().pop().unwrap();
        let record = Record::from_words(&words).unwrap();
        assert_eq!((record.op, record.decision), (Op::KeyUse, Decision::Allow));
        assert_eq!((record.reason, record.subject, record.target), (Reason::Done, 20, 3));
        assert_eq!((record.nonce, record.args, record.enforcer), (5, [77, 9], 0));
        assert_eq!(record.cap.as_bytes(), b"crypto.sign");
        assert!(record.flags.has(Flags::NONCE.or(Flags::DELEGATED)));
    }

    #[test]
    fn test_reject_acts_without_a_place_for_their_record() {
        let cells = memory();
        let mut reporter = Reporter::over(Some(cells.as_slice()));
        let outcome = Outcome::own(Op::State, ServiceId(6));
        assert!(reporter.record(&outcome, 1) && reporter.record(&outcome, 2));
        assert_eq!(reporter.reserve().err(), Some(Status::Unavailable));
        assert!(!reporter.record(&outcome, 3));
        assert_eq!(Consumer::attach(cells.as_slice()).unwrap().counters().lost, 1);
        let mut nowhere = Reporter::over(None::<&[AtomicU64]>);
        assert_eq!(nowhere.reserve().err(), Some(Status::Unavailable));
        assert!(!nowhere.is_wired() && !nowhere.record(&outcome, 4));
    }

    #[test]
    fn failures_are_denials_with_their_reason() {
        let failed = Outcome {
            result: Err(Reason::Revoked),
            ..Outcome::own(Op::KeyLifecycle, ServiceId(4))
        };
        let record = failed.record(1);
        assert_eq!((record.decision, record.reason), (Decision::Deny, Reason::Revoked));
        assert_eq!((record.args, record.flags), ([0, 0], Flags::NONE));
        assert!(record.op.is_outcome() && !Op::Check.is_outcome() && !Op::Lost.is_outcome());
    }
}
