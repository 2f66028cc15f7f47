//! Operating services: `SV` restart and status, for holders of `service.restart`; what was measured
//! while they started, for holders of `boot.measurements`; the end, for holders of
//! `system.shutdown`.

use nexus_abi::{Handle, Sender, Sys};
use nexus_ipc::{Deadline, policy::NotAllowed};
use nexus_service::{Incoming, Outgoing};
use nexus_wire::{
    FRAME_MAX, Status,
    supervise::{Op, Reply, Request},
};

use crate::{connect::AUTHORITY_NS, supervisor::Supervisor};

/// What telling the measurements asks policy for.
pub const CAPABILITY_MEASUREMENTS: &str = "boot.measurements";

/// What operations on services ask policy for.
pub const CAPABILITY_RESTART: &str = "service.restart";

/// What the end of the system asks policy for.
pub const CAPABILITY_SHUTDOWN: &str = "system.shutdown";

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
        let capability = match op {
            Op::Measurements { .. } => CAPABILITY_MEASUREMENTS,
            Op::Restart { .. } | Op::Status { .. } => CAPABILITY_RESTART,
            Op::Shutdown { .. } => CAPABILITY_SHUTDOWN,
        };
        let asked = self.authority.check_cap_delegated(sys, sender.service, capability, deadline);
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
            Op::Measurements { index } => Ok(self.measurements(index)),
            Op::Shutdown { verdict } => {
                self.begin_end(sys, verdict, &allowed)?;
                Ok(Reply::Shutdown {})
            }
        }
    }

    fn measurements(&self, index: u8) -> Reply {
        let event = self.measured.events().get(usize::from(index));
        Reply::Measurements {
            images: self.measured.events().len() as u32,
            whole: u8::from(self.measured.is_whole()),
            log: self.measured.digest(),
            policy: self.policy_digest(),
            service: event.map_or(0, |event| event.service),
            image: event.map_or([0; 32], |event| event.image),
        }
    }
}
