//! The state machine behind the `EC` frames.

use heapless::String;
use nexus_ipc::echo::Tally;
use nexus_service::{Incoming, Outgoing, Service};
use nexus_wire::{
    Bytes, CAPABILITY_MAX, Capability, FRAME_MAX, Status,
    echo::{Op, RELAY_MAX, Reply, Request},
};

use crate::burst::{BURST_MAX, Outcome};

/// From the answer of a burst request to the first check: the answer goes out first.
const START_NS: u64 = 100_000;

/// Checks between two looks at the endpoint. Back to back, so that something that happens to
/// policyd hits one in flight; so few that they take less than the pause between two ticks, in
/// which callers of lower priority run.
const BATCH: u32 = 128;

/// What the peer needs from outside.
pub trait Checks {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// Asks policyd whether the peer holds `capability`.
    fn check(&mut self, capability: &str) -> Outcome;
    /// Asks logd for the audit's counters: its status, 255 without an answer.
    fn read_audit(&mut self) -> u8;
    /// Sends bytes to a service in the peer's own name; how much of `answer` it filled.
    fn relay(&mut self, to: &str, bytes: &[u8], answer: &mut [u8; RELAY_MAX]) -> Option<usize>;
}

/// A burst that is not over.
#[derive(Debug)]
struct Burst {
    left: u32,
    capability: String<CAPABILITY_MAX>,
    due_ns: u64,
}

/// The peer.
#[derive(Debug, Default)]
pub struct Peer {
    burst: Option<Burst>,
    tally: Tally,
}

impl Peer {
    fn plan<E: Checks>(
        &mut self,
        env: &mut E,
        count: u32,
        capability: &Capability<'_>,
    ) -> Result<(), Status> {
        if self.burst.is_some() {
            return Err(Status::Busy);
        }
        if count > BURST_MAX {
            return Err(Status::TooLarge);
        }
        let capability = String::try_from(capability.as_str()).map_err(|_| Status::TooLarge)?;
        let due_ns = env.now_ns().saturating_add(START_NS);
        self.burst = (count > 0).then_some(Burst { left: count, capability, due_ns });
        Ok(())
    }

    fn told(&self) -> Reply<'static> {
        let Tally { allow, deny, peer_died, timed_out, other } = self.tally;
        Reply::Tally { allow, deny, peer_died, timed_out, other }
    }
}

impl<E: Checks> Service<E> for Peer {
    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> Outgoing {
        let request = match Request::decode(call.frame) {
            Ok(request) => request,
            Err(refusal) => return Outgoing::bytes(refusal.encode(reply)),
        };
        let mut relayed = [0; RELAY_MAX];
        let answer = match request.op {
            Op::Who {} => {
                let sender = call.sender;
                let (service, incarnation) = (sender.service.0, sender.incarnation);
                Ok(Reply::Who { service, incarnation, badge: sender.badge })
            }
            Op::Echo { bytes } => Ok(Reply::Echo { bytes }),
            Op::Burst { count, capability } => {
                self.plan(env, count, &capability).map(|()| Reply::Burst {})
            }
            Op::Tally {} => Ok(self.told()),
            Op::ReadAudit {} => Ok(Reply::ReadAudit { status: env.read_audit() }),
            Op::Relay { to, frame } => env
                .relay(to.as_str(), frame.as_bytes(), &mut relayed)
                .and_then(|len| relayed.get(..len).and_then(Bytes::new))
                .map(|frame| Reply::Relay { frame })
                .ok_or(Status::Unavailable),
        };
        Outgoing::bytes(match answer {
            Ok(body) => request.answer(Status::Ok, body).encode(reply),
            Err(status) => request.respond(status).encode(reply),
        })
    }

    fn next_tick_ns(&self) -> u64 {
        self.burst.as_ref().map_or(u64::MAX, |burst| burst.due_ns)
    }

    fn tick(&mut self, env: &mut E) {
        let Some(burst) = &mut self.burst else { return };
        let batch = burst.left.min(BATCH);
        for _ in 0..batch {
            env.check(&burst.capability).count(&mut self.tally);
        }
        burst.left = burst.left.saturating_sub(batch);
        if burst.left == 0 {
            self.burst = None;
        }
    }
}
