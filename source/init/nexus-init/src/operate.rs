//! Operating services: `SV` restart and status, for holders of `service.restart`.

use nexus_abi::{Handle, Sender, Sys};
use nexus_ipc::{Deadline, policy::NotAllowed};
use nexus_service::{Incoming, Outgoing};
use nexus_wire::{
    FRAME_MAX, Status,
    supervise::{Op, Reply, Request},
};

use crate::{connect::AUTHORITY_NS, supervisor::Supervisor};

/// What both operations ask policy for.
pub const CAPABILITY_RESTART: &str = "service.restart";

/// Longest delay of a restart, each half of it: a request that waits longer is a mistake.
pub const MAX_DELAY_NS: u64 = 60_000_000_000;

impl Supervisor<'_> {
    /// Answers one `SV` frame.
    pub(crate) fn operate<S: Sys>(
        &mut self,
        sys: &mut S,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
    ) -> Outgoing {
        let len = match Request::decode(call.frame) {
            Err(refusal) => refusal.encode(reply),
            Ok(request) => match self.operation(sys, &call.sender, &request.op) {
                Ok(body) => request.answer(Status::Ok, body).encode(reply),
                Err(status) => request.respond(status).encode(reply),
            },
        };
        Outgoing { len, cap: Handle::NONE }
    }

    fn operation<S: Sys>(
        &mut self,
        sys: &mut S,
        sender: &Sender,
        op: &Op,
    ) -> Result<Reply, Status> {
        if sender.badge != sender.service.0 {
            return Err(Status::Denied);
        }
        let deadline = Deadline::after_ns(sys, AUTHORITY_NS);
        let asked =
            self.authority.check_cap_delegated(sys, sender.service, CAPABILITY_RESTART, deadline);
        let allowed = match asked {
            Ok(allowed) => allowed,
            Err(NotAllowed::Denied) => return Err(Status::Denied),
            Err(_no_decision) => return Err(Status::Unavailable),
        };
        match *op {
            Op::Restart { service, after_ns, down_ns } => {
                let index = self.started_with_id(service).ok_or(Status::NotFound)?;
                if after_ns > MAX_DELAY_NS || down_ns > MAX_DELAY_NS {
                    return Err(Status::TooLarge);
                }
                let kill_ns = sys.now_ns().saturating_add(after_ns);
                self.schedule_restart(index, (kill_ns, down_ns), &allowed)?;
                Ok(Reply::Restart {})
            }
            Op::Status { service } => {
                let index = self.started_with_id(service).ok_or(Status::NotFound)?;
                let (state, incarnation, restarts) = self.report(index).ok_or(Status::NotFound)?;
                Ok(Reply::Status { state, incarnation, restarts })
            }
        }
    }
}
