//! `connect(name)`: the manifest says who is meant, policy says whether, and only then is a
//! capability made. A refusal leaves none behind.

use nexus_abi::{Call, Handle, Rights, Sender, Sys};
use nexus_ipc::{
    Deadline,
    policy::{Allowed, NotAllowed},
};
use nexus_service::{Incoming, Outgoing};
use nexus_wire::{
    FRAME_MAX,
    route::{Op, Reply, Request, Status},
};

use crate::supervisor::Supervisor;

/// How long init waits for the authority: thousands of times what a decision takes, and short
/// enough that a hung authority does not look like a hung system. While init waits it serves
/// nobody (ADR 0001).
pub(crate) const AUTHORITY_NS: u64 = 50_000_000;

impl Supervisor<'_> {
    /// Answers one `RT` frame, or anything that is no frame of init's.
    pub(crate) fn connect<S: Sys>(
        &mut self,
        sys: &mut S,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
    ) -> Outgoing {
        let request = match Request::decode(call.frame) {
            Ok(request) => request,
            Err(refusal) => return Outgoing { len: refusal.encode(reply), cap: Handle::NONE },
        };
        let Op::Get { name, nonce } = request.op;
        let (status, cap) = match self.route(sys, &call.sender, name.as_bytes()) {
            Ok(cap) => (Status::Ok, cap),
            Err(refused) => (refused, Handle::NONE),
        };
        let body = Reply::Get { send_slot: 0, recv_slot: 0, nonce };
        Outgoing { len: request.answer(status, body).encode(reply), cap }
    }

    /// The CALL capability for a sender that may have it.
    fn route<S: Sys>(
        &mut self,
        sys: &mut S,
        sender: &Sender,
        name: &[u8],
    ) -> Result<Handle, Status> {
        // Each child's connect capability carries its own id: one used by another was leaked.
        if sender.badge != sender.service.0 {
            return Err(Status::Denied);
        }
        let (index, target) = self.server_named(name).ok_or(Status::NotFound)?;
        let deadline = Deadline::after_ns(sys, AUTHORITY_NS);
        match self.authority.route(sys, sender.service, target, deadline) {
            Ok(allowed) => self.capability(sys, index, &allowed),
            Err(NotAllowed::Denied) => Err(Status::Denied),
            Err(_no_decision) => Err(Status::Unavailable),
        }
    }

    /// The one place a route becomes a capability, and only against a decision.
    fn capability<S: Sys>(
        &self,
        sys: &mut S,
        index: usize,
        _allowed: &Allowed,
    ) -> Result<Handle, Status> {
        let endpoint = self.reachable(index).ok_or(Status::Unavailable)?;
        // GRANT lets it move in the reply; without DERIVE it can be neither copied nor badged.
        sys.derive(endpoint, Rights::CALL.or(Rights::GRANT), 0).map_err(|_| Status::Unavailable)
    }
}

/// Gives up a capability that came with a frame init has no use for.
pub(crate) fn drop_cap<S: Sys>(sys: &mut S, cap: Handle) {
    if !cap.is_none() {
        let _gone = sys.run(Call::CapClose { cap });
    }
}
