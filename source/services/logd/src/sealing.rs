//! Having checkpoints signed: each new one goes to keystored through a lane, its signature comes
//! back through another. Guards that neither end can hold up the journal.

use core::sync::atomic::AtomicU64;

use nexus_abi::ServiceId;
use nexus_audit::Seal;
use nexus_service::lane::{Consumer, Producer};
use nexus_wire::audit::{Decision, Op, Reason, Record, SealReply, SealRequest};

use crate::{env::Env, journal::Journal, ledger::Source, seals::Sealed};

/// When a checkpoint that came back unsigned is asked for again: keystored may have been down.
const AGAIN_NS: u64 = 5_000_000_000;

/// Memory of the two lanes; without either nothing is signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealLanes<'v> {
    /// Checkpoints on their way to the signer.
    pub checkpoints: Option<&'v [AtomicU64]>,
    /// Signatures on their way back, and whose they are.
    pub seals: Option<(ServiceId, &'v [AtomicU64])>,
}

/// The way to the signer and back.
struct Ends<'v> {
    out: Producer<&'v [AtomicU64]>,
    back: Consumer<&'v [AtomicU64]>,
    signer: ServiceId,
}

/// Both ways, and what was asked for last.
#[derive(Default)]
pub(crate) struct Sealing<'v> {
    ends: Option<Ends<'v>>,
    asked: u64,
    asked_ns: u64,
}

impl<'v> Sealing<'v> {
    pub(crate) fn attach(lanes: &SealLanes<'v>) -> Self {
        let ends = lanes.checkpoints.zip(lanes.seals).and_then(|(out, (signer, back))| {
            let (out, back) = (Producer::attach(out).ok()?, Consumer::attach(back).ok()?);
            Some(Ends { out, back, signer })
        });
        Sealing { ends, asked: 0, asked_ns: 0 }
    }

    /// Takes the signatures that came. One that fits no checkpoint leaves a record.
    pub(crate) fn take<const N: usize>(&mut self, journal: &mut Journal<'_, N>, now_ns: u64) {
        let Some(Ends { back, signer, .. }) = &mut self.ends else { return };
        for _ in 0..back.waiting() {
            let Some(words) = back.pop() else { return };
            let reply = SealReply::from_words(&words);
            let sealed = reply.map_or(Sealed::Unknown, |reply| journal.sign(&reply));
            if sealed == Sealed::Unknown {
                let record = Record {
                    time_ns: now_ns,
                    enforcer: signer.0,
                    subject: signer.0,
                    target: reply.map_or(0, |reply| reply.number),
                    ..Record::new(Op::Seal, Decision::Deny, Reason::Malformed)
                };
                let _number = journal.put(&record, Source::Own);
            }
        }
    }

    /// Asks for a signature of the newest checkpoint, which vouches for the ones before it.
    pub(crate) fn ask<const N: usize, E: Env>(
        &mut self,
        journal: &Journal<'_, N>,
        now_ns: u64,
        env: &mut E,
    ) {
        let Some(Ends { out, .. }) = &mut self.ends else { return };
        let Some(newest) = journal.newest_checkpoint() else { return };
        let again = now_ns.saturating_sub(self.asked_ns) >= AGAIN_NS;
        let wanted = newest.seal == Seal::Unsigned && (newest.number != self.asked || again);
        if wanted && out.has_room() {
            let request = SealRequest { number: newest.number, digest: newest.digest() };
            if out.push(&request.to_words()).is_ok() {
                (self.asked, self.asked_ns) = (newest.number, now_ns);
                env.wake_signer();
            }
        }
    }

    /// Whether there is anybody to sign.
    pub(crate) const fn is_wired(&self) -> bool {
        self.ends.is_some()
    }
}
