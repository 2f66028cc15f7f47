//! How a request is refused: with which status, on whose account, and on which record.

use nexus_abi::{Sender, ServiceId};
use nexus_service::report::Outcome;
use nexus_wire::{
    Status as Common,
    audit::{self, Reason},
    keys::{Op, Status},
};

use crate::{
    env::Env,
    limits::{Kind, Over},
};

/// A denial is policyd's word; anything else means that nobody could be asked.
pub(crate) const fn no_permit(status: Common) -> Status {
    match status {
        Common::Denied => Status::Denied,
        _ => Status::Unavailable,
    }
}

/// The private key stays, whoever asks; that somebody asked is on record.
pub(crate) fn export_refused<E: Env>(env: &mut E, from: Sender) -> Status {
    refused(env, from, u64::from(Status::PrivateExportDenied.code()));
    Status::PrivateExportDenied
}

/// Nobody gets a signature of another purpose by asking.
pub(crate) fn cross_purpose_refused<E: Env>(env: &mut E, from: Sender, code: u16) -> Status {
    refused(env, from, u64::from(code));
    Status::WrongPurpose
}

fn refused<E: Env>(env: &mut E, from: Sender, detail: u64) {
    let own = Outcome::own(audit::Op::KeyUse, from.service);
    let record = Outcome { result: Err(Reason::Refused), detail, ..own };
    let now_ns = env.now_ns();
    let _counted_if_lost = env.reporter().record(&record, now_ns);
}

pub(crate) const fn reason(status: Status) -> Reason {
    match status {
        Status::NotFound | Status::KeyNotFound => Reason::Missing,
        Status::KeyExists
        | Status::WrongPurpose
        | Status::KeyRetired
        | Status::KeyRevoked
        | Status::KeyExhausted => Reason::Refused,
        Status::RateLimited | Status::Limit | Status::Full => Reason::Limit,
        _ => Reason::Failed,
    }
}

pub(crate) const fn kind(op: &Op<'_>) -> Kind {
    match op {
        Op::PutPlain { .. }
        | Op::Put { .. }
        | Op::DelPlain { .. }
        | Op::Del { .. }
        | Op::CounterIncrement { .. } => Kind::Write,
        Op::Sign { .. } | Op::DeviceSign { .. } => Kind::Sign,
        Op::Verify { .. } => Kind::Verify,
        Op::Attest { .. } => Kind::Attest,
        Op::KeygenPlain {} | Op::Keygen { .. } => Kind::Keygen,
        Op::Rotate { .. } | Op::Revoke { .. } => Kind::Rotate,
        Op::DevicePrivkey {} => Kind::Export,
        Op::Get { .. }
        | Op::DevicePubkey {}
        | Op::Pubkey { .. }
        | Op::Chain { .. }
        | Op::CounterRead { .. }
        | Op::Status {} => Kind::Read,
    }
}

/// Puts requests beyond a limit on record, together: a record each would be the flood's own tool.
pub(crate) fn limited<E: Env>(env: &mut E, over: Over) {
    let own = Outcome::own(audit::Op::KeyUse, ServiceId(over.caller));
    let (target, detail) = (over.kind as u64, over.requests);
    let record = Outcome { result: Err(Reason::Limit), target, detail, ..own };
    let now_ns = env.now_ns();
    let _counted_if_lost = env.reporter().record(&record, now_ns);
}
