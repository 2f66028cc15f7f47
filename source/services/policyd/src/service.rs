//! The state machine: one frame in, one record, one reply out.

use nexus_abi::{Handle, Sender};
use nexus_sel::{Policy, stated_version};
use nexus_service::{Flow, Incoming, Outgoing, Service};
use nexus_wire::{
    FRAME_MAX,
    audit::{self, Reason},
    policy::{Op, Refusal, Reply, Request, Status},
};

use crate::{
    answer::{Answer, Finding, record, record_start},
    authority::{Authority, Now},
    blob::{Anchor, Blob, admit_newer},
    env::Env,
};

/// What a newer policy is judged by, and where it is put.
pub struct Loader<'l> {
    /// The key it must be signed with.
    pub anchor: Anchor<'l>,
    /// Room for it; holds the next policy when the service stops.
    pub spare: &'l mut Blob,
}

/// The policy authority. Without a policy it denies everything.
///
/// It serves one policy for its whole life: an accepted reload puts the next one into
/// [`Loader::spare`] and stops the service, and whoever runs it starts another one over that.
/// So no request ever sees two policies.
pub struct Policyd<'p> {
    authority: Option<Authority<'p>>,
    loader: Loader<'p>,
}

impl<'p> Policyd<'p> {
    /// An authority over a checked policy, or over none. Which one is the first record.
    #[must_use]
    pub fn start<E: Env>(policy: Option<Policy<'p>>, loader: Loader<'p>, env: &mut E) -> Self {
        record_start(policy.as_ref(), env);
        Policyd { authority: policy.map(Authority::new), loader }
    }

    fn decide<E: Env>(
        &mut self,
        finding: &mut Finding,
        request: &Request<'_>,
        call: &Incoming<'_>,
        env: &mut E,
    ) {
        let now = Now { facts: env.facts(), time_ns: env.now_ns() };
        finding.op = kind(&request.op);
        finding.nonce = request.nonce;
        if let Some(authority) = &mut self.authority {
            authority.decide(finding, &request.op, call, now);
        }
    }

    fn version(&self) -> u64 {
        self.authority.as_ref().map_or(0, Authority::version)
    }

    /// What names the policy in force in every record; 0 without one.
    fn tag(&self) -> u32 {
        self.authority.as_ref().map_or(0, Authority::tag)
    }

    /// The right first: who may not reload cannot make policyd read or verify anything.
    fn reload<E: Env>(
        &mut self,
        request: &Request<'_>,
        (sender, cap): (&Sender, Handle),
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> (Outgoing, Flow) {
        let now = Now { facts: env.facts(), time_ns: env.now_ns() };
        let mut asked = Finding::deny(audit::Op::PolicyReload, sender, Reason::NoPolicy);
        asked.nonce = request.nonce;
        if let Some(authority) = &mut self.authority {
            authority.may_reload(&mut asked, sender, now);
        }
        let current = self.version();
        let (finding, told) = if asked.status == Status::Allow {
            let finding = self.judge(cap, asked, env);
            (finding, (finding.reason, current))
        } else {
            (asked, (Reason::Default, 0))
        };
        let answer = record(&finding, self.tag(), sender, env);
        let loaded = answer.status() == Status::Allow;
        if loaded {
            env.keep(self.loader.spare);
        }
        let [version, _] = finding.args;
        let (reason, version) = match (loaded, finding.status) {
            (true, _) => (finding.reason, version),
            (false, Status::Allow) => (Reason::AuditUnavailable, current),
            (false, _) => told,
        };
        let body = Reply::Reload { reason, version };
        let len = request.answer(answer.status(), body).encode(reply);
        (Outgoing::bytes(len), if loaded { Flow::Stop } else { Flow::Continue })
    }

    /// What becomes of the policy that came along with a request that is allowed to bring one:
    /// the versions in force afterwards and offered, and why.
    fn judge<E: Env>(&mut self, cap: Handle, asked: Finding, env: &mut E) -> Finding {
        let current = self.version();
        self.loader.spare.fill(0);
        let taken = env.read_blob(cap, self.loader.spare).and_then(|words| {
            let blob = self.loader.spare.get(..words).ok_or(Reason::BlobTooLarge)?;
            admit_newer(blob, self.loader.anchor, current)
        });
        match taken {
            Ok(version) => Finding { args: [version, version], ..asked },
            Err(reason) => {
                let args = [current, stated_version(self.loader.spare)];
                Finding { status: Status::Deny, reason, args, ..asked }
            }
        }
    }
}

impl<E: Env> Service<E> for Policyd<'_> {
    const KEEPS_CAPS: bool = true;

    fn handle_with_cap(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> (Outgoing, Flow) {
        let answered = match Request::decode(call.frame) {
            Ok(request @ Request { op: Op::Reload {}, .. }) => {
                self.reload(&request, (&call.sender, call.cap), reply, env)
            }
            _ => (self.handle(call, reply, env), Flow::Continue),
        };
        env.close(call.cap);
        answered
    }

    // In both places where it is called: the frequent one must not pay for the rare one.
    #[inline(always)]
    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> Outgoing {
        let decoded = Request::decode(call.frame);
        let mut finding = Finding::deny(audit::Op::Malformed, &call.sender, Reason::NoPolicy);
        match &decoded {
            Ok(request) => self.decide(&mut finding, request, call, env),
            Err(refusal) => refused(&mut finding, refusal, call.frame),
        }
        let answer = record(&finding, self.tag(), &call.sender, env);
        Outgoing::bytes(match decoded {
            Ok(request) => respond(&request, &answer, reply),
            Err(refusal) => refuse(refusal, &answer, reply),
        })
    }
}

/// A profile is empty, which denies everything, until profiles are part of the policy.
fn respond(request: &Request<'_>, answer: &Answer, reply: &mut [u8; FRAME_MAX]) -> usize {
    match request.op {
        Op::Authorize { .. } => {
            let body = Reply::Authorize { seq: answer.seq() };
            request.answer(answer.status(), body).encode(reply)
        }
        _ => request.respond(answer.status()).encode(reply),
    }
}

fn refuse(refusal: Refusal, answer: &Answer, reply: &mut [u8; FRAME_MAX]) -> usize {
    Refusal { status: answer.status(), ..refusal }.encode(reply)
}

/// A frame that is no request: its version and operation bytes are all there is to record.
fn refused(finding: &mut Finding, refusal: &Refusal, frame: &[u8]) {
    (finding.op, finding.reason) = match refusal.status {
        Status::Unsupported => (audit::Op::Unsupported, Reason::Unsupported),
        _ => (audit::Op::Malformed, Reason::Malformed),
    };
    if let [_, _, version, op, ..] = frame {
        finding.args = [u64::from_le_bytes([*version, *op, 0, 0, 0, 0, 0, 0]), 0];
    }
    finding.status = refusal.status;
    finding.nonce = refusal.nonce;
}

const fn kind(op: &Op<'_>) -> audit::Op {
    match op {
        Op::Check { .. } => audit::Op::Check,
        Op::Route { .. } | Op::RouteId { .. } => audit::Op::Route,
        Op::Exec { .. } | Op::ExecId { .. } => audit::Op::Exec,
        Op::CheckCap { .. } => audit::Op::CheckCap,
        Op::CheckCapDelegated { .. } | Op::Authorize { .. } => audit::Op::CheckCapDelegated,
        Op::AbiProfileGet { .. } => audit::Op::AbiProfile,
        Op::Reload {} => audit::Op::PolicyReload,
    }
}
