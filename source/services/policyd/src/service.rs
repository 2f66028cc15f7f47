//! The state machine: one frame in, one record, one reply out.

use nexus_abi::Sender;
use nexus_sel::Policy;
use nexus_service::{Incoming, Outgoing, Service};
use nexus_wire::{
    FRAME_MAX,
    audit::{self, Reason},
    policy::{Op, Refusal, Request, Status},
};

use crate::{
    answer::{Answer, Finding, record, record_start},
    authority::{Authority, Now},
    env::Env,
};

/// The policy authority. Without a policy it denies everything.
pub struct Policyd<'p> {
    authority: Option<Authority<'p>>,
}

impl<'p> Policyd<'p> {
    /// An authority over a checked policy, or over none. Which one is the first record.
    #[must_use]
    pub fn start<E: Env>(policy: Option<Policy<'p>>, env: &mut E) -> Self {
        record_start(policy.as_ref(), env);
        Policyd { authority: policy.map(Authority::new) }
    }

    fn decide<E: Env>(&mut self, request: &Request<'_>, sender: &Sender, env: &mut E) -> Finding {
        let now = Now { facts: env.facts(), time_ns: env.now_ns() };
        let finding = match &mut self.authority {
            Some(authority) => authority.decide(&request.op, sender, now),
            None => Finding::deny(kind(&request.op), sender, Reason::NoPolicy),
        };
        Finding { nonce: request.nonce, ..finding }
    }
}

impl<E: Env> Service<E> for Policyd<'_> {
    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> Outgoing {
        let len = match Request::decode(call.frame) {
            Ok(request) => {
                let finding = self.decide(&request, &call.sender, env);
                respond(&request, &record(&finding, &call.sender, env), reply)
            }
            Err(refusal) => {
                let finding = refused(&refusal, &call.sender, call.frame);
                refuse(refusal, &record(&finding, &call.sender, env), reply)
            }
        };
        Outgoing::bytes(len)
    }
}

/// A profile is empty, which denies everything, until profiles are part of the policy.
fn respond(request: &Request<'_>, answer: &Answer, reply: &mut [u8; FRAME_MAX]) -> usize {
    request.respond(answer.status()).encode(reply)
}

fn refuse(refusal: Refusal, answer: &Answer, reply: &mut [u8; FRAME_MAX]) -> usize {
    Refusal { status: answer.status(), ..refusal }.encode(reply)
}

/// A frame that is no request: its version and operation bytes are all there is to record.
fn refused(refusal: &Refusal, sender: &Sender, frame: &[u8]) -> Finding {
    let (op, reason) = match refusal.status {
        Status::Unsupported => (audit::Op::Unsupported, Reason::Unsupported),
        _ => (audit::Op::Malformed, Reason::Malformed),
    };
    let head = match frame {
        [_, _, version, op, ..] => u64::from_le_bytes([*version, *op, 0, 0, 0, 0, 0, 0]),
        _ => 0,
    };
    let (status, nonce, args) = (refusal.status, refusal.nonce, [head, 0]);
    Finding { status, nonce, args, ..Finding::deny(op, sender, reason) }
}

const fn kind(op: &Op<'_>) -> audit::Op {
    match op {
        Op::Check { .. } => audit::Op::Check,
        Op::Route { .. } | Op::RouteId { .. } => audit::Op::Route,
        Op::Exec { .. } | Op::ExecId { .. } => audit::Op::Exec,
        Op::CheckCap { .. } => audit::Op::CheckCap,
        Op::CheckCapDelegated { .. } => audit::Op::CheckCapDelegated,
        Op::AbiProfileGet { .. } => audit::Op::AbiProfile,
    }
}
