//! One check at a time, and what it ended with.

use nexus_abi::{Call, Error, Handle, ServiceId, Sys, syscall::Topic};
use nexus_ipc::{
    Deadline, connect,
    echo::Tally,
    log,
    policy::{Client, NotAllowed},
};
use nexus_system::names::{LOGD, POLICYD};
use nexus_wire::log::Status;

/// Most checks of one burst.
pub const BURST_MAX: u32 = 100_000;

/// How long one check may take; policyd needs a ten-thousandth of it.
const CHECK_NS: u64 = 50_000_000;

/// What a check ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allow,
    /// Denied by policy.
    Deny,
    /// policyd died while it held the check, or was not there.
    PeerDied,
    /// No answer in time.
    TimedOut,
    /// Anything else.
    Other,
}

impl Outcome {
    /// Adds itself to a tally.
    pub(crate) fn count(self, tally: &mut Tally) {
        let place = match self {
            Outcome::Allow => &mut tally.allow,
            Outcome::Deny => &mut tally.deny,
            Outcome::PeerDied => &mut tally.peer_died,
            Outcome::TimedOut => &mut tally.timed_out,
            Outcome::Other => &mut tally.other,
        };
        *place = place.saturating_add(1);
    }
}

/// Asks logd for what the peer has no right to read; the status, 255 without an answer.
pub(crate) fn read_audit<S: Sys>(sys: &mut S) -> u8 {
    const NO_ANSWER: u8 = 255;
    let deadline = Deadline::after_ns(sys, CHECK_NS);
    let Ok(endpoint) = connect(sys, LOGD, deadline) else { return NO_ANSWER };
    let answer = log::Client::new(endpoint, 1).audit_stats(sys, deadline);
    let _closed = sys.run(Call::CapClose { cap: endpoint });
    match answer {
        Ok(_) => Status::Ok.code(),
        Err(log::LogError::Refused(status)) => status.code(),
        Err(_) => NO_ANSWER,
    }
}

/// The peer's connection to policyd, made when it is first needed.
#[derive(Debug, Default)]
pub struct Checker {
    client: Option<(Client, ServiceId)>,
}

impl Checker {
    /// Asks policyd whether this process holds `capability`.
    pub fn check<S: Sys>(&mut self, sys: &mut S, capability: &str) -> Outcome {
        let deadline = Deadline::after_ns(sys, CHECK_NS);
        let Some((client, me)) = self.connected(sys, deadline) else { return Outcome::Other };
        match client.check_cap(sys, *me, capability, deadline) {
            Ok(_allowed) => Outcome::Allow,
            Err(NotAllowed::Denied) => Outcome::Deny,
            Err(NotAllowed::Ipc(Error::PeerDied)) => Outcome::PeerDied,
            Err(NotAllowed::Ipc(Error::TimedOut)) => Outcome::TimedOut,
            Err(_) => Outcome::Other,
        }
    }

    fn connected<S: Sys>(
        &mut self,
        sys: &mut S,
        deadline: Deadline,
    ) -> Option<&mut (Client, ServiceId)> {
        if self.client.is_none() {
            let [me, ..] = sys.info(Handle::NONE, Topic::Caller).ok()?;
            let endpoint = connect(sys, POLICYD, deadline).ok()?;
            let seed = sys.now_ns() as u32;
            self.client = Some((Client::new(endpoint, seed), ServiceId(me)));
        }
        self.client.as_mut()
    }
}
